//! Estimates: what a request would cost, whether an account may make it, and what it could still afford.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::catalog::Catalog;
use crate::credits::Credits;
use crate::entry::Balance;
use crate::grant::{Draw, Grant, Purpose, payable};
use crate::limit::LimitStandings;
use crate::meter::{Meter, Quantity};
use crate::price::{Line, affordable};
use crate::refusal::Refusal;
use crate::request::PricedRequest;
use crate::spend::{Bill, authorise, bill, offer_to};

/// What a request costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate<'a> {
    /// The price.
    pub credits: Credits,
    /// The price at the ceiling, if the request states one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits_max: Option<Credits>,
    /// The breakdown.
    pub lines: Vec<Line>,
    /// What closes the gap between the lines and the price.
    pub rounding: Credits,
    /// The catalog's hash.
    pub catalog: &'a str,
}

/// What an account has, as far as an estimate looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Wallet<'a> {
    /// The perks.
    pub perks: &'a [String],
    /// The grants, in the order of burning.
    pub grants: &'a [Grant],
    /// The figures.
    pub balance: Balance,
    /// The spend limits.
    pub limits: LimitStandings,
}

/// What a request would do to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountEstimate<'a> {
    /// The price.
    pub credits: Credits,
    /// The price at the ceiling, if the request states one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits_max: Option<Credits>,
    /// The breakdown.
    pub lines: Vec<Line>,
    /// What closes the gap between the lines and the price.
    pub rounding: Credits,
    /// The catalog's hash.
    pub catalog: &'a str,
    /// Whether it would be authorised.
    pub access: Access,
    /// Whether a perk makes it cost nothing.
    pub waived: bool,
    /// What it would cost without a perk.
    pub list_credits: Credits,
    /// Who would pay; nobody where access is refused.
    pub draws: Vec<Draw>,
    /// The balance after it; the present one where access is refused.
    pub balance_after: Balance,
    /// The largest quantity of each meter, for one call of one model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affordable: Option<Affordable>,
}

/// Whether a request would be authorised, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Whether.
    pub allowed: bool,
    /// The code of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// For each meter that the model prices, the largest quantity that the account pays for, its other meters
/// as they are. None where not even nothing of it is paid for, or where nothing bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affordable(pub Vec<(Meter, Option<Quantity>)>);

impl Serialize for Affordable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (meter, quantity) in &self.0 {
            map.serialize_entry(meter.as_str(), quantity)?;
        }
        map.end()
    }
}

/// Prices a request for anyone.
///
/// # Errors
/// Those of [`price`](crate::price::price).
pub fn estimate<'a>(
    request: &PricedRequest,
    catalog: &'a Catalog,
) -> Result<Estimate<'a>, Refusal> {
    let Bill { price, .. } = bill(request, catalog.increment(), &|model| {
        offer_to(catalog, &[], model)
    })?;
    Ok(Estimate {
        credits: price.credits,
        credits_max: ceiling(request, catalog, &[])?,
        lines: price.lines,
        rounding: price.rounding,
        catalog: catalog.hash(),
    })
}

/// Prices a request for an account and says what it would do to it: what the Worker answers before a call, and
/// what a browser previews.
///
/// # Errors
/// Those of [`price`](crate::price::price). Too few credits are no error here but the answer.
pub fn account_estimate<'a>(
    request: &PricedRequest,
    catalog: &'a Catalog,
    wallet: Wallet<'_>,
) -> Result<AccountEstimate<'a>, Refusal> {
    let Wallet {
        perks,
        grants,
        balance,
        limits,
    } = wallet;
    let Bill { price, purpose, .. } = bill(request, catalog.increment(), &|model| {
        offer_to(catalog, perks, model)
    })?;
    let authorised = limits
        .check(price.credits)
        .and_then(|()| authorise(grants, balance.owed, &purpose, price.credits));
    let (access, draws) = match authorised {
        Ok(draws) => (
            Access {
                allowed: true,
                code: None,
            },
            draws,
        ),
        Err(refusal) => (
            Access {
                allowed: false,
                code: Some(refusal.code.as_str()),
            },
            Vec::new(),
        ),
    };
    let spent: Credits = draws.iter().map(|draw| draw.credits).sum();
    Ok(AccountEstimate {
        credits: price.credits,
        credits_max: ceiling(request, catalog, perks)?,
        lines: price.lines,
        rounding: price.rounding,
        catalog: catalog.hash(),
        access,
        waived: price.waived,
        list_credits: price.list_credits,
        draws,
        balance_after: Balance {
            available: balance.available - spent,
            ..balance
        },
        affordable: affordable_by(request, catalog, wallet, &purpose)?,
    })
}

fn ceiling(
    request: &PricedRequest,
    catalog: &Catalog,
    perks: &[String],
) -> Result<Option<Credits>, Refusal> {
    request
        .at_ceiling()
        .map(|most| {
            bill(&most, catalog.increment(), &|model| {
                offer_to(catalog, perks, model)
            })
            .map(|bill| bill.price.credits)
        })
        .transpose()
}

fn affordable_by(
    request: &PricedRequest,
    catalog: &Catalog,
    wallet: Wallet<'_>,
    purpose: &Purpose<'_>,
) -> Result<Option<Affordable>, Refusal> {
    let Some(model) = request
        .single_model()
        .and_then(|(model, _)| catalog.model(model))
    else {
        return Ok(None);
    };
    // While anything is owed, only what costs nothing is authorised.
    let budget = if wallet.balance.owed.is_positive() {
        Credits::ZERO
    } else {
        let payable = payable(wallet.grants, purpose);
        wallet
            .limits
            .room()
            .map_or(payable, |room| room.min(payable))
    };
    model
        .meters()
        .map(|meter| {
            let offer = |model: &str| offer_to(catalog, wallet.perks, model);
            let most = affordable(request, meter, budget, catalog.increment(), &offer)?;
            Ok((meter, most))
        })
        .collect::<Result<Vec<_>, Refusal>>()
        .map(|meters| Some(Affordable(meters)))
}
