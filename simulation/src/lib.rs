//! A seeded simulation: many accounts, hostile clocks, crashes, retries and replaced catalogs, checked after
//! every command against the laws and against a naive model.

pub mod alerts;
pub mod catalogs;
pub mod laws;
pub mod model;
pub mod player;
pub mod random;
pub mod shell;
pub mod shrink;
pub mod step;
pub mod subject;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use edge_credits::catalog::Catalog;

use crate::laws::Broken;
use crate::model::Mistake;
use crate::player::Player;
use crate::random::Random;
use crate::shell::Fault;
use crate::step::Step;
use crate::subject::{Subject, Tally};

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How many steps, over all accounts.
    pub commands: u64,
    /// How many accounts live at the same time. One that ends is followed by another.
    pub accounts: usize,
    /// A mistake of the model, to see that it is noticed.
    pub mistake: Mistake,
    /// A fault of the shell, to see that it is noticed.
    pub fault: Fault,
}

impl Plan {
    /// A simulation without mistakes.
    pub const fn new(seed: u64, commands: u64, accounts: usize) -> Plan {
        Plan {
            seed,
            commands,
            accounts,
            mistake: Mistake::None,
            fault: Fault::None,
        }
    }
}

/// A law that was broken, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The number of the command, over all accounts.
    pub command: u64,
    /// The law.
    pub law: &'static str,
    /// What breaks it.
    pub detail: String,
    /// All that happened to the account.
    pub steps: Vec<Step>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            seed,
            command,
            law,
            detail,
            steps,
        } = self;
        writeln!(
            f,
            "seed {seed}, command {command}: broken is the law that {law}"
        )?;
        writeln!(f, "{detail}")?;
        writeln!(f, "after these {} steps:", steps.len())?;
        steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// An account in play.
struct Seat<'a> {
    player: Player,
    subject: Subject<'a>,
    steps: Vec<Step>,
    life: usize,
}

impl<'a> Seat<'a> {
    fn new(seed: u64, plan: &Plan, catalogs: &'a [Rc<Catalog>]) -> Seat<'a> {
        let mut player = Player::new(seed);
        Seat {
            life: player.life(),
            player,
            subject: Subject::new(catalogs, plan.mistake, plan.fault),
            steps: Vec::new(),
        }
    }
}

/// Runs a simulation.
///
/// # Errors
/// The first law that is broken, with the shortest list of steps that breaks it.
pub fn run(plan: &Plan) -> Result<Tally, Box<Failure>> {
    let catalogs = catalogs::catalogs();
    let mut tally = Tally::default();
    let mut random = Random::new(plan.seed);
    let mut seats: Vec<Seat<'_>> = (0..plan.accounts.max(1))
        .map(|_| Seat::new(random.number(), plan, &catalogs))
        .collect();
    for command in 1..=plan.commands {
        let place = random.below(seats.len() as u64) as usize;
        let seat = &mut seats[place];
        let step = seat.player.next(&seat.subject);
        seat.steps.push(step);
        let step = &seat.steps[seat.steps.len() - 1];
        let is_last = seat.steps.len() >= seat.life || command == plan.commands;
        let taken = guarded(|| {
            seat.subject.step(step, &mut tally)?;
            if is_last { seat.subject.end() } else { Ok(()) }
        });
        if let Err(broken) = taken {
            return Err(failure(plan, command, broken, &seat.steps, &catalogs));
        }
        if is_last {
            tally.accounts += 1;
            *seat = Seat::new(random.number(), plan, &catalogs);
        }
    }
    Ok(tally)
}

fn failure(
    plan: &Plan,
    command: u64,
    (law, _): Broken,
    steps: &[Step],
    catalogs: &[Rc<Catalog>],
) -> Box<Failure> {
    let still = |steps: &[Step]| replay(steps, plan, catalogs).is_err_and(|broken| broken.0 == law);
    let steps = shrink::shortest(steps, still);
    let detail = match replay(&steps, plan, catalogs) {
        Err((_, detail)) => detail,
        Ok(()) => "it is not broken when the steps are taken again".to_owned(),
    };
    Box::new(Failure {
        seed: plan.seed,
        command,
        law,
        detail,
        steps,
    })
}

/// Takes these steps with a new account.
///
/// # Errors
/// The first law that is broken.
pub fn replay(steps: &[Step], plan: &Plan, catalogs: &[Rc<Catalog>]) -> Result<(), Broken> {
    let mut subject = Subject::new(catalogs, plan.mistake, plan.fault);
    let mut tally = Tally::default();
    guarded(|| {
        for step in steps {
            subject.step(step, &mut tally)?;
        }
        subject.end()
    })
}

/// A panic breaks a law too.
fn guarded(check: impl FnOnce() -> Result<(), Broken>) -> Result<(), Broken> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(("nothing panics", said.unwrap_or("a panic").to_owned()))
    })
}
