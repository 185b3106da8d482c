//! What ties an answer to what the log says of it: the id of a request, and lines of JSON.

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::request::{Header, Headers};

const LONGEST_ID: usize = 64;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// The id of a request: the one that Cloudflare's edge gave it, or a random one.
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn of(headers: &Headers) -> RequestId {
        RequestId::given(headers).unwrap_or_else(|| RequestId(random_uuid()))
    }

    /// The one that the edge gave, if there is one.
    pub(crate) fn given(headers: &Headers) -> Option<RequestId> {
        let given = headers.get(Header::CfRay).filter(|id| is_plain(id))?;
        Some(RequestId(given.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where no edge overwrites it, a caller may have written the header.
fn is_plain(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A line of the log. It never has a credential, a body, or an account's id.
#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    detail: &'a str,
}

/// Says that something of ours failed.
pub(crate) fn fault(id: Option<&RequestId>, detail: &str) {
    worker::console_error!("{}", line("error", "fault", id, detail));
}

/// Says that somebody presented credentials that are none.
pub(crate) fn bad_credentials(id: &RequestId, reason: &str) {
    worker::console_warn!("{}", line("warn", "unauthenticated", Some(id), reason));
}

fn line(level: &'static str, event: &'static str, id: Option<&RequestId>, detail: &str) -> String {
    let line = Line {
        level,
        event,
        request_id: id.map(RequestId::as_str),
        detail,
    };
    serde_json::to_string(&line).unwrap_or_default()
}
