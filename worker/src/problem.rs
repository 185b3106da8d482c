//! Problems: how a refusal, a wrong call or a fault looks on the wire (RFC 9457).

use edge_credits::limit::LimitReached;
use edge_credits::refusal::{Code, Refusal, Shortage};
use serde::Serialize;

use crate::reply::{self, Response};
use crate::trace::{self, RequestId};

/// The longest that a rate limit lasts: the period of both in wrangler.toml.
const RATE_LIMIT_SECONDS: &str = "10";

/// Why a request is not answered as its caller wished.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The core said no.
    Refused(Box<Refusal>),
    /// The call itself is wrong.
    Call(CallFault),
    /// The account's database has a newer schema, of this version. It is left alone.
    NewerSchema(i64),
    /// The key has an entry already. What it was answered with is what its caller is told.
    KeyTaken,
    /// Something of ours failed. Nothing of the request was written, or all of it was: a retry with the same
    /// key finds out.
    Fault(String),
}

/// What is wrong with a call before anyone looks at an account.
#[derive(Clone, Debug)]
pub(crate) enum CallFault {
    /// The path leads nowhere.
    NotFound,
    /// The path is there, for other methods.
    MethodNotAllowed(&'static str),
    /// Nobody says who calls.
    NoCredentials,
    /// Whoever calls is not who they say.
    BadCredentials(&'static str),
    /// The caller is known, and may not do this.
    Forbidden(String),
    /// Too many requests.
    RateLimited,
    /// The path holds no account id.
    InvalidAccountId(String),
    /// The body is no JSON.
    InvalidJson(String),
    /// The body is of another media type.
    UnsupportedMediaType(String),
    /// The body is too long.
    BodyTooLarge,
    /// A test clock where there is none.
    TestClockDisabled,
    /// A plain request where a WebSocket is offered.
    UpgradeRequired,
    /// An event that its sender did not sign.
    InvalidSignature(&'static str),
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    request_id: &'a str,
    #[serde(flatten)]
    figures: Option<Figures>,
}

/// The figures behind a refusal.
#[derive(Serialize)]
#[serde(untagged)]
enum Figures {
    Shortage(ShortageDocument),
    Limit(LimitReached),
}

#[derive(Serialize)]
struct ShortageDocument {
    required: edge_credits::credits::Credits,
    available: edge_credits::credits::Credits,
    owed: edge_credits::credits::Credits,
    shortfall: edge_credits::credits::Credits,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        Problem::Refused(Box::new(refusal))
    }
}

impl From<CallFault> for Problem {
    fn from(fault: CallFault) -> Problem {
        Problem::Call(fault)
    }
}

impl From<worker::Error> for Problem {
    fn from(error: worker::Error) -> Problem {
        Problem::Fault(error.to_string())
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Problem {
        Problem::Fault(error.to_string())
    }
}

impl Problem {
    /// The answer that tells the caller.
    pub(crate) fn into_response(self, id: &RequestId) -> Response {
        match self {
            Problem::Refused(refusal) => {
                let (status, title) = status_of(refusal.code);
                respond(
                    &Document {
                        r#type: "about:blank",
                        title,
                        status,
                        code: refusal.code.as_str(),
                        detail: &refusal.detail,
                        field: refusal.field.as_deref().filter(|field| !field.is_empty()),
                        request_id: id.as_str(),
                        figures: figures(&refusal),
                    },
                    None,
                )
            }
            Problem::Call(fault) => fault.into_response(id),
            Problem::NewerSchema(version) => {
                trace::fault(
                    Some(id),
                    &format!("the database has schema {version}, newer than this Worker's"),
                );
                let detail = "this account was last written by a newer version of the service; nothing was changed, and it is safe to try again later";
                respond(
                    &Document {
                        r#type: "about:blank",
                        title: "Service Unavailable",
                        status: 503,
                        code: "newer_schema",
                        detail,
                        field: None,
                        request_id: id.as_str(),
                        figures: None,
                    },
                    Some(("Retry-After", "60")),
                )
            }
            // Whoever writes with a key answers for it: a redemption that came twice at once is told to try again.
            Problem::KeyTaken => {
                Problem::Fault("the key was taken meanwhile".to_owned()).into_response(id)
            }
            Problem::Fault(error) => {
                trace::fault(Some(id), &error);
                let detail = "something failed on our side; it is safe to try again with the same Idempotency-Key";
                respond(
                    &Document {
                        r#type: "about:blank",
                        title: "Internal Server Error",
                        status: 500,
                        code: "internal",
                        detail,
                        field: None,
                        request_id: id.as_str(),
                        figures: None,
                    },
                    Some(("Retry-After", "1")),
                )
            }
        }
    }
}

impl CallFault {
    fn into_response(self, id: &RequestId) -> Response {
        let mut header = None;
        let (status, title, code, detail) = match self {
            CallFault::NotFound => (
                404,
                "Not Found",
                "not_found",
                "there is nothing at this path".to_owned(),
            ),
            CallFault::MethodNotAllowed(allowed) => {
                header = Some(("Allow", allowed));
                let detail = format!("this path takes {allowed}");
                (405, "Method Not Allowed", "method_not_allowed", detail)
            }
            CallFault::NoCredentials => {
                header = Some(("WWW-Authenticate", "Bearer"));
                let detail = "the header `Authorization: Bearer …` is missing".to_owned();
                (401, "Unauthorized", "unauthenticated", detail)
            }
            CallFault::BadCredentials(detail) => {
                trace::bad_credentials(id, detail);
                header = Some(("WWW-Authenticate", "Bearer error=\"invalid_token\""));
                (401, "Unauthorized", "unauthenticated", detail.to_owned())
            }
            CallFault::Forbidden(detail) => (403, "Forbidden", "forbidden", detail),
            CallFault::RateLimited => {
                header = Some(("Retry-After", RATE_LIMIT_SECONDS));
                let detail =
                    "there are too many requests; it is safe to try again later".to_owned();
                (429, "Too Many Requests", "rate_limited", detail)
            }
            CallFault::InvalidAccountId(detail) => {
                (400, "Bad Request", "invalid_account_id", detail)
            }
            CallFault::InvalidJson(detail) => (400, "Bad Request", "invalid_json", detail),
            CallFault::UnsupportedMediaType(found) => {
                let detail = format!("the body must be application/json, not {found}");
                (
                    415,
                    "Unsupported Media Type",
                    "unsupported_media_type",
                    detail,
                )
            }
            CallFault::BodyTooLarge => {
                let detail = "a request body has at most 65536 bytes".to_owned();
                (413, "Content Too Large", "body_too_large", detail)
            }
            CallFault::TestClockDisabled => {
                let detail = "the header `Test-Clock` is for local development only".to_owned();
                (400, "Bad Request", "test_clock_disabled", detail)
            }
            CallFault::UpgradeRequired => {
                header = Some(("Upgrade", "websocket"));
                let detail = "this path is a WebSocket: it needs the header `Upgrade: websocket`";
                (
                    426,
                    "Upgrade Required",
                    "upgrade_required",
                    detail.to_owned(),
                )
            }
            CallFault::InvalidSignature(detail) => {
                (400, "Bad Request", "invalid_signature", detail.to_owned())
            }
        };
        respond(
            &Document {
                r#type: "about:blank",
                title,
                status,
                code,
                detail: &detail,
                field: None,
                request_id: id.as_str(),
                figures: None,
            },
            header,
        )
    }
}

/// The one place where a refusal meets HTTP.
fn status_of(code: Code) -> (u16, &'static str) {
    match code {
        Code::InsufficientCredits => (402, "Payment Required"),
        Code::EntitlementExhausted | Code::SpendLimitReached => (403, "Forbidden"),
        Code::AccountNotFound
        | Code::HoldNotFound
        | Code::ChargeNotFound
        | Code::GrantNotFound
        | Code::InvitationNotFound
        | Code::CatalogNotFound
        | Code::PromotionNotFound => (404, "Not Found"),
        Code::AccountExists
        | Code::PlanTransitionForbidden
        | Code::HoldNotOpen
        | Code::RefundExceedsCharge
        | Code::GrantEnded
        | Code::OwnInvitation
        | Code::InvitationAlreadyRedeemed
        | Code::InvitationExhausted
        | Code::PromotionNotOpen
        | Code::PromotionExhausted
        | Code::PromotionAlreadyRedeemed => (409, "Conflict"),
        Code::IdempotencyKeyReused => (422, "Unprocessable Content"),
        Code::InvalidRequest
        | Code::UnknownModel
        | Code::UnknownMeter
        | Code::InvalidQuantity
        | Code::InvalidCredits
        | Code::AmountTooLarge
        | Code::UnknownPlan
        | Code::UnknownPerk
        | Code::UnknownFeature
        | Code::InvalidTimeZone
        | Code::InvalidCursor
        | Code::UnknownUsageFormat
        | Code::InvalidCatalog
        | Code::InvalidAccount
        | Code::InvalidEntry
        | Code::UnknownCatalog
        | Code::UnknownPack
        | Code::IdempotencyKeyRequired => (400, "Bad Request"),
    }
}

fn figures(refusal: &Refusal) -> Option<Figures> {
    let shortage = refusal.shortage.as_ref().map(shortage_document);
    shortage
        .map(Figures::Shortage)
        .or(refusal.limit.map(Figures::Limit))
}

fn shortage_document(shortage: &Shortage) -> ShortageDocument {
    ShortageDocument {
        required: shortage.required,
        available: shortage.available,
        owed: shortage.owed,
        shortfall: shortage.shortfall(),
    }
}

fn respond(document: &Document<'_>, header: Option<(&str, &str)>) -> Response {
    let body = serde_json::to_string(document).unwrap_or_default();
    let response =
        reply::text(document.status, body).with("Content-Type", "application/problem+json");
    match header {
        Some((name, value)) => response.with(name, value),
        None => response,
    }
}
