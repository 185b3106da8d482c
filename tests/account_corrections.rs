//! Corrections: refunds, voids, and what is owed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::command::Command;
use edge_credits::entry::Event;
use edge_credits::grant::{Category, GrantKind};
use edge_credits::ids::ChargeId;
use edge_credits::refusal::Code;
use serde_json::json;
use support::{Json, Ledger, call, draws, time, whole, with};

fn pack(credits: u64) -> Json {
    json!({"kind": "pack", "credits": credits})
}

/// "Credits go back to the grants they came from, in reverse order of burning."
#[test]
fn a_refund_goes_back_along_the_draws_reversed() {
    let first = with(pack(50), "priority", 1);
    let (mut ledger, ids) = Ledger::with_grants(&[first, pack(50)]);
    let charge = ledger.spend(80).id;
    let refund = ledger.refund(charge, Some(40));
    assert_eq!(draws(&refund.draws), [(ids[1].as_str(), 30), (&ids[0], 10)]);
    assert_eq!(ledger.balance(), (60, 0, 0));
    let refund = ledger.refund(charge, None);
    assert_eq!(draws(&refund.draws), [(ids[0].as_str(), 40)]);
    assert_eq!(ledger.balance(), (100, 0, 0));
    let last = ledger.entries.last().unwrap();
    assert!(
        matches!(&last.event, Event::Refunded { revived, .. } if revived.is_empty()),
        "both were living all the while"
    );
}

/// "Refunds of one charge never exceed it."
#[test]
fn a_charge_is_refunded_once() {
    let (mut ledger, _) = Ledger::with_grants(&[pack(100)]);
    let charge = ledger.spend(80).id;
    let free = ledger.spend(0).id;
    let rows = [
        (charge, Some(81), Code::RefundExceedsCharge),
        (free, None, Code::RefundExceedsCharge),
        (free, Some(1), Code::RefundExceedsCharge),
        (ChargeId(4_711), None, Code::ChargeNotFound),
    ];
    for (charge, credits, code) in rows {
        assert_eq!(ledger.refuse_refund(charge, credits).code, code);
    }
    ledger.refund(charge, Some(50));
    let code = ledger.refuse_refund(charge, Some(31)).code;
    assert_eq!(code, Code::RefundExceedsCharge);
    ledger.refund(charge, Some(30));
    for credits in [None, Some(1)] {
        let code = ledger.refuse_refund(charge, credits).code;
        assert_eq!(code, Code::RefundExceedsCharge);
    }
    assert_eq!(ledger.balance(), (100, 0, 0));
}

#[test]
fn what_is_owed_is_cancelled_first() {
    let (mut ledger, ids) = Ledger::with_grants(&[pack(100)]);
    let charge = ledger.owe(150).id;
    let refund = ledger.refund(charge, Some(20));
    assert_eq!((whole(refund.owed_cancelled), refund.draws.len()), (20, 0));
    assert_eq!(ledger.balance(), (0, 0, 30));
    let refund = ledger.refund(charge, Some(60));
    assert_eq!(whole(refund.owed_cancelled), 30);
    assert_eq!(draws(&refund.draws), [(ids[0].as_str(), 30)]);
    assert_eq!(ledger.balance(), (30, 0, 0));
    assert_eq!(whole(ledger.refund(charge, None).credits), 70);
}

/// "What came from a grant that has since ended becomes a `refund` grant of 30 days with that grant's priority,
/// category and scope."
#[test]
fn credits_of_a_grant_that_has_ended_come_back_for_thirty_days() {
    let gift = json!({
        "kind": "bonus", "credits": 40, "scope": ["image"], "priority": 7,
        "expires_at": "2026-03-01T13:00:00Z",
    });
    let (mut ledger, _) = Ledger::with_grants(&[gift, pack(10)]);
    let charge = ledger.spend(45).id;
    let written = ledger.entries.len();
    ledger.at("2026-03-01T13:00:00Z");
    let refund = ledger.refund(charge, Some(25));
    assert_eq!(
        ledger.kinds_after(written),
        ["refunded"],
        "no entry of its own"
    );
    let id = refund.draws[1].grant.clone();
    let grant = ledger.find_grant(&id);
    assert_eq!(
        (grant.kind, grant.category),
        (GrantKind::Refund, Category::Promo)
    );
    assert_eq!((whole(grant.credits), grant.priority), (20, 7));
    assert_eq!(grant.scope, Some(vec!["image".to_owned()]));
    assert_eq!(grant.expires_at, Some(time("2026-03-31T13:00:00Z")));
    assert_eq!(ledger.balance(), (30, 0, 0));
    let again = ledger.refund(charge, None);
    assert_eq!(whole(again.credits), 20);
    assert_ne!(again.draws[0].grant, id);
    assert_eq!(ledger.available_at("2026-03-31T12:59:59.999Z"), 50);
    assert_eq!(ledger.available_at("2026-03-31T13:00:00Z"), 10);
}

/// Credits of yesterday's allowance are no part of today's.
#[test]
fn a_refund_of_yesterday_stands_beside_the_new_day() {
    let mut ledger = Ledger::open("free");
    let charge = ledger.spend(60).id;
    ledger.at("2026-03-02T08:00:00Z").refund(charge, None);
    assert_eq!(ledger.living(), [("daily", 100), ("refund", 60)]);
    assert_eq!(ledger.balance_json()["daily"]["credits"], 100);
}

#[test]
fn a_refund_makes_one_grant_of_equal_terms_and_two_of_others() {
    let ending = |priority: u64| {
        let body = with(pack(10), "expires_at", "2026-03-01T13:00:00Z");
        with(body, "priority", priority)
    };
    for (priorities, grants) in [([50, 50], 1), ([49, 50], 2)] {
        let (mut ledger, _) = Ledger::with_grants(&priorities.map(ending));
        let charge = ledger.spend(20).id;
        let refund = ledger.at("2026-03-01T13:00:00Z").refund(charge, None);
        assert_eq!(refund.draws.len(), grants, "{priorities:?}");
        assert_eq!(ledger.living().len(), grants);
        assert_eq!(ledger.available(), 20);
    }
}

/// "What was forgiven cannot be refunded."
#[test]
fn what_was_forgiven_cannot_be_refunded() {
    let (mut ledger, _) = Ledger::with_grants(&[pack(100)]);
    let body = with(call("flux-schnell", 150), "on_excess", "forgive");
    let charge = ledger.charge_with(body).id;
    let refusal = ledger.refuse_refund(charge, Some(101));
    assert_eq!(refusal.code, Code::RefundExceedsCharge);
    assert_eq!(whole(ledger.refund(charge, None).credits), 100);
    assert_eq!(ledger.balance(), (100, 0, 0));
}

/// A grant that never ends and was burned to the last gets its own credits back.
#[test]
fn a_pack_that_was_used_up_comes_back_to_life() {
    let (mut ledger, ids) = Ledger::with_grants(&[pack(100)]);
    let charge = ledger.spend(100).id;
    assert_eq!(ledger.account().grants, []);
    ledger.at("2027-03-01T12:00:00Z");
    let rest = ledger.living().len();
    let refund = ledger.refund(charge, Some(30));
    assert_eq!(draws(&refund.draws), [(ids[0].as_str(), 30)]);
    assert_eq!(ledger.living().len(), rest + 1);
    assert_eq!(ledger.living()[rest], ("pack", 30));
}

/// "Ends a grant; held credits stay held."
#[test]
fn a_void_keeps_what_is_held() {
    let (mut ledger, ids) = Ledger::with_grants(&[pack(100)]);
    let hold = ledger.reserve(60);
    assert_eq!(whole(ledger.void(&ids[0]).credits), -40);
    assert_eq!(ledger.balance(), (0, 60, 0));
    let charge = ledger.capture(hold, call("flux-schnell", 50));
    assert_eq!(draws(&charge.draws), [(ids[0].as_str(), 50)]);
    assert_eq!(ledger.balance(), (0, 0, 0), "the rest is voided at once");
    let grant = ledger.find_grant(&ids[0]);
    assert_eq!((whole(grant.spent), whole(grant.voided)), (50, 50));
}

#[test]
fn a_grant_is_voided_once() {
    let later = with(pack(9), "effective_at", "2026-03-02T00:00:00Z");
    let (mut ledger, ids) = Ledger::with_grants(&[pack(10), later, pack(5)]);
    let written = ledger.void(&ids[1]);
    assert_eq!(whole(written.credits), 0, "what has not begun");
    ledger.void(&ids[0]);
    let void = |grant: &str| Command::Void {
        grant: grant.to_owned(),
    };
    let rows = [
        (ids[0].as_str(), Code::GrantEnded),
        (&ids[1], Code::GrantEnded),
        ("grant_4711", Code::GrantNotFound),
    ];
    for (grant, code) in rows {
        assert_eq!(ledger.refuse(&void(grant)).code, code, "{grant}");
    }
    ledger.spend(5);
    ledger.void(&ids[2]);
    assert_eq!(ledger.refuse(&void(&ids[2])).code, Code::GrantEnded);
    assert_eq!(ledger.available_at("2026-03-02T00:00:00Z"), 0);
}

/// "Every later unscoped grant pays it first, once, oldest debt first. Such a payment is a draw of the charge
/// that was owed."
#[test]
fn later_grants_pay_the_oldest_debt_first_and_once() {
    let (mut ledger, _) = Ledger::with_grants(&[]);
    let [older, newer] = [ledger.owe(100).id, ledger.owe(100).id];
    let scoped = json!({"kind": "bonus", "credits": 30, "scope": ["image"]});
    ledger.grant(scoped);
    assert_eq!(
        ledger.balance(),
        (30, 0, 200),
        "a scoped grant pays nothing"
    );
    let id = ledger.pack(150);
    let entry = ledger.entries.last().unwrap().clone();
    assert_eq!(whole(entry.credits), 0);
    let Event::Granted {
        grant, payments, ..
    } = entry.event
    else {
        panic!("no grant");
    };
    assert_eq!((whole(grant.credits), whole(grant.spent)), (150, 150));
    let payments: Vec<_> = payments
        .iter()
        .map(|payment| (payment.charge, whole(payment.credits)))
        .collect();
    assert_eq!(payments, [(older, 100), (newer, 50)]);
    assert_eq!(ledger.balance(), (30, 0, 50));
    ledger.pack(70);
    assert_eq!(ledger.balance(), (50, 0, 0));
    ledger.pack(10);
    assert_eq!(ledger.balance(), (60, 0, 0), "paid once");
    let refund = ledger.refund(older, None);
    assert_eq!(draws(&refund.draws), [(id.as_str(), 100)]);
}

#[test]
fn what_comes_back_unscoped_pays_what_is_owed() {
    for back in ["release", "lapse", "capture", "refund"] {
        let (mut ledger, _) = Ledger::with_grants(&[pack(100)]);
        let charge = ledger.spend(35).id;
        let hold = ledger.reserve(35);
        ledger.owe(50);
        assert_eq!(ledger.balance(), (0, 35, 20));
        match back {
            "release" => drop(ledger.release(hold)),
            "capture" => drop(ledger.capture(hold, call("flux-schnell", 0))),
            "refund" => drop(ledger.refund(charge, None)),
            _ => drop(ledger.at("2026-03-01T12:15:00Z")),
        }
        let held = if back == "refund" { 35 } else { 0 };
        assert_eq!(ledger.balance(), (15, held, 0), "{back}");
    }
}

/// "What a hold gives back from a grant that has ended expires at once, owed or not: only living grants pay."
#[test]
fn what_comes_back_to_an_ended_grant_pays_nothing() {
    let mut ledger = Ledger::open("free");
    let hold = ledger.at("2026-03-01T23:59:00Z").reserve(80);
    ledger.at("2026-03-02T00:01:00Z").owe(130);
    ledger.release(hold);
    assert_eq!(ledger.balance(), (0, 0, 30));
}

/// A charge does not pay its own rest with what its refund gives back: the rest was cancelled before.
#[test]
fn a_refund_pays_other_charges_too() {
    let (mut ledger, _) = Ledger::with_grants(&[pack(100)]);
    let refunded = ledger.owe(120).id;
    ledger.owe(50);
    let refund = ledger.refund(refunded, None);
    assert_eq!(whole(refund.owed_cancelled), 20);
    assert_eq!(ledger.balance(), (50, 0, 0));
}

#[test]
fn what_a_due_refresh_has_just_paid_is_refunded_to_it() {
    let mut ledger = Ledger::open("free");
    let charge = ledger.owe(150).id;
    ledger.at("2026-03-02T08:00:00Z");
    let refund = ledger.refund(charge, Some(60));
    let kinds: Vec<_> = refund.draws.iter().map(|draw| draw.kind.as_str()).collect();
    assert_eq!(kinds, ["daily", "refund"], "today's own, then yesterday's");
    assert_eq!(ledger.living(), [("daily", 100), ("refund", 10)]);
}

/// A refund of a part leaves a charge at its place among those that are owed: "oldest debt first".
#[test]
fn a_charge_that_is_refunded_in_part_is_still_owed_in_its_turn() {
    let (mut ledger, _) = Ledger::with_grants(&[pack(10)]);
    let older = ledger.owe(60).id;
    let newer = ledger.owe(60).id;
    ledger.refund(older, Some(20));
    ledger.refund(newer, Some(10));
    ledger.grant(pack(40));
    assert_eq!(ledger.balance(), (0, 0, 40));
    assert_eq!(whole(ledger.refund(newer, Some(40)).owed_cancelled), 40);
    assert_eq!(
        ledger.balance(),
        (0, 0, 0),
        "it was the older that was paid"
    );
    assert_eq!(whole(ledger.refund(older, Some(40)).owed_cancelled), 0);
}

/// A grant that paid twice for one charge comes back to life once.
#[test]
fn a_grant_with_two_draws_of_a_charge_comes_back_once() {
    let (mut ledger, ids) = Ledger::with_grants(&[pack(100)]);
    let hold = ledger.reserve(40);
    let charge = ledger.owe(100).id;
    ledger.release(hold);
    assert_eq!(ledger.account().grants, [], "it was burned to the last");
    ledger.refund(charge, None);
    assert_eq!(ledger.balance(), (100, 0, 0));
    let alive: Vec<&str> = ledger
        .account()
        .grants
        .iter()
        .map(|grant| grant.id.as_str())
        .collect();
    assert_eq!(alive, [ids[0].as_str()]);
}

/// Amounts stay below 10⁹, whatever they are made up of.
#[test]
fn no_account_has_or_owes_a_thousand_millions() {
    let most = 999_999_999_u64;
    let (mut ledger, _) = Ledger::with_grants(&[pack(most)]);
    ledger.charge_with(json!({"credits": 1, "description": "a beginning"}));
    let hold = json!({"credits": 500_000_000, "description": "held credits count"});
    ledger.hold(hold);
    let refusal = ledger.refuse(&grant_of(pack(2)));
    assert_eq!(refusal.code, Code::AmountTooLarge);
    ledger.grant(pack(1));

    let (mut ledger, _) = Ledger::with_grants(&[]);
    let owing =
        |credits: u64| json!({"credits": credits, "description": "a debt", "on_excess": "owe"});
    ledger.charge_with(owing(most));
    let charge = Command::charge(&support::value(owing(1))).unwrap();
    assert_eq!(ledger.refuse(&charge).code, Code::AmountTooLarge);
}

fn grant_of(body: Json) -> Command {
    Command::grant(&support::value(body), support::published()).unwrap()
}
