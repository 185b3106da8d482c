//! Decisions that spend: holds, captures, releases and direct charges.

use crate::archive::Records;
use crate::catalog::Catalog;
use crate::charge::{Called, Charge, OnExcess};
use crate::credits::Credits;
use crate::decide::Context;
use crate::draft::{Draft, drawn, paid};
use crate::entry::{Balance, Entry, Event};
use crate::grant::{Burned, Draw, Purpose, burn, payable};
use crate::hold::{Hold, HoldStatus};
use crate::ids::{ChargeId, HoldId};
use crate::price::{Offer, Price, price};
use crate::refusal::{Code, Refusal, Shortage};
use crate::request::{Item, PricedRequest};
use crate::time::SECOND_MS;

/// A priced request, with all that a decision about it needs.
pub(crate) struct Bill<'a> {
    pub(crate) price: Price,
    pub(crate) models: Vec<Called>,
    pub(crate) purpose: Purpose<'a>,
}

/// Prices a request at what each model is offered at.
pub(crate) fn bill<'a>(
    request: &PricedRequest,
    increment: Credits,
    offer: &dyn Fn(&str) -> Option<Offer<'a>>,
) -> Result<Bill<'a>, Refusal> {
    let price = price(request, increment, offer)?;
    let mut models = Vec::with_capacity(request.items.len());
    let mut purpose = Purpose::default();
    for item in &request.items {
        match item {
            Item::Flat { .. } => purpose.flat = true,
            Item::Model { model, .. } => {
                if let Some(Offer { model, waived }) = offer(model) {
                    let called = Called {
                        model: model.id.clone(),
                        modality: model.modality,
                        waived,
                    };
                    models.push(called);
                    if !waived {
                        purpose.models.push(model);
                    }
                }
            }
        }
    }
    Ok(Bill {
        price,
        models,
        purpose,
    })
}

/// What a model is offered at to a holder of these perks.
pub(crate) fn offer_to<'a>(
    catalog: &'a Catalog,
    perks: &[String],
    model: &str,
) -> Option<Offer<'a>> {
    let waived = perks
        .iter()
        .filter_map(|perk| catalog.perk(perk))
        .any(|perk| perk.waives(model));
    catalog.model(model).map(|model| Offer { model, waived })
}

/// The refusal for want of credits.
pub(crate) fn insufficient(shortage: Shortage) -> Refusal {
    let Shortage {
        required,
        available,
        owed,
    } = shortage;
    let detail = if owed.is_positive() {
        format!("{required} credits are required and {available} available, while {owed} are owed")
    } else {
        format!("{required} credits are required and {available} available")
    };
    Refusal::new(Code::InsufficientCredits, detail).with_shortage(shortage)
}

/// Finds who pays `amount`, if the account may spend it at all: nothing is authorised while anything is owed.
///
/// # Errors
/// `insufficient_credits`.
pub(crate) fn authorise(
    grants: &[crate::grant::Grant],
    owed: Credits,
    purpose: &Purpose<'_>,
    amount: Credits,
) -> Result<Vec<Draw>, Refusal> {
    let Burned { draws, missing } = burn(grants, purpose, amount);
    if missing.is_positive() || (owed.is_positive() && amount.is_positive()) {
        let available = payable(grants, purpose);
        return Err(insufficient(Shortage {
            required: amount,
            available,
            owed,
        }));
    }
    Ok(draws)
}

/// Who pays a charge, and what nobody does.
struct Paid {
    draws: Vec<Draw>,
    owed: Credits,
    forgiven: Credits,
}

impl Draft<'_> {
    /// What a request costs this account by the catalog in force.
    fn bill(&self, request: &PricedRequest) -> Result<Bill<'_>, Refusal> {
        let perks = &self.account.perks;
        bill(request, self.catalog.increment(), &|model| {
            offer_to(self.catalog, perks, model)
        })
    }

    /// Burns `amount` beyond any hold, under a policy for what is missing.
    fn pay(
        &self,
        purpose: &Purpose<'_>,
        amount: Credits,
        on_excess: OnExcess,
    ) -> Result<Paid, Refusal> {
        let account = &*self.account;
        if on_excess == OnExcess::Reject {
            let draws = authorise(&account.grants, account.owed(), purpose, amount)?;
            return Ok(Paid {
                draws,
                owed: Credits::ZERO,
                forgiven: Credits::ZERO,
            });
        }
        let Burned { draws, missing } = burn(&account.grants, purpose, amount);
        if on_excess == OnExcess::Forgive {
            return Ok(Paid {
                draws,
                owed: Credits::ZERO,
                forgiven: missing,
            });
        }
        if account.owed() + missing >= Credits::LIMIT {
            let detail = format!("{missing} more credits owed are too many");
            return Err(Refusal::new(Code::AmountTooLarge, detail));
        }
        Ok(Paid {
            draws,
            owed: missing,
            forgiven: Credits::ZERO,
        })
    }

    pub(crate) fn hold(
        self,
        request: &PricedRequest,
        ttl_seconds: u32,
    ) -> Result<Vec<Entry>, Refusal> {
        let Bill {
            price,
            models,
            purpose,
        } = self.bill(request)?;
        let account = &*self.account;
        account.limit_standings(self.now).check(price.credits)?;
        let draws = authorise(&account.grants, account.owed(), &purpose, price.credits)?;
        let hold = Hold {
            id: HoldId(self.next_seq()),
            status: HoldStatus::Held,
            credits: price.credits,
            list_credits: price.list_credits,
            waived: price.waived,
            draws,
            lines: price.lines,
            rounding: price.rounding,
            catalog: self.catalog.hash().to_owned(),
            models,
            created_at: self.now,
            expires_at: self
                .now
                .after_millis(i64::from(ttl_seconds).saturating_mul(SECOND_MS)),
        };
        let held = hold.credits;
        let change = Balance {
            available: -held,
            held,
            owed: Credits::ZERO,
        };
        Ok(self.finish(Event::Held { hold }, change))
    }

    pub(crate) fn charge(
        self,
        request: &PricedRequest,
        on_excess: OnExcess,
    ) -> Result<Vec<Entry>, Refusal> {
        let bill = self.bill(request)?;
        if on_excess == OnExcess::Reject {
            let limits = self.account.limit_standings(self.now);
            limits.check(bill.price.credits)?;
        }
        let paid = self.pay(&bill.purpose, bill.price.credits, on_excess)?;
        let charge = self.charge_for(bill, paid, Credits::ZERO, self.catalog.hash());
        let change = Balance {
            available: -drawn(&charge.draws),
            held: Credits::ZERO,
            owed: charge.owed,
        };
        Ok(self.finish(Event::Charged { charge }, change))
    }

    fn charge_for(&self, bill: Bill<'_>, paid: Paid, held: Credits, catalog: &str) -> Charge {
        let Bill { price, models, .. } = bill;
        Charge {
            id: ChargeId(self.next_seq()),
            credits: price.credits - paid.forgiven,
            list_credits: price.list_credits,
            from_hold: Credits::ZERO,
            excess: price.credits.less(held),
            owed: paid.owed,
            forgiven: paid.forgiven,
            late: false,
            waived: price.waived,
            draws: paid.draws,
            lines: price.lines,
            rounding: price.rounding,
            catalog: catalog.to_owned(),
            models,
            at: self.now,
        }
    }

    /// Charges what a held call really used. The hold's draws pay first, in their order, as far as their
    /// grants cover what was called; the rest is burned like a charge. A hold that lapsed has nothing to pay.
    pub(crate) fn capture(
        self,
        id: HoldId,
        request: &PricedRequest,
        on_excess: OnExcess,
        context: &Context<'_>,
    ) -> Result<Vec<Entry>, Refusal> {
        let (mut hold, late) = self.find_hold(id, context.records)?;
        if !matches!(hold.status, HoldStatus::Held | HoldStatus::Lapsed) {
            return Err(not_open(&hold));
        }
        let held_catalog = context.held_catalog.unwrap_or(self.catalog);
        let bill = bill(request, held_catalog.increment(), &|model| match (
            hold.called(model),
            held_catalog.model(model),
        ) {
            (Some(called), Some(model)) => Some(Offer {
                model,
                waived: called.waived,
            }),
            _ => offer_to(self.catalog, &self.account.perks, model),
        })?;
        let held_draws = if late { &[] } else { hold.draws.as_slice() };
        let mut draws = self.kept(held_draws, &bill.purpose, bill.price.credits);
        let from_hold = drawn(&draws);
        let back = self.returning(&rest(held_draws, &draws), self.now);
        let returned: Credits = back.iter().map(|arrival| arrival.draw.credits).sum();
        let payments = self.payments(back, None);

        let mut beyond = self.pay(&bill.purpose, bill.price.credits - from_hold, on_excess)?;
        let burned = drawn(&beyond.draws);
        draws.append(&mut beyond.draws);
        let held = drawn(held_draws);
        let charge = Charge {
            from_hold,
            late,
            ..self.charge_for(bill, Paid { draws, ..beyond }, held, &hold.catalog)
        };
        hold.status = HoldStatus::Captured;
        let change = Balance {
            available: returned - paid(&payments) - burned,
            held: -held,
            owed: charge.owed - paid(&payments),
        };
        Ok(self.finish(
            Event::Captured {
                charge,
                hold,
                payments,
            },
            change,
        ))
    }

    /// The first draws of a hold, as far as they may and need to pay this price.
    fn kept(&self, draws: &[Draw], purpose: &Purpose<'_>, price: Credits) -> Vec<Draw> {
        let mut missing = price;
        let mut kept = Vec::new();
        for draw in draws {
            let grant = self.account.grant(&draw.grant);
            let covers = grant.is_none_or(|grant| purpose.is_covered_by(grant.scope.as_deref()));
            let credits = draw.credits.min(missing);
            if covers && credits.is_positive() {
                kept.push(Draw {
                    credits,
                    ..draw.clone()
                });
                missing -= credits;
            }
        }
        kept
    }

    pub(crate) fn release(self, id: HoldId, records: &Records) -> Result<Vec<Entry>, Refusal> {
        let hold = self.open_hold(id, records)?;
        let (event, change) = self.give_back(hold, HoldStatus::Released, self.now);
        Ok(self.finish(event, change))
    }

    pub(crate) fn extend(
        self,
        id: HoldId,
        ttl_seconds: u32,
        records: &Records,
    ) -> Result<Vec<Entry>, Refusal> {
        let mut hold = self.open_hold(id, records)?;
        hold.expires_at = self
            .now
            .after_millis(i64::from(ttl_seconds).saturating_mul(SECOND_MS));
        Ok(self.finish(Event::Extended { hold }, Balance::default()))
    }

    fn open_hold(&self, id: HoldId, records: &Records) -> Result<Hold, Refusal> {
        let (hold, _) = self.find_hold(id, records)?;
        if hold.status == HoldStatus::Held {
            Ok(hold)
        } else {
            Err(not_open(&hold))
        }
    }

    /// The hold of this id, open or not, and whether it is past. One that lapsed a moment ago is in this very
    /// draft.
    fn find_hold(&self, id: HoldId, records: &Records) -> Result<(Hold, bool), Refusal> {
        if let Some(hold) = self.account.hold(id) {
            return Ok((hold.clone(), false));
        }
        let lapsed_now = self.entries.iter().find_map(|entry| match &entry.event {
            Event::Lapsed { hold, .. } if hold.id == id => Some(hold),
            _ => None,
        });
        match lapsed_now.or(records.hold.as_ref()) {
            Some(hold) => Ok((hold.clone(), true)),
            None => Err(hold_not_found(&id.to_string())),
        }
    }
}

/// The refusal for a hold that there is not.
pub fn hold_not_found(id: &str) -> Refusal {
    Refusal::new(Code::HoldNotFound, format!("there is no hold `{id}`"))
}

fn not_open(hold: &Hold) -> Refusal {
    let detail = format!(
        "the hold `{}` is not open: it is {}",
        hold.id,
        hold.status.as_str()
    );
    Refusal::new(Code::HoldNotOpen, detail)
}

/// What is left of a hold's draws when some were kept.
fn rest(draws: &[Draw], kept: &[Draw]) -> Vec<Draw> {
    draws
        .iter()
        .filter_map(|draw| {
            let kept: Credits = kept
                .iter()
                .filter(|kept| kept.grant == draw.grant)
                .map(|kept| kept.credits)
                .sum();
            let credits = draw.credits.less(kept);
            credits.is_positive().then(|| Draw {
                credits,
                ..draw.clone()
            })
        })
        .collect()
}
