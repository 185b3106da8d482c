//! The account: the state that its journal adds up to.

use serde::{Deserialize, Serialize};

use crate::alert::Watch;
use crate::calendar::{Anchor, Zone};
use crate::charge::Standing;
use crate::credits::Credits;
use crate::entry::{Balance, Opening};
use crate::grant::Grant;
use crate::hold::Hold;
use crate::ids::HoldId;
use crate::invitation::Invitations;
use crate::limit::SpendLimits;
use crate::spending::Spending;
use crate::time::Instant;
use crate::usage::Usage;

/// The state of one account. Only [`Account::apply`] changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is.
    pub id: String,
    /// The number of the last entry.
    pub seq: u64,
    /// The time of the last entry; no decision is earlier.
    pub last_at: Instant,
    /// When it was opened.
    pub opened_at: Instant,
    /// How it was opened.
    pub opening: Opening,
    /// What its months are counted from.
    pub anchor: Anchor,
    /// Its plan.
    pub plan: String,
    /// Since when.
    pub plan_since: Instant,
    /// The plan to come.
    pub pending_plan: Option<PendingPlan>,
    /// Its time zone, from the next refresh on.
    pub zone: Zone,
    /// The latest credit day that had an allowance.
    pub day: Option<CreditDay>,
    /// The latest period that had an allowance.
    pub month: Option<CreditMonth>,
    /// Its perks, sorted.
    pub perks: Vec<String>,
    /// The name that it wants to be known by.
    pub display_name: Option<String>,
    /// Its grants that are in force, are to come, or still have credits held; in the order of burning.
    pub grants: Vec<Grant>,
    /// Its open holds, oldest first.
    pub holds: Vec<Hold>,
    /// The charges that are owed, oldest first.
    pub debts: Vec<Standing>,
    /// How much of each limited feature is in use, sorted by name.
    pub features: Vec<(String, u64)>,
    /// The code that it redeemed, and the redemptions of its own.
    #[serde(default, skip_serializing_if = "Invitations::is_empty")]
    pub invitations: Invitations,
    /// The codes of the promotions that it redeemed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<String>,
    /// The most that it may spend.
    #[serde(default)]
    pub spend_limits: SpendLimits,
    /// What it spent today and this month; not known where a snapshot is older than the counting.
    #[serde(default)]
    pub spending: Option<Spending>,
    /// Its alerts, in the order in which they were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Watch>,
    /// What it used.
    pub usage: Usage,
}

/// A change of plan that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPlan {
    /// The plan.
    pub plan: String,
    /// When it begins: at the end of a period.
    pub at: Instant,
}

/// A credit day and what was granted for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditDay {
    /// When it began.
    pub start: Instant,
    /// When it ends.
    pub end: Instant,
    /// How much was granted, over all plans of that day.
    pub granted: Credits,
}

/// A period and the plans that granted their monthly credits in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditMonth {
    /// The period's number.
    pub index: u32,
    /// The plans.
    pub plans: Vec<String>,
}

impl Account {
    /// What it has, as far as the journal has come.
    pub fn balance(&self) -> Balance {
        Balance {
            available: self
                .grants
                .iter()
                .filter(|grant| grant.is_active())
                .map(|grant| grant.remaining)
                .sum(),
            held: self.grants.iter().map(|grant| grant.held).sum(),
            owed: self.owed(),
        }
    }

    /// What it owes.
    pub fn owed(&self) -> Credits {
        self.debts.iter().map(|debt| debt.owed).sum()
    }

    /// The grant of this id, if it is part of the state.
    pub fn grant(&self, id: &str) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.id == id)
    }

    /// The hold of this id, if it is open.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds
            .binary_search_by_key(&id, |hold| hold.id)
            .ok()
            .and_then(|at| self.holds.get(at))
    }

    /// Whether it has this perk.
    pub fn has_perk(&self, perk: &str) -> bool {
        self.perks.iter().any(|known| known == perk)
    }

    /// How much of a limited feature is in use.
    pub fn used(&self, feature: &str) -> u64 {
        self.features
            .iter()
            .find(|(name, _)| name == feature)
            .map_or(0, |(_, used)| *used)
    }

    /// The period that `at` lies in: its start and its end.
    pub fn period(&self, at: Instant) -> (Instant, Instant) {
        let index = self.anchor.index_at(at);
        (
            self.anchor.start_of(index),
            self.anchor.start_of(index.saturating_add(1)),
        )
    }
}
