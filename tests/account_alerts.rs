//! Alerts: thresholds, and the entries that cross them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::account::Account;
use edge_credits::command::Command;
use edge_credits::refusal::Code;
use serde_json::json;
use support::{Json, Ledger, call, value, with};

const LOW: (&str, &str, u64) = ("low", "available_below", 20);
const DEAR: (&str, &str, u64) = ("dear", "spent_today_above", 50);

/// What was crossed since this was last asked: alert, figure, and kind of entry.
fn crossed(ledger: &mut Ledger) -> Vec<(String, i64, &'static str)> {
    std::mem::take(&mut ledger.crossings)
}

fn one(id: &str, figure: i64, kind: &'static str) -> Vec<(String, i64, &'static str)> {
    vec![(id.to_owned(), figure, kind)]
}

#[test]
fn an_alert_is_crossed_by_the_entry_that_takes_available_below_it() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW]);
    ledger.spend(80);
    assert_eq!(crossed(&mut ledger), []);
    ledger.spend(1);
    assert_eq!(crossed(&mut ledger), one("low", 19, "charged"));
}

#[test]
fn it_is_not_crossed_again_until_available_has_been_back() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW]);
    ledger.spend(90);
    crossed(&mut ledger);
    ledger.spend(5);
    ledger.grant(json!({"kind": "bonus", "credits": 14}));
    ledger.spend(1);
    assert_eq!(crossed(&mut ledger), []);
    ledger.grant(json!({"kind": "bonus", "credits": 2}));
    let hold = ledger.reserve(3);
    assert_eq!(crossed(&mut ledger), one("low", 17, "held"));
    ledger.release(hold);
    ledger.spend(7);
    assert_eq!(crossed(&mut ledger), one("low", 13, "charged"));
}

#[test]
fn one_entry_may_cross_several_alerts() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW, ("half", "available_below", 50), DEAR]);
    ledger.spend(95);
    let ids: Vec<String> = crossed(&mut ledger).into_iter().map(|row| row.0).collect();
    assert_eq!(ids, ["low", "half", "dear"]);
}

#[test]
fn what_is_spent_in_a_day_is_told_once_a_day() {
    let mut ledger = Ledger::open("free");
    ledger.pack(1_000);
    ledger.watch(&[DEAR]);
    ledger.spend(50);
    assert_eq!(crossed(&mut ledger), []);
    let charge = ledger.spend(1);
    assert_eq!(crossed(&mut ledger), one("dear", 51, "charged"));
    ledger.refund(charge.id, None);
    ledger.spend(100);
    assert_eq!(crossed(&mut ledger), []);
    ledger.at("2026-03-02T00:00:00Z").spend(49);
    ledger.spend(2);
    assert_eq!(crossed(&mut ledger), one("dear", 51, "charged"));
    // One charge may be above it by itself, day after day.
    for day in 3..6 {
        ledger.at(&format!("2026-03-0{day}T08:00:00Z")).spend(60);
        assert_eq!(crossed(&mut ledger), one("dear", 60, "charged"));
    }
}

#[test]
fn a_capture_crosses_alerts_as_a_charge_does() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW, DEAR]);
    let hold = ledger.reserve(70);
    ledger.capture(hold, with(call("flux-schnell", 150), "on_excess", "owe"));
    let expected = [
        ("low".to_owned(), 0, "captured"),
        ("dear".to_owned(), 150, "captured"),
    ];
    assert_eq!(crossed(&mut ledger), expected);
}

/// Daily credits expire at midnight and come again in the same moment.
#[test]
fn a_midnight_that_refreshes_the_day_s_credits_crosses_nothing() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW]);
    ledger.spend(10);
    ledger.at("2026-03-04T09:00:00Z").spend(10);
    assert_eq!(crossed(&mut ledger), []);
    // But a refresh brings it back, so that each day that is used up is told.
    for day in 5..8 {
        ledger.at(&format!("2026-03-0{day}T08:00:00Z")).spend(90);
        assert_eq!(crossed(&mut ledger), one("low", 10, "charged"));
    }
}

#[test]
fn a_plan_that_begins_with_a_period_crosses_nothing_before_its_credits_come() {
    let mut ledger = Ledger::open("starter");
    ledger.watch(&[("low", "available_below", 400)]);
    ledger.change_plan_at_period_end("maker");
    ledger.at("2026-04-01T12:00:00Z").spend(1);
    assert_eq!(crossed(&mut ledger), []);
    ledger.change_plan("free");
    assert_eq!(crossed(&mut ledger), []);
}

#[test]
fn what_expires_is_told_with_the_next_entry_that_somebody_makes() {
    let (mut ledger, _) = Ledger::with_grants(&[
        json!({"kind": "bonus", "credits": 30, "expires_at": "2026-03-05T00:00:00Z"}),
        json!({"kind": "pack", "credits": 10}),
    ]);
    ledger.watch(&[LOW]);
    ledger.at("2026-03-09T09:00:00Z");
    // A read writes nothing, and tells nothing.
    assert_eq!(ledger.available(), 10);
    assert_eq!(crossed(&mut ledger), []);
    ledger.spend(1);
    assert_eq!(crossed(&mut ledger), one("low", 9, "charged"));
}

#[test]
fn a_grant_that_is_voided_crosses_too() {
    let mut ledger = Ledger::open("free");
    ledger.spend(90);
    let pack = ledger.pack(500);
    ledger.watch(&[LOW]);
    ledger.void(&pack);
    assert_eq!(crossed(&mut ledger), one("low", 10, "voided"));
}

#[test]
fn an_alert_that_is_set_beyond_its_threshold_has_not_been_crossed() {
    let mut ledger = Ledger::open("free");
    ledger.spend(90);
    ledger.watch(&[LOW, DEAR]);
    ledger.spend(1);
    assert_eq!(crossed(&mut ledger), []);
    ledger.at("2026-03-02T08:00:00Z").spend(85);
    assert_eq!(crossed(&mut ledger).len(), 2);
}

#[test]
fn new_alerts_take_the_place_of_the_old_and_those_that_stay_stand_as_they_did() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW, DEAR]);
    let charge = ledger.spend(90);
    crossed(&mut ledger);
    assert_eq!(ledger.watch(&[LOW, DEAR]), Vec::new());
    ledger.refund(charge.id, Some(60));
    ledger.watch(&[DEAR, ("low", "available_below", 5)]);
    // Today it was told already.
    ledger.spend(60);
    assert_eq!(crossed(&mut ledger), []);
    ledger.spend(6);
    assert_eq!(crossed(&mut ledger), one("low", 4, "charged"));
    let entry = ledger.entries.last().unwrap().id;
    let view = serde_json::to_value(ledger.account().alerts_view()).unwrap();
    let low = json!({"id": "low", "type": "available_below", "credits": 5, "crossed_by": entry});
    assert_eq!(view["alerts"][1], low);
    ledger.watch(&[]);
    ledger.at("2026-03-02T08:00:00Z").spend(100);
    assert_eq!(crossed(&mut ledger), []);
}

#[test]
fn a_replay_finds_the_same_crossings() {
    let mut ledger = Ledger::open("free");
    ledger.watch(&[LOW, DEAR]);
    for day in 2..9 {
        ledger.at(&format!("2026-03-0{day}T08:00:00Z"));
        ledger.spend(30 + day * 8);
    }
    let mut state: Option<Account> = None;
    let mut found = Vec::new();
    for entry in &ledger.entries {
        Account::apply(&mut state, entry);
        let crossings = state.as_ref().unwrap().crossings(entry);
        found.extend(crossings.map(|(alert, _)| (alert.id.clone(), entry.event.kind())));
    }
    let told = crossed(&mut ledger).into_iter();
    let told: Vec<_> = told.map(|(id, _, kind)| (id, kind)).collect();
    assert!(told.len() > 5, "{told:?}");
    assert_eq!(found, told);
}

#[test]
fn alerts_that_are_none_are_refused() {
    let alert = |field: &str, value: Json| {
        let alert = json!({"id": "a", "type": "available_below", "credits": 5});
        json!({"alerts": [with(alert, field, value)]})
    };
    let same = json!({"id": "a", "type": "spent_today_above", "credits": 0});
    let rows = [
        (json!({}), Code::InvalidRequest, "alerts"),
        (json!({"alerts": {}}), Code::InvalidRequest, "alerts"),
        (
            json!({"alerts": vec![&same; 11]}),
            Code::InvalidRequest,
            "alerts",
        ),
        (
            json!({"alerts": [same, same]}),
            Code::InvalidRequest,
            "alerts[1].id",
        ),
        (json!({"alerts": [5]}), Code::InvalidRequest, "alerts[0]"),
        (alert("id", json!("")), Code::InvalidRequest, "alerts[0].id"),
        (
            alert("id", json!("a b")),
            Code::InvalidRequest,
            "alerts[0].id",
        ),
        (
            alert("id", json!("x".repeat(65))),
            Code::InvalidRequest,
            "alerts[0].id",
        ),
        (
            alert("type", json!("owed")),
            Code::InvalidRequest,
            "alerts[0].type",
        ),
        (
            alert("credits", json!(0)),
            Code::InvalidCredits,
            "alerts[0].credits",
        ),
        (
            alert("credits", json!("1")),
            Code::InvalidCredits,
            "alerts[0].credits",
        ),
        (
            alert("credits", json!(1e9)),
            Code::AmountTooLarge,
            "alerts[0].credits",
        ),
        (
            alert("url", json!("https://example.com")),
            Code::InvalidRequest,
            "alerts[0].url",
        ),
    ];
    for (body, code, field) in rows {
        let refusal = Command::alerts(&value(body.clone())).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field)),
            "{body}"
        );
    }
}
