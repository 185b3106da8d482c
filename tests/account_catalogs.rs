//! Catalogs that are published: each is in force from an instant, and what was priced before stays as it is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::account::Account;
use edge_credits::catalog::Catalog;
use edge_credits::catalogs::{Catalogs, Publication, Version};
use edge_credits::refusal::{Code, Refusal};
use serde_json::json;
use support::{Json, Ledger, call, catalog_with, differences, published, time, value, whole, with};

/// The published catalog, with other allowances of the plan at this place.
fn allowing(plan: usize, daily: Json, monthly: Json) -> &'static Catalog {
    catalog_with(|catalog| {
        catalog["plans"][plan]["daily"] = daily;
        catalog["plans"][plan]["monthly"] = monthly;
    })
}

/// Twice the price.
fn dearer() -> &'static Catalog {
    catalog_with(|catalog| {
        for model in catalog["models"].as_array_mut().unwrap() {
            let rate = model["rates"][0]["rate"].as_i64().unwrap();
            model["rates"][0]["rate"] = json!(rate * 2);
        }
    })
}

/// "Effective from an instant": until then nothing changes.
#[test]
fn a_call_is_priced_by_the_catalog_of_its_moment() {
    let mut ledger = Ledger::open("free");
    ledger.publish_from(time("2026-03-01T18:00:00Z"), dearer());
    ledger.at("2026-03-01T17:59:59.999Z");
    assert_eq!(whole(ledger.charge("flux-schnell", 10).credits), 10);
    ledger.at("2026-03-01T18:00:00Z");
    let charge = ledger.charge("flux-schnell", 10);
    assert_eq!(whole(charge.credits), 20);
    assert_eq!(charge.catalog, dearer().hash());
}

/// An account's clock never runs backwards, and so neither do its prices.
#[test]
fn who_was_priced_by_a_catalog_is_not_priced_by_the_one_before_it() {
    let mut ledger = Ledger::open("free");
    ledger.publish_from(time("2026-03-01T18:00:00Z"), dearer());
    ledger.at("2026-03-01T18:00:00Z").spend(1);
    ledger.at("2026-03-01T17:00:00Z");
    assert_eq!(whole(ledger.charge("flux-schnell", 10).credits), 20);
}

/// A hold is captured at the price it was authorised with, though the next catalog begins before the capture.
#[test]
fn a_hold_keeps_its_price_into_the_next_catalog() {
    let mut ledger = Ledger::open("free");
    ledger.publish_from(time("2026-03-01T12:05:00Z"), dearer());
    let hold = ledger.hold(with(call("flux-schnell", 10), "ttl_seconds", 900));
    ledger.at("2026-03-01T12:10:00Z");
    assert_eq!(
        whole(ledger.capture(hold.id, call("flux-schnell", 10)).credits),
        10
    );
}

/// A day has the allowance of the catalog in force at its midnight.
#[test]
fn a_day_that_has_begun_keeps_its_allowance() {
    let mut ledger = Ledger::open("free");
    ledger.publish_from(
        time("2026-03-05T09:00:00Z"),
        allowing(0, json!(150), Json::Null),
    );
    ledger.publish_from(
        time("2026-03-07T00:00:00Z"),
        allowing(0, json!(40), Json::Null),
    );
    // The account is first looked at on the last of these days, on none, or on all: it makes no difference.
    let rows = [
        ("2026-03-05T08:59:59.999Z", 100),
        ("2026-03-05T23:59:59.999Z", 100),
        ("2026-03-06T00:00:00Z", 150),
        ("2026-03-06T23:59:59.999Z", 150),
        ("2026-03-07T00:00:00Z", 40),
    ];
    for (at, available) in rows {
        assert_eq!(ledger.available_at(at), available, "{at}");
    }
    ledger.at("2026-03-06T12:00:00Z").spend(1);
    for (at, available) in [
        ("2026-03-06T23:59:59.999Z", 149),
        ("2026-03-07T00:00:00Z", 40),
    ] {
        assert_eq!(ledger.available_at(at), available, "{at}");
    }
}

/// What a plan did not have begins with the first midnight, and the first period, of the catalog that adds it.
#[test]
fn an_allowance_that_a_plan_did_not_have_begins_with_the_next_day_and_period() {
    let mut ledger = Ledger::open("free");
    let both = allowing(0, json!(100), json!(500));
    ledger.publish_from(time("2026-03-20T12:00:00Z"), both);
    assert_eq!(ledger.available_at("2026-03-31T12:00:00Z"), 100);
    assert_eq!(ledger.available_at("2026-04-01T11:59:59.999Z"), 100);
    assert_eq!(ledger.available_at("2026-04-01T12:00:00Z"), 600);

    let mut ledger = Ledger::open("plus");
    let daily = allowing(3, json!(10), json!(700));
    ledger.publish_from(time("2026-03-09T18:00:00Z"), daily);
    assert_eq!(ledger.available_at("2026-03-09T23:59:59.999Z"), 700);
    assert_eq!(ledger.available_at("2026-03-10T00:00:00Z"), 710);
}

/// Whoever enters a plan has what it grants at that moment.
#[test]
fn who_enters_a_plan_gets_what_it_grants_then() {
    let mut ledger = Ledger::open("free");
    ledger.publish_from(
        time("2026-03-02T12:00:00Z"),
        allowing(1, json!(500), json!(3_000)),
    );
    ledger.at("2026-03-02T11:00:00Z");
    let mut late = Ledger::open("free");
    late.publish_from(
        time("2026-03-02T12:00:00Z"),
        allowing(1, json!(500), json!(3_000)),
    );
    late.at("2026-03-02T13:00:00Z");
    ledger.change_plan("starter");
    late.change_plan("starter");
    assert_eq!((ledger.available(), late.available()), (2_300, 3_500));
}

/// While anything is owed every day's refresh counts: each with the allowance of its own catalog.
#[test]
fn days_of_different_catalogs_pay_what_is_owed() {
    let mut ledger = Ledger::open("free");
    ledger.owe(500);
    ledger.publish_from(
        time("2026-03-03T00:00:00Z"),
        allowing(0, Json::Null, Json::Null),
    );
    ledger.publish_from(
        time("2026-03-10T10:00:00Z"),
        allowing(0, json!(30), Json::Null),
    );
    // One day of 100, none for a week, and from the eleventh on 30 a day.
    for (at, owed) in [
        ("2026-03-02T12:00:00Z", 300),
        ("2026-03-10T23:00:00Z", 300),
        ("2026-03-13T12:00:00Z", 210),
    ] {
        ledger.at(at);
        assert_eq!(whole(ledger.settled().account.balance().owed), owed, "{at}");
    }
}

/// A catalog is in force at its instant: a day or a period that begins right then is its first.
#[test]
fn what_begins_with_a_catalog_is_its_first() {
    let mut ledger = Ledger::open("free");
    ledger.owe(500);
    let nothing = allowing(0, Json::Null, Json::Null);
    ledger.publish_from(time("2026-03-02T00:00:00Z"), nothing);
    let a_little = allowing(0, json!(30), json!(100));
    ledger.publish_from(time("2026-03-10T00:00:00Z"), a_little);
    ledger.publish_from(time("2026-03-14T00:00:00Z"), nothing);
    ledger.publish_from(time("2026-04-01T12:00:00Z"), a_little);
    for (at, owed) in [
        ("2026-03-09T23:59:59.999Z", 400),
        ("2026-03-10T00:00:00Z", 370),
        ("2026-04-01T11:59:59.999Z", 280),
        ("2026-04-01T12:00:00Z", 180),
        ("2026-04-02T00:00:00Z", 150),
    ] {
        let settled = ledger.at(at).settled();
        assert_eq!(whole(settled.account.balance().owed), owed, "{at}");
    }
}

/// The same of a period, though what is owed makes every one of them count.
#[test]
fn a_period_that_begins_with_a_catalog_is_its_first() {
    let mut ledger = Ledger::open("free");
    ledger.owe(9_000);
    let monthly = allowing(0, Json::Null, json!(100));
    ledger.publish_from(time("2026-04-01T12:00:00Z"), monthly);
    let owed =
        |ledger: &mut Ledger, at: &str| whole(ledger.at(at).settled().account.balance().owed);
    let before = owed(&mut ledger, "2026-04-01T11:59:59.999Z");
    assert_eq!(before - owed(&mut ledger, "2026-04-01T12:00:00Z"), 100);
}

/// "Looking more often never changes an answer", whatever is published in between.
#[test]
fn looking_more_often_changes_nothing_across_catalogs() {
    for owed in [0, 4_000] {
        let mut ledger = Ledger::open("starter");
        ledger.owe(owed);
        let start = ledger.now;
        for (day, daily, monthly) in [
            (3, 0, 100),
            (9, 250, 0),
            (33, 40, 900),
            (61, 0, 0),
            (64, 300, 2_000),
        ] {
            let some = |credits: i64| {
                if credits == 0 {
                    Json::Null
                } else {
                    json!(credits)
                }
            };
            let effective_at = start.after_millis(day * 86_400_000 + 5_000_000);
            ledger.publish_from(effective_at, allowing(1, some(daily), some(monthly)));
        }
        let moments: Vec<_> = (0..150)
            .map(|step| start.after_millis(step * 48_600_000))
            .collect();
        for (place, end) in moments.iter().enumerate() {
            let mut straight = ledger.account().settled(*end, ledger.catalogs());
            let mut state = Some(ledger.account().clone());
            for stop in &moments[..place] {
                for entry in state
                    .as_ref()
                    .unwrap()
                    .settled(*stop, ledger.catalogs())
                    .due
                {
                    Account::apply(&mut state, &entry);
                }
            }
            let mut often = state.unwrap().settled(*end, ledger.catalogs());
            // Which was the last of the days that are over, nobody asks any more.
            for settled in [&mut straight, &mut often] {
                settled.account.day.take_if(|day| day.end <= *end);
            }
            assert_eq!(differences(&straight, &often), [""; 0], "at {end}");
        }
    }
}

fn publication(body: Json) -> Result<Publication, Refusal> {
    Publication::parse(&value(body), time("2026-03-01T12:00:00Z"))
}

fn content() -> Json {
    serde_json::to_value(published()).unwrap()
}

/// A publication says what, and from when.
#[test]
fn a_publication_takes_effect_now_or_later() {
    let rows = [
        (json!({"catalog": content()}), None),
        (json!({"catalog": content(), "effective_at": null}), None),
        (
            json!({"catalog": content(), "effective_at": "2026-04-01T00:00:00Z"}),
            Some("2026-04-01T00:00:00Z"),
        ),
        // It was on its way for a while.
        (
            json!({"catalog": content(), "effective_at": "2026-03-01T11:59:00Z"}),
            Some("2026-03-01T12:00:00Z"),
        ),
    ];
    for (body, effective_at) in rows {
        let publication = publication(body).unwrap();
        assert_eq!(publication.effective_at, effective_at.map(time));
        assert_eq!(publication.catalog, *published());
    }
}

/// What cannot be published, and where that lies.
#[test]
fn a_publication_is_refused_where_it_is_wrong() {
    let mut faulty = content();
    faulty["models"][2]["rates"][0]["rate"] = json!(-1);
    let rows = [
        (json!({}), Code::InvalidRequest, "catalog"),
        (
            json!({"catalog": content(), "when": 1}),
            Code::InvalidRequest,
            "when",
        ),
        (
            json!({"catalog": content(), "effective_at": "2026-03-01T11:58:59.999Z"}),
            Code::InvalidRequest,
            "effective_at",
        ),
        (
            json!({"catalog": content(), "effective_at": "soon"}),
            Code::InvalidRequest,
            "effective_at",
        ),
        (json!({"catalog": []}), Code::InvalidCatalog, "catalog"),
        (
            json!({"catalog": faulty}),
            Code::InvalidCatalog,
            "catalog.models[2].rates[0].rate",
        ),
    ];
    for (body, code, field) in rows {
        let refusal = publication(body).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field))
        );
    }
}

/// Accounts are on plans, have perks and pay for packs: none of them may go away, now or when a later catalog that was
/// announced before takes over.
#[test]
fn a_catalog_keeps_the_plans_perks_and_packs_of_the_one_before_it() {
    let without = |list: &str| {
        let list = list.to_owned();
        catalog_with(move |catalog| {
            catalog[&list].as_array_mut().unwrap().pop();
        })
    };
    for list in ["plans", "perks", "packs"] {
        let refusal = Catalogs::from(published())
            .check(without(list), time("2026-03-01T12:00:00Z"))
            .unwrap_err();
        assert_eq!(refusal.code, Code::InvalidCatalog);
        assert_eq!(refusal.field, Some(format!("catalog.{list}")));
    }

    let larger = catalog_with(|catalog| {
        let mut plan = catalog["plans"][0].clone();
        plan["id"] = json!("trial");
        catalog["plans"].as_array_mut().unwrap().push(plan);
    });
    let announced = [Version {
        effective_at: time("2026-05-01T00:00:00Z"),
        catalog: published().clone().into(),
    }];
    let catalogs = Catalogs::new(published(), &announced);
    assert!(
        catalogs
            .check(larger, time("2026-04-30T00:00:00Z"))
            .is_err()
    );
    assert!(catalogs.check(larger, time("2026-05-01T00:00:00Z")).is_ok());
}

/// A model may go away: holds on it keep their price, and nothing else refers to it.
#[test]
fn a_catalog_may_drop_a_model_that_no_perk_names() {
    let fewer = catalog_with(|catalog| {
        let models = catalog["models"].as_array_mut().unwrap();
        models.retain(|model| model["id"] != "bark");
    });
    assert!(
        Catalogs::from(published())
            .check(fewer, time("2026-03-01T12:00:00Z"))
            .is_ok()
    );
}
