//! Usage: what an account spent, on which models, summed up as the journal grows.
//!
//! The sums are part of the state, so that a question about any span of time is the difference of two states
//! and costs the same however long the history is.

use serde::{Deserialize, Serialize};

use crate::calendar::Zone;
use crate::charge::Charge;
use crate::credits::Credits;
use crate::meter::{Meter, Quantities, Quantity};
use crate::model::Modality;
use crate::price::Line;
use crate::time::Instant;

/// Sums over charges, net of refunds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// What was charged, less what was refunded. A span in which only refunds fall is below nought.
    pub credits: Credits,
    /// What it would have cost without perks.
    pub list_credits: Credits,
    /// How many calls: items of charges.
    pub calls: u64,
    /// How much was used, by meter.
    pub quantities: Quantities,
}

impl Totals {
    /// Adds others.
    pub fn add(&mut self, other: &Totals) {
        self.credits += other.credits;
        self.list_credits += other.list_credits;
        self.calls = self.calls.saturating_add(other.calls);
        self.quantities = each_meter(|meter| {
            let sum = self
                .quantities
                .get(meter)
                .checked_add(other.quantities.get(meter));
            sum.unwrap_or(Quantity::from_thousandths(u64::MAX))
        });
    }

    /// What came after `earlier`, sums of the same account at an earlier time.
    pub fn since(&self, earlier: &Totals) -> Totals {
        Totals {
            credits: self.credits - earlier.credits,
            list_credits: self.list_credits - earlier.list_credits,
            calls: self.calls.saturating_sub(earlier.calls),
            quantities: each_meter(|meter| {
                let rest = self
                    .quantities
                    .get(meter)
                    .checked_sub(earlier.quantities.get(meter));
                rest.unwrap_or_default()
            }),
        }
    }

    /// Whether nothing was used or refunded.
    pub fn is_empty(&self) -> bool {
        *self == Totals::default()
    }
}

fn each_meter(quantity: impl Fn(Meter) -> Quantity) -> Quantities {
    Meter::ALL.into_iter().fold(Quantities::NONE, |all, meter| {
        all.with(meter, quantity(meter))
    })
}

/// The sums of one model; those of flat items name none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsage {
    /// Which.
    pub model: Option<String>,
    /// What it makes.
    pub modality: Option<Modality>,
    /// Its sums.
    pub totals: Totals,
}

/// A day of the account's zone on which something was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The entry that began it.
    pub seq: u64,
    /// Its date.
    pub date: String,
    /// When it ends.
    pub end: Instant,
    /// The account's sums before it.
    pub before: Totals,
    /// The account's sums after it, or so far.
    pub after: Totals,
}

/// The sums of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All there was.
    pub total: Totals,
    /// By model, sorted by it.
    pub models: Vec<ModelUsage>,
    /// The latest day on which something was used.
    pub day: Option<DayUsage>,
}

/// The part of a charge or refund that one model has in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which; none for flat items.
    pub model: Option<String>,
    /// What it makes.
    pub modality: Option<Modality>,
    /// How much of the credits.
    pub credits: Credits,
}

/// The shares of a charge, one a line: rounding counts with the last line that is not waived, and what was
/// forgiven is taken from the last lines first. They add up to the charge's credits.
pub fn shares(charge: &Charge) -> Vec<Share> {
    let mut shares: Vec<Share> = charge
        .lines
        .iter()
        .map(|line| {
            let model = model(line);
            Share {
                model: model.map(str::to_owned),
                modality: model.and_then(|model| modality(charge, model)),
                credits: if line.waived() {
                    Credits::ZERO
                } else {
                    line.credits()
                },
            }
        })
        .collect();
    if !charge.waived
        && let Some(last) = charge.lines.iter().rposition(|line| !line.waived())
        && let Some(share) = shares.get_mut(last)
    {
        share.credits += charge.rounding;
    }
    take_from_the_end(&mut shares, charge.forgiven);
    shares
}

/// The shares of a refund of `credits`, after `refunded` was given back before: the last lines first.
pub fn refund_shares(charge: &Charge, refunded: Credits, credits: Credits) -> Vec<Share> {
    let mut left = shares(charge);
    take_from_the_end(&mut left, refunded);
    take_from_the_end(&mut left, credits)
}

/// Takes an amount from the last shares first, and says from which.
fn take_from_the_end(shares: &mut [Share], amount: Credits) -> Vec<Share> {
    let mut missing = amount;
    let mut taken: Vec<Share> = Vec::new();
    for share in shares.iter_mut().rev() {
        let credits = share.credits.min(missing);
        if !credits.is_positive() {
            continue;
        }
        share.credits -= credits;
        missing -= credits;
        match taken.iter_mut().find(|known| known.model == share.model) {
            Some(known) => known.credits += credits,
            None => taken.push(Share {
                credits,
                ..share.clone()
            }),
        }
    }
    taken
}

fn model(line: &Line) -> Option<&str> {
    match line {
        Line::Model { model, .. } => Some(model),
        Line::Flat { .. } => None,
    }
}

fn modality(charge: &Charge, model: &str) -> Option<Modality> {
    charge
        .models
        .iter()
        .find(|called| called.model == model)
        .map(|called| called.modality)
}

impl Usage {
    /// Counts a charge. Gives back the day before, if the charge begins another.
    pub(crate) fn count_charge(
        &mut self,
        charge: &Charge,
        seq: u64,
        at: Instant,
        zone: &Zone,
    ) -> Option<DayUsage> {
        let ended = self.turn_day(seq, at, zone);
        for (line, share) in charge.lines.iter().zip(shares(charge)) {
            let mut totals = Totals {
                credits: share.credits,
                list_credits: line.credits(),
                ..Totals::default()
            };
            match line {
                Line::Model {
                    meter, quantity, ..
                } => totals.quantities.set(*meter, *quantity),
                Line::Flat { .. } => totals.calls = 1,
            }
            self.count(share.model.as_deref(), share.modality, &totals);
        }
        let of_lines: Credits = charge.lines.iter().map(Line::credits).sum();
        if let Some(last) = charge.lines.last() {
            let rounding = Totals {
                list_credits: charge.list_credits - of_lines,
                ..Totals::default()
            };
            let model = model(last);
            self.count(
                model,
                model.and_then(|model| modality(charge, model)),
                &rounding,
            );
        }
        for called in &charge.models {
            let call = Totals {
                calls: 1,
                ..Totals::default()
            };
            self.count(Some(&called.model), Some(called.modality), &call);
        }
        ended
    }

    /// Counts a refund, when it is made. Gives back the day before, if it begins another.
    pub(crate) fn count_refund(
        &mut self,
        shares: &[Share],
        seq: u64,
        at: Instant,
        zone: &Zone,
    ) -> Option<DayUsage> {
        let ended = self.turn_day(seq, at, zone);
        for share in shares {
            let totals = Totals {
                credits: -share.credits,
                ..Totals::default()
            };
            self.count(share.model.as_deref(), share.modality, &totals);
        }
        ended
    }

    fn turn_day(&mut self, seq: u64, at: Instant, zone: &Zone) -> Option<DayUsage> {
        if self.day.as_ref().is_some_and(|day| at < day.end) {
            return None;
        }
        self.day.replace(DayUsage {
            seq,
            date: zone.date(at),
            end: zone.next_midnight(at),
            before: self.total.clone(),
            after: self.total.clone(),
        })
    }

    fn count(&mut self, model: Option<&str>, modality: Option<Modality>, totals: &Totals) {
        self.total.add(totals);
        if let Some(day) = &mut self.day {
            day.after.add(totals);
        }
        let found = self
            .models
            .binary_search_by(|known| known.model.as_deref().cmp(&model));
        let index = found.unwrap_or_else(|place| {
            let new = ModelUsage {
                model: model.map(str::to_owned),
                modality,
                totals: Totals::default(),
            };
            self.models.insert(place, new);
            place
        });
        if let Some(known) = self.models.get_mut(index) {
            known.totals.add(totals);
        }
    }

    /// What each model used since `earlier`, without those that used nothing.
    pub fn models_since(&self, earlier: &Usage) -> Vec<ModelUsage> {
        self.models
            .iter()
            .map(|now| {
                let before = earlier
                    .models
                    .iter()
                    .find(|before| before.model == now.model);
                let totals = match before {
                    Some(before) => now.totals.since(&before.totals),
                    None => now.totals.clone(),
                };
                ModelUsage {
                    totals,
                    ..now.clone()
                }
            })
            .filter(|usage| !usage.totals.is_empty())
            .collect()
    }
}
