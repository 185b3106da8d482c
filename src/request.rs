//! What a caller wants priced: one call of a model, a flat amount, or a workflow of both.

use crate::credits::Credits;
use crate::meter::Quantities;
use crate::refusal::{Code, Refusal};
use crate::usage_format::UsageFormat;
use crate::value::{Fields, Value};

/// How many items a workflow may have.
pub const MOST_ITEMS: usize = 1_000;
/// How many characters a flat item's description may have.
pub const LONGEST_DESCRIPTION: usize = 200;

/// The fields of a model's item.
const MODEL_FIELDS: [&str; 4] = ["model", "usage", "usage_format", "usage_max"];
/// The fields of a flat item.
const FLAT_FIELDS: [&str; 2] = ["credits", "description"];

/// A request for a price: one charge, rounded once, of one or several items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedRequest {
    /// The items, at least one, in the caller's order.
    pub items: Vec<Item>,
}

/// One part of a priced request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A call of a model.
    Model {
        /// The model's id, as the caller wrote it.
        model: String,
        /// What the call uses.
        usage: Quantities,
        /// What it uses at most: the caller's `usage_max`, laid over `usage` already.
        usage_max: Option<Quantities>,
        /// Where the item stands in the request: empty, or such as `items[1]`.
        path: String,
    },
    /// A flat amount for a feature that is no model.
    Flat {
        /// The amount.
        credits: Credits,
        /// What it is for.
        description: String,
    },
}

/// What a request of this kind may have and may leave out.
#[derive(Clone, Copy)]
struct Rules {
    allows_max: bool,
    needs_usage: bool,
}

impl PricedRequest {
    /// The names of a priced request's fields, for whoever reads the body that it is part of.
    pub const FIELDS: [&'static str; 7] = [
        "model",
        "usage",
        "usage_format",
        "usage_max",
        "items",
        "credits",
        "description",
    ];

    /// Reads the priced request among a body's fields. The body may have others, which are not looked at.
    /// `usage_max` is a field of requests that ask for a ceiling only.
    ///
    /// # Errors
    /// `invalid_request` for a field that is missing, of the wrong type, or does not belong beside the
    /// others; `unknown_usage_format`, `unknown_meter`, `invalid_quantity`, `invalid_credits` and
    /// `amount_too_large` at the field that is at fault.
    pub fn parse(fields: &Fields<'_>, allows_max: bool) -> Result<PricedRequest, Refusal> {
        PricedRequest::read(
            fields,
            Rules {
                allows_max,
                needs_usage: true,
            },
        )
    }

    /// Reads a priced request whose `usage` may be left out, as in the question what would be affordable.
    ///
    /// # Errors
    /// As [`PricedRequest::parse`].
    pub fn parse_open(fields: &Fields<'_>) -> Result<PricedRequest, Refusal> {
        PricedRequest::read(
            fields,
            Rules {
                allows_max: false,
                needs_usage: false,
            },
        )
    }

    fn read(fields: &Fields<'_>, rules: Rules) -> Result<PricedRequest, Refusal> {
        let Some(items) = fields.get("items") else {
            return Ok(PricedRequest {
                items: vec![read_item(fields, "", rules)?],
            });
        };
        refuse_beside(
            fields,
            &[MODEL_FIELDS.as_slice(), &FLAT_FIELDS].concat(),
            "items",
        )?;
        let Value::List(items) = items else {
            return Err(fields.wrong("items", "an array", items));
        };
        if items.is_empty() || items.len() > MOST_ITEMS {
            let detail = format!(
                "a workflow has 1 to {MOST_ITEMS} items, not {}",
                items.len()
            );
            return Err(Refusal::new(Code::InvalidRequest, detail).at(&fields.path("items")));
        }
        let names = [MODEL_FIELDS.as_slice(), &FLAT_FIELDS].concat();
        let items = fields.list("items", |item, path| {
            read_item(&Fields::read(item, path, &names)?, path, rules)
        })?;
        Ok(PricedRequest { items })
    }

    /// The same request at its ceiling, where every item uses the most it may. `None` if no item states it.
    pub fn at_ceiling(&self) -> Option<PricedRequest> {
        let states_ceiling = |item: &Item| {
            matches!(
                item,
                Item::Model {
                    usage_max: Some(_),
                    ..
                }
            )
        };
        let at_ceiling = |item: &Item| match item {
            Item::Model {
                model,
                usage_max: Some(most),
                path,
                ..
            } => Item::Model {
                model: model.clone(),
                usage: *most,
                usage_max: None,
                path: path.clone(),
            },
            item => item.clone(),
        };
        self.items
            .iter()
            .any(states_ceiling)
            .then(|| PricedRequest {
                items: self.items.iter().map(at_ceiling).collect(),
            })
    }

    /// The model and usage of a request that is one call of one model.
    pub fn single_model(&self) -> Option<(&str, &Quantities)> {
        match self.items.as_slice() {
            [Item::Model { model, usage, .. }] => Some((model, usage)),
            _ => None,
        }
    }

    /// The models that the request names, in order, as often as it names them.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Model { model, .. } => Some(model.as_str()),
            Item::Flat { .. } => None,
        })
    }
}

fn read_item(fields: &Fields<'_>, path: &str, rules: Rules) -> Result<Item, Refusal> {
    if fields.get("model").is_some() {
        refuse_beside(fields, &FLAT_FIELDS, "model")?;
        return read_model(fields, path, rules);
    }
    if FLAT_FIELDS.iter().any(|name| fields.get(name).is_some()) {
        refuse_beside(fields, &MODEL_FIELDS, "credits")?;
        return read_flat(fields);
    }
    Err(fields.missing("model"))
}

fn read_model(fields: &Fields<'_>, path: &str, rules: Rules) -> Result<Item, Refusal> {
    let model = fields.text("model")?.to_owned();
    let format = match fields.optional_text("usage_format")? {
        Some(name) => UsageFormat::parse(name, &fields.path("usage_format"))?,
        None => UsageFormat::default(),
    };
    let usage = match fields.get("usage") {
        Some(usage) => format.read(usage, &fields.path("usage"))?,
        None if rules.needs_usage => return Err(fields.missing("usage")),
        None => Quantities::NONE,
    };
    if !rules.allows_max && fields.get("usage_max").is_some() {
        let detail = "the field `usage_max` is unknown here; it belongs to estimates";
        return Err(Refusal::new(Code::InvalidRequest, detail).at(&fields.path("usage_max")));
    }
    let usage_max = match fields.get("usage_max") {
        Some(over) => Some(format.read_over(&usage, over, &fields.path("usage_max"))?),
        None => None,
    };
    Ok(Item::Model {
        model,
        usage,
        usage_max,
        path: path.to_owned(),
    })
}

fn read_flat(fields: &Fields<'_>) -> Result<Item, Refusal> {
    let value = fields
        .get("credits")
        .ok_or_else(|| fields.missing("credits"))?;
    let credits = Credits::parse(value, &fields.path("credits"))?;
    let description = fields.text("description")?;
    if !(1..=LONGEST_DESCRIPTION).contains(&description.chars().count()) {
        let detail = format!("a description has 1 to {LONGEST_DESCRIPTION} characters");
        return Err(Refusal::new(Code::InvalidRequest, detail).at(&fields.path("description")));
    }
    Ok(Item::Flat {
        credits,
        description: description.to_owned(),
    })
}

/// Refuses fields that do not belong beside the one that decides what the request is.
fn refuse_beside(fields: &Fields<'_>, names: &[&str], decisive: &str) -> Result<(), Refusal> {
    match names.iter().find(|name| fields.get(name).is_some()) {
        None => Ok(()),
        Some(name) => {
            let detail = format!("`{name}` does not go with `{decisive}`");
            Err(Refusal::new(Code::InvalidRequest, detail).at(&fields.path(name)))
        }
    }
}
