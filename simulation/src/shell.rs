//! The shell around the core, as the Worker has one for each account: a disk with the journal, snapshots, the
//! archive and the idempotency keys; and a memory that can be lost at any time.

use std::collections::BTreeMap;

use edge_credits::account::Account;
use edge_credits::archive::{Archive, Record, Records};
use edge_credits::charge::{Charge, Standing};
use edge_credits::command::Command;
use edge_credits::decide::{Context, decide};
use edge_credits::entry::Entry;
use edge_credits::grant::Grant;
use edge_credits::hold::Hold;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::refusal::Refusal;
use edge_credits::retry::key_reused;
use edge_credits::time::Instant;
use edge_credits::usage::DayUsage;

use crate::catalogs::InForce;
use crate::step::{Fate, Recovery};

/// How many entries there are from one snapshot to the next.
const SNAPSHOT_EVERY: u64 = 32;

/// A fault built into the shell on purpose, to see that it would be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// The keys are written after the answer, so that a crash loses one.
    KeysWrittenLate,
    /// A snapshot is taken for the whole state, without the entries after it.
    TailForgotten,
    /// Records that leave the state are not written.
    RecordsForgotten,
    /// A capture is priced with the catalog in force.
    HeldCatalogForgotten,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It never arrived.
    Lost,
    /// It was refused.
    Refused(Refusal),
    /// All was as it wants it already.
    Nothing,
    /// It was decided, and nothing of it was written.
    Undone(Vec<Entry>),
    /// It was decided and written. Whether it was answered is another question.
    Done(Vec<Entry>),
    /// It had been done before, by the entry of this number.
    Replayed(u64),
}

/// An account's object.
#[derive(Clone, Debug)]
pub struct Shell {
    name: String,
    fault: Fault,
    /// What is in memory.
    pub state: Option<Account>,
    /// What is on the disk: the entries, and each as it was written.
    pub journal: Vec<Entry>,
    snapshots: Vec<String>,
    keys: BTreeMap<String, (String, u64)>,
    /// What has left the state.
    pub records: Kept,
    holds: BTreeMap<HoldId, u64>,
}

/// The archive's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Grants, by id.
    pub grants: BTreeMap<String, Grant>,
    /// Charges, by id.
    pub standings: BTreeMap<ChargeId, Standing>,
    /// Holds, by id.
    pub holds: BTreeMap<HoldId, Hold>,
    /// Days, by their first entry.
    pub days: BTreeMap<u64, DayUsage>,
}

impl Kept {
    fn put(&mut self, record: Record) {
        match record {
            Record::Grant(grant) => {
                self.grants.insert(grant.id.clone(), grant);
            }
            Record::Standing(standing) => {
                self.standings.insert(standing.charge, standing);
            }
            Record::Hold(hold) => {
                self.holds.insert(hold.id, hold);
            }
            Record::Day(day) => {
                self.days.insert(day.seq, day);
            }
        }
    }
}

impl Archive for Shell {
    type Fault = std::convert::Infallible;

    fn hold(&self, id: HoldId) -> Result<Option<Hold>, Self::Fault> {
        let ended = self.records.holds.get(&id).cloned();
        // Every other end is found in the journal.
        let in_journal = || {
            let seq = self.holds.get(&id)?;
            self.entry(*seq)?.event.hold().cloned()
        };
        Ok(ended.or_else(in_journal))
    }

    fn charge(&self, id: ChargeId) -> Result<Option<Charge>, Self::Fault> {
        let entry = self.entry(id.0);
        Ok(entry.and_then(|entry| entry.event.charge().cloned()))
    }

    fn standing(&self, id: ChargeId) -> Result<Option<Standing>, Self::Fault> {
        Ok(self.records.standings.get(&id).cloned())
    }

    fn grant(&self, id: &str) -> Result<Option<Grant>, Self::Fault> {
        Ok(self.records.grants.get(id).cloned())
    }
}

impl Shell {
    /// The object of an account that nobody has opened.
    pub fn new(name: &str, fault: Fault) -> Shell {
        Shell {
            name: name.to_owned(),
            fault,
            state: None,
            journal: Vec::new(),
            snapshots: Vec::new(),
            keys: BTreeMap::new(),
            records: Kept::default(),
            holds: BTreeMap::new(),
        }
    }

    /// The entry of this number.
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.journal.get(place)
    }

    /// The answer that the entry of this number gives, word for word.
    pub fn answer(&self, seq: u64) -> Option<String> {
        let entry = self.entry(seq)?;
        Some(serde_json::to_string(&entry.answer()).expect("an answer is JSON"))
    }

    /// Takes a request, as far as its fate lets it come.
    pub fn receive(
        &mut self,
        command: &Command,
        key: Option<&str>,
        now: Instant,
        in_force: &InForce<'_>,
        fate: Fate,
    ) -> Reply {
        if fate == Fate::Lost {
            return Reply::Lost;
        }
        let content = format!("{command:?}");
        if let Some(key) = key
            && let Some((known, seq)) = self.keys.get(key)
        {
            return if *known == content {
                Reply::Replayed(*seq)
            } else {
                Reply::Refused(key_reused(key))
            };
        }
        let entries = match self.decide(command, now, in_force) {
            Err(refusal) => return Reply::Refused(refusal),
            Ok(entries) if entries.is_empty() => return Reply::Nothing,
            Ok(entries) => entries,
        };
        if let Fate::CrashBeforeWrite(recovery) = fate {
            self.restart(recovery);
            return Reply::Undone(entries);
        }
        // Nothing can be refused from here on.
        self.write(&entries);
        let last = entries.last().map_or(0, |entry| entry.seq);
        let crashes = matches!(fate, Fate::CrashBeforeAnswer(_));
        if let Some(key) = key
            && !(crashes && self.fault == Fault::KeysWrittenLate)
        {
            self.keys.insert(key.to_owned(), (content, last));
        }
        if let Fate::CrashBeforeAnswer(recovery) = fate {
            self.restart(recovery);
        }
        Reply::Done(entries)
    }

    fn decide(
        &self,
        command: &Command,
        now: Instant,
        in_force: &InForce<'_>,
    ) -> Result<Vec<Entry>, Refusal> {
        let records = match &self.state {
            Some(account) => {
                Records::gather(command, account, self).unwrap_or_else(|fault| match fault {})
            }
            None => Records::default(),
        };
        let held_catalog = match (&self.state, command) {
            (Some(account), Command::Capture { hold, .. }) => account
                .hold(*hold)
                .or(records.hold.as_ref())
                .and_then(|hold| {
                    let mut all = in_force.all.iter();
                    all.find(|known| known.hash() == hold.catalog)
                }),
            _ => None,
        };
        let context = Context {
            catalogs: in_force.for_core(),
            held_catalog: held_catalog
                .map(|held| &**held)
                .filter(|_| self.fault != Fault::HeldCatalogForgotten),
            records: &records,
        };
        decide(self.state.as_ref(), &self.name, command, now, &context)
    }

    /// Writes entries as one transaction, and moves the memory on.
    fn write(&mut self, entries: &[Entry]) {
        for entry in entries {
            let written = serde_json::to_string(entry).expect("an entry is JSON");
            let read: Entry = serde_json::from_str(&written).expect("what was written is read");
            assert_eq!(read, *entry, "an entry is read as it was written");
            let departed = Account::apply(&mut self.state, entry);
            if self.fault != Fault::RecordsForgotten {
                departed
                    .into_iter()
                    .for_each(|record| self.records.put(record));
            }
            if let Some(hold) = entry.event.hold() {
                self.holds.insert(hold.id, entry.seq);
            }
            self.journal.push(read);
            if entry.seq.is_multiple_of(SNAPSHOT_EVERY) {
                let snapshot = serde_json::to_string(&self.state).expect("a state is JSON");
                self.snapshots.push(snapshot);
            }
        }
    }

    /// Loses the memory, and rebuilds it.
    pub fn restart(&mut self, recovery: Recovery) {
        let snapshot = match recovery {
            Recovery::Snapshot => self.snapshots.last(),
            Recovery::StaleSnapshot => self.snapshots.first(),
            Recovery::Journal => None,
        };
        self.state = match snapshot {
            Some(text) => serde_json::from_str(text).expect("a snapshot is read"),
            None => None,
        };
        if snapshot.is_some() && self.fault == Fault::TailForgotten {
            return;
        }
        let from = self.state.as_ref().map_or(0, |account| account.seq);
        for entry in self.journal.iter().filter(|entry| entry.seq > from) {
            Account::apply(&mut self.state, entry);
        }
    }

    /// Loses all snapshots.
    pub fn lose_snapshots(&mut self) {
        self.snapshots.clear();
    }

    /// What the archive would be if it were rebuilt from the journal, and the state that the journal adds up to.
    pub fn rebuilt(&self) -> (Option<Account>, Kept) {
        let (mut state, mut records) = (None, Kept::default());
        for entry in &self.journal {
            for record in Account::apply(&mut state, entry) {
                records.put(record);
            }
        }
        (state, records)
    }
}
