//! Replies: JSON on the wire.

use edge_credits::entry::Entry;
use serde::Serialize;
use worker::{Headers, Response, ResponseBuilder};

use crate::problem::Problem;

/// An answer in JSON that nobody may cache.
pub(crate) fn json(status: u16, body: &impl Serialize) -> Result<Response, Problem> {
    bytes(status, serde_json::to_vec(body)?)
}

/// The answer to the command that made an entry, the first time and every other.
pub(crate) fn entry(entry: &Entry) -> Result<Response, Problem> {
    json(if entry.creates() { 201 } else { 200 }, &entry.answer())
}

/// An answer whose JSON is there already.
pub(crate) fn bytes(status: u16, body: Vec<u8>) -> Result<Response, Problem> {
    let headers = Headers::new();
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(body))
}
