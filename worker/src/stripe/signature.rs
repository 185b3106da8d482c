//! Whether Stripe said it: the signature of an event.

use base16ct::lower::encode_string;
use subtle::{Choice, ConstantTimeEq};
use worker::Date;

use crate::mac::hmac_sha256;
use crate::problem::CallFault;

/// How far the time of a signature may be from the real one, in seconds.
const TOLERANCE_SECONDS: u64 = 300;

/// Checks `Stripe-Signature: t=…,v1=…` against the secrets, of which there are two while one is being replaced.
///
/// # Errors
/// 400 `invalid_signature`.
pub(super) fn check(header: &str, body: &[u8], secrets: &str) -> Result<(), CallFault> {
    let parts = || {
        header
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
    };
    let time = parts()
        .find(|(name, _)| *name == "t")
        .map(|(_, value)| value);
    let Some((time, seconds)) =
        time.and_then(|time| time.parse::<u64>().ok().map(|seconds| (time, seconds)))
    else {
        return Err(CallFault::InvalidSignature(
            "the header `Stripe-Signature` states no time",
        ));
    };
    let mut matching = Choice::from(0);
    for secret in secrets
        .split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
    {
        let expected = encode_string(&hmac_sha256(
            secret.as_bytes(),
            &[time.as_bytes(), b".", body],
        ));
        for (_, signature) in parts().filter(|(name, _)| *name == "v1") {
            matching |= signature.as_bytes().ct_eq(expected.as_bytes());
        }
    }
    if !bool::from(matching) {
        return Err(CallFault::InvalidSignature(
            "no signature of the event is ours",
        ));
    }
    let now = Date::now().as_millis() / 1000;
    if now.abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err(CallFault::InvalidSignature(
            "the signature is more than 300 seconds old",
        ));
    }
    Ok(())
}
