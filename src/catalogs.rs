//! Which catalog is in force when: the first one from the beginning, later ones each from an instant.

use std::rc::Rc;

use crate::catalog::Catalog;
use crate::command::nullable_instant;
use crate::refusal::{Code, Refusal};
use crate::time::Instant;
use crate::value::{Fields, Value};

/// How long ago a publication may say that it takes effect, in milliseconds: as much as a message takes to arrive.
const LATE_MS: i64 = 60_000;

/// A catalog that is in force from an instant, until the next one.
#[derive(Clone, Debug)]
pub struct Version {
    /// From when.
    pub effective_at: Instant,
    /// What is in force then.
    pub catalog: Rc<Catalog>,
}

/// The catalogs of all times.
///
/// What is priced is priced by the catalog of that moment, and a day or a period has the allowance of the catalog
/// in force when it begins: so it does not matter when somebody looks.
#[derive(Clone, Copy, Debug)]
pub struct Catalogs<'a> {
    first: &'a Catalog,
    // INVARIANT: in the order of their instants.
    later: &'a [Version],
}

impl<'a> Catalogs<'a> {
    /// A first catalog, and those after it in the order in which they take effect.
    pub fn new(first: &'a Catalog, later: &'a [Version]) -> Catalogs<'a> {
        Catalogs { first, later }
    }

    /// The catalog in force at an instant.
    pub fn at(&self, at: Instant) -> &'a Catalog {
        let begun = self.begun_by(at).checked_sub(1);
        match begun.and_then(|last| self.later.get(last)) {
            Some(version) => &version.catalog,
            None => self.first,
        }
    }

    /// When the catalog changes next after an instant.
    pub fn next_change(&self, after: Instant) -> Option<Instant> {
        let next = self.later.get(self.begun_by(after))?;
        Some(next.effective_at)
    }

    /// Whether this catalog may take effect at an instant: accounts are on plans, have perks, and pay for packs, so
    /// that none of these may ever go away. What is not wanted any more is no longer offered.
    ///
    /// # Errors
    /// `invalid_catalog`, at the list that lacks something.
    pub fn check(&self, catalog: &Catalog, effective_at: Instant) -> Result<(), Refusal> {
        keeps_what(self.at(effective_at), catalog)?;
        match self.later.get(self.begun_by(effective_at)) {
            Some(next) => keeps_what(catalog, &next.catalog),
            None => Ok(()),
        }
    }

    fn begun_by(&self, at: Instant) -> usize {
        self.later
            .partition_point(|version| version.effective_at <= at)
    }
}

/// A single catalog is in force at all times.
impl<'a> From<&'a Catalog> for Catalogs<'a> {
    fn from(first: &'a Catalog) -> Catalogs<'a> {
        Catalogs { first, later: &[] }
    }
}

/// A catalog that an operator publishes.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The catalog.
    pub catalog: Catalog,
    /// From when it is to be in force; at once if nothing is said.
    pub effective_at: Option<Instant>,
}

impl Publication {
    /// Reads `{catalog, effective_at?}`. An instant that has only just passed means at once.
    ///
    /// # Errors
    /// `invalid_catalog`; `invalid_request` for an instant in the past, for what was priced stays as it is.
    pub fn parse(body: &Value, now: Instant) -> Result<Publication, Refusal> {
        let fields = Fields::read(body, "", &["catalog", "effective_at"])?;
        let effective_at = nullable_instant(&fields, "effective_at")?;
        if effective_at.is_some_and(|at| at.after_millis(LATE_MS) < now) {
            let detail =
                "a catalog takes effect now or later: what was priced before stays as it is";
            return Err(Refusal::new(Code::InvalidRequest, detail).at("effective_at"));
        }
        let catalog = fields
            .get("catalog")
            .ok_or_else(|| fields.missing("catalog"))?;
        Ok(Publication {
            catalog: Catalog::parse(catalog).map_err(|refusal| refusal.within("catalog"))?,
            effective_at: effective_at.map(|at| at.max(now)),
        })
    }
}

/// Whether everything that an account may refer to is still there.
fn keeps_what(before: &Catalog, after: &Catalog) -> Result<(), Refusal> {
    let plans = before.plans().iter().map(|plan| &plan.id);
    let perks = before.perks().iter().map(|perk| &perk.id);
    let packs = before.packs().iter().map(|pack| &pack.id);
    let lost = |list: &'static str, id: &String| {
        let detail = format!("`{id}` is missing: accounts may refer to it, so that it has to stay");
        Err(Refusal::new(Code::InvalidCatalog, detail).at(list))
    };
    for id in plans {
        if after.plan(id).is_none() {
            return lost("catalog.plans", id);
        }
    }
    for id in perks {
        if after.perk(id).is_none() {
            return lost("catalog.perks", id);
        }
    }
    for id in packs {
        if after.pack(id).is_none() {
            return lost("catalog.packs", id);
        }
    }
    Ok(())
}
