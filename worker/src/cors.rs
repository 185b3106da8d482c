//! Which pages of other origins may call.

use worker::{Env, Headers, Response, ResponseBuilder};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str =
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Test-Clock";
const RESPONSE_HEADERS: &str = "ETag, Idempotent-Replayed, Retry-After, Allow";

/// The request's origin, if it is one of `ALLOWED_ORIGINS`: a list with commas, or `*`.
pub(crate) fn allowed_origin(headers: &Headers, env: &Env) -> worker::Result<Option<String>> {
    let Some(origin) = headers.get("Origin")? else {
        return Ok(None);
    };
    let allowed = env
        .var("ALLOWED_ORIGINS")
        .map(|allowed| allowed.to_string())
        .unwrap_or_default();
    let found = allowed
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known == origin);
    Ok(found.then_some(origin))
}

/// The answer to the question before a call.
pub(crate) fn preflight() -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("Allow", METHODS)?;
    Ok(ResponseBuilder::new()
        .with_status(204)
        .with_headers(headers)
        .empty())
}

/// The same response, for a page of this origin to read.
pub(crate) fn allow(response: Response, origin: &str) -> worker::Result<Response> {
    // The headers of a response that came from an object cannot be changed: these are a copy.
    let headers = Headers::new();
    for (name, value) in response.headers().entries() {
        headers.set(&name, &value)?;
    }
    headers.set("Access-Control-Allow-Origin", origin)?;
    headers.set("Access-Control-Allow-Methods", METHODS)?;
    headers.set("Access-Control-Allow-Headers", REQUEST_HEADERS)?;
    headers.set("Access-Control-Expose-Headers", RESPONSE_HEADERS)?;
    headers.set("Access-Control-Max-Age", "86400")?;
    headers.append("Vary", "Origin")?;
    Ok(response.with_headers(headers))
}
