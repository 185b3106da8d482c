//! Fuzzing: whatever is sent to a parser, it answers; what it accepts means one thing; what it refuses has a reason.
//!
//! `FUZZ_SECONDS=600 cargo test --test fuzz -- --nocapture` gives every property ten minutes instead of a few hundred
//! cases, and says how many cases there were. `FUZZ_SEED` repeats a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod accounts;
mod pricing;
#[path = "../support/mod.rs"]
mod support;
mod texts;
mod trees;

use std::cell::Cell;
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use edge_credits::refusal::Refusal;
use edge_credits::request::PricedRequest;
use edge_credits::value::{Fields, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::json;
use support::Json;

const CASES: u32 = 400;

/// Whether an input was accepted, where nothing is wrong with what came of it.
type Outcome = Result<bool, TestCaseError>;
type Check = Result<(), TestCaseError>;

/// Tries a property on many inputs, for as long as `FUZZ_SECONDS` says.
fn fuzz<S: Strategy>(name: &str, inputs: S, property: impl Fn(S::Value) -> Outcome) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let time = number("FUZZ_SECONDS").map(Duration::from_secs);
    // Long runs go somewhere else every time, the short ones of every test run the same way.
    let any_seed = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_micros() as u64)
    };
    let seed = number("FUZZ_SEED").unwrap_or_else(|| if time.is_some() { any_seed() } else { 1 });
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (start, mut cases, accepted) = (Clock::now(), 0_u64, Cell::new(0_u64));
    let counted = |input| {
        property(input).map(|is_accepted| accepted.set(accepted.get() + u64::from(is_accepted)))
    };
    loop {
        match runner.run(&inputs, counted) {
            Ok(()) => cases += u64::from(CASES),
            Err(TestError::Fail(reason, input)) => {
                panic!("{name}, FUZZ_SEED={seed}, after {cases} cases: {reason}\n{input:#?}")
            }
            Err(other) => panic!("{name}: {other}"),
        }
        if time.is_none_or(|time| start.elapsed() >= time) {
            break;
        }
        // A runner is for one run: the next goes on from where its chance is.
        runner = TestRunner::new_with_rng(runner.config().clone(), runner.new_rng());
    }
    println!(
        "{name}: {cases} cases, {} accepted, seed {seed}, {:.0?}",
        accepted.get(),
        start.elapsed()
    );
}

fn requests() -> Vec<Json> {
    let call = json!({"model": "kimi-k2", "usage": {"input_tokens": 1200, "output_tokens": 800}});
    let video = json!({"model": "veo-3", "usage": {"seconds": 2.125}, "usage_max": {"seconds": 8}});
    let flat = json!({"credits": 0.5, "description": "an upload"});
    let openai = json!({"model": "gpt-4o", "usage_format": "openai", "usage": {"prompt_tokens": 1900,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0}, "completion_tokens": 1400, "total_tokens": 3300}});
    let responses = json!({"model": "gpt-4.1", "usage_format": "openai", "usage": {"input_tokens": 5, "output_tokens": 9,
        "input_tokens_details": {"cached_tokens": 5}}, "usage_max": {"output_tokens": 4000, "cache_write_tokens": 3}});
    let anthropic = json!({"model": "claude-sonnet-4", "usage_format": "anthropic", "usage": {"input_tokens": 10,
        "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 40, "service_tier": "standard"}});
    let gemini = json!({"model": "gemini-2.5-pro", "usage_format": "gemini", "usage": {"promptTokenCount": 70,
        "cachedContentTokenCount": 20, "toolUsePromptTokenCount": 3, "candidatesTokenCount": 8, "thoughtsTokenCount": 900}});
    let workflow =
        json!({"items": [call, openai, flat, video, {"model": "bark", "usage": {"uses": 2}}]});
    let mut long = json!({"items": []});
    long["items"] = Json::Array(vec![
        json!({"model": "flux-schnell", "usage": {"images": 1}});
        40
    ]);
    vec![
        call, video, flat, openai, responses, anthropic, gemini, workflow, long,
    ]
}

/// The bodies of all calls with a body: the call, and its body.
fn bodies() -> Vec<Json> {
    let mut bodies = requests();
    for (place, body) in requests().into_iter().enumerate() {
        let extra = if place % 2 == 0 {
            ("on_excess", json!("owe"))
        } else {
            ("ttl_seconds", json!(900))
        };
        bodies.push(support::with(body, extra.0, extra.1));
    }
    bodies.extend([
        json!({"plan": "free", "time_zone": "Europe/Paris", "perks": ["early_bird"], "since": "2024-01-31T22:30:00Z"}),
        json!({"plan": "max"}),
        json!({"plan": "free"}),
        json!({"time_zone": "Asia/Kolkata", "display_name": "Ada"}),
        json!({"plan": "starter", "effective": "period_end", "dry_run": true}),
        json!({"ttl_seconds": 60}),
        json!({"credits": 3.5}),
        json!({"kind": "bonus", "credits": 120.25, "category": "promo", "priority": 10, "scope": ["video", "advanced"],
            "effective_at": "2026-03-02T00:00:00Z", "expires_at": "2026-04-01T00:00:00+02:00"}),
        json!({"quantity": 3}),
        json!({}),
    ]);
    bodies
}

fn has_reason(refusal: &Refusal) -> Check {
    prop_assert!(!refusal.detail.trim().is_empty(), "{:?}", refusal);
    prop_assert!(!refusal.code.as_str().is_empty());
    Ok(())
}

fn refused(refusal: &Refusal) -> Outcome {
    has_reason(refusal).map(|()| false)
}

fn read(body: &Value, allows_max: bool) -> Result<PricedRequest, Refusal> {
    PricedRequest::parse(&Fields::read(body, "", &PricedRequest::FIELDS)?, allows_max)
}
