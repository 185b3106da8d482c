//! What a caller sent, before anyone has judged it: a tree of JSON values, and the strict reading of its objects.
//!
//! The Worker fills it from JSON text and the browser from JavaScript values, so that one parser serves both.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess};

use crate::figure::Figure;
use crate::refusal::{Code, Refusal};

/// How deeply values may be nested. No request needs more than five.
pub const DEPTH_LIMIT: usize = 16;

/// A JSON value. Numbers are doubles, as they are for every JavaScript caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, or `undefined`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, in the order in which it was written. No name comes twice.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// What kind of value it is, for a message: `a string`.
    pub fn describe(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "an array",
            Value::Map(_) => "an object",
        }
    }
}

/// An object whose names have been checked: every name is one that the request may have.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    entries: &'a [(String, Value)],
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// Reads an object at `path` (empty for the request itself) that has only these names.
    ///
    /// # Errors
    /// `invalid_request` for what is no object, or for a name that is not among them.
    pub fn read(value: &'a Value, path: &'a str, names: &[&str]) -> Result<Fields<'a>, Refusal> {
        let Value::Map(entries) = value else {
            return Err(no_object(value, path));
        };
        match entries
            .iter()
            .find(|(name, _)| !names.contains(&name.as_str()))
        {
            Some((name, _)) => Err(Refusal::new(
                Code::InvalidRequest,
                format!(
                    "the field `{name}` is unknown here; known are {}",
                    names.join(", ")
                ),
            )
            .at(&join(path, name))),
            None => Ok(Fields { entries, path }),
        }
    }

    /// Reads an object at `path` that may have any names: what we wrote ourselves, and may write more into one day.
    ///
    /// # Errors
    /// `invalid_request` for what is no object.
    pub fn open(value: &'a Value, path: &'a str) -> Result<Fields<'a>, Refusal> {
        match value {
            Value::Map(entries) => Ok(Fields { entries, path }),
            other => Err(no_object(other, path)),
        }
    }

    /// The value of a field, if it is there.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The value of a field, if it is there and not `null`.
    pub fn given(&self, name: &str) -> Option<&'a Value> {
        self.get(name).filter(|value| **value != Value::Null)
    }

    /// The value of a field that must be there and not `null`.
    ///
    /// # Errors
    /// `invalid_request` if it is missing.
    pub fn required(&self, name: &str) -> Result<&'a Value, Refusal> {
        self.given(name).ok_or_else(|| self.missing(name))
    }

    /// The path of a field, for a refusal.
    pub fn path(&self, name: &str) -> String {
        join(self.path, name)
    }

    /// The text of a field that must be there.
    ///
    /// # Errors
    /// `invalid_request` if it is missing or no string.
    pub fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// The text of a field that may be missing.
    ///
    /// # Errors
    /// `invalid_request` if it is there and no string.
    pub fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", other)),
        }
    }

    /// Whether something is so, by a field that may be missing: then it is not.
    ///
    /// # Errors
    /// `invalid_request` if it is there and no boolean.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, "a boolean", other)),
        }
    }

    /// A whole number of a field that may be missing, within these bounds.
    ///
    /// # Errors
    /// `invalid_request` if it is there and no whole number from `least` to `most`.
    pub fn optional_whole(
        &self,
        name: &str,
        least: u32,
        most: u32,
    ) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value {
            Value::Number(number)
                if *number >= f64::from(least)
                    && *number <= f64::from(most)
                    && number.trunc() == *number =>
            {
                Ok(Some(*number as u32))
            }
            other => Err(self.wrong(
                name,
                &format!("a whole number from {least} to {most}"),
                other,
            )),
        }
    }

    /// A whole number of a field that must be there, within these bounds, which are at most 2⁵³ - 1.
    ///
    /// # Errors
    /// `invalid_request` if it is missing, or no whole number from `least` to `most`.
    pub fn whole(&self, name: &str, least: u64, most: u64) -> Result<u64, Refusal> {
        match self.required(name)? {
            Value::Number(number)
                if *number >= least as f64
                    && *number <= most as f64
                    && number.trunc() == *number =>
            {
                Ok(*number as u64)
            }
            other => Err(self.wrong(
                name,
                &format!("a whole number from {least} to {most}"),
                other,
            )),
        }
    }

    /// The list of strings of a field that may be missing.
    ///
    /// # Errors
    /// `invalid_request` if it is there and no array of strings.
    pub fn optional_texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Value::List(items) = value else {
            return Err(self.wrong(name, "an array of strings", value));
        };
        items
            .iter()
            .map(|item| match item {
                Value::Text(text) => Ok(text.as_str()),
                other => Err(self.wrong(name, "an array of strings", other)),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    /// The items of a list, each read with its path. One that is not given is empty.
    ///
    /// # Errors
    /// `invalid_request` for what is no list, and whatever `read` refuses.
    pub fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Value, &str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut list = Vec::new();
        self.for_each(name, &mut |item, path| {
            list.push(read(item, path)?);
            Ok(())
        })?;
        Ok(list)
    }

    /// One body for lists of all kinds: each copy of it would be loaded by every browser.
    fn for_each(
        &self,
        name: &str,
        read: &mut dyn FnMut(&Value, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match self.given(name) {
            None => Ok(()),
            Some(Value::List(items)) => {
                items.iter().enumerate().try_for_each(|(position, item)| {
                    read(item, &format!("{}[{position}]", self.path(name)))
                })
            }
            Some(other) => Err(self.wrong(name, "an array", other)),
        }
    }

    /// The refusal for a field that must be there and is not.
    pub fn missing(&self, name: &str) -> Refusal {
        Refusal::new(
            Code::InvalidRequest,
            format!("the field `{name}` is missing"),
        )
        .at(&self.path(name))
    }

    /// The refusal for a field of the wrong type.
    pub fn wrong(&self, name: &str, expected: &str, found: &Value) -> Refusal {
        let found = match found {
            Value::Number(number) => Figure(*number).to_string(),
            other => other.describe().to_owned(),
        };
        Refusal::new(
            Code::InvalidRequest,
            format!("`{name}` must be {expected}, not {found}"),
        )
        .at(&self.path(name))
    }
}

fn no_object(value: &Value, path: &str) -> Refusal {
    let detail = format!("an object is expected, not {}", value.describe());
    Refusal::new(Code::InvalidRequest, detail).at(path)
}

/// The path of a field below another path.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        Nested { depth: 0 }.deserialize(deserializer)
    }
}

/// Reads a value that lies this deep. Its limit also ends what refers to itself.
#[derive(Clone, Copy)]
struct Nested {
    depth: usize,
}

impl Nested {
    fn deeper<E: de::Error>(self) -> Result<Nested, E> {
        if self.depth >= DEPTH_LIMIT {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Nested {
            depth: self.depth.saturating_add(1),
        })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut map: Vec<(String, Value)> = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.iter().any(|(known, _)| *known == name) {
                return Err(de::Error::custom(format_args!(
                    "the field `{name}` comes twice"
                )));
            }
            map.push((name, entries.next_value_seed(deeper)?));
        }
        Ok(Value::Map(map))
    }
}
