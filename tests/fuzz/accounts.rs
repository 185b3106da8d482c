//! Accounts: whatever body any call is sent, at any time, the account answers and its laws hold.

use edge_credits::command::Command;
use edge_credits::credits::Credits;
use edge_credits::estimate::account_estimate;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::snapshot::Snapshot;
use edge_credits::value::Value;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::{Ledger, published};
use crate::trees::{near, texts, trees};
use crate::{bodies, fuzz, has_reason, read, refused, requests};

#[test]
fn snapshots_of_accounts() {
    let mut ledger = Ledger::open("starter");
    ledger.grant(json!({"kind": "bonus", "credits": 50, "scope": ["video"], "expires_at": "2026-03-05T00:00:00Z"}));
    ledger.grant(json!({"kind": "pack", "credits": 900, "effective_at": "2026-04-01T00:00:00Z"}));
    ledger.reserve(30);
    let mut owing = Ledger::open("free");
    owing.owe(130);
    let accounts = vec![
        ledger.account_json(),
        ledger.balance_json(),
        owing.account_json(),
    ];
    fuzz(
        "snapshots of accounts",
        (near(accounts), near(requests())),
        |(account, body)| {
            let snapshot = match Snapshot::parse(&account) {
                Ok(snapshot) => snapshot,
                Err(refusal) => {
                    prop_assert_eq!(refusal.code, Code::InvalidAccount);
                    return refused(&refusal);
                }
            };
            let Ok(request) = read(&body, true) else {
                return Ok(false);
            };
            match account_estimate(&request, published(), snapshot.wallet()) {
                Err(refusal) => refused(&refusal),
                Ok(estimate) => {
                    let drawn: Credits = estimate.draws.iter().map(|draw| draw.credits).sum();
                    prop_assert_eq!(
                        drawn,
                        if estimate.access.allowed {
                            estimate.credits
                        } else {
                            Credits::ZERO
                        }
                    );
                    prop_assert!(serde_json::to_string(&estimate).is_ok());
                    Ok(true)
                }
            }
        },
    );
}

/// Every command that a body makes, whatever call it was meant for.
fn commands(body: &Value, name: &str, number: u64) -> Vec<Result<Command, Refusal>> {
    let catalog = published();
    vec![
        Command::open(body, catalog),
        Command::update(body),
        Command::change_plan(body, catalog).map(|(command, _)| command),
        Command::perk(name, number.is_multiple_of(2), catalog),
        Command::hold(body),
        Command::capture(HoldId(number), body),
        Command::extend(HoldId(number), body),
        Command::charge(body),
        Command::refund(ChargeId(number), body),
        Command::grant(body, catalog),
        Command::feature(name, number.is_multiple_of(2), body),
        Command::nothing(body).map(|()| Command::Void {
            grant: name.to_owned(),
        }),
        Command::nothing(body).map(|()| Command::Release {
            hold: HoldId(number),
        }),
    ]
}

#[test]
fn commands_at_any_time() {
    let times = prop_oneof![
        4 => 0_i64..90_000_000,
        1 => 0_i64..40_000_000_000,
        1 => any::<i64>(),
        1 => select(vec![i64::MAX, i64::MIN, -62_167_219_200_000, 253_370_764_799_999]),
    ];
    let features = prop_oneof![
        Just("file_uploads".to_owned()),
        Just("early_bird".to_owned()),
        texts()
    ];
    let step = (
        near(bodies()),
        features,
        prop_oneof![0_u64..12, any::<u64>()],
        times,
    );
    let steps = prop::collection::vec(step, 1..8);
    fuzz("commands at any time", steps, |steps| {
        let mut ledger = Ledger::open("starter");
        ledger.reserve(40);
        for (body, name, number, millis) in &steps {
            let now = ledger.now;
            ledger.now = now.after_millis(*millis);
            for command in commands(body, name, *number) {
                match command.map(|command| ledger.attempt(&command)) {
                    Ok(Ok(_)) => {}
                    Ok(Err(refusal)) | Err(refusal) => has_reason(&refusal)?,
                }
                prop_assert!(serde_json::to_string(&ledger.settled().account_view()).is_ok());
            }
        }
        for entry in &ledger.entries {
            // Where entries are stored these are added, and a name that comes twice cannot be read again.
            let entry = serde_json::to_value(entry).unwrap();
            prop_assert!(entry.get("previous").is_none() && entry.get("hash").is_none());
        }
        Ok(true)
    });
}

#[test]
fn any_tree() {
    fuzz("any tree", trees(), |tree| {
        for command in commands(&tree, "file_uploads", 2) {
            if let Err(refusal) = command {
                has_reason(&refusal)?;
            }
        }
        Ok(true)
    });
}
