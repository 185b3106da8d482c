//! The outbox: what an account still has to tell others. It is written together with what makes it necessary, and
//! an alarm sees to it that it is told, whatever happens in between.

use std::cell::Cell;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::durable::Storage;
use worker::{Date, SqlStorage, State};

use crate::problem::Problem;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS outbox (
    kind TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID";

#[wasm_bindgen]
extern "C" {
    /// The runtime's storage, as far as setting an alarm without waiting for it: the alarm is then part of what is
    /// written in the same step.
    type AlarmStorage;

    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm(this: &AlarmStorage, time: f64) -> Result<JsValue, JsValue>;
}

/// What is still to be told, at most one of a kind.
pub(crate) struct Outbox {
    sql: SqlStorage,
    storage: Storage,
    /// Whether this step put something in that is to be told at once.
    is_fresh: Cell<bool>,
}

impl Outbox {
    pub(crate) fn new(state: &State) -> Outbox {
        let storage = state.storage();
        Outbox {
            sql: storage.sql(),
            storage,
            is_fresh: Cell::new(false),
        }
    }

    /// Puts something in, in place of what was there of its kind, and sets the alarm that will tell it if nobody
    /// does before.
    pub(crate) fn put(
        &self,
        kind: &str,
        body: &impl Serialize,
        after_ms: u64,
    ) -> Result<(), Problem> {
        self.sql.exec(SCHEMA, vec![])?;
        self.sql.exec(
            "INSERT OR REPLACE INTO outbox (kind, body) VALUES (?,?)",
            vec![kind.into(), serde_json::to_string(body)?.into()],
        )?;
        self.set_alarm(after_ms)?;
        self.is_fresh.set(true);
        Ok(())
    }

    /// What is there of this kind.
    pub(crate) fn get<T: DeserializeOwned>(&self, kind: &str) -> Result<Option<T>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            body: String,
        }
        self.sql.exec(SCHEMA, vec![])?;
        let rows: Vec<Row> = self
            .sql
            .exec("SELECT body FROM outbox WHERE kind = ?", vec![kind.into()])?
            .to_array()?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    pub(crate) fn remove(&self, kind: &str) -> Result<(), Problem> {
        self.sql
            .exec("DELETE FROM outbox WHERE kind = ?", vec![kind.into()])?;
        Ok(())
    }

    /// Whether something was put in since this was last asked.
    pub(crate) fn take_fresh(&self) -> bool {
        self.is_fresh.replace(false)
    }

    /// The database that the outbox is in.
    pub(crate) fn sql(&self) -> &SqlStorage {
        &self.sql
    }

    /// Sets the object's alarm, so many milliseconds from now.
    pub(crate) fn set_alarm(&self, after_ms: u64) -> Result<(), Problem> {
        let storage: &AlarmStorage = self.storage.as_raw().unchecked_ref();
        let time = Date::now().as_millis().saturating_add(after_ms);
        storage
            .set_alarm(time as f64)
            .map(|_| ())
            .map_err(|error| Problem::Fault(format!("the alarm was not set: {error:?}")))
    }
}
