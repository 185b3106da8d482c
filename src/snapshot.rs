//! Snapshots: an account as its holder fetched it, read back so that a browser can preview what the Worker would say.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, F64Deserializer};

use crate::credits::Credits;
use crate::entry::Balance;
use crate::estimate::Wallet;
use crate::grant::{Category, Grant, GrantKind, GrantStatus};
use crate::limit::{LimitStanding, LimitStandings};
use crate::refusal::{Code, Refusal};
use crate::time::Instant;
use crate::value::{Fields, Value};

/// Every kind that a balance may list.
const KINDS: [GrantKind; 8] = [
    GrantKind::Daily,
    GrantKind::Monthly,
    GrantKind::Bonus,
    GrantKind::Pack,
    GrantKind::Invitation,
    GrantKind::Promotion,
    GrantKind::Refund,
    GrantKind::Adjustment,
];

/// What an estimate needs of an account, as of the moment at which the account was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    perks: Vec<String>,
    // INVARIANT: in the order of burning.
    grants: Vec<Grant>,
    balance: Balance,
    limits: LimitStandings,
}

impl Snapshot {
    /// Reads an account, or just its balance, as callers see it: what [`AccountView`](crate::view::AccountView)
    /// and [`BalanceView`](crate::view::BalanceView) serialise to. Only an account has perks and spend limits.
    /// Fields that are not needed are passed over, so that accounts may have more of them one day.
    ///
    /// # Errors
    /// `invalid_account`, at the field that is missing, of the wrong type, or contradicts the grants.
    pub fn parse(value: &Value) -> Result<Snapshot, Refusal> {
        read(value).map_err(|refusal| refusal.coded(Code::InvalidAccount))
    }

    /// What an estimate looks at.
    pub fn wallet(&self) -> Wallet<'_> {
        Wallet {
            perks: &self.perks,
            grants: &self.grants,
            balance: self.balance,
            limits: self.limits,
        }
    }
}

fn read(value: &Value) -> Result<Snapshot, Refusal> {
    let account = Fields::open(value, "")?;
    let Some(balance) = account.given("balance") else {
        return read_balance(&account);
    };
    let snapshot = read_balance(&Fields::open(balance, "balance")?)?;
    let perks = texts(&account, "perks")?.unwrap_or_default();
    Ok(Snapshot {
        perks: perks.into_iter().map(str::to_owned).collect(),
        limits: read_limits(&account, snapshot.balance.held)?,
        ..snapshot
    })
}

/// The spend limits, which an account of an earlier version has not.
fn read_limits(account: &Fields<'_>, held: Credits) -> Result<LimitStandings, Refusal> {
    let Some(limits) = account.given("spend_limits") else {
        return Ok(LimitStandings::default());
    };
    let limits = Fields::open(limits, "spend_limits")?;
    let read = |name: &str| {
        let Some(standing) = limits.given(name) else {
            return Ok(None);
        };
        let path = limits.path(name);
        let fields = Fields::open(standing, &path)?;
        Ok(Some(LimitStanding {
            limit: amount(&fields, "limit")?,
            spent: sum(&fields, "spent")?,
            held,
            resets_at: instant(&fields, "resets_at")?,
        }))
    };
    Ok(LimitStandings {
        day: read("day")?,
        month: read("month")?,
    })
}

fn read_balance(fields: &Fields<'_>) -> Result<Snapshot, Refusal> {
    let as_of = instant(fields, "as_of")?;
    fields.required("grants")?;
    let listed = fields.list("grants", |item, path| {
        read_grant(&Fields::open(item, path)?, as_of)
    })?;
    let mut grants: Vec<Grant> = Vec::with_capacity(listed.len());
    for grant in listed {
        // They come in this order, but a snapshot may have been through other hands.
        let place = grants.partition_point(|known| known.burning_order(&grant).is_lt());
        grants.insert(place, grant);
    }
    let active = grants.iter().filter(|grant| grant.is_active());
    let balance = Balance {
        available: active.map(|grant| grant.remaining).sum(),
        held: grants.iter().map(|grant| grant.held).sum(),
        owed: amount(fields, "owed")?,
    };
    agrees(fields, "available", balance.available)?;
    agrees(fields, "held", balance.held)?;
    Ok(Snapshot {
        perks: Vec::new(),
        grants,
        balance,
        limits: LimitStandings::default(),
    })
}

fn read_grant(fields: &Fields<'_>, as_of: Instant) -> Result<Grant, Refusal> {
    let remaining = amount(fields, "remaining")?;
    let held = amount(fields, "held")?;
    let scope = texts(fields, "scope")?;
    let effective_at = instant(fields, "effective_at")?;
    let expires_at = match fields.given("expires_at") {
        None => None,
        Some(_) => Some(instant(fields, "expires_at")?),
    };
    Ok(Grant {
        id: fields.text("id")?.to_owned(),
        kind: named(fields, "kind", KINDS, GrantKind::as_str)?,
        category: named(
            fields,
            "category",
            [Category::Promo, Category::Paid],
            category,
        )?,
        // What is gone from it is nobody's concern here.
        credits: remaining + held,
        remaining,
        held,
        spent: Credits::ZERO,
        expired: Credits::ZERO,
        voided: Credits::ZERO,
        priority: fields
            .optional_whole("priority", 0, 100)?
            .and_then(|priority| u8::try_from(priority).ok())
            .ok_or_else(|| fields.missing("priority"))?,
        scope: scope.map(|tags| tags.into_iter().map(str::to_owned).collect()),
        effective_at,
        expires_at,
        status: if expires_at.is_some_and(|end| end <= as_of) {
            GrantStatus::Expired
        } else if effective_at > as_of {
            GrantStatus::Scheduled
        } else {
            GrantStatus::Active
        },
    })
}

fn instant(fields: &Fields<'_>, name: &str) -> Result<Instant, Refusal> {
    Instant::parse(fields.text(name)?, &fields.path(name))
}

/// The list of strings of a field that may be missing, or `null`.
fn texts<'a>(fields: &Fields<'a>, name: &str) -> Result<Option<Vec<&'a str>>, Refusal> {
    match fields.given(name) {
        None => Ok(None),
        Some(_) => fields.optional_texts(name),
    }
}

/// An amount that must be there.
pub(crate) fn amount(fields: &Fields<'_>, name: &str) -> Result<Credits, Refusal> {
    Credits::parse(fields.required(name)?, &fields.path(name))
}

/// Refuses a figure that is not what the grants add up to: then parts of two snapshots have been mixed.
fn agrees(fields: &Fields<'_>, name: &str, sum: Credits) -> Result<(), Refusal> {
    let value = fields.given(name).ok_or_else(|| fields.missing(name))?;
    if stated(value) == Some(sum) {
        return Ok(());
    }
    Err(fields.wrong(name, &format!("what the grants add up to, {sum}"), value))
}

/// A sum of many amounts, which may be beyond what a caller can write.
fn sum(fields: &Fields<'_>, name: &str) -> Result<Credits, Refusal> {
    let value = fields.given(name).ok_or_else(|| fields.missing(name))?;
    stated(value)
        .filter(|sum| *sum >= Credits::ZERO)
        .ok_or_else(|| fields.wrong(name, "an amount of credits", value))
}

fn stated(value: &Value) -> Option<Credits> {
    let Value::Number(number) = value else {
        return None;
    };
    let number: F64Deserializer<Error> = (*number).into_deserializer();
    Credits::deserialize(number).ok()
}

fn named<T: Copy, const N: usize>(
    fields: &Fields<'_>,
    name: &str,
    all: [T; N],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, Refusal> {
    let text = fields.text(name)?;
    all.into_iter()
        .find(|one| as_str(*one) == text)
        .ok_or_else(|| {
            let detail = format!("`{text}` is no {name} of a grant");
            Refusal::new(Code::InvalidAccount, detail).at(&fields.path(name))
        })
}

const fn category(category: Category) -> &'static str {
    match category {
        Category::Promo => "promo",
        Category::Paid => "paid",
    }
}
