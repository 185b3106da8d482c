//! The catalogs that replace one another: the published one, and others with other prices and allowances.

use std::rc::Rc;

use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::catalogs::{Catalogs, Version};
use edge_credits::time::Instant;
use edge_credits::value::Value;
use serde_json::{Value as Json, json};

/// Which catalog is in force when: the first one, until others are published.
#[derive(Debug)]
pub struct InForce<'a> {
    /// All that there are.
    pub all: &'a [Rc<Catalog>],
    /// From when on which of them is in force, by its place. The last of one instant counts.
    changes: Vec<(Instant, usize)>,
    versions: Vec<Version>,
}

impl<'a> InForce<'a> {
    /// The first one at all times.
    pub fn new(all: &'a [Rc<Catalog>]) -> InForce<'a> {
        InForce {
            all,
            changes: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// Puts another into force from an instant on, until the next.
    pub fn publish(&mut self, from: Instant, place: usize) {
        self.changes.push((from, place));
        self.changes.sort_by_key(|(from, _)| *from);
        let version = |(from, place): &(Instant, usize)| Version {
            effective_at: *from,
            catalog: Rc::clone(&self.all[*place]),
        };
        self.versions = self.changes.iter().map(version).collect();
    }

    /// As the core reads them.
    pub fn for_core(&self) -> Catalogs<'_> {
        Catalogs::new(&self.all[0], &self.versions)
    }

    /// The place of the one in force at an instant: looked for without any cleverness.
    pub fn place_at(&self, at: Instant) -> usize {
        let begun = self.changes.iter().rev().find(|(from, _)| *from <= at);
        begun.map_or(0, |(_, place)| *place)
    }

    /// The one in force at an instant.
    pub fn at(&self, at: Instant) -> &'a Catalog {
        &self.all[self.place_at(at)]
    }
}

/// All catalogs. The first is the published one.
pub fn catalogs() -> Vec<Rc<Catalog>> {
    let published: Json = serde_json::from_str(PUBLISHED).expect("the published catalog is JSON");
    [
        published.clone(),
        fractions(published.clone()),
        other_allowances(published.clone()),
        fewer_models(published),
    ]
    .iter()
    .map(|json| {
        let value: Value = serde_json::from_str(&json.to_string()).expect("a tree of values");
        Rc::new(Catalog::parse(&value).expect("a catalog that can be used"))
    })
    .collect()
}

fn entry<'a>(catalog: &'a mut Json, list: &str, id: &str) -> &'a mut Json {
    catalog[list]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .find(|item| item["id"] == id)
        .expect("an item of this id")
}

/// Prices that do not come out even, a rate for each meter, and a finer increment.
fn fractions(mut catalog: Json) -> Json {
    catalog["increment"] = json!(0.01);
    entry(&mut catalog, "models", "gpt-4o")["rates"] = json!([
        {"meters": ["input_tokens"], "per": 3000, "rate": 1},
        {"meters": ["cached_input_tokens"], "per": 7000, "rate": 0.5},
        {"meters": ["output_tokens"], "per": 1000, "rate": 2.000001},
    ]);
    entry(&mut catalog, "models", "veo-3")["rates"] =
        json!([{"meters": ["seconds"], "per": 9, "rate": 1234.5}]);
    entry(&mut catalog, "models", "flux-dev")["rates"] =
        json!([{"meters": ["images"], "per": 3, "rate": 0}]);
    entry(&mut catalog, "models", "kimi-k2")["tags"] = json!(["advanced"]);
    catalog
}

/// Plans that gain an allowance, lose one, or give another; and a plan that only this catalog has.
fn other_allowances(mut catalog: Json) -> Json {
    entry(&mut catalog, "plans", "free")["monthly"] = json!(50);
    entry(&mut catalog, "plans", "starter")["daily"] = json!(120.5);
    entry(&mut catalog, "plans", "maker")["daily"] = Json::Null;
    entry(&mut catalog, "plans", "plus")["daily"] = json!(25);
    entry(&mut catalog, "plans", "pro")["monthly"] = Json::Null;
    let team = json!({
        "id": "team", "name": "Team", "family": "current", "daily": null, "monthly": 900,
        "features": {"seats": {"type": "limit", "limit": 3}},
    });
    catalog["plans"].as_array_mut().expect("a list").push(team);
    catalog
}

/// Models that are no more, a perk for others, and a coarse increment.
fn fewer_models(mut catalog: Json) -> Json {
    catalog["increment"] = json!(5);
    let gone = ["wan-2.2-fast", "bark", "gpt-4.1"];
    catalog["models"]
        .as_array_mut()
        .expect("a list")
        .retain(|model| !gone.iter().any(|id| model["id"] == *id));
    entry(&mut catalog, "perks", "early_bird")["models"] = json!(["claude-opus-4", "kimi-k2"]);
    entry(&mut catalog, "plans", "free")["features"] =
        json!({"file_uploads": {"type": "limit", "limit": 10}});
    catalog
}
