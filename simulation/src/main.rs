//! `simulation --seed N --commands N [--accounts N]`: simulates, and says what it saw.

use std::process::ExitCode;
use std::time::Instant;

use simulation::{Plan, run};

fn main() -> ExitCode {
    let mut plan = Plan::new(1, 100_000, 64);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--seed", Some(seed)) => plan.seed = seed,
            ("--commands", Some(commands)) => plan.commands = commands,
            ("--accounts", Some(accounts)) => plan.accounts = accounts as usize,
            _ => {
                eprintln!("usage: simulation --seed N --commands N [--accounts N]");
                return ExitCode::from(2);
            }
        }
    }
    // The release profile aborts on a panic: say at least where it was.
    let seed = plan.seed;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("seed {seed}:");
        report(panic);
    }));

    let start = Instant::now();
    match run(&plan) {
        Ok(tally) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("done: {:?}", tally.done);
            println!("refused: {:?}", tally.refusals);
            println!(
                "seed {seed}: {} commands, {} accounts, {} entries, {} crashes, {} retries, {} lost, \
                 {} while owing, {:.0} commands/s",
                tally.commands,
                tally.accounts,
                tally.entries,
                tally.crashes,
                tally.retries,
                tally.lost,
                tally.owing,
                tally.commands as f64 / seconds,
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
