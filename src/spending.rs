//! Spending: what an account spent in the present credit day and in the present period.
//!
//! What counts is what charges and captures cost the account when they are made, also what it then owes. What was
//! waived or forgiven is nothing spent. A refund gives back to the day and the period of its charge, as far as they
//! are not over.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::charge::{Charge, Refund};
use crate::credits::Credits;
use crate::time::Instant;

/// What was spent in the latest credit day and in the latest period in which anything was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The day.
    pub day: Option<Span>,
    /// The period.
    pub month: Option<Span>,
}

/// A day or a period in which something was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The entry of its first charge. Every charge since then is its own.
    pub first: u64,
    /// When it ends.
    pub end: Instant,
    /// What was spent.
    pub spent: Credits,
}

impl Span {
    /// This span after a charge, or the one that the charge begins.
    fn after(
        span: Option<Span>,
        charge: &Charge,
        at: Instant,
        end: impl FnOnce() -> Instant,
    ) -> Span {
        let present = span.filter(|span| at < span.end).unwrap_or_else(|| Span {
            first: charge.id.0,
            end: end(),
            spent: Credits::ZERO,
        });
        Span {
            spent: present.spent + charge.credits,
            ..present
        }
    }

    fn take_back(&mut self, refund: &Refund) {
        if refund.charge.0 >= self.first {
            self.spent -= refund.credits;
        }
    }
}

impl Account {
    /// Begins to count, as of no spending. What a snapshot does not know is counted by replaying the entries of
    /// the present day and period after this.
    pub fn count_spending_from_here(&mut self) {
        self.spending = Some(Spending::default());
    }

    /// What was spent in the credit day of `at`, and when that ends.
    pub(crate) fn spent_today(&self, at: Instant) -> (Credits, Instant) {
        let day = self.spending.and_then(|spending| spending.day);
        match day.filter(|day| at < day.end) {
            Some(day) => (day.spent, day.end),
            None => (Credits::ZERO, self.day_end(at)),
        }
    }

    /// What was spent in the period of `at`, and when that ends.
    pub(crate) fn spent_this_month(&self, at: Instant) -> (Credits, Instant) {
        let month = self.spending.and_then(|spending| spending.month);
        match month.filter(|month| at < month.end) {
            Some(month) => (month.spent, month.end),
            None => (Credits::ZERO, self.period(at).1),
        }
    }

    /// The day of the daily credits, where there is one: after a change of zone it is the old zone's (D8).
    fn day_end(&self, at: Instant) -> Instant {
        let granted = self.day.as_ref().filter(|day| at < day.end);
        granted.map_or_else(|| self.zone.next_midnight(at), |day| day.end)
    }

    pub(crate) fn note_spent(&mut self, charge: &Charge, at: Instant) {
        if let Some(spending) = self.spending
            && charge.credits.is_positive()
        {
            self.spending = Some(Spending {
                day: Some(Span::after(spending.day, charge, at, || self.day_end(at))),
                month: Some(Span::after(spending.month, charge, at, || {
                    self.period(at).1
                })),
            });
        }
    }

    pub(crate) fn note_refunded(&mut self, refund: &Refund) {
        if let Some(spending) = &mut self.spending {
            let spans = [&mut spending.day, &mut spending.month];
            spans
                .into_iter()
                .flatten()
                .for_each(|span| span.take_back(refund));
        }
    }
}
