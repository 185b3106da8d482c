//! Spend limits: the most that an account may spend in a credit day, or in a period.
//!
//! A limit stands before calls that are still to be made: a hold, or a charge that is refused where it cannot be
//! paid. What was used already, a capture or a charge that owes or forgives what is missing, is recorded whatever the
//! limits say. Open holds count as if they were spent, so that calls at the same time do not pass a limit together.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::credits::Credits;
use crate::refusal::{Code, Refusal};
use crate::time::Instant;
use crate::value::Fields;

/// The limits that an account has. Where there is none, none holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendLimits {
    /// Of a credit day.
    pub day: Option<Credits>,
    /// Of a period.
    pub month: Option<Credits>,
}

/// The span of time that a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A credit day.
    Day,
    /// A period.
    Month,
}

/// A limit, as it stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitStanding {
    /// The most that may be spent.
    pub limit: Credits,
    /// What was spent in the present window.
    pub spent: Credits,
    /// What open holds reserve, whenever they were made.
    pub held: Credits,
    /// When the next window begins.
    pub resets_at: Instant,
}

impl LimitStanding {
    /// What may still be spent or held.
    pub fn room(&self) -> Credits {
        self.limit.less(self.spent + self.held)
    }
}

/// The limits of an account, as they stand at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitStandings {
    /// Of the credit day.
    pub day: Option<LimitStanding>,
    /// Of the period.
    pub month: Option<LimitStanding>,
}

/// The figures behind a refusal for a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitReached {
    /// What the request needs.
    pub required: Credits,
    /// Which window's limit it is.
    pub window: Window,
    /// How it stands.
    #[serde(flatten)]
    pub standing: LimitStanding,
}

impl SpendLimits {
    /// Reads `{day?, month?}`. What is absent or `null` has no limit.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<SpendLimits, Refusal> {
        let limit = |name: &str| {
            let value = fields.given(name);
            value.map(|value| Credits::parse(value, name)).transpose()
        };
        Ok(SpendLimits {
            day: limit("day")?,
            month: limit("month")?,
        })
    }
}

impl LimitStandings {
    /// Refuses what goes beyond a limit. Of two that are reached, the one is named that lasts longer: when that
    /// begins anew, the other has too. What costs nothing always passes.
    ///
    /// # Errors
    /// `spend_limit_reached`.
    pub(crate) fn check(&self, required: Credits) -> Result<(), Refusal> {
        if !required.is_positive() {
            return Ok(());
        }
        let reached = self
            .each()
            .filter(|(_, standing)| required > standing.room())
            .max_by_key(|(window, standing)| (standing.resets_at, *window));
        reached.map_or(Ok(()), |(window, standing)| {
            Err(refusal(LimitReached {
                required,
                window,
                standing,
            }))
        })
    }

    /// What may still be spent or held; nothing where there is no limit.
    pub fn room(&self) -> Option<Credits> {
        self.each().map(|(_, standing)| standing.room()).min()
    }

    fn each(&self) -> impl Iterator<Item = (Window, LimitStanding)> {
        let both = [(Window::Day, self.day), (Window::Month, self.month)];
        both.into_iter()
            .filter_map(|(window, standing)| Some((window, standing?)))
    }
}

impl Account {
    /// How its limits stand at `now`.
    pub fn limit_standings(&self, now: Instant) -> LimitStandings {
        let SpendLimits { day, month } = self.spend_limits;
        let standing = |limit: Credits, (spent, resets_at): (Credits, Instant)| LimitStanding {
            limit,
            spent,
            held: self.balance().held,
            resets_at,
        };
        LimitStandings {
            day: day.map(|limit| standing(limit, self.spent_today(now))),
            month: month.map(|limit| standing(limit, self.spent_this_month(now))),
        }
    }
}

fn refusal(reached: LimitReached) -> Refusal {
    let LimitReached {
        required,
        window,
        standing: LimitStanding {
            limit, spent, held, ..
        },
    } = reached;
    let window = match window {
        Window::Day => "day",
        Window::Month => "month",
    };
    let detail = format!(
        "{required} credits would go beyond the limit of {limit} a {window}: {spent} are spent and {held} held"
    );
    Refusal::new(Code::SpendLimitReached, detail).with_limit(reached)
}
