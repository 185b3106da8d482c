//! The Worker of Edge Credits.
//!
//! It matches the route, authenticates, answers price questions itself, and hands everything about an account to
//! that account's object. What is decided is decided by the core; here are routes, storage and JSON.

mod alerts;
mod at_once;
mod auth;
mod catalogs;
mod chain;
mod cors;
mod database;
mod directory;
mod fault;
mod frames;
mod gate;
mod internal;
mod invitations;
mod jose;
mod jwks;
mod keys;
mod limit;
mod live;
mod mac;
mod object;
mod outbox;
mod page;
mod problem;
mod promotions;
mod published;
mod reads;
mod reply;
mod request;
mod route;
mod statements;
mod store;
mod stripe;
mod subscriptions;
mod together;
mod token;
mod trace;
mod transaction;
mod usage;
mod vars;
mod verify;
mod wall;

use base16ct::lower::encode_string;
use edge_credits::catalog::Catalog;
use edge_credits::estimate::estimate;
use edge_credits::request::PricedRequest;
use edge_credits::value::Fields;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Method};

use crate::auth::Caller;
use crate::problem::Problem;
use crate::reply::{Finished, Response};
use crate::request::{Header, Headers, Request};
use crate::route::Route;

#[wasm_bindgen(raw_module = "./document.js")]
extern "C" {
    /// The document of this API, openapi.json. It is kept beside the module, which is compiled at every start.
    fn document() -> String;
}

/// What becomes of a request.
enum Served {
    Answered(Response),
    /// It is the business of this account's object.
    OfAccount {
        id: String,
        /// Whether it may go there together with others.
        may_join: bool,
    },
}

/// Answers a request, handed over as [`Request::read`] has it: with a response, the name of the account whose object
/// will answer, or a promise of either. Before the name stands `+` if the request may go there together with others,
/// else `-`.
#[wasm_bindgen]
pub fn fetch(head: &str, body: Option<Vec<u8>>, env: Env) -> JsValue {
    let request = Request::read(head, body);
    at_once::run(async move {
        let answer = match serve(&request, &env).await {
            Ok(Served::OfAccount { id, may_join }) => {
                let mark = if may_join { '+' } else { '-' };
                return JsValue::from_str(&format!("{mark}{id}"));
            }
            Ok(Served::Answered(response)) => Ok(response),
            Err(problem) => Err(problem),
        };
        Finished::of(answer, &request, &env).into_js()
    })
}

/// The names of the headers that a request to the Worker or to an object, a GET or anything else, is handed over with, in
/// their order; nothing in the place of one that is left out.
#[wasm_bindgen(js_name = headerNames)]
pub fn header_names(in_object: bool, of_get: bool) -> String {
    request::header_names(in_object, of_get)
}

async fn serve(request: &Request, env: &Env) -> Result<Served, Problem> {
    let (method, path, headers) = (request.method(), request.path(), request.headers());
    if *method == Method::Options && path.starts_with("/v1/") {
        let origin = cors::allowed_origin(headers, env);
        return Ok(Served::Answered(cors::preflight(origin)));
    }
    let (id, call) = match Route::find(method, path)? {
        Route::Account(id, call) => (id, call),
        route => return Ok(Served::Answered(answer(route, request, env).await?)),
    };
    let caller = match Caller::of(headers, env).await {
        Ok(caller) => caller,
        Err(problem) => {
            limit::of_address(headers, env).await?;
            return Err(problem);
        }
    };
    caller.check(&id, &call)?;
    route::check_account_id(&id)?;
    limit::of_account(&caller, &id, env).await?;
    if *method != Method::Get {
        request.check_body_headers()?;
    }
    if *method == Method::Patch {
        // The one body that is read before the object has it: scripts/worker/entry.js.
        request.bytes()?;
    }
    if caller.is_limited_in(&call) {
        auth::check_only_naming(request)?;
    }
    let has_key = headers.get(Header::IdempotencyKey).is_some();
    let may_join = call.may_join(has_key);
    Ok(Served::OfAccount { id, may_join })
}

/// Answers what is about no account.
async fn answer(route: Route, request: &Request, env: &Env) -> Result<Response, Problem> {
    let headers = request.headers();
    if route != Route::Health {
        limit::of_address(headers, env).await?;
    }
    match route {
        Route::Health => {
            route::query(request.query(), &[])?;
            #[derive(Serialize)]
            struct Health {
                status: &'static str,
                version: &'static str,
            }
            reply::json(
                200,
                &Health {
                    status: "ok",
                    version: env!("CARGO_PKG_VERSION"),
                },
            )
        }
        Route::OpenApi => {
            route::query(request.query(), &[])?;
            openapi(headers)
        }
        Route::Catalog => {
            route::query(request.query(), &[])?;
            let now = request.now(env)?;
            let catalogs = published::hear(env).await?;
            catalog(catalogs.at(now), headers)
        }
        Route::ReadCatalog(hash) => {
            route::query(request.query(), &[])?;
            catalogs::read(&hash, headers, env).await
        }
        Route::ListCatalogs => {
            Caller::of(headers, env).await?.check_administrator()?;
            route::query(request.query(), &[])?;
            catalogs::list(request.now(env)?, env).await
        }
        Route::PublishCatalog => {
            Caller::of(headers, env).await?.check_administrator()?;
            route::query(request.query(), &[])?;
            let now = request.now(env)?;
            request.check_body_headers()?;
            catalogs::publish(&request.json(false)?, now, env).await
        }
        Route::Estimate => {
            route::query(request.query(), &[])?;
            let now = request.now(env)?;
            request.check_body_headers()?;
            let body = request.json(false)?;
            let fields = Fields::read(&body, "", &PricedRequest::FIELDS)?;
            let catalogs = published::hear(env).await?;
            let request = PricedRequest::parse(&fields, true)?;
            reply::json(200, &estimate(&request, catalogs.at(now))?)
        }
        Route::MemorialWall => {
            route::query(request.query(), &[])?;
            request.now(env)?;
            wall::read(headers, env).await
        }
        Route::Stripe => stripe::receive(request, env).await,
        Route::ReadPromotion(code) => {
            Caller::of(headers, env).await?.check_administrator()?;
            route::query(request.query(), &[])?;
            promotions::read(&code, env).await
        }
        Route::OfferPromotion(code) => {
            Caller::of(headers, env).await?.check_administrator()?;
            route::query(request.query(), &[])?;
            let now = request.now(env)?;
            request.check_body_headers()?;
            promotions::offer(&code, &request.json(false)?, now, env).await
        }
        // Accounts answer for themselves.
        Route::Account(..) => Err(problem::CallFault::NotFound.into()),
    }
}

/// The catalog in force, with its hash as the tag by which a client knows whether it changed.
fn catalog(catalog: &Catalog, asked: &Headers) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", catalog.hash());
    reply::tagged(asked, &tag, || reply::json(200, catalog))
}

/// The document of this API, with the start of its hash as its tag.
fn openapi(asked: &Headers) -> Result<Response, Problem> {
    thread_local! {
        static TAG: String = {
            let digest = Sha256::digest(document().as_bytes());
            format!("\"{}\"", encode_string(digest.get(..16).unwrap_or_default()))
        };
    }
    TAG.with(|tag| reply::tagged(asked, tag, || Ok(reply::text(200, document()))))
}
