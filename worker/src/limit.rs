//! Rate limits, where the deployment has bound them; without the bindings nothing is limited.
//!
//! They keep one caller from using up what all share. Credits are not their business: those are counted by the
//! account, exactly.

use std::net::Ipv6Addr;

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Object, Promise, Reflect};

use crate::auth::Caller;
use crate::problem::{CallFault, Problem};
use crate::request::{Header, Headers};
use crate::trace;
use crate::vars;

/// The limit of an address, on what needs no credentials and on credentials that are none.
const PUBLIC: &str = "PUBLIC_RATE_LIMIT";
/// The limit of an account's calls; its user's are counted apart.
const ACCOUNT: &str = "ACCOUNT_RATE_LIMIT";

#[wasm_bindgen]
extern "C" {
    /// A rate limiting binding. The one of workers-rs goes through serde on every request.
    type RateLimiter;

    #[wasm_bindgen(method, catch)]
    fn limit(this: &RateLimiter, options: &Object) -> Result<Promise, JsValue>;
}

/// Counts a request by its sender's address.
///
/// # Errors
/// 429 `rate_limited`.
pub(crate) async fn of_address(headers: &Headers, env: &Env) -> Result<(), Problem> {
    let Some(limiter) = bound(env, PUBLIC) else {
        return Ok(());
    };
    let address = headers.get(Header::CfConnectingIp).unwrap_or_default();
    within(&limiter, &network(address)).await
}

/// Counts a call on an account.
///
/// # Errors
/// 429 `rate_limited`.
pub(crate) async fn of_account(caller: &Caller, account: &str, env: &Env) -> Result<(), Problem> {
    match bound(env, ACCOUNT) {
        Some(limiter) => within(&limiter, &caller.counted_as(account)).await,
        None => Ok(()),
    }
}

fn bound(env: &Env, name: &'static str) -> Option<RateLimiter> {
    let binding = vars::binding(env, name);
    (!binding.is_undefined()).then(|| binding.unchecked_into())
}

async fn within(limiter: &RateLimiter, key: &str) -> Result<(), Problem> {
    match is_within(limiter, key).await {
        Ok(false) => Err(CallFault::RateLimited.into()),
        Ok(true) => Ok(()),
        // Better without limits than without answers.
        Err(error) => {
            trace::fault(None, &format!("a rate limiter failed: {error:?}"));
            Ok(())
        }
    }
}

async fn is_within(limiter: &RateLimiter, key: &str) -> Result<bool, JsValue> {
    let options = Object::new();
    Reflect::set(&options, &"key".into(), &key.into())?;
    let outcome = JsFuture::from(limiter.limit(&options)?).await?;
    Ok(Reflect::get(&outcome, &"success".into())?.is_truthy())
}

/// Whoever has an IPv6 address has all of its /64.
fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(parsed) => {
            let [a, b, c, d, ..] = parsed.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => address.to_owned(),
    }
}
