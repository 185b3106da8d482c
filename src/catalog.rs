//! The catalog: models, plans, perks and packs as data, with a hash that says which prices were in force.

mod hash;
mod parse;
mod parts;

use serde::Serialize;

use crate::credits::Credits;
use crate::model::Model;
use crate::pack::Pack;
use crate::plan::{Perk, Plan};
use crate::refusal::{Code, Refusal};
use crate::value::Value;

/// The published catalog, as JSON text: the guide's models, prices and plans.
pub const PUBLISHED: &str = include_str!("../catalog/published.json");

/// A catalog that was checked: every reference in it leads somewhere, and its prices add up exactly.
///
/// It serialises to what [`Catalog::parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Catalog {
    increment: Credits,
    models: Listing<Model>,
    plans: Listing<Plan>,
    perks: Listing<Perk>,
    packs: Listing<Pack>,
    hash: String,
}

impl Catalog {
    /// Reads a catalog. Its `hash`, if it states one, is computed anew.
    ///
    /// # Errors
    /// `invalid_catalog`, at the field that is at fault.
    pub fn parse(value: &Value) -> Result<Catalog, Refusal> {
        parse::catalog(value).map_err(|refusal| refusal.coded(Code::InvalidCatalog))
    }

    /// What charges are rounded up to a multiple of.
    pub fn increment(&self) -> Credits {
        self.increment
    }

    /// The models, in the order in which the catalog lists them.
    pub fn models(&self) -> &[Model] {
        &self.models.items
    }

    /// The plans, in the order in which the catalog lists them.
    pub fn plans(&self) -> &[Plan] {
        &self.plans.items
    }

    /// The perks, in the order in which the catalog lists them.
    pub fn perks(&self) -> &[Perk] {
        &self.perks.items
    }

    /// The model of this id, if the catalog has it.
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.find(id)
    }

    /// The plan of this id, if the catalog has it.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.find(id)
    }

    /// The perk of this id, if the catalog has it.
    pub fn perk(&self, id: &str) -> Option<&Perk> {
        self.perks.find(id)
    }

    /// The packs, in the order in which the catalog lists them.
    pub fn packs(&self) -> &[Pack] {
        &self.packs.items
    }

    /// The pack of this id, if the catalog has it.
    pub fn pack(&self, id: &str) -> Option<&Pack> {
        self.packs.find(id)
    }

    /// The SHA-256 of the catalog's content, in hexadecimal: 64 characters. Formatting and the order of an
    /// object's fields do not count; the order of lists does, since it is what a reader of the catalog sees.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// What a catalog lists under ids.
trait Identified {
    fn id(&self) -> &str;
}

impl Identified for Model {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Plan {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Perk {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Pack {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Items in the order of the catalog, and found by id in logarithmic time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct Listing<T> {
    items: Vec<T>,
    // INVARIANT: the positions of all items, by ascending id; no id comes twice.
    #[serde(skip)]
    by_id: Vec<usize>,
}

impl<T: Identified> Listing<T> {
    /// Lists items, or gives back the position of the first whose id came before.
    fn new(items: Vec<T>) -> Result<Listing<T>, usize> {
        let ids: Vec<&str> = items.iter().map(Identified::id).collect();
        let by_id = ordered(&ids)?;
        Ok(Listing { items, by_id })
    }

    fn find(&self, id: &str) -> Option<&T> {
        let id_at = |position: &usize| self.items.get(*position).map_or("", |item| item.id());
        let place = self
            .by_id
            .binary_search_by(|position| id_at(position).cmp(id))
            .ok()?;
        self.items.get(*self.by_id.get(place)?)
    }
}

/// The positions of ids, by ascending id, or the position of the first that came before.
fn ordered(ids: &[&str]) -> Result<Vec<usize>, usize> {
    let mut by_id: Vec<usize> = Vec::with_capacity(ids.len());
    for (position, id) in ids.iter().enumerate() {
        match by_id.binary_search_by(|known| ids.get(*known).cmp(&Some(id))) {
            Ok(_) => return Err(position),
            Err(place) => by_id.insert(place, position),
        }
    }
    Ok(by_id)
}
