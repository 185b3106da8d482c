//! A decision in the making: the entries so far, and the state as they leave it.

use std::borrow::Cow;

use crate::account::Account;
use crate::archive::Record;
use crate::catalog::Catalog;
use crate::catalogs::Catalogs;
use crate::charge::Payment;
use crate::credits::Credits;
use crate::entry::{Balance, Entry, Event};
use crate::grant::Draw;
use crate::ids::{ChargeId, EntryId};
use crate::time::Instant;

/// Entries that are about to be written, and the state after them. The account itself is untouched.
pub(crate) struct Draft<'a> {
    pub(crate) account: Cow<'a, Account>,
    pub(crate) catalogs: Catalogs<'a>,
    /// The one in force.
    pub(crate) catalog: &'a Catalog,
    pub(crate) now: Instant,
    pub(crate) entries: Vec<Entry>,
    pub(crate) departed: Vec<Record>,
}

impl<'a> Draft<'a> {
    /// A draft at `now`, but never before the last entry: an account's clock does not run backwards. Nor at
    /// the last instant there is, at which days would begin that never end.
    pub(crate) fn new(account: &'a Account, catalogs: Catalogs<'a>, now: Instant) -> Draft<'a> {
        let now = now.min(last_decision()).max(account.last_at);
        Draft {
            account: Cow::Borrowed(account),
            catalogs,
            catalog: catalogs.at(now),
            now,
            entries: Vec::new(),
            departed: Vec::new(),
        }
    }

    /// The number of the entry that comes next.
    pub(crate) fn next_seq(&self) -> u64 {
        let written = self
            .entries
            .last()
            .map_or(self.account.seq, |entry| entry.seq);
        written.saturating_add(1)
    }

    /// Adds an entry and moves the state on, since more is to follow. What the first catalog grants since it was
    /// changed may have begun before what is written.
    pub(crate) fn step(&mut self, at: Instant, event: Event, change: Balance) {
        let at = at.max(self.account.last_at);
        let entry = self.entry(at, event, change);
        self.departed.extend(self.account.to_mut().advance(&entry));
        self.entries.push(entry);
    }

    /// Adds the last entry. The state need not follow: nobody reads it any more.
    pub(crate) fn finish(mut self, event: Event, change: Balance) -> Vec<Entry> {
        let entry = self.entry(self.now, event, change);
        self.entries.push(entry);
        self.entries
    }

    fn entry(&self, at: Instant, event: Event, change: Balance) -> Entry {
        let seq = self.next_seq();
        Entry {
            seq,
            id: EntryId(seq),
            at,
            credits: change.available,
            balance: self.account.balance() + change,
            event,
        }
    }

    /// What credits that arrive at these grants pay of what is owed: unscoped ones, oldest debt first. A
    /// charge that is being refunded is not paid.
    pub(crate) fn payments(
        &self,
        arriving: impl IntoIterator<Item = Arrival>,
        refunded: Option<ChargeId>,
    ) -> Vec<Payment> {
        let mut payments: Vec<Payment> = Vec::new();
        let mut debts = self
            .account
            .debts
            .iter()
            .filter(|debt| Some(debt.charge) != refunded)
            .map(|debt| (debt.charge, debt.owed));
        let mut current = debts.next();
        for Arrival { draw, scoped } in arriving {
            let mut left = if scoped { Credits::ZERO } else { draw.credits };
            while let Some((charge, owed)) = current
                && left.is_positive()
            {
                let credits = left.min(owed);
                left -= credits;
                let grant = draw.grant.clone();
                payments.push(Payment {
                    charge,
                    grant,
                    kind: draw.kind,
                    credits,
                });
                let rest = owed - credits;
                current = if rest.is_positive() {
                    Some((charge, rest))
                } else {
                    debts.next()
                };
            }
        }
        payments
    }
}

/// The last instant at which anything is decided.
pub(crate) fn last_decision() -> Instant {
    Instant::from_millis(i64::MAX).after_millis(-1)
}

/// Credits that come to a grant, or come back to it.
pub(crate) struct Arrival {
    pub(crate) draw: Draw,
    pub(crate) scoped: bool,
}

/// The sum of payments.
pub(crate) fn paid(payments: &[Payment]) -> Credits {
    payments.iter().map(|payment| payment.credits).sum()
}

/// The sum of draws.
pub(crate) fn drawn(draws: &[Draw]) -> Credits {
    draws.iter().map(|draw| draw.credits).sum()
}
