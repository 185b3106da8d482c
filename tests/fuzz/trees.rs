//! What callers might send: valid bodies with a few things wrong, and trees that nobody would think of.

use edge_credits::value::Value;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::{Json, value};

/// Names that mean something somewhere, so that a stray one is not always unknown.
const WORDS: [&str; 76] = [
    "model",
    "usage",
    "usage_format",
    "usage_max",
    "items",
    "credits",
    "description",
    "on_excess",
    "ttl_seconds",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "images",
    "seconds",
    "uses",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "input_tokens_details",
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "promptTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "meters",
    "openai",
    "anthropic",
    "gemini",
    "kimi-k2",
    "claude-opus-4.1",
    "veo-3",
    "flux-dev",
    "bark",
    "third",
    "clip",
    "owe",
    "forgive",
    "reject",
    "plan",
    "free",
    "plus",
    "maker",
    "time_zone",
    "perks",
    "early_bird",
    "since",
    "effective",
    "period_end",
    "dry_run",
    "kind",
    "pack",
    "bonus",
    "category",
    "paid",
    "priority",
    "scope",
    "advanced",
    "video",
    "effective_at",
    "expires_at",
    "display_name",
    "quantity",
    "Europe/Paris",
    "America/New_York",
    "2026-03-01T12:00:00Z",
    "9998-12-31T23:59:59.999Z",
    "0000-01-01T00:00:00Z",
    "2026-03-08T02:30:00-05:00",
    "",
    "__proto__",
    "a\u{0}b",
    "\u{feff}e\u{301}\u{1f600}",
];

/// Numbers at which something changes.
const NUMBERS: [f64; 34] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    0.001,
    0.0005,
    1e-6,
    1e-7,
    0.1,
    2.5,
    3.0,
    7.0,
    100.0,
    5000.0,
    86_400.0,
    86_401.0,
    999_999_999.0,
    999_999_999.999_999,
    1e9,
    4_294_967_295.0,
    4_294_967_296.0,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740.99,
    1e12,
    1e15,
    1e18,
    1.8e19,
    1e308,
    5e-324,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

pub(crate) fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(WORDS.as_slice()).prop_map(str::to_owned),
        2 => ".{0,24}",
        1 => "[a-z]{1,3}(_[0-9]{1,20})?",
        1 => Just("x".repeat(300)),
    ]
}

fn leaves() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        3 => select(NUMBERS.as_slice()).prop_map(Value::Number),
        2 => (0_u32..100_000).prop_map(|number| Value::Number(f64::from(number))),
        1 => any::<f64>().prop_map(Value::Number),
        3 => texts().prop_map(Value::Text),
    ]
}

/// Any tree of values.
pub(crate) fn trees() -> impl Strategy<Value = Value> {
    leaves().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec((texts(), inner), 0..5).prop_map(|fields| {
                let mut map: Vec<(String, Value)> = Vec::new();
                for (name, value) in fields {
                    put(&mut map, name, value);
                }
                Value::Map(map)
            }),
        ]
    })
}

/// One thing that is wrong with a body, at one of its places.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, Value),
    Drop(Index),
    Insert(Index, String, Value),
    Rename(Index, String),
    Wrap(Index, bool),
    /// Repeats the items of a list.
    Repeat(Index, usize),
}

fn edits() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), leaves()).prop_map(|(place, leaf)| Edit::Replace(place, leaf)),
        1 => (place(), trees()).prop_map(|(place, tree)| Edit::Replace(place, tree)),
        2 => place().prop_map(Edit::Drop),
        2 => (place(), texts(), leaves()).prop_map(|(place, name, leaf)| Edit::Insert(place, name, leaf)),
        1 => (place(), texts()).prop_map(|(place, name)| Edit::Rename(place, name)),
        1 => (place(), any::<bool>()).prop_map(|(place, list)| Edit::Wrap(place, list)),
        1 => (place(), 2_usize..5).prop_map(|(place, times)| Edit::Repeat(place, times)),
    ]
}

/// One of these bodies, as it is or with up to three things wrong; at times any tree at all.
pub(crate) fn near(bodies: Vec<Json>) -> impl Strategy<Value = Value> {
    let bodies: Vec<Value> = bodies.into_iter().map(value).collect();
    prop_oneof![
        15 => (select(bodies), prop::collection::vec(edits(), 0..4)).prop_map(|(mut body, edits)| {
            for edit in &edits {
                apply(&mut body, edit);
            }
            body
        }),
        1 => trees(),
    ]
}

fn apply(body: &mut Value, edit: &Edit) {
    let places = count(body);
    let (Edit::Replace(place, _)
    | Edit::Drop(place)
    | Edit::Insert(place, ..)
    | Edit::Rename(place, _)
    | Edit::Wrap(place, _)
    | Edit::Repeat(place, _)) = edit;
    change(body, &mut place.index(places), edit);
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(fields) => fields.iter().map(|(_, value)| count(value)).sum::<usize>(),
        _ => 0,
    }
}

/// Goes through the places in the order in which they are written; `left` says how many are still to be passed.
fn change(value: &mut Value, left: &mut usize, edit: &Edit) -> bool {
    if *left == 0 {
        at(value, edit);
        return true;
    }
    *left -= 1;
    match value {
        Value::List(items) => {
            for place in 0..items.len() {
                if *left == 0 && matches!(edit, Edit::Drop(_)) {
                    items.remove(place);
                    return true;
                }
                if change(&mut items[place], left, edit) {
                    return true;
                }
            }
        }
        Value::Map(fields) => {
            for place in 0..fields.len() {
                if *left == 0 {
                    match edit {
                        Edit::Drop(_) => {
                            fields.remove(place);
                            return true;
                        }
                        Edit::Rename(_, name) => {
                            let (_, value) = fields.remove(place);
                            put(fields, name.clone(), value);
                            return true;
                        }
                        _ => {}
                    }
                }
                if change(&mut fields[place].1, left, edit) {
                    return true;
                }
            }
        }
        _ => {}
    }
    false
}

fn at(value: &mut Value, edit: &Edit) {
    match edit {
        Edit::Replace(_, new) => *value = new.clone(),
        Edit::Drop(_) => *value = Value::Null,
        Edit::Insert(_, name, new) => match value {
            Value::Map(fields) => put(fields, name.clone(), new.clone()),
            Value::List(items) => items.push(new.clone()),
            other => *other = Value::Map(vec![(name.clone(), new.clone())]),
        },
        Edit::Rename(_, name) => *value = Value::Text(name.clone()),
        Edit::Wrap(_, list) => {
            let inner = std::mem::replace(value, Value::Null);
            *value = if *list {
                Value::List(vec![inner])
            } else {
                Value::Map(vec![("value".to_owned(), inner)])
            };
        }
        Edit::Repeat(_, times) => {
            if let Value::List(items) = value {
                *items = items
                    .iter()
                    .cycle()
                    .take(items.len() * times)
                    .cloned()
                    .collect();
            }
        }
    }
}

/// No name comes twice: that is refused while the text is read, and has its own test.
fn put(fields: &mut Vec<(String, Value)>, name: String, value: Value) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
}
