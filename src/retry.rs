//! Retries: the same key with the same content has its effect once.

use sha2::{Digest, Sha256};

use crate::refusal::{Code, Refusal};
use crate::value::Value;

/// The longest idempotency key, in characters.
const LONGEST_KEY: usize = 255;

/// Reads an idempotency key: 1 to 255 printable ASCII characters.
///
/// # Errors
/// `idempotency_key_required` for what is none.
pub fn parse_key(key: Option<&str>) -> Result<&str, Refusal> {
    let refuse = |detail: &str| Err(Refusal::new(Code::IdempotencyKeyRequired, detail));
    match key {
        None => refuse("this call moves credits: it needs the header `Idempotency-Key`"),
        Some(key) => {
            let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if printable && !key.trim().is_empty() && key.len() <= LONGEST_KEY {
                Ok(key)
            } else {
                refuse("an idempotency key has 1 to 255 printable ASCII characters")
            }
        }
    }
}

/// A fingerprint of a call and its parsed body: 32 hexadecimal digits.
///
/// It is of what was said, not of how it was spelled: the order of names, white space, and fields that are
/// `null` make no difference, nor does `1e3` for `1000`.
pub fn content(call: &str, body: &Value) -> String {
    let mut digest = Sha256::new();
    digest.update(call.as_bytes());
    digest.update([0]);
    feed(&mut digest, body);
    let digest = digest.finalize();
    base16ct::lower::encode_string(digest.get(..16).unwrap_or_default())
}

/// The refusal for a key that was used for something else.
pub fn key_reused(key: &str) -> Refusal {
    let detail = format!("the idempotency key `{key}` was used for another call or body");
    Refusal::new(Code::IdempotencyKeyReused, detail)
}

fn feed(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Null => digest.update(b"n"),
        Value::Bool(true) => digest.update(b"t"),
        Value::Bool(false) => digest.update(b"f"),
        Value::Number(number) => {
            // Nought has two spellings as a double and means one thing.
            let number = if *number == 0.0 { 0.0 } else { *number };
            digest.update(b"#");
            digest.update(number.to_bits().to_be_bytes());
        }
        Value::Text(text) => feed_text(digest, b"s", text),
        Value::List(items) => {
            digest.update(b"[");
            items.iter().for_each(|item| feed(digest, item));
            digest.update(b"]");
        }
        Value::Map(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .filter(|(_, value)| *value != Value::Null)
                .collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            digest.update(b"{");
            for (name, value) in fields {
                feed_text(digest, b"k", name);
                feed(digest, value);
            }
            digest.update(b"}");
        }
    }
}

fn feed_text(digest: &mut Sha256, mark: &[u8], text: &str) {
    digest.update(mark);
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text.as_bytes());
}
