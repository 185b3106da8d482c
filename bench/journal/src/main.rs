//! Writes out a long history of an account, as rows for the tables of the Worker's store.
//!
//!     journal <account> <entries> <now in ms> <entries per snapshot> <form of a snapshot>
//!
//! Every line is a row: the table's name and its columns in their order, with tabs between them, NULL being `\N`.
//! The history is charges of several models, evenly over the ninety days before now, made by the core itself. What
//! happens to entries here is what happens to them in `worker/src/store.rs`.

// The Worker's own, so that the entries are sealed as it seals them.
#[allow(dead_code, reason = "the Worker also checks the chain, and this only makes it")]
#[path = "../../../worker/src/chain.rs"]
mod chain;

use std::error::Error;
use std::io::{BufWriter, Write, stdout};

use edge_credits::account::Account;
use edge_credits::archive::{Record, Records};
use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::command::Command;
use edge_credits::decide::{Context, decide};
use edge_credits::entry::Entry;
use edge_credits::retry;
use edge_credits::time::Instant;
use edge_credits::value::Value;
use serde_json::json;

const NULL: &str = "\\N";
const DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;
/// The shares of the models do not matter much; that there are several does.
const CALLS: [(&str, &str, u64); 6] = [
    ("kimi-k2", "input_tokens", 2_000),
    ("kimi-k2", "output_tokens", 2_400),
    ("gpt-oss-120b", "input_tokens", 4_000),
    ("deepseek-v3-0324", "output_tokens", 1_800),
    ("flux-schnell", "images", 1),
    ("ace-step", "uses", 1),
];

/// What `chain` expects of the Worker.
mod problem {
    #[derive(Debug)]
    pub(crate) enum Problem {
        Fault(String),
    }

    impl From<serde_json::Error> for Problem {
        fn from(error: serde_json::Error) -> Problem {
            Problem::Fault(error.to_string())
        }
    }

    impl std::fmt::Display for Problem {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let Problem::Fault(detail) = self;
            f.write_str(detail)
        }
    }

    impl std::error::Error for Problem {}
}

struct Journal<W> {
    out: W,
    name: String,
    catalog: Catalog,
    state: Option<Account>,
    entries_per_snapshot: u64,
    snapshot_form: String,
    tail: u64,
    head: String,
    seed: u64,
}

impl<W: Write> Journal<W> {
    /// Runs a command. `keyed` is the call that it was, if it came with a key.
    fn run(&mut self, command: &Command, at: i64, keyed: Option<&str>) -> Result<(), Box<dyn Error>> {
        let records = Records::default();
        let context = Context {
            catalogs: (&self.catalog).into(),
            held_catalog: None,
            records: &records,
        };
        let now = Instant::from_millis(at);
        let entries = decide(self.state.as_ref(), &self.name, command, now, &context)
            .map_err(|refusal| refusal.detail.clone())?;
        for (index, entry) in entries.iter().enumerate() {
            let made_by_command = index + 1 == entries.len();
            let key = keyed.filter(|_| made_by_command).map(|content| (self.uuid(), content));
            for record in Account::apply(&mut self.state, entry) {
                self.put_record(&record, entry.seq)?;
            }
            self.tail += 1;
            let is_snapshot_due = made_by_command && self.tail >= self.entries_per_snapshot;
            if is_snapshot_due {
                self.tail = 0;
            }
            self.put_entry(entry, key, is_snapshot_due)?;
        }
        Ok(())
    }

    fn put_entry(&mut self, entry: &Entry, keyed: Option<(String, &str)>, with_snapshot: bool) -> Result<(), Box<dyn Error>> {
        let snapshot = match with_snapshot {
            true => format!("{}{}", self.snapshot_form, serde_json::to_string(&self.state)?),
            false => NULL.to_owned(),
        };
        let models = entry.event.models();
        let models = if models.is_empty() { String::new() } else { format!(",{},", models.join(",")) };
        let (key, content) = keyed.as_ref().map_or((NULL, NULL), |(key, content)| (key.as_str(), *content));
        let sealed = chain::seal(entry, &self.head)?;
        self.head = sealed.hash;
        writeln!(
            self.out,
            "entries\t{}\t{}\t{}\t{hold}\t{models}\t{key}\t{content}\t{body}\t{snapshot}",
            entry.seq,
            entry.at.millis(),
            entry.event.kind(),
            hold = NULL, // None is ended here.
            body = sealed.body,
        )?;
        Ok(())
    }

    fn put_record(&mut self, record: &Record, seq: u64) -> Result<(), Box<dyn Error>> {
        let (kind, id, seq, body) = match record {
            Record::Grant(grant) => ("grant", grant.id.clone(), seq, serde_json::to_string(grant)?),
            Record::Standing(standing) => {
                ("standing", standing.charge.to_string(), seq, serde_json::to_string(standing)?)
            }
            Record::Hold(hold) => ("hold", hold.id.to_string(), seq, serde_json::to_string(hold)?),
            Record::Day(day) => ("day", day.seq.to_string(), day.seq, serde_json::to_string(day)?),
        };
        Ok(writeln!(self.out, "records\t{kind}\t{id}\t{seq}\t{body}")?)
    }

    fn seq(&self) -> u64 {
        self.state.as_ref().map_or(0, |account| account.seq)
    }

    /// Keys as clients make them: in no order (SplitMix64).
    fn uuid(&mut self) -> String {
        let mut next = || {
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.seed;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let (high, low) = (next(), next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff,
        )
    }
}

fn value(body: &serde_json::Value) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_str(&body.to_string())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, entries, now, entries_per_snapshot, snapshot_form] = arguments.as_slice() else {
        return Err("journal <account> <entries> <now in ms> <entries per snapshot> <snapshot version>".into());
    };
    let (entries, now): (u64, i64) = (entries.parse()?, now.parse()?);
    let catalog = Catalog::parse(&serde_json::from_str(PUBLISHED)?).map_err(|refusal| refusal.detail.clone())?;
    let mut journal = Journal {
        out: BufWriter::with_capacity(1 << 20, stdout().lock()),
        name: name.clone(),
        catalog,
        state: None,
        entries_per_snapshot: entries_per_snapshot.parse()?,
        snapshot_form: snapshot_form.clone(),
        tail: 0,
        head: chain::BEFORE_THE_FIRST.to_owned(),
        seed: 1,
    };
    let hash = journal.catalog.hash().to_owned();
    let catalog = serde_json::to_string(&journal.catalog)?;
    writeln!(journal.out, "catalogs\t{hash}\t{catalog}")?;

    let start = now - DAYS * DAY_MS;
    let open = Command::open(&value(&json!({"plan": "free"}))?, &journal.catalog).map_err(|refusal| refusal.detail.clone())?;
    journal.run(&open, start, None)?;
    let pack = json!({"kind": "pack", "credits": 900_000_000});
    let pack = Command::grant(&value(&pack)?, &journal.catalog).map_err(|refusal| refusal.detail.clone())?;
    journal.run(&pack, start, Some("the pack"))?;
    let mut calls = Vec::new();
    for (model, meter, quantity) in CALLS {
        let body = value(&json!({"model": model, "usage": {meter: quantity}}))?;
        let command = Command::charge(&body).map_err(|refusal| refusal.detail.clone())?;
        calls.push((command, retry::content("charges", &body)));
    }
    for (command, content) in calls.iter().cycle() {
        let seq = journal.seq();
        if seq >= entries {
            break;
        }
        let at = start + i64::try_from(u128::from(seq) * (DAYS * DAY_MS) as u128 / u128::from(entries))?;
        journal.run(command, at, Some(content))?;
    }
    Ok(journal.out.flush()?)
}
