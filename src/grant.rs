//! Grants: credits with a source, a time in force, and a place in the order of burning.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::credits::Credits;
use crate::ids::GrantId;
use crate::model::Model;
use crate::time::Instant;

/// Where credits come from (guide, *How to Obtain Credits*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A plan's allowance of one credit day.
    Daily,
    /// A plan's allowance of one period.
    Monthly,
    /// A one-time gift, possibly for some models only.
    Bonus,
    /// A bought package.
    Pack,
    /// A reward for inviting, or for being invited.
    Invitation,
    /// A gift of a campaign.
    Promotion,
    /// What a refund gives back where the grant that paid has ended.
    Refund,
    /// An operator's correction.
    Adjustment,
}

impl GrantKind {
    /// The kinds that an operator may give.
    pub const GIVEN: [GrantKind; 5] = [
        GrantKind::Bonus,
        GrantKind::Pack,
        GrantKind::Invitation,
        GrantKind::Promotion,
        GrantKind::Adjustment,
    ];

    /// The kind as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            GrantKind::Daily => "daily",
            GrantKind::Monthly => "monthly",
            GrantKind::Bonus => "bonus",
            GrantKind::Pack => "pack",
            GrantKind::Invitation => "invitation",
            GrantKind::Promotion => "promotion",
            GrantKind::Refund => "refund",
            GrantKind::Adjustment => "adjustment",
        }
    }

    /// The category of a grant of this kind that names none.
    pub const fn category(self) -> Category {
        match self {
            GrantKind::Daily | GrantKind::Bonus | GrantKind::Invitation | GrantKind::Promotion => {
                Category::Promo
            }
            GrantKind::Monthly | GrantKind::Pack | GrantKind::Refund | GrantKind::Adjustment => {
                Category::Paid
            }
        }
    }
}

/// Whether money stands behind the credits. Gifts are burned before what was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Given.
    Promo,
    /// Paid for.
    Paid,
}

/// Where a grant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// Its time has not begun.
    Scheduled,
    /// In force.
    Active,
    /// Its time is over.
    Expired,
    /// An operator ended it.
    Voided,
}

/// The lowest priority number is burned first; this is the one of a grant that names none.
pub const DEFAULT_PRIORITY: u8 = 50;

/// An amount of credits and where each of them is now.
///
/// INVARIANT: `credits = remaining + held + spent + expired + voided`, at every moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// Where it comes from.
    pub kind: GrantKind,
    /// Given or paid for.
    pub category: Category,
    /// What was granted.
    pub credits: Credits,
    /// What can still be burned.
    pub remaining: Credits,
    /// What open holds reserve of it.
    pub held: Credits,
    /// What charges took.
    pub spent: Credits,
    /// What was left when its time was over.
    pub expired: Credits,
    /// What was left when it was voided.
    pub voided: Credits,
    /// 0 to 100; low is burned first.
    pub priority: u8,
    /// The tags of the models that it pays for; all models without one.
    pub scope: Option<Vec<String>>,
    /// From when it is in force.
    pub effective_at: Instant,
    /// Until when, exclusively; for ever without one.
    pub expires_at: Option<Instant>,
    /// Where it is in its life.
    pub status: GrantStatus,
}

impl Grant {
    /// Whether credits can be burned from it, as far as the journal has come.
    pub fn is_active(&self) -> bool {
        self.status == GrantStatus::Active
    }

    /// Whether its time is over, or it was voided.
    pub fn has_ended(&self) -> bool {
        matches!(self.status, GrantStatus::Expired | GrantStatus::Voided)
    }

    /// Whether its time is over at `now`, written or not.
    pub fn has_ended_at(&self, now: Instant) -> bool {
        self.has_ended() || self.expires_at.is_some_and(|end| end <= now)
    }

    /// The order of burning: priority, soonest expiry, promo before paid, start, id. It is total.
    pub fn burning_order(&self, other: &Grant) -> Ordering {
        let never_last = |grant: &Grant| grant.expires_at.map_or((1, 0), |end| (0, end.millis()));
        self.priority
            .cmp(&other.priority)
            .then_with(|| never_last(self).cmp(&never_last(other)))
            .then_with(|| self.category.cmp(&other.category))
            .then_with(|| self.effective_at.cmp(&other.effective_at))
            .then_with(|| self.id.cmp(&other.id))
    }

    /// Gives up what is left of it, because its time is over.
    pub(crate) fn expire(&mut self) {
        self.expired += self.remaining;
        self.remaining = Credits::ZERO;
        self.status = GrantStatus::Expired;
    }

    /// Gives up what is left of it, because an operator ended it. What is held stays held.
    pub(crate) fn void(&mut self) {
        self.voided += self.remaining;
        self.remaining = Credits::ZERO;
        self.status = GrantStatus::Voided;
    }

    /// What came back to it after its end goes the way of the rest.
    pub(crate) fn end_again(&mut self) {
        match self.status {
            GrantStatus::Expired => self.expire(),
            GrantStatus::Voided => self.void(),
            GrantStatus::Scheduled | GrantStatus::Active => {}
        }
    }
}

/// What credits are to pay for: it decides which scopes cover it (D4).
#[derive(Clone, Debug, Default)]
pub struct Purpose<'a> {
    /// The models that are not waived.
    pub models: Vec<&'a Model>,
    /// Whether there is a flat item, which no scope covers.
    pub flat: bool,
}

impl Purpose<'_> {
    /// Whether a grant of this scope may pay: the scope covers every model, or there is none.
    pub fn is_covered_by(&self, scope: Option<&[String]>) -> bool {
        scope.is_none_or(|tags| {
            !self.flat && self.models.iter().all(|model| model.is_covered_by(tags))
        })
    }
}

/// Credits that went from a grant to a hold or a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// From which grant.
    pub grant: GrantId,
    /// Its kind.
    pub kind: GrantKind,
    /// How much.
    pub credits: Credits,
}

/// What burning found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burned {
    /// The draws, in the order of burning.
    pub draws: Vec<Draw>,
    /// What no grant could pay.
    pub missing: Credits,
}

/// Finds who pays `amount` for this purpose. `grants` stand in the order of burning.
pub fn burn(grants: &[Grant], purpose: &Purpose<'_>, amount: Credits) -> Burned {
    let mut burned = Burned {
        draws: Vec::new(),
        missing: amount,
    };
    for grant in payers(grants, purpose) {
        if !burned.missing.is_positive() {
            break;
        }
        let credits = grant.remaining.min(burned.missing);
        if credits.is_positive() {
            burned.draws.push(Draw {
                grant: grant.id.clone(),
                kind: grant.kind,
                credits,
            });
            burned.missing -= credits;
        }
    }
    burned
}

/// What could pay for this purpose.
pub fn payable(grants: &[Grant], purpose: &Purpose<'_>) -> Credits {
    payers(grants, purpose).map(|grant| grant.remaining).sum()
}

fn payers<'a>(grants: &'a [Grant], purpose: &'a Purpose<'_>) -> impl Iterator<Item = &'a Grant> {
    grants
        .iter()
        .filter(|grant| grant.is_active() && purpose.is_covered_by(grant.scope.as_deref()))
}
