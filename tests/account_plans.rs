//! Plans and perks: what changes with them, and what does not (guide, *Legacy User Benefits*).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::command::Command;
use edge_credits::refusal::Code;
use serde_json::json;
use support::{Ledger, call, plan_change, published, value, whole};

const CURRENT: [&str; 3] = ["free", "starter", "maker"];
const LEGACY: [&str; 3] = ["plus", "pro", "max"];

/// D7, guide: "Once switched to new packages, you cannot switch back to old packages".
#[test]
fn a_legacy_plan_is_never_entered_again() {
    for legacy in LEGACY {
        for present in CURRENT.into_iter().chain(LEGACY) {
            let mut ledger = Ledger::open(present);
            for at_period_end in [false, true] {
                let change = plan_change(legacy, at_period_end);
                if present == legacy {
                    assert_eq!(ledger.attempt(&change), Ok(Vec::new()), "it is kept");
                } else {
                    let code = ledger.refuse(&change).code;
                    assert_eq!(code, Code::PlanTransitionForbidden, "{present} {legacy}");
                }
            }
        }
    }
}

/// D7, guide: "can switch to new packages anytime".
#[test]
fn a_legacy_plan_is_left_at_any_time() {
    for (plan, monthly) in [("free", 0), ("starter", 2_000), ("maker", 4_000)] {
        let mut ledger = Ledger::open("plus");
        ledger.change_plan(plan);
        let daily = if plan == "free" { 100 } else { 300 };
        assert_eq!(ledger.available(), daily + 700 + monthly, "{plan}");
        let code = ledger.refuse(&plan_change("plus", false)).code;
        assert_eq!(code, Code::PlanTransitionForbidden);
    }
}

#[test]
fn a_plan_that_nobody_published_is_unknown() {
    let body = value(json!({"plan": "platinum"}));
    let refusal = Command::change_plan(&body, published()).unwrap_err();
    assert_eq!(refusal.code, Code::UnknownPlan);
    assert_eq!(refusal.field.as_deref(), Some("plan"));
}

/// D7: "On an upgrade during the day the daily grant is topped up by the difference".
#[test]
fn an_upgrade_tops_the_day_up_by_the_difference() {
    let mut ledger = Ledger::open("free");
    ledger.spend(40);
    let entries = ledger.change_plan("starter");
    let kinds: Vec<_> = entries.iter().map(|entry| entry.event.kind()).collect();
    assert_eq!(kinds, ["plan_changed", "granted", "granted"]);
    assert_eq!(ledger.available(), 60 + 200 + 2_000);
    let daily = ledger.balance_json()["daily"].clone();
    assert_eq!(
        (&daily["credits"], &daily["remaining"]),
        (&json!(300), &json!(260))
    );
    assert_eq!(ledger.available_at("2026-03-02T00:00:00Z"), 300 + 2_000);
}

/// D7: "never above the plan's in one day".
#[test]
fn a_day_never_gives_more_than_the_plan() {
    let mut ledger = Ledger::open("free");
    for plan in ["starter", "free", "starter", "maker", "free", "maker"] {
        ledger.change_plan(plan);
        assert_eq!(ledger.balance_json()["daily"]["credits"], 300, "{plan}");
    }
    ledger.at("2026-03-02T00:00:00Z").change_plan("free");
    assert_eq!(ledger.balance_json()["daily"]["credits"], 300);
    assert_eq!(
        ledger.available_at("2026-03-03T00:00:00Z"),
        100 + 2_000 + 4_000
    );
}

/// "From a plan without daily credits to one with them, the day's grant comes at once, whole"; an upgrade at
/// the very midnight is no top-up.
#[test]
fn a_day_that_had_no_credits_yet_gives_them_whole() {
    let mut ledger = Ledger::open("max");
    ledger.at("2026-03-05T17:00:00Z").change_plan("free");
    let daily = ledger.balance_json()["daily"].clone();
    assert_eq!(daily["credits"], 100);
    assert_eq!(daily["refreshes_at"], "2026-03-06T00:00:00Z");
    ledger.at("2026-03-06T00:00:00Z").change_plan("maker");
    assert_eq!(ledger.balance_json()["daily"]["credits"], 300);
}

/// "Leaving a plan keeps its monthly credits until the period ends, and today's daily grant as it is."
#[test]
fn a_downgrade_takes_nothing_away() {
    let mut ledger = Ledger::open("starter");
    ledger.spend(50);
    ledger.change_plan("free");
    let rows = [
        ("2026-03-01T12:00:00Z", 250 + 2_000),
        ("2026-03-02T00:00:00Z", 100 + 2_000),
        ("2026-04-01T11:59:59.999Z", 100 + 2_000),
        ("2026-04-01T12:00:00Z", 100),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
    }
}

/// D7: `effective: "period_end"`.
#[test]
fn a_change_at_the_period_s_end_waits_for_it() {
    let mut ledger = Ledger::open("maker");
    let entries = ledger.change_plan_at_period_end("free");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        ledger.change_plan_at_period_end("free"),
        [],
        "announced already"
    );
    assert_eq!(ledger.account_json()["pending_plan"], "free");
    let rows = [
        ("2026-03-09T00:00:00Z", "maker", 300 + 4_000),
        ("2026-04-01T11:59:59.999Z", "maker", 300 + 4_000),
        ("2026-04-01T12:00:00Z", "free", 300),
        ("2026-04-02T00:00:00Z", "free", 100),
        ("2026-05-01T12:00:00Z", "free", 100),
    ];
    for (at, plan, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
        assert_eq!(ledger.account_json()["plan"], plan, "at {at}");
    }
    let written = ledger.entries.len();
    ledger.spend(1);
    let kinds = ledger.kinds_after(written);
    assert!(kinds.contains(&"plan_changed"), "{kinds:?}");
    assert_eq!(ledger.account_json()["pending_plan"], json!(null));
}

#[test]
fn an_upgrade_at_the_period_s_end_gives_that_plan_s_credits() {
    let mut ledger = Ledger::open("plus");
    ledger.change_plan_at_period_end("maker");
    assert_eq!(ledger.available_at("2026-04-01T11:59:59.999Z"), 700);
    assert_eq!(ledger.available_at("2026-04-01T12:00:00Z"), 300 + 4_000);
}

/// "A second plan change while one is pending replaces it; naming the present plan cancels it."
#[test]
fn an_announced_change_is_replaced_or_cancelled() {
    let mut ledger = Ledger::open("starter");
    ledger.change_plan_at_period_end("free");
    ledger.change_plan_at_period_end("maker");
    assert_eq!(ledger.account_json()["pending_plan"], "maker");
    for at_period_end in [true, false] {
        ledger.change_plan_at_period_end("free");
        ledger.do_(&plan_change("starter", at_period_end));
        assert_eq!(ledger.account_json()["pending_plan"], json!(null));
    }
    ledger.change_plan_at_period_end("free");
    ledger.change_plan("maker");
    assert_eq!(ledger.account_json()["pending_plan"], json!(null));
    ledger.at("2026-04-01T12:00:00Z");
    assert_eq!(ledger.account_json()["plan"], "maker");
}

/// D6: "A plan's monthly credits are granted once a period, whatever switching to and fro happens within it".
#[test]
fn a_plan_s_monthly_credits_come_once_a_period() {
    let mut ledger = Ledger::open("starter");
    for plan in ["maker", "starter", "free", "maker", "starter"] {
        ledger.change_plan(plan);
    }
    assert_eq!(ledger.available(), 300 + 2_000 + 4_000);
    ledger.at("2026-04-01T12:00:00Z");
    assert_eq!(ledger.available(), 300 + 2_000, "the next period");
    ledger.change_plan("maker");
    ledger.change_plan("starter");
    assert_eq!(ledger.available(), 300 + 2_000 + 4_000);
}

/// Guide: bought credits are the account's, whatever its plan.
#[test]
fn a_cancellation_to_free_keeps_packs() {
    let mut ledger = Ledger::open("maker");
    ledger.pack(500);
    ledger.change_plan_at_period_end("free");
    ledger.at("2026-04-02T00:00:00Z");
    assert_eq!(ledger.living(), [("daily", 100), ("pack", 500)]);
}

#[test]
fn an_account_is_opened_once() {
    let mut ledger = Ledger::open("pro");
    let again = |plan: &str| Command::open(&value(json!({"plan": plan})), published()).unwrap();
    assert_eq!(ledger.attempt(&again("pro")), Ok(Vec::new()));
    assert_eq!(ledger.refuse(&again("free")).code, Code::AccountExists);
    ledger.change_plan("free");
    assert_eq!(
        ledger.attempt(&again("pro")),
        Ok(Vec::new()),
        "still the same"
    );
    let nobody = Ledger::new().refuse(&plan_change("free", false));
    assert_eq!(nobody.code, Code::AccountNotFound);
    let body = value(json!({"plan": "free", "since": "2026-03-01T12:00:00.001Z"}));
    let refusal = Ledger::new().refuse(&Command::open(&body, published()).unwrap());
    assert_eq!(refusal.field.as_deref(), Some("since"));
}

/// D3, guide: "Early bird users can use these models unlimitedly".
#[test]
fn early_birds_use_the_eleven_core_models_for_nothing() {
    let core = [
        "claude-sonnet-4",
        "claude-3.7-sonnet-thinking",
        "kimi-k2",
        "gpt-4o",
        "gpt-4.1",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "deepseek-v3-0324",
        "deepseek-r1-0528",
        "grok-4",
        "qwen3-coder",
    ];
    let mut ledger = Ledger::open("maker");
    ledger.perk("early_bird", true);
    for model in published().models() {
        let charge = ledger.charge(&model.id, 1);
        let waived = core.contains(&model.id.as_str());
        assert_eq!(charge.waived, waived, "{}", model.id);
        assert_eq!(charge.credits.is_zero(), waived, "{}", model.id);
        assert!(charge.list_credits.is_positive(), "{}", model.id);
    }
}

/// D3: "Such a call is still recorded, with `credits: 0`, `waived: true`, lines at list price, and what it would
/// have cost".
#[test]
fn a_waived_call_is_recorded_at_list_price() {
    let mut ledger = Ledger::open("free");
    ledger.perk("early_bird", true);
    let charge = serde_json::to_value(ledger.charge("claude-sonnet-4", 3_000)).unwrap();
    assert_eq!(
        (&charge["credits"], &charge["list_credits"]),
        (&json!(0), &json!(7))
    );
    assert_eq!(
        (&charge["waived"], &charge["draws"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(charge["lines"][0]["credits"], json!(6.6));
    assert_eq!(charge["rounding"], json!(0.4));
    assert_eq!(ledger.available(), 100);
}

/// D3: "in a workflow of both, the core models are left out, the rest is rounded once, and `waived` is false".
#[test]
fn a_workflow_of_waived_and_other_models_costs_the_others() {
    let mut ledger = Ledger::open("free");
    ledger.perk("early_bird", true);
    let items = [
        call("kimi-k2", 1_000),
        call("gpt-oss-120b", 1_000),
        json!({"credits": 0.1, "description": "export"}),
    ];
    let charge = serde_json::to_value(ledger.charge_with(json!({"items": items}))).unwrap();
    assert_eq!(
        (&charge["credits"], &charge["list_credits"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(charge["waived"], json!(false));
    assert_eq!(charge["lines"][0]["waived"], json!(true));
    assert_eq!(charge["rounding"], json!(0.7));
}

/// D3: "a perk of an account, beside any plan".
#[test]
fn a_perk_stays_through_every_plan() {
    let mut ledger = Ledger::open("plus");
    assert_eq!(ledger.perk("early_bird", true).len(), 1);
    assert_eq!(ledger.perk("early_bird", true), [], "it has it already");
    for plan in CURRENT {
        ledger.change_plan(plan);
        assert!(ledger.charge("grok-4", 5_000).waived, "{plan}");
    }
    ledger.perk("early_bird", false);
    assert_eq!(ledger.perk("early_bird", false), [], "it has it no more");
    assert_eq!(whole(ledger.charge("grok-4", 5_000).credits), 10);
}

/// A clock that stands still, and a catalog that changes meanwhile: every grant has an id of its own.
#[test]
fn what_is_added_to_a_day_at_one_instant_are_grants_of_their_own() {
    let mut ledger = Ledger::open("plus");
    let less = support::catalog_with(|catalog| catalog["plans"][1]["daily"] = json!(120.5));
    ledger.publish(less);
    ledger.change_plan("starter");
    ledger.change_plan("free");
    ledger.publish(support::published());
    ledger.change_plan("starter");
    ledger.change_plan("maker");
    let mut daily: Vec<String> = ledger
        .account()
        .grants
        .iter()
        .map(|grant| grant.id.clone())
        .collect();
    daily.retain(|id| id.starts_with("daily_"));
    let at = "20260301T120000Z";
    assert_eq!(
        daily,
        [
            format!("daily_starter_{at}"),
            format!("daily_starter_{at}_120.5")
        ]
    );
    assert_eq!(ledger.balance_json()["daily"]["credits"], 300);
}

/// A day that ends as the plan changes is not added to: the next one begins on the new plan.
#[test]
fn a_plan_that_begins_with_a_day_adds_nothing_to_the_day_before() {
    let mut ledger = Ledger::open_at("2026-03-01T00:00:00Z", json!({"plan": "free"}));
    ledger.change_plan_at_period_end("starter");
    ledger.at("2026-03-31T12:00:00Z").spend(1);
    ledger.at("2026-04-01T00:00:00Z");
    let granted: Vec<String> = ledger
        .settled()
        .due
        .iter()
        .filter_map(|entry| match &entry.event {
            edge_credits::entry::Event::Granted { grant, .. } => Some(grant.id.clone()),
            _ => None,
        })
        .collect();
    let at = "20260401T000000Z";
    assert_eq!(
        granted,
        [
            format!("monthly_starter_{at}"),
            format!("daily_starter_{at}")
        ]
    );
}
