//! Subscriptions: the plan that an account pays for elsewhere.
//!
//! Notices come late, twice and out of order. Of each subscription the latest one counts, and of several
//! subscriptions the one that was changed last; an account that has none left is on the free plan.

use edge_credits::catalog::Catalog;
use edge_credits::command::Command;
use edge_credits::refusal::Code;
use edge_credits::time::Instant;
use serde::{Deserialize, Serialize};
use worker::SqlStorageValue;

use crate::internal::Outcome;
use crate::object::Account;
use crate::problem::Problem;

/// The plan of an account that subscribes to nothing.
const FREE: &str = "free";

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS subscriptions (
    subscription TEXT PRIMARY KEY, at INTEGER NOT NULL, plan TEXT, body TEXT NOT NULL) STRICT, WITHOUT ROWID";

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionNotice {
    pub(crate) subscription: String,
    /// When it came to stand so, in seconds since 1970.
    pub(crate) at: i64,
    pub(crate) state: SubscriptionState,
}

/// What a subscription is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum SubscriptionState {
    /// It is there, and nothing more is said.
    Named,
    /// It pays for a plan.
    Active { plan: String },
    /// It pays for nothing, but may again.
    Paused,
    /// It is over for good.
    Ended,
}

impl SubscriptionNotice {
    /// The one of two notices that counts.
    pub(crate) fn or_later(self, known: SubscriptionNotice) -> SubscriptionNotice {
        let says_nothing = self.state == SubscriptionState::Named;
        let knew_nothing = known.state == SubscriptionState::Named;
        let is_final = known.state == SubscriptionState::Ended;
        let is_older = self.at < known.at && self.state != SubscriptionState::Ended;
        if says_nothing || is_final || (is_older && !knew_nothing) {
            known
        } else {
            self
        }
    }

    fn plan(&self) -> Option<&str> {
        match &self.state {
            SubscriptionState::Active { plan } => Some(plan),
            _ => None,
        }
    }
}

impl Account {
    /// Puts the account on the plan that its subscriptions pay for, as this notice changes them.
    pub(crate) fn note_subscription(
        &self,
        notice: &SubscriptionNotice,
        now: Instant,
        catalog: &Catalog,
    ) -> Result<Outcome, Problem> {
        #[derive(Deserialize)]
        struct BodyRow {
            body: String,
        }
        #[derive(Deserialize)]
        struct PlanRow {
            plan: String,
        }
        if notice
            .plan()
            .is_some_and(|plan| catalog.plan(plan).is_none())
        {
            return Ok(Outcome::refused(Code::UnknownPlan.as_str()));
        }
        let database = self.outbox().database();
        database.run(SCHEMA, vec![])?;
        let rows: Vec<BodyRow> = database.rows(
            "SELECT body FROM subscriptions WHERE subscription = ?",
            vec![notice.subscription.clone().into()],
        )?;
        if let Some(row) = rows.first() {
            let known: SubscriptionNotice = serde_json::from_str(&row.body)?;
            if notice.clone().or_later(known.clone()) == known {
                return Ok(Outcome::Done);
            }
        }
        let others: Vec<PlanRow> = database.rows(
            "SELECT plan FROM subscriptions WHERE plan IS NOT NULL AND subscription <> ?
                 ORDER BY at DESC, subscription LIMIT 1",
            vec![notice.subscription.clone().into()],
        )?;
        let paid = notice
            .plan()
            .or(others.first().map(|other| other.plan.as_str()));
        let outcome = match &notice.state {
            SubscriptionState::Named => Outcome::Done,
            _ => {
                let plan = paid.unwrap_or(FREE).to_owned();
                self.carry_out(
                    &Command::ChangePlan {
                        plan,
                        at_period_end: false,
                    },
                    now,
                )?
            }
        };
        // The same step writes both. What was forbidden pays for nothing.
        let plan = notice.plan().filter(|_| outcome == Outcome::Done);
        database.run(
            "INSERT OR REPLACE INTO subscriptions (subscription, at, plan, body) VALUES (?,?,?,?)",
            vec![
                notice.subscription.clone().into(),
                SqlStorageValue::Integer(notice.at),
                plan.map(str::to_owned).into(),
                serde_json::to_string(notice)?.into(),
            ],
        )?;
        Ok(outcome)
    }
}
