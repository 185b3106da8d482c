//! What a call costs: the guide's *Model Pricing* and *Early Bird Unlimited Members*.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::credits::Credits;
use edge_credits::meter::{Meter, Quantities, Quantity};
use edge_credits::price::{Line, Offer, Price, affordable, price};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::request::{Item, PricedRequest};
use edge_credits::value::{Fields, Value};
use proptest::prelude::*;
use serde_json::json;

fn published() -> Catalog {
    Catalog::parse(&serde_json::from_str(PUBLISHED).unwrap()).unwrap()
}

/// A catalog of rates whose lines have no end, charged in hundredths of a credit.
fn thirds() -> Catalog {
    let catalog = json!({
        "increment": 0.01,
        "models": [
            {"id": "third", "name": "Third", "modality": "text", "tags": [], "rates": [
                {"meters": ["input_tokens"], "per": 3, "rate": 1},
                {"meters": ["output_tokens"], "per": 7, "rate": 0.000001},
                {"meters": ["uses"], "per": 1, "rate": 0},
            ]},
            {"id": "clip", "name": "Clip", "modality": "video", "tags": [], "rates": [
                {"meters": ["seconds"], "per": 9, "rate": 2.5},
            ]},
        ],
    });
    Catalog::parse(&serde_json::from_value(catalog).unwrap()).unwrap()
}

fn read(body: serde_json::Value) -> Result<PricedRequest, Refusal> {
    let body: Value = serde_json::from_value(body).unwrap();
    let fields = Fields::read(&body, "", &PricedRequest::FIELDS)?;
    PricedRequest::parse(&fields, true)
}

/// The price of a request for an account with these perks.
fn price_with(
    catalog: &Catalog,
    perks: &[&str],
    body: serde_json::Value,
) -> Result<Price, Refusal> {
    price(&read(body)?, catalog.increment(), |id| {
        let waived = perks
            .iter()
            .any(|perk| catalog.perk(perk).unwrap().waives(id));
        catalog.model(id).map(|model| Offer { model, waived })
    })
}

fn list_price(body: serde_json::Value) -> Result<Price, Refusal> {
    price_with(&published(), &[], body)
}

fn early_bird_price(body: serde_json::Value) -> Price {
    price_with(&published(), &["early_bird"], body).unwrap()
}

fn credits(number: f64) -> Credits {
    Credits::parse(&Value::Number(number), "").unwrap()
}

/// The parts of a price that are charged, or all parts where nothing is.
fn parts(price: &Price) -> Credits {
    let counts = |line: &&Line| price.waived || !line.waived();
    price
        .lines
        .iter()
        .filter(counts)
        .map(Line::credits)
        .sum::<Credits>()
        + price.rounding
}

#[test]
fn kimi_k2_consumes_1_credit_for_2500_tokens() {
    let price = list_price(json!({"model": "kimi-k2", "usage": {"input_tokens": 2500}})).unwrap();
    assert_eq!(price.credits, Credits::whole(1));
    assert_eq!(price.rounding, Credits::ZERO);
}

#[test]
fn each_kind_of_model_is_billed_in_its_own_units() {
    let table = [
        ("claude-opus-4.1", json!({"input_tokens": 5000}), 53),
        (
            "claude-sonnet-4",
            json!({"input_tokens": 5000, "output_tokens": 5000}),
            22,
        ),
        (
            "claude-sonnet-4",
            json!({"cached_input_tokens": 2500, "cache_write_tokens": 2500}),
            11,
        ),
        ("gpt-4o", json!({"input_tokens": 1}), 1),
        ("gpt-4o", json!({"input_tokens": 5001}), 8),
        (
            "gpt-4o",
            json!({"input_tokens": 1000.0, "output_tokens": 4e3}),
            7,
        ),
        ("recraft-v3-svg", json!({"images": 3}), 36),
        ("veo-3", json!({"seconds": 8}), 6720),
        ("veo-3", json!({"seconds": 0.001}), 1),
        ("wan-2.2-fast", json!({"seconds": 5.125}), 36),
        ("elevenlabs-multilingual-v2", json!({"uses": 2}), 140),
        ("kimi-k2", json!({}), 0),
        ("kimi-k2", json!({"input_tokens": 0, "images": 0}), 0),
    ];
    for (model, usage, expected) in table {
        let price = list_price(json!({"model": model, "usage": usage})).unwrap();
        assert_eq!(price.credits, Credits::whole(expected), "{model} {usage}");
        assert_eq!(price.list_credits, price.credits);
        assert_eq!(parts(&price), price.credits);
        assert!(!price.waived);
    }
}

#[test]
fn a_charge_is_rounded_once() {
    let third = json!({"model": "kimi-k2", "usage": {"input_tokens": 500, "output_tokens": 334}});
    let one = list_price(third.clone()).unwrap();
    let three = list_price(json!({"items": [third.clone(), third.clone(), third]})).unwrap();
    // 834 tokens cost 0.3336: three of them, rounded each, would be 3.
    assert_eq!(one.credits, Credits::whole(1));
    assert_eq!(three.credits, Credits::whole(2));
    assert_eq!(three.lines.len(), 6);
    assert_eq!(three.rounding, credits(0.9992));
}

#[test]
fn a_breakdown_shows_items_then_meters_and_always_adds_up() {
    let price = list_price(json!({"items": [
        {"model": "kimi-k2", "usage": {"output_tokens": 800, "images": 0, "input_tokens": 1200}},
        {"credits": 0.25, "description": "web search"},
        {"model": "veo-3", "usage": {"seconds": 1.5}},
    ]}))
    .unwrap();
    let lines = json!([
        {"model": "kimi-k2", "meter": "input_tokens", "quantity": 1200, "per": 5000, "rate": 2, "credits": 0.48},
        {"model": "kimi-k2", "meter": "output_tokens", "quantity": 800, "per": 5000, "rate": 2, "credits": 0.32},
        {"description": "web search", "credits": 0.25},
        {"model": "veo-3", "meter": "seconds", "quantity": 1.5, "per": 1, "rate": 840, "credits": 1260},
    ]);
    assert_eq!(serde_json::to_value(&price.lines).unwrap(), lines);
    assert_eq!(
        serde_json::from_value::<Vec<Line>>(lines).unwrap(),
        price.lines
    );
    assert_eq!(price.credits, Credits::whole(1262));
    assert_eq!(price.rounding, credits(0.95));
}

#[test]
fn lines_without_an_end_are_cut_off_and_still_add_up() {
    let usage = json!({"model": "third", "usage": {"input_tokens": 1, "output_tokens": 1}});
    let price = price_with(&thirds(), &[], usage).unwrap();
    let lines: Vec<Credits> = price.lines.iter().map(Line::credits).collect();
    assert_eq!(lines, [credits(0.333333), Credits::ZERO]);
    assert_eq!(
        (price.credits, price.rounding),
        (credits(0.34), credits(0.006667))
    );
    // Three thirds are exactly one: nothing is rounded up.
    let item = json!({"model": "third", "usage": {"input_tokens": 1}});
    let three = price_with(
        &thirds(),
        &[],
        json!({"items": [item.clone(), item.clone(), item]}),
    );
    assert_eq!(three.unwrap().credits, Credits::whole(1));
}

#[test]
fn early_bird_covers_the_eleven_core_models() {
    let catalog = published();
    let perk = catalog.perk("early_bird").unwrap();
    assert_eq!(perk.models.len(), 11);
    for model in catalog.models() {
        let usage = match model.meters().next().unwrap() {
            Meter::InputTokens => json!({"input_tokens": 5000}),
            meter => json!({meter.as_str(): 1}),
        };
        let price = early_bird_price(json!({"model": model.id, "usage": usage}));
        let is_core = perk.models.contains(&model.id);
        assert_eq!(price.waived, is_core, "{}", model.id);
        assert_eq!(price.credits.is_zero(), is_core);
        assert!(price.list_credits.is_positive());
        assert!(price.lines.iter().all(|line| line.waived() == is_core));
        assert_eq!(parts(&price), price.list_credits);
    }
}

#[test]
fn in_a_workflow_of_both_the_core_models_are_left_out() {
    let kimi = json!({"model": "kimi-k2", "usage": {"input_tokens": 1200}});
    let flux = json!({"model": "flux-dev", "usage": {"images": 2}});
    let flat = json!({"credits": 0.5, "description": "upload"});
    let price = early_bird_price(json!({"items": [kimi.clone(), flux, flat.clone()]}));
    assert_eq!((price.credits, price.waived), (Credits::whole(9), false));
    assert_eq!(
        (price.list_credits, price.rounding),
        (Credits::whole(9), credits(0.5))
    );
    let waived: Vec<bool> = price.lines.iter().map(Line::waived).collect();
    assert_eq!(waived, [true, false, false]);
    assert_eq!(
        serde_json::to_value(&price.lines[0]).unwrap()["waived"],
        true
    );

    // A flat amount is never waived, whatever stands beside it.
    let price = early_bird_price(json!({"items": [kimi.clone(), flat.clone()]}));
    assert_eq!((price.credits, price.waived), (Credits::whole(1), false));
    let price = early_bird_price(flat);
    assert_eq!((price.credits, price.waived), (Credits::whole(1), false));

    let price = early_bird_price(json!({"items": [kimi.clone(), kimi]}));
    assert_eq!((price.credits, price.waived), (Credits::ZERO, true));
    assert_eq!(
        (price.list_credits, price.rounding),
        (Credits::whole(1), credits(0.04))
    );
}

#[test]
fn a_request_that_cannot_be_priced_says_where() {
    let kimi = json!({"model": "kimi-k2", "usage": {"input_tokens": 1}});
    let long = "x".repeat(201);
    let table = [
        (json!({}), Code::InvalidRequest, "model"),
        (json!({"usage": {}}), Code::InvalidRequest, "model"),
        (json!({"model": "kimi-k2"}), Code::InvalidRequest, "usage"),
        (
            json!({"model": "kimi-k2", "usage": null}),
            Code::InvalidRequest,
            "usage",
        ),
        (
            json!({"model": "kimi-k2", "usage": []}),
            Code::InvalidRequest,
            "usage",
        ),
        (
            json!({"model": 7, "usage": {}}),
            Code::InvalidRequest,
            "model",
        ),
        (
            json!({"model": "kimi-k2", "usage": {}, "items": [kimi]}),
            Code::InvalidRequest,
            "model",
        ),
        (
            json!({"model": "kimi-k2", "usage": {}, "credits": 1}),
            Code::InvalidRequest,
            "credits",
        ),
        (
            json!({"credits": 1, "description": "x", "usage": {}}),
            Code::InvalidRequest,
            "usage",
        ),
        (json!({"items": []}), Code::InvalidRequest, "items"),
        (json!({"items": {}}), Code::InvalidRequest, "items"),
        (
            json!({"items": [kimi, {"items": []}]}),
            Code::InvalidRequest,
            "items[1].items",
        ),
        (
            json!({"items": [kimi, 5]}),
            Code::InvalidRequest,
            "items[1]",
        ),
        (
            json!({"items": [kimi, {}]}),
            Code::InvalidRequest,
            "items[1].model",
        ),
        (
            json!({"items": vec![kimi.clone(); 1001]}),
            Code::InvalidRequest,
            "items",
        ),
        (json!({"credits": 1}), Code::InvalidRequest, "description"),
        (json!({"description": "x"}), Code::InvalidRequest, "credits"),
        (
            json!({"credits": 1, "description": ""}),
            Code::InvalidRequest,
            "description",
        ),
        (
            json!({"credits": 1, "description": long}),
            Code::InvalidRequest,
            "description",
        ),
        (
            json!({"credits": -1, "description": "x"}),
            Code::InvalidCredits,
            "credits",
        ),
        (
            json!({"credits": 1e9, "description": "x"}),
            Code::AmountTooLarge,
            "credits",
        ),
        (
            json!({"model": "gpt-5", "usage": {}}),
            Code::UnknownModel,
            "model",
        ),
        (
            json!({"items": [kimi, {"model": "gpt-5", "usage": {}}]}),
            Code::UnknownModel,
            "items[1].model",
        ),
        (
            json!({"model": "kimi-k2", "usage": {"tokens": 1}}),
            Code::UnknownMeter,
            "usage.tokens",
        ),
        (
            json!({"model": "kimi-k2", "usage": {"images": 1}}),
            Code::UnknownMeter,
            "usage.images",
        ),
        (
            json!({"items": [kimi, {"model": "veo-3", "usage": {"uses": 1}}]}),
            Code::UnknownMeter,
            "items[1].usage.uses",
        ),
        (
            json!({"model": "kimi-k2", "usage": {}, "usage_max": {"images": 1}}),
            Code::UnknownMeter,
            "usage_max.images",
        ),
        (
            json!({"model": "kimi-k2", "usage": {}, "usage_format": "cohere"}),
            Code::UnknownUsageFormat,
            "usage_format",
        ),
    ];
    for (body, code, field) in table {
        let refusal = list_price(body.clone()).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field)),
            "{body}"
        );
    }
    assert!(
        list_price(json!({"model": "gpt-5", "usage": {}}))
            .unwrap_err()
            .detail
            .contains("`gpt-5`")
    );
}

#[test]
fn a_quantity_is_a_number_from_0_on_and_whole_unless_it_is_seconds() {
    let table = [
        (json!(-1), Code::InvalidQuantity),
        (json!(1.5), Code::InvalidQuantity),
        (json!("1"), Code::InvalidQuantity),
        (json!(null), Code::InvalidQuantity),
        (json!(true), Code::InvalidQuantity),
        (json!([1]), Code::InvalidQuantity),
        (json!(9007199254740992_u64), Code::AmountTooLarge),
        (json!(1e300), Code::AmountTooLarge),
        (json!(9007199254740991_u64), Code::AmountTooLarge),
    ];
    for (quantity, code) in table {
        let body = json!({"model": "kimi-k2", "usage": {"input_tokens": quantity}});
        assert_eq!(list_price(body.clone()).unwrap_err().code, code, "{body}");
    }
    let seconds = |number: f64| Quantity::parse(&Value::Number(number), Meter::Seconds, "");
    assert_eq!(seconds(0.125), Ok(Quantity::from_thousandths(125)));
    assert_eq!(seconds(-0.0), Ok(Quantity::ZERO));
    assert_eq!(
        seconds(1e12 + 0.001),
        Ok(Quantity::from_thousandths(1_000_000_000_000_001))
    );
    assert_eq!(
        seconds(9_007_199_254_740_991.0),
        Ok(Quantity::whole(9_007_199_254_740_991))
    );
    for number in [0.0005, 1.2345, -0.001, f64::NAN, f64::INFINITY] {
        assert_eq!(
            seconds(number).unwrap_err().code,
            Code::InvalidQuantity,
            "{number}"
        );
    }
    assert_eq!(
        seconds(9_100_000_000_000.5).unwrap_err().code,
        Code::AmountTooLarge
    );
}

#[test]
fn a_price_is_below_a_billion_credits() {
    let seconds = |n: f64| json!({"model": "veo-3", "usage": {"seconds": n}});
    let most = list_price(seconds(1_190_476.189)).unwrap();
    assert_eq!(most.credits, Credits::whole(999_999_999));
    let refusal = list_price(seconds(1_190_476.190)).unwrap_err();
    assert_eq!(refusal.code, Code::AmountTooLarge);
    // No line is too large here, but the sum is.
    let half = seconds(700_000.0);
    let refusal = list_price(json!({"items": [half.clone(), half]})).unwrap_err();
    assert_eq!(refusal.code, Code::AmountTooLarge);
}

#[test]
fn a_ceiling_is_laid_over_the_usage_meter_by_meter() {
    let request = read(json!({"items": [
        {"model": "kimi-k2", "usage": {"input_tokens": 1200, "output_tokens": 10},
         "usage_max": {"output_tokens": 4000}},
        {"credits": 3, "description": "search"},
        {"model": "gpt-4o", "usage_format": "openai", "usage": {"prompt_tokens": 900},
         "usage_max": {"completion_tokens": 50, "cached_input_tokens": 7}},
        {"model": "veo-3", "usage": {"seconds": 2}, "usage_max": {"seconds": 0}},
    ]}))
    .unwrap();
    let ceiling = request.at_ceiling().unwrap();
    let usages: Vec<Vec<(Meter, Quantity)>> = ceiling
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Model { usage, .. } => Some(usage.iter().collect()),
            Item::Flat { .. } => None,
        })
        .collect();
    let tokens = Quantity::whole;
    assert_eq!(
        usages,
        [
            vec![
                (Meter::InputTokens, tokens(1200)),
                (Meter::OutputTokens, tokens(4000))
            ],
            vec![
                (Meter::InputTokens, tokens(900)),
                (Meter::CachedInputTokens, tokens(7)),
                (Meter::OutputTokens, tokens(50)),
            ],
            vec![],
        ]
    );
    assert_eq!(
        read(json!({"model": "kimi-k2", "usage": {}}))
            .unwrap()
            .at_ceiling(),
        None
    );
}

#[test]
fn a_ceiling_is_refused_where_none_is_asked_for() {
    let body = json!({"model": "kimi-k2", "usage": {}, "usage_max": {}});
    let body: Value = serde_json::from_value(body).unwrap();
    let fields = Fields::read(&body, "", &PricedRequest::FIELDS).unwrap();
    let refusal = PricedRequest::parse(&fields, false).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (Code::InvalidRequest, Some("usage_max"))
    );
}

fn afford(
    catalog: &Catalog,
    body: serde_json::Value,
    meter: Meter,
    budget: Credits,
) -> Result<Option<Quantity>, Refusal> {
    let body: Value = serde_json::from_value(body).unwrap();
    let fields = Fields::read(&body, "", &PricedRequest::FIELDS)?;
    affordable(
        &PricedRequest::parse_open(&fields)?,
        meter,
        budget,
        catalog.increment(),
        &|id| {
            catalog.model(id).map(|model| Offer {
                model,
                waived: false,
            })
        },
    )
}

#[test]
fn what_is_affordable_is_the_largest_quantity_that_the_budget_pays_for() {
    let table = [
        (
            json!({"model": "kimi-k2"}),
            Meter::InputTokens,
            100.0,
            Some(250_000.0),
        ),
        (
            json!({"model": "kimi-k2"}),
            Meter::InputTokens,
            0.9,
            Some(0.0),
        ),
        (
            json!({"model": "kimi-k2", "usage": {"output_tokens": 2500}}),
            Meter::InputTokens,
            1.0,
            Some(0.0),
        ),
        (
            json!({"model": "kimi-k2", "usage": {"output_tokens": 2501}}),
            Meter::InputTokens,
            1.0,
            None,
        ),
        (
            json!({"model": "kimi-k2", "usage": {"input_tokens": 9e9}}),
            Meter::InputTokens,
            1.0,
            Some(2500.0),
        ),
        (
            json!({"model": "veo-3"}),
            Meter::Seconds,
            100.0,
            Some(0.119),
        ),
        (
            json!({"model": "flux-dev"}),
            Meter::Images,
            999_999_999.999999,
            Some(249_999_999.0),
        ),
        (
            json!({"items": [{"model": "bark"}]}),
            Meter::Uses,
            39.0,
            Some(3.0),
        ),
    ];
    for (body, meter, budget, expected) in table {
        let expected =
            expected.map(|n: f64| Quantity::parse(&Value::Number(n), Meter::Seconds, "").unwrap());
        let found = afford(&published(), body.clone(), meter, credits(budget));
        assert_eq!(found, Ok(expected), "{body} {meter} {budget}");
    }
    let nothing_bounds_it = afford(
        &thirds(),
        json!({"model": "third"}),
        Meter::Uses,
        credits(1.0),
    );
    assert_eq!(nothing_bounds_it, Ok(None));
}

#[test]
fn what_is_affordable_is_asked_of_one_call_and_a_meter_that_it_has() {
    let kimi = json!({"model": "kimi-k2"});
    let table = [
        (
            json!({"items": [kimi, kimi]}),
            Meter::InputTokens,
            Code::InvalidRequest,
        ),
        (
            json!({"credits": 1, "description": "x"}),
            Meter::InputTokens,
            Code::InvalidRequest,
        ),
        (
            json!({"model": "gpt-5"}),
            Meter::InputTokens,
            Code::UnknownModel,
        ),
        (kimi.clone(), Meter::Images, Code::UnknownMeter),
        (
            json!({"model": "kimi-k2", "usage": {"images": 1}}),
            Meter::InputTokens,
            Code::UnknownMeter,
        ),
    ];
    for (body, meter, code) in table {
        let refusal = afford(&published(), body.clone(), meter, credits(9.0)).unwrap_err();
        assert_eq!(refusal.code, code, "{body}");
    }
}

#[test]
fn quantities_survive_being_stored() {
    let usage = Quantities::NONE
        .with(Meter::OutputTokens, Quantity::whole(7))
        .with(Meter::Seconds, Quantity::from_thousandths(1_125));
    let stored = json!({"output_tokens": 7, "seconds": 1.125});
    assert_eq!(serde_json::to_value(usage).unwrap(), stored);
    assert_eq!(serde_json::from_value::<Quantities>(stored).unwrap(), usage);
    let sum = usage.checked_add(&usage).unwrap();
    assert_eq!(sum.get(Meter::Seconds), Quantity::from_thousandths(2_250));
    let most = Quantities::NONE.with(Meter::Uses, Quantity::whole(u64::MAX));
    assert_eq!(most.checked_add(&most), None);
}

proptest! {
    #[test]
    fn the_parts_of_a_price_always_add_up(
        tokens in prop::collection::vec((0_u32..20_000_000, 0_u32..20_000_000), 1..6),
        thousandths in 0_u64..9_000_000,
        flat in 0_i64..50_000_000,
    ) {
        let catalog = thirds();
        let mut items: Vec<Item> = tokens
            .iter()
            .map(|(input, output)| model_item("third", Quantities::NONE
                .with(Meter::InputTokens, Quantity::whole(u64::from(*input)))
                .with(Meter::OutputTokens, Quantity::whole(u64::from(*output)))))
            .collect();
        let seconds = Quantity::from_thousandths(thousandths);
        items.push(model_item("clip", Quantities::NONE.with(Meter::Seconds, seconds)));
        items.push(Item::Flat { credits: Credits::from_micros(flat), description: "x".to_owned() });
        for waives in [false, true] {
            let price = price(&PricedRequest { items: items.clone() }, catalog.increment(), |id| {
                catalog.model(id).map(|model| Offer { model, waived: waives && id == "third" })
            }).unwrap();
            prop_assert_eq!(parts(&price), price.credits);
            prop_assert!(price.credits <= price.list_credits);
            prop_assert_eq!(price.credits.micros() % catalog.increment().micros(), 0);
            // Rounding is less than one increment and what the cut-off lines lost.
            let most = catalog.increment().micros() + i64::try_from(price.lines.len()).unwrap();
            prop_assert!((0..most).contains(&price.rounding.micros()));
        }
    }

    #[test]
    fn a_price_never_falls_as_a_quantity_rises(
        position in 0_usize..37, quantity in 0_u64..50_000, more in 0_u64..50_000,
    ) {
        let catalog = published();
        let model = &catalog.models()[position];
        let meter = model.meters().last().unwrap();
        let at = |quantity| unwaived(&catalog, &model.id, meter, Quantity::whole(quantity)).unwrap();
        prop_assert!(at(quantity) <= at(quantity + more));
    }

    #[test]
    fn one_more_than_is_affordable_is_not(
        position in 0_usize..37, budget in 0_i64..Credits::LIMIT.micros(),
    ) {
        let catalog = published();
        let model = &catalog.models()[position];
        let meter = model.meters().next().unwrap();
        check_affordable(&catalog, &model.id, meter, Credits::from_micros(budget));
    }

    #[test]
    fn one_more_than_is_affordable_is_not_at_rates_without_an_end(budget in 0_i64..1_000_000_000) {
        let catalog = thirds();
        for (model, meter) in
            [("third", Meter::InputTokens), ("third", Meter::OutputTokens), ("clip", Meter::Seconds)]
        {
            check_affordable(&catalog, model, meter, Credits::from_micros(budget));
        }
    }
}

fn model_item(model: &str, usage: Quantities) -> Item {
    Item::Model {
        model: model.to_owned(),
        usage,
        usage_max: None,
        path: String::new(),
    }
}

fn unwaived(
    catalog: &Catalog,
    model: &str,
    meter: Meter,
    quantity: Quantity,
) -> Result<Credits, Refusal> {
    let items = vec![model_item(model, Quantities::NONE.with(meter, quantity))];
    price(&PricedRequest { items }, catalog.increment(), |id| {
        catalog.model(id).map(|model| Offer {
            model,
            waived: false,
        })
    })
    .map(|price| price.credits)
}

fn check_affordable(catalog: &Catalog, model: &str, meter: Meter, budget: Credits) {
    let most = afford(catalog, json!({"model": model}), meter, budget)
        .unwrap()
        .unwrap();
    assert!(unwaived(catalog, model, meter, most).unwrap() <= budget);
    let step = if meter == Meter::Seconds {
        Quantity::from_thousandths(1)
    } else {
        Quantity::whole(1)
    };
    let above = unwaived(catalog, model, meter, most.checked_add(step).unwrap());
    assert!(
        above.is_err() || above.unwrap() > budget,
        "{model} {meter} {most} {budget}"
    );
}
