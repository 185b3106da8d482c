//! The two statements of every command with a key. Their values cross into JavaScript as they are, all at once; the
//! general way, an array that is filled value by value, takes a crossing for each.

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::SqlStorage;
use worker::js_sys::{Array, Error, JsString, Reflect};

use crate::problem::Problem;
use crate::store::LAST_SEQ;

#[wasm_bindgen]
extern "C" {
    /// The runtime's database.
    type SqlDatabase;
    type Cursor;

    #[wasm_bindgen(method, catch, js_name = exec)]
    fn find_key(this: &SqlDatabase, query: &JsString, key: &str) -> Result<Cursor, JsValue>;

    #[wasm_bindgen(method, catch, js_name = exec)]
    fn put_entry(
        this: &SqlDatabase,
        query: &JsString,
        seq: f64,
        at: f64,
        kind: &str,
        hold: Option<f64>,
        models: &str,
        key: Option<&str>,
        content: Option<&str>,
        body: &str,
        snapshot: Option<&str>,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = toArray)]
    fn to_array(this: &Cursor) -> Result<Array, JsValue>;
}

thread_local! {
    // Texts of JavaScript's own, so that they cross once.
    static FIND_KEY: JsString = JsString::from("SELECT content, body FROM entries WHERE key = ?");
    static PUT_ENTRY: JsString = JsString::from(
        "INSERT INTO entries (seq, at, kind, hold, models, key, content, body, snapshot) VALUES (?,?,?,?,?,?,?,?,?)",
    );
}

/// What SQLite says of a key that has a row already.
const KEY_TAKEN: &str = "UNIQUE constraint failed: entries.key";

/// A row of the journal.
pub(crate) struct EntryRow<'a> {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) kind: &'a str,
    /// The hold that the entry ends.
    pub(crate) hold: Option<u64>,
    pub(crate) models: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) content: Option<&'a str>,
    pub(crate) body: &'a str,
    /// The state after it, where it is kept.
    pub(crate) snapshot: Option<&'a str>,
}

/// What was said with this key and the entry that it made, as they are stored.
pub(crate) fn find(sql: &SqlStorage, key: &str) -> Result<Option<(String, String)>, Problem> {
    let rows = FIND_KEY
        .with(|query| database(sql).find_key(query, key))
        .and_then(|cursor| cursor.to_array())
        .map_err(|error| failed(&error))?;
    if rows.length() == 0 {
        return Ok(None);
    }
    let row = rows.get(0);
    Ok(Some((text(&row, "content")?, text(&row, "body")?)))
}

/// Writes a row of the journal.
///
/// # Errors
/// [`Problem::KeyTaken`] if there is a row with this key.
pub(crate) fn put(sql: &SqlStorage, row: &EntryRow<'_>) -> Result<(), Problem> {
    PUT_ENTRY
        .with(|query| {
            database(sql).put_entry(
                query,
                row.seq.min(LAST_SEQ) as f64,
                row.at_ms as f64,
                row.kind,
                row.hold.map(|hold| hold.min(LAST_SEQ) as f64),
                row.models,
                row.key,
                row.content,
                row.body,
                row.snapshot,
            )
        })
        .map_err(|error| match error.dyn_ref::<Error>() {
            Some(error) if error.message().includes(KEY_TAKEN, 0) => Problem::KeyTaken,
            _ => failed(&error),
        })
}

fn database(sql: &SqlStorage) -> &SqlDatabase {
    let database: &JsValue = sql.as_ref();
    database.unchecked_ref()
}

fn text(row: &JsValue, column: &str) -> Result<String, Problem> {
    Reflect::get(row, &JsValue::from_str(column))
        .ok()
        .and_then(|value| value.as_string())
        .ok_or_else(|| Problem::Fault(format!("a row of the journal has no {column}")))
}

fn failed(error: &JsValue) -> Problem {
    Problem::Fault(format!("a statement failed: {error:?}"))
}
