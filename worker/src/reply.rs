//! Replies: JSON on the wire.

use edge_credits::entry::Entry;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::worker_sys::web_sys::WebSocket;

use crate::cors;
use crate::frames;
use crate::problem::Problem;
use crate::request::{Header, Headers, Request};
use crate::trace::RequestId;

#[wasm_bindgen(raw_module = "./answer.js")]
extern "C" {
    /// Makes the runtime's response, with what every answer says: scripts/worker/answer.js. Without an id it takes a
    /// random one.
    #[wasm_bindgen(js_name = answer)]
    fn answer(
        status: u16,
        request_id: Option<&str>,
        headers: &str,
        body: Option<&str>,
        socket: Option<WebSocket>,
    ) -> JsValue;
}

/// An answer.
pub(crate) struct Response {
    status: u16,
    /// What it says beside what every answer of its kind says, a line each.
    headers: String,
    body: Option<String>,
    socket: Option<WebSocket>,
}

impl Response {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Response {
        Response {
            status,
            headers: String::new(),
            body: None,
            socket: None,
        }
    }

    /// The answer that a WebSocket begins with.
    pub(crate) fn of_socket(socket: WebSocket) -> Response {
        Response {
            socket: Some(socket),
            ..Response::empty(101)
        }
    }

    pub(crate) fn is_of_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// Says this in a header, instead of whatever was said there. The value has no line breaks.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        for part in [name, ":", value, "\n"] {
            self.headers.push_str(part);
        }
    }

    /// The same answer, saying this in a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Response {
        self.set(name, value);
        self
    }
}

/// An answer in JSON that nobody may cache.
pub(crate) fn json(status: u16, body: &impl Serialize) -> Result<Response, Problem> {
    Ok(text(status, serde_json::to_string(body)?))
}

/// An answer whose JSON is there already.
pub(crate) fn text(status: u16, body: String) -> Response {
    Response {
        body: Some(body),
        ..Response::empty(status)
    }
}

/// The answer to the command that made an entry, the first time and every other.
pub(crate) fn entry(entry: &Entry) -> Result<Response, Problem> {
    json(if entry.creates() { 201 } else { 200 }, &entry.answer())
}

/// The answer to a command that made an entry before.
pub(crate) fn replayed(entry: &Entry) -> Result<Response, Problem> {
    Ok(self::entry(entry)?.with("Idempotent-Replayed", "true"))
}

/// A public answer with a tag by which a client knows whether it changed.
pub(crate) fn tagged(
    asked: &Headers,
    tag: &str,
    make: impl FnOnce() -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let is_unchanged = asked
        .get(Header::IfNoneMatch)
        .unwrap_or_default()
        .split(',')
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*");
    let response = if is_unchanged {
        Response::empty(304)
    } else {
        make()?
    };
    Ok(response
        .with("ETag", tag)
        .with("Cache-Control", "public, max-age=60")
        // What is cached for one page is not for a page of another origin.
        .with("Vary", "Origin"))
}

/// What goes out: an answer, or the problem that there is instead, for the pages that may read it; and the id of its
/// request, if it is known here.
pub(crate) struct Finished {
    response: Response,
    id: Option<RequestId>,
}

impl Finished {
    pub(crate) fn of(result: Result<Response, Problem>, request: &Request, env: &Env) -> Finished {
        let headers = request.headers();
        let (mut response, id) = match result {
            Ok(response) => (response, RequestId::given(headers)),
            Err(problem) => {
                let id = RequestId::of(headers);
                (problem.into_response(&id), Some(id))
            }
        };
        if let Some(origin) = cors::allowed_origin(headers, env) {
            cors::allow(&mut response, origin);
        }
        Finished { response, id }
    }

    /// As the runtime has it.
    pub(crate) fn into_js(self) -> JsValue {
        let Finished { response, id } = self;
        answer(
            response.status,
            id.as_ref().map(RequestId::as_str),
            &response.headers,
            response.body.as_deref(),
            response.socket,
        )
    }

    /// As a part of an answer to calls that came together: status, id and headers, a line each; and the body.
    pub(crate) fn push_to(&self, parts: &mut Vec<u8>) {
        let Finished { response, id } = self;
        let id = id.as_ref().map(RequestId::as_str).unwrap_or_default();
        let head = format!("{}\n{id}\n{}", response.status, response.headers);
        frames::push(parts, Some(head.as_bytes()));
        frames::push(parts, response.body.as_deref().map(str::as_bytes));
    }
}
