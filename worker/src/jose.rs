//! The encodings that tokens and key sets are made of: base64url, and JSON objects whose unknown members are passed
//! over.

use base64ct::{Base64UrlUnpadded, Encoding};
use edge_credits::value::Value;

/// An object of a token or of a key set. No name comes twice in it.
#[derive(Debug, Default)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// Reads JSON text.
    pub(crate) fn parse(text: &[u8]) -> Option<Object> {
        serde_json::from_slice(text).ok().and_then(Object::of)
    }

    pub(crate) fn of(value: Value) -> Option<Object> {
        match value {
            Value::Map(members) => Some(Object(members)),
            _ => None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(text)
    }

    /// Whether a member is missing, or is text and so.
    pub(crate) fn lacks_or(&self, name: &str, is_so: impl FnOnce(&str) -> bool) -> bool {
        match self.get(name) {
            None => true,
            Some(value) => text(value).is_some_and(is_so),
        }
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Decodes the one spelling that bytes have: without padding, without stray bits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}
