//! The gate of an account: commands that arrive while a commit is under way wait for its end, and are then written
//! together. scripts/worker/gate.js has it, since those who wait have not come as far as this module.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// The gate of one account.
    pub type Gate;

    /// Says that something was written. Where others are on their way, the gate is shut until it is on the disk.
    #[wasm_bindgen(method, js_name = shutUntilSynced)]
    pub(crate) fn shut_until_synced(this: &Gate);
}
