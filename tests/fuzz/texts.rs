//! Text from outside: ids, times, time zones, JSON, and what a retry is recognised by.

use std::collections::BTreeMap;

use edge_credits::calendar::Zone;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::retry;
use edge_credits::time::Instant;
use edge_credits::value::Value;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::Json;
use crate::trees::{near, texts};
use crate::{bodies, fuzz, has_reason, refused};

#[test]
fn ids() {
    let ids = prop_oneof![
        texts(),
        "(hold|charge|entry)_[0-9]{0,22}",
        "(hold|charge)_[1-9][0-9]{0,17}",
        "hold_[+-]?[0-9]"
    ];
    fuzz("ids", ids, |text| {
        let is_accepted = HoldId::parse(&text).is_some() || ChargeId::parse(&text).is_some();
        for written in [
            HoldId::parse(&text).map(|id| id.to_string()),
            ChargeId::parse(&text).map(|id| id.to_string()),
        ] {
            prop_assert!(written.is_none_or(|written| written == text));
        }
        Ok(is_accepted)
    });
}

#[test]
fn times() {
    let stamps = "[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]{1,12})?(Z|z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    let odd = "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])?";
    fuzz(
        "times",
        prop_oneof![stamps, stamps, odd, texts(), ".{19,24}Z"],
        |text| {
            let time = match Instant::parse(&text, "at") {
                Ok(time) => time,
                Err(refusal) => return refused(&refusal),
            };
            prop_assert_eq!(Instant::parse(&time.to_string(), "at"), Ok(time));
            // The calendar's own parser takes all that ours does, and agrees. A leap second has no place in it.
            let leap = text.get(17..19) == Some("60");
            let spelled: String = text.to_ascii_uppercase();
            let other: jiff::Timestamp = match spelled.parse() {
                Ok(other) => other,
                Err(error) => {
                    // It reads at most nine digits of a fraction.
                    prop_assert!(
                        spelled.contains('.') && spelled.len() > 29 || leap,
                        "{}: {}",
                        text,
                        error
                    );
                    return Ok(true);
                }
            };
            prop_assert!(
                leap || other.as_nanosecond().div_euclid(1_000_000) == i128::from(time.millis()),
                "{} is {}",
                text,
                time
            );
            Ok(true)
        },
    );
}

#[test]
fn time_zones() {
    let names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let names = prop_oneof![3 => select(names), 1 => texts()];
    let millis = prop_oneof![any::<i64>(), -62_167_219_200_000_i64..253_370_764_800_000];
    fuzz("time zones", (names, millis), |(name, millis)| {
        let zone = match Zone::parse(&name, "time_zone") {
            Ok(zone) => zone,
            Err(refusal) => return refused(&refusal),
        };
        let again = Zone::parse(zone.name(), "").unwrap();
        prop_assert_eq!(again.name(), zone.name());
        let now = Instant::from_millis(millis);
        let (last, next) = (zone.last_midnight(now), zone.next_midnight(now));
        let end = Instant::from_millis(i64::MAX);
        prop_assert!(
            last <= now && (now < next || next >= end.after_millis(-2 * 86_400_000)),
            "{} {} {}",
            last,
            now,
            next
        );
        prop_assert_eq!(zone.date(last), zone.date(now));
        Ok(true)
    });
}

#[test]
fn json_text() {
    let texts = (
        near(bodies()),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0_u8..8,
    );
    fuzz("JSON text", texts, |(body, place, byte, change)| {
        let mut text = serde_json::to_vec(&plain(&body)).unwrap();
        let place = place.index(text.len());
        match change {
            0 => text[place] = byte,
            1 => text.insert(place, byte),
            2 => text.truncate(place),
            3 => drop(text.remove(place)),
            4 => text
                .splice(place..place, *br#""model":1,"model":2,"#)
                .for_each(drop),
            5 => text.splice(place..place, b"[".repeat(20)).for_each(drop),
            _ => {}
        }
        let (strict, lenient) = (
            serde_json::from_slice::<Value>(&text),
            serde_json::from_slice::<Json>(&text),
        );
        let is_accepted = strict.is_ok();
        match (strict, lenient) {
            (Ok(strict), Ok(lenient)) => prop_assert_eq!(
                without_order(&plain(&strict)),
                without_order(&doubles(lenient))
            ),
            (Ok(strict), Err(error)) => {
                prop_assert!(false, "{:?} was read in spite of {}", strict, error)
            }
            (Err(error), Ok(_)) => {
                let error = error.to_string();
                prop_assert!(
                    error.contains("comes twice") || error.contains("nested too deeply"),
                    "{}",
                    error
                );
            }
            (Err(error), Err(_)) => prop_assert!(!error.to_string().is_empty()),
        }
        Ok(is_accepted)
    });
}

/// A tree as JSON can say it.
fn plain(tree: &Value) -> Json {
    match tree {
        Value::Null => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(fields) => Json::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
    }
}

fn doubles(tree: Json) -> Json {
    match tree {
        Json::Number(number) => json!(number.as_f64()),
        Json::Array(items) => items.into_iter().map(doubles).collect(),
        Json::Object(fields) => Json::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, doubles(value)))
                .collect(),
        ),
        other => other,
    }
}

fn without_order(tree: &Json) -> String {
    match tree {
        Json::Array(items) => format!(
            "[{}]",
            items
                .iter()
                .map(without_order)
                .collect::<Vec<_>>()
                .join(",")
        ),
        Json::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name, without_order(value)))
                .collect();
            format!("{sorted:?}")
        }
        other => other.to_string(),
    }
}

#[test]
fn idempotency() {
    fuzz(
        "idempotency",
        (near(bodies()), near(bodies()), texts()),
        |(body, other, key)| {
            match retry::parse_key(Some(&key)) {
                Ok(key) => prop_assert!((1..=255).contains(&key.len()) && key.is_ascii()),
                Err(refusal) => has_reason(&refusal)?,
            }
            let content = retry::content("charges", &body);
            prop_assert_eq!(content.len(), 32);
            prop_assert_eq!(&content, &retry::content("charges", &respelled(&body)));
            prop_assert_ne!(&content, &retry::content("holds", &body));
            let says_the_same = meaning(&body) == meaning(&other);
            prop_assert_eq!(content == retry::content("charges", &other), says_the_same);
            Ok(true)
        },
    );
}

/// The same body with its names in another order, and with nulls that say nothing.
fn respelled(body: &Value) -> Value {
    match body {
        Value::List(items) => Value::List(items.iter().map(respelled).collect()),
        Value::Map(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), respelled(value)))
                .collect();
            if !fields.iter().any(|(name, _)| name == "zz") {
                fields.push(("zz".to_owned(), Value::Null));
            }
            Value::Map(fields)
        }
        Value::Number(number) if *number == 0.0 => Value::Number(-number),
        other => other.clone(),
    }
}

/// What a body says, whatever its spelling.
fn meaning(body: &Value) -> String {
    match body {
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(meaning).collect::<Vec<_>>().join(",")
        ),
        Value::Map(fields) => {
            let said = fields.iter().filter(|(_, value)| *value != Value::Null);
            format!(
                "{:?}",
                said.map(|(name, value)| (name, meaning(value)))
                    .collect::<BTreeMap<_, _>>()
            )
        }
        Value::Number(number) => format!("#{}", (number + 0.0).to_bits()),
        other => format!("{other:?}"),
    }
}
