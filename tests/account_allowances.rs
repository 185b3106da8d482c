//! Allowances: what a plan gives by the day and by the period (guide, *Package Credit Rules*).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use serde_json::json;
use support::{Ledger, catalog_with};

/// D5, guide: "Daily credits automatically refresh and do not accumulate to the next day".
#[test]
fn daily_credits_do_not_accumulate() {
    let mut ledger = Ledger::open("free");
    ledger.spend(30);
    let rows = [
        ("2026-03-01T12:00:00Z", 70),
        ("2026-03-01T23:59:59.999Z", 70),
        ("2026-03-02T00:00:00Z", 100),
        ("2026-03-03T00:00:00Z", 100),
        ("2026-06-17T08:00:00Z", 100),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
    }
}

#[test]
fn what_is_left_of_a_day_expires_in_the_journal() {
    let mut ledger = Ledger::open("free");
    ledger.spend(30);
    let written = ledger.entries.len();
    ledger.at("2026-03-02T09:00:00Z").spend(1);
    let rows: Vec<_> = ledger.entries[written..]
        .iter()
        .map(|entry| {
            let credits = support::whole(entry.credits);
            (entry.event.kind(), entry.at.to_string(), credits)
        })
        .collect();
    let midnight = || "2026-03-02T00:00:00Z".to_owned();
    let expected = [
        ("expired", midnight(), -70),
        ("granted", midnight(), 100),
        ("charged", "2026-03-02T09:00:00Z".to_owned(), -1),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_day_burned_to_the_last_has_nothing_to_expire() {
    let mut ledger = Ledger::open("free");
    ledger.spend(100);
    let written = ledger.entries.len();
    ledger.at("2026-03-02T09:00:00Z").spend(1);
    assert_eq!(ledger.kinds_after(written), ["granted", "charged"]);
}

/// Guide, *Free Trial Package* and *Legacy Members*; the plans of the contract.
#[test]
fn each_of_the_six_plans_gives_what_it_promises() {
    let rows: [(&str, &[(&str, i64)]); 6] = [
        ("free", &[("daily", 100)]),
        ("starter", &[("daily", 300), ("monthly", 2_000)]),
        ("maker", &[("daily", 300), ("monthly", 4_000)]),
        ("plus", &[("monthly", 700)]),
        ("pro", &[("monthly", 1_300)]),
        ("max", &[("monthly", 2_000)]),
    ];
    for (plan, grants) in rows {
        let ledger = Ledger::open(plan);
        assert_eq!(ledger.living(), grants, "{plan}");
    }
}

/// D6.
#[test]
fn monthly_credits_expire_with_their_period() {
    let mut ledger = Ledger::open("plus");
    ledger.spend(200);
    let rows = [
        ("2026-04-01T11:59:59.999Z", 500),
        ("2026-04-01T12:00:00Z", 700),
        ("2026-05-01T12:00:00Z", 700),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
    }
}

/// Guide: "System will distribute equivalent credits monthly for normal usage, no additional action needed".
#[test]
fn legacy_members_get_their_credits_every_month() {
    for (plan, credits) in [("plus", 700), ("pro", 1_300), ("max", 2_000)] {
        let mut ledger = Ledger::open(plan);
        for month in ["2026-04", "2026-05", "2026-12"] {
            ledger.at(&format!("{month}-01T12:00:00Z"));
            assert_eq!(ledger.available(), credits, "{plan} in {month}");
            ledger.spend(1);
        }
    }
}

/// D6: an account brought in during a period has that period's credits whole, until it ends.
#[test]
fn a_period_that_began_before_the_opening_is_granted_whole() {
    let body = json!({"plan": "pro", "since": "2026-01-31T10:00:00Z"});
    let mut ledger = Ledger::open_at("2026-03-15T12:00:00Z", body);
    let account = ledger.account_json();
    assert_eq!(account["period"]["start"], "2026-02-28T10:00:00Z");
    assert_eq!(account["period"]["end"], "2026-03-31T10:00:00Z");
    ledger.spend(1_300);
    assert_eq!(ledger.available_at("2026-03-31T09:59:59.999Z"), 0);
    assert_eq!(ledger.available_at("2026-03-31T10:00:00Z"), 1_300);
}

/// D5: "Days on which nothing happened leave no entries".
#[test]
fn a_long_silence_leaves_no_entries() {
    let rows: [(&str, &[&str]); 3] = [
        ("free", &["expired", "granted", "charged"]),
        ("plus", &["expired", "granted", "charged"]),
        (
            "starter",
            &["expired", "expired", "granted", "granted", "charged"],
        ),
    ];
    for (plan, kinds) in rows {
        let mut ledger = Ledger::open(plan);
        let written = ledger.entries.len();
        ledger.at("2028-02-17T08:00:00Z").spend(1);
        assert_eq!(ledger.kinds_after(written), kinds, "{plan}");
    }
}

/// D5: "while anything is owed every day's refresh counts".
#[test]
fn every_day_counts_while_something_is_owed() {
    let mut ledger = Ledger::open("free");
    ledger.owe(350);
    let rows = [
        ("2026-03-01T12:00:00Z", (0, 0, 250)),
        ("2026-03-02T12:00:00Z", (0, 0, 150)),
        ("2026-03-03T12:00:00Z", (0, 0, 50)),
        ("2026-03-04T12:00:00Z", (50, 0, 0)),
        ("2026-03-05T12:00:00Z", (100, 0, 0)),
        ("2026-04-05T12:00:00Z", (100, 0, 0)),
    ];
    for (at, balance) in rows {
        assert_eq!(ledger.at(at).balance(), balance, "at {at}");
    }
    let written = ledger.entries.len();
    ledger.spend(1);
    let kinds = [
        "granted", "granted", "granted", "expired", "granted", "charged",
    ];
    assert_eq!(ledger.kinds_after(written), kinds, "then days pass again");
}

#[test]
fn every_period_counts_while_something_is_owed() {
    let mut ledger = Ledger::open("plus");
    ledger.owe(1_700);
    let rows = [
        ("2026-04-01T12:00:00Z", (0, 0, 300)),
        ("2026-05-01T12:00:00Z", (400, 0, 0)),
        ("2026-07-02T12:00:00Z", (700, 0, 0)),
    ];
    for (at, balance) in rows {
        assert_eq!(ledger.at(at).balance(), balance, "at {at}");
    }
}

#[test]
fn a_read_names_a_grant_before_it_is_written() {
    let mut ledger = Ledger::open("starter");
    let read = ledger.at("2026-04-07T12:00:00Z").balance_json();
    ledger.reserve(1);
    let written = ledger.balance_json();
    for place in 0..2 {
        assert_eq!(read["grants"][place]["id"], written["grants"][place]["id"]);
    }
}

#[test]
fn a_balance_tells_the_day_s_credits() {
    let mut ledger = Ledger::open("free");
    ledger.spend(30);
    let daily = json!({"credits": 100, "remaining": 70, "refreshes_at": "2026-03-02T00:00:00Z"});
    assert_eq!(ledger.balance_json()["daily"], daily);
    let daily = json!({"credits": 100, "remaining": 100, "refreshes_at": "2026-03-03T00:00:00Z"});
    ledger.at("2026-03-02T00:00:00Z");
    assert_eq!(ledger.balance_json()["daily"], daily);
    assert_eq!(Ledger::open("max").balance_json()["daily"], json!(null));
}

/// "Adding a model or a plan touches no code": the next refresh gives what is published then.
#[test]
fn a_published_allowance_comes_with_the_next_refresh() {
    let mut ledger = Ledger::open("free");
    let generous = catalog_with(|catalog| catalog["plans"][0]["daily"] = json!(150));
    ledger.publish(generous);
    assert_eq!(ledger.available_at("2026-03-01T23:59:59.999Z"), 100);
    assert_eq!(ledger.available_at("2026-03-02T00:00:00Z"), 150);
}
