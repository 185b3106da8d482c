//! The published catalog, and what a catalog may be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::credits::Credits;
use edge_credits::meter::Meter;
use edge_credits::model::{Modality, Model};
use edge_credits::plan::{Family, Feature};
use edge_credits::rate::Rate;
use edge_credits::refusal::{Code, Refusal};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");

fn parse(catalog: &Value) -> Result<Catalog, Refusal> {
    Catalog::parse(&serde_json::from_value(catalog.clone()).unwrap())
}

fn published_json() -> Value {
    serde_json::from_str(PUBLISHED).unwrap()
}

fn published() -> Catalog {
    parse(&published_json()).unwrap()
}

/// The rows of the tables below a heading of the README, table by table.
fn readme_tables(heading: &str) -> Vec<Vec<Vec<String>>> {
    let section = README.split(&format!("## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section
        .split("\n\n")
        .filter(|block| block.trim_start().starts_with('|'))
        .map(|block| {
            let rows = block.trim().lines().skip(2);
            rows.map(|row| row.trim_matches('|').split(" | ").map(cell).collect())
                .collect()
        })
        .collect()
}

fn cell(text: &str) -> String {
    text.trim().trim_matches('`').to_owned()
}

#[test]
fn the_readme_shows_every_price_of_the_catalog() {
    let catalog = published();
    let tokens = [
        Meter::InputTokens,
        Meter::CachedInputTokens,
        Meter::CacheWriteTokens,
        Meter::OutputTokens,
    ];
    let kinds: [(Modality, &[Meter], u64); 4] = [
        (Modality::Text, &tokens, 5000),
        (Modality::Image, &[Meter::Images], 1),
        (Modality::Video, &[Meter::Seconds], 1),
        (Modality::Audio, &[Meter::Uses], 1),
    ];
    let mut shown = Vec::new();
    let tables = readme_tables("Prices");
    assert_eq!(tables.len(), kinds.len());
    for (table, (modality, meters, per)) in tables.iter().zip(kinds) {
        for row in table {
            let [name, id, credits] = row.as_slice() else {
                panic!("{row:?}")
            };
            let model = catalog.model(id).unwrap_or_else(|| panic!("no model {id}"));
            let [rate] = model.rates.as_slice() else {
                panic!("{id} has one rate")
            };
            assert_eq!((&model.name, model.modality), (name, modality));
            assert_eq!((rate.meters(), rate.per()), (meters, per), "{id}");
            let listed: i64 = credits.parse().unwrap();
            assert_eq!(rate.rate(), Decimal::from(listed), "{id}");
            shown.push(id.as_str());
        }
    }
    let listed: Vec<&str> = catalog
        .models()
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(shown, listed);
    assert_eq!(listed.len(), 37);
}

#[test]
fn charges_are_rounded_up_to_whole_credits() {
    assert_eq!(published().increment(), Credits::whole(1));
}

#[test]
fn advanced_models_are_text_models_at_10_credits_or_more() {
    for model in published().models() {
        let [rate] = model.rates.as_slice() else {
            panic!("{} has one rate", model.id)
        };
        let is_advanced = model.modality == Modality::Text && rate.rate() >= Decimal::TEN;
        assert_eq!(
            model.tags().any(|tag| tag == "advanced"),
            is_advanced,
            "{}",
            model.id
        );
    }
}

#[test]
fn a_scope_covers_a_model_by_any_of_its_tags() {
    let catalog = published();
    let table: [(&str, &[&str], bool); 8] = [
        ("grok-4", &["advanced"], true),
        ("grok-4", &["text"], true),
        ("grok-4", &["multimodal"], false),
        ("kimi-k2", &["advanced"], false),
        ("veo-3", &["advanced", "multimodal"], true),
        ("veo-3", &["video"], true),
        ("bark", &["image", "video"], false),
        ("bark", &[], false),
    ];
    for (model, scope, expected) in table {
        let scope: Vec<String> = scope.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(
            catalog.model(model).unwrap().is_covered_by(&scope),
            expected,
            "{model} {scope:?}"
        );
    }
}

#[test]
fn legacy_packages_are_retained_and_every_plan_has_its_allowances() {
    let table = [
        ("free", Family::Current, Some(100), None, 100, 5),
        ("starter", Family::Current, Some(300), Some(2000), 200, 10),
        ("maker", Family::Current, Some(300), Some(4000), 500, 20),
        ("plus", Family::Legacy, None, Some(700), 200, 10),
        ("pro", Family::Legacy, None, Some(1300), 500, 20),
        ("max", Family::Legacy, None, Some(2000), 1000, 20),
    ];
    let catalog = published();
    assert_eq!(catalog.plans().len(), table.len());
    for (id, family, daily, monthly, uploads, mebibytes) in table {
        let plan = catalog.plan(id).unwrap();
        assert_eq!(plan.family, family);
        assert_eq!(plan.daily, daily.map(Credits::whole));
        assert_eq!(plan.monthly, monthly.map(Credits::whole));
        assert_eq!(
            *plan.features.get("file_uploads").unwrap(),
            Feature::Limit { limit: uploads }
        );
        assert_eq!(
            *plan.features.get("max_file_bytes").unwrap(),
            Feature::Static {
                value: mebibytes << 20
            }
        );
    }
}

#[test]
fn the_early_bird_list_is_the_guides() {
    let models = [
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
    assert_eq!(published().perk("early_bird").unwrap().models, models);
}

#[test]
fn what_is_not_in_the_catalog_is_not_found() {
    let catalog = published();
    assert!(catalog.model("gpt-5").is_none());
    assert!(catalog.model("").is_none());
    assert!(catalog.plan("Free").is_none());
    assert!(catalog.perk("unlimited").is_none());
    for model in catalog.models() {
        assert_eq!(catalog.model(&model.id), Some(model));
    }
}

#[test]
fn what_the_catalog_answers_is_a_catalog() {
    let catalog = published();
    let answer = serde_json::to_value(&catalog).unwrap();
    let mut expected = published_json();
    expected["hash"] = json!(catalog.hash());
    assert_eq!(answer, expected);
    assert_eq!(parse(&answer).unwrap(), catalog);
}

#[test]
fn the_hash_is_of_the_content_alone() {
    let hash = published().hash().to_owned();
    assert_eq!(hash.len(), 64);
    assert!(
        hash.bytes()
            .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    );

    // In the file the fields have an order; here they are alphabetical, and without white space.
    let as_in_the_file = Catalog::parse(&serde_json::from_str(PUBLISHED).unwrap()).unwrap();
    assert_eq!(as_in_the_file.hash(), hash);
    let compact = published_json().to_string();
    assert_eq!(
        Catalog::parse(&serde_json::from_str(&compact).unwrap())
            .unwrap()
            .hash(),
        hash
    );
    let mut stale = published_json();
    stale["hash"] = json!("0000");
    assert_eq!(parse(&stale).unwrap().hash(), hash);
    let mut spelled_out = published_json();
    spelled_out["models"][0]["rates"][0]["rate"] = json!(11.0);
    assert_eq!(parse(&spelled_out).unwrap().hash(), hash);

    let changes: [(&str, Value); 7] = [
        ("/increment", json!(0.5)),
        ("/models/0/name", json!("Sonnet")),
        ("/models/0/rates/0/rate", json!(11.000001)),
        ("/models/0/rates/0/per", json!(5001)),
        ("/models/0/tags", json!([])),
        ("/plans/0/daily", json!(101)),
        ("/perks/0/models", json!(["kimi-k2"])),
    ];
    for (pointer, value) in changes {
        let mut changed = published_json();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_ne!(parse(&changed).unwrap().hash(), hash, "{pointer}");
    }
}

#[test]
fn a_catalog_that_cannot_be_used_says_where() {
    let rate = "/models/1/rates/0";
    let two_rates = json!([
        {"meters": ["images"], "per": 1, "rate": 1},
        {"meters": ["uses", "images"], "per": 1, "rate": 1},
    ]);
    let table = [
        ("", "increment", json!(0), "increment"),
        ("", "increment", json!(0.0000001), "increment"),
        ("", "increment", json!(null), "increment"),
        ("", "offers", json!([]), "offers"),
        ("", "hash", json!(7), "hash"),
        ("", "models", json!({}), "models"),
        ("/models/1", "id", json!("claude-sonnet-4"), "models[1].id"),
        ("/models/1", "id", json!("Claude"), "models[1].id"),
        ("/models/1", "id", json!("x".repeat(65)), "models[1].id"),
        ("/models/1", "name", json!(""), "models[1].name"),
        (
            "/models/1",
            "modality",
            json!("smell"),
            "models[1].modality",
        ),
        ("/models/1", "tags", json!(["a", "a"]), "models[1].tags"),
        ("/models/1", "tags", json!(["video"]), "models[1].tags"),
        ("/models/1", "tags", json!([1]), "models[1].tags[0]"),
        ("/models/1", "price", json!(1), "models[1].price"),
        ("/models/1", "rates", json!([]), "models[1].rates"),
        ("/models/1", "rates", two_rates, "models[1].rates"),
        (
            rate,
            "meters",
            json!(["tokens"]),
            "models[1].rates[0].meters[0]",
        ),
        (rate, "meters", json!([]), "models[1].rates[0].meters"),
        (rate, "per", json!(0), "models[1].rates[0].per"),
        (rate, "per", json!(1.5), "models[1].rates[0].per"),
        (rate, "per", json!(2e12), "models[1].rates[0].per"),
        (rate, "rate", json!(-1), "models[1].rates[0].rate"),
        (rate, "rate", json!(1e9), "models[1].rates[0].rate"),
        (rate, "rate", json!(0.0000001), "models[1].rates[0].rate"),
        (rate, "rate", json!("11"), "models[1].rates[0].rate"),
        // Together with the 5,000 of the others there is no small common multiple.
        (rate, "per", json!(999_999_999_989_u64), "models"),
        ("/plans/1", "id", json!("free"), "plans[1].id"),
        ("/plans/1", "family", json!("old"), "plans[1].family"),
        ("/plans/1", "daily", json!(0), "plans[1].daily"),
        ("/plans/1", "monthly", json!(-5), "plans[1].monthly"),
        ("/plans/1", "features", json!([]), "plans[1].features"),
        (
            "/plans/1/features",
            "file_uploads",
            json!({"type": "many"}),
            "plans[1].features.file_uploads.type",
        ),
        (
            "/plans/1/features",
            "file_uploads",
            json!({"type": "limit", "value": 5}),
            "plans[1].features.file_uploads.value",
        ),
        (
            "/perks/0",
            "models",
            json!(["kimi-k2", "gpt-5"]),
            "perks[0].models[1]",
        ),
        (
            "/perks/0",
            "models",
            json!(["kimi-k2", "kimi-k2"]),
            "perks[0].models",
        ),
    ];
    for (pointer, name, value, field) in table {
        let mut catalog = published_json();
        catalog.pointer_mut(pointer).unwrap()[name] = value.clone();
        let refusal = parse(&catalog).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidCatalog);
        assert_eq!(
            refusal.field.as_deref(),
            Some(field),
            "{name}: {value}: {}",
            refusal.detail
        );
    }
    assert_eq!(
        parse(&json!("catalog")).unwrap_err().code,
        Code::InvalidCatalog
    );
}

#[test]
fn a_catalog_may_give_each_meter_its_own_rate_and_leave_plans_out() {
    let catalog = parse(&json!({
        "increment": 0.000001,
        "models": [{"id": "m", "name": "M", "modality": "text", "rates": [
            {"meters": ["output_tokens"], "per": 1_000_000, "rate": 15},
            {"meters": ["cache_write_tokens", "input_tokens"], "per": 1_000_000, "rate": 3.75},
        ]}],
    }))
    .unwrap();
    let model = catalog.model("m").unwrap();
    let rates: Vec<_> = Meter::ALL
        .iter()
        .map(|meter| model.rate(*meter).map(Rate::rate))
        .collect();
    let (input, output) = (Decimal::new(375, 2), Decimal::from(15));
    let expected = [
        Some(input),
        None,
        Some(input),
        Some(output),
        None,
        None,
        None,
    ];
    assert_eq!(rates, expected);
    assert!(catalog.plans().is_empty() && catalog.perks().is_empty());
}

#[test]
fn a_stored_model_keeps_its_rates_and_cannot_get_impossible_ones() {
    let catalog = published();
    let model = catalog.model("veo-3").unwrap();
    let mut stored = serde_json::to_value(model).unwrap();
    assert_eq!(
        serde_json::from_value::<Model>(stored.clone()).unwrap(),
        *model
    );
    stored["rates"][0]["per"] = json!(0);
    assert!(serde_json::from_value::<Model>(stored).is_err());
}
