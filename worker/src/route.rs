//! Routes: which call a method and a path are.

use std::borrow::Cow;

use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::{charge_not_found, hold_not_found};
use percent_encoding::percent_decode_str;
use worker::Method;

use crate::problem::{CallFault, Problem};

/// A call of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /health`
    Health,
    /// `GET /openapi.json`
    OpenApi,
    /// `GET /v1/catalog`
    Catalog,
    /// `GET /v1/catalogs`
    ListCatalogs,
    /// `PUT /v1/catalogs`
    PublishCatalog,
    /// `GET /v1/catalogs/{hash}`
    ReadCatalog(String),
    /// `POST /v1/estimate`
    Estimate,
    /// `GET /v1/memorial-wall`
    MemorialWall,
    /// `POST /v1/webhooks/stripe`
    Stripe,
    /// `GET /v1/promotions/{code}`
    ReadPromotion(String),
    /// `PUT /v1/promotions/{code}`
    OfferPromotion(String),
    /// Anything below `/v1/accounts/{a}`.
    Account(String, Call),
}

/// A call that is about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Read,
    Update,
    ChangePlan,
    SetSpendLimits,
    SetAlerts,
    ReadAlerts,
    GrantPerk(String),
    RevokePerk(String),
    Balance,
    Estimate,
    Hold,
    ReadHolds,
    ReadHold(String),
    Capture(String),
    Release(String),
    Extend(String),
    Charge,
    Refund(String),
    Grant,
    ReadGrants,
    Void(String),
    Entries,
    Usage,
    Verify,
    Entitlements,
    UseFeature(String),
    ReturnFeature(String),
    Invitation,
    Redeem,
    RedeemPromotion,
    Live,
}

impl Route {
    /// Finds the call.
    ///
    /// # Errors
    /// 404 for a path that leads nowhere, 405 for a method that it does not take. An account id that can be none
    /// is found later, by [`check_account_id`], so that strangers learn nothing from it.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Route, CallFault> {
        let decoded: Vec<Cow<'_, str>> = path
            .strip_prefix('/')
            .unwrap_or_default()
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let segments: Vec<&str> = decoded.iter().map(|segment| segment.as_ref()).collect();
        match segments.as_slice() {
            ["health"] => only(method, Method::Get, "GET", Route::Health),
            ["openapi.json"] => only(method, Method::Get, "GET", Route::OpenApi),
            ["v1", "catalog"] => only(method, Method::Get, "GET", Route::Catalog),
            ["v1", "catalogs"] => match method {
                Method::Get => Ok(Route::ListCatalogs),
                Method::Put => Ok(Route::PublishCatalog),
                _ => Err(CallFault::MethodNotAllowed("GET, PUT")),
            },
            ["v1", "catalogs", hash] => only(
                method,
                Method::Get,
                "GET",
                Route::ReadCatalog((*hash).to_owned()),
            ),
            ["v1", "estimate"] => only(method, Method::Post, "POST", Route::Estimate),
            ["v1", "memorial-wall"] => only(method, Method::Get, "GET", Route::MemorialWall),
            ["v1", "webhooks", "stripe"] => post(method, Route::Stripe),
            ["v1", "promotions", code] => match method {
                Method::Get => Ok(Route::ReadPromotion((*code).to_owned())),
                Method::Put => Ok(Route::OfferPromotion((*code).to_owned())),
                _ => Err(CallFault::MethodNotAllowed("GET, PUT")),
            },
            ["v1", "accounts", account, rest @ ..] => {
                let call = Call::find(method, rest)?;
                Ok(Route::Account((*account).to_owned(), call))
            }
            _ => Err(CallFault::NotFound),
        }
    }
}

impl Call {
    fn find(method: &Method, rest: &[&str]) -> Result<Call, CallFault> {
        let text = |segment: &str| segment.to_owned();
        match rest {
            [] => match method {
                Method::Get => Ok(Call::Read),
                Method::Put => Ok(Call::Open),
                Method::Patch => Ok(Call::Update),
                _ => Err(CallFault::MethodNotAllowed("GET, PUT, PATCH")),
            },
            ["plan"] => only(method, Method::Put, "PUT", Call::ChangePlan),
            ["spend-limits"] => only(method, Method::Put, "PUT", Call::SetSpendLimits),
            ["alerts"] => match method {
                Method::Get => Ok(Call::ReadAlerts),
                Method::Put => Ok(Call::SetAlerts),
                _ => Err(CallFault::MethodNotAllowed("GET, PUT")),
            },
            ["perks", perk] => match method {
                Method::Put => Ok(Call::GrantPerk(text(perk))),
                Method::Delete => Ok(Call::RevokePerk(text(perk))),
                _ => Err(CallFault::MethodNotAllowed("PUT, DELETE")),
            },
            ["balance"] => only(method, Method::Get, "GET", Call::Balance),
            ["estimate"] => only(method, Method::Post, "POST", Call::Estimate),
            ["holds"] => match method {
                Method::Get => Ok(Call::ReadHolds),
                Method::Post => Ok(Call::Hold),
                _ => Err(CallFault::MethodNotAllowed("GET, POST")),
            },
            ["holds", hold] => only(method, Method::Get, "GET", Call::ReadHold(text(hold))),
            ["holds", hold, "capture"] => post(method, Call::Capture(text(hold))),
            ["holds", hold, "release"] => post(method, Call::Release(text(hold))),
            ["holds", hold, "extend"] => post(method, Call::Extend(text(hold))),
            ["charges"] => post(method, Call::Charge),
            ["charges", charge, "refund"] => post(method, Call::Refund(text(charge))),
            ["grants"] => match method {
                Method::Get => Ok(Call::ReadGrants),
                Method::Post => Ok(Call::Grant),
                _ => Err(CallFault::MethodNotAllowed("GET, POST")),
            },
            ["grants", grant, "void"] => post(method, Call::Void(text(grant))),
            ["entries"] => only(method, Method::Get, "GET", Call::Entries),
            ["entries", "verify"] => only(method, Method::Get, "GET", Call::Verify),
            ["usage"] => only(method, Method::Get, "GET", Call::Usage),
            ["entitlements"] => only(method, Method::Get, "GET", Call::Entitlements),
            ["entitlements", feature, "use"] => post(method, Call::UseFeature(text(feature))),
            ["entitlements", feature, "return"] => post(method, Call::ReturnFeature(text(feature))),
            ["invitation"] => only(method, Method::Get, "GET", Call::Invitation),
            ["invitations", "redeem"] => post(method, Call::Redeem),
            ["promotions", "redeem"] => post(method, Call::RedeemPromotion),
            ["live"] => only(method, Method::Get, "GET", Call::Live),
            _ => Err(CallFault::NotFound),
        }
    }

    /// Whether it may be called without a body, which then means `{}`.
    pub(crate) fn may_lack_body(&self) -> bool {
        matches!(
            self,
            Call::GrantPerk(_)
                | Call::RevokePerk(_)
                | Call::Release(_)
                | Call::Refund(_)
                | Call::Void(_)
        )
    }

    /// Whether it is a POST that moves credits or uses up an entitlement, and so needs an idempotency key.
    pub(crate) fn needs_key(&self) -> bool {
        matches!(
            self,
            Call::Hold
                | Call::Capture(_)
                | Call::Release(_)
                | Call::Charge
                | Call::Refund(_)
                | Call::Grant
                | Call::Void(_)
                | Call::UseFeature(_)
                | Call::ReturnFeature(_)
                | Call::Redeem
                | Call::RedeemPromotion
        )
    }

    /// Whether it may go to its object together with other calls, with a key or without one: it has its effect once,
    /// however often it is sent, its answer is short, and it waits for nobody.
    pub(crate) fn may_join(&self, has_key: bool) -> bool {
        match self {
            Call::Read | Call::Balance | Call::Estimate | Call::Entitlements => true,
            Call::Redeem | Call::RedeemPromotion => false,
            call => call.takes_key() && has_key,
        }
    }

    /// Whether a key is honoured where one is sent.
    pub(crate) fn takes_key(&self) -> bool {
        self.needs_key() || matches!(self, Call::Extend(_))
    }
}

/// The hold that a path names.
pub(crate) fn hold_id(text: &str) -> Result<HoldId, Refusal> {
    HoldId::parse(text).ok_or_else(|| hold_not_found(text))
}

/// The charge that a path names.
pub(crate) fn charge_id(text: &str) -> Result<ChargeId, Refusal> {
    ChargeId::parse(text).ok_or_else(|| charge_not_found(text))
}

/// Account ids are 1 to 128 of `A-Z a-z 0-9 . _ : @ -`, and not `.` or `..`.
pub(crate) fn check_account_id(id: &str) -> Result<(), CallFault> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    if (1..=128).contains(&id.len()) && id.bytes().all(legal) && id != "." && id != ".." {
        return Ok(());
    }
    let detail =
        "an account id has 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -, and is not . or ..";
    Err(CallFault::InvalidAccountId(detail.to_owned()))
}

/// The parameters of a query: names and values.
pub(crate) type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The query's parameters, none of which is unknown or comes twice.
pub(crate) fn query<'a>(query: &'a str, names: &[&str]) -> Result<Parameters<'a>, Problem> {
    let pairs: Parameters<'a> = form_urlencoded::parse(query.as_bytes()).collect();
    for (index, (name, _)) in pairs.iter().enumerate() {
        let known = names.contains(&name.as_ref());
        let again = pairs.iter().take(index).any(|(earlier, _)| earlier == name);
        if !known || again {
            let detail = if again {
                format!("the query parameter `{name}` comes twice")
            } else {
                format!("the query parameter `{name}` is unknown here")
            };
            return Err(Refusal::new(Code::InvalidRequest, detail).at(name).into());
        }
    }
    Ok(pairs)
}

fn only<T>(
    method: &Method,
    wanted: Method,
    allowed: &'static str,
    found: T,
) -> Result<T, CallFault> {
    if *method == wanted {
        Ok(found)
    } else {
        Err(CallFault::MethodNotAllowed(allowed))
    }
}

fn post<T>(method: &Method, found: T) -> Result<T, CallFault> {
    only(method, Method::Post, "POST", found)
}
