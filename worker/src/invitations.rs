//! Invitations: a code to share, and the reward of both sides.
//!
//! Two accounts cannot be written in one transaction. So the invited account first notes what it is about to do, then
//! has the inviter rewarded, and then takes its own reward and drops the note. Whatever of this a crash leaves undone,
//! the note's alarm does; the inviter knows a redemption that it was rewarded for.

use std::ops::ControlFlow;

use base16ct::lower::encode_string;
use edge_credits::command::{Command, NewGrant};
use edge_credits::decide::account_not_found;
use edge_credits::entry::{Entry, Source};
use edge_credits::invitation::{self, MOST_REWARDED, read_code};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;
use edge_credits::value::Fields;
use serde::{Deserialize, Serialize};

use crate::directory::{self, DirectoryCall};
use crate::internal::{self, AccountCall};
use crate::mac::hmac_sha256;
use crate::object::{Account, Ask, Order};
use crate::problem::Problem;
use crate::published;
use crate::reply::{self, Response};
use crate::route::query;
use crate::store::KeyedContent;
use crate::vars;

/// What the outbox calls the note.
pub(crate) const REDEMPTION: &str = "redemption";
/// When the alarm goes on with a redemption that nobody finished, in milliseconds.
const ALARM_MS: u64 = 3_000;

/// A redemption under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Redemption {
    /// The name of the redemption at the inviter, from which nobody learns who redeemed.
    id: String,
    code: String,
    inviter: String,
    key: String,
    content: String,
    now: Instant,
}

/// An account's own code.
#[derive(Serialize)]
struct Invitation {
    code: String,
    rewarded: usize,
    limit: usize,
}

impl Account {
    /// `GET …/invitation`
    pub(crate) async fn read_invitation(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        query(ask.query, &[])?;
        let rewarded = self.settled(ask)?.account.invitations.rewarded.len();
        let code = invitation::code(&self.secret_name("invitation", ask.id)?);
        if !self.is_code_known.get() {
            let call = DirectoryCall::AddCode {
                code: code.clone(),
                account: ask.id.to_owned(),
            };
            directory::ask::<()>(self.env(), &call).await?;
            self.is_code_known.set(true);
        }
        reply::json(
            200,
            &Invitation {
                code,
                rewarded,
                limit: MOST_REWARDED,
            },
        )
    }

    /// `POST …/invitations/redeem`
    pub(crate) async fn redeem(
        &self,
        ask: &Ask<'_>,
        keyed: KeyedContent<'_>,
    ) -> Result<Response, Problem> {
        let code = match self.code_to_redeem(ask, keyed)? {
            ControlFlow::Break(replay) => return Ok(replay),
            ControlFlow::Continue(code) => read_code(code).ok_or_else(not_found)?,
        };
        let call = DirectoryCall::FindCode { code: code.clone() };
        let inviter: Option<String> = directory::ask(self.env(), &call).await?;
        let inviter = inviter.ok_or_else(not_found)?;
        if inviter == ask.id {
            let detail = "an account cannot redeem its own invitation";
            return Err(Refusal::new(Code::OwnInvitation, detail).into());
        }
        // One redemption at a time: what another request or a crash left is finished first.
        while let Some(under_way) = self.redemption()? {
            match self.finish(&under_way).await {
                Ok(_) | Err(Problem::Refused(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        if let Some(answered) = self.answered(keyed)? {
            return reply::replayed(&answered.entry);
        }
        let redemption = Redemption {
            id: encode_string(
                self.secret_name("redemption", ask.id)?
                    .get(..8)
                    .unwrap_or_default(),
            ),
            code,
            inviter,
            key: keyed.key.to_owned(),
            content: keyed.content.to_owned(),
            now: ask.now,
        };
        self.take_reward(&redemption, true)?;
        self.outbox().put(REDEMPTION, &redemption, ALARM_MS)?;
        self.finish(&redemption)
            .await
            .and_then(|entry| reply::entry(&entry))
    }

    /// Goes on with a redemption that is under way, if there is one.
    pub(crate) async fn finish_redemption(&self) -> Result<(), Problem> {
        match self.redemption()? {
            None => Ok(()),
            Some(redemption) => match self.finish(&redemption).await {
                Ok(_) | Err(Problem::Refused(_)) => Ok(()),
                Err(fault) => Err(fault),
            },
        }
    }

    /// Has the inviter rewarded, and then takes this account's own reward.
    async fn finish(&self, redemption: &Redemption) -> Result<Entry, Problem> {
        let call = AccountCall::RewardInviter {
            redemption: redemption.id.clone(),
            now: redemption.now,
        };
        let outcome = internal::tell_account(self.env(), &redemption.inviter, &call).await?;
        // From here on nothing is awaited. Another request, or the alarm, may have been faster.
        self.wake()?;
        let is_under_way = self
            .redemption()?
            .is_some_and(|known| known.key == redemption.key);
        if let Some(refusal) = internal::refusal(&outcome) {
            if is_under_way {
                self.outbox().remove(REDEMPTION)?;
            }
            return Err(refusal.into());
        }
        let answered = self.store().answered(&redemption.key)?;
        if let Some(answered) = answered.filter(|known| known.content == redemption.content) {
            if is_under_way {
                self.outbox().remove(REDEMPTION)?;
            }
            return Ok(answered.entry);
        }
        if !is_under_way {
            return Err(Problem::Fault("a redemption left no entry".to_owned()));
        }
        let taken = self.take_reward(redemption, false);
        if !matches!(taken, Err(Problem::Fault(_))) {
            self.outbox().remove(REDEMPTION)?;
        }
        taken?.ok_or_else(|| Problem::Fault("a reward made no entry".to_owned()))
    }

    /// This account's own reward; or, if it is only to be tried, whether there is one.
    fn take_reward(
        &self,
        redemption: &Redemption,
        dry_run: bool,
    ) -> Result<Option<Entry>, Problem> {
        let source = Source::Invited {
            code: redemption.code.clone(),
        };
        let keyed = KeyedContent {
            key: &redemption.key,
            content: &redemption.content,
        };
        self.take_award(&invitation::reward, source, keyed, redemption.now, dry_run)
    }

    /// The code that a call wants redeemed; or its first answer, if this is a retry.
    pub(crate) fn code_to_redeem<'a>(
        &self,
        ask: &Ask<'a>,
        keyed: KeyedContent<'_>,
    ) -> Result<ControlFlow<Response, &'a str>, Problem> {
        query(ask.query, &[])?;
        if self.identity().is_none() {
            return Err(account_not_found(ask.id).into());
        }
        if let Some(answered) = self.answered(keyed)? {
            return Ok(ControlFlow::Break(reply::replayed(&answered.entry)?));
        }
        let code = Fields::read(ask.body, "", &["code"])?.text("code")?;
        Ok(ControlFlow::Continue(code))
    }

    /// Takes what was promised elsewhere, as the answer to the request with this key.
    pub(crate) fn take_award(
        &self,
        award: &dyn Fn(Instant) -> NewGrant,
        source: Source,
        keyed: KeyedContent<'_>,
        now: Instant,
        dry_run: bool,
    ) -> Result<Option<Entry>, Problem> {
        let Some((id, last_at)) = self.identity() else {
            return Err(Problem::Fault("an award without an account".to_owned()));
        };
        let now = now.max(last_at);
        let command = Command::Award {
            new: award(now),
            source,
        };
        // A caller who used the key for another call meanwhile does not lose the award.
        let is_key_free = self.store().answered(keyed.key)?.is_none();
        let order = Order {
            account: &id,
            command: &command,
            now,
            keyed: is_key_free.then_some(keyed),
            catalogs: published::known()?,
            dry_run,
        };
        Ok(self.execute(&order)?.entries.pop())
    }

    fn redemption(&self) -> Result<Option<Redemption>, Problem> {
        self.outbox().get(REDEMPTION)
    }

    /// Bytes that belong to an account, and that only the holder of the secret can compute.
    fn secret_name(&self, purpose: &str, account: &str) -> Result<[u8; 32], Problem> {
        let secret = ["INVITATION_SECRET", "USER_TOKEN_SECRET"]
            .map(|name| vars::text(self.env(), name))
            .into_iter()
            .find(|secret| !secret.is_empty())
            .ok_or_else(|| Problem::Fault("the secret INVITATION_SECRET is not set".to_owned()))?;
        Ok(hmac_sha256(
            secret.as_bytes(),
            &[purpose.as_bytes(), b":", account.as_bytes()],
        ))
    }
}

/// The refusal for a code that nobody has.
pub(crate) fn not_found() -> Refusal {
    Refusal::new(Code::InvitationNotFound, "nobody has this invitation code").at("code")
}
