//! Promotions: operators offer them under a code, and each account redeems one once.
//!
//! The directory counts redemptions. As with invitations, the account first notes what it is about to do, then reserves
//! one of the redemptions, and then takes its credits and drops the note, which an alarm goes on with after a crash.

use std::ops::ControlFlow;

use edge_credits::entry::{Entry, Source};
use edge_credits::promotion::{Promotion, read_code};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;
use edge_credits::value::Value;
use serde::{Deserialize, Serialize};
use worker::Env;

use crate::directory::{self, Directory, DirectoryCall, KnownPromotion, Reservation};
use crate::object::{Account, Ask};
use crate::problem::Problem;
use crate::published;
use crate::reply::{self, Response};
use crate::store::KeyedContent;

/// What the outbox calls the note.
pub(crate) const PROMOTION: &str = "promotion";
/// When the alarm goes on with a redemption that nobody finished, in milliseconds.
const ALARM_MS: u64 = 3_000;

/// A redemption under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Redemption {
    code: String,
    key: String,
    content: String,
    now: Instant,
}

/// `PUT /v1/promotions/{code}`
pub(crate) async fn offer(
    code: &str,
    body: &Value,
    now: Instant,
    env: &Env,
) -> Result<Response, Problem> {
    let Some(code) = read_code(code) else {
        let detail = "a promotion's code has 3 to 64 of the characters A-Z 0-9 - _";
        return Err(Refusal::new(Code::InvalidRequest, detail).at("code").into());
    };
    let catalogs = published::hear(env).await?;
    let promotion = Promotion::parse(&code, body, catalogs.at(now))?;
    let is_new: bool = directory::ask(env, &DirectoryCall::OfferPromotion { promotion }).await?;
    reply::json(if is_new { 201 } else { 200 }, &find(&code, env).await?)
}

/// `GET /v1/promotions/{code}`
pub(crate) async fn read(code: &str, env: &Env) -> Result<Response, Problem> {
    let code = read_code(code).ok_or_else(not_found)?;
    reply::json(200, &find(&code, env).await?)
}

async fn find(code: &str, env: &Env) -> Result<KnownPromotion, Problem> {
    let call = DirectoryCall::FindPromotion {
        code: code.to_owned(),
    };
    let known: Option<KnownPromotion> = directory::ask(env, &call).await?;
    Ok(known.ok_or_else(not_found)?)
}

impl Account {
    /// `POST …/promotions/redeem`
    pub(crate) async fn redeem_promotion(
        &self,
        ask: &Ask<'_>,
        keyed: KeyedContent<'_>,
    ) -> Result<Response, Problem> {
        let code = match self.code_to_redeem(ask, keyed)? {
            ControlFlow::Break(replay) => return Ok(replay),
            ControlFlow::Continue(code) => read_code(code).ok_or_else(not_found)?,
        };
        // One redemption at a time: what another request or a crash left is finished first.
        while self.outbox().get::<Redemption>(PROMOTION)?.is_some() {
            self.finish_promotion().await?;
        }
        if let Some(answered) = self.answered(keyed)? {
            return reply::replayed(&answered.entry);
        }
        let redemption = Redemption {
            code,
            key: keyed.key.to_owned(),
            content: keyed.content.to_owned(),
            now: ask.now,
        };
        self.outbox().put(PROMOTION, &redemption, ALARM_MS)?;
        self.take_promotion(&redemption)
            .await
            .and_then(|entry| reply::entry(&entry))
    }

    /// Goes on with a redemption that is under way, if there is one.
    pub(crate) async fn finish_promotion(&self) -> Result<(), Problem> {
        let Some(redemption) = self.outbox().get::<Redemption>(PROMOTION)? else {
            return Ok(());
        };
        match self.take_promotion(&redemption).await {
            Ok(_) | Err(Problem::Refused(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Reserves a redemption, and then takes its credits.
    async fn take_promotion(&self, redemption: &Redemption) -> Result<Entry, Problem> {
        let Some((account, _)) = self.identity() else {
            return Err(Problem::Fault("a promotion without an account".to_owned()));
        };
        let call = DirectoryCall::ReservePromotion {
            code: redemption.code.clone(),
            account,
            now: redemption.now,
        };
        let reservation: Reservation = directory::ask(self.env(), &call).await?;
        // From here on nothing is awaited. Another request, or the alarm, may have been faster.
        self.wake()?;
        let noted = self.outbox().get::<Redemption>(PROMOTION)?;
        let is_under_way = noted.is_some_and(|known| known.key == redemption.key);
        let answered = self.store().answered(&redemption.key)?;
        if let Some(answered) = answered.filter(|known| known.content == redemption.content) {
            if is_under_way {
                self.outbox().remove(PROMOTION)?;
            }
            return Ok(answered.entry);
        }
        let taken = promotion_of(reservation).and_then(|promotion| {
            let source = Source::Promotion {
                code: redemption.code.clone(),
            };
            let keyed = KeyedContent {
                key: &redemption.key,
                content: &redemption.content,
            };
            self.take_award(
                &|now| promotion.grant(now),
                source,
                keyed,
                redemption.now,
                false,
            )
        });
        if is_under_way && !matches!(taken, Err(Problem::Fault(_))) {
            self.outbox().remove(PROMOTION)?;
        }
        taken?.ok_or_else(|| Problem::Fault("a promotion made no entry".to_owned()))
    }
}

fn promotion_of(reservation: Reservation) -> Result<Promotion, Problem> {
    let refuse = |code, detail: &str| Err(Refusal::new(code, detail).into());
    match reservation {
        Reservation::Reserved { promotion } => Ok(promotion),
        Reservation::NotFound => Err(not_found().into()),
        Reservation::NotOpen => refuse(
            Code::PromotionNotOpen,
            "the promotion has not begun, or is over",
        ),
        Reservation::Exhausted => refuse(
            Code::PromotionExhausted,
            "the promotion was redeemed as often as it may be",
        ),
    }
}

fn not_found() -> Refusal {
    Refusal::new(
        Code::PromotionNotFound,
        "there is no promotion of this code",
    )
    .at("code")
}

impl Directory {
    /// Answers whether the code is new.
    pub(crate) fn offer_promotion(&self, promotion: &Promotion) -> Result<bool, Problem> {
        let is_new = self.promotion(&promotion.code)?.is_none();
        self.database.run(
            "INSERT INTO promotions (code, redeemed, body) VALUES (?,0,?)
             ON CONFLICT (code) DO UPDATE SET body = excluded.body",
            vec![
                promotion.code.clone().into(),
                serde_json::to_string(promotion)?.into(),
            ],
        )?;
        Ok(is_new)
    }

    pub(crate) fn promotion(&self, code: &str) -> Result<Option<KnownPromotion>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            redeemed: u32,
            body: String,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT redeemed, body FROM promotions WHERE code = ?",
            vec![code.into()],
        )?;
        rows.first()
            .map(|row| {
                let promotion = serde_json::from_str(&row.body)?;
                Ok(KnownPromotion {
                    promotion,
                    redeemed: row.redeemed,
                })
            })
            .transpose()
    }

    pub(crate) fn reserve_promotion(
        &self,
        code: String,
        account: String,
        now: Instant,
    ) -> Result<Reservation, Problem> {
        #[derive(Deserialize)]
        struct Row {}
        let Some(KnownPromotion {
            promotion,
            redeemed,
        }) = self.promotion(&code)?
        else {
            return Ok(Reservation::NotFound);
        };
        let reserved: Vec<Row> = self.database.rows(
            "SELECT 1 FROM reservations WHERE code = ? AND account = ?",
            vec![code.clone().into(), account.clone().into()],
        )?;
        if !reserved.is_empty() {
            return Ok(Reservation::Reserved { promotion });
        }
        if !promotion.is_open(now) {
            return Ok(Reservation::NotOpen);
        }
        if promotion.limit.is_some_and(|limit| redeemed >= limit) {
            return Ok(Reservation::Exhausted);
        }
        self.database.run(
            "INSERT INTO reservations (code, account) VALUES (?,?)",
            vec![code.clone().into(), account.into()],
        )?;
        self.database.run(
            "UPDATE promotions SET redeemed = redeemed + 1 WHERE code = ?",
            vec![code.into()],
        )?;
        Ok(Reservation::Reserved { promotion })
    }
}
