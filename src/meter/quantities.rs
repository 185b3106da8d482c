//! How much of every meter: what one call used, or many.

use std::fmt;

use serde::de::{self, MapAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Meter, Quantity};
use crate::refusal::{Code, Refusal};
use crate::value::{Value, join};

/// How much of every meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities([Quantity; Meter::ALL.len()]);

impl Quantities {
    /// Nothing used.
    pub const NONE: Quantities = Quantities([Quantity::ZERO; Meter::ALL.len()]);

    /// Reads an object of meters and their quantities. What it does not mention was not used.
    ///
    /// # Errors
    /// `invalid_request` for what is no object, `unknown_meter` for a name that is no meter, and whatever
    /// [`Quantity::parse`] refuses; each at its place below `path`.
    pub fn parse(value: &Value, path: &str) -> Result<Quantities, Refusal> {
        let mut quantities = Quantities::NONE;
        for (meter, quantity) in parse_meters(value, path)? {
            quantities.set(meter, quantity);
        }
        Ok(quantities)
    }

    /// How much of one meter.
    pub fn get(&self, meter: Meter) -> Quantity {
        self.0.get(meter as usize).copied().unwrap_or_default()
    }

    /// Replaces how much of one meter.
    pub fn set(&mut self, meter: Meter, quantity: Quantity) {
        if let Some(place) = self.0.get_mut(meter as usize) {
            *place = quantity;
        }
    }

    /// The same quantities but for one meter.
    pub fn with(mut self, meter: Meter, quantity: Quantity) -> Quantities {
        self.set(meter, quantity);
        self
    }

    /// The meters that were used, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Meter, Quantity)> + '_ {
        Meter::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, quantity)| !quantity.is_zero())
    }

    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The sums, meter by meter, if each is a quantity that a caller could have written.
    pub fn checked_add(&self, other: &Quantities) -> Option<Quantities> {
        other.iter().try_fold(*self, |sums, (meter, quantity)| {
            Some(sums.with(meter, sums.get(meter).checked_add(quantity)?))
        })
    }
}

/// The meters that an object mentions, with their quantities.
pub(crate) fn parse_meters(value: &Value, path: &str) -> Result<Vec<(Meter, Quantity)>, Refusal> {
    let Value::Map(entries) = value else {
        return Err(Refusal::new(
            Code::InvalidRequest,
            format!("an object of meters is expected, not {}", value.describe()),
        )
        .at(path));
    };
    entries
        .iter()
        .map(|(name, value)| parse_meter(name, value, path))
        .collect()
}

/// One meter that an object mentions.
fn parse_meter(name: &str, value: &Value, path: &str) -> Result<(Meter, Quantity), Refusal> {
    let field = join(path, name);
    let meter = Meter::parse(name).ok_or_else(|| {
        Refusal::new(Code::UnknownMeter, format!("`{name}` is not a meter")).at(&field)
    })?;
    Ok((meter, Quantity::parse(value, meter, &field)?))
}

impl Serialize for Quantities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Quantities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantities, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Quantities;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of meters and their quantities")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Quantities, A::Error> {
                let mut quantities = Quantities::NONE;
                while let Some((meter, quantity)) = entries.next_entry::<Meter, Quantity>()? {
                    quantities.set(meter, quantity);
                }
                Ok(quantities)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
