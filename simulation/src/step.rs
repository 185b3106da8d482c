//! Steps: what a run is recorded as, so that it can be replayed and shortened.

use std::fmt;

use edge_credits::command::Command;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::time::Instant;

/// One thing that happens to an account.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the account's clock says.
    pub now: Instant,
    /// The catalog in force, by its place in the list of catalogs.
    pub catalog: usize,
    /// What happens.
    pub act: Act,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// A request is sent.
    Send(Request),
    /// The object's memory is gone, and rebuilt.
    Restart(Recovery),
    /// All snapshots are gone.
    LoseSnapshots,
    /// The archive is gone, and rebuilt from the journal.
    LoseArchive,
}

/// A request. Two of the same number carry the same idempotency key.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number. What it makes is referred to by it.
    pub number: u32,
    /// Whether it carries a key.
    pub keyed: bool,
    /// What is asked for. An id in it is a placeholder if `about` says more.
    pub command: Command,
    /// What the command's id stands for.
    pub about: About,
    /// How far it gets.
    pub fate: Fate,
}

/// What a command is about: something that an earlier request made, so that a list from which that request
/// was removed is still a list of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// What the command itself says.
    Itself,
    /// What the request of this number made.
    MadeBy(u32),
}

/// How far a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It never arrives.
    Lost,
    /// The object falls over between deciding and writing.
    CrashBeforeWrite(Recovery),
    /// The object falls over between writing and answering.
    CrashBeforeAnswer(Recovery),
}

/// What memory is rebuilt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The latest snapshot and the entries after it.
    Snapshot,
    /// The oldest snapshot that there is and the entries after it.
    StaleSnapshot,
    /// The whole journal.
    Journal,
}

/// The number of an entry that nobody ever writes.
const NEVER: u64 = 9_000_000_000;

impl Request {
    /// The command, with the id of what it is about. `made` gives the entry that a request made.
    pub fn resolve(&self, made: impl Fn(u32) -> Option<u64>) -> Command {
        let mut command = self.command.clone();
        let About::MadeBy(number) = self.about else {
            return command;
        };
        let seq = made(number).unwrap_or(NEVER);
        match &mut command {
            Command::Capture { hold, .. }
            | Command::Release { hold }
            | Command::Extend { hold, .. } => *hold = HoldId(seq),
            Command::Refund { charge, .. } => *charge = ChargeId(seq),
            Command::Void { grant } => *grant = format!("grant_{seq}"),
            _ => {}
        }
        command
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} catalog {} ", self.now, self.catalog)?;
        match &self.act {
            Act::Send(request) => {
                let Request {
                    number,
                    keyed,
                    command,
                    about,
                    fate,
                } = request;
                write!(f, "#{number}")?;
                if *keyed {
                    write!(f, " keyed")?;
                }
                if *fate != Fate::Answered {
                    write!(f, " {fate:?}")?;
                }
                if let About::MadeBy(other) = about {
                    write!(f, " about #{other}")?;
                }
                write!(f, " {command:?}")
            }
            act => write!(f, "{act:?}"),
        }
    }
}
