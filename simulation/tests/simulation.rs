//! A short simulation, and the proof that it would notice what it is there to notice.

use simulation::model::Mistake;
use simulation::shell::Fault;
use simulation::{Plan, run};

#[test]
fn every_law_holds_for_some_seeds() {
    for seed in 1..=4 {
        if let Err(failure) = run(&Plan::new(seed, 3_000, 16)) {
            panic!("{failure}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let figures = || {
        let tally = run(&Plan::new(7, 500, 4)).expect("a run without a failure");
        (tally.commands, tally.entries, tally.refusals, tally.done)
    };
    assert_eq!(figures(), figures());
}

#[test]
fn a_model_that_is_wrong_is_noticed() {
    for mistake in [
        Mistake::BurnsPaidFirst,
        Mistake::BurnsEternalFirst,
        Mistake::RoundsDown,
        Mistake::PaysNewestDebt,
        Mistake::KeepsDailyCredits,
        Mistake::ChangesZoneAtOnce,
        Mistake::RefundsForwards,
        Mistake::GrantsMonthAgain,
        Mistake::LimitsForgetHolds,
        Mistake::RefundsReopenDays,
    ] {
        let plan = Plan {
            mistake,
            ..Plan::new(1, 20_000, 8)
        };
        let Err(failure) = run(&plan) else {
            panic!("{mistake:?} is not noticed");
        };
        assert!(failure.steps.len() <= 12, "{mistake:?}: {failure}");
    }
}

#[test]
fn a_shell_that_is_wrong_is_noticed() {
    for fault in [
        Fault::KeysWrittenLate,
        Fault::TailForgotten,
        Fault::RecordsForgotten,
        Fault::HeldCatalogForgotten,
    ] {
        let plan = Plan {
            fault,
            ..Plan::new(1, 20_000, 8)
        };
        let failure = run(&plan).expect_err("a fault that is noticed");
        assert!(failure.steps.len() <= 40, "{fault:?}: {failure}");
    }
}
