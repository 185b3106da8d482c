//! What a call uses, and how much of it: meters and their quantities.

mod quantities;
mod quantity;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use quantities::Quantities;
pub(crate) use quantities::parse_meters;
pub use quantity::Quantity;
pub(crate) use quantity::too_large;

/// What is counted of a call. Meters exclude one another: a cached token is not also an input token.
///
/// Their order is the order of a breakdown's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meter {
    /// Prompt tokens that came from no cache.
    InputTokens,
    /// Prompt tokens that were read from a cache.
    CachedInputTokens,
    /// Prompt tokens that were written to a cache.
    CacheWriteTokens,
    /// Tokens that the model wrote, thoughts included.
    OutputTokens,
    /// Images made.
    Images,
    /// Seconds made, to the millisecond.
    Seconds,
    /// Calls, of models that are priced by the call.
    Uses,
}

impl Meter {
    /// Every meter, in order.
    pub const ALL: [Meter; 7] = [
        Meter::InputTokens,
        Meter::CachedInputTokens,
        Meter::CacheWriteTokens,
        Meter::OutputTokens,
        Meter::Images,
        Meter::Seconds,
        Meter::Uses,
    ];

    /// The meter's name as callers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Meter::InputTokens => "input_tokens",
            Meter::CachedInputTokens => "cached_input_tokens",
            Meter::CacheWriteTokens => "cache_write_tokens",
            Meter::OutputTokens => "output_tokens",
            Meter::Images => "images",
            Meter::Seconds => "seconds",
            Meter::Uses => "uses",
        }
    }

    /// The meter of this name, if there is one.
    pub fn parse(name: &str) -> Option<Meter> {
        Meter::ALL.into_iter().find(|meter| meter.as_str() == name)
    }

    /// The smallest quantity of the meter, in thousandths.
    pub(crate) const fn step(self) -> u64 {
        match self {
            Meter::Seconds => 1,
            _ => quantity::THOUSANDTHS,
        }
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Meter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Meter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Meter, D::Error> {
        let name = String::deserialize(deserializer)?;
        Meter::parse(&name)
            .ok_or_else(|| de::Error::custom(format_args!("`{name}` is not a meter")))
    }
}
