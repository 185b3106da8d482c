//! The same answer everywhere: `tests/vectors/vectors.json` is what the core answers natively, and what the npm package
//! and the Worker are held to. `EDGE_CREDITS_VECTORS=write cargo test --test vectors` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use std::fmt::Write;
use std::fs;

use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::credits::Credits;
use edge_credits::estimate::{account_estimate, estimate};
use edge_credits::meter::Meter;
use edge_credits::price::{Offer, affordable};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::request::PricedRequest;
use edge_credits::snapshot::Snapshot;
use edge_credits::value::{Fields, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::Serialize;
use serde_json::json;
use support::{Json, Ledger, call, value, with};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/vectors.json");
/// How many requests are drawn by chance, always the same ones.
const DRAWN: usize = 300;

#[test]
fn the_core_answers_what_the_vectors_say() {
    let vectors = vectors();
    if std::env::var("EDGE_CREDITS_VECTORS").is_ok_and(|wish| wish == "write") {
        fs::write(FILE, &vectors).unwrap();
    }
    let written = fs::read_to_string(FILE).unwrap();
    let differing = vectors
        .lines()
        .zip(written.lines())
        .find(|(now, then)| now != then);
    assert_eq!(differing, None, "this core's answer and the written one");
    assert!(vectors == written, "the vectors are not of the same length");
}

#[test]
fn a_snapshot_gives_the_estimate_that_the_account_gives() {
    for (ledger, at) in ledgers() {
        let settled = ledger.account().settled(support::time(&at), ledger.catalog);
        let views = [
            serde_json::to_value(settled.account_view()).unwrap(),
            serde_json::to_value(settled.balance_view()).unwrap(),
        ];
        // A balance alone knows neither of perks nor of limits.
        let says_all = settled.account.perks.is_empty() && settled.wallet().limits.room().is_none();
        for body in requests() {
            let request = read(&body).unwrap();
            let live = account_estimate(&request, ledger.catalog, settled.wallet()).unwrap();
            for view in views.iter().take(if says_all { 2 } else { 1 }) {
                let snapshot = Snapshot::parse(&value(view.clone())).unwrap();
                let previewed = account_estimate(&request, ledger.catalog, snapshot.wallet());
                assert_eq!(previewed.unwrap(), live, "{body} of {view}");
            }
        }
    }
}

/// Accounts in various straits, and when they are looked at.
fn ledgers() -> Vec<(Ledger, String)> {
    let noon = |day: u8| format!("2026-03-{day:02}T12:00:00Z");
    let bird = Ledger::open_at(&noon(1), json!({"plan": "max", "perks": ["early_bird"]}));
    let (mixed, _) = Ledger::with_grants(&[
        json!({"kind": "bonus", "credits": 40, "scope": ["video"], "expires_at": "2026-04-01T00:00:00Z"}),
        json!({"kind": "pack", "credits": 12.5, "priority": 60}),
        json!({"kind": "promotion", "credits": 7, "scope": ["advanced", "image"], "priority": 10}),
        json!({"kind": "adjustment", "credits": 3.000001, "effective_at": "2026-03-02T00:00:00Z"}),
    ]);
    // A hold that outlives the day whose credits it holds.
    let mut held = Ledger::open("free");
    held.at("2026-03-01T23:59:00Z").reserve(60);
    let mut owing = Ledger::open("free");
    let hold = owing.reserve(50);
    owing.capture(hold, call("flux-schnell", 400));
    let mut limited = Ledger::open("max");
    limited.limit(json!({"day": 30, "month": 60.5}));
    limited.at(&noon(4)).spend(22);
    limited.at(&noon(5)).spend(5);
    limited.reserve(4);
    vec![
        (Ledger::open("free"), noon(1)),
        (Ledger::open("maker"), noon(3)),
        (bird, noon(9)),
        (mixed, noon(2)),
        (held, "2026-03-02T00:01:00Z".to_owned()),
        (owing, noon(1)),
        (limited, noon(5)),
    ]
}

/// Requests that have a price.
fn requests() -> Vec<Json> {
    vec![
        json!({"model": "kimi-k2", "usage": {"input_tokens": 1200, "output_tokens": 800}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": 2500}}),
        json!({"model": "claude-opus-4.1", "usage": {"input_tokens": 1, "cached_input_tokens": 2, "cache_write_tokens": 3, "output_tokens": 4}}),
        json!({"model": "gpt-4o", "usage": {}}),
        json!({"model": "gpt-4o", "usage": {"input_tokens": 0, "output_tokens": 1e3}}),
        json!({"model": "veo-3", "usage": {"seconds": 7.125}}),
        json!({"model": "veo-3-fast-audio", "usage": {"seconds": 0.001}}),
        json!({"model": "flux-schnell", "usage": {"images": 3}, "usage_max": {"images": 90}}),
        json!({"model": "elevenlabs-turbo-v2.5", "usage": {"uses": 2}}),
        json!({"model": "claude-sonnet-4", "usage_format": "openai", "usage": {"prompt_tokens": 900, "completion_tokens": 34, "total_tokens": 934, "prompt_tokens_details": {"cached_tokens": 200, "audio_tokens": null}}}),
        json!({"model": "claude-sonnet-4", "usage_format": "openai", "usage": {"input_tokens": 900, "output_tokens": 34}, "usage_max": {"output_tokens": 4096}}),
        json!({"model": "claude-sonnet-4", "usage_format": "anthropic", "usage": {"input_tokens": 11, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 77, "output_tokens": 300, "service_tier": "standard"}}),
        json!({"model": "gemini-2.5-pro", "usage_format": "gemini", "usage": {"promptTokenCount": 500, "cachedContentTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 600, "toolUsePromptTokenCount": 9}}),
        json!({"credits": 2.5, "description": "a document, parsed"}),
        json!({"credits": 0, "description": "Ünïcödé — 🧮"}),
        json!({"items": [
            {"model": "kimi-k2", "usage": {"input_tokens": 2500}},
            {"model": "flux-dev", "usage": {"images": 2}, "usage_max": {"images": 4}},
            {"credits": 0.000001, "description": "dust"},
        ]}),
        json!({"items": [
            {"model": "kimi-k2", "usage": {"input_tokens": 2500}},
            {"model": "gpt-4.1", "usage": {"output_tokens": 123}},
        ]}),
    ]
}

/// Requests that are refused.
fn refused() -> Vec<Json> {
    let usage = |quantity: Json| json!({"model": "veo-3", "usage": {"seconds": quantity}});
    let mut deep = json!(1);
    for _ in 0..20 {
        deep = json!({ "a": deep });
    }
    vec![
        json!({}),
        json!([]),
        json!("kimi-k2"),
        json!(null),
        json!({"model": "gpt-5", "usage": {"input_tokens": 1}}),
        json!({"model": 5, "usage": {}}),
        json!({"model": "kimi-k2"}),
        json!({"model": "kimi-k2", "usage": []}),
        json!({"model": "kimi-k2", "usage": {"tokens": 1}}),
        json!({"model": "kimi-k2", "usage": {"images": 1}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": -1}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": 1.5}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": "12"}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": null}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": true}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": 1e300}}),
        json!({"model": "kimi-k2", "usage": {"input_tokens": 9_007_199_254_740_991_u64}}),
        json!({"model": "kimi-k2", "usage": {}, "user": "ada"}),
        json!({"model": "kimi-k2", "usage": {}, "usage_format": "cohere"}),
        json!({"model": "kimi-k2", "usage": {"promptTokenCount": 1, "cachedContentTokenCount": 2}, "usage_format": "gemini"}),
        usage(json!(0.0001)),
        usage(json!(1e15)),
        json!({"items": []}),
        json!({"items": [{"model": "kimi-k2", "usage": {}}, {"model": "veo-3", "usage": {"seconds": -1}}]}),
        json!({"items": [{"model": "kimi-k2", "usage": {}}], "model": "kimi-k2"}),
        json!({"credits": 1e9, "description": "all of it"}),
        json!({"credits": 0.0000001, "description": "too fine"}),
        json!({"credits": 1, "description": ""}),
        json!({"credits": 1}),
        json!({"model": "kimi-k2", "usage": deep}),
    ]
}

/// A catalog of rates whose lines have no end, charged in hundredths of a credit.
fn thirds() -> Json {
    json!({
        "increment": 0.01,
        "models": [
            {"id": "third", "name": "Third", "modality": "text", "tags": [], "rates": [
                {"meters": ["input_tokens"], "per": 3, "rate": 1},
                {"meters": ["output_tokens"], "per": 7, "rate": 0.000001},
                {"meters": ["uses"], "per": 1, "rate": 0},
            ]},
            {"id": "clip", "name": "Clip", "modality": "video", "tags": ["slow"], "rates": [
                {"meters": ["seconds"], "per": 9, "rate": 2.5},
            ]},
        ],
    })
}

/// Requests drawn by chance: of every model, of quantities of every size.
fn drawn(catalog: &Catalog) -> Vec<Json> {
    let quantity = prop_oneof![
        0..10_u64,
        0..100_000_u64,
        0..10_000_000_000_u64,
        0..(1_u64 << 53)
    ];
    let call = (
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), quantity), 0..4),
    );
    let models = catalog.models();
    let item = |(model, usage): (prop::sample::Index, Vec<(prop::sample::Index, u64)>)| {
        let model = model.get(models);
        let meters: Vec<Meter> = model.meters().collect();
        let usage: serde_json::Map<String, Json> = usage
            .into_iter()
            .map(|(meter, quantity)| match meter.get(&meters) {
                Meter::Seconds => ("seconds".to_owned(), json!(quantity as f64 / 1e3)),
                meter => (meter.to_string(), json!(quantity)),
            })
            .collect();
        json!({"model": model.id, "usage": usage})
    };
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    (0..DRAWN)
        .map(|place| {
            if place % 10 == 0 {
                let items = prop::collection::vec(call.clone(), 1..4).new_tree(&mut runner);
                let items: Vec<Json> = items.unwrap().current().into_iter().map(item).collect();
                json!({ "items": items })
            } else {
                item(call.new_tree(&mut runner).unwrap().current())
            }
        })
        .collect()
}

/// Snapshots that cannot be read, made of one that can.
fn broken_snapshots(account: &Json) -> Vec<Json> {
    let balance = &account["balance"];
    let grant = |change: &dyn Fn(&mut Json)| {
        let mut balance = balance.clone();
        change(&mut balance["grants"][0]);
        balance
    };
    let mut bare = balance.clone();
    bare.as_object_mut().unwrap().remove("as_of");
    vec![
        json!(null),
        json!([]),
        json!("ada"),
        json!({}),
        json!({"balance": 5}),
        json!({"balance": {"available": 1, "held": 0, "owed": 0}}),
        with(account.clone(), "perks", "early_bird"),
        with(account.clone(), "perks", json!([1])),
        bare,
        with(balance.clone(), "as_of", "yesterday"),
        with(balance.clone(), "available", 1),
        with(balance.clone(), "available", "100"),
        with(balance.clone(), "held", json!(null)),
        with(balance.clone(), "owed", -1),
        with(balance.clone(), "grants", json!({})),
        with(balance.clone(), "grants", json!([null])),
        grant(&|grant| grant["remaining"] = json!(0.0000001)),
        grant(&|grant| grant["remaining"] = json!("100")),
        grant(&|grant| grant["kind"] = json!("gift")),
        grant(&|grant| grant["category"] = json!(1)),
        grant(&|grant| grant["priority"] = json!(101)),
        grant(&|grant| grant["priority"] = json!(null)),
        grant(&|grant| grant["scope"] = json!("video")),
        grant(&|grant| grant["effective_at"] = json!(0)),
        grant(&|grant| grant["expires_at"] = json!("2026-02-30T00:00:00Z")),
        grant(&|grant| grant["id"] = json!(null)),
    ]
}

fn read(body: &Json) -> Result<PricedRequest, Refusal> {
    let body = deep_value(body)?;
    PricedRequest::parse(&Fields::read(&body, "", &PricedRequest::FIELDS)?, true)
}

fn deep_value(body: &Json) -> Result<Value, Refusal> {
    serde_json::from_value(body.clone())
        .map_err(|error| Refusal::new(Code::InvalidRequest, error.to_string()))
}

fn affordable_quantity(case: &Json, catalog: &Catalog) -> Result<Json, Refusal> {
    let body = deep_value(&case["request"])?;
    let request = PricedRequest::parse_open(&Fields::read(&body, "", &PricedRequest::FIELDS)?)?;
    let name = case["meter"].as_str().unwrap();
    let meter = Meter::parse(name).ok_or_else(|| {
        Refusal::new(Code::UnknownMeter, format!("`{name}` is not a meter")).at("meter")
    })?;
    let credits = Credits::parse(&value(case["credits"].clone()), "credits")?;
    let offer = |model: &str| {
        catalog.model(model).map(|model| Offer {
            model,
            waived: false,
        })
    };
    let most = affordable(&request, meter, credits, catalog.increment(), &offer)?;
    Ok(serde_json::to_value(most).unwrap())
}

/// The file: what is asked of which catalog, and what is answered.
fn vectors() -> String {
    let published: Json = serde_json::from_str(PUBLISHED).unwrap();
    let catalogs = [("published", published), ("thirds", thirds())];
    let mut cases = Vec::new();
    for (name, source) in &catalogs {
        let catalog = Catalog::parse(&value(source.clone())).unwrap();
        let mut asked = drawn(&catalog);
        if *name == "published" {
            asked.extend(requests());
            asked.extend(refused());
        }
        for request in asked {
            let answer =
                read(&request).and_then(|request| estimate(&request, &catalog).map(json_of));
            cases.push(answered(
                json!({"call": "estimate", "catalog": name, "request": request}),
                answer,
            ));
        }
        for case in affordable_questions() {
            let answer = affordable_quantity(&case, &catalog);
            cases.push(answered(with(case, "catalog", *name), answer));
        }
    }

    let catalog = support::published();
    let preview = |account: &Json, request: &Json| {
        let answer = (|| {
            let snapshot = Snapshot::parse(&value(account.clone()))?;
            Ok(json_of(account_estimate(
                &read(request)?,
                catalog,
                snapshot.wallet(),
            )?))
        })();
        answered(
            json!({"call": "preview", "catalog": "published", "account": account, "request": request}),
            answer,
        )
    };
    for (ledger, at) in ledgers() {
        let settled = ledger.account().settled(support::time(&at), catalog);
        let account = json_of(settled.account_view());
        cases.extend(requests().iter().map(|request| preview(&account, request)));
        cases.push(preview(&account["balance"], &requests()[0]));
    }
    let account = json_of(
        Ledger::open("free")
            .account()
            .settled(support::time("2026-03-01T12:00:00Z"), catalog)
            .account_view(),
    );
    let newer = with(
        with(account.clone(), "colour", "blue"),
        "flags",
        json!([{}]),
    );
    cases.push(preview(&newer, &requests()[0]));
    cases.push(preview(&account, &refused()[4]));
    cases.extend(
        broken_snapshots(&account)
            .iter()
            .map(|broken| preview(broken, &requests()[0])),
    );

    let mut file = String::from("{\n\"catalogs\": {\n");
    let listed: Vec<String> = catalogs
        .iter()
        .map(|(name, source)| {
            let hash = Catalog::parse(&value(source.clone()))
                .unwrap()
                .hash()
                .to_owned();
            // The published one is a file of its own.
            let source = if *name == "published" {
                &Json::Null
            } else {
                source
            };
            format!("\"{name}\": {}", json!({"hash": hash, "source": source}))
        })
        .collect();
    let lines: Vec<String> = cases.iter().map(Json::to_string).collect();
    write!(
        file,
        "{}\n}},\n\"cases\": [\n{}\n]\n}}\n",
        listed.join(",\n"),
        lines.join(",\n")
    )
    .unwrap();
    file
}

fn affordable_questions() -> Vec<Json> {
    let ask = |request: Json, meter: &str, credits: Json| json!({"call": "affordable", "request": request, "meter": meter, "credits": credits});
    let kimi = json!({"model": "kimi-k2", "usage": {"input_tokens": 1200}});
    vec![
        ask(json!({"model": "kimi-k2"}), "output_tokens", json!(100)),
        ask(kimi.clone(), "output_tokens", json!(1)),
        ask(kimi.clone(), "input_tokens", json!(0.999999)),
        ask(kimi.clone(), "output_tokens", json!(0)),
        ask(kimi.clone(), "seconds", json!(10)),
        ask(kimi.clone(), "tokens", json!(10)),
        ask(kimi.clone(), "output_tokens", json!(-1)),
        ask(kimi.clone(), "output_tokens", json!("10")),
        ask(kimi.clone(), "output_tokens", json!(1e9)),
        ask(json!({"model": "veo-3"}), "seconds", json!(1000)),
        ask(
            json!({"model": "claude-opus-4", "usage_format": "anthropic", "usage": {"cache_read_input_tokens": 77}}),
            "output_tokens",
            json!(53),
        ),
        ask(json!({"items": [kimi.clone()]}), "output_tokens", json!(10)),
        ask(
            json!({"model": "kimi-k2", "usage_max": {}}),
            "output_tokens",
            json!(10),
        ),
        ask(
            json!({"model": "third", "usage": {"output_tokens": 5}}),
            "input_tokens",
            json!(1.239),
        ),
        ask(json!({"model": "third"}), "uses", json!(1)),
        ask(
            json!({"model": "third"}),
            "output_tokens",
            json!(999_999_999),
        ),
        ask(json!({"model": "clip"}), "seconds", json!(0.019)),
    ]
}

fn json_of(answer: impl Serialize) -> Json {
    serde_json::to_value(answer).unwrap()
}

fn answered(case: Json, answer: Result<Json, Refusal>) -> Json {
    match answer {
        Ok(answer) => with(case, "answer", answer),
        Err(refusal) => {
            let field = refusal.field.as_ref().filter(|field| !field.is_empty());
            let refusal =
                json!({"code": refusal.code.as_str(), "detail": refusal.detail, "field": field});
            with(case, "refusal", refusal)
        }
    }
}
