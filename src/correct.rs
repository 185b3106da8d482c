//! Decisions that give and put right: grants, voids and refunds.

use crate::archive::{Record, Records};
use crate::charge::{Refund, Standing};
use crate::command::NewGrant;
use crate::credits::Credits;
use crate::draft::{Arrival, Draft, drawn, paid};
use crate::entry::{Balance, Entry, Event, Source};
use crate::grant::{Draw, Grant, GrantKind, GrantStatus};
use crate::ids::{ChargeId, RefundId};
use crate::promotion::already_redeemed;
use crate::refusal::{Code, Refusal};
use crate::time::DAY_MS;
use crate::usage::refund_shares;

/// How long a refund grant lives: 30 days.
const REFUND_MS: i64 = 30 * DAY_MS;

impl Draft<'_> {
    /// Gives what the product itself promised: for an invitation, or for money. Having it already is no refusal
    /// but nothing to do.
    pub(crate) fn award(
        self,
        new: &NewGrant,
        source: &Source,
        records: &Records,
    ) -> Result<Vec<Entry>, Refusal> {
        if let Source::Promotion { code } = source
            && self.account.promotions.contains(code)
        {
            return Err(already_redeemed(code));
        }
        if !self.account.invitations.may_take(source)? || self.has_awarded(source, records) {
            return Ok(Vec::new());
        }
        Ok(self.make_grant(new, Some(source.clone())))
    }

    /// A payment makes one grant, of the id that the payment gives it.
    fn has_awarded(&self, source: &Source, records: &Records) -> bool {
        source.grant_id().is_some_and(|id| {
            self.account.grant(&id).is_some() || self.dormant(&id, records).is_some()
        })
    }

    pub(crate) fn grant(self, new: &NewGrant) -> Result<Vec<Entry>, Refusal> {
        let effective_at = new.effective_at.unwrap_or(self.now);
        if let Some(end) = new.expires_at
            && end <= effective_at.max(self.now)
        {
            let detail = format!(
                "`expires_at` {end} leaves no time: it must lie after the start and after now"
            );
            return Err(Refusal::new(Code::InvalidRequest, detail).at("expires_at"));
        }
        let all: Credits = self
            .account
            .grants
            .iter()
            .map(|grant| grant.remaining + grant.held)
            .sum();
        if all + new.credits >= Credits::LIMIT {
            let detail = format!(
                "with {} more credits the account would have too many",
                new.credits
            );
            return Err(Refusal::new(Code::AmountTooLarge, detail).at("credits"));
        }
        Ok(self.make_grant(new, None))
    }

    fn make_grant(self, new: &NewGrant, source: Option<Source>) -> Vec<Entry> {
        let effective_at = new.effective_at.unwrap_or(self.now);
        let scheduled = effective_at > self.now;
        let grant = Grant {
            id: source
                .as_ref()
                .and_then(Source::grant_id)
                .unwrap_or_else(|| format!("grant_{}", self.next_seq())),
            kind: new.kind,
            category: new.category,
            credits: new.credits,
            remaining: new.credits,
            held: Credits::ZERO,
            spent: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            priority: new.priority,
            scope: new.scope.clone(),
            effective_at,
            expires_at: new.expires_at,
            status: if scheduled {
                GrantStatus::Scheduled
            } else {
                GrantStatus::Active
            },
        };
        let (grant, payments, change) = if scheduled {
            (grant, Vec::new(), Balance::default())
        } else {
            self.arrive(grant)
        };
        self.finish(
            Event::Granted {
                grant,
                payments,
                source,
            },
            change,
        )
    }

    pub(crate) fn void(self, id: &str, records: &Records) -> Result<Vec<Entry>, Refusal> {
        let known = self.account.grant(id).or_else(|| self.dormant(id, records));
        let Some(mut grant) = known.cloned() else {
            return Err(Refusal::new(
                Code::GrantNotFound,
                format!("there is no grant `{id}`"),
            ));
        };
        if grant.has_ended_at(self.now) {
            return Err(Refusal::new(
                Code::GrantEnded,
                format!("the grant `{id}` has ended already"),
            ));
        }
        let gone = if grant.is_active() {
            grant.remaining
        } else {
            Credits::ZERO
        };
        grant.void();
        let change = Balance {
            available: -gone,
            ..Balance::default()
        };
        Ok(self.finish(Event::Voided { grant }, change))
    }

    /// Gives a charge back: first what it left owed, then along its draws in reverse. What came from a grant
    /// that has ended becomes a new grant on the old one's terms.
    pub(crate) fn refund(
        self,
        id: ChargeId,
        credits: Option<Credits>,
        records: &Records,
    ) -> Result<Vec<Entry>, Refusal> {
        let Some(charge) = &records.charge else {
            return Err(charge_not_found(&id.to_string()));
        };
        let mut standing = self
            .standing(id, records)
            .unwrap_or_else(|| Standing::of(charge));
        let left = charge.credits.less(standing.refunded);
        let credits = credits.unwrap_or(left);
        if credits > left || !left.is_positive() {
            let detail = format!(
                "{left} of the charge's {} credits can still be refunded",
                charge.credits
            );
            return Err(Refusal::new(Code::RefundExceedsCharge, detail));
        }
        let shares = refund_shares(charge, standing.refunded, credits);
        let owed_cancelled = standing.owed.min(credits);
        let mut back = GivingBack::default();
        for draw in take_back(&mut standing.draws, credits - owed_cancelled) {
            self.give_back_draw(draw, records, &mut back);
        }
        standing.owed -= owed_cancelled;
        standing.refunded += credits;

        let returned = drawn(&back.draws);
        // What is left of this charge's own debt is not paid with what it gives back.
        let payments = self.payments(back.arrivals(&self), Some(id));
        let paid = paid(&payments);
        let refund = Refund {
            id: RefundId(self.next_seq()),
            charge: id,
            credits,
            owed_cancelled,
            draws: back.draws,
        };
        let change = Balance {
            available: returned - paid,
            held: Credits::ZERO,
            owed: -owed_cancelled - paid,
        };
        let GivingBack {
            grants, revived, ..
        } = back;
        let event = Event::Refunded {
            refund,
            standing,
            grants,
            revived,
            payments,
            shares,
        };
        Ok(self.finish(event, change))
    }

    /// How a charge stands: something that was due may just have paid it.
    fn standing(&self, id: ChargeId, records: &Records) -> Option<Standing> {
        let owed = self
            .account
            .debts
            .iter()
            .find(|debt| debt.charge == id)
            .cloned();
        let just_paid = || {
            self.departed.iter().rev().find_map(|record| match record {
                Record::Standing(standing) if standing.charge == id => Some(standing.clone()),
                _ => None,
            })
        };
        owed.or_else(just_paid).or_else(|| records.standing.clone())
    }

    /// A grant that is not in the state: what was due may just have burned it to the last.
    fn dormant<'r>(&'r self, id: &str, records: &'r Records) -> Option<&'r Grant> {
        let departed = self.departed.iter().rev().find_map(|record| match record {
            Record::Grant(grant) if grant.id == id => Some(grant),
            _ => None,
        });
        departed.or_else(|| records.grants.iter().find(|grant| grant.id == id))
    }

    fn give_back_draw(&self, draw: Draw, records: &Records, back: &mut GivingBack) {
        let present = self.account.grant(&draw.grant);
        let dormant = self.dormant(&draw.grant, records);
        match present.or(dormant) {
            Some(grant) if !grant.has_ended_at(self.now) => {
                if present.is_none() && !back.revived.iter().any(|known| known.id == grant.id) {
                    back.revived.push(grant.clone());
                }
                back.add(draw);
            }
            ended => back.make_grant(self.refund_grant(&draw, ended, back.grants.len())),
        }
    }

    /// A grant of 30 days with the priority, category and scope of the one that has ended.
    fn refund_grant(&self, draw: &Draw, ended: Option<&Grant>, made: usize) -> Grant {
        let suffix = if made == 0 {
            String::new()
        } else {
            format!("_{}", made.saturating_add(1))
        };
        Grant {
            id: format!("grant_{}{suffix}", self.next_seq()),
            kind: GrantKind::Refund,
            category: ended.map_or(draw.kind.category(), |grant| grant.category),
            credits: draw.credits,
            remaining: draw.credits,
            held: Credits::ZERO,
            spent: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            priority: ended.map_or(crate::grant::DEFAULT_PRIORITY, |grant| grant.priority),
            scope: ended.and_then(|grant| grant.scope.clone()),
            effective_at: self.now,
            expires_at: Some(self.now.after_millis(REFUND_MS)),
            status: GrantStatus::Active,
        }
    }
}

/// The refusal for a charge that there is not.
pub fn charge_not_found(id: &str) -> Refusal {
    Refusal::new(Code::ChargeNotFound, format!("there is no charge `{id}`"))
}

/// Where a refund's credits go.
#[derive(Default)]
struct GivingBack {
    draws: Vec<Draw>,
    grants: Vec<Grant>,
    revived: Vec<Grant>,
}

impl GivingBack {
    fn add(&mut self, draw: Draw) {
        match self
            .draws
            .iter_mut()
            .find(|known| known.grant == draw.grant)
        {
            Some(known) => known.credits += draw.credits,
            None => self.draws.push(draw),
        }
    }

    /// Adds a refund grant, to one on the same terms if there is one.
    fn make_grant(&mut self, grant: Grant) {
        let alike = |known: &Grant| {
            (known.priority, known.category, &known.scope)
                == (grant.priority, grant.category, &grant.scope)
        };
        let id = match self.grants.iter_mut().find(|known| alike(known)) {
            Some(known) => {
                known.credits += grant.credits;
                known.remaining += grant.credits;
                known.id.clone()
            }
            None => {
                self.grants.push(grant.clone());
                grant.id.clone()
            }
        };
        self.add(Draw {
            grant: id,
            kind: GrantKind::Refund,
            credits: grant.credits,
        });
    }

    /// What comes back, for the payment of other debts.
    fn arrivals(&self, draft: &Draft<'_>) -> Vec<Arrival> {
        let scope = |id: &str| {
            self.grants
                .iter()
                .chain(&self.revived)
                .chain(&draft.account.grants)
                .find(|grant| grant.id == id)
                .and_then(|grant| grant.scope.as_ref())
        };
        self.draws
            .iter()
            .map(|draw| Arrival {
                draw: draw.clone(),
                scoped: scope(&draw.grant).is_some(),
            })
            .collect()
    }
}

/// Takes an amount from the last draws first, and gives what it took, in that order.
fn take_back(draws: &mut Vec<Draw>, amount: Credits) -> Vec<Draw> {
    let mut missing = amount;
    let mut taken = Vec::new();
    for draw in draws.iter_mut().rev() {
        let credits = draw.credits.min(missing);
        if credits.is_positive() {
            taken.push(Draw {
                credits,
                ..draw.clone()
            });
            draw.credits -= credits;
            missing -= credits;
        }
    }
    draws.retain(|draw| draw.credits.is_positive());
    taken
}
