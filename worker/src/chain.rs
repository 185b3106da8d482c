//! The chain: each entry states the hash of the one before it and its own, so that a journal that was tampered with
//! shows it.
//!
//! The hash of an entry is the SHA-256, in hexadecimal digits, of its JSON as it is stored and served, without its
//! last field, `hash`. Numbers and strings are written as JavaScript writes them, so that a browser can check an
//! entry by `JSON.stringify` of all but its `hash`. The first entry's `previous` is 64 noughts.

use std::io;

use base16ct::lower::encode_string;
use edge_credits::entry::Entry;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// What stands for the hash before the first entry.
pub(crate) const BEFORE_THE_FIRST: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// How the last two fields of an entry begin, and how a field at the end ends.
const PREVIOUS_FIELD: &str = ",\"previous\":\"";
const HASH_FIELD: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// An entry as it is stored and served.
pub(crate) struct Sealed {
    pub(crate) body: String,
    pub(crate) hash: String,
}

/// Puts an entry behind the one of this hash.
///
/// # Errors
/// If the entry is no JSON object, which its type excludes.
pub(crate) fn seal(entry: &Entry, previous: &str) -> Result<Sealed, Problem> {
    let mut text = Vec::with_capacity(2048);
    entry.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text,
        PlainNumbers,
    ))?;
    let mut body = String::from_utf8(text).map_err(|error| Problem::Fault(error.to_string()))?;
    append(&mut body, PREVIOUS_FIELD, previous);
    let hash = hash_of(&[&body]);
    append(&mut body, HASH_FIELD, &hash);
    Ok(Sealed { body, hash })
}

/// The hash that a stored entry states of itself.
pub(crate) fn stated(body: &str) -> Option<&str> {
    body.strip_suffix(END)?
        .rsplit_once(HASH_FIELD)
        .map(|(_, hash)| hash)
}

/// The hash that a stored entry has.
pub(crate) fn computed(body: &str) -> Option<String> {
    let (content, _) = body.strip_suffix(END)?.rsplit_once(HASH_FIELD)?;
    Some(hash_of(&[content, "}"]))
}

/// Whether a stored entry states this hash of the entry before it.
pub(crate) fn follows(body: &str, previous: &str) -> bool {
    body.strip_suffix(END)
        .and_then(|rest| rest.rsplit_once(HASH_FIELD))
        .and_then(|(content, _)| content.strip_suffix('"'))
        .and_then(|content| content.rsplit_once(PREVIOUS_FIELD))
        .is_some_and(|(_, stated)| stated == previous)
}

fn append(body: &mut String, field: &str, value: &str) {
    if body.pop() == Some('}') {
        body.push_str(field);
        body.push_str(value);
        body.push_str(END);
    }
}

fn hash_of(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part.as_bytes()));
    encode_string(&digest.finalize())
}

/// Numbers as JavaScript writes them: amounts have at most six decimals, for which it uses no exponent.
struct PlainNumbers;

impl serde_json::ser::Formatter for PlainNumbers {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value}")
    }
}
