//! The catalog in force: the published one, read once in the life of an isolate.

use std::cell::OnceCell;
use std::rc::Rc;

use edge_credits::catalog::{Catalog, PUBLISHED};

use crate::problem::Problem;

thread_local! {
    static CATALOG: OnceCell<Rc<Catalog>> = const { OnceCell::new() };
}

/// The catalog in force.
///
/// # Errors
/// If the published catalog cannot be read, which its tests exclude.
pub(crate) fn catalog() -> Result<Rc<Catalog>, Problem> {
    CATALOG.with(|cell| {
        if let Some(catalog) = cell.get() {
            return Ok(catalog.clone());
        }
        let catalog = Rc::new(Catalog::parse(&serde_json::from_str(PUBLISHED)?)?);
        Ok(cell.get_or_init(|| catalog).clone())
    })
}
