//! Amounts of credits: integers of micro-credits inside, JSON numbers outside.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::figure::Figure;
use crate::refusal::{Code, Refusal};
use crate::value::Value;

/// How many micro-credits one credit has.
pub const MICROS_PER_CREDIT: i64 = 1_000_000;

/// An amount of credits, exact to the micro-credit (10⁻⁶). Signed, so that it can also state a change.
///
/// Sums saturate instead of overflowing. They never come near the bounds: an amount from outside is below
/// [`Credits::LIMIT`], which leaves room for nine thousand of the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(i64);

impl Credits {
    /// No credits.
    pub const ZERO: Credits = Credits(0);
    /// The first amount that is too large: 10⁹ credits. Below it every amount has at most 15 digits and
    /// survives a double unchanged.
    pub const LIMIT: Credits = Credits(1_000_000_000 * MICROS_PER_CREDIT);

    /// The amount of this many micro-credits.
    pub const fn from_micros(micros: i64) -> Credits {
        Credits(micros)
    }

    /// The amount of this many whole credits.
    pub const fn whole(credits: i64) -> Credits {
        Credits(credits.saturating_mul(MICROS_PER_CREDIT))
    }

    /// The amount in micro-credits.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether the amount is nought.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether there is anything of it: above nought.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// What is left after taking `other` away, but never less than nothing.
    pub fn less(self, other: Credits) -> Credits {
        Credits((self.0.saturating_sub(other.0)).max(0))
    }

    /// Reads an amount that a caller wrote: a number with at most six decimals, from 0 to below 10⁹.
    ///
    /// # Errors
    /// `invalid_credits` for what is no such number, `amount_too_large` from 10⁹ on.
    pub fn parse(value: &Value, field: &str) -> Result<Credits, Refusal> {
        let Value::Number(number) = value else {
            return Err(Refusal::new(
                Code::InvalidCredits,
                format!("credits are a number, not {}", value.describe()),
            )
            .at(field));
        };
        if *number >= 1e9 {
            return Err(Refusal::new(
                Code::AmountTooLarge,
                format!(
                    "{} credits are too many: an amount is below 1000000000",
                    Figure(*number)
                ),
            )
            .at(field));
        }
        match Credits::from_number(*number) {
            Some(credits) if credits.0 >= 0 => Ok(credits),
            _ => Err(Refusal::new(
                Code::InvalidCredits,
                format!(
                    "{} is no amount of credits: at least 0, with at most six decimals",
                    Figure(*number)
                ),
            )
            .at(field)),
        }
    }

    /// The amount that a double stands for, if it stands for one of at most six decimals.
    ///
    /// Below 10⁹ the nearest amount, divided again, gives the same double only if the double was written
    /// with at most six decimals.
    #[expect(
        clippy::float_arithmetic,
        reason = "the JSON boundary: the one place where an amount is a double"
    )]
    fn from_number(number: f64) -> Option<Credits> {
        if !number.is_finite() || number.abs() > 9e12 {
            return None;
        }
        let micros = (number * 1e6).round();
        // The bound above keeps the product within an i64.
        (micros / 1e6 == number).then_some(Credits(micros as i64))
    }

    /// The JSON number that stands for the amount.
    #[expect(
        clippy::float_arithmetic,
        reason = "the JSON boundary: the one place where an amount is a double"
    )]
    fn to_number(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add for Credits {
    type Output = Credits;
    fn add(self, other: Credits) -> Credits {
        Credits(self.0.saturating_add(other.0))
    }
}

impl Sub for Credits {
    type Output = Credits;
    fn sub(self, other: Credits) -> Credits {
        Credits(self.0.saturating_sub(other.0))
    }
}

impl Neg for Credits {
    type Output = Credits;
    fn neg(self) -> Credits {
        Credits(self.0.saturating_neg())
    }
}

impl AddAssign for Credits {
    fn add_assign(&mut self, other: Credits) {
        *self = *self + other;
    }
}

impl SubAssign for Credits {
    fn sub_assign(&mut self, other: Credits) {
        *self = *self - other;
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Credits>>(amounts: I) -> Credits {
        amounts.fold(Credits::ZERO, Add::add)
    }
}

impl fmt::Display for Credits {
    /// As a plain decimal without needless noughts: `12.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
        if rest == 0 {
            write!(f, "{sign}{whole}")
        } else {
            let decimals = format!("{rest:06}");
            write!(f, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
        }
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % MICROS_PER_CREDIT == 0 {
            serializer.serialize_i64(self.0 / MICROS_PER_CREDIT)
        } else {
            serializer.serialize_f64(self.to_number())
        }
    }
}

impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Credits, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Credits;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of credits with at most six decimals")
            }
            fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Credits, E> {
                whole
                    .checked_mul(MICROS_PER_CREDIT)
                    .map(Credits)
                    .ok_or_else(|| E::custom("too many credits"))
            }
            fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Credits, E> {
                i64::try_from(whole)
                    .map_err(|_| E::custom("too many credits"))
                    .and_then(|whole| self.visit_i64(whole))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Credits, E> {
                Credits::from_number(number).ok_or_else(|| E::custom("not an amount of credits"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
