//! Holds: credits reserved for a call that is still running, and what becomes of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::command::Command;
use edge_credits::hold::HoldStatus;
use edge_credits::ids::HoldId;
use edge_credits::refusal::Code;
use serde_json::json;
use support::{Ledger, call, catalog_with, draws, shortage, time, whole, with};

/// A pack of 100 credits, and nothing else.
fn a_hundred() -> (Ledger, String) {
    let (ledger, ids) = Ledger::with_grants(&[json!({"kind": "pack", "credits": 100})]);
    (ledger, ids[0].clone())
}

#[test]
fn a_hold_reserves_and_a_release_gives_back() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.reserve(60);
    assert_eq!(ledger.balance(), (40, 60, 0));
    let refusal = ledger.refuse_hold(call("flux-schnell", 41));
    assert_eq!(shortage(&refusal), (41, 40, 0, 1));
    let entry = ledger.release(hold);
    assert_eq!(whole(entry.credits), 60);
    assert_eq!(entry.event.hold().unwrap().status, HoldStatus::Released);
    assert_eq!(ledger.balance(), (100, 0, 0));
}

#[test]
fn a_hold_of_a_ceiling_reserves_the_ceiling() {
    let (mut ledger, _) = a_hundred();
    let body = with(call("flux-schnell", 10), "usage_max", json!({"images": 25}));
    assert_eq!(whole(ledger.hold(body).credits), 25);
}

/// "A capture below the hold keeps the first draws in burning order and gives the rest back."
#[test]
fn a_capture_below_the_hold_keeps_the_first_draws() {
    let grants = [
        json!({"kind": "pack", "credits": 50, "priority": 1}),
        json!({"kind": "pack", "credits": 90}),
    ];
    let (mut ledger, ids) = Ledger::with_grants(&grants);
    let hold = ledger.reserve(100);
    let charge = ledger.capture(hold, call("flux-schnell", 60));
    assert_eq!(draws(&charge.draws), [(ids[0].as_str(), 50), (&ids[1], 10)]);
    assert_eq!((whole(charge.from_hold), whole(charge.excess)), (60, 0));
    assert_eq!(ledger.balance(), (80, 0, 0));
    let entry = ledger.entries.last().unwrap();
    assert_eq!(whole(entry.credits), 40, "one change of what is available");
}

/// "Above it, the excess burns what is available; what is still missing is owed, given up, or the capture is
/// refused and the hold stays open."
#[test]
fn a_capture_above_the_hold_goes_by_its_policy() {
    // The policy, and then: credits, owed, forgiven, and the balance.
    let rows = [
        (None, (150, 50, 0), (0, 0, 50)),
        (Some("owe"), (150, 50, 0), (0, 0, 50)),
        (Some("forgive"), (100, 0, 50), (0, 0, 0)),
    ];
    for (policy, (credits, owed, forgiven), balance) in rows {
        let (mut ledger, pack) = a_hundred();
        let hold = ledger.reserve(60);
        let body = call("flux-schnell", 150);
        let body = match policy {
            Some(policy) => with(body, "on_excess", policy),
            None => body,
        };
        let charge = ledger.capture(hold, body);
        assert_eq!(whole(charge.credits), credits, "{policy:?}");
        assert_eq!(
            (whole(charge.owed), whole(charge.forgiven)),
            (owed, forgiven)
        );
        assert_eq!((whole(charge.from_hold), whole(charge.excess)), (60, 90));
        assert_eq!(draws(&charge.draws), [(pack.as_str(), 60), (&pack, 40)]);
        assert_eq!(ledger.balance(), balance, "{policy:?}");
    }
    let (mut ledger, _) = a_hundred();
    let hold = ledger.reserve(60);
    let body = |images| with(call("flux-schnell", images), "on_excess", "reject");
    let refusal = ledger.refuse_capture(hold, body(150));
    assert_eq!(shortage(&refusal), (90, 40, 0, 50));
    assert_eq!(ledger.balance(), (40, 60, 0), "the hold stays open");
    assert_eq!(whole(ledger.capture(hold, body(100)).credits), 100);
}

#[test]
fn a_direct_charge_knows_the_same_three_policies() {
    let rows = [("owe", (150, 50, 0)), ("forgive", (100, 0, 50))];
    for (policy, (credits, owed, forgiven)) in rows {
        let (mut ledger, _) = a_hundred();
        let charge = ledger.charge_with(with(call("flux-schnell", 150), "on_excess", policy));
        assert_eq!(whole(charge.credits), credits, "{policy}");
        assert_eq!(
            (whole(charge.owed), whole(charge.forgiven)),
            (owed, forgiven)
        );
        assert_eq!(ledger.balance(), (0, 0, owed));
    }
    let (mut ledger, _) = a_hundred();
    let refusal = ledger.refuse_charge(call("flux-schnell", 150));
    assert_eq!(shortage(&refusal), (150, 100, 0, 50));
}

#[test]
fn zero_usage_captures_nothing_and_gives_the_hold_back() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.reserve(60);
    let charge = ledger.capture(hold, json!({"model": "flux-schnell", "usage": {}}));
    assert_eq!((whole(charge.credits), charge.waived), (0, false));
    assert_eq!(ledger.balance(), (100, 0, 0));
}

/// D3: "A waived (early-bird) hold reserves nothing and is captured for nothing", though the perk be revoked.
#[test]
fn a_waived_hold_stays_free_though_the_perk_be_revoked() {
    let (mut ledger, _) = a_hundred();
    ledger.perk("early_bird", true);
    let kept = ledger.hold(call("kimi-k2", 50_000));
    assert_eq!((whole(kept.credits), whole(kept.list_credits)), (0, 20));
    assert!(kept.waived && kept.draws.is_empty());
    let mixed = ledger.hold(call("kimi-k2", 50_000));
    ledger.perk("early_bird", false);

    let charge = ledger.capture(kept.id, call("kimi-k2", 75_000));
    assert_eq!((whole(charge.credits), whole(charge.list_credits)), (0, 30));
    assert!(charge.waived);
    let items = json!({"items": [call("kimi-k2", 50_000), call("gpt-4o", 5_000)]});
    let charge = ledger.capture(mixed.id, items);
    assert_eq!(
        whole(charge.credits),
        7,
        "what the hold did not name is paid"
    );
    assert!(!charge.waived);
    assert_eq!(whole(ledger.charge("kimi-k2", 2_500).credits), 1);
}

/// A hold that nobody waived is paid though the perk be granted before its capture.
#[test]
fn a_hold_is_captured_as_it_was_authorised() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.hold(call("kimi-k2", 50_000));
    ledger.perk("early_bird", true);
    let charge = ledger.capture(hold.id, call("kimi-k2", 50_000));
    assert_eq!((whole(charge.credits), charge.waived), (20, false));
}

#[test]
fn a_hold_lapses_at_its_time_and_its_credits_come_back() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.hold(call("flux-schnell", 60));
    assert_eq!(hold.expires_at, time("2026-03-01T12:15:00Z"), "by default");
    ledger.at("2026-03-01T12:14:59.999Z");
    assert_eq!(ledger.balance(), (40, 60, 0));
    ledger.at("2026-03-01T12:15:00Z");
    assert_eq!(ledger.balance(), (100, 0, 0));
    let written = ledger.entries.len();
    ledger.spend(1);
    assert_eq!(ledger.kinds_after(written), ["lapsed", "charged"]);
}

/// "Usage that happened is never lost. Capturing a hold that lapsed charges the account directly."
#[test]
fn a_late_capture_charges_the_account_directly() {
    let (mut ledger, _) = a_hundred();
    let prompt = ledger.reserve(60);
    let written = ledger.entries.len();
    ledger.at("2026-03-01T12:20:00Z");
    let charge = ledger.capture(prompt, call("flux-schnell", 70));
    assert_eq!(ledger.kinds_after(written), ["lapsed", "captured"]);
    assert_eq!((charge.late, whole(charge.from_hold)), (true, 0));
    assert_eq!(ledger.balance(), (30, 0, 0));

    let forgotten = ledger.reserve(30);
    ledger.at("2026-06-01T12:00:00Z").pack(5);
    let body = |policy: &str| with(call("flux-schnell", 1_000), "on_excess", policy);
    let refusal = ledger.refuse_capture(forgotten, body("reject"));
    assert_eq!(refusal.code, Code::InsufficientCredits);
    let charge = ledger.capture(forgotten, body("owe"));
    assert!(charge.late && charge.owed.is_positive());
    let again = ledger.refuse_capture(forgotten, body("owe"));
    assert_eq!(again.code, Code::HoldNotOpen);
}

#[test]
fn only_an_open_hold_can_be_captured_released_or_extended() {
    let (mut ledger, _) = a_hundred();
    let [captured, released, lapsed] = [10, 10, 10].map(|credits| ledger.reserve(credits));
    ledger.capture(captured, call("flux-schnell", 10));
    ledger.release(released);
    ledger.extend(lapsed, 1);
    let late = ledger.at("2026-03-01T13:00:00Z").reserve(1);
    ledger.at("2026-03-01T14:00:00Z");
    let unknown = HoldId(4_711);
    let rows = [
        (captured, Code::HoldNotOpen),
        (released, Code::HoldNotOpen),
        (lapsed, Code::HoldNotOpen),
        (late, Code::HoldNotOpen),
        (unknown, Code::HoldNotFound),
    ];
    for (hold, code) in rows {
        let extend = Command::Extend {
            hold,
            ttl_seconds: 60,
        };
        assert_eq!(ledger.refuse(&Command::Release { hold }).code, code);
        assert_eq!(ledger.refuse(&extend).code, code);
    }
    for (hold, code) in [(captured, Code::HoldNotOpen), (unknown, Code::HoldNotFound)] {
        // What is wrong with the request itself comes after.
        let body = json!({"model": "no-such-model", "usage": {}});
        assert_eq!(ledger.refuse_capture(hold, body).code, code);
    }
    let body = json!({"model": "no-such-model", "usage": {}});
    assert_eq!(ledger.refuse_capture(late, body).code, Code::UnknownModel);
}

#[test]
fn an_extension_counts_from_now() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.reserve(60);
    ledger.at("2026-03-01T12:10:00Z");
    let rows = [
        (3_600, "2026-03-01T13:10:00Z"),
        (60, "2026-03-01T12:11:00Z"),
    ];
    for (ttl_seconds, end) in rows {
        assert_eq!(ledger.extend(hold, ttl_seconds).expires_at, time(end));
    }
    assert_eq!(ledger.at("2026-03-01T12:10:59.999Z").balance(), (40, 60, 0));
    assert_eq!(ledger.at("2026-03-01T12:11:00Z").balance(), (100, 0, 0));
}

/// "A hold made at 23:59 from daily credits can be captured at 00:01; what it releases then expires at once."
#[test]
fn held_credits_outlive_their_grant() {
    let mut ledger = Ledger::open("free");
    let yesterday = ledger.account().grants[0].id.clone();
    let hold = ledger.at("2026-03-01T23:59:00Z").reserve(80);
    ledger.at("2026-03-02T00:01:00Z");
    assert_eq!(ledger.balance(), (100, 80, 0));
    let charge = ledger.capture(hold, call("flux-schnell", 30));
    assert_eq!(draws(&charge.draws), [(yesterday.as_str(), 30)]);
    assert_eq!(ledger.balance(), (100, 0, 0), "nothing comes back");
    let grant = ledger.find_grant(&yesterday);
    assert_eq!((whole(grant.spent), whole(grant.expired)), (30, 70));
}

/// Also of a grant that was held to the last when its time was over, which left no entry.
#[test]
fn nothing_comes_back_to_a_grant_that_ended_while_all_of_it_was_held() {
    let grant = json!({"kind": "pack", "credits": 50, "expires_at": "2026-03-01T13:00:00Z"});
    for ends in ["release", "lapse", "capture"] {
        let (mut ledger, ids) = Ledger::with_grants(std::slice::from_ref(&grant));
        let body = with(call("flux-schnell", 50), "ttl_seconds", 5_400);
        let hold = ledger.hold(body).id;
        ledger.at("2026-03-01T13:00:00Z");
        assert_eq!(ledger.balance(), (0, 50, 0));
        match ends {
            "release" => drop(ledger.release(hold)),
            "capture" => drop(ledger.capture(hold, call("flux-schnell", 0))),
            _ => drop(ledger.at("2026-03-01T13:30:00Z").pack(7)),
        }
        let rest = if ends == "lapse" { 7 } else { 0 };
        assert_eq!(ledger.balance(), (rest, 0, 0), "{ends}");
        assert_eq!(whole(ledger.find_grant(&ids[0]).expired), 50, "{ends}");
    }
}

#[test]
fn a_capture_may_name_another_model_than_its_hold() {
    let gift = json!({"kind": "bonus", "credits": 50, "scope": ["image"]});
    let pack = json!({"kind": "pack", "credits": 100});
    let (mut ledger, ids) = Ledger::with_grants(&[gift, pack]);
    let hold = ledger.reserve(70);
    let charge = ledger.capture(hold, call("kimi-k2", 75_000));
    assert_eq!(draws(&charge.draws), [(ids[1].as_str(), 20), (&ids[1], 10)]);
    assert_eq!((whole(charge.from_hold), whole(charge.excess)), (20, 0));
    assert_eq!(ledger.living(), [("bonus", 50), ("pack", 70)]);
}

/// "A hold is captured at the price it was authorised with, whatever has been published since"; "a model it
/// did not name is priced by the catalog in force".
#[test]
fn a_hold_keeps_its_prices_whatever_is_published() {
    let (mut ledger, _) = a_hundred();
    let hold = ledger.hold(call("flux-schnell", 10));
    let late = ledger.hold(call("flux-schnell", 10));
    let dearer = catalog_with(|catalog| {
        for model in catalog["models"].as_array_mut().unwrap() {
            let rate = model["rates"][0]["rate"].as_i64().unwrap();
            model["rates"][0]["rate"] = json!(rate * 3);
        }
    });
    ledger.publish(dearer);
    let items = json!({"items": [call("flux-schnell", 12), call("bark", 1)]});
    let charge = ledger.capture(hold.id, items);
    assert_eq!(whole(charge.credits), 12 + 30);
    assert_eq!(charge.catalog, hold.catalog);
    assert_eq!(whole(ledger.hold(call("flux-schnell", 10)).credits), 30);

    let withdrawn = catalog_with(|catalog| {
        let models = catalog["models"].as_array_mut().unwrap();
        models.retain(|model| model["id"] != "flux-schnell");
    });
    ledger.publish(withdrawn).at("2026-03-01T13:00:00Z");
    let charge = ledger.capture(late.id, call("flux-schnell", 10));
    assert_eq!((whole(charge.credits), charge.late), (10, true));
    let refusal = ledger.refuse_charge(call("flux-schnell", 1));
    assert_eq!(refusal.code, Code::UnknownModel);
}

/// "While anything is owed, no hold and no charge under `reject` is authorised but waived and zero ones."
#[test]
fn who_owes_is_authorised_only_for_what_costs_nothing() {
    let (mut ledger, _) = a_hundred();
    ledger.perk("early_bird", true);
    let open = ledger.reserve(20);
    ledger.owe(95);
    ledger.grant(json!({"kind": "bonus", "credits": 40, "scope": ["image"]}));
    assert_eq!(ledger.balance(), (40, 20, 15));
    let refusal = ledger.refuse_hold(call("flux-schnell", 30));
    assert_eq!(
        shortage(&refusal),
        (30, 40, 15, 5),
        "required + owed - available"
    );
    ledger.refuse_charge(call("flux-schnell", 1));
    let above = with(call("flux-schnell", 21), "on_excess", "reject");
    ledger.refuse_capture(open, above);

    ledger.hold(call("kimi-k2", 5_000));
    ledger.charge("kimi-k2", 5_000);
    ledger.hold(call("flux-schnell", 0));
    ledger.spend(0);
    let exact = with(call("flux-schnell", 20), "on_excess", "reject");
    ledger.capture(open, exact);
    assert!(!ledger.estimate(call("flux-schnell", 1)).access.allowed);
    assert!(ledger.estimate(call("kimi-k2", 1)).access.allowed);
}
