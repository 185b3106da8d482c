//! The law of alerts: what is crossed, found by looking at the whole journal from above.

use edge_credits::account::Account;
use edge_credits::alert::{Alert, AlertType};
use edge_credits::entry::{Entry, Event};

use crate::laws::Broken;
use crate::model::Micros;

/// An alert's id, and the entry that crossed it.
type Crossing = (String, u64);

/// How an account stands after an entry, as far as alerts look at it.
struct Seen {
    available: Micros,
    spent: Micros,
    /// The day's first charge.
    day: Option<u64>,
    by_time: bool,
}

/// What is crossed as entries are applied is what the journal says.
///
/// # Errors
/// The law, if it is not.
pub fn alerts_are_as_the_journal_says(journal: &[Entry]) -> Result<(), Broken> {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    let mut state: Option<Account> = None;
    for entry in journal {
        Account::apply(&mut state, entry);
        let Some(account) = &state else { continue };
        let crossings = account.crossings(entry);
        found.extend(crossings.map(|(alert, _)| (alert.id.clone(), entry.seq)));
        let today = account.spending.and_then(|spending| spending.day);
        let today = today.filter(|day| entry.at < day.end);
        seen.push(Seen {
            available: entry.balance.available.micros().into(),
            spent: today.map_or(0, |day| day.spent.micros().into()),
            day: today.map(|day| day.first),
            by_time: is_made_by_time(entry),
        });
    }
    let mut expected: Vec<Crossing> = lives(journal)
        .iter()
        .flat_map(|life| crossings_of(life, &seen))
        .collect();
    let by_entry = |crossing: &Crossing| (crossing.1, crossing.0.clone());
    found.sort_by_key(by_entry);
    expected.sort_by_key(by_entry);
    if found == expected {
        return Ok(());
    }
    let detail = format!("found\n    {found:?}\nwanted\n    {expected:?}");
    Err(("alerts are crossed where the journal says", detail))
}

/// An alert and the places of the entries from which and up to which it was set.
struct Life<'a> {
    alert: &'a Alert,
    from: usize,
    until: usize,
}

fn lives(journal: &[Entry]) -> Vec<Life<'_>> {
    let (mut living, mut over): (Vec<Life<'_>>, Vec<Life<'_>>) = (Vec::new(), Vec::new());
    for (place, entry) in journal.iter().enumerate() {
        let Event::Updated(changes) = &entry.event else {
            continue;
        };
        let Some(alerts) = &changes.alerts else {
            continue;
        };
        let (kept, gone): (Vec<_>, Vec<_>) = living
            .drain(..)
            .partition(|life| alerts.contains(life.alert));
        over.extend(gone.into_iter().map(|life| Life {
            until: place,
            ..life
        }));
        living = kept;
        for alert in alerts {
            if !living.iter().any(|life| life.alert == alert) {
                living.push(Life {
                    alert,
                    from: place,
                    until: journal.len(),
                });
            }
        }
    }
    over.extend(living);
    over
}

fn crossings_of(life: &Life<'_>, seen: &[Seen]) -> Vec<Crossing> {
    let threshold: Micros = life.alert.credits.micros().into();
    let is_beyond = |at: &Seen| match life.alert.r#type {
        AlertType::AvailableBelow => at.available < threshold,
        AlertType::SpentTodayAbove => at.spent > threshold,
    };
    let crosses = |place: &usize| {
        let now = &seen[*place];
        if now.by_time || !is_beyond(now) {
            return false;
        }
        // The last time that it was known to be beyond, and whether it has begun anew since.
        let last = (life.from..*place).rfind(|earlier| {
            let then = &seen[*earlier];
            is_beyond(then) && (!then.by_time || *earlier == life.from)
        });
        let Some(last) = last else { return true };
        match life.alert.r#type {
            AlertType::AvailableBelow => seen[last..*place].iter().any(|then| !is_beyond(then)),
            AlertType::SpentTodayAbove => seen[last].day != now.day,
        }
    };
    (life.from + 1..life.until)
        .filter(crosses)
        .map(|place| (life.alert.id.clone(), place as u64 + 1))
        .collect()
}

fn is_made_by_time(entry: &Entry) -> bool {
    match &entry.event {
        Event::Granted { grant, .. } => {
            grant.id.starts_with("daily_") || grant.id.starts_with("monthly_")
        }
        event => ["started", "expired", "lapsed", "plan_changed"].contains(&event.kind()),
    }
}
