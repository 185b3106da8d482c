//! What Stripe tells: packs that were bought or given back, subscriptions that began, changed or ended.
//!
//! Events come late, twice and out of order. Nothing here depends on which event it is: a payment's grant is named
//! after the payment, and a subscription's latest state counts. Events that failed half-way are sent again.

mod event;
mod signature;

use edge_credits::decide::account_not_found;
use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;
use serde::Serialize;
use worker::Env;

use crate::directory::{self, DirectoryCall, KnownPayment, KnownSubscription};
use crate::internal::{AccountCall, Outcome, tell_account};
use crate::problem::{CallFault, Problem};
use crate::reply::{self, Response};
use crate::request::{Header, Request};
use crate::subscriptions::{SubscriptionNotice, SubscriptionState};
use crate::vars;
use event::{Event, News};

/// What Stripe is told.
#[derive(Serialize)]
struct Received {
    received: bool,
    /// Whether the event means something here.
    handled: bool,
    /// Why it was left without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
}

/// What became of an event.
enum Effect {
    Handled,
    Ignored(String),
    Unknown,
}

/// `POST /v1/webhooks/stripe`
pub(crate) async fn receive(request: &Request, env: &Env) -> Result<Response, Problem> {
    let now = request.now(env)?;
    let signature = request
        .headers()
        .get(Header::StripeSignature)
        .unwrap_or_default();
    let body = request.bytes()?;
    let secrets = vars::text(env, "STRIPE_WEBHOOK_SECRET");
    signature::check(signature, body, &secrets)?;
    let unreadable = |error: serde_json::Error| {
        CallFault::InvalidJson(format!("the body is no event that can be read: {error}"))
    };
    let event: Event = serde_json::from_slice(body).map_err(unreadable)?;
    let prices = event::Prices::read(&vars::text(env, "STRIPE_PRICES"))?;
    let effect = match event.news(&prices).map_err(unreadable)? {
        News::Paid {
            payment,
            account,
            pack,
        } => paid(env, payment, account, pack, now).await?,
        News::MoneyBack { payment } => money_back(env, payment, now).await?,
        News::Subscription { account, notice } => subscription(env, account, notice, now).await?,
        News::NothingToDo => Effect::Handled,
        News::Ignored(reason) => Effect::Ignored(reason.to_owned()),
        News::Unknown => Effect::Unknown,
    };
    let (handled, ignored) = match effect {
        Effect::Handled => (true, None),
        Effect::Ignored(reason) => (false, Some(reason)),
        Effect::Unknown => (false, None),
    };
    reply::json(
        200,
        &Received {
            received: true,
            handled,
            ignored,
        },
    )
}

/// A pack was paid for. The directory knows whether the money went back already.
async fn paid(
    env: &Env,
    payment: String,
    account: String,
    pack: String,
    now: Instant,
) -> Result<Effect, Problem> {
    let named = note_payment(env, &payment, Some(&account), false).await?;
    let account = named.account.unwrap_or(account);
    if named.void {
        return Ok(Effect::Ignored("refunded".to_owned()));
    }
    let call = AccountCall::GrantPack {
        payment: payment.clone(),
        pack,
        now,
    };
    let outcome = tell_account(env, &account, &call).await?;
    if outcome != Outcome::Done {
        return effect_of(outcome, &account);
    }
    // The money may have gone back between the two: then the grant is there, and must go.
    if note_payment(env, &payment, None, false).await?.void {
        tell_account(env, &account, &AccountCall::VoidPack { payment, now }).await?;
    }
    Ok(Effect::Handled)
}

/// Money went back, or is about to: what is left of the pack is void.
async fn money_back(env: &Env, payment: String, now: Instant) -> Result<Effect, Problem> {
    let known = note_payment(env, &payment, None, true).await?;
    if let Some(account) = known.account {
        // There may be no grant yet, or none any more. Either is as it should be.
        tell_account(env, &account, &AccountCall::VoidPack { payment, now }).await?;
    }
    Ok(Effect::Handled)
}

/// A subscription began, changed, or ended. Until its account is known, the directory remembers its latest state.
async fn subscription(
    env: &Env,
    account: Option<String>,
    notice: SubscriptionNotice,
    now: Instant,
) -> Result<Effect, Problem> {
    let call = DirectoryCall::NoteSubscription { account, notice };
    let known: KnownSubscription = directory::ask(env, &call).await?;
    match known.account {
        None => Ok(Effect::Ignored("no_account".to_owned())),
        Some(_) if known.notice.state == SubscriptionState::Named => Ok(Effect::Handled),
        Some(account) => {
            let call = AccountCall::Subscription {
                notice: known.notice,
                now,
            };
            effect_of(tell_account(env, &account, &call).await?, &account)
        }
    }
}

/// What can never succeed is acknowledged; what an operator can mend is refused, so that it comes again.
fn effect_of(outcome: Outcome, account: &str) -> Result<Effect, Problem> {
    let refuse = |code, what: &str| {
        let detail = format!("the catalog has no {what} of the name that the event gives");
        Err(Refusal::new(code, detail).into())
    };
    match outcome {
        Outcome::Done => Ok(Effect::Handled),
        Outcome::Refused { code } if code == Code::AccountNotFound.as_str() => {
            Err(account_not_found(account).into())
        }
        Outcome::Refused { code } if code == Code::UnknownPack.as_str() => {
            refuse(Code::UnknownPack, "pack")
        }
        Outcome::Refused { code } if code == Code::UnknownPlan.as_str() => {
            refuse(Code::UnknownPlan, "plan")
        }
        Outcome::Refused { code } => Ok(Effect::Ignored(code)),
    }
}

async fn note_payment(
    env: &Env,
    payment: &str,
    account: Option<&str>,
    void: bool,
) -> Result<KnownPayment, Problem> {
    let call = DirectoryCall::NotePayment {
        payment: payment.to_owned(),
        account: account.map(str::to_owned),
        void,
    };
    directory::ask(env, &call).await
}
