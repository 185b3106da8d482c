//! Commands: what a caller wants done to an account, parsed and judged as far as that needs no state.

mod fields;
mod read;

use crate::alert::Alert;
use crate::charge::OnExcess;
use crate::credits::Credits;
use crate::entry::{Opening, Source};
use crate::grant::{Category, GrantKind};
use crate::ids::{ChargeId, GrantId, HoldId};
use crate::limit::SpendLimits;
use crate::request::PricedRequest;
use crate::time::Instant;

pub(crate) use fields::{nullable_instant, positive_credits, scope};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens the account.
    Open {
        /// How.
        opening: Opening,
    },
    /// Changes its settings; what is absent stays.
    Update {
        /// The name of the new time zone.
        time_zone: Option<String>,
        /// The new display name; an empty one takes it away.
        display_name: Option<String>,
    },
    /// Puts it on another plan.
    ChangePlan {
        /// The plan.
        plan: String,
        /// Whether it waits for the end of the period.
        at_period_end: bool,
    },
    /// Sets the most that it may spend, in place of the limits before.
    SetSpendLimits {
        /// The limits.
        limits: SpendLimits,
    },
    /// Sets its alerts, in place of those before.
    SetAlerts {
        /// The alerts.
        alerts: Vec<Alert>,
    },
    /// Gives it a perk.
    GrantPerk {
        /// Which.
        perk: String,
    },
    /// Takes a perk from it.
    RevokePerk {
        /// Which.
        perk: String,
    },
    /// Reserves the credits of a priced request.
    Hold {
        /// What for; at its ceiling, if it states one.
        request: PricedRequest,
        /// For how long.
        ttl_seconds: u32,
    },
    /// Charges what a held call really used.
    Capture {
        /// The hold.
        hold: HoldId,
        /// What was used.
        request: PricedRequest,
        /// What happens to the part that nobody can pay.
        on_excess: OnExcess,
    },
    /// Gives a hold back.
    Release {
        /// The hold.
        hold: HoldId,
    },
    /// Lets a hold live longer.
    Extend {
        /// The hold.
        hold: HoldId,
        /// For how long from now.
        ttl_seconds: u32,
    },
    /// Charges in one step.
    Charge {
        /// What was used.
        request: PricedRequest,
        /// What happens to the part that nobody can pay.
        on_excess: OnExcess,
    },
    /// Gives a charge back.
    Refund {
        /// The charge.
        charge: ChargeId,
        /// How much of it; all that is left of it by default.
        credits: Option<Credits>,
    },
    /// Grants credits.
    Grant(NewGrant),
    /// Grants what the product itself promised, once.
    Award {
        /// What.
        new: NewGrant,
        /// What for.
        source: Source,
    },
    /// Ends a grant.
    Void {
        /// Which.
        grant: GrantId,
    },
    /// Uses some of a limited feature.
    UseFeature {
        /// Which.
        feature: String,
        /// How much.
        quantity: u64,
    },
    /// Gives some of a limited feature back.
    ReturnFeature {
        /// Which.
        feature: String,
        /// How much.
        quantity: u64,
    },
}

/// A grant that is to be given.
#[derive(Clone, Debug, PartialEq)]
pub struct NewGrant {
    /// Where it comes from.
    pub kind: GrantKind,
    /// How much.
    pub credits: Credits,
    /// Given or paid for.
    pub category: Category,
    /// 0 to 100; low is burned first.
    pub priority: u8,
    /// The tags of the models that it pays for.
    pub scope: Option<Vec<String>>,
    /// From when it is in force; at once without one.
    pub effective_at: Option<Instant>,
    /// Until when.
    pub expires_at: Option<Instant>,
}
