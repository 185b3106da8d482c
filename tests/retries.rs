//! Retries: what an idempotency key is, and when two calls say the same.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use edge_credits::refusal::Code;
use edge_credits::retry::{content, key_reused, parse_key};
use serde_json::json;
use support::{Json, value};

fn content_of(call: &str, body: Json) -> String {
    content(call, &value(body))
}

/// "1 to 255 printable ASCII."
#[test]
fn a_key_is_printable_and_not_too_long() {
    let longest = "k".repeat(255);
    for key in ["1", "a b", "~!", longest.as_str()] {
        assert_eq!(parse_key(Some(key)).unwrap(), key);
    }
    let longer = "k".repeat(256);
    for key in [
        None,
        Some(""),
        Some("  "),
        Some("\u{e9}"),
        Some("a\tb"),
        Some(longer.as_str()),
    ] {
        let refusal = parse_key(key).unwrap_err();
        assert_eq!(refusal.code, Code::IdempotencyKeyRequired, "{key:?}");
    }
    assert_eq!(key_reused("k").code, Code::IdempotencyKeyReused);
}

/// "The content is the call and its parsed body (not its spelling …)."
#[test]
fn the_same_said_in_another_way_is_the_same() {
    let body = json!({"model": "kimi-k2", "usage": {"input_tokens": 1000, "output_tokens": 0.0}});
    let said = content_of("charges", body);
    let spelled: Json =
        serde_json::from_str(r#"{"usage":{"output_tokens":-0,"input_tokens":1e3},"on_excess":null,"model":"kimi\u002dk2"}"#)
            .unwrap();
    assert_eq!(content_of("charges", spelled), said);
    assert_eq!(said.len(), 32, "it is stored with every entry");
}

#[test]
fn whatever_says_something_else_is_something_else() {
    let mut all: Vec<String> = [
        json!({}),
        json!({"a": 1}),
        json!({"a": 2}),
        json!({"a": -1}),
        json!({"b": 1}),
        json!({"a": "1"}),
        json!({"a": true}),
        json!({"a": false}),
        json!({"a": [1]}),
        json!({"a": [1, null]}),
        json!({"a": [[1]]}),
        json!({"a": {}}),
        json!({"a": {"b": 1}}),
        json!({"a": 1, "b": 1}),
        json!({"ab": 1}),
        json!({"a": "b"}),
        json!([]),
        json!(["a", "b"]),
        json!(["ab"]),
    ]
    .map(|body| content_of("charges", body))
    .into();
    all.push(content_of("holds", json!({})));
    all.push(content_of("charge", json!({})));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}
