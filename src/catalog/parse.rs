//! Reading a catalog: everything that could make a price wrong later is refused here.

use super::parts::{
    checked_identifier, credits, id, identifier, name, one_of, refuse, text, unique,
};
use super::{Catalog, Identified, Listing, hash};
use crate::credits::Credits;
use crate::meter::Meter;
use crate::model::{Modality, Model};
use crate::pack::{LONGEST_DAYS, Pack};
use crate::plan::{Family, Feature, Features, Perk, Plan};
use crate::rate::{LARGEST_PER, Rate, least_common_multiple};
use crate::refusal::Refusal;
use crate::value::{Fields, Value, join};

/// The largest whole number up to which doubles have no gaps: 2⁵³ - 1.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// Reads a catalog. The code of its refusals is the caller's business.
pub(super) fn catalog(value: &Value) -> Result<Catalog, Refusal> {
    let fields = Fields::read(
        value,
        "",
        &["increment", "models", "plans", "perks", "packs", "hash"],
    )?;
    // What GET /v1/catalog answers is a catalog too, so a hash may be there. It is never trusted.
    fields.optional_text("hash")?;
    let increment = credits(&fields, "increment")?.ok_or_else(|| fields.missing("increment"))?;
    let models = listing(&fields, "models", model)?;
    has_common_denominator(&models.items)?;
    let plans = listing(&fields, "plans", plan)?;
    let perks = listing(&fields, "perks", perk)?;
    for (position, perk) in perks.items.iter().enumerate() {
        for (place, id) in perk.models.iter().enumerate() {
            if models.find(id).is_none() {
                let path = format!("perks[{position}].models[{place}]");
                return Err(refuse(&path, format!("the catalog has no model `{id}`")));
            }
        }
    }
    let packs = listing(&fields, "packs", pack)?;
    let hash = hash::of(
        increment,
        &models.items,
        &plans.items,
        &perks.items,
        &packs.items,
    );
    Ok(Catalog {
        increment,
        models,
        plans,
        perks,
        packs,
        hash,
    })
}

fn model(value: &Value, path: &str) -> Result<Model, Refusal> {
    let fields = Fields::read(value, path, &["id", "name", "modality", "tags", "rates"])?;
    let modality = one_of(
        &fields,
        "modality",
        Modality::parse,
        "text, image, video or audio",
    )?;
    let rates = fields.list("rates", rate)?;
    if rates.is_empty() {
        return Err(refuse(
            &fields.path("rates"),
            "a model has at least one rate".to_owned(),
        ));
    }
    let mut priced: Vec<Meter> = Vec::new();
    for meter in rates.iter().flat_map(Rate::meters) {
        if priced.contains(meter) {
            let detail = format!("the meter `{meter}` is priced twice");
            return Err(refuse(&fields.path("rates"), detail));
        }
        priced.push(*meter);
    }
    let model = Model {
        id: id(&fields)?,
        name: name(&fields)?,
        modality,
        own_tags: unique(&fields, "tags", fields.list("tags", identifier)?)?,
        rates,
    };
    // Such a tag would be there twice, or make the model something that it is not.
    let implied = |tag: &String| tag == "multimodal" || Modality::parse(tag).is_some();
    match model.own_tags.iter().find(|tag| implied(tag)) {
        Some(tag) => Err(refuse(
            &fields.path("tags"),
            format!("the modality decides about the tag `{tag}`"),
        )),
        None => Ok(model),
    }
}

fn rate(value: &Value, path: &str) -> Result<Rate, Refusal> {
    let fields = Fields::read(value, path, &["meters", "per", "rate"])?;
    let meters = fields.list("meters", |value, path| {
        let name = text(value, path)?;
        Meter::parse(name).ok_or_else(|| refuse(path, format!("`{name}` is not a meter")))
    })?;
    if meters.is_empty() {
        return Err(refuse(
            &fields.path("meters"),
            "a rate has at least one meter".to_owned(),
        ));
    }
    let per = fields.whole("per", 1, LARGEST_PER)?;
    let value = fields.given("rate").ok_or_else(|| fields.missing("rate"))?;
    let credits = Credits::parse(value, &fields.path("rate"))?;
    Rate::new(meters, per, credits)
        .ok_or_else(|| refuse(path, "the rate is out of bounds".to_owned()))
}

/// The rates of one charge are added over their common denominator, which must therefore stay small.
fn has_common_denominator(models: &[Model]) -> Result<(), Refusal> {
    let rates = models.iter().flat_map(|model| &model.rates);
    rates
        .map(|rate| u128::from(rate.per()))
        .try_fold(1, least_common_multiple_within_bounds)
        .map(|_| ())
        .ok_or_else(|| {
            let detail = "the least common multiple of all `per` must be at most 1000000000000";
            refuse("models", detail.to_owned())
        })
}

fn least_common_multiple_within_bounds(left: u128, right: u128) -> Option<u128> {
    least_common_multiple(left, right).filter(|multiple| *multiple <= u128::from(LARGEST_PER))
}

fn plan(value: &Value, path: &str) -> Result<Plan, Refusal> {
    let names = ["id", "name", "family", "daily", "monthly", "features"];
    let fields = Fields::read(value, path, &names)?;
    let family = |name: &str| {
        [Family::Current, Family::Legacy]
            .into_iter()
            .find(|f| f.as_str() == name)
    };
    Ok(Plan {
        id: id(&fields)?,
        name: name(&fields)?,
        family: one_of(&fields, "family", family, "current or legacy")?,
        daily: credits(&fields, "daily")?,
        monthly: credits(&fields, "monthly")?,
        features: features(&fields)?,
    })
}

fn features(fields: &Fields<'_>) -> Result<Features, Refusal> {
    let path = fields.path("features");
    match fields.given("features") {
        None => Ok(Features::default()),
        Some(Value::Map(entries)) => {
            let mut features = Features::default();
            for (name, value) in entries {
                let path = join(&path, name);
                features.insert(checked_identifier(name, &path)?, feature(value, &path)?);
            }
            Ok(features)
        }
        Some(other) => Err(fields.wrong("features", "an object", other)),
    }
}

fn feature(value: &Value, path: &str) -> Result<Feature, Refusal> {
    let fields = Fields::read(value, path, &["type", "limit", "value"])?;
    match fields.text("type")? {
        "limit" => {
            let fields = Fields::read(value, path, &["type", "limit"])?;
            Ok(Feature::Limit {
                limit: fields.whole("limit", 0, LARGEST_EXACT)?,
            })
        }
        "static" => {
            let fields = Fields::read(value, path, &["type", "value"])?;
            Ok(Feature::Static {
                value: fields.whole("value", 0, LARGEST_EXACT)?,
            })
        }
        other => Err(refuse(
            &fields.path("type"),
            format!("`{other}` is neither limit nor static"),
        )),
    }
}

fn perk(value: &Value, path: &str) -> Result<Perk, Refusal> {
    let fields = Fields::read(value, path, &["id", "name", "models"])?;
    let models = unique(&fields, "models", fields.list("models", identifier)?)?;
    Ok(Perk {
        id: id(&fields)?,
        name: name(&fields)?,
        models,
    })
}

fn pack(value: &Value, path: &str) -> Result<Pack, Refusal> {
    let names = ["id", "name", "credits", "price_cents", "valid_days"];
    let fields = Fields::read(value, path, &names)?;
    Ok(Pack {
        id: id(&fields)?,
        name: name(&fields)?,
        credits: credits(&fields, "credits")?.ok_or_else(|| fields.missing("credits"))?,
        price_cents: fields.whole("price_cents", 0, LARGEST_EXACT)?,
        valid_days: fields.whole("valid_days", 1, LONGEST_DAYS)?,
    })
}

/// A list whose items have ids, no two the same.
fn listing<T: Identified>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Value, &str) -> Result<T, Refusal>,
) -> Result<Listing<T>, Refusal> {
    let items = fields.list(name, read)?;
    Listing::new(items).map_err(|position| {
        let path = format!("{}[{position}].id", fields.path(name));
        refuse(&path, "the id came before".to_owned())
    })
}
