//! How much of one meter.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Meter;
use crate::figure::Figure;
use crate::refusal::{Code, Refusal};
use crate::value::Value;

/// How many thousandths one unit has.
pub(super) const THOUSANDTHS: u64 = 1_000;
/// The largest whole number up to which doubles have no gaps: 2⁵³ - 1.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// How much of a meter: an integer of thousandths inside, a JSON number outside. Only seconds have parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u64);

impl Quantity {
    /// Nothing used.
    pub const ZERO: Quantity = Quantity(0);

    /// So many whole units, at most 2⁵³ - 1 of them.
    pub fn whole(units: u64) -> Quantity {
        Quantity(units.min(LARGEST_EXACT).saturating_mul(THOUSANDTHS))
    }

    /// The quantity of this many thousandths.
    pub const fn from_thousandths(thousandths: u64) -> Quantity {
        Quantity(thousandths)
    }

    /// The quantity in thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// Whether nothing was used.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum of two quantities, if a caller could have written it.
    pub fn checked_add(self, other: Quantity) -> Option<Quantity> {
        let sum = self.0.checked_add(other.0)?;
        (sum <= LARGEST_EXACT.saturating_mul(THOUSANDTHS)).then_some(Quantity(sum))
    }

    /// The difference of two quantities, if it is not negative.
    pub fn checked_sub(self, other: Quantity) -> Option<Quantity> {
        self.0.checked_sub(other.0).map(Quantity)
    }

    /// The largest quantity of the meter that a caller can write and that is at most this many thousandths.
    ///
    /// From 2⁵³ thousandths on, doubles cannot tell one thousandth from the next; quantities are whole there.
    pub(crate) fn at_most(thousandths: u128, meter: Meter) -> Quantity {
        let largest = LARGEST_EXACT.saturating_mul(THOUSANDTHS);
        let bounded = u64::try_from(thousandths).unwrap_or(u64::MAX).min(largest);
        let step = if bounded > LARGEST_EXACT {
            THOUSANDTHS
        } else {
            meter.step()
        };
        Quantity(bounded.saturating_sub(bounded.checked_rem(step).unwrap_or(0)))
    }

    /// Reads a quantity of a meter that a caller wrote.
    ///
    /// # Errors
    /// `invalid_quantity` for what is no number from 0 on, or finer than the meter; `amount_too_large` beyond
    /// 2⁵³ - 1, and for seconds with a fraction that are too many to be told apart to the thousandth.
    pub fn parse(value: &Value, meter: Meter, field: &str) -> Result<Quantity, Refusal> {
        let invalid = |detail: String| Err(Refusal::new(Code::InvalidQuantity, detail).at(field));
        let Value::Number(number) = *value else {
            return invalid(format!("a quantity is a number, not {}", value.describe()));
        };
        let figure = Figure(number);
        if !number.is_finite() || number < 0.0 {
            return invalid(format!("{figure} is no quantity: it must be at least 0"));
        }
        let is_whole = number.trunc() == number;
        if !is_whole && meter != Meter::Seconds {
            return invalid(format!(
                "{figure} is no quantity of `{meter}`: it must be whole"
            ));
        }
        if number > LARGEST_EXACT as f64 {
            return Err(too_large(&figure).at(field));
        }
        if is_whole {
            return Ok(Quantity((number as u64).saturating_mul(THOUSANDTHS)));
        }
        let Some(quantity) = Quantity::from_parts(number) else {
            return invalid(format!(
                "{figure} is no quantity of `{meter}`: at most three decimals"
            ));
        };
        if quantity.0 > LARGEST_EXACT {
            Err(too_large(&figure).at(field))
        } else {
            Ok(quantity)
        }
    }

    /// The quantity that a double stands for, if it stands for one of at most three decimals.
    #[expect(
        clippy::float_arithmetic,
        reason = "the JSON boundary: the one place where a quantity is a double"
    )]
    fn from_parts(number: f64) -> Option<Quantity> {
        let thousandths = (number * 1e3).round();
        (thousandths / 1e3 == number).then_some(Quantity(thousandths as u64))
    }

    /// The JSON number that stands for the quantity.
    #[expect(
        clippy::float_arithmetic,
        reason = "the JSON boundary: the one place where a quantity is a double"
    )]
    fn to_number(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

/// The refusal of a quantity that is beyond every price.
pub(crate) fn too_large(quantity: &impl fmt::Display) -> Refusal {
    Refusal::new(
        Code::AmountTooLarge,
        format!("a quantity of {quantity} is too large"),
    )
}

impl fmt::Display for Quantity {
    /// As a plain decimal without needless noughts: `7.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / THOUSANDTHS, self.0 % THOUSANDTHS);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let decimals = format!("{rest:03}");
            write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(THOUSANDTHS) {
            serializer.serialize_u64(self.0 / THOUSANDTHS)
        } else {
            serializer.serialize_f64(self.to_number())
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        let number = Value::deserialize(deserializer)?;
        // Seconds are the finest meter, so that what they take is what any quantity may be.
        Quantity::parse(&number, Meter::Seconds, "")
            .map_err(|refusal| de::Error::custom(&refusal.detail))
    }
}
