//! Holds: credits reserved for a call that is still running.

use serde::{Deserialize, Serialize};

use crate::charge::Called;
use crate::credits::Credits;
use crate::grant::Draw;
use crate::ids::HoldId;
use crate::price::Line;
use crate::time::Instant;

/// How long a hold lives that names no time.
pub const DEFAULT_TTL_SECONDS: u32 = 900;
/// The longest life of a hold: a day.
pub const LONGEST_TTL_SECONDS: u32 = 86_400;

/// Where a hold is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// Open: its credits are reserved.
    Held,
    /// Charged.
    Captured,
    /// Given back.
    Released,
    /// Given back because its time was over.
    Lapsed,
}

impl HoldStatus {
    /// Reads a status as callers write it.
    pub fn parse(text: &str) -> Option<HoldStatus> {
        match text {
            "held" => Some(HoldStatus::Held),
            "captured" => Some(HoldStatus::Captured),
            "released" => Some(HoldStatus::Released),
            "lapsed" => Some(HoldStatus::Lapsed),
            _ => None,
        }
    }

    /// The status as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            HoldStatus::Held => "held",
            HoldStatus::Captured => "captured",
            HoldStatus::Released => "released",
            HoldStatus::Lapsed => "lapsed",
        }
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub id: HoldId,
    /// Where it is in its life.
    pub status: HoldStatus,
    /// What it reserves.
    pub credits: Credits,
    /// What it would reserve without a perk.
    pub list_credits: Credits,
    /// Whether a perk made it cost nothing. It stays so though the perk be revoked.
    pub waived: bool,
    /// Who would pay, in the order of burning.
    pub draws: Vec<Draw>,
    /// The breakdown.
    pub lines: Vec<Line>,
    /// What closes the gap between the lines and the price.
    pub rounding: Credits,
    /// The hash of the catalog it was priced with, and will be captured at.
    pub catalog: String,
    /// The models it names, one an item: a capture prices these as they were then.
    pub models: Vec<Called>,
    /// When it was made.
    pub created_at: Instant,
    /// When it lapses.
    pub expires_at: Instant,
}

impl Hold {
    /// The model as the hold named it, if it did.
    pub fn called(&self, model: &str) -> Option<&Called> {
        self.models.iter().find(|called| called.model == model)
    }
}
