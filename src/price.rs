//! The one pricing function: of a charge, of an estimate, and of what a browser shows.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::credits::Credits;
use crate::meter::{Meter, Quantities, Quantity};
use crate::model::Model;
use crate::rate::{Exact, Rate, as_credits};
use crate::refusal::{Code, Refusal};
use crate::request::{Item, PricedRequest};
use crate::value::join;

/// What a model is offered at: its rates, and whether this account pays them.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The model with its rates.
    pub model: &'a Model,
    /// Whether the model costs this account nothing.
    pub waived: bool,
}

/// What a priced request costs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is charged.
    pub credits: Credits,
    /// What would be charged if nothing were waived.
    pub list_credits: Credits,
    /// Whether all of it is waived: there is a call of a model, and nothing else than waived ones.
    pub waived: bool,
    /// The breakdown, in the order of the items and then of the meters. Nothing used has no line.
    pub lines: Vec<Line>,
    /// What rounding added. With the lines that are not waived it makes `credits`; where all is waived it
    /// makes `list_credits` with all lines.
    pub rounding: Credits,
}

/// One part of a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// One meter of one model.
    Model {
        /// The model's id.
        model: String,
        /// What was counted.
        meter: Meter,
        /// How much of it.
        quantity: Quantity,
        /// How many units the rate is the price of.
        per: u64,
        /// The price of so many units, in credits.
        #[serde(with = "as_credits")]
        rate: Decimal,
        /// What the quantity costs at this rate, cut off to the micro-credit.
        credits: Credits,
        /// Whether the line is at list price only, and costs this account nothing.
        #[serde(default, skip_serializing_if = "is_false")]
        waived: bool,
    },
    /// A flat amount.
    Flat {
        /// What it is for.
        description: String,
        /// The amount.
        credits: Credits,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Line {
    /// What the line states, in credits.
    pub fn credits(&self) -> Credits {
        match self {
            Line::Model { credits, .. } | Line::Flat { credits, .. } => *credits,
        }
    }

    /// Whether the line costs the account nothing.
    pub fn waived(&self) -> bool {
        matches!(self, Line::Model { waived: true, .. })
    }
}

/// Prices a request. All lines are added exactly and rounded up once, to a multiple of the increment.
///
/// `offer` says what a model is offered at, and `None` for a model that there is not.
///
/// # Errors
/// In the order of the items: `unknown_model`, `unknown_meter` for what is used and has no rate, and
/// `amount_too_large` for a line of 10⁹ credits or more. Then `amount_too_large` for such a price or list price.
pub fn price<'a>(
    request: &PricedRequest,
    increment: Credits,
    offer: impl Fn(&str) -> Option<Offer<'a>>,
) -> Result<Price, Refusal> {
    price_by(request, increment, &offer)
}

/// One body for all who price: each copy of it would be loaded by every browser.
fn price_by<'a>(
    request: &PricedRequest,
    increment: Credits,
    offer: &dyn Fn(&str) -> Option<Offer<'a>>,
) -> Result<Price, Refusal> {
    let mut sums = Sums::default();
    for item in &request.items {
        match item {
            Item::Flat {
                credits,
                description,
            } => sums.add_flat(*credits, description)?,
            Item::Model {
                model,
                usage,
                usage_max,
                path,
            } => {
                let offer = offer(model).ok_or_else(|| unknown_model(model, path))?;
                sums.add_model(offer, usage, path)?;
                // A ceiling that has no price is refused with the usage, so that it is never a surprise.
                if let Some(most) = usage_max {
                    refuse_unpriced(offer.model, most, path, "usage_max")?;
                }
            }
        }
    }
    sums.round(increment)
}

/// The largest quantity of a meter that a budget pays for, the rest of the request's usage being as it is.
/// The request is one call of one model; its own quantity of that meter is not looked at.
///
/// `None` if not even nothing of it is paid for, or if nothing bounds it: the model is waived, or its rate
/// is nought.
///
/// # Errors
/// `invalid_request` for a workflow or a flat amount, `unknown_model`, and `unknown_meter` for a meter that
/// the model has no rate for.
pub fn affordable<'a>(
    request: &PricedRequest,
    meter: Meter,
    budget: Credits,
    increment: Credits,
    offer: &dyn Fn(&str) -> Option<Offer<'a>>,
) -> Result<Option<Quantity>, Refusal> {
    let [
        Item::Model {
            model, usage, path, ..
        },
    ] = request.items.as_slice()
    else {
        let detail = "what is affordable is a question about one call of one model";
        return Err(Refusal::new(Code::InvalidRequest, detail));
    };
    let offer = offer(model).ok_or_else(|| unknown_model(model, path))?;
    let rate = offer
        .model
        .rate(meter)
        .ok_or_else(|| unpriced(offer.model, meter).at("meter"))?;
    let others = usage.with(meter, Quantity::ZERO);
    let mut cost = Exact::ZERO;
    for (meter, quantity) in others.iter() {
        cost = cost.plus(rate_of(offer.model, meter, path, "usage")?.cost(quantity))?;
    }
    if offer.waived {
        return Ok(None);
    }
    // A price is a multiple of the increment, so it is within the budget if the exact cost is within the
    // largest such multiple.
    let most = budget
        .min(Credits::LIMIT - Credits::from_micros(1))
        .less(Credits::ZERO);
    let step = increment.micros().max(1);
    let limit = most
        .micros()
        .saturating_sub(most.micros().checked_rem(step).unwrap_or(0));
    let room = cost.room(u128::from(limit.unsigned_abs()), rate);
    Ok(room.map(|thousandths| Quantity::at_most(thousandths, meter)))
}

/// What a request's items add up to.
struct Sums {
    lines: Vec<Line>,
    /// All of it.
    list: Exact,
    /// What is not waived.
    charged: Exact,
    /// The lines of what is not waived.
    charged_lines: Credits,
    has_waived: bool,
    has_charged: bool,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums {
            lines: Vec::new(),
            list: Exact::ZERO,
            charged: Exact::ZERO,
            charged_lines: Credits::ZERO,
            has_waived: false,
            has_charged: false,
        }
    }
}

impl Sums {
    fn add_flat(&mut self, credits: Credits, description: &str) -> Result<(), Refusal> {
        self.has_charged = true;
        let line = Line::Flat {
            description: description.to_owned(),
            credits,
        };
        self.add_line(Exact::whole(credits), line)
    }

    fn add_model(
        &mut self,
        offer: Offer<'_>,
        usage: &Quantities,
        path: &str,
    ) -> Result<(), Refusal> {
        self.has_waived |= offer.waived;
        self.has_charged |= !offer.waived;
        for (meter, quantity) in usage.iter() {
            let rate = rate_of(offer.model, meter, path, "usage")?;
            let cost = rate.cost(quantity);
            let line = Line::Model {
                model: offer.model.id.clone(),
                meter,
                quantity,
                per: rate.per(),
                rate: rate.rate(),
                credits: cost.floor()?,
                waived: offer.waived,
            };
            self.add_line(cost, line)?;
        }
        Ok(())
    }

    fn add_line(&mut self, cost: Exact, line: Line) -> Result<(), Refusal> {
        self.list = self.list.plus(cost)?;
        if !line.waived() {
            self.charged = self.charged.plus(cost)?;
            self.charged_lines += line.credits();
        }
        self.lines.push(line);
        Ok(())
    }

    /// The one place where a price is rounded.
    fn round(self, increment: Credits) -> Result<Price, Refusal> {
        let list_credits = self.list.ceil(increment)?;
        let credits = self.charged.ceil(increment)?;
        let waived = self.has_waived && !self.has_charged;
        let rounding = if waived {
            list_credits - self.lines.iter().map(Line::credits).sum()
        } else {
            credits - self.charged_lines
        };
        Ok(Price {
            credits,
            list_credits,
            waived,
            lines: self.lines,
            rounding,
        })
    }
}

fn rate_of<'a>(
    model: &'a Model,
    meter: Meter,
    path: &str,
    field: &str,
) -> Result<&'a Rate, Refusal> {
    model
        .rate(meter)
        .ok_or_else(|| unpriced(model, meter).at(&join(&join(path, field), meter.as_str())))
}

fn refuse_unpriced(
    model: &Model,
    usage: &Quantities,
    path: &str,
    field: &str,
) -> Result<(), Refusal> {
    usage
        .iter()
        .try_for_each(|(meter, _)| rate_of(model, meter, path, field).map(|_| ()))
}

fn unpriced(model: &Model, meter: Meter) -> Refusal {
    let detail = format!("the model `{}` has no rate for `{meter}`", model.id);
    Refusal::new(Code::UnknownMeter, detail)
}

fn unknown_model(model: &str, path: &str) -> Refusal {
    Refusal::new(
        Code::UnknownModel,
        format!("the catalog has no model `{model}`"),
    )
    .at(&join(path, "model"))
}
