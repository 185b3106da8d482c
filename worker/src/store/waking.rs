//! Waking: the state as the latest snapshot has it, and the entries after it.

use edge_credits::account::Account;
use edge_credits::entry::Entry;
use edge_credits::time::DAY_MS;

use crate::problem::Problem;

use super::looking::stated_hash;
use super::{
    LAST_SEQ, Loaded, REPLAY_PAGE, SCHEMA_VERSION, SNAPSHOT_FORM, SeqBodyRow, Store, number,
};

impl Store {
    /// Reads the state: the latest snapshot and the entries after it.
    pub(crate) fn load(&self) -> Result<Loaded, Problem> {
        match self.schema_version()? {
            None => Ok(Loaded::nothing()),
            Some(version) if version > SCHEMA_VERSION => Err(Problem::NewerSchema(version)),
            version => Ok(Loaded {
                version,
                ..self.fold_counting()?
            }),
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

    /// The state after the entry `last`, or the latest if there are fewer.
    pub(crate) fn fold_to(&self, last: u64) -> Result<Loaded, Problem> {
        self.fold(last, None)
    }

    /// The latest snapshot that is not later than this entry, and whose it is. One of a form that is not known is passed
    /// over.
    fn snapshot_at(&self, last: u64) -> Result<Option<(u64, String)>, Problem> {
        let mut last = last;
        while let Some(row) = self.latest_snapshot(last)? {
            if let Some(body) = row.body.strip_prefix(SNAPSHOT_FORM) {
                return Ok(Some((row.seq, body.to_owned())));
            }
            last = row.seq.saturating_sub(1);
        }
        Ok(None)
    }

    /// The latest snapshot as it is stored: in the row of its entry, or in the table of those that earlier Workers wrote,
    /// whether before the rows had room for them or since.
    fn latest_snapshot(&self, last: u64) -> Result<Option<SeqBodyRow>, Problem> {
        let in_table: Vec<SeqBodyRow> = self.database.rows(
            "SELECT seq, version || ':' || body AS body FROM snapshots WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
            vec![number(last)],
        )?;
        let in_table = in_table.into_iter().next();
        if !self.has_snapshot_column.get() {
            return Ok(in_table);
        }
        let after = in_table.as_ref().map_or(0, |row| row.seq);
        let in_row: Vec<SeqBodyRow> = self.database.rows(
            "SELECT seq, snapshot AS body FROM entries
             WHERE seq > ? AND seq <= ? AND snapshot IS NOT NULL ORDER BY seq DESC LIMIT 1",
            vec![number(after), number(last)],
        )?;
        Ok(in_row.into_iter().next().or(in_table))
    }

    /// The state after the entry `last`. If it is to count what was spent, it does so from a snapshot on that is not
    /// later than the entry `counted_from`.
    fn fold(&self, last: u64, counted_from: Option<u64>) -> Result<Loaded, Problem> {
        let (mut account, mut seq) = (None, 0);
        if let Some((at, body)) = self.snapshot_at(counted_from.unwrap_or(last))? {
            let mut known: Account = serde_json::from_str(&body)?;
            if counted_from.is_some() {
                known.count_spending_from_here();
            }
            account = Some(known);
            seq = at;
        }
        let from_the_beginning = account.is_none();
        let (mut tail, mut last_body) = (0_u64, None);
        loop {
            let rows: Vec<SeqBodyRow> = self.database.rows(
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
                    version: None,
                });
            }
        }
    }
}
