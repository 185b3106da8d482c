//! Which pages of other origins may call.

use worker::{Env, Headers, Response, ResponseBuilder};

use crate::reply;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str =
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Test-Clock";
const RESPONSE_HEADERS: &str =
    "ETag, Idempotent-Replayed, Retry-After, Allow, WWW-Authenticate, X-Request-Id";
const SWITCHING_PROTOCOLS: u16 = 101;

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

/// The answer to the question before a call. Without an allowed origin it allows nothing.
pub(crate) fn preflight(origin: Option<&str>) -> worker::Result<Response> {
    let headers = reply::headers()?;
    headers.set("Vary", "Origin")?;
    if origin.is_some() {
        headers.set("Access-Control-Allow-Methods", METHODS)?;
        headers.set("Access-Control-Allow-Headers", REQUEST_HEADERS)?;
        headers.set("Access-Control-Max-Age", "86400")?;
    }
    Ok(ResponseBuilder::new()
        .with_status(204)
        .with_headers(headers)
        .empty())
}

/// The same response, for a page of this origin to read.
pub(crate) fn allow(response: Response, origin: &str) -> worker::Result<Response> {
    // Who may open a WebSocket is decided by its credentials.
    if response.status_code() == SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    // The headers of a response that came from an object cannot be changed: these are a copy.
    let headers = response.headers().clone();
    headers.set("Access-Control-Allow-Origin", origin)?;
    headers.set("Access-Control-Expose-Headers", RESPONSE_HEADERS)?;
    headers.set("Vary", "Origin")?;
    Ok(response.with_headers(headers))
}
