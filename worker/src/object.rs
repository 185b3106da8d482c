//! The account object: it serialises everything that happens to one account.

use std::cell::RefCell;
use std::rc::Rc;

use edge_credits::account::Account as AccountState;
use edge_credits::archive::Records;
use edge_credits::catalog::Catalog;
use edge_credits::command::Command;
use edge_credits::decide::{Context, account_not_found, decide};
use edge_credits::due::Settled;
use edge_credits::entry::Entry;
use edge_credits::estimate::account_estimate;
use edge_credits::request::PricedRequest;
use edge_credits::retry;
use edge_credits::time::Instant;
use edge_credits::value::{Fields, Value};
use worker::{DurableObject, Env, Method, Request, Response, State, durable_object};

use crate::problem::{CallFault, Problem};
use crate::published;
use crate::reply;
use crate::request;
use crate::route::{Call, Route, charge_id, hold_id};
use crate::store::{KeyedContent, Loaded, Store};

/// Which segment of the path `/v1/accounts/{a}/…` begins the call on the account.
const CALL_SEGMENT: usize = 4;

/// One account.
#[durable_object(fetch)]
pub struct Account {
    store: Store,
    env: Env,
    /// What the journal adds up to; nothing until it has been read.
    memory: RefCell<Option<Loaded>>,
}

/// A request to this account, with all that was awaited.
pub(crate) struct Ask<'a> {
    pub(crate) id: &'a str,
    pub(crate) url: &'a worker::Url,
    pub(crate) body: &'a Value,
    pub(crate) now: Instant,
    pub(crate) catalog: Rc<Catalog>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        Account {
            store: Store::new(&state),
            env,
            memory: RefCell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match self.serve(request).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.into_response(),
        }
    }
}

impl Account {
    async fn serve(&self, mut request: Request) -> Result<Response, Problem> {
        let method = request.method();
        let Route::Account(id, call) = Route::find(&method, &request.path())? else {
            return Err(CallFault::NotFound.into());
        };
        let url = request.url()?;
        let now = request::now(request.headers(), &self.env)?;
        let key = request.headers().get("Idempotency-Key")?;
        let key = if call.needs_key() || (key.is_some() && call.takes_key()) {
            Some(retry::parse_key(key.as_deref())?)
        } else {
            None
        };
        let body = match method {
            Method::Get => Value::Null,
            _ => request::read_body(&mut request, call.may_lack_body()).await?,
        };
        // From here on nothing is awaited: what follows is one step that no other request sees into.
        let ask = Ask {
            id: &id,
            url: &url,
            body: &body,
            now,
            catalog: published::catalog()?,
        };
        self.wake()?;
        if let Some(key) = key {
            // What was said is the call on this account and its body.
            let path: Vec<&str> = url.path().split('/').skip(CALL_SEGMENT).collect();
            let content = retry::content(&path.join("/"), &body);
            return self.answer_once(
                &call,
                &ask,
                KeyedContent {
                    key,
                    content: &content,
                },
            );
        }
        self.answer(&call, &ask)
    }

    /// Reads the journal, if that was not done yet.
    fn wake(&self) -> Result<(), Problem> {
        let mut memory = self.memory.borrow_mut();
        if memory.is_none() {
            *memory = Some(self.store.load()?);
        }
        Ok(())
    }

    /// Answers a call with a key: a retry gets the first answer, the same key for anything else a refusal.
    fn answer_once(
        &self,
        call: &Call,
        ask: &Ask<'_>,
        keyed: KeyedContent<'_>,
    ) -> Result<Response, Problem> {
        if self.is_open()
            && let Some(answered) = self.store.answered(keyed.key)?
        {
            if answered.content != keyed.content {
                return Err(retry::key_reused(keyed.key).into());
            }
            let response = reply::entry(&answered.entry)?;
            response.headers().set("Idempotent-Replayed", "true")?;
            return Ok(response);
        }
        self.command(call, ask, Some(keyed))
    }

    fn answer(&self, call: &Call, ask: &Ask<'_>) -> Result<Response, Problem> {
        match call {
            Call::Read => self.read(ask, &[], |settled| {
                reply::json(200, &settled.account_view())
            }),
            Call::Balance => self.read_balance(ask),
            Call::Estimate => self.read(ask, &[], |settled| estimate(settled, ask)),
            Call::Entitlements => self.read(ask, &[], |settled| {
                reply::json(200, &settled.account.entitlements_view(&ask.catalog))
            }),
            Call::ReadHolds => self.read_holds(ask),
            Call::ReadHold(hold) => self.read_hold(ask, hold),
            Call::ReadGrants => self.read_grants(ask),
            Call::Entries => self.read_entries(ask),
            Call::Usage => self.read_usage(ask),
            call => self.command(call, ask, None),
        }
    }

    /// Decides about a command, writes what it makes, and only then lets the state follow.
    fn command(
        &self,
        call: &Call,
        ask: &Ask<'_>,
        keyed: Option<KeyedContent<'_>>,
    ) -> Result<Response, Problem> {
        crate::route::query(ask.url, &[])?;
        if *call != Call::Open && !self.is_open() {
            return Err(account_not_found(ask.id).into());
        }
        let (command, dry_run) = parse(call, ask)?;
        let mut memory = self.memory.borrow_mut();
        let Some(loaded) = memory.as_mut() else {
            return Err(Problem::Fault("the account was not read".to_owned()));
        };
        let records = match &loaded.account {
            Some(account) => Records::gather(&command, account, &self.store)?,
            None => Records::default(),
        };
        let held_catalog = self.held_catalog(&command, loaded.account.as_ref(), &records, ask)?;
        let context = Context {
            catalog: &ask.catalog,
            held_catalog: held_catalog.as_deref(),
            records: &records,
        };
        let entries = decide(loaded.account.as_ref(), ask.id, &command, ask.now, &context)?;

        let mut after = loaded.account.clone();
        let mut departed = Vec::new();
        for entry in &entries {
            let gone = AccountState::apply(&mut after, entry);
            departed.extend(gone.into_iter().map(|record| (entry.seq, record)));
        }
        let Some(after) = after else {
            return Err(account_not_found(ask.id).into());
        };
        if dry_run || entries.is_empty() {
            return reply::json(200, &after.settled(ask.now, &ask.catalog).account_view());
        }
        // Nothing can be refused any more; nothing has changed yet.
        let tail = self.store.commit(
            &entries,
            &departed,
            &after,
            loaded.tail,
            keyed,
            &ask.catalog,
        )?;
        *loaded = Loaded {
            account: Some(after),
            tail,
        };
        answer_to(call, &entries, loaded, ask)
    }

    /// The catalog that a capture's hold was priced with, if it is not the one in force.
    fn held_catalog(
        &self,
        command: &Command,
        account: Option<&AccountState>,
        records: &Records,
        ask: &Ask<'_>,
    ) -> Result<Option<Rc<Catalog>>, Problem> {
        let Command::Capture { hold, .. } = command else {
            return Ok(None);
        };
        let open = account.and_then(|account| account.hold(*hold));
        match open.or(records.hold.as_ref()) {
            Some(hold) if hold.catalog != ask.catalog.hash() => self.store.catalog(&hold.catalog),
            _ => Ok(None),
        }
    }

    fn is_open(&self) -> bool {
        self.memory
            .borrow()
            .as_ref()
            .is_some_and(|loaded| loaded.account.is_some())
    }

    /// Answers from the account as it stands at the request's time. Reads never write.
    pub(crate) fn read(
        &self,
        ask: &Ask<'_>,
        parameters: &[&str],
        answer: impl FnOnce(&Settled) -> Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        crate::route::query(ask.url, parameters)?;
        answer(&self.settled(ask)?)
    }

    /// The account as it stands at the request's time.
    pub(crate) fn settled(&self, ask: &Ask<'_>) -> Result<Settled, Problem> {
        match self
            .memory
            .borrow()
            .as_ref()
            .and_then(|loaded| loaded.account.as_ref())
        {
            Some(account) => Ok(account.settled(ask.now, &ask.catalog)),
            None => Err(account_not_found(ask.id).into()),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

/// Reads the command of a call. The second value is whether it is only to be tried.
fn parse(call: &Call, ask: &Ask<'_>) -> Result<(Command, bool), Problem> {
    let (body, catalog) = (ask.body, &*ask.catalog);
    let command = match call {
        Call::Open => Command::open(body, catalog)?,
        Call::Update => Command::update(body)?,
        Call::ChangePlan => return Ok(Command::change_plan(body, catalog)?),
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
    loaded: &Loaded,
    ask: &Ask<'_>,
) -> Result<Response, Problem> {
    let is_about_the_account = matches!(
        call,
        Call::Open | Call::Update | Call::ChangePlan | Call::GrantPerk(_) | Call::RevokePerk(_)
    );
    match (&loaded.account, entries.last()) {
        (Some(account), Some(_)) if is_about_the_account => {
            let status = if *call == Call::Open { 201 } else { 200 };
            reply::json(
                status,
                &account.settled(ask.now, &ask.catalog).account_view(),
            )
        }
        (_, Some(entry)) => reply::entry(entry),
        _ => Err(Problem::Fault("a command made no entry".to_owned())),
    }
}

fn estimate(settled: &Settled, ask: &Ask<'_>) -> Result<Response, Problem> {
    let fields = Fields::read(ask.body, "", &PricedRequest::FIELDS)?;
    let request = PricedRequest::parse(&fields, true)?;
    reply::json(
        200,
        &account_estimate(&request, &ask.catalog, settled.wallet())?,
    )
}
