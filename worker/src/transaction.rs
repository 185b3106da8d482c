//! A synchronous transaction of an object's storage.

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::durable::Storage;

use crate::problem::Problem;

#[wasm_bindgen]
extern "C" {
    /// The runtime's storage, as far as the binding that workers-rs lacks.
    type TransactionalStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &TransactionalStorage,
        callback: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// Runs `work` so that all its writes are kept, or none: not even if it fails half-way.
///
/// # Errors
/// What `work` failed with, or the storage.
pub(crate) fn run(
    storage: &Storage,
    mut work: impl FnMut() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let storage: &TransactionalStorage = storage.as_raw().unchecked_ref();
    let mut failure = None;
    let outcome = storage.transaction_sync(&mut || match work() {
        Ok(()) => Ok(JsValue::UNDEFINED),
        Err(problem) => {
            failure = Some(problem);
            Err(JsValue::from_str("rolled back"))
        }
    });
    match (failure, outcome) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(Problem::Fault(format!("the transaction failed: {error:?}"))),
        (None, Ok(_)) => Ok(()),
    }
}
