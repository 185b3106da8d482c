//! One account: its shell, its model, and what is compared between them.

use std::collections::BTreeMap;
use std::rc::Rc;

use edge_credits::account::Account;
use edge_credits::archive::Archive;
use edge_credits::catalog::Catalog;
use edge_credits::charge::OnExcess;
use edge_credits::command::Command;
use edge_credits::credits::Credits;
use edge_credits::due::Settled;
use edge_credits::entry::{Entry, Event};
use edge_credits::estimate::account_estimate;
use edge_credits::grant::{Draw, Grant};
use edge_credits::meter::Meter;
use edge_credits::refusal::Code;
use edge_credits::time::Instant;

use crate::alerts::alerts_are_as_the_journal_says;
use crate::catalogs::InForce;
use crate::laws::{self, Broken, Sums};
use crate::model::{Draws, GrantView, Micros, Mistake, Model, Outcome, Receipt, Used, View};
use crate::shell::{Fault, Reply, Shell};
use crate::step::{Act, Fate, Request, Step};

/// What has happened, in figures.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that arrived.
    pub commands: u64,
    /// Accounts, from opening to end.
    pub accounts: u64,
    /// Entries written.
    pub entries: u64,
    /// Times a memory was lost.
    pub crashes: u64,
    /// Requests that were answered by what they had done before.
    pub retries: u64,
    /// Requests to accounts that owed something.
    pub owing: u64,
    /// Requests that never arrived.
    pub lost: u64,
    /// Requests that found all as they want it.
    pub nothing: u64,
    /// Refusals, by code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// What was done, by the kind of its entry.
    pub done: BTreeMap<&'static str, u64>,
}

/// An account under simulation.
pub struct Subject<'a> {
    /// The catalogs that were published so far.
    pub in_force: InForce<'a>,
    /// What runs the core.
    pub shell: Shell,
    published: usize,
    model: Model,
    replica: Option<Account>,
    sums: Sums,
    made: Vec<(u32, u64)>,
    /// The first answers: the request's number, what it asked for, and what it was told.
    answers: Vec<(u32, Command, u64, String)>,
}

impl<'a> Subject<'a> {
    /// An account that nobody has opened.
    pub fn new(catalogs: &'a [Rc<Catalog>], mistake: Mistake, fault: Fault) -> Subject<'a> {
        Subject {
            in_force: InForce::new(catalogs),
            published: 0,
            shell: Shell::new("someone", fault),
            model: Model::new(mistake),
            replica: None,
            sums: Sums::default(),
            made: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The entry that a request made.
    pub fn made(&self, number: u32) -> Option<u64> {
        let made = self.made.iter().rev().find(|(by, _)| *by == number);
        made.map(|(_, seq)| *seq)
    }

    /// The request that made an entry.
    pub fn made_by(&self, seq: u64) -> Option<u32> {
        let made = self.made.iter().find(|(_, made)| *made == seq);
        made.map(|(by, _)| *by)
    }

    /// Takes a step, and checks everything.
    ///
    /// # Errors
    /// The law that is broken.
    pub fn step(&mut self, step: &Step, tally: &mut Tally) -> Result<(), Broken> {
        self.publish(step);
        match &step.act {
            Act::Send(request) => self.send(request, step, tally)?,
            Act::Restart(recovery) => {
                tally.crashes += 1;
                self.shell.restart(*recovery);
            }
            Act::LoseSnapshots => self.shell.lose_snapshots(),
            Act::LoseArchive => {
                let (_, records) = self.shell.rebuilt();
                expect(
                    "the archive is what the journal says",
                    &self.shell.records,
                    &records,
                )?;
                self.shell.records = records;
            }
        }
        expect("replay gives the state", &self.shell.state, &self.replica)?;
        self.compare(step.now)
    }

    /// Operators publish another catalog, in force from now on: what was priced before stays as it is.
    fn publish(&mut self, step: &Step) {
        if step.catalog != self.published {
            let last_at = self.shell.state.as_ref().map(|account| account.last_at);
            let from = last_at.map_or(step.now, |last| last.max(step.now));
            self.in_force.publish(from, step.catalog);
            self.published = step.catalog;
        }
    }

    fn send(&mut self, request: &Request, step: &Step, tally: &mut Tally) -> Result<(), Broken> {
        let (now, in_force) = (step.now, &self.in_force);
        let command = request.resolve(|number| self.made(number));
        let key = request.keyed.then(|| format!("key-{}", request.number));
        let state = self.shell.state.as_ref();
        let before = state.map(|account| account.settled(now, in_force.for_core()));
        let fate = request.fate;
        let reply = self
            .shell
            .receive(&command, key.as_deref(), now, in_force, fate);
        if reply == Reply::Lost {
            tally.lost += 1;
            return Ok(());
        }
        tally.commands += 1;
        let owing = before
            .as_ref()
            .map(|settled| settled.account.owed().is_positive());
        tally.owing += u64::from(owing == Some(true));
        let crashed = matches!(fate, Fate::CrashBeforeWrite(_) | Fate::CrashBeforeAnswer(_));
        tally.crashes += u64::from(crashed && matches!(reply, Reply::Undone(_) | Reply::Done(_)));

        let known = self
            .answers
            .iter()
            .find(|(number, ..)| request.keyed && *number == request.number);
        if let Some((_, content, seq, answer)) = known {
            if *content != command {
                *tally
                    .refusals
                    .entry(Code::IdempotencyKeyReused.as_str())
                    .or_default() += 1;
                return match reply {
                    Reply::Refused(refusal) if refusal.code == Code::IdempotencyKeyReused => Ok(()),
                    reply => broken("a key is good for one content", &reply),
                };
            }
            tally.retries += 1;
            expect(
                "a retry is answered by the first entry",
                &reply,
                &Reply::Replayed(*seq),
            )?;
            let again = self.shell.answer(*seq);
            return expect(
                "a retry gets the first answer",
                &again.as_ref(),
                &Some(answer),
            );
        }

        let (entries, written) = match &reply {
            Reply::Done(entries) => (entries.as_slice(), true),
            Reply::Undone(entries) => (entries.as_slice(), false),
            _ => (&[][..], false),
        };
        let seq = entries.last().map_or(0, |entry| entry.seq);
        let mut model = self.model.clone();
        let expected = model.execute(&command, now, in_force, seq);
        let found = outcome(&reply);
        let both_gone = matches!(&command, Command::Void { grant } if is_allowance(grant))
            && is_gone(&found)
            && is_gone(&expected);
        if !both_gone {
            expect("core and model come to the same", &found, &expected)?;
        }
        if let Some(before) = &before {
            estimated(&command, before, in_force.at(before.as_of), &reply)?;
        }
        match &reply {
            Reply::Refused(refusal) => {
                *tally.refusals.entry(refusal.code.as_str()).or_default() += 1;
            }
            Reply::Nothing => tally.nothing += 1,
            _ => {}
        }
        if !written {
            return Ok(());
        }
        let Some(last) = entries.last() else {
            return broken("what is done has an entry", &reply);
        };
        tally.entries += entries.len() as u64;
        *tally.done.entry(last.event.kind()).or_default() += 1;
        self.model = model;
        for entry in entries {
            Account::apply(&mut self.replica, entry);
        }
        laws::entries_add_up(&mut self.sums, entries)?;
        laws::refunds_stay_within(&self.sums, &self.shell.journal)?;
        if let Some(before) = &before {
            laws::burned_in_order(&before.account, last, in_force)?;
        }
        // A crash may have cost the memory, and recovery brought it back: it must be the same.
        let state = self.shell.state.as_ref();
        laws::state_adds_up(state.expect("a state"), &self.sums, last)?;
        self.made.push((request.number, last.seq));
        if request.keyed {
            let answer = self.shell.answer(last.seq).expect("an answer");
            self.answers
                .push((request.number, command, last.seq, answer));
        }
        Ok(())
    }

    /// Compares how the account stands at `now` with how it should.
    fn compare(&self, now: Instant) -> Result<(), Broken> {
        let in_force = &self.in_force;
        let Some(account) = &self.shell.state else {
            return expect(
                "an account is opened or not",
                &None,
                &self.model.view(now, in_force),
            );
        };
        let settled = account.settled(now, in_force.for_core());
        let stands = view(&settled.account, settled.as_of);
        let should = self.model.view(now, in_force).unwrap_or_default();
        expect("core and model stand alike", &stands, &should)?;
        settled
            .account
            .grants
            .iter()
            .try_for_each(laws::grant_adds_up)?;

        // Whoever looks on the way changes nothing.
        let span = settled.as_of.millis() - account.last_at.millis();
        if span > 0 {
            let part = 1 + now.millis().rem_euclid(7);
            let between = account.last_at.after_millis(span / 8 * part);
            let twice = account
                .settled(between, in_force.for_core())
                .account
                .settled(now, in_force.for_core());
            let stands_too = view(&twice.account, twice.as_of);
            expect("looking more often changes nothing", &stands_too, &stands)?;
        }
        Ok(())
    }

    /// Checks what is only worth checking at the end: the whole history.
    ///
    /// # Errors
    /// The law that is broken.
    pub fn end(&self) -> Result<(), Broken> {
        let (state, records) = self.shell.rebuilt();
        expect(
            "the whole journal gives the state",
            &self.shell.state,
            &state,
        )?;
        expect(
            "the archive is what the journal says",
            &self.shell.records,
            &records,
        )?;
        let Some(account) = &self.shell.state else {
            return Ok(());
        };
        laws::day_adds_up(account, &self.shell.journal)?;
        alerts_are_as_the_journal_says(&self.shell.journal)?;
        let mut grants = records.grants.clone();
        for grant in &account.grants {
            grants.insert(grant.id.clone(), grant.clone());
        }
        grants.values().try_for_each(laws::grant_adds_up)?;
        // An allowance that came and went while nobody looked leaves a trace or none.
        let matters = |grant: &GrantView| !is_allowance(&grant.id) || grant.expired < grant.credits;
        let mut all: Vec<GrantView> = grants.values().map(grant_view).collect();
        all.sort();
        all.retain(matters);
        let mut should = self.model.all_grants();
        should.retain(matters);
        expect("core and model have had the same grants", &all, &should)?;

        for (id, refunded, owed, draws) in self.model.all_charges() {
            let entry = self.shell.entry(id);
            let Some(charge) = entry.and_then(|entry| entry.event.charge()) else {
                return broken("a charge is in the journal", &id);
            };
            let owing = account.debts.iter().find(|debt| debt.charge == charge.id);
            let archived = self
                .shell
                .standing(charge.id)
                .unwrap_or_else(|fault| match fault {});
            let stands = match owing.cloned().or(archived) {
                Some(standing) => (
                    micros(standing.refunded),
                    micros(standing.owed),
                    pairs(&standing.draws),
                ),
                None => (0, 0, pairs(&charge.draws)),
            };
            expect(
                "core and model have the same charges",
                &stands,
                &(refunded, owed, draws),
            )?;
        }
        Ok(())
    }
}

/// Whether a grant of this id is a plan's allowance.
fn is_allowance(id: &str) -> bool {
    id.starts_with("daily_") || id.starts_with("monthly_")
}

/// Whether a grant was not there any more. Of an allowance that nobody used, nobody can say since when.
fn is_gone(outcome: &Outcome) -> bool {
    let gone = [Code::GrantNotFound, Code::GrantEnded];
    matches!(outcome, Outcome::Refused { code, .. } if gone.contains(code))
}

fn expect<T: PartialEq + std::fmt::Debug>(
    law: &'static str,
    found: &T,
    wanted: &T,
) -> Result<(), Broken> {
    if found == wanted {
        Ok(())
    } else {
        Err((law, format!("found\n    {found:?}\nwanted\n    {wanted:?}")))
    }
}

fn broken(law: &'static str, detail: &impl std::fmt::Debug) -> Result<(), Broken> {
    Err((law, format!("{detail:?}")))
}

fn micros(credits: Credits) -> Micros {
    credits.micros().into()
}

fn pairs(draws: &[Draw]) -> Draws {
    let pair = |draw: &Draw| (draw.grant.clone(), micros(draw.credits));
    draws.iter().map(pair).collect()
}

/// What a reply comes to, in the model's terms.
fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Refused(refusal) => Outcome::Refused {
            code: refusal.code,
            shortage: match (refusal.shortage, refusal.limit) {
                (Some(shortage), _) => {
                    let (required, available) = (shortage.required, shortage.available);
                    Some((micros(required), micros(available), micros(shortage.owed)))
                }
                (None, Some(reached)) => {
                    let (limit, spent) = (reached.standing.limit, reached.standing.spent);
                    Some((micros(reached.required), micros(limit), micros(spent)))
                }
                (None, None) => None,
            },
        },
        Reply::Done(entries) | Reply::Undone(entries) => match entries.last() {
            Some(entry) => Outcome::Done(receipt(entry)),
            None => Outcome::Nothing,
        },
        Reply::Nothing | Reply::Lost | Reply::Replayed(_) => Outcome::Nothing,
    }
}

fn receipt(entry: &Entry) -> Receipt {
    match &entry.event {
        Event::Held { hold } => Receipt {
            credits: micros(hold.credits),
            list_credits: micros(hold.list_credits),
            waived: hold.waived,
            draws: pairs(&hold.draws),
            ..Receipt::default()
        },
        Event::Charged { charge } | Event::Captured { charge, .. } => Receipt {
            credits: micros(charge.credits),
            list_credits: micros(charge.list_credits),
            waived: charge.waived,
            from_hold: micros(charge.from_hold),
            excess: micros(charge.excess),
            owed: micros(charge.owed),
            forgiven: micros(charge.forgiven),
            late: charge.late,
            draws: pairs(&charge.draws),
            ..Receipt::default()
        },
        Event::Refunded { refund, .. } => Receipt {
            credits: micros(refund.credits),
            owed_cancelled: micros(refund.owed_cancelled),
            draws: pairs(&refund.draws),
            ..Receipt::default()
        },
        _ => Receipt::default(),
    }
}

/// An estimate says what the hold or the charge then does.
fn estimated(
    command: &Command,
    before: &Settled,
    catalog: &Catalog,
    reply: &Reply,
) -> Result<(), Broken> {
    let request = match command {
        Command::Hold { request, .. } => request,
        Command::Charge {
            request,
            on_excess: OnExcess::Reject,
        } => request,
        _ => return Ok(()),
    };
    let law = "an estimate says what happens";
    let happened = match outcome(reply) {
        Outcome::Refused { code, .. } => Err(code.as_str()),
        Outcome::Nothing => return broken(law, reply),
        Outcome::Done(receipt) => Ok((receipt.credits, receipt.draws)),
    };
    let estimate = match account_estimate(request, catalog, before.wallet()) {
        Err(refusal) => Err(refusal.code.as_str()),
        Ok(estimate) => match estimate.access.code {
            Some(code) => Err(code),
            None => Ok((micros(estimate.credits), pairs(&estimate.draws))),
        },
    };
    expect(law, &happened, &estimate)
}

/// How the core's account stands, in the model's terms.
fn view(account: &Account, as_of: Instant) -> View {
    let balance = account.balance();
    let total = &account.usage.total;
    let mut grants: Vec<GrantView> = account
        .grants
        .iter()
        .filter(|grant| grant.remaining.is_positive() || grant.held.is_positive())
        .map(grant_view)
        .collect();
    grants.sort();
    let pending = account.pending_plan.as_ref();
    let mut features = account.features.clone();
    features.retain(|(_, used)| *used > 0);
    View {
        available: micros(balance.available),
        held: micros(balance.held),
        owed: micros(balance.owed),
        plan: account.plan.clone(),
        pending: pending.map(|pending| (pending.plan.clone(), pending.at)),
        zone: account.zone.name().to_owned(),
        perks: account.perks.clone(),
        name: account.display_name.clone(),
        day: account
            .day
            .as_ref()
            .filter(|day| day.end > as_of)
            .map(|day| (day.end, micros(day.granted))),
        grants,
        holds: account
            .holds
            .iter()
            .map(|hold| (hold.id.0, hold.expires_at, pairs(&hold.draws)))
            .collect(),
        debts: account
            .debts
            .iter()
            .map(|debt| (debt.charge.0, micros(debt.owed)))
            .collect(),
        features,
        limits: {
            let standings = account.limit_standings(as_of);
            [standings.day, standings.month].map(|standing| {
                let standing = standing?;
                let (limit, spent) = (micros(standing.limit), micros(standing.spent));
                Some((limit, spent, standing.resets_at))
            })
        },
        used: Used {
            credits: micros(total.credits),
            list_credits: micros(total.list_credits),
            calls: total.calls,
            quantities: Meter::ALL.map(|meter| total.quantities.get(meter).thousandths()),
        },
    }
}

fn grant_view(grant: &Grant) -> GrantView {
    GrantView {
        id: grant.id.clone(),
        credits: micros(grant.credits),
        remaining: micros(grant.remaining),
        held: micros(grant.held),
        spent: micros(grant.spent),
        expired: micros(grant.expired),
        voided: micros(grant.voided),
        from: grant.effective_at,
        until: grant.expires_at,
    }
}
