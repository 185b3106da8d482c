//! Replies: JSON on the wire.

use std::cell::OnceCell;

use edge_credits::entry::Entry;
use serde::Serialize;
use worker::{Headers, Response, ResponseBuilder};

use crate::problem::Problem;
use crate::trace::RequestId;

/// Where an answer says which request it answers. What every answer says beside that is in scripts/worker-entry.js.
pub(crate) const REQUEST_ID: &str = "X-Request-Id";

thread_local! {
    static JSON: OnceCell<Headers> = const { OnceCell::new() };
}

/// An answer in JSON that nobody may cache.
pub(crate) fn json(status: u16, body: &impl Serialize) -> Result<Response, Problem> {
    bytes(status, serde_json::to_vec(body)?)
}

/// The answer to the command that made an entry, the first time and every other.
pub(crate) fn entry(entry: &Entry) -> Result<Response, Problem> {
    json(if entry.creates() { 201 } else { 200 }, &entry.answer())
}

/// The answer to a command that made an entry before.
pub(crate) fn replayed(entry: &Entry) -> Result<Response, Problem> {
    let response = self::entry(entry)?;
    response.headers().set("Idempotent-Replayed", "true")?;
    Ok(response)
}

/// A public answer with a tag by which a client knows whether it changed.
pub(crate) fn tagged(
    asked: &Headers,
    tag: &str,
    make: impl FnOnce() -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let known = asked.get("If-None-Match")?.unwrap_or_default();
    let is_unchanged = known
        .split(',')
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*");
    let response = if is_unchanged {
        ResponseBuilder::new()
            .with_status(304)
            .with_headers(headers()?)
            .empty()
    } else {
        make()?
    };
    response.headers().set("ETag", tag)?;
    response
        .headers()
        .set("Cache-Control", "public, max-age=60")?;
    // What is cached for one page is not for a page of another origin.
    response.headers().set("Vary", "Origin")?;
    Ok(response)
}

/// An answer whose JSON is there already.
pub(crate) fn bytes(status: u16, body: Vec<u8>) -> Result<Response, Problem> {
    // Copied from a template in one step: each header that is set crosses into JavaScript.
    let headers = JSON.with(|template| match template.get() {
        Some(headers) => Ok::<_, worker::Error>(headers.clone()),
        None => {
            let headers = headers()?;
            headers.set("Content-Type", "application/json")?;
            Ok(template.get_or_init(|| headers).clone())
        }
    })?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(body))
}

/// The headers of an answer without a body, or with one of another type.
pub(crate) fn headers() -> worker::Result<Headers> {
    let headers = Headers::new();
    headers.set("Cache-Control", "no-store")?;
    Ok(headers)
}

/// What goes out: the answer, or the problem that there is instead, with the id of its request.
pub(crate) fn finish(
    result: Result<Response, Problem>,
    request: &Headers,
) -> worker::Result<Response> {
    match result {
        Ok(response) => Ok(response),
        Err(problem) => problem.into_response(&RequestId::of(request)),
    }
}
