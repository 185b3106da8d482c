//! The memorial wall: the early birds who want to be named (guide, FAQ 5).

use std::cell::RefCell;
use std::rc::Rc;

use base16ct::lower::encode_string;
use edge_credits::account::Account as AccountState;
use edge_credits::entry::{Entry, Event};
use edge_credits::time::Instant;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use worker::{Date, Env};

use crate::directory::{self, DirectoryCall};
use crate::object::Account;
use crate::problem::Problem;
use crate::reply::{self, Response};
use crate::request::Headers;

/// The perk whose holders the wall remembers.
const PERK: &str = "early_bird";
/// What the outbox calls that the directory must be told.
pub(crate) const WALL: &str = "wall";
/// How long an isolate shows the wall as it last saw it.
const FRESH_MS: u64 = 10_000;

/// How an account looks on the wall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WallNotice {
    pub(crate) account: String,
    /// The number of its last entry.
    pub(crate) seq: u64,
    pub(crate) since: Instant,
    /// Nothing if it is not to be there.
    pub(crate) display_name: Option<String>,
}

/// A name on the wall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EarlyBird {
    display_name: String,
    since: Instant,
}

impl EarlyBird {
    pub(crate) fn new(display_name: String, since_ms: i64) -> EarlyBird {
        EarlyBird {
            display_name,
            since: Instant::from_millis(since_ms),
        }
    }
}

/// The wall as an isolate saw it.
struct Seen {
    at_ms: u64,
    body: String,
    tag: String,
}

thread_local! {
    static SEEN: RefCell<Option<Rc<Seen>>> = const { RefCell::new(None) };
}

/// `GET /v1/memorial-wall`
pub(crate) async fn read(asked: &Headers, env: &Env) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Wall {
        early_birds: Vec<EarlyBird>,
    }
    let now = Date::now().as_millis();
    let is_fresh = |seen: &Rc<Seen>| now.saturating_sub(seen.at_ms) < FRESH_MS;
    let seen = SEEN.with_borrow(Option::clone).filter(is_fresh);
    let seen = match seen {
        Some(seen) => seen,
        None => {
            let early_birds = directory::ask(env, &DirectoryCall::ReadWall).await?;
            let body = serde_json::to_string(&Wall { early_birds })?;
            let digest = Sha256::digest(body.as_bytes());
            let tag = format!(
                "\"{}\"",
                encode_string(digest.get(..16).unwrap_or_default())
            );
            let seen = Rc::new(Seen {
                at_ms: now,
                body,
                tag,
            });
            SEEN.set(Some(seen.clone()));
            seen
        }
    };
    reply::tagged(asked, &seen.tag, || Ok(reply::text(200, seen.body.clone())))
}

impl Account {
    /// Notes that the directory must be told, if these entries change what the wall shows.
    pub(crate) fn note_wall(
        &self,
        entries: &[Entry],
        account: &AccountState,
    ) -> Result<(), Problem> {
        let changes = entries.iter().any(|entry| match &entry.event {
            Event::Updated(changes) => changes.display_name.is_some() && account.has_perk(PERK),
            Event::PerkGranted { perk } | Event::PerkRevoked { perk } => {
                perk == PERK && account.display_name.is_some()
            }
            _ => false,
        });
        if changes {
            self.outbox().put(WALL, &account.seq, 0)
        } else {
            Ok(())
        }
    }

    /// Tells the directory how the account looks on the wall, if that is still to be told.
    pub(crate) async fn tell_wall(&self) -> Result<(), Problem> {
        if self.outbox().get::<u64>(WALL)?.is_none() {
            return Ok(());
        }
        let Some(notice) = self.wall_notice() else {
            return Ok(());
        };
        let told = notice.display_name.clone();
        directory::ask::<()>(self.env(), &DirectoryCall::PutOnWall { notice }).await?;
        // Whoever asks this isolate sees it from now on; others within seconds.
        SEEN.set(None);
        // What changed meanwhile has an alarm of its own.
        if self
            .wall_notice()
            .is_some_and(|now| now.display_name == told)
        {
            self.outbox().remove(WALL)?;
        }
        Ok(())
    }

    fn wall_notice(&self) -> Option<WallNotice> {
        self.with_account(|account| WallNotice {
            account: account.id.clone(),
            seq: account.seq,
            since: account.anchor.since,
            display_name: account
                .display_name
                .clone()
                .filter(|_| account.has_perk(PERK)),
        })
    }
}
