//! Which pages of other origins may call.

use worker::Env;

use crate::reply::Response;
use crate::request::{Header, Headers};
use crate::vars;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str =
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Test-Clock";
const RESPONSE_HEADERS: &str =
    "ETag, Idempotent-Replayed, Retry-After, Allow, WWW-Authenticate, X-Request-Id";

/// The request's origin, if it is one of `ALLOWED_ORIGINS`: a list with commas, or `*`.
pub(crate) fn allowed_origin<'a>(headers: &'a Headers, env: &Env) -> Option<&'a str> {
    let origin = headers.get(Header::Origin)?;
    vars::text(env, "ALLOWED_ORIGINS")
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known == origin)
        .then_some(origin)
}

/// The answer to the question before a call. Without an allowed origin it allows nothing.
pub(crate) fn preflight(origin: Option<&str>) -> Response {
    let response = Response::empty(204).with("Vary", "Origin");
    match origin {
        None => response,
        Some(_) => response
            .with("Access-Control-Allow-Methods", METHODS)
            .with("Access-Control-Allow-Headers", REQUEST_HEADERS)
            .with("Access-Control-Max-Age", "86400"),
    }
}

/// Lets a page of this origin read the answer.
pub(crate) fn allow(response: &mut Response, origin: &str) {
    // Who may open a WebSocket is decided by its credentials.
    if !response.is_of_socket() {
        response.set("Access-Control-Allow-Origin", origin);
        response.set("Access-Control-Expose-Headers", RESPONSE_HEADERS);
        response.set("Vary", "Origin");
    }
}
