//! Service keys: which servers may call, and what each of them may do.
//!
//! `SERVICE_KEYS` is a list with commas. An item is a secret, which may do everything, or `name:role:secret` with the
//! role `read`, `charge` or `admin`. Several at once let a key be replaced without a gap. A secret has no commas, and
//! one without a name no colons.

use std::cell::RefCell;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use worker::Env;

use crate::trace;
use crate::vars;

/// What a service key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Read, and estimate.
    Read,
    /// That, and what a call of a model needs: holds, charges, uses of an entitlement.
    Charge,
    /// Everything.
    Admin,
}

/// A key, without its secret.
#[derive(Clone, Debug)]
pub(crate) struct ServiceKey {
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
}

/// The keys of a deployment, with their secrets' digests: what is compared has one length, whatever a key's is.
struct KeyRing {
    text: Rc<str>,
    keys: Vec<(ServiceKey, [u8; 32])>,
}

thread_local! {
    static KEY_RING: RefCell<Option<Rc<KeyRing>>> = const { RefCell::new(None) };
}

/// The key whose secret this is.
pub(crate) fn find(presented: &str, env: &Env) -> Option<ServiceKey> {
    ring(env).find(presented)
}

/// The keys in force. They are read again when the variable has changed: an isolate may outlive a change of secrets.
fn ring(env: &Env) -> Rc<KeyRing> {
    let text = vars::text(env, "SERVICE_KEYS");
    KEY_RING.with_borrow_mut(|known| match known {
        Some(ring) if ring.text == text => ring.clone(),
        _ => known.insert(Rc::new(KeyRing::parse(text))).clone(),
    })
}

impl KeyRing {
    fn parse(text: Rc<str>) -> KeyRing {
        let mut keys = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            match parse_item(item) {
                Some((key, secret)) => keys.push((key, Sha256::digest(secret.as_bytes()).into())),
                // The item may hold a secret, so it is not told.
                None => trace::fault(
                    None,
                    "an item of SERVICE_KEYS is neither a secret nor name:role:secret with the role read, charge or admin; it is left out",
                ),
            }
        }
        KeyRing { text, keys }
    }

    /// Compares with every key, whichever fits, so that the time tells nothing of them.
    fn find(&self, presented: &str) -> Option<ServiceKey> {
        let presented = Sha256::digest(presented.as_bytes());
        let mut place = u32::MAX;
        for (index, (_, digest)) in (0_u32..).zip(&self.keys) {
            let fits: Choice = digest.as_slice().ct_eq(presented.as_slice());
            place.conditional_assign(&index, fits);
        }
        let (key, _) = self.keys.get(usize::try_from(place).ok()?)?;
        Some(key.clone())
    }
}

fn parse_item(item: &str) -> Option<(ServiceKey, &str)> {
    let Some((name, rest)) = item.split_once(':') else {
        let everything = ServiceKey {
            name: None,
            role: Role::Admin,
        };
        return Some((everything, item));
    };
    let (role, secret) = rest.split_once(':')?;
    let role = match role {
        "read" => Role::Read,
        "charge" => Role::Charge,
        "admin" => Role::Admin,
        _ => return None,
    };
    let name = Some(name.to_owned()).filter(|name| !name.is_empty())?;
    let key = ServiceKey {
        name: Some(name),
        role,
    };
    (!secret.is_empty()).then_some((key, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &str, presented: &str) -> Option<(Option<String>, Role)> {
        KeyRing::parse(keys.into())
            .find(presented)
            .map(|key| (key.name, key.role))
    }

    #[test]
    fn each_of_several_keys_opens_with_its_role() {
        let keys = "first, meter:charge:second ,board:read:th:ird,ops:admin:fourth";
        let named = |name: &str, role| Some((Some(name.to_owned()), role));
        assert_eq!(found(keys, "first"), Some((None, Role::Admin)));
        assert_eq!(found(keys, "second"), named("meter", Role::Charge));
        assert_eq!(found(keys, "th:ird"), named("board", Role::Read));
        assert_eq!(found(keys, "fourth"), named("ops", Role::Admin));
    }

    #[test]
    fn what_is_no_key_opens_nothing() {
        for presented in [
            "",
            "fir",
            "firstt",
            "meter",
            "charge",
            "meter:charge:second",
            "first,",
        ] {
            assert_eq!(
                found("first,meter:charge:second", presented),
                None,
                "{presented}"
            );
        }
    }

    #[test]
    fn no_keys_mean_nobody() {
        for keys in ["", " ", ",", " , ,"] {
            assert_eq!(found(keys, ""), None, "{keys}");
        }
    }
}
