//! The hash of a catalog's content.

use sha2::{Digest, Sha256};

use crate::credits::Credits;
use crate::model::Model;
use crate::pack::Pack;
use crate::plan::{Feature, Perk, Plan};

/// The hash of a catalog, over a form that is independent of how its JSON is written.
///
/// The form is a sequence of texts, each written as its length in bytes, a colon and its bytes, so that no
/// two catalogs share one. Amounts and rates are in micro-credits, an allowance that is not given is `-`,
/// and every list is preceded by its length. The sequence is: `catalog 1`, the increment; of each model its
/// id, name, modality, tags and rates (meters, per, rate); of each plan its id, name, family, daily,
/// monthly and features by name (name, `limit` or `static`, figure); of each perk its id, name and models; of each
/// pack its id, name, credits, price and days.
pub(super) fn of(
    increment: Credits,
    models: &[Model],
    plans: &[Plan],
    perks: &[Perk],
    packs: &[Pack],
) -> String {
    let mut form = Form(Sha256::new());
    form.text("catalog 1");
    form.credits(increment);
    form.list(models, |form, model| {
        form.text(&model.id);
        form.text(&model.name);
        form.text(model.modality.as_str());
        form.list(&model.own_tags, |form, tag| form.text(tag));
        form.list(&model.rates, |form, rate| {
            form.list(rate.meters(), |form, meter| form.text(meter.as_str()));
            form.number(rate.per());
            form.number(rate.micros());
        });
    });
    form.list(plans, |form, plan| {
        form.text(&plan.id);
        form.text(&plan.name);
        form.text(plan.family.as_str());
        form.allowance(plan.daily);
        form.allowance(plan.monthly);
        form.number(plan.features.len() as u64);
        for (name, feature) in plan.features.iter() {
            let (kind, figure) = match feature {
                Feature::Limit { limit } => ("limit", limit),
                Feature::Static { value } => ("static", value),
            };
            form.text(name);
            form.text(kind);
            form.number(*figure);
        }
    });
    form.list(perks, |form, perk| {
        form.text(&perk.id);
        form.text(&perk.name);
        form.list(&perk.models, |form, model| form.text(model));
    });
    form.list(packs, |form, pack| {
        form.text(&pack.id);
        form.text(&pack.name);
        form.credits(pack.credits);
        form.number(pack.price_cents);
        form.number(pack.valid_days);
    });
    form.finish()
}

/// The canonical form, fed to the hash as it is written.
struct Form(Sha256);

impl Form {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_string());
        self.0.update(":");
        self.0.update(text);
    }

    fn number(&mut self, number: u64) {
        self.text(&number.to_string());
    }

    /// No amount of a catalog is negative.
    fn credits(&mut self, credits: Credits) {
        self.number(credits.micros().unsigned_abs());
    }

    fn allowance(&mut self, credits: Option<Credits>) {
        match credits {
            Some(credits) => self.credits(credits),
            None => self.text("-"),
        }
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Form, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn finish(self) -> String {
        base16ct::lower::encode_string(&self.0.finalize())
    }
}
