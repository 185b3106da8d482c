//! Packs: credits that are bought one by one (guide, *Individual Credit Packages*).

use serde::{Deserialize, Serialize};

use crate::command::NewGrant;
use crate::credits::Credits;
use crate::grant::{DEFAULT_PRIORITY, GrantKind};
use crate::time::{DAY_MS, Instant};

/// The longest time that a pack's credits live: ten years.
pub(crate) const LONGEST_DAYS: u64 = 3_650;

/// A pack of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it holds.
    pub credits: Credits,
    /// What it costs, in US cents.
    pub price_cents: u64,
    /// For how many days its credits are in force.
    pub valid_days: u64,
}

impl Pack {
    /// The grant that its buyer gets.
    pub fn grant(&self, now: Instant) -> NewGrant {
        let days = i64::try_from(self.valid_days.min(LONGEST_DAYS)).unwrap_or(0);
        NewGrant {
            kind: GrantKind::Pack,
            credits: self.credits,
            category: GrantKind::Pack.category(),
            priority: DEFAULT_PRIORITY,
            scope: None,
            effective_at: None,
            expires_at: Some(now.after_millis(days.saturating_mul(DAY_MS))),
        }
    }
}
