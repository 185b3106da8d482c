//! Who may call: service keys, compared in constant time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use worker::{Env, Headers};

use crate::problem::{CallFault, Problem};

/// Checks that the caller has a service key.
///
/// # Errors
/// 401 `unauthenticated`.
pub(crate) fn check(headers: &Headers, env: &Env) -> Result<(), Problem> {
    let Some(authorization) = headers.get("Authorization")? else {
        return Err(
            CallFault::Unauthenticated("the header `Authorization: Bearer …` is missing").into(),
        );
    };
    let token = match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(CallFault::Unauthenticated("the credentials are no bearer token").into()),
    };
    let keys = env
        .var("SERVICE_KEYS")
        .map(|keys| keys.to_string())
        .unwrap_or_default();
    if is_service_key(token, &keys) {
        Ok(())
    } else {
        Err(CallFault::Unauthenticated("the bearer token is not valid").into())
    }
}

/// Compares with every key, whichever fits. Digests are compared, so that not even a key's length shows.
fn is_service_key(token: &str, keys: &str) -> bool {
    let presented = Sha256::digest(token.as_bytes());
    keys.split(',')
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .fold(false, |found, key| {
            found | bool::from(Sha256::digest(key.as_bytes()).ct_eq(&presented))
        })
}
