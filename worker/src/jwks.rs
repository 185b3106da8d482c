//! The public keys that user tokens may be signed with: a JSON Web Key Set (RFC 7517) in `USER_TOKEN_JWKS`.
//!
//! The runtime's WebCrypto does the arithmetic: three signature algorithms in wasm would double the Worker.

use std::cell::RefCell;
use std::rc::Rc;

use edge_credits::value::Value;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, JSON, Object as JsObject, Promise, Reflect, Uint8Array};

use crate::jose::{self, Object};
use crate::problem::Problem;

/// A modulus of 2048 bits, the least of RFC 7518, in base64.
const SHORTEST_MODULUS: usize = 342;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = verify)]
    fn verify(
        algorithm: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        signed: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// An algorithm of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// The algorithm that tokens and keys call so.
    pub(crate) fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            // RFC 9864 names it for what it is.
            "EdDSA" | "Ed25519" => Some(Algorithm::EdDsa),
            "RS256" => Some(Algorithm::Rs256),
            _ => None,
        }
    }

    /// What WebCrypto calls it.
    fn web_crypto(self) -> &'static str {
        match self {
            Algorithm::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
            Algorithm::EdDsa => r#"{"name":"Ed25519"}"#,
            Algorithm::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#,
        }
    }
}

/// The keys of a deployment.
struct KeySet {
    text: String,
    keys: Vec<Key>,
}

struct Key {
    algorithm: Algorithm,
    jwk: Object,
    /// The key in WebCrypto, once it was needed.
    imported: RefCell<Option<JsValue>>,
}

thread_local! {
    static KEY_SET: RefCell<Option<Rc<KeySet>>> = const { RefCell::new(None) };
}

/// Whether one of the keys with this id and for this algorithm made the signature. A token without an id goes with
/// the keys without one.
///
/// # Errors
/// A fault if the set is no key set, or a key of it none of its kind.
pub(crate) async fn is_signed(
    signed: &[u8],
    signature: &[u8],
    algorithm: Algorithm,
    kid: Option<&str>,
    set: &str,
) -> Result<bool, Problem> {
    if set.trim().is_empty() {
        return Ok(false);
    }
    let set = key_set(set)?;
    for key in &set.keys {
        if key.algorithm == algorithm
            && key.jwk.text("kid") == kid
            && key.made(signature, signed).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys in force. They are read again when the variable has changed.
fn key_set(text: &str) -> Result<Rc<KeySet>, Problem> {
    let no_key_set = || Problem::Fault("USER_TOKEN_JWKS is no key set".to_owned());
    KEY_SET.with_borrow_mut(|known| match known {
        Some(set) if set.text == text => Ok(set.clone()),
        _ => Ok(known
            .insert(Rc::new(KeySet::parse(text).ok_or_else(no_key_set)?))
            .clone()),
    })
}

impl KeySet {
    /// Keys that are of another kind or for other uses are passed over, as RFC 7517 has it.
    fn parse(text: &str) -> Option<KeySet> {
        let Value::List(keys) = Object::parse(text.as_bytes())?.take("keys")? else {
            return None;
        };
        let keys = keys
            .into_iter()
            .map(Object::of)
            .collect::<Option<Vec<_>>>()?;
        Some(KeySet {
            text: text.to_owned(),
            keys: keys.into_iter().filter_map(Key::read).collect(),
        })
    }
}

impl Key {
    /// A key is for the one algorithm of its kind.
    fn read(jwk: Object) -> Option<Key> {
        let algorithm = match (jwk.text("kty")?, jwk.text("crv")) {
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("RSA", None) if jwk.text("n")?.len() >= SHORTEST_MODULUS => Algorithm::Rs256,
            _ => return None,
        };
        let is_verify = |usage: &Value| jose::text(usage) == Some("verify");
        let may_verify = match jwk.get("key_ops") {
            None => true,
            Some(Value::List(uses)) => uses.iter().any(is_verify),
            Some(_) => false,
        };
        let is_ours = may_verify
            && jwk.lacks_or("use", |usage| usage == "sig")
            && jwk.lacks_or("alg", |name| Algorithm::named(name) == Some(algorithm));
        is_ours.then_some(Key {
            algorithm,
            jwk,
            imported: RefCell::new(None),
        })
    }

    /// The public key as WebCrypto takes it. A private part stays where it is.
    fn public(&self) -> JsObject {
        let public = JsObject::new();
        for name in ["kty", "crv", "x", "y", "n", "e"] {
            if let Some(text) = self.jwk.text(name) {
                // A plain object takes every member.
                let _ = Reflect::set(&public, &name.into(), &text.into());
            }
        }
        public
    }

    async fn made(&self, signature: &[u8], signed: &[u8]) -> Result<bool, Problem> {
        let algorithm = parsed(self.algorithm.web_crypto())?;
        let key = self.imported(&algorithm).await?;
        let (signature, signed) = (Uint8Array::from(signature), Uint8Array::from(signed));
        // A signature of another length is an error for some algorithms, and for us one that the key did not make.
        let Ok(answer) = verify(&algorithm, &key, &signature, &signed) else {
            return Ok(false);
        };
        Ok(JsFuture::from(answer)
            .await
            .is_ok_and(|answer| answer.is_truthy()))
    }

    async fn imported(&self, algorithm: &JsValue) -> Result<JsValue, Problem> {
        let known = self.imported.borrow().clone();
        if let Some(key) = known {
            return Ok(key);
        }
        let usages = Array::of1(&JsValue::from_str("verify"));
        let imported = import_key("jwk", &self.public(), algorithm, false, &usages);
        let key = match imported {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        }
        .map_err(|_| {
            let kid = self.jwk.text("kid").unwrap_or_default();
            Problem::Fault(format!(
                "the key `{kid}` of USER_TOKEN_JWKS is no public key of its kind"
            ))
        })?;
        self.imported.replace(Some(key.clone()));
        Ok(key)
    }
}

fn parsed(json: &str) -> Result<JsValue, Problem> {
    JSON::parse(json).map_err(|_| Problem::Fault("what was written as JSON is none".to_owned()))
}
