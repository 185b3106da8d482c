//! Plans and perks: what an account gets without paying by the call.

use serde::{Serialize, Serializer};

use crate::credits::Credits;

/// Whether a plan can be entered (guide, *Legacy User Benefits*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// What else it allows.
    pub features: Features,
}

/// Features by name, in the order of their names.
///
/// They are few: a list is as quick as a tree, and a tree would be a twentieth of what a browser loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Vec<(String, Feature)>);

impl Features {
    /// Adds a feature, whose name is none of those that are there.
    pub(crate) fn insert(&mut self, name: String, feature: Feature) {
        let place = self.0.partition_point(|(known, _)| *known < name);
        self.0.insert(place, (name, feature));
    }

    /// The feature of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Feature> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, feature)| feature)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All names and features, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Feature)> {
        self.0.iter().map(|(name, feature)| (name, feature))
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// What a plan allows beside credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
