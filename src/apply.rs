//! The one way in: how an entry changes the state. Replay, commit and tests share it.

use crate::account::{Account, CreditDay, CreditMonth, PendingPlan};
use crate::archive::Record;
use crate::calendar::{Anchor, Zone};
use crate::charge::{Charge, Payment, Standing};
use crate::credits::Credits;
use crate::entry::{Changes, Entry, Event, FeatureCount, Opening, Source};
use crate::grant::{Draw, Grant, GrantStatus};
use crate::hold::{Hold, HoldStatus};
use crate::invitation::Invitations;
use crate::limit::SpendLimits;
use crate::spending::Spending;
use crate::time::Instant;

impl Account {
    /// Applies an entry to a state, which is none before the first. Gives back what has left the state.
    ///
    /// INVARIANT: it judges nothing. Whatever [`decide`](crate::decide) made can be applied.
    pub fn apply(state: &mut Option<Account>, entry: &Entry) -> Vec<Record> {
        match (state.as_mut(), &entry.event) {
            (Some(account), _) => account.advance(entry),
            (None, Event::Opened { account, opening }) => {
                *state = Some(Account::opened(entry, account, opening));
                Vec::new()
            }
            (None, _) => Vec::new(),
        }
    }

    fn opened(entry: &Entry, id: &str, opening: &Opening) -> Account {
        let zone = Zone::parse(&opening.time_zone, "time_zone").unwrap_or_else(|_| Zone::utc());
        Account {
            id: id.to_owned(),
            seq: entry.seq,
            last_at: entry.at,
            opened_at: entry.at,
            opening: opening.clone(),
            anchor: Anchor {
                since: opening.since.unwrap_or(entry.at),
                zone: zone.clone(),
            },
            plan: opening.plan.clone(),
            plan_since: entry.at,
            pending_plan: None,
            zone,
            day: None,
            month: None,
            perks: opening.perks.clone(),
            display_name: None,
            grants: Vec::new(),
            holds: Vec::new(),
            debts: Vec::new(),
            features: Vec::new(),
            invitations: Invitations::default(),
            promotions: Vec::new(),
            spend_limits: SpendLimits::default(),
            spending: Some(Spending::default()),
            alerts: Vec::new(),
            usage: crate::usage::Usage::default(),
        }
    }

    pub(crate) fn advance(&mut self, entry: &Entry) -> Vec<Record> {
        self.seq = entry.seq;
        self.last_at = entry.at;
        let mut departed = Vec::new();
        // What this entry gives back to a grant that has ended by now is to find it so.
        self.end_emptied(entry.at);
        let day = self.first_of_day();
        self.apply_event(entry, &mut departed);
        self.prune(entry.at, &mut departed);
        self.watch(entry, day);
        departed
    }

    fn apply_event(&mut self, entry: &Entry, departed: &mut Vec<Record>) {
        match &entry.event {
            Event::Opened { .. } => {}
            Event::Updated(Changes {
                time_zone,
                display_name,
                pending_plan,
                spend_limits,
                alerts,
            }) => {
                if let Some(zone) = time_zone
                    .as_ref()
                    .and_then(|name| Zone::parse(name, "").ok())
                {
                    self.zone = zone;
                }
                if let Some(name) = display_name {
                    self.display_name = (!name.is_empty()).then(|| name.clone());
                }
                if let Some(plan) = pending_plan {
                    self.pending_plan = (!plan.is_empty()).then(|| PendingPlan {
                        plan: plan.clone(),
                        at: self.period(entry.at).1,
                    });
                }
                if let Some(limits) = spend_limits {
                    self.spend_limits = *limits;
                }
                if let Some(alerts) = alerts {
                    self.set_alerts(alerts, entry.at);
                }
            }
            Event::PlanChanged { plan, .. } => {
                self.plan = plan.clone();
                self.plan_since = entry.at;
                self.pending_plan = None;
            }
            Event::PerkGranted { perk } => {
                if let Err(place) = self.perks.binary_search(perk) {
                    self.perks.insert(place, perk.clone());
                }
            }
            Event::PerkRevoked { perk } => self.perks.retain(|known| known != perk),
            Event::Granted {
                grant,
                payments,
                source,
            } => {
                self.put_grant(grant);
                self.pay_debts(payments, departed);
                self.note_source(source.as_ref(), grant);
            }
            Event::Started { grant, payments } => {
                self.put_grant(grant);
                self.pay_debts(payments, departed);
            }
            Event::Expired { grant } | Event::Voided { grant } => self.put_grant(grant),
            Event::Held { hold } => {
                for draw in &hold.draws {
                    self.with_grant(draw, |grant, credits| {
                        grant.remaining -= credits;
                        grant.held += credits;
                    });
                }
                self.holds.push(hold.clone());
            }
            Event::Extended { hold } => {
                if let Some(known) = self.holds.iter_mut().find(|known| known.id == hold.id) {
                    *known = hold.clone();
                }
            }
            Event::Captured {
                charge,
                hold,
                payments,
            } => {
                self.end_hold(hold, departed);
                self.take(charge);
                self.spend(payments);
                self.pay_debts(payments, departed);
                self.count(charge, entry, departed);
            }
            Event::Released { hold, payments } | Event::Lapsed { hold, payments } => {
                self.end_hold(hold, departed);
                self.spend(payments);
                self.pay_debts(payments, departed);
            }
            Event::Charged { charge } => {
                self.take(charge);
                self.count(charge, entry, departed);
            }
            Event::Refunded {
                refund,
                standing,
                grants,
                revived,
                payments,
                shares,
            } => {
                for grant in revived.iter().chain(grants) {
                    self.put_grant(grant);
                }
                for draw in &refund.draws {
                    if !grants.iter().any(|grant| grant.id == draw.grant) {
                        self.with_grant(draw, |grant, credits| {
                            grant.spent -= credits;
                            grant.remaining += credits;
                        });
                    }
                }
                self.note_refunded(refund);
                self.debts.retain(|debt| debt.charge != standing.charge);
                self.put_standing(standing, departed);
                self.spend(payments);
                self.pay_debts(payments, departed);
                let day = self
                    .usage
                    .count_refund(shares, entry.seq, entry.at, &self.zone);
                departed.extend(day.map(Record::Day));
            }
            Event::FeatureUsed(count) | Event::FeatureReturned(count) => self.put_feature(count),
        }
    }

    /// Keeps the grants in the order of burning.
    fn put_grant(&mut self, grant: &Grant) {
        self.grants.retain(|known| known.id != grant.id);
        let place = self
            .grants
            .binary_search_by(|known| known.burning_order(grant))
            .unwrap_or_else(|place| place);
        self.grants.insert(place, grant.clone());
    }

    fn with_grant(&mut self, draw: &Draw, change: impl FnOnce(&mut Grant, Credits)) {
        if let Some(grant) = self.grants.iter_mut().find(|grant| grant.id == draw.grant) {
            change(grant, draw.credits);
        }
    }

    fn note_source(&mut self, source: Option<&Source>, grant: &Grant) {
        match source {
            None | Some(Source::Payment { .. }) => {}
            Some(Source::Invited { code }) => self.invitations.redeemed = Some(code.clone()),
            Some(Source::Promotion { code }) => self.promotions.push(code.clone()),
            Some(Source::Inviting { redemption }) => {
                self.invitations.rewarded.push(redemption.clone());
            }
            Some(Source::Day { start, end, .. }) => match &mut self.day {
                Some(day) if day.end == *end => day.granted += grant.credits,
                day => {
                    *day = Some(CreditDay {
                        start: *start,
                        end: *end,
                        granted: grant.credits,
                    });
                }
            },
            Some(Source::Period { plan, index }) => match &mut self.month {
                Some(month) if month.index == *index => month.plans.push(plan.clone()),
                month => {
                    *month = Some(CreditMonth {
                        index: *index,
                        plans: vec![plan.clone()],
                    });
                }
            },
        }
    }

    /// Gives a hold's credits back to their grants. A charge may take them again at once.
    fn end_hold(&mut self, hold: &Hold, departed: &mut Vec<Record>) {
        let open = self.holds.iter().position(|known| known.id == hold.id);
        if let Some(place) = open {
            self.holds.remove(place);
            for draw in &hold.draws {
                self.with_grant(draw, |grant, credits| {
                    grant.held -= credits;
                    grant.remaining += credits;
                });
            }
        }
        // A hold that lapsed may be captured much later; every other end is found in the journal.
        if hold.status == HoldStatus::Lapsed || open.is_none() {
            departed.push(Record::Hold(hold.clone()));
        }
    }

    fn take(&mut self, charge: &Charge) {
        for draw in &charge.draws {
            self.with_grant(draw, |grant, credits| {
                grant.remaining -= credits;
                grant.spent += credits;
            });
        }
        if charge.owed.is_positive() {
            self.debts.push(Standing::of(charge));
        }
    }

    fn spend(&mut self, payments: &[Payment]) {
        for payment in payments {
            if let Some(grant) = self
                .grants
                .iter_mut()
                .find(|grant| grant.id == payment.grant)
            {
                grant.remaining -= payment.credits;
                grant.spent += payment.credits;
            }
        }
    }

    fn pay_debts(&mut self, payments: &[Payment], departed: &mut Vec<Record>) {
        for payment in payments {
            if let Some(debt) = self
                .debts
                .iter_mut()
                .find(|debt| debt.charge == payment.charge)
            {
                debt.owed -= payment.credits;
                debt.draws.push(Draw {
                    grant: payment.grant.clone(),
                    kind: payment.kind,
                    credits: payment.credits,
                });
            }
        }
        if !payments.is_empty() {
            let (owed, paid) = self
                .debts
                .drain(..)
                .partition(|debt: &Standing| debt.owed.is_positive());
            self.debts = owed;
            departed.extend(paid.into_iter().map(Record::Standing));
        }
    }

    /// A charge that is still owed stays in the state, at its place among the debts.
    fn put_standing(&mut self, standing: &Standing, departed: &mut Vec<Record>) {
        if standing.owed.is_positive() {
            let place = self
                .debts
                .partition_point(|debt| debt.charge < standing.charge);
            self.debts.insert(place, standing.clone());
        } else {
            departed.push(Record::Standing(standing.clone()));
        }
    }

    fn count(&mut self, charge: &Charge, entry: &Entry, departed: &mut Vec<Record>) {
        self.note_spent(charge, entry.at);
        let day = self
            .usage
            .count_charge(charge, entry.seq, entry.at, &self.zone);
        departed.extend(day.map(Record::Day));
    }

    fn put_feature(&mut self, count: &FeatureCount) {
        match self
            .features
            .binary_search_by(|(name, _)| name.cmp(&count.feature))
        {
            Ok(place) => {
                if let Some((_, used)) = self.features.get_mut(place) {
                    *used = count.used;
                }
            }
            Err(place) => self
                .features
                .insert(place, (count.feature.clone(), count.used)),
        }
    }

    /// Lets go of grants that nothing can happen to by itself any more: those that have ended, and those
    /// that were burned to the last and never end. A refund brings the latter back.
    pub(crate) fn prune(&mut self, at: Instant, departed: &mut Vec<Record>) {
        let settled = |grant: &Grant| {
            grant.held.is_zero()
                && (grant.has_ended()
                    || (grant.is_active()
                        && grant.expires_at.is_none()
                        && grant.remaining.is_zero()))
        };
        self.end_emptied(at);
        if self.grants.iter().any(settled) {
            let (gone, kept) = self.grants.drain(..).partition(settled);
            self.grants = kept;
            departed.extend(gone.into_iter().map(Record::Grant));
        }
    }

    /// Ends the grants whose time is over and that have nothing left to expire: no entry says so.
    fn end_emptied(&mut self, at: Instant) {
        for grant in &mut self.grants {
            if grant.has_ended() {
                grant.end_again();
            } else if grant.remaining.is_zero() && grant.has_ended_at(at) {
                grant.status = GrantStatus::Expired;
            }
        }
    }
}
