//! What a meter costs, and sums of such costs without any loss.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::credits::Credits;
use crate::meter::{Meter, Quantity};
use crate::refusal::{Code, Refusal};

/// The decimals of a rate: those of an amount of credits.
const RATE_DECIMALS: u32 = 6;
/// The largest `per` of a rate, and the largest common multiple of the `per`s of a catalog.
pub const LARGEST_PER: u64 = 1_000_000_000_000;

/// A price: so many credits per so many units of each of these meters.
///
/// Several meters in one rate are priced together, as the guide prices all tokens of a text model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Rate {
    meters: Vec<Meter>,
    per: u64,
    #[serde(with = "as_credits")]
    rate: Decimal,
}

/// A rate as it was stored, before its bounds are checked.
#[derive(Deserialize)]
struct Unchecked {
    meters: Vec<Meter>,
    per: u64,
    #[serde(with = "as_credits")]
    rate: Decimal,
}

impl TryFrom<Unchecked> for Rate {
    type Error = &'static str;
    fn try_from(stored: Unchecked) -> Result<Rate, &'static str> {
        let rate = credits_of(stored.rate).ok_or("a rate has at most six decimals")?;
        Rate::new(stored.meters, stored.per, rate).ok_or("a rate is out of its bounds")
    }
}

impl Rate {
    /// A rate of so many credits per so many units, if they are within bounds: `per` from 1 to 10¹², `rate`
    /// from 0 to below 10⁹ credits.
    pub fn new(meters: Vec<Meter>, per: u64, rate: Credits) -> Option<Rate> {
        let is_legal = (1..=LARGEST_PER).contains(&per)
            && rate >= Credits::ZERO
            && rate < Credits::LIMIT
            && !meters.is_empty();
        let mut sorted: Vec<Meter> = Vec::with_capacity(meters.len());
        for meter in meters {
            let place = sorted.partition_point(|known| *known <= meter);
            sorted.insert(place, meter);
        }
        is_legal.then(|| Rate {
            meters: sorted,
            per,
            rate: decimal_of(rate),
        })
    }

    /// The meters that the rate prices, in their order.
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// How many units the rate is the price of.
    pub fn per(&self) -> u64 {
        self.per
    }

    /// The price of [`Rate::per`] units, in credits.
    pub fn rate(&self) -> Decimal {
        self.rate
    }

    /// The exact cost of a quantity.
    pub fn cost(&self, quantity: Quantity) -> Exact {
        // Both factors are below 10²⁰, and a quantity of thousandths makes the unit a thousandth too.
        let micros = u128::from(quantity.thousandths()).saturating_mul(u128::from(self.micros()));
        Exact::fraction(micros, self.thousandths())
    }

    /// The rate in micro-credits.
    pub fn micros(&self) -> u64 {
        credits_of(self.rate).map_or(0, |rate| rate.micros().unsigned_abs())
    }

    /// What the rate is the price of, in thousandths.
    pub(crate) fn thousandths(&self) -> u128 {
        u128::from(self.per).saturating_mul(1_000)
    }
}

/// The decimal number of an amount.
pub(crate) fn decimal_of(credits: Credits) -> Decimal {
    Decimal::new(credits.micros(), RATE_DECIMALS)
}

/// The amount that a rate is. It has six decimals, for it was made of one.
fn credits_of(rate: Decimal) -> Option<Credits> {
    let micros = i64::try_from(rate.mantissa()).ok()?;
    (rate.scale() == RATE_DECIMALS).then_some(Credits::from_micros(micros))
}

/// A rate as a JSON number, written as an amount of credits is: whole ones without a point.
pub(crate) mod as_credits {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        rate: &Decimal,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        credits_of(*rate)
            .ok_or_else(|| serde::ser::Error::custom("a rate has at most six decimals"))?
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Decimal, D::Error> {
        let credits = Credits::deserialize(deserializer)?;
        if credits < Credits::ZERO {
            return Err(de::Error::custom("a rate is not negative"));
        }
        Ok(decimal_of(credits))
    }
}

/// An exact cost of nought or more: whole micro-credits and a fraction of one.
///
/// Keeping the two apart leaves the fraction's terms small: they are bounded by the common denominator
/// alone, which is at most 10¹⁵ within a catalog, so that rates of two catalogs still add up exactly.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    micros: u128,
    // INVARIANT: numerator < denominator.
    numerator: u128,
    denominator: u128,
}

impl Exact {
    /// No cost.
    pub const ZERO: Exact = Exact {
        micros: 0,
        numerator: 0,
        denominator: 1,
    };

    /// A whole amount. A negative one counts as nothing.
    pub fn whole(credits: Credits) -> Exact {
        let micros = credits.less(Credits::ZERO).micros().unsigned_abs();
        Exact {
            micros: u128::from(micros),
            ..Exact::ZERO
        }
    }

    /// So many micro-credits divided by a denominator above nought.
    fn fraction(micros: u128, denominator: u128) -> Exact {
        let denominator = denominator.max(1);
        Exact {
            micros: micros / denominator,
            numerator: micros % denominator,
            denominator,
        }
    }

    /// The sum, exactly.
    ///
    /// # Errors
    /// `amount_too_large` if its terms leave 128 bits.
    pub fn plus(self, other: Exact) -> Result<Exact, Refusal> {
        self.checked_add(other).ok_or_else(price_too_large)
    }

    fn checked_add(self, other: Exact) -> Option<Exact> {
        let micros = self.micros.checked_add(other.micros)?;
        if other.numerator == 0 {
            return Some(Exact { micros, ..self });
        }
        let denominator = least_common_multiple(self.denominator, other.denominator)?;
        let fraction = Exact::fraction(
            self.numerator_over(denominator)?
                .checked_add(other.numerator_over(denominator)?)?,
            denominator,
        );
        Some(Exact {
            micros: micros.checked_add(fraction.micros)?,
            ..fraction
        })
    }

    /// The numerator that makes the same fraction over a multiple of its denominator.
    fn numerator_over(&self, denominator: u128) -> Option<u128> {
        self.numerator
            .checked_mul(denominator.checked_div(self.denominator)?)
    }

    /// The cost cut off to the micro-credit: what a breakdown's line shows.
    ///
    /// # Errors
    /// `amount_too_large` from 10⁹ credits on.
    pub fn floor(&self) -> Result<Credits, Refusal> {
        below_limit(Some(self.micros))
    }

    /// The cost rounded up to a multiple of the increment: what a charge takes. No cost stays nought.
    ///
    /// # Errors
    /// `amount_too_large` from 10⁹ credits on.
    pub fn ceil(&self, increment: Credits) -> Result<Credits, Refusal> {
        let step = u128::from(increment.micros().unsigned_abs()).max(1);
        let micros = self.micros.checked_add(u128::from(self.numerator > 0));
        // An increment is a whole number of micro-credits, so rounding up in two steps is rounding up once.
        below_limit(micros.and_then(|micros| micros.div_ceil(step).checked_mul(step)))
    }

    /// How many thousandths of a quantity at this rate fit between the cost and a limit of micro-credits.
    /// `None` if the cost is above the limit already, or the rate is nought so that nothing bounds it.
    pub(crate) fn room(&self, limit: u128, rate: &Rate) -> Option<u128> {
        let denominator = least_common_multiple(self.denominator, rate.thousandths())?;
        let left = limit
            .checked_sub(self.micros)?
            .checked_mul(denominator)?
            .checked_sub(self.numerator_over(denominator)?)?;
        let each =
            u128::from(rate.micros()).checked_mul(denominator.checked_div(rate.thousandths())?)?;
        left.checked_div(each)
    }
}

fn below_limit(micros: Option<u128>) -> Result<Credits, Refusal> {
    micros
        .and_then(|micros| i64::try_from(micros).ok())
        .map(Credits::from_micros)
        .filter(|credits| *credits < Credits::LIMIT)
        .ok_or_else(price_too_large)
}

fn price_too_large() -> Refusal {
    Refusal::new(
        Code::AmountTooLarge,
        "the price is too large: it must be below 1000000000 credits",
    )
}

/// The least common multiple of two numbers above nought, if it fits.
pub(crate) fn least_common_multiple(left: u128, right: u128) -> Option<u128> {
    if left == right {
        return Some(left);
    }
    let (mut divisor, mut rest) = (left, right);
    while let Some(remainder) = divisor.checked_rem(rest) {
        (divisor, rest) = (rest, remainder);
    }
    left.checked_div(divisor)?.checked_mul(right)
}
