//! Writing: what a command made, and everything that follows from it, in one transaction.

use std::rc::Rc;

use edge_credits::archive::Record;
use edge_credits::catalog::Catalog;
use edge_credits::entry::{Entry, Event};
use serde::{Deserialize, Serialize};

use crate::chain;
use crate::fault;
use crate::problem::Problem;
use crate::statements::{self, EntryRow};
use crate::transaction;

use super::{
    ENTRIES_PER_SNAPSHOT, KeyedContent, Loaded, MOVE_SNAPSHOTS, Made, SCHEMA, SCHEMA_VERSION,
    SNAPSHOT_FORM, Store, VERSION_WITHOUT_LIMITS, number,
};

impl Store {
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
        let version = before.version.max(entries.iter().map(version_of).max());
        let tail = before.tail.saturating_add(entries.len() as u64);
        let snapshot = if tail >= ENTRIES_PER_SNAPSHOT {
            Some(format!("{SNAPSHOT_FORM}{}", serde_json::to_string(&after)?))
        } else {
            None
        };
        let mut head = before.head.clone();
        let mut kept_catalog = before.kept_catalog.clone();
        transaction::run(&self.storage, || {
            if version != before.version {
                self.database.run(SCHEMA, vec![])?;
                self.put_schema_version(version.unwrap_or(SCHEMA_VERSION))?;
            }
            if before.version.is_some() && !self.has_snapshot_column.get() {
                for statement in MOVE_SNAPSHOTS {
                    self.database.run(statement, vec![])?;
                }
            }
            for entry in entries {
                let made_by_command = entries.last().is_some_and(|last| last.seq == entry.seq);
                let sealed = chain::seal(entry, &head)?;
                self.put_entry(
                    entry,
                    &sealed.body,
                    keyed.filter(|_| made_by_command),
                    snapshot.as_deref().filter(|_| made_by_command),
                )?;
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
            beside()?;
            fault::in_transaction(self.database.sql())
        })?;
        self.has_snapshot_column.set(true);
        let tail = if snapshot.is_some() { 0 } else { tail };
        Ok(Loaded {
            account: Some(after),
            tail,
            head,
            kept_catalog,
            version,
        })
    }

    fn put_entry(
        &self,
        entry: &Entry,
        body: &str,
        keyed: Option<KeyedContent<'_>>,
        snapshot: Option<&str>,
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
            self.database.sql(),
            &EntryRow {
                seq: entry.seq,
                at_ms: entry.at.millis(),
                kind: entry.event.kind(),
                hold,
                models: &models,
                key: keyed.map(|keyed| keyed.key),
                content: keyed.map(|keyed| keyed.content),
                body,
                snapshot,
            },
        )
    }

    pub(super) fn put_record(&self, record: &Record, seq: u64) -> Result<(), Problem> {
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
        self.database.run(
            "INSERT OR REPLACE INTO records (kind, id, seq, body) VALUES (?,?,?,?)",
            vec![kind.into(), id.into(), number(seq), body.into()],
        )
    }

    /// Keeps the catalog that an entry was priced with. It is written once.
    fn put_catalog(&self, catalog: &Catalog) -> Result<(), Problem> {
        let known: Vec<HashRow> = self.database.rows(
            "SELECT hash FROM catalogs WHERE hash = ?",
            vec![catalog.hash().into()],
        )?;
        if known.is_empty() {
            self.database.run(
                "INSERT INTO catalogs (hash, body) VALUES (?,?)",
                vec![
                    catalog.hash().into(),
                    serde_json::to_string(catalog)?.into(),
                ],
            )?;
        }
        Ok(())
    }
}

/// The version of a database that has this entry.
fn version_of(entry: &Entry) -> i64 {
    match &entry.event {
        Event::Updated(changes) if changes.spend_limits.is_some() || changes.alerts.is_some() => {
            SCHEMA_VERSION
        }
        _ => VERSION_WITHOUT_LIMITS,
    }
}

fn names_catalog(entry: &Entry, catalog: &Catalog) -> bool {
    match &entry.event {
        Event::Held { hold } => hold.catalog == catalog.hash(),
        event => event
            .charge()
            .is_some_and(|charge| charge.catalog == catalog.hash()),
    }
}

#[derive(Deserialize, Serialize)]
struct HashRow {
    hash: String,
}
