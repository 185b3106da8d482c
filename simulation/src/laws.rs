//! The laws: what must hold of every account after every command, whatever the model says.

use edge_credits::account::Account;
use edge_credits::charge::Charge;
use edge_credits::entry::{Balance, Entry, Event};
use edge_credits::grant::{Draw, Grant, Purpose};
use edge_credits::price::Line;
use edge_credits::time::Instant;
use edge_credits::usage::Totals;

use crate::catalogs::InForce;
use crate::model::Micros;

/// What a law says of something that breaks it.
pub type Broken = (&'static str, String);

/// Sums over the journal, kept beside the account.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    credits: Micros,
    used: Totals,
    seq: u64,
    at: Option<Instant>,
    refunded: Vec<(u64, Micros)>,
}

fn micros(credits: edge_credits::credits::Credits) -> Micros {
    credits.micros().into()
}

/// Takes entries into the sums, and checks what each must be by itself.
///
/// # Errors
/// The law that one of them breaks.
pub fn entries_add_up(sums: &mut Sums, entries: &[Entry]) -> Result<(), Broken> {
    for entry in entries {
        let fail = |law: &'static str| Err((law, format!("{entry:?}")));
        if entry.seq != sums.seq + 1 {
            return fail("entries are numbered without a gap");
        }
        sums.seq = entry.seq;
        if sums.at.is_some_and(|at| entry.at < at) {
            return fail("no entry is earlier than the one before it");
        }
        sums.at = Some(entry.at);
        sums.credits += micros(entry.credits);
        if sums.credits != micros(entry.balance.available) {
            return fail("the entries' credits add up to what is available");
        }
        if let Some(charge) = entry.event.charge() {
            charge_adds_up(charge)?;
            sums.used.credits += charge.credits;
            sums.used.list_credits += charge.list_credits;
        }
        if let Event::Refunded {
            refund,
            standing,
            shares,
            ..
        } = &entry.event
        {
            sums.used.credits += -refund.credits;
            let shared: Micros = shares.iter().map(|share| micros(share.credits)).sum();
            if shared != micros(refund.credits) {
                return fail("a refund's shares add up to it");
            }
            let back = drawn(&refund.draws) + micros(refund.owed_cancelled);
            if back != micros(refund.credits) {
                return fail("a refund is its draws and what is no longer owed");
            }
            let id = refund.charge.0;
            let place = sums.refunded.iter().position(|(charge, _)| *charge == id);
            let place = place.unwrap_or_else(|| {
                sums.refunded.push((id, 0));
                sums.refunded.len() - 1
            });
            sums.refunded[place].1 += micros(refund.credits);
            if sums.refunded[place].1 != micros(standing.refunded) {
                return fail("a charge knows what was refunded of it");
            }
        }
    }
    Ok(())
}

/// What was refunded of a charge never exceeds it.
///
/// # Errors
/// The law, if it does.
pub fn refunds_stay_within(sums: &Sums, journal: &[Entry]) -> Result<(), Broken> {
    for (charge, refunded) in &sums.refunded {
        let entry = &journal[*charge as usize - 1];
        let credits = entry
            .event
            .charge()
            .map_or(0, |charge| micros(charge.credits));
        if *refunded > credits {
            let detail = format!("{refunded} of {credits} of charge {charge}");
            return Err(("refunds never exceed their charge", detail));
        }
    }
    Ok(())
}

fn charge_adds_up(charge: &Charge) -> Result<(), Broken> {
    let fail = |law: &'static str| Err((law, format!("{charge:?}")));
    if drawn(&charge.draws) + micros(charge.owed) != micros(charge.credits) {
        return fail("a charge is its draws and what is owed");
    }
    let price = micros(charge.credits) + micros(charge.forgiven);
    let counts = |waived: bool| charge.waived || !waived;
    let lines: Micros = charge
        .lines
        .iter()
        .filter(|line| counts(line.waived()))
        .map(|line| micros(line.credits()))
        .sum();
    let whole = if charge.waived {
        micros(charge.list_credits)
    } else {
        price
    };
    if lines + micros(charge.rounding) != whole {
        return fail("lines and rounding make the price");
    }
    if micros(charge.from_hold) > drawn(&charge.draws) {
        return fail("a hold pays at most what was drawn");
    }
    Ok(())
}

fn drawn(draws: &[Draw]) -> Micros {
    draws.iter().map(|draw| micros(draw.credits)).sum()
}

/// What must hold of a grant wherever it is kept.
///
/// # Errors
/// The law that it breaks.
pub fn grant_adds_up(grant: &Grant) -> Result<(), Broken> {
    let parts = [
        grant.remaining,
        grant.held,
        grant.spent,
        grant.expired,
        grant.voided,
    ]
    .map(micros);
    if parts.iter().any(|part| *part < 0) {
        return Err(("no part of a grant is negative", format!("{grant:?}")));
    }
    if parts.iter().sum::<Micros>() != micros(grant.credits) {
        return Err(("a grant is the sum of its parts", format!("{grant:?}")));
    }
    Ok(())
}

/// What must hold of a state.
///
/// # Errors
/// The law that it breaks.
pub fn state_adds_up(account: &Account, sums: &Sums, last: &Entry) -> Result<(), Broken> {
    account.grants.iter().try_for_each(grant_adds_up)?;
    let fail = |law: &'static str, detail: String| Err((law, detail));
    let active = || account.grants.iter().filter(|grant| grant.is_active());
    let available: Micros = active().map(|grant| micros(grant.remaining)).sum();
    let held: Micros = account.holds.iter().map(|hold| drawn(&hold.draws)).sum();
    let owed: Micros = account.debts.iter().map(|debt| micros(debt.owed)).sum();
    let balance = [last.balance.available, last.balance.held, last.balance.owed].map(micros);
    if balance != [available, held, owed] {
        let detail = format!(
            "{balance:?} is written, {:?} is so",
            [available, held, owed]
        );
        return fail("the entry's balance is the state's", detail);
    }
    if available < 0 || available != sums.credits {
        let detail = format!("{available}, and {} by the journal", sums.credits);
        return fail("what is available is the sum of the entries", detail);
    }
    if account.balance() != last.balance {
        return fail(
            "the state states its balance",
            format!("{:?}", account.balance()),
        );
    }
    let unscoped = |grant: &&Grant| grant.scope.is_none() && grant.remaining.is_positive();
    if owed > 0 && active().any(|grant| unscoped(&grant)) {
        let detail = format!("{owed} owed with {:?}", account.grants);
        return fail("who owes has nothing left that could pay", detail);
    }
    if !account
        .grants
        .is_sorted_by(|a, b| a.burning_order(b).is_lt())
    {
        return fail(
            "grants stand in the order of burning",
            format!("{:?}", account.grants),
        );
    }
    if account.debts.iter().any(|debt| !debt.owed.is_positive())
        || !account.debts.is_sorted_by(|a, b| a.charge < b.charge)
    {
        return fail(
            "debts are owed, and stand in order",
            format!("{:?}", account.debts),
        );
    }
    let total = &account.usage.total;
    if (total.credits, total.list_credits) != (sums.used.credits, sums.used.list_credits) {
        let detail = format!("{total:?}, and {:?} by the journal", sums.used);
        return fail("usage is the charges less the refunds", detail);
    }
    let mut models = Totals::default();
    account
        .usage
        .models
        .iter()
        .for_each(|model| models.add(&model.totals));
    if models != *total {
        return fail(
            "the models' usage adds up to the total",
            format!("{models:?} {total:?}"),
        );
    }
    Ok(())
}

/// The latest day's usage is what the journal says since it began.
///
/// # Errors
/// The law, if it is not.
pub fn day_adds_up(account: &Account, journal: &[Entry]) -> Result<(), Broken> {
    let Some(day) = &account.usage.day else {
        return Ok(());
    };
    let mut credits = 0;
    for entry in journal.iter().filter(|entry| entry.seq >= day.seq) {
        credits += entry
            .event
            .charge()
            .map_or(0, |charge| micros(charge.credits));
        if let Event::Refunded { refund, .. } = &entry.event {
            credits -= micros(refund.credits);
        }
    }
    if credits == micros(day.after.credits - day.before.credits) {
        Ok(())
    } else {
        Err((
            "a day's usage is that of its entries",
            format!("{day:?}, not {credits}"),
        ))
    }
}

/// What was burned by this entry was burned in order, and from grants whose scope covers it. `before` is the
/// account as it stood when the command was decided, by the catalog then in force.
///
/// # Errors
/// The law that it breaks.
pub fn burned_in_order(
    before: &Account,
    entry: &Entry,
    in_force: &InForce<'_>,
) -> Result<(), Broken> {
    let (draws, covered) = match &entry.event {
        Event::Held { hold } => (hold.draws.as_slice(), 0),
        Event::Charged { charge } | Event::Captured { charge, .. } => {
            (charge.draws.as_slice(), micros(charge.from_hold))
        }
        _ => return Ok(()),
    };
    let purpose = purpose(entry, in_force);
    let fail = |law: &'static str| Err((law, format!("{entry:?} of {:?}", before.grants)));

    // The hold's draws come first; what is beyond them is burned anew.
    let mut from_hold = covered;
    let mut beyond: Vec<(&str, Micros)> = Vec::new();
    for draw in draws {
        let of_hold = from_hold.min(micros(draw.credits));
        from_hold -= of_hold;
        if micros(draw.credits) > of_hold {
            beyond.push((&draw.grant, micros(draw.credits) - of_hold));
        }
        let Some(grant) = before.grant(&draw.grant) else {
            return fail("who pays is a grant of the account");
        };
        if !purpose.is_covered_by(grant.scope.as_deref()) {
            return fail("no grant pays out of its scope");
        }
    }
    let key = |grant: &Grant| {
        let end = grant
            .expires_at
            .map_or((true, 0), |end| (false, end.millis()));
        (
            grant.priority,
            end,
            grant.category,
            grant.effective_at,
            grant.id.clone(),
        )
    };
    let mut payers: Vec<&Grant> = before
        .grants
        .iter()
        .filter(|grant| grant.is_active() && grant.remaining.is_positive())
        .filter(|grant| purpose.is_covered_by(grant.scope.as_deref()))
        .collect();
    payers.sort_by_key(|grant| key(grant));
    for (place, (id, credits)) in beyond.iter().enumerate() {
        let is_last = place + 1 == beyond.len();
        match payers.get(place) {
            Some(grant) if grant.id == *id => {
                let remaining = micros(grant.remaining);
                if *credits > remaining || (!is_last && *credits < remaining) {
                    return fail("a grant is burned to the last before the next");
                }
            }
            _ => return fail("grants are burned in order"),
        }
    }
    Ok(())
}

/// What a hold or a charge was for. A capture looks at the models that its hold named as they were then.
fn purpose<'a>(entry: &Entry, in_force: &InForce<'a>) -> Purpose<'a> {
    let catalog = in_force.at(entry.at);
    let (lines, models, named) = match &entry.event {
        Event::Held { hold } => (&hold.lines, &hold.models, None),
        Event::Charged { charge } => (&charge.lines, &charge.models, None),
        Event::Captured { charge, hold, .. } => (&charge.lines, &charge.models, Some(hold)),
        _ => return Purpose::default(),
    };
    let then = |model: &str| {
        let hold = named.filter(|hold| hold.called(model).is_some())?;
        let mut all = in_force.all.iter();
        all.find(|catalog| catalog.hash() == hold.catalog)
            .map(|catalog| &**catalog)
    };
    Purpose {
        models: models
            .iter()
            .filter(|called| !called.waived)
            .filter_map(|called| then(&called.model).unwrap_or(catalog).model(&called.model))
            .collect(),
        flat: lines.iter().any(|line| matches!(line, Line::Flat { .. })),
    }
}

/// The three figures of a balance.
pub fn figures(balance: Balance) -> [Micros; 3] {
    [balance.available, balance.held, balance.owed].map(micros)
}
