//! Plans and perks: what an account gets without paying by the call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::credits::Credits;

/// Whether a plan can be entered (guide, *Legacy User Benefits*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// It can be entered and left freely.
    Current,
    /// It can be left, and never entered again.
    Legacy,
}

impl Family {
    /// The family as callers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::Current => "current",
            Family::Legacy => "legacy",
        }
    }
}

/// A plan of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it can be entered.
    pub family: Family,
    /// The credits of a day, if it gives any. They do not add up.
    pub daily: Option<Credits>,
    /// The credits of a period, if it gives any.
    pub monthly: Option<Credits>,
    /// What else it allows, by name.
    pub features: BTreeMap<String, Feature>,
}

/// What a plan allows beside credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Feature {
    /// Something that is used up: so many times in all.
    Limit {
        /// How many times.
        limit: u64,
    },
    /// A figure that others look up and enforce.
    Static {
        /// The figure.
        value: u64,
    },
}

/// A perk of an account, beside any plan: models that cost it nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Perk {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The models that it waives.
    pub models: Vec<String>,
}

impl Perk {
    /// Whether the perk makes this model cost nothing.
    pub fn waives(&self, model: &str) -> bool {
        self.models.iter().any(|waived| waived == model)
    }
}
