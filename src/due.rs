//! What time alone does to an account: expiries, lapsed holds, the day's and the period's allowance.
//!
//! Nothing here runs by a clock. Whoever asks at `now` finds everything that has become due until then, in
//! the order in which it became due.

use crate::account::Account;
use crate::catalogs::Catalogs;
use crate::credits::Credits;
use crate::draft::{Arrival, Draft, drawn, paid};
use crate::entry::{Balance, Entry, Event, Source};
use crate::grant::{DEFAULT_PRIORITY, Draw, Grant, GrantKind, GrantStatus};
use crate::hold::{Hold, HoldStatus};
use crate::plan::Plan;
use crate::time::Instant;

/// Something that is due. The order of the variants is the order at one instant: what ends, ends first, since
/// only credits in force pay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Expiry { grant: usize },
    Lapse { hold: usize },
    PlanChange,
    Month { index: u32 },
    Day,
    Start { grant: usize },
}

/// An account as it stands at `now`, with what is due by then but not yet written.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The state.
    pub account: Account,
    /// As of when: `now`, or the last entry's time if that is later.
    pub as_of: Instant,
    /// The entries that the next command will write first.
    pub due: Vec<Entry>,
}

impl Account {
    /// The account as it stands at `now`. Nothing is written: a read never writes.
    pub fn settled<'a>(&self, now: Instant, catalogs: impl Into<Catalogs<'a>>) -> Settled {
        let mut draft = Draft::new(self, catalogs.into(), now);
        draft.settle();
        let mut account = draft.account.into_owned();
        // What was burned to the last ends without an entry.
        account.prune(draft.now, &mut Vec::new());
        Settled {
            as_of: draft.now,
            account,
            due: draft.entries,
        }
    }
}

impl Draft<'_> {
    /// Adds an entry for everything that is due by `now`.
    pub(crate) fn settle(&mut self) {
        while let Some((at, due)) = self.next_due() {
            match due {
                Due::Expiry { grant } => self.expire(grant, at),
                Due::Lapse { hold } => self.lapse(hold, at),
                Due::PlanChange => self.turn_plan(at),
                Due::Month { index } => self.grant_month(index, at),
                Due::Day => self.grant_day(at),
                Due::Start { grant } => self.start(grant, at),
            }
        }
    }

    /// The earliest thing that is due by `now`.
    fn next_due(&self) -> Option<(Instant, Due)> {
        let account = &*self.account;
        let mut earliest: Option<(Instant, Due)> = None;
        let mut consider = |at: Instant, due: Due| {
            let earlier = |known: &(Instant, Due)| (at, &due) < (known.0, &known.1);
            if at <= self.now && earliest.as_ref().is_none_or(earlier) {
                earliest = Some((at, due));
            }
        };
        for (place, grant) in account.grants.iter().enumerate() {
            match (grant.status, grant.expires_at) {
                (GrantStatus::Active, Some(end)) if grant.remaining.is_positive() => {
                    consider(end, Due::Expiry { grant: place });
                }
                (GrantStatus::Scheduled, _) => {
                    consider(grant.effective_at, Due::Start { grant: place });
                }
                _ => {}
            }
        }
        for (place, hold) in account.holds.iter().enumerate() {
            consider(hold.expires_at, Due::Lapse { hold: place });
        }
        if let Some(pending) = &account.pending_plan {
            consider(pending.at, Due::PlanChange);
        }
        if let Some((at, index)) = self.month_due() {
            consider(at, Due::Month { index });
        }
        if let Some(at) = self.day_due() {
            consider(at, Due::Day);
        }
        earliest
    }

    /// The account's plan as the catalog of that moment has it: what a day or a period grants is settled when it
    /// begins.
    fn plan_at(&self, at: Instant) -> Option<&Plan> {
        self.catalogs.at(at).plan(&self.account.plan)
    }

    /// When the next daily allowance is due, if one is by `now`.
    ///
    /// Days on which nothing happened are passed over, unless something is owed: then every one of them pays.
    /// What another catalog adds to a plan begins with the first midnight in it.
    fn day_due(&self) -> Option<Instant> {
        let account = &*self.account;
        let after_last = account
            .day
            .as_ref()
            .map_or(account.plan_since, |day| day.end);
        // A day on which the plan changes is not passed over: it begins on the plan that is left.
        let until = match &account.pending_plan {
            Some(pending) if pending.at <= self.now => pending.at.after_millis(-1),
            _ => self.now,
        };
        if after_last > until {
            return None;
        }
        let next = after_last.max(account.plan_since);
        let from = if account.debts.is_empty() {
            until
        } else {
            account.last_at
        };
        let mut at = next.max(account.zone.last_midnight(from));
        while at <= until {
            if self.plan_at(at).is_some_and(|plan| plan.daily.is_some()) {
                return Some(at);
            }
            let change = self.catalogs.next_change(at)?;
            at = account.zone.next_midnight(change.after_millis(-1));
        }
        None
    }

    /// When the next monthly allowance is due, and of which period, if one is by `now`.
    ///
    /// A plan grants its monthly credits once a period. Periods that are over are passed over like days.
    fn month_due(&self) -> Option<(Instant, u32)> {
        let account = &*self.account;
        let entered = account.anchor.index_at(account.plan_since);
        let first = match &account.month {
            Some(month) if month.plans.contains(&account.plan) => {
                entered.max(month.index.saturating_add(1))
            }
            _ => entered,
        };
        let from = if account.debts.is_empty() {
            self.now
        } else {
            account.last_at
        };
        let mut index = first.max(account.anchor.index_at(from));
        loop {
            let at = account.anchor.start_of(index).max(account.plan_since);
            if at > self.now {
                return None;
            }
            if self.plan_at(at).is_some_and(|plan| plan.monthly.is_some()) {
                return Some((at, index));
            }
            let change = self.catalogs.next_change(at)?;
            let under_way = account.anchor.index_at(change.after_millis(-1));
            index = index.max(under_way).saturating_add(1);
        }
    }

    fn expire(&mut self, place: usize, at: Instant) {
        let Some(mut grant) = self.account.grants.get(place).cloned() else {
            return;
        };
        let gone = grant.remaining;
        grant.expire();
        let change = Balance {
            available: -gone,
            ..Balance::default()
        };
        self.step(at, Event::Expired { grant }, change);
    }

    fn lapse(&mut self, place: usize, at: Instant) {
        let Some(hold) = self.account.holds.get(place).cloned() else {
            return;
        };
        let (event, change) = self.give_back(hold, HoldStatus::Lapsed, at);
        self.step(at, event, change);
    }

    /// Ends a hold without a charge: its credits go back to the grants that are in force, and pay first what
    /// is owed.
    pub(crate) fn give_back(
        &self,
        mut hold: Hold,
        status: HoldStatus,
        at: Instant,
    ) -> (Event, Balance) {
        let back = self.returning(&hold.draws, at);
        let returned: Credits = back.iter().map(|arrival| arrival.draw.credits).sum();
        let payments = self.payments(back, None);
        let paid = paid(&payments);
        let change = Balance {
            available: returned - paid,
            held: -drawn(&hold.draws),
            owed: -paid,
        };
        hold.status = status;
        let event = match status {
            HoldStatus::Lapsed => Event::Lapsed { hold, payments },
            _ => Event::Released { hold, payments },
        };
        (event, change)
    }

    /// What of these draws comes back to grants that are in force.
    pub(crate) fn returning(&self, draws: &[Draw], at: Instant) -> Vec<Arrival> {
        draws
            .iter()
            .filter_map(|draw| {
                let grant = self.account.grant(&draw.grant)?;
                (!grant.has_ended_at(at)).then(|| Arrival {
                    draw: draw.clone(),
                    scoped: grant.scope.is_some(),
                })
            })
            .collect()
    }

    fn turn_plan(&mut self, at: Instant) {
        if let Some(pending) = self.account.pending_plan.clone() {
            self.enter_plan(pending.plan, at);
        }
    }

    /// Puts the account on a plan, and tops up the day's allowance by the difference (D7). All else that the
    /// plan grants is due from then on.
    pub(crate) fn enter_plan(&mut self, plan: String, at: Instant) {
        let in_force = self.catalogs.at(at);
        let daily = in_force.plan(&plan).and_then(|plan| plan.daily);
        let from = self.account.plan.clone();
        let change = Event::PlanChanged {
            plan: plan.clone(),
            from,
        };
        self.step(at, change, Balance::default());
        let Some(day) = self.account.day.clone().filter(|day| day.end > at) else {
            return;
        };
        let difference = daily.unwrap_or_default().less(day.granted);
        if difference.is_positive() {
            let source = Source::Day {
                plan: plan.clone(),
                start: day.start,
                end: day.end,
            };
            // What the day has granted so far tells apart what is added at one instant, as plans come and go.
            let id = format!(
                "{}_{}",
                allowance_id(&plan, GrantKind::Daily, at),
                day.granted
            );
            self.grant_allowance(id, GrantKind::Daily, difference, at, day.end, source);
        }
    }

    fn grant_month(&mut self, index: u32, at: Instant) {
        let plan = self.account.plan.clone();
        let credits = self
            .plan_at(at)
            .and_then(|plan| plan.monthly)
            .unwrap_or_default();
        let end = self.account.anchor.start_of(index.saturating_add(1));
        let source = Source::Period {
            plan: plan.clone(),
            index,
        };
        let id = allowance_id(&plan, GrantKind::Monthly, at);
        self.grant_allowance(id, GrantKind::Monthly, credits, at, end, source);
    }

    fn grant_day(&mut self, at: Instant) {
        let plan = self.account.plan.clone();
        let credits = self
            .plan_at(at)
            .and_then(|plan| plan.daily)
            .unwrap_or_default();
        let end = self.account.zone.next_midnight(at);
        let source = Source::Day {
            plan: plan.clone(),
            start: at,
            end,
        };
        let id = allowance_id(&plan, GrantKind::Daily, at);
        self.grant_allowance(id, GrantKind::Daily, credits, at, end, source);
    }

    fn grant_allowance(
        &mut self,
        id: String,
        kind: GrantKind,
        credits: Credits,
        at: Instant,
        end: Instant,
        source: Source,
    ) {
        let grant = Grant {
            id,
            kind,
            category: kind.category(),
            credits,
            remaining: credits,
            held: Credits::ZERO,
            spent: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            priority: DEFAULT_PRIORITY,
            scope: None,
            effective_at: at,
            expires_at: Some(end),
            status: GrantStatus::Active,
        };
        let (grant, payments, change) = self.arrive(grant);
        self.step(
            at,
            Event::Granted {
                grant,
                payments,
                source: Some(source),
            },
            change,
        );
    }

    fn start(&mut self, place: usize, at: Instant) {
        let Some(mut grant) = self.account.grants.get(place).cloned() else {
            return;
        };
        grant.status = GrantStatus::Active;
        let (grant, payments, change) = self.arrive(grant);
        self.step(at, Event::Started { grant, payments }, change);
    }

    /// A grant that comes into force: what it pays of what is owed, and what is left of it.
    pub(crate) fn arrive(&self, mut grant: Grant) -> (Grant, Vec<crate::charge::Payment>, Balance) {
        let arriving = grant.remaining;
        let arrival = Arrival {
            draw: Draw {
                grant: grant.id.clone(),
                kind: grant.kind,
                credits: arriving,
            },
            scoped: grant.scope.is_some(),
        };
        let payments = self.payments([arrival], None);
        let paid = paid(&payments);
        grant.remaining -= paid;
        grant.spent += paid;
        (
            grant,
            payments,
            Balance {
                available: arriving - paid,
                held: Credits::ZERO,
                owed: -paid,
            },
        )
    }
}

/// The id of what a plan grants for a day or a period: a read can name it before it is written.
fn allowance_id(plan: &str, kind: GrantKind, at: Instant) -> String {
    format!("{}_{plan}_{}", kind.as_str(), at.compact())
}
