//! Explanations: a charge of the journal, priced again from what the journal says of it.

use serde::Serialize;

use crate::catalog::Catalog;
use crate::charge::{Called, Charge};
use crate::credits::Credits;
use crate::entry::Event;
use crate::meter::{Meter, Quantities, Quantity};
use crate::price::{Line, Offer, Price, price};
use crate::rate::{LARGEST_PER, decimal_of};
use crate::refusal::{Code, Refusal};
use crate::request::{Item, PricedRequest};
use crate::snapshot::amount;
use crate::value::{Fields, Value};

/// A charge of the journal, priced again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation<'a> {
    /// The price: what the account was charged, and what was forgiven.
    pub credits: Credits,
    /// What it would cost without a perk.
    pub list_credits: Credits,
    /// Whether a perk makes it cost nothing.
    pub waived: bool,
    /// The breakdown.
    pub lines: Vec<Line>,
    /// What closes the gap between the lines and the price.
    pub rounding: Credits,
    /// The catalog's hash.
    pub catalog: &'a str,
    /// Whether the entry states the same. None if that cannot be told: a model that the hold did not name was priced
    /// by a later catalog, which the charge does not state.
    pub agrees: Option<bool>,
}

/// Prices the charge of a published entry again.
///
/// # Errors
/// `invalid_entry` for what is no entry, and for one of a kind that charges nothing; `unknown_catalog` for one that was
/// priced with another catalog; those of [`price`], such as `unknown_model`.
pub fn explain<'a>(entry: &Value, catalog: &'a Catalog) -> Result<Explanation<'a>, Refusal> {
    let stated = read(entry).map_err(|refusal| refusal.coded(Code::InvalidEntry))?;
    if stated.catalog != catalog.hash() {
        let detail = format!(
            "the entry was priced with the catalog {}, which GET /v1/catalogs/{} answers",
            stated.catalog, stated.catalog
        );
        return Err(Refusal::new(Code::UnknownCatalog, detail).at("charge.catalog"));
    }
    let price = stated.reprice(catalog)?;
    let agrees = stated.is_priced_at(&price);
    Ok(Explanation {
        credits: price.credits,
        list_credits: price.list_credits,
        waived: price.waived,
        lines: price.lines,
        rounding: price.rounding,
        agrees: (agrees || !stated.has_foreign).then_some(agrees),
        catalog: catalog.hash(),
    })
}

/// Whether the charge of an event is what its own lines make it, by the catalog that it names. True of an event without
/// a charge, and of a charge of which it cannot be told.
pub fn agrees(event: &Event, catalog: &Catalog) -> bool {
    let Some(charge) = event.charge() else {
        return true;
    };
    let stated = Stated::of(charge, event);
    stated.has_foreign
        || stated
            .reprice(catalog)
            .is_ok_and(|price| stated.is_priced_at(&price))
}

/// What a charge states of its price.
struct Stated<'a> {
    credits: Credits,
    list_credits: Credits,
    forgiven: Credits,
    owed: Credits,
    drawn: Credits,
    waived: bool,
    lines: Vec<Line>,
    rounding: Credits,
    /// The models, and whether a perk made them cost nothing.
    models: Vec<(String, bool)>,
    /// Whether its hold did not name all of them.
    has_foreign: bool,
    catalog: &'a str,
}

impl<'a> Stated<'a> {
    fn of(charge: &'a Charge, event: &Event) -> Stated<'a> {
        let is_foreign = |called: &Called| {
            event
                .hold()
                .is_some_and(|hold| hold.called(&called.model).is_none())
        };
        Stated {
            credits: charge.credits,
            list_credits: charge.list_credits,
            forgiven: charge.forgiven,
            owed: charge.owed,
            drawn: charge.draws.iter().map(|draw| draw.credits).sum(),
            waived: charge.waived,
            lines: charge.lines.clone(),
            rounding: charge.rounding,
            models: charge
                .models
                .iter()
                .map(|called| (called.model.clone(), called.waived))
                .collect(),
            has_foreign: charge.models.iter().any(is_foreign),
            catalog: &charge.catalog,
        }
    }

    /// Prices it again, line by line. Models are items too, since one that used nothing has no line, and yet decides
    /// whether all is waived.
    fn reprice(&self, catalog: &Catalog) -> Result<Price, Refusal> {
        let mut items = Vec::new();
        for (place, (model, _)) in self.models.iter().enumerate() {
            let path = format!("charge.models[{place}]");
            items.push(model_item(model, Quantities::NONE, path));
        }
        for (place, line) in self.lines.iter().enumerate() {
            items.push(match line {
                Line::Model {
                    model,
                    meter,
                    quantity,
                    ..
                } => {
                    let path = format!("charge.lines[{place}]");
                    model_item(model, Quantities::NONE.with(*meter, *quantity), path)
                }
                Line::Flat {
                    description,
                    credits,
                } => Item::Flat {
                    credits: *credits,
                    description: description.clone(),
                },
            });
        }
        price(&PricedRequest { items }, catalog.increment(), |model| {
            let waived = self
                .models
                .iter()
                .any(|(called, waived)| called == model && *waived);
            catalog.model(model).map(|model| Offer { model, waived })
        })
    }

    fn is_priced_at(&self, price: &Price) -> bool {
        self.drawn + self.owed == self.credits
            && self.credits + self.forgiven == price.credits
            && self.list_credits == price.list_credits
            && self.waived == price.waived
            && self.lines == price.lines
            && self.rounding == price.rounding
    }
}

fn model_item(model: &str, usage: Quantities, path: String) -> Item {
    Item::Model {
        model: model.to_owned(),
        usage,
        usage_max: None,
        path,
    }
}

/// Reads what a published entry states. Whatever else it has is passed over.
fn read(entry: &Value) -> Result<Stated<'_>, Refusal> {
    let entry = Fields::open(entry, "")?;
    let kind = entry.text("kind")?;
    if kind != "charged" && kind != "captured" {
        let detail = format!("a `{kind}` entry charges nothing: `charged` and `captured` ones do");
        return Err(Refusal::new(Code::InvalidEntry, detail).at("kind"));
    }
    let charge = Fields::open(entry.required("charge")?, "charge")?;
    let mut stated = Stated {
        credits: amount(&charge, "credits")?,
        list_credits: amount(&charge, "list_credits")?,
        forgiven: amount(&charge, "forgiven")?,
        owed: amount(&charge, "owed")?,
        drawn: Credits::ZERO,
        waived: charge.flag("waived")?,
        rounding: amount(&charge, "rounding")?,
        catalog: charge.text("catalog")?,
        models: charge.list("models", read_model)?,
        lines: Vec::new(),
        has_foreign: false,
    };
    stated.lines = charge.list("lines", read_line)?;
    stated.drawn = charge.list("draws", read_draw)?.into_iter().sum();
    if kind == "captured" {
        let held = Fields::open(entry.required("hold")?, "hold")?.list("models", read_model)?;
        let is_held = |model: &str| held.iter().any(|(known, _)| known == model);
        stated.has_foreign = !stated.models.iter().all(|(model, _)| is_held(model));
    }
    Ok(stated)
}

fn read_model(called: &Value, path: &str) -> Result<(String, bool), Refusal> {
    let called = Fields::open(called, path)?;
    Ok((called.text("model")?.to_owned(), called.flag("waived")?))
}

fn read_draw(draw: &Value, path: &str) -> Result<Credits, Refusal> {
    amount(&Fields::open(draw, path)?, "credits")
}

fn read_line(line: &Value, path: &str) -> Result<Line, Refusal> {
    let line = Fields::open(line, path)?;
    let credits = amount(&line, "credits")?;
    let Some(model) = line.optional_text("model")? else {
        return Ok(Line::Flat {
            description: line.text("description")?.to_owned(),
            credits,
        });
    };
    let name = line.text("meter")?;
    let meter = Meter::parse(name).ok_or_else(|| {
        let detail = format!("`{name}` is not a meter");
        Refusal::new(Code::InvalidEntry, detail).at(&line.path("meter"))
    })?;
    Ok(Line::Model {
        model: model.to_owned(),
        meter,
        quantity: Quantity::parse(line.required("quantity")?, meter, &line.path("quantity"))?,
        per: line.whole("per", 1, LARGEST_PER)?,
        rate: decimal_of(amount(&line, "rate")?),
        credits,
        waived: line.flag("waived")?,
    })
}
