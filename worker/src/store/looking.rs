//! Looking: what the journal and the records hold beyond the state.

use std::rc::Rc;

use edge_credits::archive::Archive;
use edge_credits::catalog::Catalog;
use edge_credits::charge::{Charge, Standing};
use edge_credits::entry::{Entry, Event};
use edge_credits::grant::Grant;
use edge_credits::hold::Hold;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::time::Instant;
use edge_credits::usage::DayUsage;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::chain;
use crate::problem::Problem;
use crate::statements::{self};

use super::{Answered, BodyRow, SeqBodyRow, Store, number};

/// Which entries a page has.
pub(crate) struct EntryPage<'a> {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) kind: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) ascending: bool,
    pub(crate) limit: u64,
}

impl Store {
    /// A catalog that some entry was priced with.
    pub(crate) fn catalog(&self, hash: &str) -> Result<Option<Rc<Catalog>>, Problem> {
        let rows: Vec<BodyRow> = self.database.rows(
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
        let Some((content, body)) = statements::find(self.database.sql(), key)? else {
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
            let rows: Vec<Row> = self
                .database
                .rows("SELECT at FROM entries WHERE seq = ?", vec![number(middle)])?;
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
        let rows: Vec<SeqBodyRow> = self.database.rows(&query, values)?;
        Ok(rows.into_iter().map(|row| (row.seq, row.body)).collect())
    }

    /// Grants that have left the state, newest first, before this place.
    pub(crate) fn departed_grants(
        &self,
        before: (u64, &str),
        limit: u64,
    ) -> Result<Vec<(u64, Grant)>, Problem> {
        let rows: Vec<SeqBodyRow> = self.database.rows(
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
        let rows: Vec<BodyRow> = self.database.rows(
            "SELECT body FROM records WHERE kind = 'day' AND seq <= ? AND seq >= coalesce(
                (SELECT max(seq) FROM records WHERE kind = 'day' AND seq <= ?), 0) ORDER BY seq",
            vec![number(last), number(first)],
        )?;
        rows.into_iter()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .collect()
    }

    fn record<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, Problem> {
        let rows: Vec<BodyRow> = self.database.rows(
            "SELECT body FROM records WHERE kind = ? AND id = ?",
            vec![kind.into(), id.into()],
        )?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, Problem> {
        let rows: Vec<BodyRow> = self
            .database
            .rows("SELECT body FROM entries WHERE seq = ?", vec![number(seq)])?;
        rows.first()
            .map(|row| Ok(serde_json::from_str(&row.body)?))
            .transpose()
    }

    /// The hash of an entry.
    pub(crate) fn hash_at(&self, seq: u64) -> Result<String, Problem> {
        let rows: Vec<BodyRow> = self
            .database
            .rows("SELECT body FROM entries WHERE seq = ?", vec![number(seq)])?;
        match rows.first() {
            Some(row) => stated_hash(&row.body),
            None => Ok(chain::BEFORE_THE_FIRST.to_owned()),
        }
    }
}

/// The hash that a stored entry states of itself.
pub(super) fn stated_hash(body: &str) -> Result<String, Problem> {
    let hash = chain::stated(body).map(str::to_owned);
    hash.ok_or_else(|| Problem::Fault("an entry of the journal has no hash".to_owned()))
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
        let ends: Vec<BodyRow> = self.database.rows(
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
