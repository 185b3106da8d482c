//! What a request carries beside its path: its body, its clock.

use edge_credits::refusal::Refusal;
use edge_credits::time::Instant;
use edge_credits::value::Value;
use worker::{Date, Env, Headers, Request};

use crate::problem::{CallFault, Problem};

/// The longest body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

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
    let bytes = request.bytes().await?;
    if bytes.len() > BODY_LIMIT {
        return Err(CallFault::BodyTooLarge.into());
    }
    if bytes.is_empty() && may_be_missing {
        return Ok(Value::Map(Vec::new()));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        CallFault::InvalidJson(format!("the body is no JSON that can be read: {error}")).into()
    })
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
