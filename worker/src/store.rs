//! The store: one account's journal and what is derived from it, in the object's SQLite.
//!
//! `entries` is the truth. `snapshots` and `records` are caches of it: without them everything is read from the
//! journal again, which takes longer and changes nothing.

use std::rc::Rc;

use edge_credits::account::Account;
use edge_credits::archive::{Archive, Record};
use edge_credits::catalog::Catalog;
use edge_credits::charge::{Charge, Standing};
use edge_credits::entry::{Entry, Event};
use edge_credits::grant::Grant;
use edge_credits::hold::Hold;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::time::{DAY_MS, Instant};
use edge_credits::usage::DayUsage;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worker::durable::Storage;
use worker::{SqlStorage, SqlStorageValue, State};

use crate::chain;
use crate::fault;
use crate::problem::Problem;
use crate::statements::{self, EntryRow};
use crate::transaction;

/// The version of the tables and of what is in them. A database of a newer one was written by a later Worker and may
/// mean what this one cannot know.
const SCHEMA_VERSION: i64 = 1;
/// The form of a snapshot's body. A snapshot of another form is passed over.
const SNAPSHOT_VERSION: i64 = 1;
/// After so many entries the state is written as a snapshot, so that waking never replays more.
const ENTRIES_PER_SNAPSHOT: u64 = 256;
/// How many entries are read at a time when the whole journal is replayed.
const REPLAY_PAGE: u64 = 1_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (
        name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS entries (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, hold INTEGER,
        models TEXT NOT NULL, key TEXT, content TEXT, body TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS entries_by_key ON entries (key) WHERE key IS NOT NULL;
    CREATE TABLE IF NOT EXISTS snapshots (
        seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS records (
        kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS catalogs (
        hash TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// The database of one account.
pub(crate) struct Store {
    sql: SqlStorage,
    storage: Storage,
}

/// What the journal adds up to, how many of its entries no snapshot has, and the hash of its last entry.
pub(crate) struct Loaded {
    pub(crate) account: Option<Account>,
    pub(crate) tail: u64,
    pub(crate) head: String,
    /// The hash of a catalog that is known to be kept, so that a charge need not look.
    kept_catalog: Option<Rc<str>>,
}

impl Loaded {
    fn nothing() -> Loaded {
        Loaded {
            account: None,
            tail: 0,
            head: chain::BEFORE_THE_FIRST.to_owned(),
            kept_catalog: None,
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
            sql: storage.sql(),
            storage,
        }
    }

    /// Reads the state: the latest snapshot and the entries after it.
    pub(crate) fn load(&self) -> Result<Loaded, Problem> {
        match self.schema_version()? {
            None => Ok(Loaded::nothing()),
            Some(version) if version > SCHEMA_VERSION => Err(Problem::NewerSchema(version)),
            Some(_) => self.fold_counting(),
        }
    }

    /// The latest state, with what was spent in the present day and month. A snapshot that was written before that
    /// was counted does not know it: then the entries of these are replayed once more, from a snapshot before them.
    fn fold_counting(&self) -> Result<Loaded, Problem> {
        let loaded = self.fold_to(LAST_SEQ)?;
        let Some(account) = &loaded.account else {
            return Ok(loaded);
        };
        if account.spending.is_some() {
            return Ok(loaded);
        }
        let (month, _) = account.period(account.last_at);
        // The day may have begun before the month.
        let begun = month.after_millis(-2 * DAY_MS);
        let before = self.last_seq_at(begun, account.seq)?;
        self.fold(LAST_SEQ, Some(before))
    }

    /// The version of the database's schema; nothing while it has no journal. A database of version 1 may lack the
    /// table that says so.
    fn schema_version(&self) -> Result<Option<i64>, Problem> {
        #[derive(Deserialize)]
        struct Table {
            name: String,
        }
        #[derive(Deserialize)]
        struct Version {
            value: i64,
        }
        let tables: Vec<Table> = self.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('entries', 'meta')",
            vec![],
        )?;
        if tables.is_empty() {
            return Ok(None);
        }
        if !tables.iter().any(|table| table.name == "meta") {
            return Ok(Some(1));
        }
        let versions: Vec<Version> =
            self.rows("SELECT value FROM meta WHERE name = 'schema'", vec![])?;
        Ok(Some(versions.first().map_or(1, |version| version.value)))
    }

    fn put_schema_version(&self) -> Result<(), Problem> {
        self.run(
            "INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)",
            vec![SqlStorageValue::Integer(SCHEMA_VERSION)],
        )
    }

    /// The state after the entry `last`, or the latest if there are fewer.
    pub(crate) fn fold_to(&self, last: u64) -> Result<Loaded, Problem> {
        self.fold(last, None)
    }

    /// The state after the entry `last`. If it is to count what was spent, it does so from a snapshot on that is not
    /// later than the entry `counted_from`.
    fn fold(&self, last: u64, counted_from: Option<u64>) -> Result<Loaded, Problem> {
        let snapshots: Vec<SeqBodyRow> = self.rows(
            "SELECT seq, body FROM snapshots WHERE seq <= ? AND version = ? ORDER BY seq DESC LIMIT 1",
            vec![
                number(counted_from.unwrap_or(last)),
                SqlStorageValue::Integer(SNAPSHOT_VERSION),
            ],
        )?;
        let (mut account, mut seq) = (None, 0);
        if let Some(row) = snapshots.into_iter().next() {
            let mut known: Account = serde_json::from_str(&row.body)?;
            if counted_from.is_some() {
                known.count_spending_from_here();
            }
            account = Some(known);
            seq = row.seq;
        }
        let from_the_beginning = account.is_none();
        let (mut tail, mut last_body) = (0_u64, None);
        loop {
            let rows: Vec<SeqBodyRow> = self.rows(
                "SELECT seq, body FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                vec![number(seq), number(last), number(REPLAY_PAGE)],
            )?;
            let full = rows.len() as u64 == REPLAY_PAGE;
            for row in rows {
                let entry: Entry = serde_json::from_str(&row.body)?;
                let departed = Account::apply(&mut account, &entry);
                if from_the_beginning {
                    // Records are a cache like snapshots: where these are gone, those may be.
                    departed
                        .iter()
                        .try_for_each(|record| self.put_record(record, row.seq))?;
                }
                seq = row.seq;
                tail = tail.saturating_add(1);
                last_body = Some(row.body);
            }
            if !full {
                let head = match last_body {
                    Some(body) => stated_hash(&body)?,
                    None => self.hash_at(seq)?,
                };
                return Ok(Loaded {
                    account,
                    tail,
                    head,
                    kept_catalog: None,
                });
            }
        }
    }

    /// Writes what a command made, everything that follows from it, and what is to be written beside it, or nothing
    /// at all. Gives back what is then in memory.
    pub(crate) fn commit(
        &self,
        before: &Loaded,
        made: Made<'_>,
        beside: impl Fn() -> Result<(), Problem>,
    ) -> Result<Loaded, Problem> {
        let Made {
            entries,
            departed,
            after,
            keyed,
            catalog,
        } = made;
        let tail = before.tail.saturating_add(entries.len() as u64);
        let is_snapshot_due = tail >= ENTRIES_PER_SNAPSHOT;
        let mut head = before.head.clone();
        let mut kept_catalog = before.kept_catalog.clone();
        transaction::run(&self.storage, || {
            if before.account.is_none() {
                self.run(SCHEMA, vec![])?;
                self.put_schema_version()?;
            }
            for entry in entries {
                let made_by_command = entries.last().is_some_and(|last| last.seq == entry.seq);
                let sealed = chain::seal(entry, &head)?;
                self.put_entry(entry, &sealed.body, keyed.filter(|_| made_by_command))?;
                head = sealed.hash;
                if kept_catalog.as_deref() != Some(catalog.hash()) && names_catalog(entry, catalog)
                {
                    self.put_catalog(catalog)?;
                    kept_catalog = Some(Rc::from(catalog.hash()));
                }
            }
            departed
                .iter()
                .try_for_each(|(seq, record)| self.put_record(record, *seq))?;
            if is_snapshot_due {
                self.put_snapshot(&after)?;
            }
            beside()?;
            fault::in_transaction(&self.sql)
        })?;
        let tail = if is_snapshot_due { 0 } else { tail };
        Ok(Loaded {
            account: Some(after),
            tail,
            head,
            kept_catalog,
        })
    }

    fn put_entry(
        &self,
        entry: &Entry,
        body: &str,
        keyed: Option<KeyedContent<'_>>,
    ) -> Result<(), Problem> {
        let hold = match &entry.event {
            Event::Captured { hold, .. }
            | Event::Released { hold, .. }
            | Event::Lapsed { hold, .. } => Some(hold.id.0),
            _ => None,
        };
        let models = entry.event.models();
        let models = if models.is_empty() {
            String::new()
        } else {
            format!(",{},", models.join(","))
        };
        statements::put(
            &self.sql,
            &EntryRow {
                seq: entry.seq,
                at_ms: entry.at.millis(),
                kind: entry.event.kind(),
                hold,
                models: &models,
                key: keyed.map(|keyed| keyed.key),
                content: keyed.map(|keyed| keyed.content),
                body,
            },
        )
    }

    fn put_record(&self, record: &Record, seq: u64) -> Result<(), Problem> {
        let (kind, id, seq, body) = match record {
            Record::Grant(grant) => (
                "grant",
                grant.id.clone(),
                seq,
                serde_json::to_string(grant)?,
            ),
            Record::Standing(standing) => (
                "standing",
                standing.charge.to_string(),
                seq,
                serde_json::to_string(standing)?,
            ),
            Record::Hold(hold) => (
                "hold",
                hold.id.to_string(),
                seq,
                serde_json::to_string(hold)?,
            ),
            Record::Day(day) => (
                "day",
                day.seq.to_string(),
                day.seq,
                serde_json::to_string(day)?,
            ),
        };
        self.run(
            "INSERT OR REPLACE INTO records (kind, id, seq, body) VALUES (?,?,?,?)",
            vec![kind.into(), id.into(), number(seq), body.into()],
        )
    }

    fn put_snapshot(&self, account: &Account) -> Result<(), Problem> {
        self.run(
            "INSERT OR REPLACE INTO snapshots (seq, version, body) VALUES (?,?,?)",
            vec![
                number(account.seq),
                SqlStorageValue::Integer(SNAPSHOT_VERSION),
                serde_json::to_string(account)?.into(),
            ],
        )
    }

    /// Keeps the catalog that an entry was priced with. It is written once.
    fn put_catalog(&self, catalog: &Catalog) -> Result<(), Problem> {
        let known: Vec<HashRow> = self.rows(
            "SELECT hash FROM catalogs WHERE hash = ?",
            vec![catalog.hash().into()],
        )?;
        if known.is_empty() {
            self.run(
                "INSERT INTO catalogs (hash, body) VALUES (?,?)",
                vec![
                    catalog.hash().into(),
                    serde_json::to_string(catalog)?.into(),
                ],
            )?;
        }
        Ok(())
    }

    /// A catalog that some entry was priced with.
    pub(crate) fn catalog(&self, hash: &str) -> Result<Option<Rc<Catalog>>, Problem> {
        let rows: Vec<BodyRow> = self.rows(
            "SELECT body FROM catalogs WHERE hash = ?",
            vec![hash.into()],
        )?;
        match rows.first() {
            None => Ok(None),
            Some(row) => Ok(Some(Rc::new(Catalog::parse(&serde_json::from_str(
                &row.body,
            )?)?))),
        }
    }

    /// The call that used this key, if one did.
    pub(crate) fn answered(&self, key: &str) -> Result<Option<Answered>, Problem> {
        let Some((content, body)) = statements::find(&self.sql, key)? else {
            return Ok(None);
        };
        let entry = serde_json::from_str(&body)?;
        Ok(Some(Answered { content, entry }))
    }

    /// The number of the last entry at or before `at`; 0 if there is none.
    ///
    /// Times never decrease along the journal, so that its own order is index enough.
    pub(crate) fn last_seq_at(&self, at: Instant, last: u64) -> Result<u64, Problem> {
        #[derive(Deserialize)]
        struct Row {
            at: i64,
        }
        let (mut low, mut high) = (0_u64, last);
        while low < high {
            let middle = low.midpoint(high).saturating_add(1).min(high);
            let rows: Vec<Row> =
                self.rows("SELECT at FROM entries WHERE seq = ?", vec![number(middle)])?;
            if rows.first().is_some_and(|row| row.at <= at.millis()) {
                low = middle;
            } else {
                high = middle.saturating_sub(1);
            }
        }
        Ok(low)
    }

    /// The bodies of entries with numbers from `first` to `last`, as they are stored, with their numbers.
    pub(crate) fn entry_bodies(&self, page: &EntryPage<'_>) -> Result<Vec<(u64, String)>, Problem> {
        let mut query = String::from("SELECT seq, body FROM entries WHERE seq >= ? AND seq <= ?");
        let mut values = vec![number(page.first), number(page.last)];
        if let Some(kind) = page.kind {
            query.push_str(" AND kind = ?");
            values.push(kind.into());
        }
        if let Some(model) = page.model {
            query.push_str(" AND instr(models, ?) > 0");
            values.push(format!(",{model},").into());
        }
        query.push_str(if page.ascending {
            " ORDER BY seq LIMIT ?"
        } else {
            " ORDER BY seq DESC LIMIT ?"
        });
        values.push(number(page.limit));
        let rows: Vec<SeqBodyRow> = self.rows(&query, values)?;
        Ok(rows.into_iter().map(|row| (row.seq, row.body)).collect())
    }

    /// Grants that have left the state, newest first, before this place.
    pub(crate) fn departed_grants(
        &self,
        before: (u64, &str),
        limit: u64,
    ) -> Result<Vec<(u64, Grant)>, Problem> {
        let rows: Vec<SeqBodyRow> = self.rows(
            "SELECT seq, body FROM records WHERE kind = 'grant' AND (seq, id) < (?, ?)
             ORDER BY seq DESC, id DESC LIMIT ?",
            vec![number(before.0), before.1.into(), number(limit)],
        )?;
        rows.into_iter()
            .map(|row| Ok((row.seq, serde_json::from_str(&row.body)?)))
            .collect()
    }

    /// The days of usage that ended, of those that began with an entry from `first` to `last`, and the one that
    /// `first` falls in.
    pub(crate) fn days(&self, first: u64, last: u64) -> Result<Vec<DayUsage>, Problem> {
        let rows: Vec<BodyRow> = self.rows(
            "SELECT body FROM records WHERE kind = 'day' AND seq <= ? AND seq >= coalesce(
                (SELECT max(seq) FROM records WHERE kind = 'day' AND seq <= ?), 0) ORDER BY seq",
            vec![number(last), number(first)],
        )?;
        rows.into_iter()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .collect()
    }

    fn record<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, Problem> {
        let rows: Vec<BodyRow> = self.rows(
            "SELECT body FROM records WHERE kind = ? AND id = ?",
            vec![kind.into(), id.into()],
        )?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, Problem> {
        let rows: Vec<BodyRow> =
            self.rows("SELECT body FROM entries WHERE seq = ?", vec![number(seq)])?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    /// The hash of an entry.
    pub(crate) fn hash_at(&self, seq: u64) -> Result<String, Problem> {
        let rows: Vec<BodyRow> =
            self.rows("SELECT body FROM entries WHERE seq = ?", vec![number(seq)])?;
        match rows.first() {
            Some(row) => stated_hash(&row.body),
            None => Ok(chain::BEFORE_THE_FIRST.to_owned()),
        }
    }

    fn rows<T: DeserializeOwned>(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Vec<T>, Problem> {
        Ok(self.sql.exec(query, values)?.to_array()?)
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<(), Problem> {
        self.sql.exec(query, values)?;
        Ok(())
    }
}

#[derive(Deserialize, Serialize)]
struct HashRow {
    hash: String,
}

/// Which entries a page has.
pub(crate) struct EntryPage<'a> {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) kind: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) ascending: bool,
    pub(crate) limit: u64,
}

/// The largest number that survives a double.
pub(crate) const LAST_SEQ: u64 = (1 << 53) - 1;

fn number(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value.min(LAST_SEQ)).unwrap_or(i64::MAX))
}

/// The hash that a stored entry states of itself.
fn stated_hash(body: &str) -> Result<String, Problem> {
    let hash = chain::stated(body).map(str::to_owned);
    hash.ok_or_else(|| Problem::Fault("an entry of the journal has no hash".to_owned()))
}

fn names_catalog(entry: &Entry, catalog: &Catalog) -> bool {
    match &entry.event {
        Event::Held { hold } => hold.catalog == catalog.hash(),
        event => event
            .charge()
            .is_some_and(|charge| charge.catalog == catalog.hash()),
    }
}

impl Archive for Store {
    type Fault = Problem;

    /// A hold that lapsed has a record; one that was captured or released, an entry soon after it was made.
    fn hold(&self, id: HoldId) -> Result<Option<Hold>, Problem> {
        if let Some(hold) = self.record("hold", &id.to_string())? {
            return Ok(Some(hold));
        }
        let made = self.entry(id.0)?.and_then(|entry| match entry.event {
            Event::Held { hold } => Some(hold),
            _ => None,
        });
        let Some(made) = made else {
            return Ok(None);
        };
        let ends: Vec<BodyRow> = self.rows(
            "SELECT body FROM entries WHERE seq > ? AND hold = ? ORDER BY seq LIMIT 1",
            vec![number(id.0), number(id.0)],
        )?;
        let Some(end) = ends.first() else {
            return Ok(Some(made));
        };
        let end: Entry = serde_json::from_str(&end.body)?;
        Ok(end.event.hold().cloned())
    }

    fn charge(&self, id: ChargeId) -> Result<Option<Charge>, Problem> {
        Ok(self.entry(id.0)?.and_then(|entry| match entry.event {
            Event::Charged { charge } | Event::Captured { charge, .. } => Some(charge),
            _ => None,
        }))
    }

    fn standing(&self, id: ChargeId) -> Result<Option<Standing>, Problem> {
        self.record("standing", &id.to_string())
    }

    fn grant(&self, id: &str) -> Result<Option<Grant>, Problem> {
        self.record("grant", id)
    }
}
