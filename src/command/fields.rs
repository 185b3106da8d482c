//! The fields that several commands have, each read in one way.

use crate::catalog::Catalog;
use crate::charge::OnExcess;
use crate::credits::Credits;
use crate::grant::{Category, GrantKind};
use crate::hold::LONGEST_TTL_SECONDS;
use crate::refusal::{Code, Refusal};
use crate::request::PricedRequest;
use crate::time::Instant;
use crate::value::{Fields, Value};

/// The longest display name, in characters.
const LONGEST_NAME: usize = 80;
/// The most tags of a scope.
const MOST_TAGS: usize = 16;

/// The fields of a priced request and these others.
pub(super) fn priced_fields<'a>(body: &'a Value, others: &[&str]) -> Result<Fields<'a>, Refusal> {
    let names: Vec<&str> = PricedRequest::FIELDS
        .iter()
        .chain(others)
        .copied()
        .collect();
    Fields::read(body, "", &names)
}

pub(super) fn known_plan(name: &str, catalog: &Catalog) -> Result<String, Refusal> {
    match catalog.plan(name) {
        Some(plan) => Ok(plan.id.clone()),
        None => {
            Err(Refusal::new(Code::UnknownPlan, format!("there is no plan `{name}`")).at("plan"))
        }
    }
}

pub(super) fn known_perk(name: &str, catalog: &Catalog) -> Result<String, Refusal> {
    match catalog.perk(name) {
        Some(perk) => Ok(perk.id.clone()),
        None => Err(Refusal::new(
            Code::UnknownPerk,
            format!("there is no perk `{name}`"),
        )),
    }
}

pub(super) fn is_display_name(name: &str) -> bool {
    let length = name.trim().chars().count();
    (1..=LONGEST_NAME).contains(&length) && !name.chars().any(char::is_control)
}

pub(super) fn instant(fields: &Fields<'_>, name: &str) -> Result<Option<Instant>, Refusal> {
    fields
        .optional_text(name)?
        .map(|text| Instant::parse(text, name))
        .transpose()
}

/// A grant shows `null` for a time that it has not, and may be given so.
pub(crate) fn nullable_instant(
    fields: &Fields<'_>,
    name: &str,
) -> Result<Option<Instant>, Refusal> {
    fields
        .given(name)
        .map_or(Ok(None), |_| instant(fields, name))
}

pub(super) fn ttl_seconds(fields: &Fields<'_>) -> Result<Option<u32>, Refusal> {
    fields.optional_whole("ttl_seconds", 1, LONGEST_TTL_SECONDS)
}

pub(super) fn on_excess(fields: &Fields<'_>) -> Result<Option<OnExcess>, Refusal> {
    match fields.optional_text("on_excess")? {
        None => Ok(None),
        Some("owe") => Ok(Some(OnExcess::Owe)),
        Some("forgive") => Ok(Some(OnExcess::Forgive)),
        Some("reject") => Ok(Some(OnExcess::Reject)),
        Some(other) => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`on_excess` is `owe`, `forgive` or `reject`, not `{other}`"),
        )
        .at("on_excess")),
    }
}

pub(crate) fn positive_credits(value: &Value) -> Result<Credits, Refusal> {
    let credits = Credits::parse(value, "credits")?;
    if credits.is_positive() {
        Ok(credits)
    } else {
        Err(Refusal::new(Code::InvalidCredits, "`credits` must be more than 0").at("credits"))
    }
}

pub(super) fn grant_kind(name: &str) -> Result<GrantKind, Refusal> {
    GrantKind::GIVEN
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or_else(|| {
            let known = GrantKind::GIVEN.map(GrantKind::as_str).join(", ");
            let detail =
                format!("`{name}` is no kind of grant that can be given; those are {known}");
            Refusal::new(Code::InvalidRequest, detail).at("kind")
        })
}

pub(super) fn category(fields: &Fields<'_>) -> Result<Option<Category>, Refusal> {
    match fields.optional_text("category")? {
        None => Ok(None),
        Some("promo") => Ok(Some(Category::Promo)),
        Some("paid") => Ok(Some(Category::Paid)),
        Some(other) => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`category` is `promo` or `paid`, not `{other}`"),
        )
        .at("category")),
    }
}

/// A scope of tags that models have: one that no model has would lock the credits away.
pub(crate) fn scope(
    fields: &Fields<'_>,
    catalog: &Catalog,
) -> Result<Option<Vec<String>>, Refusal> {
    if fields.given("scope").is_none() {
        return Ok(None);
    }
    let tags = fields.optional_texts("scope")?.unwrap_or_default();
    let refuse = |detail: String| Err(Refusal::new(Code::InvalidRequest, detail).at("scope"));
    if tags.is_empty() || tags.len() > MOST_TAGS {
        return refuse(format!("`scope` has 1 to {MOST_TAGS} tags, or is left out"));
    }
    for tag in &tags {
        if !catalog
            .models()
            .iter()
            .any(|model| model.tags().any(|known| known == *tag))
        {
            return refuse(format!("no model has the tag `{tag}`"));
        }
    }
    Ok(Some(tags.into_iter().map(str::to_owned).collect()))
}
