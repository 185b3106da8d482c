//! What providers report, read as our meters.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

use edge_credits::meter::Quantities;
use edge_credits::refusal::{Code, Refusal};
use edge_credits::usage_format::UsageFormat;
use serde_json::{Value, json};

fn read(format: &str, usage: &Value) -> Result<Quantities, Refusal> {
    let usage = serde_json::from_value(usage.clone()).unwrap();
    UsageFormat::parse(format, "usage_format")?.read(&usage, "usage")
}

fn read_over(format: &str, usage: &Value, over: &Value) -> Result<Quantities, Refusal> {
    let usage = read(format, usage)?;
    let over = serde_json::from_value(over.clone()).unwrap();
    UsageFormat::parse(format, "usage_format")?.read_over(&usage, &over, "usage_max")
}

#[test]
fn a_providers_own_usage_object_is_understood() {
    let table = [
        (
            "meters",
            json!({"input_tokens": 5, "seconds": 1.5}),
            json!({"input_tokens": 5, "seconds": 1.5}),
        ),
        (
            "openai",
            json!({
                "prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
                "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 100},
            }),
            json!({"input_tokens": 176, "cached_input_tokens": 1024, "output_tokens": 300}),
        ),
        (
            "openai",
            json!({
                "input_tokens": 36, "input_tokens_details": {"cached_tokens": 6},
                "output_tokens": 87, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 123,
            }),
            json!({"input_tokens": 30, "cached_input_tokens": 6, "output_tokens": 87}),
        ),
        (
            "openai",
            json!({"prompt_tokens": 9, "input_tokens": 9, "prompt_tokens_details": null, "images": 4}),
            json!({"input_tokens": 9}),
        ),
        (
            "openai",
            json!({"prompt_tokens": 9, "completion_tokens": null}),
            json!({"input_tokens": 9}),
        ),
        (
            "anthropic",
            json!({
                "input_tokens": 50, "cache_read_input_tokens": 100_000, "cache_creation_input_tokens": 248,
                "output_tokens": 503, "service_tier": "standard", "server_tool_use": null,
            }),
            json!({
                "input_tokens": 50, "cached_input_tokens": 100_000, "cache_write_tokens": 248,
                "output_tokens": 503,
            }),
        ),
        (
            "gemini",
            json!({
                "promptTokenCount": 264, "cachedContentTokenCount": 200, "candidatesTokenCount": 80,
                "thoughtsTokenCount": 120, "toolUsePromptTokenCount": 31, "totalTokenCount": 495,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 264}],
            }),
            json!({"input_tokens": 95, "cached_input_tokens": 200, "output_tokens": 200}),
        ),
        (
            "gemini",
            json!({"prompt_token_count": 10, "candidates_token_count": 2, "thoughts_token_count": null}),
            json!({"input_tokens": 10, "output_tokens": 2}),
        ),
        (
            "gemini",
            json!({"toolUsePromptTokenCount": 3, "thoughtsTokenCount": 4}),
            json!({"input_tokens": 3, "output_tokens": 4}),
        ),
        ("openai", json!({}), json!({})),
    ];
    for (format, usage, expected) in table {
        let read = read(format, &usage).unwrap();
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            expected,
            "{format} {usage}"
        );
    }
}

#[test]
fn usage_that_cannot_be_is_refused_where_it_stands() {
    let details = json!({"cached_tokens": 11});
    let table = [
        (
            "cohere",
            json!({}),
            Code::UnknownUsageFormat,
            "usage_format",
        ),
        (
            "meters",
            json!({"prompt_tokens": 1}),
            Code::UnknownMeter,
            "usage.prompt_tokens",
        ),
        (
            "meters",
            json!({"input_tokens": null}),
            Code::InvalidQuantity,
            "usage.input_tokens",
        ),
        ("openai", json!(7), Code::InvalidRequest, "usage"),
        (
            "openai",
            json!({"prompt_tokens": "9"}),
            Code::InvalidQuantity,
            "usage.prompt_tokens",
        ),
        (
            "openai",
            json!({"completion_tokens": 1.5}),
            Code::InvalidQuantity,
            "usage.completion_tokens",
        ),
        (
            "openai",
            json!({"prompt_tokens": 9, "input_tokens": 8}),
            Code::InvalidQuantity,
            "usage.input_tokens",
        ),
        (
            "openai",
            json!({"completion_tokens": 9, "output_tokens": 8}),
            Code::InvalidQuantity,
            "usage.output_tokens",
        ),
        (
            "openai",
            json!({"prompt_tokens_details": [1]}),
            Code::InvalidQuantity,
            "usage.prompt_tokens_details",
        ),
        (
            "openai",
            json!({"prompt_tokens": 10, "prompt_tokens_details": details}),
            Code::InvalidQuantity,
            "usage.prompt_tokens_details.cached_tokens",
        ),
        (
            "openai",
            json!({"input_tokens_details": details}),
            Code::InvalidQuantity,
            "usage.input_tokens_details.cached_tokens",
        ),
        (
            "anthropic",
            json!({"output_tokens": -1}),
            Code::InvalidQuantity,
            "usage.output_tokens",
        ),
        (
            "anthropic",
            json!({"input_tokens": 1e16}),
            Code::AmountTooLarge,
            "usage.input_tokens",
        ),
        (
            "gemini",
            json!({"promptTokenCount": 1, "cachedContentTokenCount": 2}),
            Code::InvalidQuantity,
            "usage.cachedContentTokenCount",
        ),
        (
            "gemini",
            json!({"candidatesTokenCount": 9e15, "thoughtsTokenCount": 9e15}),
            Code::AmountTooLarge,
            "usage.thoughtsTokenCount",
        ),
    ];
    for (format, usage, code, field) in table {
        let refusal = read(format, &usage).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field)),
            "{format} {usage}"
        );
    }
}

#[test]
fn a_ceiling_replaces_only_the_meters_that_it_mentions() {
    let openai = json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}});
    let table = [
        (
            "meters",
            json!({"input_tokens": 9, "output_tokens": 9}),
            json!({"output_tokens": 0}),
            json!({"input_tokens": 9}),
        ),
        (
            "openai",
            openai.clone(),
            json!({"completion_tokens": 4000}),
            json!({"input_tokens": 60, "cached_input_tokens": 40, "output_tokens": 4000}),
        ),
        (
            "openai",
            openai.clone(),
            json!({"prompt_tokens": 200, "seconds": 1.5, "cache_write_tokens": null, "n": 3}),
            json!({"input_tokens": 200, "cached_input_tokens": 40, "output_tokens": 5, "seconds": 1.5}),
        ),
        (
            "anthropic",
            json!({"input_tokens": 7}),
            json!({"output_tokens": 50, "cached_input_tokens": 8}),
            json!({"input_tokens": 7, "cached_input_tokens": 8, "output_tokens": 50}),
        ),
        (
            "gemini",
            json!({"promptTokenCount": 7}),
            json!({"output_tokens": 50}),
            json!({"input_tokens": 7, "output_tokens": 50}),
        ),
    ];
    for (format, usage, over, expected) in table {
        let read = read_over(format, &usage, &over).unwrap();
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            expected,
            "{format} {over}"
        );
    }
    let twice = json!({"candidatesTokenCount": 5, "output_tokens": 6});
    let refusal = read_over("gemini", &json!({}), &twice).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("usage_max.output_tokens"));
    assert_eq!(refusal.code, Code::InvalidQuantity);
}
