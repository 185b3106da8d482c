//! The account object: it serialises everything that happens to one account.

mod commands;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use edge_credits::account::Account as AccountState;
use edge_credits::decide::account_not_found;
use edge_credits::due::Settled;
use edge_credits::estimate::account_estimate;
use edge_credits::request::PricedRequest;
use edge_credits::retry;
use edge_credits::time::Instant;
use edge_credits::value::{Fields, Value};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::Uint8Array;
use worker::worker_sys::DurableObjectState;
use worker::{Env, Method, State};

use crate::alerts;
use crate::at_once;
use crate::fault;
use crate::gate::Gate;
use crate::internal;
use crate::invitations::REDEMPTION;
use crate::live::Watchers;
use crate::outbox::Outbox;
use crate::problem::{CallFault, Problem};
use crate::promotions::PROMOTION;
use crate::published::{self, Timeline};
use crate::reply::{self, Finished, Response};
use crate::request::{Header, Request};
use crate::route::{Call, Route};
use crate::store::{Answered, KeyedContent, Loaded, Store};
use crate::trace;
use crate::wall::WALL;

pub(crate) use commands::Order;

/// Which segment of the path `/v1/accounts/{a}/…` begins the call on the account.
const CALL_SEGMENT: usize = 4;

/// When an alarm that did not come to its end goes off again, in milliseconds.
const ALARM_RETRY_MS: u64 = 10_000;

/// The object of one account, as the runtime has it: scripts/worker/durable.js.
#[wasm_bindgen(js_name = Account)]
pub struct AccountObject(Rc<Account>);

/// One account.
pub(crate) struct Account {
    store: Store,
    env: Env,
    /// What the journal adds up to; nothing until it has been read.
    memory: RefCell<Option<Loaded>>,
    gate: Gate,
    outbox: Outbox,
    watchers: Watchers,
    /// Whether the directory has its invitation code.
    pub(crate) is_code_known: Cell<bool>,
}

/// A request to this account, with all that was awaited.
pub(crate) struct Ask<'a> {
    pub(crate) id: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) now: Instant,
    pub(crate) catalogs: Rc<Timeline>,
}

#[wasm_bindgen(js_class = Account)]
impl AccountObject {
    /// The account of this storage.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env, gate: Gate) -> AccountObject {
        fault::learn(&env);
        let state = State::from(state);
        AccountObject(Rc::new(Account {
            store: Store::new(&state),
            env,
            memory: RefCell::new(None),
            gate,
            outbox: Outbox::new(&state),
            watchers: Watchers::new(state),
            is_code_known: Cell::new(false),
        }))
    }

    /// Answers a request, handed over as [`Request::read`] has it: with a response, or a promise of one. A command has
    /// passed the gate in this very step.
    pub fn fetch(&self, head: &str, body: Option<Vec<u8>>) -> JsValue {
        let account = self.0.clone();
        let request = Request::read(head, body);
        at_once::run(async move { account.reply_to(&request).await.into_js() })
    }

    /// Answers calls that came together, all of whose bodies are in `calls`: with bytes, or a promise of them. They have
    /// passed the gate in this very step.
    #[wasm_bindgen(js_name = fetchTogether)]
    pub fn fetch_together(&self, calls: Vec<u8>) -> JsValue {
        let account = self.0.clone();
        at_once::run(async move {
            let answers = account.serve_together(&calls).await;
            Uint8Array::from(answers.as_slice()).into()
        })
    }

    /// Tells what a crash, or somebody who could not be reached, has left to be told. The value says why there is no next
    /// alarm though there is to be one.
    pub fn alarm(&self) -> JsValue {
        let account = self.0.clone();
        at_once::run(async move {
            let told = account.tell_due().await;
            if let Err(problem) = &told {
                trace::fault(None, &format!("not told yet: {problem:?}"));
            }
            let after_ms = if told.is_ok() { 0 } else { ALARM_RETRY_MS };
            let set = account.outbox.set_alarm(after_ms);
            set.map_or_else(
                |problem| JsValue::from(format!("{problem:?}")),
                |()| JsValue::UNDEFINED,
            )
        })
    }
}

impl Account {
    /// What goes out to a request.
    pub(crate) async fn reply_to(&self, request: &Request) -> Finished {
        let answer = self.serve(request).await;
        if self.outbox.take_fresh() {
            // Told at once where that is possible; otherwise the alarm sees to it.
            let _ = self.tell_wall().await;
        }
        Finished::of(answer, request, &self.env)
    }

    async fn serve(&self, request: &Request) -> Result<Response, Problem> {
        let (method, path, headers) = (request.method(), request.path(), request.headers());
        if path == internal::PATH {
            return self.serve_internal(request).await;
        }
        let Route::Account(id, call) = Route::find(method, path)? else {
            return Err(CallFault::NotFound.into());
        };
        let now = request.now(&self.env)?;
        let key = headers.get(Header::IdempotencyKey);
        let key = if call.needs_key() || (key.is_some() && call.takes_key()) {
            Some(retry::parse_key(key)?)
        } else {
            None
        };
        let body = match method {
            Method::Get => Value::Null,
            _ => request.json(call.may_lack_body())?,
        };
        let catalogs = published::hear(&self.env).await?;
        fault::arm(headers)?;
        let ask = Ask {
            id: &id,
            query: request.query(),
            body: &body,
            now,
            catalogs,
        };
        self.wake()?;
        // But for redemptions, nothing is awaited any more: the rest is one step that no other request sees into.
        if let Some(key) = key {
            // What was said is the call on this account and its body.
            let path: Vec<&str> = path.split('/').skip(CALL_SEGMENT).collect();
            let content = retry::content(&path.join("/"), &body);
            let keyed = KeyedContent {
                key,
                content: &content,
            };
            return match call {
                Call::Redeem => self.redeem(&ask, keyed).await,
                Call::RedeemPromotion => self.redeem_promotion(&ask, keyed).await,
                call => self.answer_once(&call, &ask, keyed),
            };
        }
        match call {
            Call::Invitation => self.read_invitation(&ask).await,
            Call::Live => self.watch(&ask, headers),
            call => self.answer(&call, &ask),
        }
    }

    /// Tells others what they are to be told by now. What then is still there is tried again later.
    async fn tell_due(&self) -> Result<(), Problem> {
        published::hear(&self.env).await?;
        self.wake()?;
        let mut is_heard = true;
        for due in self.outbox.due()? {
            if due.name.starts_with(alerts::PREFIX) {
                is_heard = is_heard && self.post_alert(&due).await?;
                continue;
            }
            // Whatever comes of it, it is not tried again at once. What succeeds takes it out.
            self.outbox.postpone(&due.name, ALARM_RETRY_MS)?;
            let told = match due.name.as_str() {
                REDEMPTION => self.finish_redemption().await,
                PROMOTION => self.finish_promotion().await,
                WALL => self.tell_wall().await,
                _ => Ok(()),
            };
            if let Err(problem) = told {
                trace::fault(None, &format!("not told yet: {problem:?}"));
            }
        }
        Ok(())
    }

    /// Reads the journal, if that was not done yet.
    pub(crate) fn wake(&self) -> Result<(), Problem> {
        let mut memory = self.memory.borrow_mut();
        if memory.is_none() {
            *memory = Some(self.store.load()?);
        }
        Ok(())
    }

    /// Answers a call with a key: a retry gets the first answer, the same key for anything else a refusal.
    ///
    /// Most keys are new, so that a key is not looked for before the command is carried out. If it was used before, no
    /// second entry can be written with it, or the command is refused; nothing has changed then.
    fn answer_once(
        &self,
        call: &Call,
        ask: &Ask<'_>,
        keyed: KeyedContent<'_>,
    ) -> Result<Response, Problem> {
        let outcome = self.command(call, ask, Some(keyed));
        let may_be_known = matches!(
            outcome,
            Err(Problem::Refused(_) | Problem::Call(_) | Problem::KeyTaken)
        );
        if may_be_known
            && self.is_open()
            && let Some(answered) = self.answered(keyed)?
        {
            return reply::replayed(&answered.entry);
        }
        outcome
    }

    /// What this key was answered with before; a refusal if it was used for anything else.
    pub(crate) fn answered(&self, keyed: KeyedContent<'_>) -> Result<Option<Answered>, Problem> {
        match self.store.answered(keyed.key)? {
            Some(answered) if answered.content != keyed.content => {
                Err(retry::key_reused(keyed.key).into())
            }
            answered => Ok(answered),
        }
    }

    fn answer(&self, call: &Call, ask: &Ask<'_>) -> Result<Response, Problem> {
        match call {
            Call::Read => self.read(ask, &[], |settled| {
                reply::json(200, &settled.account_view())
            }),
            Call::Balance => self.read_balance(ask),
            Call::Estimate => self.read(ask, &[], |settled| estimate(settled, ask)),
            Call::Entitlements => self.read(ask, &[], |settled| {
                let catalog = ask.catalogs.at(settled.as_of);
                reply::json(200, &settled.account.entitlements_view(catalog))
            }),
            Call::ReadAlerts => self.read(ask, &[], |settled| {
                reply::json(200, &settled.account.alerts_view())
            }),
            Call::ReadHolds => self.read_holds(ask),
            Call::ReadHold(hold) => self.read_hold(ask, hold),
            Call::ReadGrants => self.read_grants(ask),
            Call::Entries => self.read_entries(ask),
            Call::Usage => self.read_usage(ask),
            Call::Verify => self.verify(ask),
            call => self.command(call, ask, None),
        }
    }

    fn is_open(&self) -> bool {
        self.with_account(|_| ()).is_some()
    }

    /// Whose account it is, and the time of its last entry; nothing if nobody opened it.
    pub(crate) fn identity(&self) -> Option<(String, Instant)> {
        self.with_account(|account| (account.id.clone(), account.last_at))
    }

    /// What the account says of itself; nothing if nobody opened it.
    pub(crate) fn with_account<T>(&self, read: impl FnOnce(&AccountState) -> T) -> Option<T> {
        let memory = self.memory.borrow();
        memory.as_ref()?.account.as_ref().map(read)
    }

    /// Answers from the account as it stands at the request's time. Reads never write.
    pub(crate) fn read(
        &self,
        ask: &Ask<'_>,
        parameters: &[&str],
        answer: impl FnOnce(&Settled) -> Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        crate::route::query(ask.query, parameters)?;
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
            Some(account) => Ok(account.settled(ask.now, ask.catalogs.view())),
            None => Err(account_not_found(ask.id).into()),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

fn estimate(settled: &Settled, ask: &Ask<'_>) -> Result<Response, Problem> {
    let fields = Fields::read(ask.body, "", &PricedRequest::FIELDS)?;
    let request = PricedRequest::parse(&fields, true)?;
    reply::json(
        200,
        &account_estimate(&request, ask.catalogs.at(settled.as_of), settled.wallet())?,
    )
}
