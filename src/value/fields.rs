//! The strict reading of an object's fields.

use super::Value;
use crate::figure::Figure;
use crate::refusal::{Code, Refusal};

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
