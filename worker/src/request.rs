//! What a request carries beside its path: its body, its clock.

use edge_credits::refusal::Refusal;
use edge_credits::time::Instant;
use edge_credits::value::Value;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{ReadableStream, ReadableStreamDefaultReader};
use worker::{Date, Env, Headers, Method, Request};

use crate::problem::{CallFault, Problem};

/// The longest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// The headers of a request, for when the request itself is gone. They are shared, not copied.
pub(crate) fn headers(request: &Request) -> Headers {
    Headers(request.headers().0.clone())
}

/// The method of a request. One that the framework does not know, which it takes for GET, is one that no path takes.
pub(crate) fn method(request: &Request) -> Method {
    match request.method() {
        Method::Get if request.inner().method() != "GET" => Method::Trace,
        method => method,
    }
}

/// Checks what can be known of a body before it is read.
///
/// # Errors
/// 415 for another media type than JSON, 413 for a length above 64 KiB.
pub(crate) fn check_body_headers(headers: &Headers) -> Result<(), Problem> {
    let length = headers
        .get("Content-Length")?
        .and_then(|length| length.parse::<u64>().ok());
    if let Some(media_type) = headers.get("Content-Type")?
        && length != Some(0)
    {
        let essence = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(CallFault::UnsupportedMediaType(essence).into());
        }
    }
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(CallFault::BodyTooLarge.into());
    }
    Ok(())
}

/// Reads the body as JSON. Where a call may lack one, none is an empty object.
///
/// # Errors
/// 413 for a body above 64 KiB, 400 `invalid_json` for what is no JSON.
pub(crate) async fn read_body(
    request: &mut Request,
    may_be_missing: bool,
) -> Result<Value, Problem> {
    let bytes = read_bytes(request, BODY_LIMIT).await?;
    if bytes.is_empty() && may_be_missing {
        return Ok(Value::Map(Vec::new()));
    }
    parse(&bytes)
}

/// Reads JSON.
///
/// # Errors
/// 400 `invalid_json` for what is none.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        CallFault::InvalidJson(format!("the body is no JSON that can be read: {error}")).into()
    })
}

/// Reads the body, and no more of it than is allowed: an isolate's memory is shared by many accounts.
///
/// # Errors
/// 413 for a body above this limit, in bytes.
pub(crate) async fn read_bytes(request: &mut Request, limit: usize) -> Result<Vec<u8>, Problem> {
    // HTTP sees to it that a body is as long as it says.
    let length = request
        .headers()
        .get("Content-Length")?
        .and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length <= limit as u64 => Ok(request.bytes().await?),
        Some(_) => Err(CallFault::BodyTooLarge.into()),
        None => match request.inner().body() {
            Some(body) => read_stream(&body, limit).await,
            None => Ok(Vec::new()),
        },
    }
}

/// Reads a body of unknown length, and gives up where it becomes too long.
async fn read_stream(body: &ReadableStream, limit: usize) -> Result<Vec<u8>, Problem> {
    let unreadable = |_| CallFault::InvalidJson("the body broke off".to_owned());
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let part = JsFuture::from(reader.read()).await.map_err(unreadable)?;
        let value = Reflect::get(&part, &JsValue::from_str("value")).map_err(unreadable)?;
        if value.is_undefined() {
            return Ok(bytes);
        }
        let part: Uint8Array = value.unchecked_into();
        if bytes.len().saturating_add(part.length() as usize) > limit {
            // What is left of it is not waited for.
            let _ = reader.cancel();
            return Err(CallFault::BodyTooLarge.into());
        }
        bytes.append(&mut part.to_vec());
    }
}

/// The time of a request: the test clock's where there is one, else the runtime's.
///
/// # Errors
/// 400 `test_clock_disabled`, or `invalid_request` for a header that is no time.
pub(crate) fn now(headers: &Headers, env: &Env) -> Result<Instant, Problem> {
    let Some(clock) = headers.get("Test-Clock")? else {
        return Ok(Instant::from_millis(
            i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX),
        ));
    };
    let enabled = env
        .var("TEST_CLOCK")
        .is_ok_and(|value| value.to_string() == "on");
    if !enabled {
        return Err(CallFault::TestClockDisabled.into());
    }
    Instant::parse(clock.trim(), "Test-Clock").map_err(|refusal: Refusal| refusal.into())
}
