//! Time: credit days, periods, zones, and that looking never changes anything.

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
use edge_credits::due::Settled;
use edge_credits::time::Instant;
use serde_json::json;
use support::{Ledger, call, differences, published, time, value, with};

/// D5: "A credit day ends at midnight in the account's time zone, daylight saving included".
#[test]
fn a_credit_day_ends_at_midnight_in_the_account_s_zone() {
    // A zone, and a day of it from its start to its end.
    let rows = [
        ("UTC", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        // 23 hours, then 25.
        (
            "America/New_York",
            "2026-03-08T05:00:00Z",
            "2026-03-09T04:00:00Z",
        ),
        (
            "America/New_York",
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
        ),
        (
            "Asia/Kolkata",
            "2026-02-28T18:30:00Z",
            "2026-03-01T18:30:00Z",
        ),
        // Three quarters of an hour beside the hour, on the day that goes back.
        (
            "Pacific/Chatham",
            "2026-04-04T10:15:00Z",
            "2026-04-05T11:15:00Z",
        ),
        // The day's own midnight is skipped.
        (
            "America/Havana",
            "2026-03-08T05:00:00Z",
            "2026-03-09T04:00:00Z",
        ),
        // The midnight that ends it comes twice.
        (
            "America/Havana",
            "2026-10-31T04:00:00Z",
            "2026-11-01T04:00:00Z",
        ),
    ];
    for (zone, start, end) in rows {
        let (start, end) = (time(start), time(end));
        let opened = start.after_millis(1).to_string();
        let mut ledger = Ledger::open_at(&opened, json!({"plan": "free", "time_zone": zone}));
        ledger.spend(30);
        assert_eq!(
            ledger.balance_json()["daily"]["refreshes_at"],
            end.to_string()
        );
        ledger.now = end.after_millis(-1);
        assert_eq!(ledger.available(), 70, "{zone} before {end}");
        ledger.now = end;
        assert_eq!(ledger.available(), 100, "{zone} at {end}");

        let opened = start.after_millis(-1).to_string();
        let mut ledger = Ledger::open_at(&opened, json!({"plan": "free", "time_zone": zone}));
        ledger.spend(30);
        ledger.now = start;
        assert_eq!(ledger.available(), 100, "{zone} at {start}");
    }
}

/// D6: "a period that began on the 31st is renewed on the 30th or 28th and then on the 31st again".
#[test]
fn a_month_is_counted_from_since_and_never_moves() {
    let rows: [(&str, &str, &[&str]); 3] = [
        (
            "2026-01-31T10:00:00Z",
            "UTC",
            &[
                "2026-02-28T10:00:00Z",
                "2026-03-31T10:00:00Z",
                "2026-04-30T10:00:00Z",
                "2026-05-31T10:00:00Z",
            ],
        ),
        (
            "2024-02-29T00:00:00Z",
            "UTC",
            &[
                "2024-03-29T00:00:00Z",
                "2025-02-28T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ],
        ),
        // Noon in New York, whatever the season.
        (
            "2026-01-15T17:00:00Z",
            "America/New_York",
            &[
                "2026-02-15T17:00:00Z",
                "2026-03-15T16:00:00Z",
                "2026-11-15T17:00:00Z",
            ],
        ),
    ];
    for (since, zone, renewals) in rows {
        let body = json!({"plan": "plus", "time_zone": zone});
        let mut ledger = Ledger::open_at(since, body);
        for renewal in renewals {
            ledger.now = time(renewal).after_millis(-1);
            ledger.spend(1);
            assert_eq!(ledger.available(), 699, "before {renewal} since {since}");
            assert_eq!(ledger.account_json()["period"]["end"], *renewal);
            ledger.now = time(renewal);
            assert_eq!(ledger.available(), 700, "at {renewal} since {since}");
            assert_eq!(ledger.account_json()["period"]["start"], *renewal);
        }
    }
}

/// "A month keeps the time zone in which `since` was read."
#[test]
fn a_month_keeps_its_zone() {
    let body = json!({"plan": "plus", "time_zone": "America/New_York"});
    let mut ledger = Ledger::open_at("2026-01-15T17:00:00Z", body);
    ledger.move_to("Asia/Tokyo");
    ledger.at("2026-02-15T17:00:00Z");
    assert_eq!(
        ledger.account_json()["period"]["end"],
        "2026-03-15T16:00:00Z"
    );
}

/// D8: "takes effect at the next refresh, so that it never yields a second refresh".
#[test]
fn a_change_of_zone_never_yields_a_second_refresh() {
    let mut ledger = Ledger::open("free");
    ledger.spend(60);
    ledger.move_to("Asia/Tokyo");
    assert_eq!(ledger.account_json()["time_zone"], "Asia/Tokyo");
    let rows = [
        // Midnight in Tokyo, then the old zone's, then Tokyo's.
        ("2026-03-01T15:00:00Z", 40),
        ("2026-03-01T23:59:59.999Z", 40),
        ("2026-03-02T00:00:00Z", 100),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
    }
    ledger.spend(60);
    assert_eq!(ledger.available_at("2026-03-02T14:59:59.999Z"), 40);
    assert_eq!(ledger.available_at("2026-03-02T15:00:00Z"), 100);
    assert_eq!(
        ledger.balance_json()["daily"]["refreshes_at"],
        "2026-03-03T15:00:00Z"
    );
}

/// D8, to and fro within a day.
#[test]
fn a_journey_round_the_world_yields_no_refresh() {
    let mut ledger = Ledger::open("free");
    ledger.spend(100);
    for hour in 13..24 {
        ledger.at(&format!("2026-03-01T{hour}:30:00Z"));
        let zone = ["Asia/Tokyo", "Asia/Kolkata", "Europe/Berlin", "UTC"][hour % 4];
        ledger.move_to(zone);
        assert_eq!(ledger.available(), 0, "at {hour}:30 in {zone}");
    }
    assert_eq!(ledger.available_at("2026-03-02T00:00:00Z"), 100);
}

#[test]
fn naming_the_present_settings_changes_nothing() {
    let mut ledger = Ledger::open("free");
    assert_eq!(ledger.move_to("UTC"), []);
    let named = Command::update(&value(json!({"display_name": "Ada"}))).unwrap();
    assert_eq!(ledger.attempt(&named).unwrap().len(), 1);
    assert_eq!(ledger.attempt(&named), Ok(Vec::new()));
    let unnamed = Command::update(&value(json!({"display_name": null}))).unwrap();
    assert_eq!(ledger.attempt(&unnamed).unwrap().len(), 1);
    assert_eq!(ledger.account_json()["display_name"], json!(null));
}

/// "The account's clock never runs backwards."
#[test]
fn an_account_s_clock_never_runs_backwards() {
    let mut ledger = Ledger::open("free");
    ledger.at("2026-03-02T08:00:00Z").spend(10);
    ledger.at("2026-03-01T12:00:00Z").spend(10);
    let last = ledger.entries.last().unwrap();
    assert_eq!(last.at, time("2026-03-02T08:00:00Z"));
    assert_eq!(ledger.available(), 80);
    assert_eq!(ledger.balance_json()["as_of"], "2026-03-02T08:00:00Z");
}

/// An account that has something of everything under way.
fn busy(plan: &str, pending: &str, debt: u64) -> Ledger {
    let body = json!({"plan": plan, "time_zone": "America/New_York"});
    let mut ledger = Ledger::open_at("2026-03-01T12:00:00Z", body);
    ledger.grant(json!({"kind": "pack", "credits": 50, "expires_at": "2026-03-05T12:00:00Z"}));
    ledger.grant(json!({
        "kind": "promotion", "credits": 70,
        "effective_at": "2026-03-06T01:00:00Z", "expires_at": "2026-03-30T01:00:00Z",
    }));
    ledger.grant(json!({
        "kind": "bonus", "credits": 5, "scope": ["video"], "effective_at": "2026-03-04T05:00:00Z",
    }));
    ledger.hold(with(call("flux-schnell", 20), "ttl_seconds", 86_400));
    ledger.hold(with(call("flux-schnell", 30), "ttl_seconds", 60));
    ledger.owe(debt);
    ledger.move_to("Pacific/Chatham");
    ledger.change_plan_at_period_end(pending);
    ledger
}

fn by_way_of(account: &Account, stops: &[Instant], end: Instant) -> Settled {
    let mut state = Some(account.clone());
    for stop in stops {
        let due = state.as_ref().unwrap().settled(*stop, published()).due;
        for entry in due {
            Account::apply(&mut state, &entry);
        }
    }
    state.unwrap().settled(end, published())
}

/// D5: "so that looking more often never changes an answer".
#[test]
fn looking_more_often_never_changes_an_answer() {
    let accounts = [
        busy("free", "maker", 0),
        busy("maker", "free", 0),
        busy("maker", "free", 9_000),
        busy("plus", "starter", 0),
        busy("max", "free", 2_900),
    ];
    let opened = accounts[0].now;
    // Every thirteen and a half hours for six weeks, and the boundaries themselves.
    let boundaries = [
        "2026-03-02T05:00:00Z",
        "2026-04-01T11:00:00Z",
        "2026-04-01T12:00:00Z",
    ];
    let mut moments: Vec<Instant> = (0..75)
        .map(|step| opened.after_millis(step * 48_600_000))
        .chain(boundaries.map(time))
        .collect();
    moments.sort();
    for ledger in &accounts {
        let account = ledger.account();
        for (place, end) in moments.iter().enumerate() {
            let straight = account.settled(*end, published());
            let stops = &moments[..place];
            let every = by_way_of(account, stops, *end);
            assert_eq!(differences(&straight, &every), [""; 0], "at {end}");
            for stop in stops.iter().step_by(5) {
                let once = by_way_of(account, &[*stop], *end);
                assert_eq!(differences(&straight, &once), [""; 0], "{stop}, {end}");
            }
        }
    }
}

/// D7 meets D5: a silent day on which the plan changes began on the plan that was left.
#[test]
fn a_silent_day_begins_on_the_plan_that_is_left() {
    for (plan, pending, available) in [("maker", "free", 300), ("free", "maker", 4_300)] {
        let mut ledger = Ledger::open(plan);
        ledger.change_plan_at_period_end(pending);
        assert_eq!(ledger.available_at("2026-04-01T18:00:00Z"), available);
        assert_eq!(ledger.balance_json()["daily"]["credits"], 300);
    }
}

/// "Reads never write."
#[test]
fn a_read_leaves_the_account_as_it_is() {
    let mut ledger = busy("free", "maker", 10);
    let before = ledger.account().clone();
    let dues = ["2026-03-05T12:00:00Z", "2026-09-01T00:00:00Z"].map(|at| {
        let due = ledger.at(at).settled().due;
        assert_eq!(ledger.settled().due, due, "the same again");
        due.len()
    });
    assert!(dues[0] > 0 && dues[1] > dues[0]);
    assert_eq!(*ledger.account(), before);
}

/// "`?at=` on a day without entries gives what would have been answered then (100, not 0)."
#[test]
fn the_past_is_answered_as_it_was() {
    let mut ledger = Ledger::open("free");
    ledger.spend(30);
    ledger.at("2026-03-09T08:00:00Z").spend(10);
    let rows = [
        ("2026-03-01T12:00:00Z", 70),
        ("2026-03-01T23:59:59.999Z", 70),
        ("2026-03-02T00:00:00Z", 100),
        ("2026-03-05T17:00:00Z", 100),
        ("2026-03-09T07:59:59.999Z", 100),
        ("2026-03-09T08:00:00Z", 90),
    ];
    for (at, available) in rows {
        let mut state = None;
        for entry in ledger.entries.iter().filter(|entry| entry.at <= time(at)) {
            Account::apply(&mut state, entry);
        }
        let then = state.unwrap().settled(time(at), published());
        assert_eq!(
            support::whole(then.account.balance().available),
            available,
            "{at}"
        );
    }
}

/// A grant that was used up is gone from the balance once its time is over, though no entry says so.
#[test]
fn a_balance_lists_no_grant_whose_time_is_over() {
    let pack = json!({"kind": "pack", "credits": 5, "expires_at": "2026-03-02T00:00:00Z"});
    let (mut ledger, _) = Ledger::with_grants(&[pack]);
    ledger.spend(5);
    assert_eq!(ledger.balance_json()["grants"].as_array().unwrap().len(), 1);
    ledger.at("2026-03-02T00:00:00Z");
    assert_eq!(ledger.balance_json()["grants"], json!([]));
}

/// The calendar ends with the year 9998, and so does what is due.
#[test]
fn time_has_an_end() {
    for plan in ["free", "starter", "plus"] {
        let mut ledger = Ledger::open(plan);
        ledger.at("9998-12-31T23:59:59.999Z").spend(1);
        ledger.spend(1);
        let body = json!({"plan": plan});
        Ledger::open_at("9998-12-31T23:59:59.999Z", body).spend(1);
    }
}
