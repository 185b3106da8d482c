//! Decisions: a command, a state and a time become entries, or a refusal. Nothing is written here.
//!
//! Refusals come in this order: what the command names does not exist; its state forbids it; its figures are
//! impossible; a spend limit is reached; the credits are missing. A caller who mends the first gets the next: nobody
//! buys credits that a limit then keeps them from spending.

use crate::account::Account;
use crate::alert::Alert;
use crate::archive::{Archive, Records};
use crate::catalog::Catalog;
use crate::catalogs::Catalogs;
use crate::command::Command;
use crate::draft::{Draft, last_decision};
use crate::entry::{Balance, Changes, Entry, Event, FeatureCount, Opening};
use crate::limit::SpendLimits;
use crate::plan::{Family, Feature};
use crate::refusal::{Code, Refusal};
use crate::time::Instant;

/// What a decision may look at beyond the state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The catalogs of all times.
    pub catalogs: Catalogs<'a>,
    /// The catalog that the command's hold was priced with, if it is another.
    pub held_catalog: Option<&'a Catalog>,
    /// What the command names beyond the state.
    pub records: &'a Records,
}

/// Decides about a command: the entries that it makes, after those that are due by `now`.
///
/// No entries mean that all is already as the command wants it.
///
/// # Errors
/// The refusals of the command, as documented at the API.
pub fn decide(
    state: Option<&Account>,
    id: &str,
    command: &Command,
    now: Instant,
    context: &Context<'_>,
) -> Result<Vec<Entry>, Refusal> {
    let Some(account) = state else {
        return match command {
            Command::Open { opening } => open(id, opening, now, context.catalogs),
            _ => Err(account_not_found(id)),
        };
    };
    let mut draft = Draft::new(account, context.catalogs, now);
    draft.settle();
    match command {
        Command::Open { opening } => reopen(account, opening),
        Command::Update {
            time_zone,
            display_name,
        } => Ok(draft.update(time_zone, display_name)),
        Command::ChangePlan {
            plan,
            at_period_end,
        } => draft.change_plan(plan, *at_period_end),
        Command::SetSpendLimits { limits } => Ok(draft.set_spend_limits(*limits)),
        Command::SetAlerts { alerts } => Ok(draft.set_alerts(alerts)),
        Command::GrantPerk { perk } => Ok(draft.perk(perk, true)),
        Command::RevokePerk { perk } => Ok(draft.perk(perk, false)),
        Command::Hold {
            request,
            ttl_seconds,
        } => draft.hold(request, *ttl_seconds),
        Command::Capture {
            hold,
            request,
            on_excess,
        } => draft.capture(*hold, request, *on_excess, context),
        Command::Release { hold } => draft.release(*hold, context.records),
        Command::Extend { hold, ttl_seconds } => draft.extend(*hold, *ttl_seconds, context.records),
        Command::Charge { request, on_excess } => draft.charge(request, *on_excess),
        Command::Refund { charge, credits } => draft.refund(*charge, *credits, context.records),
        Command::Grant(new) => draft.grant(new),
        Command::Award { new, source } => draft.award(new, source, context.records),
        Command::Void { grant } => draft.void(grant, context.records),
        Command::UseFeature { feature, quantity } => draft.use_feature(feature, *quantity),
        Command::ReturnFeature { feature, quantity } => draft.return_feature(feature, *quantity),
    }
}

/// The refusal for an account that nobody opened.
pub fn account_not_found(id: &str) -> Refusal {
    Refusal::new(Code::AccountNotFound, format!("there is no account `{id}`"))
}

impl Records {
    /// Fetches what a command names beyond the state.
    ///
    /// # Errors
    /// If the archive cannot be read.
    pub fn gather<A: Archive>(
        command: &Command,
        account: &Account,
        archive: &A,
    ) -> Result<Records, A::Fault> {
        let mut records = Records::default();
        match command {
            Command::Capture { hold, .. }
            | Command::Release { hold }
            | Command::Extend { hold, .. }
                if account.hold(*hold).is_none() =>
            {
                records.hold = archive.hold(*hold)?;
            }
            Command::Void { grant } if account.grant(grant).is_none() => {
                records.grants.extend(archive.grant(grant)?);
            }
            Command::Award { source, .. } => {
                if let Some(id) = source.grant_id()
                    && account.grant(&id).is_none()
                {
                    records.grants.extend(archive.grant(&id)?);
                }
            }
            Command::Refund { charge, .. } => {
                records.charge = archive.charge(*charge)?;
                let owed = account
                    .debts
                    .iter()
                    .find(|debt| debt.charge == *charge)
                    .cloned();
                records.standing = match owed {
                    Some(standing) => Some(standing),
                    None => archive.standing(*charge)?,
                };
                let draws = match (&records.standing, &records.charge) {
                    (Some(standing), _) => standing.draws.as_slice(),
                    (None, Some(charge)) => charge.draws.as_slice(),
                    (None, None) => &[],
                };
                for draw in draws {
                    let known = records.grants.iter().any(|grant| grant.id == draw.grant);
                    if !known && account.grant(&draw.grant).is_none() {
                        records.grants.extend(archive.grant(&draw.grant)?);
                    }
                }
            }
            _ => {}
        }
        Ok(records)
    }
}

fn open(
    id: &str,
    opening: &Opening,
    now: Instant,
    catalogs: Catalogs<'_>,
) -> Result<Vec<Entry>, Refusal> {
    if opening.since.is_some_and(|since| since > now) {
        let detail = "`since` lies in the future: months are counted from the past or from now on";
        return Err(Refusal::new(Code::InvalidRequest, detail).at("since"));
    }
    let first = Entry {
        seq: 1,
        id: crate::ids::EntryId(1),
        at: now.min(last_decision()),
        credits: crate::credits::Credits::ZERO,
        balance: Balance::default(),
        event: Event::Opened {
            account: id.to_owned(),
            opening: opening.clone(),
        },
    };
    let mut state = None;
    Account::apply(&mut state, &first);
    let mut entries = vec![first];
    if let Some(account) = state {
        let mut draft = Draft::new(&account, catalogs, now);
        draft.settle();
        entries.append(&mut draft.entries);
    }
    Ok(entries)
}

/// Opening again in the same way is no conflict: it is a retry.
fn reopen(account: &Account, opening: &Opening) -> Result<Vec<Entry>, Refusal> {
    if account.opening == *opening {
        Ok(Vec::new())
    } else {
        let detail = format!("the account `{}` was opened otherwise", account.id);
        Err(Refusal::new(Code::AccountExists, detail))
    }
}

impl Draft<'_> {
    fn update(self, time_zone: &Option<String>, display_name: &Option<String>) -> Vec<Entry> {
        let account = &*self.account;
        let time_zone = time_zone
            .clone()
            .filter(|name| *name != account.zone.name());
        let present_name = account.display_name.clone().unwrap_or_default();
        let display_name = display_name.clone().filter(|name| *name != present_name);
        if time_zone.is_none() && display_name.is_none() {
            return Vec::new();
        }
        self.change(Changes {
            time_zone,
            display_name,
            ..Changes::default()
        })
    }

    fn set_spend_limits(self, limits: SpendLimits) -> Vec<Entry> {
        if self.account.spend_limits == limits {
            return Vec::new();
        }
        self.change(Changes {
            spend_limits: Some(limits),
            ..Changes::default()
        })
    }

    fn set_alerts(self, alerts: &[Alert]) -> Vec<Entry> {
        let known = self.account.alerts.iter().map(|watch| &watch.alert);
        if known.eq(alerts) {
            return Vec::new();
        }
        self.change(Changes {
            alerts: Some(alerts.to_vec()),
            ..Changes::default()
        })
    }

    fn change(self, changes: Changes) -> Vec<Entry> {
        self.finish(Event::Updated(changes), Balance::default())
    }

    fn change_plan(mut self, plan: &str, at_period_end: bool) -> Result<Vec<Entry>, Refusal> {
        let account = &*self.account;
        if account.plan == plan {
            // Naming the present plan takes an announced change back.
            return Ok(if account.pending_plan.is_some() {
                self.announce_plan(String::new())
            } else {
                Vec::new()
            });
        }
        let family = self.catalog.plan(plan).map(|plan| plan.family);
        if family == Some(Family::Legacy) {
            let detail = format!("`{plan}` is a legacy plan: it can be kept or left, not entered");
            return Err(Refusal::new(Code::PlanTransitionForbidden, detail).at("plan"));
        }
        if at_period_end {
            let known = account
                .pending_plan
                .as_ref()
                .is_some_and(|pending| pending.plan == plan);
            return Ok(if known {
                Vec::new()
            } else {
                self.announce_plan(plan.to_owned())
            });
        }
        let now = self.now;
        self.enter_plan(plan.to_owned(), now);
        self.settle();
        Ok(self.entries)
    }

    fn announce_plan(self, plan: String) -> Vec<Entry> {
        self.change(Changes {
            pending_plan: Some(plan),
            ..Changes::default()
        })
    }

    fn perk(self, perk: &str, granted: bool) -> Vec<Entry> {
        if self.account.has_perk(perk) == granted {
            return Vec::new();
        }
        let perk = perk.to_owned();
        let event = if granted {
            Event::PerkGranted { perk }
        } else {
            Event::PerkRevoked { perk }
        };
        self.finish(event, Balance::default())
    }

    fn use_feature(self, feature: &str, quantity: u64) -> Result<Vec<Entry>, Refusal> {
        let limit = self.feature_limit(feature)?;
        let used = self.account.used(feature);
        let after = used.saturating_add(quantity);
        if after > limit {
            let detail =
                format!("{quantity} more of `{feature}` is too much: {used} of {limit} are in use");
            return Err(Refusal::new(Code::EntitlementExhausted, detail));
        }
        let count = FeatureCount {
            feature: feature.to_owned(),
            quantity,
            used: after,
            limit,
        };
        Ok(self.finish(Event::FeatureUsed(count), Balance::default()))
    }

    fn return_feature(self, feature: &str, quantity: u64) -> Result<Vec<Entry>, Refusal> {
        let limit = self.feature_limit(feature)?;
        let used = self.account.used(feature);
        let Some(after) = used.checked_sub(quantity) else {
            let detail = format!("{quantity} of `{feature}` cannot be returned: {used} are in use");
            return Err(Refusal::new(Code::InvalidQuantity, detail).at("quantity"));
        };
        let count = FeatureCount {
            feature: feature.to_owned(),
            quantity,
            used: after,
            limit,
        };
        Ok(self.finish(Event::FeatureReturned(count), Balance::default()))
    }

    fn feature_limit(&self, feature: &str) -> Result<u64, Refusal> {
        let plan = self.catalog.plan(&self.account.plan);
        match plan.and_then(|plan| plan.features.get(feature)) {
            Some(Feature::Limit { limit }) => Ok(*limit),
            Some(Feature::Static { .. }) => {
                let detail =
                    format!("`{feature}` is a figure of the plan, not something to use up");
                Err(Refusal::new(Code::UnknownFeature, detail))
            }
            None => {
                let detail = format!(
                    "the plan `{}` has no feature `{feature}`",
                    self.account.plan
                );
                Err(Refusal::new(Code::UnknownFeature, detail))
            }
        }
    }
}
