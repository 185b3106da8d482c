//! User tokens: JSON Web Tokens (RFC 7519) by which the user of an account shows who they are.
//!
//! The key decides which algorithm a token has, never the token: HS256 goes with `USER_TOKEN_SECRET` and nothing
//! else, and a public key with the one algorithm that it is for. What the token says is looked at only once its
//! signature is known to be good.

use std::rc::Rc;

use edge_credits::value::Value;
use subtle::ConstantTimeEq;
use worker::{Date, Env};

use crate::jose::{self, Object};
use crate::jwks::{self, Algorithm};
use crate::mac::hmac_sha256;
use crate::problem::{CallFault, Problem};
use crate::vars;

/// The longest token, in bytes.
const LONGEST: usize = 8 * 1024;
/// How far the clocks of those who sign may be off.
const LEEWAY_SECONDS: i64 = 30;

/// The account that a token names.
///
/// # Errors
/// 401 `unauthenticated` for a token that is not good, now.
pub(crate) async fn subject(token: &str, env: &Env) -> Result<String, Problem> {
    let bad = |detail| Problem::Call(CallFault::BadCredentials(detail));
    let token = Token::read(token).ok_or(bad("the bearer token is not valid"))?;
    if !token.is_signed(env).await? {
        return Err(bad("the token is signed by nobody that is known here"));
    }
    let expected = Expected {
        now: i64::try_from(Date::now().as_millis() / 1000).unwrap_or(i64::MAX),
        issuer: vars::text(env, "USER_TOKEN_ISSUER"),
        audience: vars::text(env, "USER_TOKEN_AUDIENCE"),
    };
    expected.subject(token.payload).map_err(bad)
}

/// Until when a token is good that was found to be: in seconds, with the leeway that its signer's clock has. None for
/// what is no token.
pub(crate) fn good_until(token: &str) -> Option<i64> {
    let payload = Token::read(token)?.payload;
    let claims = Object::parse(&jose::decode(payload)?)?;
    let expires = seconds(claims.get("exp")?)?;
    Some(expires.saturating_add(LEEWAY_SECONDS))
}

/// A token in its parts.
struct Token<'a> {
    header: Object,
    payload: &'a str,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// None for what has not the form of a token, or wants extensions understood: we know of none.
    fn read(token: &'a str) -> Option<Token<'a>> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header = Object::parse(&jose::decode(header)?)?;
        let is_plain = header.get("crit").is_none() && header.lacks_or("kid", |_| true);
        is_plain.then_some(Token {
            header,
            payload,
            signed: signed.as_bytes(),
            signature: jose::decode(signature)?,
        })
    }

    async fn is_signed(&self, env: &Env) -> Result<bool, Problem> {
        let Token {
            header,
            signed,
            signature,
            ..
        } = self;
        let name = header.text("alg").unwrap_or_default();
        if name == "HS256" {
            return Ok(is_signed_with_secret(
                signed,
                signature,
                &vars::text(env, "USER_TOKEN_SECRET"),
            ));
        }
        match Algorithm::named(name) {
            Some(algorithm) => {
                let set = vars::text(env, "USER_TOKEN_JWKS");
                jwks::is_signed(signed, signature, algorithm, header.text("kid"), &set).await
            }
            None => Ok(false),
        }
    }
}

/// The comparison takes the same time wherever the two differ.
fn is_signed_with_secret(signed: &[u8], signature: &[u8], secret: &str) -> bool {
    // Without a secret everybody could sign.
    !secret.is_empty() && bool::from(hmac_sha256(secret.as_bytes(), &[signed]).ct_eq(signature))
}

/// What a token's claims must agree with.
struct Expected {
    /// By the real clock, in seconds.
    now: i64,
    /// Empty where any will do.
    issuer: Rc<str>,
    audience: Rc<str>,
}

impl Expected {
    fn subject(&self, payload: &str) -> Result<String, &'static str> {
        let mut claims = jose::decode(payload)
            .and_then(|json| Object::parse(&json))
            .ok_or("the token's claims are no JSON object")?;
        let expires = claims
            .get("exp")
            .and_then(seconds)
            .ok_or("the token has no time in `exp`")?;
        if self.now >= expires.saturating_add(LEEWAY_SECONDS) {
            return Err("the token has expired");
        }
        let starts = match claims.get("nbf") {
            Some(date) => seconds(date).ok_or("the token has no time in `nbf`")?,
            None => i64::MIN,
        };
        if self.now < starts.saturating_sub(LEEWAY_SECONDS) {
            return Err("the token is not valid yet");
        }
        if !self.issuer.is_empty() && claims.text("iss") != Some(&self.issuer) {
            return Err("the token is from another issuer");
        }
        if !self.audience.is_empty() && !self.is_audience(claims.get("aud")) {
            return Err("the token is for another audience");
        }
        match claims.take("sub") {
            Some(Value::Text(subject)) => Ok(subject),
            _ => Err("the token names no account in `sub`"),
        }
    }

    fn is_audience(&self, claim: Option<&Value>) -> bool {
        let is_ours = |value: &Value| jose::text(value) == Some(&self.audience);
        match claim {
            Some(Value::List(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        }
    }
}

/// Whole seconds; a fraction is passed over, and what is out of range is the end of it.
fn seconds(date: &Value) -> Option<i64> {
    match date {
        Value::Number(number) => Some(*number as i64),
        _ => None,
    }
}
