//! Views: how an account, its balance, its grants and its entitlements look to callers.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::account::Account;
use crate::alert::{Alert, Watch};
use crate::catalog::Catalog;
use crate::credits::Credits;
use crate::due::Settled;
use crate::entry::Balance;
use crate::estimate::Wallet;
use crate::grant::{Category, Grant, GrantKind};
use crate::ids::EntryId;
use crate::limit::LimitStandings;
use crate::meter::Quantities;
use crate::plan::Feature;
use crate::time::Instant;
use crate::usage::Totals;

/// An account, as of a moment.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView<'a> {
    account: &'a str,
    plan: &'a str,
    pending_plan: Option<&'a str>,
    time_zone: &'a str,
    perks: &'a [String],
    period: PeriodView,
    opened_at: Instant,
    display_name: Option<&'a str>,
    spend_limits: LimitStandings,
    balance: BalanceView<'a>,
}

/// A period: from `start` until, but not at, `end`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeriodView {
    start: Instant,
    end: Instant,
}

/// A balance, as of a moment.
#[derive(Clone, Debug, Serialize)]
pub struct BalanceView<'a> {
    account: &'a str,
    as_of: Instant,
    #[serde(flatten)]
    balance: Balance,
    daily: Option<DailyView>,
    grants: Vec<GrantView<'a>>,
}

/// The daily credits of the present day.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DailyView {
    credits: Credits,
    remaining: Credits,
    refreshes_at: Instant,
}

/// A grant, as a balance lists it.
#[derive(Clone, Debug, Serialize)]
pub struct GrantView<'a> {
    id: &'a str,
    kind: GrantKind,
    category: Category,
    credits: Credits,
    remaining: Credits,
    held: Credits,
    priority: u8,
    scope: Option<&'a [String]>,
    effective_at: Instant,
    expires_at: Option<Instant>,
}

/// The alerts of an account.
#[derive(Clone, Debug, Serialize)]
pub struct AlertsView<'a> {
    alerts: Vec<AlertView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct AlertView<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    crossed_by: Option<EntryId>,
}

/// What an account may use beside credits.
#[derive(Clone, Debug, Serialize)]
pub struct EntitlementsView<'a> {
    features: BTreeMap<&'a str, FeatureView>,
    unlimited_models: Vec<&'a str>,
}

/// A feature and how it stands.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeatureView {
    /// One that is used up.
    Limit {
        /// How much in all.
        limit: u64,
        /// How much is in use. After a change to a smaller plan it may be above the limit.
        used: u64,
        /// How much can still be used.
        remaining: u64,
    },
    /// A figure that others enforce.
    Static {
        /// The figure.
        value: u64,
    },
}

impl FeatureView {
    /// A limited feature of which this much is in use.
    pub const fn limit(limit: u64, used: u64) -> FeatureView {
        FeatureView::Limit {
            limit,
            used,
            remaining: limit.saturating_sub(used),
        }
    }
}

/// Usage figures, grouped.
#[derive(Clone, Debug, Serialize)]
pub struct UsageView {
    group_by: &'static str,
    groups: Vec<UsageGroup>,
    total: UsageFigures,
}

/// The figures of a group; the key of flat items is none.
#[derive(Clone, Debug, Serialize)]
struct UsageGroup {
    key: Option<String>,
    #[serde(flatten)]
    figures: UsageFigures,
}

#[derive(Clone, Debug, Serialize)]
struct UsageFigures {
    credits: Credits,
    list_credits: Credits,
    calls: u64,
    quantities: Quantities,
}

impl From<&Totals> for UsageFigures {
    fn from(totals: &Totals) -> UsageFigures {
        UsageFigures {
            credits: totals.credits,
            list_credits: totals.list_credits,
            calls: totals.calls,
            quantities: totals.quantities,
        }
    }
}

impl UsageView {
    /// The figures of these groups and of all of them together. Groups of one key become one.
    pub fn new(
        group_by: &'static str,
        groups: impl IntoIterator<Item = (Option<String>, Totals)>,
    ) -> UsageView {
        let mut merged: BTreeMap<Option<String>, Totals> = BTreeMap::new();
        let mut total = Totals::default();
        for (key, totals) in groups {
            total.add(&totals);
            merged.entry(key).or_default().add(&totals);
        }
        let groups = merged
            .into_iter()
            .map(|(key, totals)| UsageGroup {
                key,
                figures: UsageFigures::from(&totals),
            })
            .collect();
        UsageView {
            group_by,
            groups,
            total: UsageFigures::from(&total),
        }
    }
}

impl Settled {
    /// The account as callers see it.
    pub fn account_view(&self) -> AccountView<'_> {
        let account = &self.account;
        let (start, end) = account.period(self.as_of);
        AccountView {
            account: &account.id,
            plan: &account.plan,
            pending_plan: account
                .pending_plan
                .as_ref()
                .map(|pending| pending.plan.as_str()),
            time_zone: account.zone.name(),
            perks: &account.perks,
            period: PeriodView { start, end },
            opened_at: account.opened_at,
            display_name: account.display_name.as_deref(),
            spend_limits: account.limit_standings(self.as_of),
            balance: self.balance_view(),
        }
    }

    /// The balance as callers see it: the grants in force, and those that have ended with credits still held.
    pub fn balance_view(&self) -> BalanceView<'_> {
        let account = &self.account;
        let listed = |grant: &&Grant| grant.is_active() || grant.held.is_positive();
        BalanceView {
            account: &account.id,
            as_of: self.as_of,
            balance: account.balance(),
            daily: self.daily_view(),
            grants: account
                .grants
                .iter()
                .filter(listed)
                .map(grant_view)
                .collect(),
        }
    }

    fn daily_view(&self) -> Option<DailyView> {
        let day = self
            .account
            .day
            .as_ref()
            .filter(|day| day.end > self.as_of)?;
        let daily = || {
            let of_today = |grant: &&Grant| grant.kind == GrantKind::Daily && grant.is_active();
            self.account.grants.iter().filter(of_today)
        };
        Some(DailyView {
            credits: daily().map(|grant| grant.credits).sum(),
            remaining: daily().map(|grant| grant.remaining).sum(),
            refreshes_at: day.end,
        })
    }

    /// What an estimate looks at.
    pub fn wallet(&self) -> Wallet<'_> {
        Wallet {
            perks: &self.account.perks,
            grants: &self.account.grants,
            balance: self.account.balance(),
            limits: self.account.limit_standings(self.as_of),
        }
    }
}

impl Account {
    /// Its alerts, and which entry crossed each last.
    pub fn alerts_view(&self) -> AlertsView<'_> {
        AlertsView {
            alerts: self.alerts.iter().map(alert_view).collect(),
        }
    }

    /// What its plan and perks allow beside credits.
    pub fn entitlements_view<'a>(&self, catalog: &'a Catalog) -> EntitlementsView<'a> {
        let mut features = BTreeMap::new();
        if let Some(plan) = catalog.plan(&self.plan) {
            for (name, feature) in plan.features.iter() {
                let view = match feature {
                    Feature::Limit { limit } => FeatureView::limit(*limit, self.used(name)),
                    Feature::Static { value } => FeatureView::Static { value: *value },
                };
                features.insert(name.as_str(), view);
            }
        }
        let perks: Vec<_> = self
            .perks
            .iter()
            .filter_map(|perk| catalog.perk(perk))
            .collect();
        let unlimited_models = catalog
            .models()
            .iter()
            .map(|model| model.id.as_str())
            .filter(|model| perks.iter().any(|perk| perk.waives(model)))
            .collect();
        EntitlementsView {
            features,
            unlimited_models,
        }
    }
}

fn alert_view(watch: &Watch) -> AlertView<'_> {
    AlertView {
        alert: &watch.alert,
        crossed_by: watch.crossed_by,
    }
}

fn grant_view(grant: &Grant) -> GrantView<'_> {
    GrantView {
        id: &grant.id,
        kind: grant.kind,
        category: grant.category,
        credits: grant.credits,
        remaining: grant.remaining,
        held: grant.held,
        priority: grant.priority,
        scope: grant.scope.as_deref(),
        effective_at: grant.effective_at,
        expires_at: grant.expires_at,
    }
}
