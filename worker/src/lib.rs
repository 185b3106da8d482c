//! The Worker of Edge Credits.
//!
//! It matches the route, authenticates, answers price questions itself, and hands everything about an account to
//! that account's object. What is decided is decided by the core; here are routes, storage and JSON.

mod auth;
mod cors;
mod object;
mod problem;
mod published;
mod reads;
mod reply;
mod request;
mod route;
mod store;
mod transaction;

use edge_credits::estimate::estimate;
use edge_credits::request::PricedRequest;
use edge_credits::value::Fields;
use serde::Serialize;
use worker::{Context, Env, Headers, Method, Request, Response, ResponseBuilder, event};

use crate::problem::Problem;
use crate::route::Route;

/// Answers a request: the one entry of the Worker.
#[event(fetch)]
pub async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let origin = cors::allowed_origin(request.headers(), &env)?;
    let response = match serve(request, &env).await {
        Ok(response) => response,
        Err(problem) => problem.into_response()?,
    };
    match origin {
        Some(origin) => cors::allow(response, &origin),
        None => Ok(response),
    }
}

async fn serve(mut request: Request, env: &Env) -> Result<Response, Problem> {
    let (method, path) = (request.method(), request.path());
    if method == Method::Options && path.starts_with("/v1/") {
        return Ok(cors::preflight()?);
    }
    match Route::find(&method, &path)? {
        Route::Health => {
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
        Route::Account(id, _) => {
            auth::check(request.headers(), env)?;
            route::check_account_id(&id)?;
            if method != Method::Get {
                request::check_body_headers(request.headers())?;
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
    let known = asked.get("If-None-Match")?.unwrap_or_default();
    let unchanged = known
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*");
    let response = if unchanged {
        ResponseBuilder::new()
            .with_status(304)
            .with_headers(Headers::new())
            .empty()
    } else {
        reply::json(200, &*catalog)?
    };
    response.headers().set("ETag", &tag)?;
    response
        .headers()
        .set("Cache-Control", "public, max-age=60")?;
    Ok(response)
}
