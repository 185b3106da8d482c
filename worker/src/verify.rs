//! Verification: the journal is read again, and everything that it states is computed again.

use edge_credits::account::Account as AccountState;
use edge_credits::entry::{Balance, Entry};
use edge_credits::explain::agrees;
use serde::Serialize;

use crate::chain;
use crate::object::{Account, Ask};
use crate::page::Page;
use crate::problem::Problem;
use crate::reads::written;
use crate::reply::{self, Response};
use crate::store::EntryPage;

/// How many entries one call verifies; the cursor goes on from there.
const ENTRIES_PER_CALL: u64 = 2_000;
/// How many findings are listed.
const MOST_FINDINGS: usize = 50;

/// What was verified.
#[derive(Serialize)]
struct Verification {
    /// Whether nothing was found.
    verified: bool,
    /// How many entries were read.
    entries: u64,
    /// The hash of the last of them.
    head: String,
    /// What does not agree.
    findings: Vec<Finding>,
    /// Where to go on.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Finding {
    seq: u64,
    detail: &'static str,
}

impl Account {
    /// `GET …/entries/verify`: the chain of hashes, the balances, and the prices by the catalogs they were made with.
    pub(crate) fn verify(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let page = Page::read(ask, &["cursor"])?;
        let last = written(&self.settled(ask)?);
        let first = page.seq_cursor("v")?.map_or(1, |seq| seq.saturating_add(1));
        let until = last.min(first.saturating_add(ENTRIES_PER_CALL).saturating_sub(1));
        let before = self.store().fold_to(first.saturating_sub(1))?;
        let (mut state, mut head) = (before.account, before.head);
        let mut findings = Vec::new();
        let bodies = self.store().entry_bodies(&EntryPage {
            first,
            last: until,
            kind: None,
            model: None,
            ascending: true,
            limit: ENTRIES_PER_CALL,
        })?;
        let mut expected = first;
        for (seq, body) in &bodies {
            let mut find = |wrong: bool, detail| {
                if wrong && findings.len() < MOST_FINDINGS {
                    findings.push(Finding { seq: *seq, detail });
                }
            };
            find(*seq != expected, "an entry is missing before it");
            find(
                !chain::follows(body, &head),
                "it does not name the hash of the entry before it",
            );
            let stated = chain::stated(body).unwrap_or_default();
            let computed = chain::computed(body).unwrap_or_default();
            find(computed != stated, "its hash is not that of its content");
            head = stated.to_owned();
            expected = seq.saturating_add(1);

            let entry: Entry = serde_json::from_str(body)?;
            let earlier = state.as_ref().map(|state| (state.last_at, state.balance()));
            AccountState::apply(&mut state, &entry);
            let now = state
                .as_ref()
                .map(AccountState::balance)
                .unwrap_or_default();
            let (earlier_at, earlier) = earlier.unwrap_or((entry.at, Balance::default()));
            find(
                entry.at < earlier_at,
                "it is earlier than the entry before it",
            );
            find(
                entry.balance != now,
                "its balance is not what the journal adds up to",
            );
            find(
                entry.credits != now.available - earlier.available,
                "its credits are not the change of what is available",
            );
            find(
                !self.price_agrees(&entry)?,
                "its price is not what its catalog makes it",
            );
        }
        let next_cursor = (until < last).then(|| format!("v{until}"));
        reply::json(
            200,
            &Verification {
                verified: findings.is_empty(),
                entries: bodies.len() as u64,
                head,
                findings,
                next_cursor,
            },
        )
    }

    /// Whether a charge is priced as its catalog prices it.
    fn price_agrees(&self, entry: &Entry) -> Result<bool, Problem> {
        let Some(charge) = entry.event.charge() else {
            return Ok(true);
        };
        let catalog = self.store().catalog(&charge.catalog)?;
        Ok(catalog.is_some_and(|catalog| agrees(&entry.event, &catalog)))
    }
}
