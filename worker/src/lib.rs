//! The Worker of Edge Credits.
//!
//! It matches the route, authenticates, answers price questions itself, and hands everything about an account to
//! that account's object. What is decided is decided by the core; here are routes, storage and JSON.

mod alerts;
mod auth;
mod chain;
mod cors;
mod directory;
mod fault;
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
mod problem;
mod promotions;
mod published;
mod reads;
mod reply;
mod request;
mod route;
mod store;
mod stripe;
mod subscriptions;
mod token;
mod trace;
mod transaction;
mod verify;
mod wall;

use edge_credits::estimate::estimate;
use edge_credits::request::PricedRequest;
use edge_credits::value::Fields;
use serde::Serialize;
use sha2::{Digest, Sha256};
use worker::{Context, Env, Headers, Method, Request, Response, event};

use crate::auth::Caller;
use crate::problem::Problem;
use crate::route::Route;

/// Answers a request: the one entry of the Worker.
#[event(fetch)]
pub async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let origin = cors::allowed_origin(request.headers(), &env)?;
    let headers = request::headers(&request);
    let served = serve(request, &env, origin.as_deref()).await;
    let response = reply::finish(served, &headers)?;
    match origin {
        Some(origin) => cors::allow(response, &origin),
        None => Ok(response),
    }
}

async fn serve(mut request: Request, env: &Env, origin: Option<&str>) -> Result<Response, Problem> {
    let (method, path) = (request::method(&request), request.path());
    if method == Method::Options && path.starts_with("/v1/") {
        return Ok(cors::preflight(origin)?);
    }
    let route = Route::find(&method, &path)?;
    if !matches!(route, Route::Health | Route::Account(..)) {
        limit::of_address(request.headers(), env).await?;
    }
    match route {
        Route::Health => {
            route::query(&request.url()?, &[])?;
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
            route::query(&request.url()?, &[])?;
            openapi(request.headers())
        }
        Route::Catalog => {
            route::query(&request.url()?, &[])?;
            request::now(request.headers(), env)?;
            catalog(request.headers())
        }
        Route::Estimate => {
            route::query(&request.url()?, &[])?;
            request::now(request.headers(), env)?;
            request::check_body_headers(request.headers())?;
            let body = request::read_body(&mut request, false).await?;
            let fields = Fields::read(&body, "", &PricedRequest::FIELDS)?;
            let catalog = published::catalog()?;
            reply::json(
                200,
                &estimate(&PricedRequest::parse(&fields, true)?, &catalog)?,
            )
        }
        Route::MemorialWall => {
            route::query(&request.url()?, &[])?;
            request::now(request.headers(), env)?;
            wall::read(request.headers(), env).await
        }
        Route::Stripe => stripe::receive(request, env).await,
        Route::ReadPromotion(code) => {
            Caller::of(request.headers(), env)
                .await?
                .check_administrator()?;
            route::query(&request.url()?, &[])?;
            promotions::read(&code, env).await
        }
        Route::OfferPromotion(code) => {
            Caller::of(request.headers(), env)
                .await?
                .check_administrator()?;
            route::query(&request.url()?, &[])?;
            request::check_body_headers(request.headers())?;
            let body = request::read_body(&mut request, false).await?;
            promotions::offer(&code, &body, env).await
        }
        Route::Account(id, call) => {
            let caller = match Caller::of(request.headers(), env).await {
                Ok(caller) => caller,
                Err(problem) => {
                    limit::of_address(request.headers(), env).await?;
                    return Err(problem);
                }
            };
            caller.check(&id, &call)?;
            route::check_account_id(&id)?;
            limit::of_account(&caller, &id, env).await?;
            if method != Method::Get {
                request::check_body_headers(request.headers())?;
            }
            if caller.is_limited_in(&call) {
                request = auth::only_naming(request).await?;
            }
            // The object reads the request as it came: copying it would cost more than reading it again.
            Ok(env
                .durable_object("ACCOUNTS")?
                .get_by_name(&id)?
                .fetch_with_request(request)
                .await?)
        }
    }
}

/// The catalog in force, with its hash as the tag by which a client knows whether it changed.
fn catalog(asked: &Headers) -> Result<Response, Problem> {
    let catalog = published::catalog()?;
    let tag = format!("\"{}\"", catalog.hash());
    reply::tagged(asked, &tag, || reply::json(200, &*catalog))
}

/// The document of this API, with the start of its hash as its tag.
fn openapi(asked: &Headers) -> Result<Response, Problem> {
    const DOCUMENT: &[u8] = include_bytes!("../openapi.json");
    thread_local! {
        static TAG: String = {
            let digest = Sha256::digest(DOCUMENT);
            format!("\"{}\"", mac::hex(digest.get(..16).unwrap_or_default()))
        };
    }
    TAG.with(|tag| reply::tagged(asked, tag, || reply::bytes(200, DOCUMENT.to_vec())))
}
