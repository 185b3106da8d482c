//! What callers ask of an account's history: its journal, holds, grants, and past balances.

use edge_credits::archive::Archive;
use edge_credits::due::Settled;
use edge_credits::entry::{Entry, Event};
use edge_credits::grant::Grant;
use edge_credits::hold::{Hold, HoldStatus};
use edge_credits::hold_not_found;
use serde::Serialize;

use crate::object::{Account, Ask};
use crate::page::{Page, invalid, invalid_cursor};
use crate::problem::Problem;
use crate::reply::{self, Response};
use crate::route::{hold_id, query};
use crate::store::{EntryPage, LAST_SEQ};

/// How many entries a filtered page looks at. One that finds fewer items than its limit still has a cursor.
const MOST_SCANNED: u64 = 20_000;

impl Account {
    /// `GET …/balance`: now, or at a past instant by replay from the nearest snapshot.
    pub(crate) fn read_balance(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let at = Page::read(ask, &["at"])?.instant("at")?;
        let now = self.settled(ask)?;
        let Some(at) = at else {
            return reply::json(200, &now.balance_view());
        };
        if at > now.as_of {
            return Err(invalid("at", format!("{at} lies in the future")).into());
        }
        let seq = self.store().last_seq_at(at, written(&now))?;
        match self.store().fold_to(seq)?.account.filter(|_| seq > 0) {
            Some(account) => reply::json(
                200,
                &account.settled(at, ask.catalogs.view()).balance_view(),
            ),
            None => Err(invalid("at", format!("the account was opened after {at}")).into()),
        }
    }

    /// `GET …/entries`: the journal.
    pub(crate) fn read_entries(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let names = ["limit", "cursor", "order", "kind", "model", "from", "to"];
        let page = Page::read(ask, &names)?;
        let last = written(&self.settled(ask)?);
        let limit = page.limit()?;
        let ascending = page
            .word("order", &[("desc", false), ("asc", true)])?
            .unwrap_or(false);
        let prefix = if ascending { "a" } else { "d" };
        let kinds = Event::KINDS.map(|kind| (kind, kind));
        let kind = page.word("kind", &kinds)?;
        let first = match page.instant("from")? {
            Some(from) => self.seq_before(from, last)?.saturating_add(1),
            None => 1,
        };
        let last = match page.instant("to")? {
            Some(to) => self.seq_before(to, last)?,
            None => last,
        };
        let (first, last) = match (page.seq_cursor(prefix)?, ascending) {
            (None, _) => (first, last),
            (Some(seq), true) => (first.max(seq.saturating_add(1)), last),
            (Some(seq), false) => (first, last.min(seq.saturating_sub(1))),
        };
        // A filter may pass over many entries: it looks at so many, and the cursor goes on from there.
        let (from, to) = if ascending {
            (first, last.min(first.saturating_add(MOST_SCANNED)))
        } else {
            (first.max(last.saturating_sub(MOST_SCANNED)), last)
        };
        let query = EntryPage {
            first: from,
            last: to,
            kind,
            model: page.get("model"),
            ascending,
            limit: limit.saturating_add(1),
        };
        let mut bodies = self.store().entry_bodies(&query)?;
        let more = bodies.len() as u64 > limit;
        bodies.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = match bodies.last() {
            Some((seq, _)) if more => Some(*seq),
            _ if ascending && to < last => Some(to),
            _ if !ascending && from > first => Some(from),
            _ => None,
        };
        let mut json = String::from("{\"entries\":[");
        for (index, (_, body)) in bodies.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(body);
        }
        json.push_str("],\"next_cursor\":");
        json.push_str(&next.map_or("null".to_owned(), |seq| format!("\"{prefix}{seq}\"")));
        json.push('}');
        Ok(reply::text(200, json))
    }

    /// `GET …/holds`: newest first.
    pub(crate) fn read_holds(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        #[derive(Serialize)]
        struct Holds {
            holds: Vec<Hold>,
            next_cursor: Option<String>,
        }
        let page = Page::read(ask, &["limit", "cursor", "status"])?;
        let settled = self.settled(ask)?;
        let limit = page.limit()?;
        let status = page.word(
            "status",
            &[
                HoldStatus::Held,
                HoldStatus::Captured,
                HoldStatus::Released,
                HoldStatus::Lapsed,
            ]
            .map(|status| (status.as_str(), status)),
        )?;
        let mut last = page
            .seq_cursor("h")?
            .map_or(written(&settled), |seq| seq.saturating_sub(1));
        let first = last.saturating_sub(MOST_SCANNED).max(1);
        let (mut holds, mut next_cursor) = (Vec::new(), None);
        'pages: while last >= first {
            let made = self.store().entry_bodies(&EntryPage {
                first,
                last,
                kind: Some("held"),
                model: None,
                ascending: false,
                limit: limit.saturating_add(1),
            })?;
            let Some((lowest, _)) = made.last() else {
                last = first.saturating_sub(1);
                break;
            };
            let lowest = *lowest;
            for (seq, body) in made {
                let entry: Entry = serde_json::from_str(&body)?;
                let Some(hold) = entry.event.hold() else {
                    continue;
                };
                let hold = self.hold_as_it_stands(&settled, hold)?;
                if status.is_some_and(|status| status != hold.status) {
                    continue;
                }
                if holds.len() as u64 == limit {
                    next_cursor = Some(format!("h{}", seq.saturating_add(1)));
                    break 'pages;
                }
                holds.push(hold);
            }
            last = lowest.saturating_sub(1);
        }
        if next_cursor.is_none() && last >= 1 && last < first {
            next_cursor = Some(format!("h{first}"));
        }
        reply::json(200, &Holds { holds, next_cursor })
    }

    /// `GET …/holds/{h}`.
    pub(crate) fn read_hold(&self, ask: &Ask<'_>, id: &str) -> Result<Response, Problem> {
        #[derive(Serialize)]
        struct One {
            hold: Hold,
            balance: edge_credits::entry::Balance,
        }
        query(ask.query, &[])?;
        let settled = self.settled(ask)?;
        let hold = self
            .find_hold(&settled, hold_id(id)?)?
            .ok_or_else(|| hold_not_found(id))?;
        reply::json(
            200,
            &One {
                hold,
                balance: settled.account.balance(),
            },
        )
    }

    /// `GET …/grants`: those of the state, then those that have left it, newest first.
    pub(crate) fn read_grants(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        #[derive(Serialize)]
        struct Grants {
            grants: Vec<Grant>,
            next_cursor: Option<String>,
        }
        let page = Page::read(ask, &["limit", "cursor"])?;
        let settled = self.settled(ask)?;
        let limit = page.limit()?;
        let before = match page.cursor("g")? {
            None => None,
            Some(text) => {
                let (seq, id) = text.split_once('.').ok_or_else(invalid_cursor)?;
                Some((
                    seq.parse::<u64>().map_err(|_| invalid_cursor())?,
                    id.to_owned(),
                ))
            }
        };
        let mut grants = Vec::new();
        if before.is_none() {
            grants.extend(settled.account.grants.iter().cloned());
            grants.extend(settled.due.iter().filter_map(|entry| match &entry.event {
                Event::Expired { grant } if settled.account.grant(&grant.id).is_none() => {
                    Some(grant.clone())
                }
                _ => None,
            }));
        }
        let (seq, id) = before.unwrap_or((LAST_SEQ, String::new()));
        let departed = self
            .store()
            .departed_grants((seq, &id), limit.saturating_add(1))?;
        let more = departed.len() as u64 > limit;
        let mut next_cursor = None;
        for (seq, grant) in departed
            .into_iter()
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
        {
            next_cursor = Some(format!("g{seq}.{}", grant.id)).filter(|_| more);
            if !grants.iter().any(|known| known.id == grant.id) {
                grants.push(grant);
            }
        }
        reply::json(
            200,
            &Grants {
                grants,
                next_cursor,
            },
        )
    }

    fn hold_as_it_stands(&self, settled: &Settled, made: &Hold) -> Result<Hold, Problem> {
        Ok(self
            .find_hold(settled, made.id)?
            .unwrap_or_else(|| made.clone()))
    }

    fn find_hold(
        &self,
        settled: &Settled,
        id: edge_credits::ids::HoldId,
    ) -> Result<Option<Hold>, Problem> {
        if let Some(hold) = settled.account.hold(id) {
            return Ok(Some(hold.clone()));
        }
        let lapsed = settled
            .due
            .iter()
            .find_map(|entry| entry.event.hold().filter(|hold| hold.id == id));
        match lapsed {
            Some(hold) => Ok(Some(hold.clone())),
            None => self.store().hold(id),
        }
    }
}

/// The number of the last entry that is written.
pub(crate) fn written(settled: &Settled) -> u64 {
    settled.account.seq.saturating_sub(settled.due.len() as u64)
}
