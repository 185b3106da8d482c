//! The store: one account's journal and what is derived from it, in the object's SQLite.
//!
//! `entries` is the truth; its column `snapshot` and the table `records` are caches of it: without them everything is
//! read from the journal again, which takes longer and changes nothing.

mod looking;
mod waking;
mod writing;

use std::cell::Cell;
use std::rc::Rc;

use edge_credits::account::Account;
use edge_credits::archive::Record;
use edge_credits::catalog::Catalog;
use edge_credits::entry::Entry;
use serde::Deserialize;
use worker::durable::Storage;
use worker::{SqlStorageValue, State};

use crate::chain;
use crate::database::Database;
use crate::problem::Problem;

pub(crate) use looking::EntryPage;

/// The version of the tables and of what is in them. A database of a newer one was written by a later Worker and may
/// mean what this one cannot know.
const SCHEMA_VERSION: i64 = 2;
/// The version of a database whose entries set no spend limits and no alerts. It stays so until one does: a Worker of
/// that version, which would pass them over, then leaves the account alone.
const VERSION_WITHOUT_LIMITS: i64 = 1;
/// What a snapshot begins with: its form. One of another form is passed over.
const SNAPSHOT_FORM: &str = "1:";
/// After so many entries the state is written as a snapshot, so that waking never replays more.
const ENTRIES_PER_SNAPSHOT: u64 = 256;
/// How many entries are read at a time when the whole journal is replayed.
const REPLAY_PAGE: u64 = 1_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (
        name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS entries (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, hold INTEGER,
        models TEXT NOT NULL, key TEXT, content TEXT, body TEXT NOT NULL, snapshot TEXT) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS entries_by_key ON entries (key) WHERE key IS NOT NULL;
    CREATE TABLE IF NOT EXISTS snapshots (
        seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS records (
        kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS catalogs (
        hash TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// Databases were made without the column, and had their snapshots in a table. It stays there for the Workers of that
/// time, which find in it what they need and do without what came later.
const MOVE_SNAPSHOTS: [&str; 2] = [
    "ALTER TABLE entries ADD COLUMN snapshot TEXT",
    "UPDATE entries SET snapshot = (SELECT version || ':' || body FROM snapshots WHERE seq = entries.seq)
     WHERE seq IN (SELECT seq FROM snapshots)",
];

/// The database of one account.
pub(crate) struct Store {
    database: Database,
    storage: Storage,
    /// Whether the entries' rows have room for snapshots.
    has_snapshot_column: Cell<bool>,
}

/// What the journal adds up to, how many of its entries no snapshot has, and the hash of its last entry.
pub(crate) struct Loaded {
    pub(crate) account: Option<Account>,
    pub(crate) tail: u64,
    pub(crate) head: String,
    /// The hash of a catalog that is known to be kept, so that a charge need not look.
    kept_catalog: Option<Rc<str>>,
    /// The version that the database states; none while nobody has opened the account.
    version: Option<i64>,
}

impl Loaded {
    fn nothing() -> Loaded {
        Loaded {
            account: None,
            tail: 0,
            head: chain::BEFORE_THE_FIRST.to_owned(),
            kept_catalog: None,
            version: None,
        }
    }
}

/// What a command made, ready to be written.
pub(crate) struct Made<'a> {
    pub(crate) entries: &'a [Entry],
    /// What leaves the state, and the number of the entry that makes it leave.
    pub(crate) departed: &'a [(u64, Record)],
    pub(crate) after: Account,
    pub(crate) keyed: Option<KeyedContent<'a>>,
    pub(crate) catalog: &'a Catalog,
}

/// A call that was answered before: what it said, and the entry that it made.
pub(crate) struct Answered {
    pub(crate) content: String,
    pub(crate) entry: Entry,
}

/// A command's key and what it said.
#[derive(Clone, Copy)]
pub(crate) struct KeyedContent<'a> {
    pub(crate) key: &'a str,
    pub(crate) content: &'a str,
}

#[derive(Deserialize)]
struct BodyRow {
    body: String,
}

#[derive(Deserialize)]
struct SeqBodyRow {
    seq: u64,
    body: String,
}

impl Store {
    pub(crate) fn new(state: &State) -> Store {
        let storage = state.storage();
        Store {
            database: Database::of(&storage),
            storage,
            has_snapshot_column: Cell::new(false),
        }
    }

    /// The version of the database's schema; nothing while it has no journal. A database of version 1 may lack the
    /// table that says so.
    fn schema_version(&self) -> Result<Option<i64>, Problem> {
        #[derive(Deserialize)]
        struct Table {
            name: String,
            sql: String,
        }
        #[derive(Deserialize)]
        struct Version {
            value: i64,
        }
        let tables: Vec<Table> = self.database.rows(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ('entries', 'meta')",
            vec![],
        )?;
        let has_column = |table: &Table| table.name == "entries" && table.sql.contains("snapshot");
        self.has_snapshot_column.set(tables.iter().any(has_column));
        if tables.is_empty() {
            return Ok(None);
        }
        if !tables.iter().any(|table| table.name == "meta") {
            return Ok(Some(VERSION_WITHOUT_LIMITS));
        }
        let versions: Vec<Version> = self
            .database
            .rows("SELECT value FROM meta WHERE name = 'schema'", vec![])?;
        let version = versions.first().map(|version| version.value);
        Ok(Some(version.unwrap_or(VERSION_WITHOUT_LIMITS)))
    }

    fn put_schema_version(&self, version: i64) -> Result<(), Problem> {
        self.database.run(
            "INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)",
            vec![SqlStorageValue::Integer(version)],
        )
    }
}

/// The largest number that survives a double.
pub(crate) const LAST_SEQ: u64 = (1 << 53) - 1;

fn number(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value.min(LAST_SEQ)).unwrap_or(i64::MAX))
}
