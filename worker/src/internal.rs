//! Calls from one object of ours to another. The Worker forwards no request to such a path, so that nobody outside
//! can make one.

use edge_credits::command::Command;
use edge_credits::entry::{Source, payment_grant_id};
use edge_credits::invitation;
use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worker::durable::Stub;
use worker::{Env, Method, RequestInit};

use crate::object::{Account, Order};
use crate::problem::Problem;
use crate::published;
use crate::reply::{self, Response};
use crate::request::Request;
use crate::subscriptions::SubscriptionNotice;

/// The path of all such calls.
pub(crate) const PATH: &str = "/internal";

/// What an account may be told to do. Each has its effect once, however often it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub(crate) enum AccountCall {
    /// Its code was redeemed: give it the inviter's reward.
    RewardInviter { redemption: String, now: Instant },
    /// A pack was paid for.
    GrantPack {
        payment: String,
        pack: String,
        now: Instant,
    },
    /// The money for a pack went back.
    VoidPack { payment: String, now: Instant },
    /// A subscription began, changed, or ended.
    Subscription {
        notice: SubscriptionNotice,
        now: Instant,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is as it should be, whether by this call or an earlier one.
    Done,
    /// The account's situation forbids it.
    Refused { code: String },
}

impl Outcome {
    pub(crate) fn refused(code: &str) -> Outcome {
        Outcome::Refused {
            code: code.to_owned(),
        }
    }
}

/// Tells an account to do something.
///
/// # Errors
/// If the account's object cannot be reached, or failed.
pub(crate) async fn tell_account(
    env: &Env,
    account: &str,
    call: &AccountCall,
) -> Result<Outcome, Problem> {
    post(env.durable_object("ACCOUNTS")?.get_by_name(account)?, call).await
}

/// Sends a call to an object, and reads what it answers.
///
/// # Errors
/// If the object cannot be reached, or failed.
pub(crate) async fn post<T: DeserializeOwned>(
    stub: Stub,
    call: &impl Serialize,
) -> Result<T, Problem> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_body(Some(serde_json::to_string(call)?.into()));
    let request = worker::Request::new_with_init(&format!("https://object{PATH}"), &init)?;
    let mut response = stub.fetch_with_request(request).await?;
    let body = response.bytes().await?;
    if response.status_code() != 200 {
        let status = response.status_code();
        return Err(Problem::Fault(format!(
            "an object answered a call of ours with {status}"
        )));
    }
    Ok(serde_json::from_slice(&body)?)
}

impl Account {
    /// Answers a call of ours.
    pub(crate) async fn serve_internal(&self, request: &Request) -> Result<Response, Problem> {
        let call: AccountCall = serde_json::from_slice(request.bytes()?)?;
        published::hear(self.env()).await?;
        // From here on nothing is awaited.
        self.wake()?;
        reply::json(200, &self.do_internal(&call)?)
    }

    fn do_internal(&self, call: &AccountCall) -> Result<Outcome, Problem> {
        let Some((_, last_at)) = self.identity() else {
            return Ok(Outcome::refused(Code::AccountNotFound.as_str()));
        };
        let (command, now) = match call {
            AccountCall::RewardInviter { redemption, now } => {
                let now = (*now).max(last_at);
                let source = Source::Inviting {
                    redemption: redemption.clone(),
                };
                (
                    Command::Award {
                        new: invitation::reward(now),
                        source,
                    },
                    now,
                )
            }
            AccountCall::GrantPack {
                payment,
                pack: id,
                now,
            } => {
                let now = (*now).max(last_at);
                let catalogs = published::known()?;
                let Some(pack) = catalogs.at(now).pack(id) else {
                    return Ok(Outcome::refused(Code::UnknownPack.as_str()));
                };
                let source = Source::Payment {
                    payment: payment.clone(),
                    pack: id.clone(),
                };
                (
                    Command::Award {
                        new: pack.grant(now),
                        source,
                    },
                    now,
                )
            }
            AccountCall::VoidPack { payment, now } => (
                Command::Void {
                    grant: payment_grant_id(payment),
                },
                *now,
            ),
            AccountCall::Subscription { notice, now } => {
                let catalogs = published::known()?;
                return self.note_subscription(notice, *now, catalogs.at(*now));
            }
        };
        self.carry_out(&command, now)
    }

    /// Carries out a command that no caller of the API gave.
    pub(crate) fn carry_out(&self, command: &Command, now: Instant) -> Result<Outcome, Problem> {
        let Some((id, _)) = self.identity() else {
            return Ok(Outcome::refused(Code::AccountNotFound.as_str()));
        };
        let order = Order {
            account: &id,
            command,
            now,
            keyed: None,
            catalogs: published::known()?,
            dry_run: false,
        };
        match self.execute(&order) {
            Ok(_) => Ok(Outcome::Done),
            Err(Problem::Refused(refusal)) => Ok(Outcome::refused(refusal.code.as_str())),
            Err(other) => Err(other),
        }
    }
}

/// The refusal that an outcome stands for, if it is one that a caller of the API is told.
pub(crate) fn refusal(outcome: &Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Refused { code } if code == Code::InvitationExhausted.as_str() => {
            Some(invitation::exhausted())
        }
        Outcome::Refused { .. } => Some(crate::invitations::not_found()),
        Outcome::Done => None,
    }
}
