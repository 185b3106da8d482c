//! Problems: how a refusal, a wrong call or a fault looks on the wire (RFC 9457).

use edge_credits::refusal::{Code, Refusal, Shortage};
use serde::Serialize;
use worker::{Headers, Response, ResponseBuilder};

/// Why a request is not answered as its caller wished.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The core said no.
    Refused(Box<Refusal>),
    /// The call itself is wrong.
    Call(CallFault),
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
    /// No or bad credentials.
    Unauthenticated(&'static str),
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
    #[serde(flatten)]
    shortage: Option<ShortageDocument>,
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
    pub(crate) fn into_response(self) -> worker::Result<Response> {
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
                        shortage: refusal.shortage.as_ref().map(shortage_document),
                    },
                    Headers::new(),
                )
            }
            Problem::Call(fault) => fault.into_response(),
            Problem::Fault(error) => {
                worker::console_error!("fault: {error}");
                let detail = "something failed on our side; it is safe to try again with the same Idempotency-Key";
                let headers = Headers::new();
                headers.set("Retry-After", "1")?;
                respond(
                    &Document {
                        r#type: "about:blank",
                        title: "Internal Server Error",
                        status: 500,
                        code: "internal",
                        detail,
                        field: None,
                        shortage: None,
                    },
                    headers,
                )
            }
        }
    }
}

impl CallFault {
    fn into_response(self) -> worker::Result<Response> {
        let headers = Headers::new();
        let (status, title, code, detail) = match self {
            CallFault::NotFound => (
                404,
                "Not Found",
                "not_found",
                "there is nothing at this path".to_owned(),
            ),
            CallFault::MethodNotAllowed(allowed) => {
                headers.set("Allow", allowed)?;
                let detail = format!("this path takes {allowed}");
                (405, "Method Not Allowed", "method_not_allowed", detail)
            }
            CallFault::Unauthenticated(detail) => {
                headers.set("WWW-Authenticate", "Bearer")?;
                (401, "Unauthorized", "unauthenticated", detail.to_owned())
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
        };
        respond(
            &Document {
                r#type: "about:blank",
                title,
                status,
                code,
                detail: &detail,
                field: None,
                shortage: None,
            },
            headers,
        )
    }
}

/// The one place where a refusal meets HTTP.
fn status_of(code: Code) -> (u16, &'static str) {
    match code {
        Code::InsufficientCredits => (402, "Payment Required"),
        Code::EntitlementExhausted => (403, "Forbidden"),
        Code::AccountNotFound | Code::HoldNotFound | Code::ChargeNotFound | Code::GrantNotFound => {
            (404, "Not Found")
        }
        Code::AccountExists
        | Code::PlanTransitionForbidden
        | Code::HoldNotOpen
        | Code::RefundExceedsCharge
        | Code::GrantEnded => (409, "Conflict"),
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
        | Code::IdempotencyKeyRequired => (400, "Bad Request"),
    }
}

fn shortage_document(shortage: &Shortage) -> ShortageDocument {
    ShortageDocument {
        required: shortage.required,
        available: shortage.available,
        owed: shortage.owed,
        shortfall: shortage.shortfall(),
    }
}

fn respond(document: &Document<'_>, headers: Headers) -> worker::Result<Response> {
    headers.set("Content-Type", "application/problem+json")?;
    headers.set("Cache-Control", "no-store")?;
    let body = serde_json::to_vec(document)?;
    Ok(ResponseBuilder::new()
        .with_status(document.status)
        .with_headers(headers)
        .fixed(body))
}
