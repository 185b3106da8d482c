//! Reading the parts that a catalog is made of: ids, names, lists and numbers.

use crate::credits::Credits;
use crate::refusal::{Code, Refusal};
use crate::value::{Fields, Value};

/// The longest id or name of a feature, in characters.
const LONGEST_ID: usize = 64;
/// The longest name for people, in characters.
const LONGEST_NAME: usize = 200;

pub(super) fn unique(
    fields: &Fields<'_>,
    name: &str,
    items: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let repeated = items.iter().enumerate().find_map(|(position, item)| {
        let came_before = items.iter().take(position).any(|known| known == item);
        came_before.then(|| format!("`{item}` comes twice"))
    });
    match repeated {
        Some(detail) => Err(refuse(&fields.path(name), detail)),
        None => Ok(items),
    }
}

pub(super) fn id(fields: &Fields<'_>) -> Result<String, Refusal> {
    checked_identifier(fields.text("id")?, &fields.path("id"))
}

pub(super) fn identifier(value: &Value, path: &str) -> Result<String, Refusal> {
    checked_identifier(text(value, path)?, path)
}

pub(super) fn checked_identifier(text: &str, path: &str) -> Result<String, Refusal> {
    let is_legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(is_legal) {
        return Ok(text.to_owned());
    }
    Err(refuse(
        path,
        format!("`{text}` must be 1 to {LONGEST_ID} of a-z, 0-9, `.`, `_` and `-`"),
    ))
}

pub(super) fn name(fields: &Fields<'_>) -> Result<String, Refusal> {
    let name = fields.text("name")?;
    if (1..=LONGEST_NAME).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    Err(refuse(
        &fields.path("name"),
        format!("a name has 1 to {LONGEST_NAME} characters"),
    ))
}

pub(super) fn text<'v>(value: &'v Value, path: &str) -> Result<&'v str, Refusal> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(refuse(
            path,
            format!("a string is expected, not {}", other.describe()),
        )),
    }
}

pub(super) fn one_of<T>(
    fields: &Fields<'_>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, Refusal> {
    let text = fields.text(name)?;
    parse(text).ok_or_else(|| {
        refuse(
            &fields.path(name),
            format!("`{text}` is none of {expected}"),
        )
    })
}

/// An amount above nought, if it is given.
pub(super) fn credits(fields: &Fields<'_>, name: &str) -> Result<Option<Credits>, Refusal> {
    let Some(value) = fields.given(name) else {
        return Ok(None);
    };
    let credits = Credits::parse(value, &fields.path(name))?;
    if credits.is_positive() {
        return Ok(Some(credits));
    }
    Err(refuse(
        &fields.path(name),
        "the amount must be above 0".to_owned(),
    ))
}

pub(super) fn refuse(path: &str, detail: String) -> Refusal {
    Refusal::new(Code::InvalidCatalog, detail).at(path)
}
