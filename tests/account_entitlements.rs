//! Entitlements: what a plan and its perks allow beside credits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::command::Command;
use edge_credits::entry::Entry;
use edge_credits::refusal::{Code, Refusal};
use serde_json::json;
use support::{Json, Ledger, published, value};

fn feature(name: &str, returned: bool, quantity: u64) -> Command {
    let body = value(json!({"quantity": quantity}));
    Command::feature(name, returned, &body).unwrap()
}

fn upload(ledger: &mut Ledger, files: u64) -> Result<Vec<Entry>, Refusal> {
    ledger.attempt(&feature("file_uploads", false, files))
}

fn entitlements(ledger: &Ledger) -> Json {
    let settled = ledger.settled();
    serde_json::to_value(settled.account.entitlements_view(published())).unwrap()
}

/// Guide, *Free Trial Package*: "Support for uploading 100 files".
#[test]
fn a_plan_allows_so_many_uploads_and_no_more() {
    let limits = [
        ("free", 100, 5_242_880),
        ("starter", 200, 10_485_760),
        ("maker", 500, 20_971_520),
        ("plus", 200, 10_485_760),
        ("pro", 500, 20_971_520),
        ("max", 1_000, 20_971_520),
    ];
    for (plan, limit, bytes) in limits {
        let mut ledger = Ledger::open(plan);
        upload(&mut ledger, limit - 1).unwrap();
        let refusal = upload(&mut ledger, 2).unwrap_err();
        assert_eq!(refusal.code, Code::EntitlementExhausted, "{plan}");
        upload(&mut ledger, 1).unwrap();
        let view = entitlements(&ledger);
        let uploads = json!({"type": "limit", "limit": limit, "used": limit, "remaining": 0});
        assert_eq!(view["features"]["file_uploads"], uploads);
        let size = json!({"type": "static", "value": bytes});
        assert_eq!(view["features"]["max_file_bytes"], size);
    }
}

#[test]
fn what_is_returned_can_be_used_again() {
    let mut ledger = Ledger::open("free");
    let entry = upload(&mut ledger, 100).unwrap().pop().unwrap();
    let answer = serde_json::to_value(entry.answer()).unwrap();
    let uploads = json!({"type": "limit", "limit": 100, "used": 100, "remaining": 0});
    assert_eq!(answer["feature"], uploads);
    assert_eq!(answer["balance"]["available"], 100, "it moves no credits");

    let entry = ledger.do_(&feature("file_uploads", true, 30));
    let answer = serde_json::to_value(entry.answer()).unwrap();
    assert_eq!(answer["feature"]["remaining"], 30);
    upload(&mut ledger, 30).unwrap();
    upload(&mut ledger, 1).unwrap_err();
}

/// "Returning more than is used is a 400."
#[test]
fn nothing_is_returned_that_was_not_used() {
    let mut ledger = Ledger::open("free");
    upload(&mut ledger, 5).unwrap();
    let refusal = ledger.refuse(&feature("file_uploads", true, 6));
    assert_eq!(refusal.code, Code::InvalidQuantity);
    assert_eq!(refusal.field.as_deref(), Some("quantity"));
    ledger.do_(&feature("file_uploads", true, 5));
}

/// "Limits never reset by themselves."
#[test]
fn a_limit_outlives_days_and_periods() {
    let mut ledger = Ledger::open("free");
    upload(&mut ledger, 100).unwrap();
    ledger.at("2027-03-01T12:00:00Z");
    assert_eq!(
        entitlements(&ledger)["features"]["file_uploads"]["used"],
        100
    );
    upload(&mut ledger, 1).unwrap_err();
}

#[test]
fn a_limit_goes_with_the_plan_and_what_is_used_stays() {
    let mut ledger = Ledger::open("starter");
    upload(&mut ledger, 150).unwrap();
    ledger.change_plan("free");
    let uploads = json!({"type": "limit", "limit": 100, "used": 150, "remaining": 0});
    assert_eq!(entitlements(&ledger)["features"]["file_uploads"], uploads);
    upload(&mut ledger, 1).unwrap_err();
    ledger.do_(&feature("file_uploads", true, 51));
    upload(&mut ledger, 1).unwrap();
    ledger.change_plan("maker");
    upload(&mut ledger, 400).unwrap();
}

#[test]
fn only_a_limited_feature_can_be_used_up() {
    let mut ledger = Ledger::open("free");
    for name in ["max_file_bytes", "teleportation"] {
        for returned in [false, true] {
            let refusal = ledger.refuse(&feature(name, returned, 1));
            assert_eq!(refusal.code, Code::UnknownFeature, "{name}");
        }
    }
    for quantity in [json!(0), json!(1.5), json!(-1), json!("1")] {
        let body = value(json!({"quantity": quantity}));
        let refusal = Command::feature("file_uploads", false, &body).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidQuantity, "{quantity}");
    }
}

/// D3, guide: the "unlimited green card".
#[test]
fn entitlements_name_the_models_that_cost_nothing() {
    let mut ledger = Ledger::open("free");
    assert_eq!(entitlements(&ledger)["unlimited_models"], json!([]));
    ledger.perk("early_bird", true);
    let models = entitlements(&ledger)["unlimited_models"].clone();
    assert_eq!(models.as_array().unwrap().len(), 11);
    for model in models.as_array().unwrap() {
        assert!(ledger.charge(model.as_str().unwrap(), 1_000_000).waived);
    }
    ledger.perk("early_bird", false);
    assert_eq!(entitlements(&ledger)["unlimited_models"], json!([]));
}
