//! The order of burning: who pays, and who never does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::grant::Category;
use serde_json::json;
use support::{Json, Ledger, call, draws, shortage};

/// "Priority (low first), expires_at (soonest first, never last), promo before paid, effective_at, id."
#[test]
fn credits_burn_in_one_total_order_for_charges_and_holds() {
    // Made last to first, so that nothing but the order sorts them.
    let grants = [
        json!({"kind": "pack", "credits": 10}),
        json!({"kind": "pack", "credits": 10}),
        json!({"kind": "pack", "credits": 10, "effective_at": "2026-02-01T00:00:00Z"}),
        json!({"kind": "bonus", "credits": 10}),
        json!({"kind": "pack", "credits": 10, "expires_at": "2026-03-09T00:00:00Z"}),
        json!({"kind": "bonus", "credits": 10, "expires_at": "2026-03-09T00:00:00Z"}),
        json!({"kind": "pack", "credits": 10, "expires_at": "2026-03-08T00:00:00Z"}),
        json!({"kind": "pack", "credits": 10, "priority": 10}),
    ];
    let (mut ledger, ids) = Ledger::with_grants(&grants);
    let order = [7, 6, 5, 4, 3, 2, 0, 1];
    let expected: Vec<(&str, i64)> = order.map(|place| (ids[place].as_str(), 10)).into();
    let hold = ledger.hold(call("flux-schnell", 80));
    assert_eq!(draws(&hold.draws), expected);
    ledger.release(hold.id);
    let charge = ledger.spend(75);
    assert_eq!(draws(&charge.draws)[..7], expected[..7]);
    assert_eq!(draws(&charge.draws)[7], (ids[1].as_str(), 5));
}

#[test]
fn a_day_burns_before_a_month_and_a_month_before_a_pack() {
    let mut ledger = Ledger::open("starter");
    ledger.pack(100);
    let charge = ledger.spend(2_350);
    let kinds: Vec<_> = charge
        .draws
        .iter()
        .map(|draw| (draw.kind.as_str(), support::whole(draw.credits)))
        .collect();
    assert_eq!(kinds, [("daily", 300), ("monthly", 2_000), ("pack", 50)]);
}

/// Default category by kind.
#[test]
fn gifts_are_promo_and_what_was_bought_is_paid() {
    let rows = [
        ("bonus", Category::Promo),
        ("invitation", Category::Promo),
        ("promotion", Category::Promo),
        ("pack", Category::Paid),
        ("adjustment", Category::Paid),
    ];
    for (kind, category) in rows {
        let (ledger, ids) = Ledger::with_grants(&[json!({"kind": kind, "credits": 1})]);
        assert_eq!(ledger.find_grant(&ids[0]).category, category, "{kind}");
    }
    let named = json!({"kind": "pack", "credits": 1, "category": "promo"});
    let (ledger, ids) = Ledger::with_grants(&[named]);
    assert_eq!(ledger.find_grant(&ids[0]).category, Category::Promo);
    let kinds = [("daily", Category::Promo), ("monthly", Category::Paid)];
    let starter = Ledger::open("starter");
    for (grant, (kind, category)) in starter.account().grants.iter().zip(kinds) {
        assert_eq!((grant.kind.as_str(), grant.category), (kind, category));
    }
}

/// D4, guide: "Package credits are universal for all models, no modality restrictions".
#[test]
fn package_credits_pay_for_every_model() {
    let mut ledger = Ledger::open("starter");
    for (model, quantity, credits) in [
        ("claude-opus-4.1", 5_000, 53),
        ("flux-1.1-pro-ultra", 1, 9),
        ("veo-3-fast-audio", 2, 896),
        ("elevenlabs-multilingual-v2", 1, 70),
    ] {
        let charge = ledger.charge(model, quantity);
        assert_eq!(support::whole(charge.credits), credits, "{model}");
    }
}

/// D4, guide: "Bonus credits are one-time distributions for advanced models or multimodal calls".
#[test]
fn a_scoped_grant_pays_for_what_has_any_of_its_tags_and_for_nothing_else() {
    let rows: [(Json, &str, bool); 10] = [
        (json!(["advanced"]), "claude-sonnet-4", true),
        (json!(["advanced"]), "grok-4", true),
        (json!(["advanced"]), "kimi-k2", false),
        (json!(["advanced"]), "flux-schnell", false),
        (json!(["multimodal"]), "flux-schnell", true),
        (json!(["multimodal"]), "bark", true),
        (json!(["multimodal"]), "claude-opus-4", false),
        (json!(["video"]), "wan-2.2-fast", true),
        (json!(["video"]), "bark", false),
        (json!(["video", "text"]), "kimi-k2", true),
    ];
    for (scope, model, pays) in rows {
        let gift = json!({"kind": "bonus", "credits": 500, "scope": scope});
        let pack = json!({"kind": "pack", "credits": 500});
        let (mut ledger, ids) = Ledger::with_grants(&[gift, pack]);
        let charge = ledger.charge(model, 1);
        let payer = if pays { &ids[0] } else { &ids[1] };
        assert_eq!(&charge.draws[0].grant, payer, "{scope} for {model}");
    }
}

#[test]
fn a_refusal_counts_only_what_could_pay() {
    let gift = json!({"kind": "bonus", "credits": 500, "scope": ["video"]});
    let pack = json!({"kind": "pack", "credits": 3});
    let (mut ledger, _) = Ledger::with_grants(&[gift, pack]);
    let refusal = ledger.refuse_charge(call("flux-schnell", 10));
    assert_eq!(shortage(&refusal), (10, 3, 0, 7));
    let refusal = ledger.refuse_hold(call("flux-schnell", 10));
    assert_eq!(shortage(&refusal), (10, 3, 0, 7));
    ledger.charge("wan-2.2-fast", 10);
    assert_eq!(ledger.available(), 433);
}

/// D4: "A workflow is paid from a scoped grant only if the scope covers every model of it that is not waived;
/// flat items are covered by no scope."
#[test]
fn a_scope_pays_for_a_workflow_only_if_it_covers_all_of_it() {
    let image = || call("flux-schnell", 5);
    let text = || call("kimi-k2", 5_000);
    let flat = || json!({"credits": 2, "description": "export"});
    let rows = [
        (json!(["image"]), vec![image(), image()], false, true),
        (json!(["image"]), vec![image(), text()], false, false),
        (json!(["image"]), vec![image(), text()], true, true),
        (json!(["image", "text"]), vec![image(), text()], false, true),
        (json!(["image"]), vec![image(), flat()], false, false),
        (json!(["image", "text"]), vec![flat()], false, false),
    ];
    for (scope, items, early_bird, pays) in rows {
        let gift = json!({"kind": "bonus", "credits": 500, "scope": scope});
        let (mut ledger, ids) = Ledger::with_grants(&[gift]);
        let pack = ledger.pack(500);
        if early_bird {
            ledger.perk("early_bird", true);
        }
        let charge = ledger.charge_with(json!({"items": items}));
        let payer = if pays { &ids[0] } else { &pack };
        assert_eq!(&charge.draws[0].grant, payer, "{scope} for {items:?}");
        assert_eq!(charge.draws.len(), 1);
    }
}

/// "A grant that starts later is `granted` with credits 0, then `started`"; it is in force "from
/// `effective_at` until, but not at, `expires_at`".
#[test]
fn a_grant_is_in_force_from_its_start_until_but_not_at_its_end() {
    let promotion = json!({
        "kind": "promotion", "credits": 40,
        "effective_at": "2026-03-02T09:00:00Z", "expires_at": "2026-03-03T09:00:00Z",
    });
    let (mut ledger, ids) = Ledger::with_grants(&[promotion]);
    assert_eq!(ledger.entries.last().unwrap().credits.micros(), 0);
    assert_eq!(ledger.balance_json()["grants"], json!([]));
    let rows = [
        ("2026-03-02T08:59:59.999Z", 0),
        ("2026-03-02T09:00:00Z", 40),
        ("2026-03-03T08:59:59.999Z", 40),
        ("2026-03-03T09:00:00Z", 0),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "at {at}");
    }
    let written = ledger.entries.len();
    ledger.pack(1);
    assert_eq!(
        ledger.kinds_after(written),
        ["started", "expired", "granted"]
    );
    assert_eq!(support::whole(ledger.find_grant(&ids[0]).expired), 40);
}

#[test]
fn a_grant_without_time_is_refused() {
    let mut ledger = Ledger::open("free");
    let rows = [
        json!({"kind": "pack", "credits": 1, "expires_at": "2026-03-01T12:00:00Z"}),
        json!({"kind": "pack", "credits": 1, "expires_at": "2026-03-05T00:00:00Z",
            "effective_at": "2026-03-05T00:00:00Z"}),
    ];
    for body in rows {
        let command = edge_credits::command::Command::grant(&support::value(body), ledger.catalog);
        let refusal = ledger.refuse(&command.unwrap());
        assert_eq!(refusal.field.as_deref(), Some("expires_at"));
    }
}

/// The account estimate is what a charge then does.
#[test]
fn an_estimate_foresees_who_pays() {
    let mut ledger = Ledger::open("free");
    ledger.pack(50);
    let estimate = ledger.estimate(call("flux-schnell", 120));
    assert!(estimate.access.allowed);
    assert_eq!(support::whole(estimate.balance_after.available), 30);
    assert_eq!(estimate.draws, ledger.spend(120).draws);
    let estimate = ledger.estimate(call("flux-schnell", 31));
    assert_eq!(estimate.access.code, Some("insufficient_credits"));
    assert_eq!(estimate.draws, []);
    assert_eq!(support::whole(estimate.balance_after.available), 30);
    let affordable = serde_json::to_value(&estimate).unwrap()["affordable"].clone();
    assert_eq!(affordable, json!({"images": 30}));
}
