//! Commands on an account: read, decided, written, and answered.

use std::rc::Rc;

use edge_credits::account::Account as AccountState;
use edge_credits::archive::Records;
use edge_credits::catalog::Catalog;
use edge_credits::command::Command;
use edge_credits::decide::{Context, account_not_found, decide};
use edge_credits::entry::Entry;
use edge_credits::time::Instant;

use crate::fault;
use crate::problem::{CallFault, Problem};
use crate::published::Timeline;
use crate::reply::{self, Response};
use crate::route::{Call, charge_id, hold_id};
use crate::store::{KeyedContent, Loaded, Made};

use super::{Account, Ask};

/// A command, and all that it is carried out with.
pub(crate) struct Order<'a> {
    pub(crate) account: &'a str,
    pub(crate) command: &'a Command,
    pub(crate) now: Instant,
    pub(crate) keyed: Option<KeyedContent<'a>>,
    pub(crate) catalogs: Rc<Timeline>,
    /// Whether it is only to be tried.
    pub(crate) dry_run: bool,
}

/// What came of a command.
pub(crate) struct Executed {
    pub(crate) entries: Vec<Entry>,
    /// The account as it would be, if nothing was written.
    pub(crate) unwritten: Option<AccountState>,
}

impl Account {
    /// Decides about a command, writes what it makes, and only then lets the state follow.
    pub(super) fn command(
        &self,
        call: &Call,
        ask: &Ask<'_>,
        keyed: Option<KeyedContent<'_>>,
    ) -> Result<Response, Problem> {
        crate::route::query(ask.query, &[])?;
        if *call != Call::Open && !self.is_open() {
            return Err(account_not_found(ask.id).into());
        }
        let (command, dry_run) = parse(call, ask)?;
        let executed = self.execute(&Order {
            account: ask.id,
            command: &command,
            now: ask.now,
            keyed,
            catalogs: ask.catalogs.clone(),
            dry_run,
        })?;
        match executed.unwritten {
            Some(after) if *call == Call::SetAlerts => reply::json(200, &after.alerts_view()),
            Some(after) => {
                let settled = after.settled(ask.now, ask.catalogs.view());
                reply::json(200, &settled.account_view())
            }
            None => answer_to(call, &executed.entries, self.memory.borrow().as_ref(), ask),
        }
    }

    /// Decides about a command, writes what it makes, and only then lets the state follow.
    pub(crate) fn execute(&self, order: &Order<'_>) -> Result<Executed, Problem> {
        let Order {
            account: id,
            command,
            now,
            keyed,
            catalogs,
            dry_run,
        } = order;
        let mut memory = self.memory.borrow_mut();
        let Some(loaded) = memory.as_mut() else {
            return Err(Problem::Fault("the account was not read".to_owned()));
        };
        let records = match &loaded.account {
            Some(account) => Records::gather(command, account, &self.store)?,
            None => Records::default(),
        };
        let last_at = loaded.account.as_ref().map(|account| account.last_at);
        let catalog = catalogs.at(last_at.map_or(*now, |last| last.max(*now)));
        let held_catalog = self.held_catalog(order, loaded.account.as_ref(), &records)?;
        let context = Context {
            catalogs: catalogs.view(),
            held_catalog: held_catalog.as_deref(),
            records: &records,
        };
        let entries = decide(loaded.account.as_ref(), id, command, *now, &context)?;

        let mut after = loaded.account.clone();
        let (mut departed, mut letters) = (Vec::new(), Vec::new());
        for entry in &entries {
            let gone = AccountState::apply(&mut after, entry);
            departed.extend(gone.into_iter().map(|record| (entry.seq, record)));
            if let Some(after) = &after {
                letters.extend(self.letters(after, entry)?);
            }
        }
        let Some(after) = after else {
            return Err(account_not_found(id).into());
        };
        if *dry_run || entries.is_empty() {
            return Ok(Executed {
                entries,
                unwritten: Some(after),
            });
        }
        // A note too many tells what is known already; one too few would be missed.
        self.note_wall(&entries, &after)?;
        // Nothing can be refused any more; nothing has changed yet.
        let made = Made {
            entries: &entries,
            departed: &departed,
            after,
            keyed: *keyed,
            catalog,
        };
        fault::before_write()?;
        *loaded = self
            .store
            .commit(loaded, made, || self.put_letters(&letters))?;
        if !letters.is_empty() {
            self.outbox.set_alarm(0)?;
        }
        self.gate.shut_until_synced();
        fault::after_write()?;
        if let Some(account) = &loaded.account {
            self.watchers.tell(account, *now, catalogs)?;
        }
        Ok(Executed {
            entries,
            unwritten: None,
        })
    }

    /// The catalog that a capture's hold was priced with.
    fn held_catalog(
        &self,
        order: &Order<'_>,
        account: Option<&AccountState>,
        records: &Records,
    ) -> Result<Option<Rc<Catalog>>, Problem> {
        let Command::Capture { hold, .. } = order.command else {
            return Ok(None);
        };
        let open = account.and_then(|account| account.hold(*hold));
        match open.or(records.hold.as_ref()) {
            Some(hold) => match order.catalogs.of_hash(&hold.catalog) {
                Some(catalog) => Ok(Some(catalog)),
                None => self.store.catalog(&hold.catalog),
            },
            None => Ok(None),
        }
    }
}

/// Reads the command of a call. The second value is whether it is only to be tried.
fn parse(call: &Call, ask: &Ask<'_>) -> Result<(Command, bool), Problem> {
    let (body, catalog) = (ask.body, ask.catalogs.at(ask.now));
    let command = match call {
        Call::Open => Command::open(body, catalog)?,
        Call::Update => Command::update(body)?,
        Call::ChangePlan => return Ok(Command::change_plan(body, catalog)?),
        Call::SetSpendLimits => Command::spend_limits(body)?,
        Call::SetAlerts => Command::alerts(body)?,
        Call::GrantPerk(perk) | Call::RevokePerk(perk) => {
            Command::nothing(body)?;
            Command::perk(perk, matches!(call, Call::GrantPerk(_)), catalog)?
        }
        Call::Hold => Command::hold(body)?,
        Call::Capture(hold) => Command::capture(hold_id(hold)?, body)?,
        Call::Release(hold) => {
            Command::nothing(body)?;
            Command::Release {
                hold: hold_id(hold)?,
            }
        }
        Call::Extend(hold) => Command::extend(hold_id(hold)?, body)?,
        Call::Charge => Command::charge(body)?,
        Call::Refund(charge) => Command::refund(charge_id(charge)?, body)?,
        Call::Grant => Command::grant(body, catalog)?,
        Call::Void(grant) => {
            Command::nothing(body)?;
            Command::Void {
                grant: grant.clone(),
            }
        }
        Call::UseFeature(feature) => Command::feature(feature, false, body)?,
        Call::ReturnFeature(feature) => Command::feature(feature, true, body)?,
        _ => return Err(CallFault::NotFound.into()),
    };
    Ok((command, false))
}

/// What the caller of a command that was written is told.
fn answer_to(
    call: &Call,
    entries: &[Entry],
    loaded: Option<&Loaded>,
    ask: &Ask<'_>,
) -> Result<Response, Problem> {
    let is_about_the_account = matches!(
        call,
        Call::Open
            | Call::Update
            | Call::ChangePlan
            | Call::SetSpendLimits
            | Call::GrantPerk(_)
            | Call::RevokePerk(_)
    );
    match (
        loaded.and_then(|loaded| loaded.account.as_ref()),
        entries.last(),
    ) {
        (Some(account), Some(_)) if is_about_the_account => {
            let status = if *call == Call::Open { 201 } else { 200 };
            reply::json(
                status,
                &account.settled(ask.now, ask.catalogs.view()).account_view(),
            )
        }
        (Some(account), Some(_)) if *call == Call::SetAlerts => {
            reply::json(200, &account.alerts_view())
        }
        (_, Some(entry)) => reply::entry(entry),
        _ => Err(Problem::Fault("a command made no entry".to_owned())),
    }
}
