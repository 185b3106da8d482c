//! Spend limits: the most that an account may spend in a day or a month.

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
use edge_credits::limit::Window;
use edge_credits::refusal::{Code, Refusal};
use edge_credits::snapshot::Snapshot;
use serde_json::json;
use support::{Json, Ledger, call, value, whole, with};

/// An account with many credits and these limits.
fn limited(limits: Json) -> Ledger {
    let mut ledger = Ledger::open("free");
    ledger.pack(10_000);
    ledger.limit(limits);
    ledger
}

/// So many credits.
fn costing(credits: u64) -> Json {
    call("flux-schnell", credits)
}

/// Asserts that a limit is why, and gives its window and figures: limit, spent, held, required, and when it resets.
#[track_caller]
fn reached(refusal: &Refusal) -> (Window, [i64; 4], String) {
    assert_eq!(refusal.code, Code::SpendLimitReached, "{refusal:?}");
    let reached = refusal.limit.unwrap();
    let standing = reached.standing;
    let figures = [
        standing.limit,
        standing.spent,
        standing.held,
        reached.required,
    ];
    (
        reached.window,
        figures.map(whole),
        standing.resets_at.to_string(),
    )
}

/// How a limit stands: spent, held, and when it resets.
fn standing(ledger: &Ledger, window: &str) -> (i64, i64, String) {
    let standing = &ledger.account_json()["spend_limits"][window];
    let figure = |name: &str| standing[name].as_i64().unwrap();
    let resets_at = standing["resets_at"].as_str().unwrap().to_owned();
    (figure("spent"), figure("held"), resets_at)
}

const MIDNIGHT: &str = "2026-03-02T00:00:00Z";
const PERIOD_END: &str = "2026-04-01T12:00:00Z";

#[test]
fn a_charge_beyond_the_day_s_limit_is_refused_and_one_up_to_it_is_not() {
    let mut ledger = limited(json!({"day": 100}));
    ledger.spend(60);
    let refusal = ledger.refuse_charge(costing(41));
    let expected = (Window::Day, [100, 60, 0, 41], MIDNIGHT.to_owned());
    assert_eq!(reached(&refusal), expected);
    ledger.spend(40);
    ledger.refuse_charge(costing(1));
    ledger.at(MIDNIGHT).spend(100);
}

#[test]
fn a_month_s_limit_lasts_until_the_period_ends() {
    let mut ledger = limited(json!({"month": 100}));
    ledger.spend(70);
    ledger.at("2026-03-31T23:00:00Z");
    let refusal = ledger.refuse_charge(costing(31));
    let expected = (Window::Month, [100, 70, 0, 31], PERIOD_END.to_owned());
    assert_eq!(reached(&refusal), expected);
    ledger.at(PERIOD_END).spend(100);
    ledger.refuse_charge(costing(1));
}

#[test]
fn of_two_limits_the_one_is_named_that_lasts_longer() {
    let mut ledger = limited(json!({"day": 10, "month": 50}));
    ledger.spend(10);
    assert_eq!(reached(&ledger.refuse_charge(costing(1))).0, Window::Day);
    assert_eq!(reached(&ledger.refuse_charge(costing(41))).0, Window::Month);
    // On the last day the month begins anew before the day does.
    ledger
        .at("2026-04-01T10:00:00Z")
        .limit(json!({"day": 0, "month": 0}));
    assert_eq!(reached(&ledger.refuse_charge(costing(1))).0, Window::Day);
}

#[test]
fn open_holds_count_so_that_parallel_calls_do_not_pass_a_limit_together() {
    let mut ledger = limited(json!({"day": 100}));
    let first = ledger.reserve(60);
    let refusal = ledger.refuse_hold(costing(41));
    assert_eq!(reached(&refusal).1, [100, 0, 60, 41]);
    ledger.reserve(40);
    ledger.refuse_charge(costing(1));
    ledger.release(first);
    ledger.spend(60);
    assert_eq!(standing(&ledger, "day"), (60, 40, MIDNIGHT.to_owned()));
}

#[test]
fn a_hold_that_lapses_is_no_longer_counted() {
    let mut ledger = limited(json!({"day": 100}));
    ledger.reserve(100);
    ledger.refuse_hold(costing(1));
    ledger.at("2026-03-01T12:15:00Z").reserve(100);
}

#[test]
fn a_hold_counts_in_the_day_in_which_it_is_captured() {
    let mut ledger = limited(json!({"day": 100}));
    ledger.at("2026-03-01T23:55:00Z");
    let hold = ledger.reserve(80);
    ledger.at("2026-03-02T00:05:00Z");
    assert_eq!(
        reached(&ledger.refuse_charge(costing(21))).1,
        [100, 0, 80, 21]
    );
    ledger.capture(hold, costing(50));
    assert_eq!(standing(&ledger, "day").0, 50);
    ledger.spend(50);
}

/// Usage that happened is never lost.
#[test]
fn a_capture_is_never_refused_for_a_limit() {
    for policy in ["owe", "forgive", "reject"] {
        let mut ledger = limited(json!({"day": 100}));
        let hold = ledger.reserve(90);
        let charge = ledger.capture(hold, with(costing(150), "on_excess", policy));
        assert_eq!(whole(charge.credits), 150);
        assert_eq!(standing(&ledger, "day"), (150, 0, MIDNIGHT.to_owned()));
        ledger.refuse_charge(costing(1));
    }
    // One that lapsed is captured as it is elsewhere.
    let mut ledger = limited(json!({"day": 100}));
    let hold = ledger.reserve(90);
    ledger.at("2026-03-01T13:00:00Z").spend(100);
    assert!(ledger.capture(hold, costing(90)).late);
}

#[test]
fn a_charge_that_owes_or_forgives_what_is_missing_records_what_was_used() {
    let mut ledger = limited(json!({"day": 100}));
    ledger.charge_with(with(costing(120), "on_excess", "owe"));
    ledger.charge_with(with(costing(7), "on_excess", "forgive"));
    assert_eq!(standing(&ledger, "day").0, 127);
    ledger.refuse_charge(with(costing(1), "on_excess", "reject"));
}

#[test]
fn what_is_owed_is_spent_when_it_is_charged_and_not_again_when_it_is_paid() {
    let mut ledger = Ledger::open("free");
    ledger.limit(json!({"month": 500}));
    ledger.owe(300);
    assert_eq!(standing(&ledger, "month").0, 300);
    ledger.pack(1_000);
    assert_eq!(standing(&ledger, "month").0, 300);
    ledger.spend(200);
}

#[test]
fn what_is_forgiven_or_waived_is_not_spent() {
    let mut ledger = Ledger::open("free");
    ledger.perk("early_bird", true);
    ledger.limit(json!({"day": 150, "month": 0}));
    ledger.charge("kimi-k2", 100_000);
    ledger.charge_with(with(costing(300), "on_excess", "forgive"));
    assert_eq!(standing(&ledger, "day").0, 100);
}

#[test]
fn what_costs_nothing_passes_every_limit() {
    let mut ledger = limited(json!({"day": 0, "month": 0}));
    ledger.perk("early_bird", true);
    ledger.charge("kimi-k2", 100_000);
    ledger.hold(call("kimi-k2", 100_000));
    ledger.spend(0);
    ledger.refuse_charge(costing(1));
}

/// Whoever buys credits could spend them otherwise.
#[test]
fn a_limit_is_named_before_missing_credits() {
    let mut ledger = Ledger::open("free");
    ledger.limit(json!({"day": 120}));
    assert_eq!(
        ledger.refuse_charge(costing(121)).code,
        Code::SpendLimitReached
    );
    assert_eq!(
        ledger.refuse_charge(costing(101)).code,
        Code::InsufficientCredits
    );
    assert_eq!(
        ledger.refuse_hold(call("flux-schnell", 121)).code,
        Code::SpendLimitReached
    );
    let unknown = json!({"model": "none", "usage": {}});
    assert_eq!(ledger.refuse_hold(unknown).code, Code::UnknownModel);
}

#[test]
fn a_refund_gives_back_to_the_day_and_the_month_of_its_charge() {
    let mut ledger = limited(json!({"day": 100, "month": 1_000}));
    let old = ledger.spend(80);
    let part = ledger.spend(20);
    ledger.refund(part.id, Some(15));
    assert_eq!(standing(&ledger, "day").0, 85);
    ledger.at("2026-03-02T08:00:00Z").spend(30);
    // Yesterday's is given back to the month, and leaves today as it is.
    ledger.refund(old.id, None);
    assert_eq!(standing(&ledger, "day").0, 30);
    assert_eq!(standing(&ledger, "month").0, 35);
    ledger.refuse_charge(costing(71));
    ledger.at("2026-04-02T08:00:00Z").refund(part.id, None);
    assert_eq!(standing(&ledger, "month").0, 0);
}

#[test]
fn a_limit_that_is_set_late_knows_what_was_spent_before() {
    let mut ledger = Ledger::open("free");
    ledger.pack(1_000);
    ledger.spend(60);
    ledger.at("2026-03-02T08:00:00Z").spend(70);
    ledger.limit(json!({"day": 100, "month": 200}));
    assert_eq!(standing(&ledger, "day").0, 70);
    assert_eq!(standing(&ledger, "month").0, 130);
    ledger.limit(json!({"day": 10}));
    assert_eq!(reached(&ledger.refuse_charge(costing(1))).1, [10, 70, 0, 1]);
}

#[test]
fn new_limits_take_the_place_of_the_old_and_no_limit_is_none() {
    let mut ledger = limited(json!({"day": 1, "month": 2}));
    assert_eq!(ledger.limit(json!({"day": 1, "month": 2})), Vec::new());
    let entries = ledger.limit(json!({"day": null, "month": 50.5}));
    let written = serde_json::to_value(&entries[0]).unwrap();
    assert_eq!(written["kind"], "updated");
    assert_eq!(written["spend_limits"], json!({"day": null, "month": 50.5}));
    assert_eq!(ledger.account_json()["spend_limits"]["day"], Json::Null);
    ledger.limit(json!({}));
    ledger.spend(5_000);
}

#[test]
fn limits_that_are_none_are_refused() {
    let rows = [
        (json!({"day": -1}), Code::InvalidCredits, "day"),
        (json!({"month": "5"}), Code::InvalidCredits, "month"),
        (json!({"day": 0.000_000_1}), Code::InvalidCredits, "day"),
        (json!({"month": 1e9}), Code::AmountTooLarge, "month"),
        (json!({"week": 5}), Code::InvalidRequest, "week"),
        (json!([]), Code::InvalidRequest, ""),
    ];
    for (body, code, field) in rows {
        let refusal = Command::spend_limits(&value(body)).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field))
        );
    }
}

#[test]
fn an_estimate_and_a_preview_say_what_a_limit_would_refuse() {
    let mut ledger = limited(json!({"day": 100, "month": 5_000}));
    ledger.spend(60);
    ledger.reserve(10);
    let estimate = ledger.estimate(costing(31));
    assert_eq!(estimate.access.code, Some("spend_limit_reached"));
    assert_eq!(estimate.balance_after, ledger.settled().account.balance());
    assert!(ledger.estimate(costing(30)).access.allowed);
    let affordable = serde_json::to_value(&ledger.estimate(costing(1)).affordable).unwrap();
    assert_eq!(affordable, json!({"images": 30}));

    let snapshot = Snapshot::parse(&value(ledger.account_json())).unwrap();
    assert_eq!(snapshot.wallet().limits, ledger.settled().wallet().limits);
    // A balance alone does not know of limits, nor does an account of an earlier version.
    let snapshot = Snapshot::parse(&value(ledger.balance_json())).unwrap();
    assert_eq!(snapshot.wallet().limits.room(), None);
    let broken = with(
        ledger.account_json(),
        "spend_limits",
        json!({"day": {"limit": 5}}),
    );
    let refusal = Snapshot::parse(&value(broken)).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("spend_limits.day.spent"));
}

#[test]
fn a_limit_s_day_is_the_credit_day_of_the_account_s_zone() {
    let opening = json!({"plan": "free", "time_zone": "America/New_York"});
    let mut ledger = Ledger::open_at("2026-03-08T04:00:00Z", opening);
    ledger.limit(json!({"day": 50}));
    ledger.spend(50);
    ledger.at("2026-03-08T04:59:59Z").refuse_charge(costing(1));
    // A day of 23 hours.
    ledger.at("2026-03-08T05:00:00Z").spend(50);
    assert_eq!(standing(&ledger, "day").2, "2026-03-09T04:00:00Z");
    ledger.at("2026-03-09T04:00:00Z").spend(50);
}

/// D8: a change of zone never yields a second refresh, nor a second day's limit.
#[test]
fn a_change_of_zone_begins_no_new_day_of_a_limit() {
    for plan in ["free", "plus"] {
        let mut ledger = Ledger::open_at("2026-03-01T20:00:00Z", json!({"plan": plan}));
        ledger.limit(json!({"day": 50}));
        ledger.spend(50);
        // There it is tomorrow already.
        ledger.move_to("Pacific/Auckland");
        let refusal = ledger.at("2026-03-01T23:59:59Z").refuse_charge(costing(1));
        assert_eq!(reached(&refusal).2, MIDNIGHT);
        ledger.at(MIDNIGHT).spend(50);
        assert_eq!(standing(&ledger, "day").2, "2026-03-02T11:00:00Z");
        ledger.at("2026-03-02T11:00:00Z").spend(50);
    }
}

#[test]
fn a_limit_resets_when_the_daily_credits_do() {
    let mut ledger = Ledger::open("free");
    ledger.limit(json!({"day": 50}));
    ledger.move_to("Asia/Tokyo");
    let refreshes_at = ledger.balance_json()["daily"]["refreshes_at"].clone();
    assert_eq!(standing(&ledger, "day").2, refreshes_at.as_str().unwrap());
}

/// States that were written before spending was counted.
#[test]
fn a_state_of_an_earlier_version_is_read_and_counts_from_the_entries_after_it() {
    let mut ledger = Ledger::open("free");
    ledger.pack(1_000);
    let written = serde_json::to_value(ledger.account()).unwrap();
    let fresh = ledger.entries.len();
    ledger.spend(60);
    ledger.at("2026-03-02T08:00:00Z").spend(20);

    let Json::Object(mut fields) = written else {
        panic!("a state is an object");
    };
    fields.remove("spending");
    fields.remove("spend_limits");
    let mut state: Option<Account> = serde_json::from_value(Json::Object(fields)).unwrap();
    assert_eq!(state.as_ref().unwrap().spending, None);
    state.as_mut().unwrap().count_spending_from_here();
    for entry in &ledger.entries[fresh..] {
        Account::apply(&mut state, entry);
    }
    assert_eq!(state, ledger.state);
}
