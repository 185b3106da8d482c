//! Charges: what a call cost, who paid, and how it stands after refunds and payments.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;
use crate::grant::{Draw, GrantKind};
use crate::ids::{ChargeId, GrantId, RefundId};
use crate::model::Modality;
use crate::price::Line;
use crate::time::Instant;

/// What happens to the part of a price that no credits are there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnExcess {
    /// The account owes it.
    Owe,
    /// It is given up.
    Forgive,
    /// The request is refused.
    Reject,
}

/// A model that a request named, as it was priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// Its id.
    pub model: String,
    /// What it makes.
    pub modality: Modality,
    /// Whether a perk made it cost nothing.
    pub waived: bool,
}

/// A charge, as it was made.
///
/// INVARIANT: `credits` is the sum of the draws and `owed`; the price is `credits` and `forgiven`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its name.
    pub id: ChargeId,
    /// What it costs the account.
    pub credits: Credits,
    /// What it would cost without a perk.
    pub list_credits: Credits,
    /// What its hold paid.
    pub from_hold: Credits,
    /// The price above the hold.
    pub excess: Credits,
    /// What was left owed.
    pub owed: Credits,
    /// What was given up.
    pub forgiven: Credits,
    /// Whether its hold had lapsed.
    pub late: bool,
    /// Whether a perk made it cost nothing.
    pub waived: bool,
    /// Who paid, in the order of burning; the hold's before the excess's.
    pub draws: Vec<Draw>,
    /// The breakdown.
    pub lines: Vec<Line>,
    /// What closes the gap between the lines and the price.
    pub rounding: Credits,
    /// The hash of the catalog it was priced with.
    pub catalog: String,
    /// The models it names, one an item.
    pub models: Vec<Called>,
    /// When.
    pub at: Instant,
}

/// How a charge stands after payments and refunds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which charge.
    pub charge: ChargeId,
    /// What is still owed.
    pub owed: Credits,
    /// What was given back, or cancelled, so far.
    pub refunded: Credits,
    /// Who paid, less what went back to them.
    pub draws: Vec<Draw>,
}

impl Standing {
    /// How a charge stands when it was just made.
    pub fn of(charge: &Charge) -> Standing {
        Standing {
            charge: charge.id,
            owed: charge.owed,
            refunded: Credits::ZERO,
            draws: charge.draws.clone(),
        }
    }
}

/// A payment of what a charge left owed: a late draw of that charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Which charge was owed.
    pub charge: ChargeId,
    /// The grant that pays.
    pub grant: GrantId,
    /// Its kind.
    pub kind: GrantKind,
    /// How much.
    pub credits: Credits,
}

/// A refund, as it was made.
///
/// INVARIANT: `credits` is the sum of the draws and `owed_cancelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its name.
    pub id: RefundId,
    /// Of which charge.
    pub charge: ChargeId,
    /// What it gives back or cancels.
    pub credits: Credits,
    /// What was owed and is no more.
    pub owed_cancelled: Credits,
    /// Where credits went back to, in reverse order of burning.
    pub draws: Vec<Draw>,
}
