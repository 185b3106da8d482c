//! Explanations: a charge of the journal, priced again from what the journal says of it.

use crate::catalog::Catalog;
use crate::charge::Charge;
use crate::credits::Credits;
use crate::meter::Quantities;
use crate::price::{Line, Offer, Price, price};
use crate::refusal::Refusal;
use crate::request::{Item, PricedRequest};

/// Prices a charge again, line by line, by the catalog that it names.
///
/// # Errors
/// Those of [`price`], such as `unknown_model` for a line that this catalog has no model for.
pub fn reprice(charge: &Charge, catalog: &Catalog) -> Result<Price, Refusal> {
    let items = charge.lines.iter().map(item_of).collect();
    price(&PricedRequest { items }, catalog.increment(), |model| {
        let waived = charge
            .models
            .iter()
            .any(|called| called.model == model && called.waived);
        catalog.model(model).map(|model| Offer { model, waived })
    })
}

/// Whether a charge is what its own lines make it, by the catalog that it names.
pub fn agrees(charge: &Charge, catalog: &Catalog) -> bool {
    let drawn: Credits = charge.draws.iter().map(|draw| draw.credits).sum();
    if drawn + charge.owed != charge.credits {
        return false;
    }
    reprice(charge, catalog).is_ok_and(|price| {
        let same_lines = price.lines.len() == charge.lines.len()
            && price
                .lines
                .iter()
                .zip(&charge.lines)
                .all(|(again, line)| again == line);
        // A call of nothing has no lines, and so nothing that could be waived.
        let same_price =
            price.credits == charge.credits + charge.forgiven || charge.lines.is_empty();
        same_lines
            && same_price
            && price.list_credits == charge.list_credits
            && price.rounding == charge.rounding
    })
}

/// A line as an item of its own, so that pricing it gives that very line.
fn item_of(line: &Line) -> Item {
    match line {
        Line::Model {
            model,
            meter,
            quantity,
            ..
        } => Item::Model {
            model: model.clone(),
            usage: Quantities::NONE.with(*meter, *quantity),
            usage_max: None,
            path: String::new(),
        },
        Line::Flat {
            description,
            credits,
        } => Item::Flat {
            credits: *credits,
            description: description.clone(),
        },
    }
}
