//! The outbox: what an account still has to tell others. It is written together with what makes it necessary, and
//! an alarm sees to it that it is told, whatever happens in between.
//!
//! An object has one alarm: it is set for whatever is due first.

use std::cell::Cell;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::durable::Storage;
use worker::{Date, SqlStorageValue, State};

use crate::database::Database;
use crate::problem::Problem;

const SCHEMA: &str = "CREATE TABLE outbox (
    kind TEXT PRIMARY KEY, body TEXT NOT NULL, due_at INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID";
/// What a table lacks that an earlier version made.
const LATER_COLUMNS: &str = "ALTER TABLE outbox ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0";

/// How much is told at one alarm. What is left has the next.
const MOST_AT_ONCE: i64 = 50;

#[wasm_bindgen]
extern "C" {
    /// The runtime's storage, as far as setting an alarm without waiting for it: the alarm is then part of what is
    /// written in the same step.
    type AlarmStorage;

    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm(this: &AlarmStorage, time: f64) -> Result<JsValue, JsValue>;
}

/// What is still to be told, each under a name of its own.
pub(crate) struct Outbox {
    database: Database,
    storage: Storage,
    /// Whether this step put something in that is to be told at once.
    is_fresh: Cell<bool>,
}

/// Something that is due.
#[derive(Deserialize)]
pub(crate) struct Due {
    #[serde(rename = "kind")]
    pub(crate) name: String,
    pub(crate) body: String,
    /// How often it was tried in vain.
    pub(crate) tries: usize,
}

impl Outbox {
    pub(crate) fn new(state: &State) -> Outbox {
        let storage = state.storage();
        Outbox {
            database: Database::of(&storage),
            storage,
            is_fresh: Cell::new(false),
        }
    }

    /// Puts something in, in place of what was there under its name, and sets the alarm that will tell it if nobody
    /// does before.
    pub(crate) fn put(
        &self,
        name: &str,
        body: &impl Serialize,
        after_ms: u64,
    ) -> Result<(), Problem> {
        self.insert(name, &serde_json::to_string(body)?, after_ms)?;
        self.is_fresh.set(true);
        self.set_alarm(0)
    }

    /// Puts something in without setting the alarm, which [`Outbox::set_alarm`] must do in the same step.
    pub(crate) fn insert(&self, name: &str, body: &str, after_ms: u64) -> Result<(), Problem> {
        self.make_table()?;
        self.database.run(
            "INSERT OR REPLACE INTO outbox (kind, body, due_at, tries) VALUES (?,?,?,0)",
            vec![name.into(), body.into(), from_now(after_ms)],
        )
    }

    /// What is there under this name.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            body: String,
        }
        self.make_table()?;
        let rows: Vec<Row> = self
            .database
            .rows("SELECT body FROM outbox WHERE kind = ?", vec![name.into()])?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Problem> {
        self.database
            .run("DELETE FROM outbox WHERE kind = ?", vec![name.into()])
    }

    /// What is due now, the first first.
    pub(crate) fn due(&self) -> Result<Vec<Due>, Problem> {
        self.make_table()?;
        self.database.rows(
            "SELECT kind, body, tries FROM outbox WHERE due_at <= ? ORDER BY due_at, kind LIMIT ?",
            vec![from_now(0), SqlStorageValue::Integer(MOST_AT_ONCE)],
        )
    }

    /// Has something that was tried in vain tried again after so long.
    pub(crate) fn postpone(&self, name: &str, after_ms: u64) -> Result<(), Problem> {
        self.database.run(
            "UPDATE outbox SET due_at = ?, tries = tries + 1 WHERE kind = ?",
            vec![from_now(after_ms), name.into()],
        )
    }

    /// Lets whatever has a name that begins so wait for at least so long. It was not tried.
    pub(crate) fn hold_back(&self, prefix: &str, after_ms: u64) -> Result<(), Problem> {
        let until = from_now(after_ms);
        self.database.run(
            "UPDATE outbox SET due_at = max(due_at, ?) WHERE substr(kind, 1, length(?)) = ?",
            vec![until, prefix.into(), prefix.into()],
        )
    }

    /// Sets the object's alarm for what is due first, if there is anything, but not before so long.
    pub(crate) fn set_alarm(&self, after_ms: u64) -> Result<(), Problem> {
        #[derive(Deserialize)]
        struct Row {
            due_at: Option<f64>,
        }
        self.make_table()?;
        let rows: Vec<Row> = self
            .database
            .rows("SELECT min(due_at) AS due_at FROM outbox", vec![])?;
        let Some(due_at) = rows.first().and_then(|row| row.due_at) else {
            return Ok(());
        };
        let earliest = Date::now().as_millis().saturating_add(after_ms);
        let storage: &AlarmStorage = self.storage.as_raw().unchecked_ref();
        storage
            .set_alarm(due_at.max(earliest as f64))
            .map(|_| ())
            .map_err(|error| Problem::Fault(format!("the alarm was not set: {error:?}")))
    }

    /// Whether something was put in since this was last asked.
    pub(crate) fn take_fresh(&self) -> bool {
        self.is_fresh.replace(false)
    }

    /// The database that the outbox is in.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    fn make_table(&self) -> Result<(), Problem> {
        #[derive(Deserialize)]
        struct Row {
            sql: String,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'outbox'",
            vec![],
        )?;
        match rows.first() {
            None => self.database.run(SCHEMA, vec![]),
            Some(row) if !row.sql.contains("due_at") => self.database.run(LATER_COLUMNS, vec![]),
            Some(_) => Ok(()),
        }
    }
}

fn from_now(after_ms: u64) -> SqlStorageValue {
    let time = Date::now().as_millis().saturating_add(after_ms);
    SqlStorageValue::Integer(i64::try_from(time).unwrap_or(i64::MAX))
}
