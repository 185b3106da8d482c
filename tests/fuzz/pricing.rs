//! Priced requests, usage formats and catalogs: what is accepted has a price whose parts add up, or a reason why not.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use edge_credits::catalog::Catalog;
use edge_credits::credits::Credits;
use edge_credits::estimate::estimate;
use edge_credits::meter::{Meter, Quantities, Quantity};
use edge_credits::price::{Line, Offer, Price, affordable, price};
use edge_credits::refusal::Code;
use edge_credits::request::{Item, PricedRequest};
use edge_credits::usage_format::UsageFormat;
use edge_credits::value::{Fields, Value};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::{Json, catalog_with, published, value};
use crate::trees::near;
use crate::{Check, fuzz, has_reason, read, refused, requests};

/// Rates without an end, in hundredths of a credit, with every meter.
static ODD: LazyLock<&'static Catalog> = LazyLock::new(|| {
    catalog_with(|catalog| {
        catalog["increment"] = json!(0.01);
        let models = catalog["models"].as_array_mut().unwrap();
        for (place, model) in models.iter_mut().enumerate() {
            model["rates"][0]["per"] = json!([3, 7, 70_000, 1_000_000][place % 4]);
            model["rates"][0]["rate"] =
                json!([0.000_001, 1.0, 999_999_999.999_999, 2.5][place % 4]);
        }
    })
});

/// The same request, written by our meters.
fn written(request: &PricedRequest) -> Value {
    let meters = |usage: &Quantities| serde_json::to_value(usage).unwrap();
    let items = request.items.iter().map(|item| match item {
        Item::Flat {
            credits,
            description,
        } => json!({"credits": credits, "description": description}),
        Item::Model {
            model,
            usage,
            usage_max: None,
            ..
        } => json!({"model": model, "usage": meters(usage)}),
        Item::Model {
            model,
            usage,
            usage_max: Some(most),
            ..
        } => {
            // What is laid over a usage must also say what it is no more.
            let over: BTreeMap<_, _> = usage
                .iter()
                .map(|(meter, _)| (meter, Quantity::ZERO))
                .chain(most.iter())
                .collect();
            json!({"model": model, "usage": meters(usage), "usage_max": over})
        }
    });
    value(json!({"items": items.collect::<Vec<_>>()}))
}

fn without_paths(mut request: PricedRequest) -> PricedRequest {
    for item in &mut request.items {
        if let Item::Model { path, .. } = item {
            path.clear();
        }
    }
    request
}

fn adds_up(price: &Price, increment: Credits) -> Check {
    let counts = |line: &&Line| price.waived || !line.waived();
    let lines: Credits = price.lines.iter().filter(counts).map(Line::credits).sum();
    let total = if price.waived {
        price.list_credits
    } else {
        price.credits
    };
    prop_assert_eq!(lines + price.rounding, total);
    prop_assert!(Credits::ZERO <= price.credits && price.credits <= price.list_credits);
    prop_assert!(price.list_credits < Credits::LIMIT);
    prop_assert!(price.rounding >= Credits::ZERO);
    prop_assert_eq!(price.credits.micros() % increment.micros(), 0);
    prop_assert!(
        price
            .lines
            .iter()
            .all(|line| line.credits() >= Credits::ZERO)
    );
    Ok(())
}

fn check_price(request: &PricedRequest, catalog: &Catalog) -> Check {
    for waives in [None, Some(0), Some(1)] {
        let offer = |id: &str| {
            catalog.model(id).map(|model| Offer {
                model,
                waived: waives.is_some_and(|parity| id.len() % 2 == parity),
            })
        };
        match price(request, catalog.increment(), offer) {
            Ok(price) => adds_up(&price, catalog.increment())?,
            Err(refusal) => has_reason(&refusal)?,
        }
        for meter in Meter::ALL {
            for budget in [
                Credits::ZERO,
                Credits::from_micros(1),
                Credits::whole(100),
                Credits::LIMIT,
                Credits::from_micros(-1),
            ] {
                match affordable(request, meter, budget, catalog.increment(), &offer) {
                    Ok(Some(most)) => {
                        let (model, usage) = request.single_model().unwrap();
                        let item = Item::Model {
                            model: model.to_owned(),
                            usage: usage.with(meter, most),
                            usage_max: None,
                            path: String::new(),
                        };
                        let at_most = price(
                            &PricedRequest { items: vec![item] },
                            catalog.increment(),
                            offer,
                        );
                        prop_assert!(
                            at_most.is_ok_and(|price| price.credits <= budget.less(Credits::ZERO))
                        );
                    }
                    Ok(None) => {}
                    Err(refusal) => has_reason(&refusal)?,
                }
            }
        }
    }
    Ok(())
}

#[test]
fn priced_requests() {
    fuzz("priced requests", near(requests()), |body| {
        let mut is_accepted = false;
        for allows_max in [true, false] {
            let request = match read(&body, allows_max) {
                Ok(request) => request,
                Err(refusal) => {
                    has_reason(&refusal)?;
                    continue;
                }
            };
            is_accepted = true;
            let again = read(&written(&request), true);
            prop_assert_eq!(again.map(without_paths), Ok(without_paths(request.clone())));
            for catalog in [published(), *ODD] {
                check_price(&request, catalog)?;
                match estimate(&request, catalog) {
                    Ok(estimate) => prop_assert!(serde_json::to_string(&estimate).is_ok()),
                    Err(refusal) => has_reason(&refusal)?,
                }
                if let Some(most) = request.at_ceiling() {
                    check_price(&most, catalog)?;
                }
            }
        }
        if let Ok(fields) = Fields::read(&body, "", &PricedRequest::FIELDS)
            && let Ok(request) = PricedRequest::parse_open(&fields)
        {
            check_price(&request, published())?;
        }
        Ok(is_accepted)
    });
}

#[test]
fn usage_formats() {
    let usages: Vec<Json> = requests()
        .iter()
        .filter_map(|body| body.get("usage").cloned())
        .collect();
    let formats = select(UsageFormat::ALL.as_slice());
    fuzz(
        "usage formats",
        (formats, near(usages.clone()), near(usages)),
        |(format, usage, over)| {
            let read = format.read(&usage, "usage");
            if let Err(refusal) = &read {
                has_reason(refusal)?;
            }
            let quantities = read.unwrap_or_default();
            let stored = serde_json::to_value(quantities).unwrap();
            prop_assert_eq!(
                serde_json::from_value::<Quantities>(stored.clone()).unwrap(),
                quantities
            );
            prop_assert_eq!(UsageFormat::Meters.read(&value(stored), ""), Ok(quantities));
            match format.read_over(&quantities, &over, "usage_max") {
                Err(refusal) => refused(&refusal),
                Ok(laid) => {
                    // Laying the same over it once more changes nothing.
                    prop_assert_eq!(format.read_over(&laid, &over, "usage_max"), Ok(laid));
                    Ok(true)
                }
            }
        },
    );
}

#[test]
fn catalogs() {
    let whole: Json = serde_json::from_str(edge_credits::catalog::PUBLISHED).unwrap();
    let mut small = whole.clone();
    for (list, most) in [("models", 3), ("plans", 2), ("perks", 1)] {
        small[list].as_array_mut().unwrap().truncate(most);
    }
    small["perks"][0]["models"] = json!(["claude-sonnet-4"]);
    let finer = json!({"increment": 0.01, "models": [{"id": "third", "name": "Third", "modality": "text", "tags": ["a"],
        "rates": [{"meters": ["input_tokens"], "per": 3, "rate": 0.000_001}, {"meters": ["uses", "seconds"], "per": 1, "rate": 0}]}]});
    fuzz(
        "catalogs",
        near(vec![whole, small.clone(), small, finer]),
        |body| {
            let catalog = match Catalog::parse(&body) {
                Ok(catalog) => catalog,
                Err(refusal) => {
                    prop_assert_eq!(refusal.code, Code::InvalidCatalog);
                    return refused(&refusal);
                }
            };
            let again = Catalog::parse(
                &serde_json::from_str(&serde_json::to_string(&catalog).unwrap()).unwrap(),
            );
            prop_assert_eq!(again.as_ref(), Ok(&catalog));
            for model in catalog.models() {
                for quantity in [1, 4_999, 9_007_199_254_740_991] {
                    let usage = model.meters().fold(Quantities::NONE, |usage, meter| {
                        usage.with(meter, Quantity::whole(quantity))
                    });
                    let item = Item::Model {
                        model: model.id.clone(),
                        usage,
                        usage_max: None,
                        path: String::new(),
                    };
                    check_price(
                        &PricedRequest {
                            items: vec![item.clone(), item],
                        },
                        &catalog,
                    )?;
                }
            }
            Ok(true)
        },
    );
}
