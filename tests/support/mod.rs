//! The one helper of the specifications: an account's ledger in memory, run as the Worker runs it, that
//! checks the laws of the journal after every entry.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "every specification uses its part of it, and one that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::LazyLock;

use edge_credits::account::Account;
use edge_credits::archive::{Archive, Record, Records};
use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::catalogs::{Catalogs, Version};
use edge_credits::charge::{Charge, Refund, Standing};
use edge_credits::command::Command;
use edge_credits::credits::Credits;
use edge_credits::decide::{Context, decide};
use edge_credits::due::Settled;
use edge_credits::entry::{Balance, Entry, Event};
use edge_credits::estimate::{AccountEstimate, account_estimate};
use edge_credits::grant::{Draw, Grant, GrantStatus};
use edge_credits::hold::Hold;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::request::PricedRequest;
use edge_credits::time::Instant;
use edge_credits::usage::DayUsage;
use edge_credits::value::{Fields, Value};
use serde_json::json;

pub type Json = serde_json::Value;

static PUBLISHED_CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::parse(&serde_json::from_str(PUBLISHED).unwrap()).unwrap());

/// The published catalog.
pub fn published() -> &'static Catalog {
    &PUBLISHED_CATALOG
}

/// The published catalog with changes.
pub fn catalog_with(change: impl FnOnce(&mut Json)) -> &'static Catalog {
    let mut catalog: Json = serde_json::from_str(PUBLISHED).unwrap();
    change(&mut catalog);
    Box::leak(Box::new(Catalog::parse(&value(catalog)).unwrap()))
}

/// What a caller sent.
pub fn value(body: Json) -> Value {
    serde_json::from_value(body).unwrap()
}

/// A moment.
pub fn time(text: &str) -> Instant {
    Instant::parse(text, "at").unwrap_or_else(|refusal| panic!("{}", refusal.detail))
}

/// Whole credits of an amount that has no others.
pub fn whole(credits: Credits) -> i64 {
    assert_eq!(credits.micros() % 1_000_000, 0, "{credits} is whole");
    credits.micros() / 1_000_000
}

/// The priced request of `quantity` of what a model is counted by.
pub fn call(model: &str, quantity: u64) -> Json {
    let meter = published().model(model).unwrap().meters().next().unwrap();
    json!({"model": model, "usage": {meter.as_str(): quantity}})
}

/// A body with one more field.
pub fn with(mut body: Json, name: &str, value: impl Into<Json>) -> Json {
    body[name] = value.into();
    body
}

/// Draws as rows of a grant and its whole credits.
pub fn draws(draws: &[Draw]) -> Vec<(&str, i64)> {
    draws
        .iter()
        .map(|draw| (draw.grant.as_str(), whole(draw.credits)))
        .collect()
}

/// Where things go that have left the state, and what the journal alone knows.
#[derive(Default)]
pub struct Shelf {
    pub holds: BTreeMap<HoldId, Hold>,
    pub charges: BTreeMap<ChargeId, Charge>,
    pub standings: BTreeMap<ChargeId, Standing>,
    pub grants: BTreeMap<String, Grant>,
    pub days: Vec<DayUsage>,
    ended_holds: BTreeMap<HoldId, Hold>,
}

impl Archive for Shelf {
    type Fault = Infallible;
    fn hold(&self, id: HoldId) -> Result<Option<Hold>, Infallible> {
        let known = self.ended_holds.get(&id).or_else(|| self.holds.get(&id));
        Ok(known.cloned())
    }
    fn charge(&self, id: ChargeId) -> Result<Option<Charge>, Infallible> {
        Ok(self.charges.get(&id).cloned())
    }
    fn standing(&self, id: ChargeId) -> Result<Option<Standing>, Infallible> {
        Ok(self.standings.get(&id).cloned())
    }
    fn grant(&self, id: &str) -> Result<Option<Grant>, Infallible> {
        Ok(self.grants.get(id).cloned())
    }
}

impl Shelf {
    fn keep(&mut self, record: Record) {
        match record {
            Record::Hold(hold) => {
                self.ended_holds.insert(hold.id, hold);
            }
            Record::Standing(standing) => {
                check_standing(&standing, &self.charges[&standing.charge]);
                self.standings.insert(standing.charge, standing);
            }
            Record::Grant(grant) => {
                check_grant(&grant);
                self.grants.insert(grant.id.clone(), grant);
            }
            Record::Day(day) => self.days.push(day),
        }
    }
}

/// An account's journal in memory.
pub struct Ledger {
    pub now: Instant,
    pub catalog: &'static Catalog,
    pub state: Option<Account>,
    pub entries: Vec<Entry>,
    pub shelf: Shelf,
    /// The state that the journal gives once it was written as JSON and read again.
    replayed: Option<Account>,
    published: Vec<Version>,
    credits: Credits,
    used: Credits,
    /// The alerts that were crossed: their ids, the figures, and the kinds of the entries.
    pub crossings: Vec<(String, i64, &'static str)>,
    /// Whether the replayed state is compared after every command, which long walks do at times only.
    pub compares_always: bool,
}

impl Ledger {
    /// A journal without entries.
    pub fn new() -> Ledger {
        Ledger {
            now: time("2026-03-01T12:00:00Z"),
            catalog: published(),
            state: None,
            entries: Vec::new(),
            shelf: Shelf::default(),
            replayed: None,
            published: Vec::new(),
            credits: Credits::ZERO,
            used: Credits::ZERO,
            crossings: Vec::new(),
            compares_always: true,
        }
    }

    /// An account of this plan, opened on 1 March 2026 at noon, in UTC.
    pub fn open(plan: &str) -> Ledger {
        Ledger::open_at("2026-03-01T12:00:00Z", json!({"plan": plan}))
    }

    /// An account that was opened with this body.
    pub fn open_at(at: &str, body: Json) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.at(at);
        let open = Command::open(&value(body), ledger.catalog).unwrap();
        ledger.attempt(&open).unwrap();
        ledger
    }

    /// An account that has nothing but these grants: a legacy plan whose credits were voided.
    pub fn with_grants(grants: &[Json]) -> (Ledger, Vec<String>) {
        let mut ledger = Ledger::open("plus");
        let plan = ledger.account().grants[0].id.clone();
        ledger.void(&plan);
        let ids = grants
            .iter()
            .map(|grant| ledger.grant(grant.clone()))
            .collect();
        (ledger, ids)
    }

    /// Moves the clock, to and fro.
    pub fn at(&mut self, at: &str) -> &mut Ledger {
        self.now = time(at);
        self
    }

    /// Publishes another catalog, in force from now on.
    pub fn publish(&mut self, catalog: &'static Catalog) -> &mut Ledger {
        self.catalog = catalog;
        self.publish_from(self.now, catalog)
    }

    /// Publishes another catalog, in force from an instant on.
    pub fn publish_from(&mut self, effective_at: Instant, catalog: &Catalog) -> &mut Ledger {
        let catalog = Rc::new(catalog.clone());
        self.published.push(Version {
            effective_at,
            catalog,
        });
        self.published.sort_by_key(|version| version.effective_at);
        self
    }

    /// The catalogs of all times.
    pub fn catalogs(&self) -> Catalogs<'_> {
        Catalogs::new(published(), &self.published)
    }

    /// Runs a command as the Worker does: gathers, decides, applies and archives.
    pub fn attempt(&mut self, command: &Command) -> Result<Vec<Entry>, Refusal> {
        let records = match &self.state {
            Some(account) => match Records::gather(command, account, &self.shelf) {
                Ok(records) => records,
                Err(never) => match never {},
            },
            None => Records::default(),
        };
        let held_catalog = match (command, &self.state) {
            (Command::Capture { hold, .. }, Some(account)) => account
                .hold(*hold)
                .or(records.hold.as_ref())
                .and_then(|hold| {
                    let later = self.published.iter().map(|version| &*version.catalog);
                    let mut all = later.chain([published()]);
                    all.find(|catalog| catalog.hash() == hold.catalog)
                }),
            _ => None,
        };
        let context = Context {
            catalogs: self.catalogs(),
            held_catalog,
            records: &records,
        };
        let decide = || decide(self.state.as_ref(), "ada", command, self.now, &context);
        let decision = decide();
        assert_eq!(decision, decide(), "deciding is deterministic");
        let entries = decision?;
        for entry in &entries {
            self.commit(entry);
        }
        if self.compares_always {
            self.compare_with_replay();
        }
        Ok(entries)
    }

    /// Applies an entry and checks the laws.
    pub fn commit(&mut self, entry: &Entry) {
        let before = self
            .state
            .as_ref()
            .map(Account::balance)
            .unwrap_or_default();
        match self.entries.last() {
            Some(last) => {
                assert_eq!(entry.seq, last.seq + 1, "the journal has no gap");
                assert!(entry.at >= last.at, "time went back at {entry:?}");
            }
            None => assert_eq!(entry.seq, 1, "the journal begins"),
        }
        assert_eq!(entry.id.0, entry.seq);
        if let Some(charge) = entry.event.charge() {
            check_charge(charge);
            self.used += charge.credits;
            self.shelf.charges.insert(charge.id, charge.clone());
        }
        if let Event::Refunded { refund, .. } = &entry.event {
            assert_eq!(drawn(&refund.draws) + refund.owed_cancelled, refund.credits);
            self.used -= refund.credits;
        }
        if let Some(hold) = entry.event.hold() {
            assert_eq!(
                drawn(&hold.draws),
                hold.credits,
                "a hold is drawn: {hold:?}"
            );
            self.shelf.holds.insert(hold.id, hold.clone());
        }
        for record in Account::apply(&mut self.state, entry) {
            self.shelf.keep(record);
        }
        for (alert, figure) in self.state.as_ref().unwrap().crossings(entry) {
            let crossing = (alert.id.clone(), whole(figure), entry.event.kind());
            self.crossings.push(crossing);
        }
        self.credits += entry.credits;
        self.check(entry, before);

        let written = serde_json::to_string(entry).unwrap();
        let read: Entry = serde_json::from_str(&written).unwrap();
        assert_eq!(read, *entry, "an entry survives JSON: {written}");
        Account::apply(&mut self.replayed, &read);
        self.entries.push(read);
    }

    fn check(&self, entry: &Entry, before: Balance) {
        let account = self.account();
        let balance = account.balance();
        assert_eq!(entry.balance, balance, "the balance of {entry:?}");
        assert_eq!(
            before.available + entry.credits,
            balance.available,
            "the credits of {entry:?}"
        );
        assert_eq!(self.credits, balance.available, "the entries add up");
        for figure in [balance.available, balance.held, balance.owed] {
            assert!(figure >= Credits::ZERO, "{balance:?} after {entry:?}");
        }
        let held: Credits = account.holds.iter().map(|hold| hold.credits).sum();
        assert_eq!(
            balance.held, held,
            "what is held is what open holds reserve"
        );
        for grant in &account.grants {
            check_grant(grant);
            let idle = balance.owed.is_zero()
                || grant.scope.is_some()
                || !grant.is_active()
                || grant.remaining.is_zero();
            assert!(idle, "owing while there is {grant:?} after {entry:?}");
        }
        let in_order = |pair: &[Grant]| pair[0].burning_order(&pair[1]).is_lt();
        assert!(account.grants.windows(2).all(in_order), "burning order");
        for debt in &account.debts {
            assert!(debt.owed.is_positive(), "a debt is owed: {debt:?}");
            check_standing(debt, &self.shelf.charges[&debt.charge]);
        }
        let by_age = |pair: &[Standing]| pair[0].charge < pair[1].charge;
        assert!(account.debts.windows(2).all(by_age), "oldest debt first");
        let used: Credits = account
            .usage
            .models
            .iter()
            .map(|usage| usage.totals.credits)
            .sum();
        assert_eq!(used, self.used, "usage is charges less refunds");
        assert_eq!(account.usage.total.credits, self.used);
    }

    /// The journal, written and read again, gives the very same state; so does the state itself.
    pub fn compare_with_replay(&self) {
        assert_eq!(self.replayed, self.state, "replay gives the same state");
        let written = serde_json::to_string(&self.state).unwrap();
        let read: Option<Account> = serde_json::from_str(&written).unwrap();
        assert_eq!(read, self.state, "a state survives JSON");
    }

    /// Runs a command that succeeds, and gives its last entry.
    #[track_caller]
    pub fn do_(&mut self, command: &Command) -> Entry {
        match self.attempt(command) {
            Ok(entries) => entries.last().unwrap().clone(),
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Runs a command that is refused, which leaves no trace.
    #[track_caller]
    pub fn refuse(&mut self, command: &Command) -> Refusal {
        match self.attempt(command) {
            Ok(entries) => panic!("not refused: {:?}", entries.last()),
            Err(refusal) => refusal,
        }
    }

    // Sentences.

    #[track_caller]
    pub fn charge(&mut self, model: &str, quantity: u64) -> Charge {
        self.charge_with(call(model, quantity))
    }

    /// Charges so many credits: as many images of a model that costs one each.
    #[track_caller]
    pub fn spend(&mut self, credits: u64) -> Charge {
        self.charge("flux-schnell", credits)
    }

    /// Charges so many credits, and owes what is not there.
    #[track_caller]
    pub fn owe(&mut self, credits: u64) -> Charge {
        self.charge_with(with(call("flux-schnell", credits), "on_excess", "owe"))
    }

    #[track_caller]
    pub fn charge_with(&mut self, body: Json) -> Charge {
        let entry = self.do_(&Command::charge(&value(body)).unwrap());
        entry.event.charge().unwrap().clone()
    }

    #[track_caller]
    pub fn refuse_charge(&mut self, body: Json) -> Refusal {
        self.refuse(&Command::charge(&value(body)).unwrap())
    }

    /// Holds so many credits: as many images of a model that costs one each.
    #[track_caller]
    pub fn reserve(&mut self, credits: u64) -> HoldId {
        self.hold(call("flux-schnell", credits)).id
    }

    #[track_caller]
    pub fn hold(&mut self, body: Json) -> Hold {
        let entry = self.do_(&Command::hold(&value(body)).unwrap());
        entry.event.hold().unwrap().clone()
    }

    #[track_caller]
    pub fn refuse_hold(&mut self, body: Json) -> Refusal {
        self.refuse(&Command::hold(&value(body)).unwrap())
    }

    #[track_caller]
    pub fn capture(&mut self, hold: HoldId, body: Json) -> Charge {
        let entry = self.do_(&Command::capture(hold, &value(body)).unwrap());
        entry.event.charge().unwrap().clone()
    }

    #[track_caller]
    pub fn refuse_capture(&mut self, hold: HoldId, body: Json) -> Refusal {
        self.refuse(&Command::capture(hold, &value(body)).unwrap())
    }

    #[track_caller]
    pub fn release(&mut self, hold: HoldId) -> Entry {
        self.do_(&Command::Release { hold })
    }

    #[track_caller]
    pub fn extend(&mut self, hold: HoldId, ttl_seconds: u32) -> Hold {
        let entry = self.do_(&Command::Extend { hold, ttl_seconds });
        entry.event.hold().unwrap().clone()
    }

    #[track_caller]
    pub fn refund(&mut self, charge: ChargeId, credits: Option<i64>) -> Refund {
        match self.do_(&refund_of(charge, credits)).event {
            Event::Refunded { refund, .. } => refund,
            event => panic!("no refund: {event:?}"),
        }
    }

    #[track_caller]
    pub fn refuse_refund(&mut self, charge: ChargeId, credits: Option<i64>) -> Refusal {
        self.refuse(&refund_of(charge, credits))
    }

    /// Grants, and gives the grant's id.
    #[track_caller]
    pub fn grant(&mut self, body: Json) -> String {
        let command = Command::grant(&value(body), self.catalog).unwrap();
        match self.do_(&command).event {
            Event::Granted { grant, .. } => grant.id,
            event => panic!("no grant: {event:?}"),
        }
    }

    /// Grants a pack of so many credits that never expires.
    #[track_caller]
    pub fn pack(&mut self, credits: u64) -> String {
        self.grant(json!({"kind": "pack", "credits": credits}))
    }

    #[track_caller]
    pub fn void(&mut self, grant: &str) -> Entry {
        let grant = grant.to_owned();
        self.do_(&Command::Void { grant })
    }

    #[track_caller]
    pub fn change_plan(&mut self, plan: &str) -> Vec<Entry> {
        self.attempt(&plan_change(plan, false)).unwrap()
    }

    #[track_caller]
    pub fn change_plan_at_period_end(&mut self, plan: &str) -> Vec<Entry> {
        self.attempt(&plan_change(plan, true)).unwrap()
    }

    #[track_caller]
    pub fn move_to(&mut self, time_zone: &str) -> Vec<Entry> {
        let update = Command::update(&value(json!({"time_zone": time_zone}))).unwrap();
        self.attempt(&update).unwrap()
    }

    /// Sets the most that the account may spend a day and a month.
    #[track_caller]
    pub fn limit(&mut self, limits: Json) -> Vec<Entry> {
        self.attempt(&Command::spend_limits(&value(limits)).unwrap())
            .unwrap()
    }

    /// Sets the account's alerts: rows of an id, a type and a threshold.
    #[track_caller]
    pub fn watch(&mut self, alerts: &[(&str, &str, u64)]) -> Vec<Entry> {
        let alert = |(id, kind, credits): &(&str, &str, u64)| json!({"id": id, "type": kind, "credits": credits});
        let alerts: Vec<Json> = alerts.iter().map(alert).collect();
        let command = Command::alerts(&value(json!({"alerts": alerts}))).unwrap();
        self.attempt(&command).unwrap()
    }

    #[track_caller]
    pub fn perk(&mut self, perk: &str, granted: bool) -> Vec<Entry> {
        let command = Command::perk(perk, granted, self.catalog).unwrap();
        self.attempt(&command).unwrap()
    }

    // Readings.

    pub fn account(&self) -> &Account {
        self.state.as_ref().unwrap()
    }

    /// The account as it stands now.
    pub fn settled(&self) -> Settled {
        self.account().settled(self.now, self.catalogs())
    }

    /// Whole credits available, held and owed now.
    pub fn balance(&self) -> (i64, i64, i64) {
        let balance = self.settled().account.balance();
        (
            whole(balance.available),
            whole(balance.held),
            whole(balance.owed),
        )
    }

    /// Whole credits available now.
    pub fn available(&self) -> i64 {
        self.balance().0
    }

    /// Whole credits available at a moment.
    pub fn available_at(&mut self, at: &str) -> i64 {
        self.at(at).available()
    }

    /// The balance as callers see it now.
    pub fn balance_json(&self) -> Json {
        serde_json::to_value(self.settled().balance_view()).unwrap()
    }

    /// The account as callers see it now.
    pub fn account_json(&self) -> Json {
        serde_json::to_value(self.settled().account_view()).unwrap()
    }

    /// The living grants now: kind, whole credits remaining.
    pub fn living(&self) -> Vec<(&'static str, i64)> {
        let grants = self.settled().account.grants;
        grants
            .iter()
            .filter(|grant| grant.is_active())
            .map(|grant| (grant.kind.as_str(), whole(grant.remaining)))
            .collect()
    }

    /// A grant as the journal has it, in the state or not.
    pub fn find_grant(&self, id: &str) -> Grant {
        let present = self.account().grant(id);
        present
            .or_else(|| self.shelf.grants.get(id))
            .unwrap_or_else(|| panic!("no grant {id}"))
            .clone()
    }

    /// What the account estimate says now.
    pub fn estimate(&self, body: Json) -> AccountEstimate<'_> {
        let body = value(body);
        let fields = Fields::read(&body, "", &PricedRequest::FIELDS).unwrap();
        let request = PricedRequest::parse(&fields, true).unwrap();
        account_estimate(
            &request,
            self.catalogs().at(self.now),
            self.settled().wallet(),
        )
        .unwrap()
    }

    /// The kinds of the entries after this many.
    pub fn kinds_after(&self, entries: usize) -> Vec<&'static str> {
        self.entries[entries..]
            .iter()
            .map(|entry| entry.event.kind())
            .collect()
    }
}

/// The command of a refund.
pub fn refund_of(charge: ChargeId, credits: Option<i64>) -> Command {
    let credits = credits.map(Credits::whole);
    Command::Refund { charge, credits }
}

/// The command of a change of plan.
pub fn plan_change(plan: &str, at_period_end: bool) -> Command {
    Command::ChangePlan {
        plan: plan.to_owned(),
        at_period_end,
    }
}

/// Asserts that a refusal has this code, and gives its figures: required, available, owed, shortfall.
#[track_caller]
pub fn shortage(refusal: &Refusal) -> (i64, i64, i64, i64) {
    assert_eq!(refusal.code, Code::InsufficientCredits, "{refusal:?}");
    let figures = refusal.shortage.unwrap();
    (
        whole(figures.required),
        whole(figures.available),
        whole(figures.owed),
        whole(figures.shortfall()),
    )
}

/// Where two accounts differ, but for the number and time of their last entries.
pub fn differences(left: &Settled, right: &Settled) -> Vec<String> {
    let fields = |settled: &Settled| {
        let mut account = settled.account.clone();
        account.seq = 0;
        account.last_at = settled.as_of;
        match serde_json::to_value(account).unwrap() {
            Json::Object(fields) => fields,
            other => panic!("no object: {other}"),
        }
    };
    let (left, right) = (fields(left), fields(right));
    left.iter()
        .filter(|(name, value)| right[name.as_str()] != **value)
        .map(|(name, value)| format!("{name}: {value} is not {}", right[name]))
        .collect()
}

fn drawn(draws: &[Draw]) -> Credits {
    draws.iter().map(|draw| draw.credits).sum()
}

fn check_grant(grant: &Grant) {
    let parts = [
        grant.remaining,
        grant.held,
        grant.spent,
        grant.expired,
        grant.voided,
    ];
    assert!(parts.iter().all(|part| *part >= Credits::ZERO), "{grant:?}");
    let sum: Credits = parts.into_iter().sum();
    assert_eq!(sum, grant.credits, "the parts of {grant:?}");
    if grant.has_ended() {
        assert!(grant.remaining.is_zero(), "an ended grant: {grant:?}");
    }
    if grant.status == GrantStatus::Scheduled {
        assert_eq!(grant.remaining, grant.credits, "not yet begun: {grant:?}");
    }
}

fn check_charge(charge: &Charge) {
    let lines: Credits = charge
        .lines
        .iter()
        .filter(|line| charge.waived || !line.waived())
        .map(|line| line.credits())
        .sum();
    let price = charge.credits + charge.forgiven;
    let total = if charge.waived {
        charge.list_credits
    } else {
        price
    };
    assert_eq!(lines + charge.rounding, total, "the lines of {charge:?}");
    assert_eq!(
        drawn(&charge.draws) + charge.owed,
        charge.credits,
        "the draws of {charge:?}"
    );
    assert!(charge.excess <= price, "{charge:?}");
    assert!(charge.credits <= charge.list_credits, "{charge:?}");
}

fn check_standing(standing: &Standing, charge: &Charge) {
    let sum = drawn(&standing.draws) + standing.owed + standing.refunded;
    assert_eq!(sum, charge.credits, "{standing:?} of {charge:?}");
}
