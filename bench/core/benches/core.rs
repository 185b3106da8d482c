//! How many decisions one processor core makes in a second: `npm run bench -- --core`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use edge_credits::account::Account;
use edge_credits::archive::Records;
use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::command::Command;
use edge_credits::decide::{Context, decide};
use edge_credits::entry::Entry;
use edge_credits::estimate::estimate;
use edge_credits::request::PricedRequest;
use edge_credits::time::Instant;
use edge_credits::value::{Fields, Value};
use serde_json::json;

const NOON: i64 = 1_772_366_400_000; // 1 March 2026
const ENTRIES: usize = 10_000;

fn main() {
    divan::main();
}

/// A charge is decided on an account with twenty grants, and applied.
#[divan::bench(sample_count = 100, sample_size = 1_000)]
fn charge_on_20_grants(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::open(20);
    let charge = charge();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| bench.run(black_box(&charge)));
}

/// The same on the account that most users have: the plan's daily credits and one pack.
#[divan::bench(sample_count = 100, sample_size = 1_000)]
fn charge_on_2_grants(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::open(2);
    let charge = charge();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| bench.run(black_box(&charge)));
}

/// A charge as the Worker's object does it but for the storage: JSON in, decision, state, the entry's JSON and the
/// answer's JSON out.
#[divan::bench(sample_count = 100, sample_size = 1_000)]
fn charge_from_json_to_json(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::open(2);
    let body = body().to_string();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let body: Value = serde_json::from_str(black_box(&body)).expect("JSON");
        let entries = bench.run(&Command::charge(&body).expect("a charge"));
        let entry = entries.last().expect("an entry");
        let row = serde_json::to_string(entry).expect("JSON");
        let answer = serde_json::to_vec(&entry.answer()).expect("JSON");
        (row, answer)
    });
}

/// One item with two meters is priced.
#[divan::bench(sample_count = 100, sample_size = 1_000)]
fn price_one_item(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let body = value(&body());
    let fields = Fields::read(&body, "", &PricedRequest::FIELDS).expect("fields");
    let request = PricedRequest::parse(&fields, false).expect("a request");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| estimate(black_box(&request), &catalog).expect("an estimate"));
}

/// Entries that are in memory already make the state.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>) {
    let entries = journal();
    bencher.counter(ItemsCount::new(entries.len())).bench_local(|| {
        let mut state = None;
        for entry in black_box(&entries) {
            Account::apply(&mut state, entry);
        }
        state
    });
}

/// Entries are read from JSON, as when an account wakes without a snapshot.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn replay_from_json(bencher: Bencher<'_, '_>) {
    let rows: Vec<String> = journal().iter().map(|entry| serde_json::to_string(entry).expect("JSON")).collect();
    bencher.counter(ItemsCount::new(rows.len())).bench_local(|| {
        let mut state = None;
        for row in black_box(&rows) {
            let entry: Entry = serde_json::from_str(row).expect("an entry");
            Account::apply(&mut state, &entry);
        }
        state
    });
}

fn journal() -> Vec<Entry> {
    let mut bench = Bench::open(20);
    let charge = charge();
    let mut entries = std::mem::take(&mut bench.opening);
    while entries.len() < ENTRIES {
        entries.extend(bench.run(&charge));
    }
    entries
}

struct Bench {
    catalog: Catalog,
    state: Option<Account>,
    opening: Vec<Entry>,
}

impl Bench {
    /// An account with so many grants, of which the daily one is burned first, then the rest in turn.
    fn open(grants: usize) -> Bench {
        let catalog = catalog();
        let open = Command::open(&value(&json!({"plan": "free"})), &catalog).expect("an opening");
        let mut bench = Bench { catalog, state: None, opening: Vec::new() };
        let mut opening = bench.run(&open);
        for number in 1..grants {
            let pack = json!({"kind": "pack", "credits": 40_000_000, "priority": number});
            let command = Command::grant(&value(&pack), &bench.catalog).expect("a grant");
            opening.extend(bench.run(&command));
        }
        bench.opening = opening;
        bench
    }

    fn run(&mut self, command: &Command) -> Vec<Entry> {
        let records = Records::default();
        let context = Context { catalogs: (&self.catalog).into(), held_catalog: None, records: &records };
        let now = Instant::from_millis(NOON);
        let entries = decide(self.state.as_ref(), "ada", command, now, &context).expect("a decision");
        for entry in &entries {
            Account::apply(&mut self.state, entry);
        }
        entries
    }
}

fn catalog() -> Catalog {
    Catalog::parse(&serde_json::from_str(PUBLISHED).expect("JSON")).expect("the published catalog")
}

fn body() -> serde_json::Value {
    json!({"model": "kimi-k2", "usage": {"input_tokens": 1200, "output_tokens": 800}})
}

fn charge() -> Command {
    Command::charge(&value(&body())).expect("a charge")
}

fn value(body: &serde_json::Value) -> Value {
    serde_json::from_str(&body.to_string()).expect("JSON")
}
