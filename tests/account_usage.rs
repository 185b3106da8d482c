//! Usage: what was spent on what, summed up as the journal grows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::charge::Charge;
use edge_credits::credits::Credits;
use edge_credits::meter::Meter;
use edge_credits::usage::{Totals, Usage, refund_shares, shares};
use edge_credits::view::UsageView;
use serde_json::json;
use support::{Json, Ledger, call, whole, with};

/// Rows of a model and its micro-credits.
type Micros<'a> = &'a [(&'a str, i64)];

/// Shares as such rows.
fn micros(shares: &[edge_credits::usage::Share]) -> Vec<(&str, i64)> {
    shares
        .iter()
        .map(|share| {
            (
                share.model.as_deref().unwrap_or("-"),
                share.credits.micros(),
            )
        })
        .collect()
}

fn sum(shares: &[edge_credits::usage::Share]) -> Credits {
    shares.iter().map(|share| share.credits).sum()
}

fn by_model(usage: &Usage) -> Json {
    let groups = usage
        .models
        .iter()
        .map(|usage| (usage.model.clone(), usage.totals.clone()));
    serde_json::to_value(UsageView::new("model", groups)).unwrap()
}

fn workflow(items: &[Json]) -> Json {
    json!({"items": items})
}

/// D1, D2: a workflow is rounded once, and "a workflow's rounding counts with its last item that is not waived".
#[test]
fn the_shares_of_a_charge_add_up_to_it() {
    let export = || json!({"credits": 0.25, "description": "export"});
    let kimi = || call("kimi-k2", 1);
    let oss = || call("gpt-oss-120b", 1);
    let rows: [(&[Json], bool, Micros<'_>); 4] = [
        (
            &[kimi(), oss()],
            false,
            &[("kimi-k2", 400), ("gpt-oss-120b", 999_600)],
        ),
        (
            &[oss(), kimi()],
            true,
            &[("gpt-oss-120b", 1_000_000), ("kimi-k2", 0)],
        ),
        (
            &[oss(), export()],
            true,
            &[("gpt-oss-120b", 200), ("-", 999_800)],
        ),
        (&[kimi(), kimi()], true, &[("kimi-k2", 0), ("kimi-k2", 0)]),
    ];
    for (items, early_bird, expected) in rows {
        let mut ledger = Ledger::open("free");
        ledger.perk("early_bird", early_bird);
        let charge = ledger.charge_with(workflow(items));
        assert_eq!(micros(&shares(&charge)), expected);
        assert_eq!(sum(&shares(&charge)), charge.credits);
    }
}

#[test]
fn what_was_forgiven_is_nobody_s_share() {
    let (mut ledger, _) = Ledger::with_grants(&[json!({"kind": "pack", "credits": 12})]);
    let items = workflow(&[call("flux-schnell", 10), call("bark", 1)]);
    let charge = ledger.charge_with(with(items, "on_excess", "forgive"));
    let expected = [("flux-schnell", 10_000_000), ("bark", 2_000_000)];
    assert_eq!(micros(&shares(&charge)), expected);
}

#[test]
fn refunds_take_from_the_last_items_first_and_never_twice() {
    let mut ledger = Ledger::open("free");
    let charge: Charge = ledger.charge_with(workflow(&[call("flux-schnell", 10), call("bark", 1)]));
    let rows: [(i64, i64, Micros<'_>); 3] = [
        (0, 4, &[("bark", 4_000_000)]),
        (4, 8, &[("bark", 6_000_000), ("flux-schnell", 2_000_000)]),
        (12, 8, &[("flux-schnell", 8_000_000)]),
    ];
    for (refunded, credits, expected) in rows {
        let shares = refund_shares(&charge, Credits::whole(refunded), Credits::whole(credits));
        assert_eq!(micros(&shares), expected);
        ledger.refund(charge.id, Some(credits));
    }
    let view = by_model(&ledger.account().usage);
    assert_eq!(view["total"]["credits"], 0);
    assert_eq!(view["total"]["calls"], 2, "the calls were made");
    assert!(
        view["groups"]
            .as_array()
            .unwrap()
            .iter()
            .all(|group| group["credits"] == 0)
    );
}

#[test]
fn usage_counts_credits_calls_and_quantities_by_model() {
    let mut ledger = Ledger::open("maker");
    ledger.charge("kimi-k2", 2_500);
    ledger.charge("wan-2.2-fast", 2);
    let hold = ledger.hold(call("kimi-k2", 10_000)).id;
    let usage = json!({"input_tokens": 2_000, "output_tokens": 3_000});
    ledger.capture(hold, json!({"model": "kimi-k2", "usage": usage}));
    let released = ledger.reserve(5);
    ledger.release(released);
    let export = json!({"credits": 3, "description": "export"});
    ledger.charge_with(workflow(&[export, call("kimi-k2", 2_500)]));
    let view = by_model(&ledger.account().usage);
    let kimi = json!({
        "key": "kimi-k2", "credits": 4, "list_credits": 4, "calls": 3,
        "quantities": {"input_tokens": 7_000, "output_tokens": 3_000},
    });
    let wan = json!({
        "key": "wan-2.2-fast", "credits": 14, "list_credits": 14, "calls": 1,
        "quantities": {"seconds": 2},
    });
    let flat = json!({"key": null, "credits": 3, "list_credits": 3, "calls": 1, "quantities": {}});
    assert_eq!(view["groups"], json!([flat, kimi, wan]));
    assert_eq!(view["total"]["credits"], 21);
    assert_eq!(view["total"]["calls"], 5);
}

/// D3: a waived call counts with what it would have cost.
#[test]
fn a_waived_call_counts_at_list_price() {
    let mut ledger = Ledger::open("free");
    ledger.perk("early_bird", true);
    ledger.charge("grok-4", 5_000);
    let total = &ledger.account().usage.total;
    assert_eq!((whole(total.credits), whole(total.list_credits)), (0, 10));
    assert_eq!(total.calls, 1);
    assert_eq!(
        total.quantities.get(Meter::InputTokens).thousandths(),
        5_000_000
    );
}

/// "Days of the account's zone"; "refunds count when made".
#[test]
fn a_day_of_usage_is_one_of_the_account_s_zone() {
    let body = json!({"plan": "free", "time_zone": "America/New_York"});
    let mut ledger = Ledger::open_at("2026-03-01T12:00:00Z", body);
    let charge = ledger.at("2026-03-02T04:59:59.999Z").spend(10).id;
    ledger.at("2026-03-02T05:00:00Z").spend(7);
    ledger.at("2026-03-05T12:00:00Z").refund(charge, Some(4));
    ledger.at("2026-03-09T12:00:00Z").spend(1);
    let rows: Vec<(&str, i64, u64)> = ledger
        .shelf
        .days
        .iter()
        .map(|day| {
            let used: Totals = day.after.since(&day.before);
            (day.date.as_str(), whole(used.credits), used.calls)
        })
        .collect();
    let expected = [
        ("2026-03-01", 10, 1),
        ("2026-03-02", 7, 1),
        ("2026-03-05", -4, 0),
    ];
    assert_eq!(rows, expected);
    let today = ledger.account().usage.day.as_ref().unwrap();
    assert_eq!(today.date, "2026-03-09");
    assert_eq!(whole(today.after.since(&today.before).credits), 1);
}

#[test]
fn the_usage_of_a_span_is_the_difference_of_two_states() {
    let mut ledger = Ledger::open("maker");
    ledger.charge("kimi-k2", 2_500);
    ledger.charge("bark", 1);
    let earlier = ledger.account().usage.clone();
    ledger.charge("kimi-k2", 5_000);
    ledger.charge("flux-schnell", 3);
    let rows: Vec<_> = ledger
        .account()
        .usage
        .models_since(&earlier)
        .iter()
        .map(|usage| (usage.model.clone().unwrap(), whole(usage.totals.credits)))
        .collect();
    let expected = [("flux-schnell".to_owned(), 3), ("kimi-k2".to_owned(), 2)];
    assert_eq!(rows, expected);
}

/// Groups of one key become one.
#[test]
fn usage_of_one_key_is_one_group() {
    let used = |credits| Totals {
        credits: Credits::whole(credits),
        calls: 1,
        ..Totals::default()
    };
    let groups = [
        (Some("2026-03-02".to_owned()), used(5)),
        (Some("2026-03-01".to_owned()), used(1)),
        (Some("2026-03-02".to_owned()), used(-2)),
    ];
    let view = serde_json::to_value(UsageView::new("day", groups)).unwrap();
    let rows: Vec<_> = view["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["key"].as_str().unwrap(), &group["credits"]))
        .collect();
    let expected = [("2026-03-01", &json!(1)), ("2026-03-02", &json!(3))];
    assert_eq!(rows, expected);
    assert_eq!(view["total"]["calls"], 3);
}
