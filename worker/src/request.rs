//! What a request carries: its method and path, the headers that mean something here, its body, its clock.
//!
//! scripts/worker/request.js hands all of it over in one piece: each question that wasm asks JavaScript takes longer
//! than most answers do.

use edge_credits::refusal::Refusal;
use edge_credits::time::Instant;
use edge_credits::value::Value;
use worker::js_sys::Date;
use worker::{Env, Method};

use crate::problem::{CallFault, Problem};
use crate::vars;

/// The longest body of a call of the API, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// The headers that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    CfRay,
    CfConnectingIp,
    Origin,
    Authorization,
    IdempotencyKey,
    TestClock,
    ContentType,
    ContentLength,
    IfNoneMatch,
    StripeSignature,
    Upgrade,
    WebSocketProtocol,
    InjectFault,
}

impl Header {
    const ALL: [Header; 13] = [
        Header::CfRay,
        Header::CfConnectingIp,
        Header::Origin,
        Header::Authorization,
        Header::IdempotencyKey,
        Header::TestClock,
        Header::ContentType,
        Header::ContentLength,
        Header::IfNoneMatch,
        Header::StripeSignature,
        Header::Upgrade,
        Header::WebSocketProtocol,
        Header::InjectFault,
    ];

    fn name(self) -> &'static str {
        match self {
            Header::CfRay => "CF-Ray",
            Header::CfConnectingIp => "CF-Connecting-IP",
            Header::Origin => "Origin",
            Header::Authorization => "Authorization",
            Header::IdempotencyKey => "Idempotency-Key",
            Header::TestClock => "Test-Clock",
            Header::ContentType => "Content-Type",
            Header::ContentLength => "Content-Length",
            Header::IfNoneMatch => "If-None-Match",
            Header::StripeSignature => "Stripe-Signature",
            Header::Upgrade => "Upgrade",
            Header::WebSocketProtocol => "Sec-WebSocket-Protocol",
            Header::InjectFault => "Inject-Fault",
        }
    }

    /// Whether anybody reads it of a request to the Worker or to an object, of a GET or of anything else. Asking for one
    /// that nobody reads is time lost on every request.
    fn is_read(self, in_object: bool, of_get: bool) -> bool {
        match self {
            Header::CfRay | Header::Origin | Header::TestClock => true,
            Header::CfConnectingIp => !in_object,
            // A WebSocket ends with its caller's token.
            Header::Authorization => !in_object || of_get,
            Header::IfNoneMatch => !in_object && of_get,
            Header::Upgrade | Header::WebSocketProtocol => of_get,
            // The Worker hands on what calls that go together say.
            Header::IdempotencyKey | Header::InjectFault => !of_get,
            Header::ContentType | Header::ContentLength | Header::StripeSignature => {
                !in_object && !of_get
            }
        }
    }
}

/// The names of the headers, in the order in which they are handed over, and nothing in the place of one that nobody
/// reads.
pub(crate) fn header_names(in_object: bool, of_get: bool) -> String {
    Header::ALL
        .map(|header| {
            if header.is_read(in_object, of_get) {
                header.name()
            } else {
                ""
            }
        })
        .join(",")
}

/// The headers of a request.
pub(crate) struct Headers {
    /// In the order of [`Header::ALL`].
    values: Vec<Option<String>>,
}

impl Headers {
    /// The header's value. One that is empty is there all the same.
    pub(crate) fn get(&self, header: Header) -> Option<&str> {
        self.values.get(header as usize)?.as_deref()
    }

    /// How long the body says it is.
    fn content_length(&self) -> Option<u64> {
        self.get(Header::ContentLength)?.parse().ok()
    }
}

/// A request as it arrived.
pub(crate) struct Request {
    method: Method,
    path: String,
    query: String,
    headers: Headers,
    /// Nothing if it is longer than it may be.
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request, of lines: its method, its URL, and for each header `:` and the value, or nothing where it is missing.
    pub(crate) fn read(head: &str, body: Option<Vec<u8>>) -> Request {
        let mut lines = head.split('\n');
        let method = method(lines.next().unwrap_or_default());
        let (path, query) = path_and_query(lines.next().unwrap_or_default());
        Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Headers {
                values: lines
                    .map(|line| line.strip_prefix(':').map(str::to_owned))
                    .collect(),
            },
            body,
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The path as it was sent, its escapes included.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind the question mark.
    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    ///
    /// # Errors
    /// 413 for one that is too long.
    pub(crate) fn bytes(&self) -> Result<&[u8], Problem> {
        self.body
            .as_deref()
            .ok_or_else(|| CallFault::BodyTooLarge.into())
    }

    /// The body as JSON. Where a call may lack one, none is an empty object.
    ///
    /// # Errors
    /// 413 for a body above 64 KiB, 400 `invalid_json` for what is no JSON.
    pub(crate) fn json(&self, may_be_missing: bool) -> Result<Value, Problem> {
        let bytes = self.bytes()?;
        if bytes.is_empty() && may_be_missing {
            return Ok(Value::Map(Vec::new()));
        }
        serde_json::from_slice(bytes).map_err(|error| {
            CallFault::InvalidJson(format!("the body is no JSON that can be read: {error}")).into()
        })
    }

    /// Checks what can be known of a body before it is read.
    ///
    /// # Errors
    /// 415 for another media type than JSON, 413 for a length above 64 KiB.
    pub(crate) fn check_body_headers(&self) -> Result<(), Problem> {
        let length = self.headers.content_length();
        if let Some(media_type) = self.headers.get(Header::ContentType)
            && length != Some(0)
        {
            let essence = media_type.split(';').next().unwrap_or_default().trim();
            // What nearly everyone sends is compared as it stands.
            if essence != "application/json" {
                let essence = essence.to_ascii_lowercase();
                if essence != "application/json" && !essence.ends_with("+json") {
                    return Err(CallFault::UnsupportedMediaType(essence).into());
                }
            }
        }
        if length.is_some_and(|length| length > BODY_LIMIT as u64) {
            return Err(CallFault::BodyTooLarge.into());
        }
        Ok(())
    }

    /// The time of the request: the test clock's where there is one, else the runtime's.
    ///
    /// # Errors
    /// 400 `test_clock_disabled`, or `invalid_request` for a header that is no time.
    pub(crate) fn now(&self, env: &Env) -> Result<Instant, Problem> {
        let Some(clock) = self.headers.get(Header::TestClock) else {
            // Whole milliseconds; the framework's clock would make a date for them.
            return Ok(Instant::from_millis(Date::now() as i64));
        };
        if &*vars::text(env, "TEST_CLOCK") != "on" {
            return Err(CallFault::TestClockDisabled.into());
        }
        Instant::parse(clock.trim(), "Test-Clock").map_err(|refusal: Refusal| refusal.into())
    }
}

/// One that no path takes stands for all that are not known here.
fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        _ => Method::Trace,
    }
}

/// The parts of a URL that the runtime wrote: the first slash after the host begins the path.
fn path_and_query(url: &str) -> (&str, &str) {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme
        .find('/')
        .and_then(|start| after_scheme.get(start..))
        .unwrap_or("/");
    let path = path.split('#').next().unwrap_or_default();
    path.split_once('?').unwrap_or((path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_handed_over_in_the_order_of_their_numbers() {
        for (index, header) in Header::ALL.into_iter().enumerate() {
            assert_eq!(index, header as usize, "{header:?}");
        }
    }

    #[test]
    fn a_missing_header_is_not_an_empty_one() {
        let mut head = String::from("POST\nhttp://host/v1/estimate");
        for header in Header::ALL {
            head.push_str(match header {
                Header::IdempotencyKey => "\n:",
                Header::Authorization => "\n:Bearer a:b",
                _ => "\n",
            });
        }
        let request = Request::read(&head, None);
        assert_eq!(request.headers().get(Header::IdempotencyKey), Some(""));
        assert_eq!(
            request.headers().get(Header::Authorization),
            Some("Bearer a:b")
        );
        assert_eq!(request.headers().get(Header::Origin), None);
    }

    #[test]
    fn a_url_is_split_where_the_runtime_wrote_it() {
        for (url, path, query) in [
            ("http://host/v1/a%20b?at=1", "/v1/a%20b", "at=1"),
            ("https://host", "/", ""),
            ("https://host/", "/", ""),
            ("https://host/a?b?c#d", "/a", "b?c"),
            ("https://host/a#b?c", "/a", ""),
        ] {
            assert_eq!(path_and_query(url), (path, query), "{url}");
        }
    }
}
