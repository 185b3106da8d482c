//! The naive model: what an account must do, written for clarity alone.
//!
//! It keeps everything for ever, walks through every day and every period, searches from the front, and
//! counts in plain integers of micro-credits. From the core it takes what commands and catalogs are, and the
//! calendar; how anything is decided is its own.

use edge_credits::alert::Alert;
use edge_credits::calendar::{Anchor, Zone};
use edge_credits::catalog::Catalog;
use edge_credits::charge::OnExcess;
use edge_credits::command::{Command, NewGrant};
use edge_credits::credits::Credits;
use edge_credits::entry::{Opening, Source};
use edge_credits::grant::{Category, GrantKind};
use edge_credits::limit::SpendLimits;
use edge_credits::meter::Meter;
use edge_credits::model::Model as Priced;
use edge_credits::plan::{Family, Feature};
use edge_credits::refusal::Code;
use edge_credits::request::{Item, PricedRequest};
use edge_credits::time::{DAY_MS, Instant};

use crate::catalogs::InForce;

/// An amount in micro-credits.
pub type Micros = i128;

/// Who pays or is paid how much: grants and amounts.
pub type Draws = Vec<(String, Micros)>;

/// How a charge stands: its id, what was refunded of it, what is owed of it, and its draws.
pub type Standing = (u64, Micros, Micros, Draws);

/// The first amount that is too large.
const LIMIT: Micros = 1_000_000_000_000_000;

/// A mistake made on purpose, to see that it would be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// None: the model is as it should be.
    None,
    /// What was paid for is burned before what was given.
    BurnsPaidFirst,
    /// Grants that never end are burned first.
    BurnsEternalFirst,
    /// A price is rounded down.
    RoundsDown,
    /// The newest debt is paid first.
    PaysNewestDebt,
    /// Credits of the day are kept one more day.
    KeepsDailyCredits,
    /// A change of the time zone takes effect at once.
    ChangesZoneAtOnce,
    /// A refund goes back in the order of burning.
    RefundsForwards,
    /// A plan's monthly credits come again whenever the plan is entered.
    GrantsMonthAgain,
    /// A spend limit does not see what is held.
    LimitsForgetHolds,
    /// A refund of a part gives the whole charge back to the day's limit.
    RefundsReopenDays,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused.
    Refused {
        /// Why.
        code: Code,
        /// What was required, available and owed, where credits were missing; what was required, and the limit and
        /// what was spent, where one was reached.
        shortage: Option<(Micros, Micros, Micros)>,
    },
    /// All was as it wants it already.
    Nothing,
    /// It was done.
    Done(Receipt),
}

/// The figures of what was done; nought where a command has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of holds, charges and refunds"
)]
pub struct Receipt {
    pub credits: Micros,
    pub list_credits: Micros,
    pub waived: bool,
    pub from_hold: Micros,
    pub excess: Micros,
    pub owed: Micros,
    pub forgiven: Micros,
    pub late: bool,
    pub owed_cancelled: Micros,
    pub draws: Draws,
}

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the account")]
pub struct View {
    pub available: Micros,
    pub held: Micros,
    pub owed: Micros,
    pub plan: String,
    pub pending: Option<(String, Instant)>,
    pub zone: String,
    pub perks: Vec<String>,
    pub name: Option<String>,
    /// The end of the present credit day, and what was granted in it.
    pub day: Option<(Instant, Micros)>,
    /// The grants with credits that are left or held, by id.
    pub grants: Vec<GrantView>,
    /// The open holds: id, end, draws.
    pub holds: Vec<(u64, Instant, Draws)>,
    /// What is owed, oldest first.
    pub debts: Vec<(u64, Micros)>,
    /// What is in use of features.
    pub features: Vec<(String, u64)>,
    /// Of the day's and the month's limit: the limit, what is spent, and when it resets.
    pub limits: [Option<(Micros, Micros, Instant)>; 2],
    pub used: Used,
}

/// How a grant stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields are those of the grant")]
pub struct GrantView {
    pub id: String,
    pub credits: Micros,
    pub remaining: Micros,
    pub held: Micros,
    pub spent: Micros,
    pub expired: Micros,
    pub voided: Micros,
    pub from: Instant,
    pub until: Option<Instant>,
}

/// What was used: charges less refunds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of usage figures")]
pub struct Used {
    pub credits: Micros,
    pub list_credits: Micros,
    pub calls: u64,
    /// In thousandths, by meter.
    pub quantities: [u64; 7],
}

/// An account, or none yet.
#[derive(Clone, Debug)]
pub struct Model {
    mistake: Mistake,
    account: Option<Account>,
}

#[derive(Clone, Debug)]
struct Account {
    mistake: Mistake,
    opening: Opening,
    anchor: Anchor,
    /// The time of the last thing that happened.
    clock: Instant,
    plan: String,
    plan_since: Instant,
    pending: Option<(String, Instant)>,
    zone: Zone,
    day: Option<Day>,
    /// Which plan has granted its monthly credits in which period.
    months: Vec<(String, u32)>,
    perks: Vec<String>,
    name: Option<String>,
    grants: Vec<Grant>,
    holds: Vec<Hold>,
    charges: Vec<Charge>,
    features: Vec<(String, u64)>,
    /// Whether it was invited, and for whom it was rewarded.
    invited: bool,
    invitations: Vec<String>,
    limits: SpendLimits,
    alerts: Vec<Alert>,
    /// The latest day and the latest month in which something was spent.
    spans: [Option<Span>; 2],
    used: Used,
}

/// A day or a month in which something was spent: when it ends, and its charges.
#[derive(Clone, Debug)]
struct Span {
    end: Instant,
    charges: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Day {
    end: Instant,
    granted: Micros,
}

#[derive(Clone, Debug)]
struct Grant {
    id: String,
    kind: GrantKind,
    category: Category,
    priority: u8,
    scope: Option<Vec<String>>,
    from: Instant,
    until: Option<Instant>,
    credits: Micros,
    held: Micros,
    spent: Micros,
    /// What was left when it ended.
    lost: Micros,
    started: bool,
    ended: bool,
    voided: bool,
    /// Whether a command found it in force. An allowance that nobody saw never was.
    seen: bool,
}

impl Grant {
    fn remaining(&self) -> Micros {
        self.credits - self.held - self.spent - self.lost
    }

    fn is_living(&self) -> bool {
        self.started && !self.ended
    }

    fn end(&mut self) {
        self.ended = true;
        self.lost += self.remaining();
    }
}

#[derive(Clone, Debug)]
struct Hold {
    id: u64,
    status: Status,
    until: Instant,
    draws: Draws,
    catalog: usize,
    /// The models that it names, and whether they cost nothing.
    called: Vec<(String, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Lapsed,
    Over,
}

#[derive(Clone, Debug)]
struct Charge {
    id: u64,
    credits: Micros,
    refunded: Micros,
    owed: Micros,
    draws: Draws,
}

/// What is due. At one instant, things come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Expiry(usize),
    Lapse(usize),
    PlanChange,
    Month(u32),
    Day,
    /// The place in the order of burning, and in the list.
    Start(usize, usize),
}

/// A price, and who may pay it.
struct Quote {
    credits: Micros,
    list_credits: Micros,
    waived: bool,
    /// The tags of each model that is not waived.
    tags: Vec<Vec<String>>,
    flat: bool,
    called: Vec<(String, bool)>,
    calls: u64,
    quantities: [u64; 7],
}

impl Quote {
    fn is_covered_by(&self, scope: Option<&Vec<String>>) -> bool {
        let Some(scope) = scope else { return true };
        !self.flat
            && self
                .tags
                .iter()
                .all(|tags| tags.iter().any(|tag| scope.contains(tag)))
    }
}

type Refused = (Code, Option<(Micros, Micros, Micros)>);

fn refuse<T>(code: Code) -> Result<T, Refused> {
    Err((code, None))
}

impl Model {
    /// An account that nobody has opened.
    pub const fn new(mistake: Mistake) -> Model {
        Model {
            mistake,
            account: None,
        }
    }

    /// Does what a command wants, or says why not. Only after `Done` is it to be kept: all else leaves no
    /// trace. What the command makes is named by the number of its entry.
    pub fn execute(
        &mut self,
        command: &Command,
        now: Instant,
        in_force: &InForce<'_>,
        seq: u64,
    ) -> Outcome {
        let result = match (&mut self.account, command) {
            (None, Command::Open { opening }) => {
                Account::open(opening, now, self.mistake).map(|account| {
                    let account = self.account.insert(account);
                    account.settle(now, in_force);
                    Some(Receipt::default())
                })
            }
            (None, _) => refuse(Code::AccountNotFound),
            (Some(account), Command::Open { opening }) => {
                if account.opening == *opening {
                    Ok(None)
                } else {
                    refuse(Code::AccountExists)
                }
            }
            (Some(account), command) => {
                account.settle(now, in_force);
                account.execute(command, in_force, seq)
            }
        };
        match result {
            Ok(None) => Outcome::Nothing,
            Ok(Some(receipt)) => {
                if let Some(account) = &mut self.account {
                    account.see();
                }
                Outcome::Done(receipt)
            }
            Err((code, shortage)) => Outcome::Refused { code, shortage },
        }
    }

    /// How the account stands at `now`.
    pub fn view(&self, now: Instant, in_force: &InForce<'_>) -> Option<View> {
        let mut account = self.account.clone()?;
        account.settle(now, in_force);
        Some(account.view())
    }

    /// Every grant that somebody saw, by id, as the last command left it.
    pub fn all_grants(&self) -> Vec<GrantView> {
        let grants = self.account.iter().flat_map(|account| &account.grants);
        let mut grants: Vec<GrantView> = grants
            .filter(|grant| grant.seen || grant.spent > 0)
            .map(grant_view)
            .collect();
        grants.sort();
        grants
    }

    /// How every charge stands.
    pub fn all_charges(&self) -> Vec<Standing> {
        let charges = self.account.iter().flat_map(|account| &account.charges);
        charges
            .map(|charge| {
                (
                    charge.id,
                    charge.refunded,
                    charge.owed,
                    charge.draws.clone(),
                )
            })
            .collect()
    }
}

impl Account {
    fn open(opening: &Opening, now: Instant, mistake: Mistake) -> Result<Account, Refused> {
        if opening.since.is_some_and(|since| since > now) {
            return refuse(Code::InvalidRequest);
        }
        let zone = Zone::parse(&opening.time_zone, "").expect("a zone that was checked");
        Ok(Account {
            mistake,
            opening: opening.clone(),
            anchor: Anchor {
                since: opening.since.unwrap_or(now),
                zone: zone.clone(),
            },
            clock: now,
            plan: opening.plan.clone(),
            plan_since: now,
            pending: None,
            zone,
            day: None,
            months: Vec::new(),
            perks: opening.perks.clone(),
            name: None,
            grants: Vec::new(),
            holds: Vec::new(),
            charges: Vec::new(),
            features: Vec::new(),
            invited: false,
            invitations: Vec::new(),
            limits: SpendLimits::default(),
            alerts: Vec::new(),
            spans: [None, None],
            used: Used::default(),
        })
    }

    // Time.

    /// Walks through everything that is due by `now`, one thing after the other.
    fn settle(&mut self, now: Instant, in_force: &InForce<'_>) {
        let now = now.max(self.clock);
        while let Some((at, due)) = self.next_due(now, in_force).filter(|(at, _)| *at <= now) {
            self.clock = self.clock.max(at);
            let plan = in_force.at(at).plan(&self.plan);
            match due {
                Due::Expiry(place) => self.expire(place),
                Due::Lapse(place) => {
                    self.holds[place].status = Status::Lapsed;
                    self.give_back(&self.holds[place].draws.clone());
                }
                Due::PlanChange => {
                    let (plan, _) = self.pending.clone().expect("a plan to come");
                    self.enter_plan(plan, at, in_force.at(at));
                }
                Due::Month(index) => {
                    self.months.push((self.plan.clone(), index));
                    let credits = plan.and_then(|plan| plan.monthly).expect("monthly credits");
                    let until = self.anchor.start_of(index + 1);
                    self.allow(
                        GrantKind::Monthly,
                        credits.micros().into(),
                        at,
                        until,
                        String::new(),
                    );
                }
                Due::Day => {
                    let credits = plan.and_then(|plan| plan.daily).expect("daily credits");
                    let end = self.zone.next_midnight(at);
                    let granted = credits.micros().into();
                    self.day = Some(Day { end, granted });
                    let kept = self.mistake == Mistake::KeepsDailyCredits;
                    let until = if kept {
                        self.zone.next_midnight(end)
                    } else {
                        end
                    };
                    self.allow(GrantKind::Daily, granted, at, until, String::new());
                }
                Due::Start(_, place) => {
                    self.grants[place].started = true;
                    self.arrive(&[(place, self.grants[place].remaining())], None);
                }
            }
        }
        self.clock = now;
    }

    fn next_due(&self, now: Instant, in_force: &InForce<'_>) -> Option<(Instant, Due)> {
        let mut all = Vec::new();
        for (place, grant) in self.grants.iter().enumerate() {
            if let Some(until) = grant.until
                && grant.is_living()
            {
                all.push((until, Due::Expiry(place)));
            }
            if !grant.started && !grant.ended {
                let before = |other: &&Grant| self.order(other) < self.order(grant);
                let rank = self.grants.iter().filter(before).count();
                all.push((grant.from, Due::Start(rank, place)));
            }
        }
        for (place, hold) in self.holds.iter().enumerate() {
            if hold.status == Status::Open {
                all.push((hold.until, Due::Lapse(place)));
            }
        }
        if let Some((_, at)) = &self.pending {
            all.push((*at, Due::PlanChange));
        }
        all.extend(self.next_month(now, in_force));
        all.extend(self.next_day(now, in_force));
        all.into_iter().min()
    }

    /// The first period since the plan was entered for which it has not granted its credits yet.
    fn next_month(&self, now: Instant, in_force: &InForce<'_>) -> Option<(Instant, Due)> {
        let plan_at = |at| in_force.at(at).plan(&self.plan);
        let mut index = self.anchor.index_at(self.plan_since.max(self.clock));
        let latest = self
            .months
            .iter()
            .filter(|(granted, _)| *granted == self.plan)
            .map(|(_, index)| *index)
            .max();
        if let Some(latest) = latest {
            index = index.max(latest + 1);
        }
        loop {
            let start = self.anchor.start_of(index).max(self.plan_since);
            if start > now {
                return None;
            }
            // What a period grants, the catalog says that is in force when it begins.
            if plan_at(start).is_some_and(|plan| plan.monthly.is_some()) {
                return Some((start, Due::Month(index)));
            }
            index += 1;
        }
    }

    fn next_day(&self, now: Instant, in_force: &InForce<'_>) -> Option<(Instant, Due)> {
        let grants = |catalog: &Catalog| {
            let plan = catalog.plan(&self.plan);
            plan.is_some_and(|plan| plan.daily.is_some())
        };
        if !in_force.all.iter().any(|catalog| grants(catalog)) {
            return None; // Walking through the days would find none.
        }
        let start = match &self.day {
            Some(day) => day.end.max(self.plan_since),
            None => self.plan_since,
        };
        let mut start = start.max(self.zone.last_midnight(self.clock));
        while start <= now {
            if grants(in_force.at(start)) {
                return Some((start, Due::Day));
            }
            start = self.zone.next_midnight(start);
        }
        None
    }

    fn expire(&mut self, place: usize) {
        let grant = &mut self.grants[place];
        let is_allowance = matches!(grant.kind, GrantKind::Daily | GrantKind::Monthly);
        if is_allowance && !grant.seen && grant.spent == 0 && grant.held == 0 {
            self.grants.remove(place);
        } else {
            grant.end();
        }
    }

    /// Gives a hold's credits back: to grants that live, which pay with them what is owed, or into the void.
    fn give_back(&mut self, draws: &[(String, Micros)]) {
        let mut living = Vec::new();
        for (id, credits) in draws {
            let place = self
                .find_grant(id)
                .expect("a grant that credits are held of");
            let grant = &mut self.grants[place];
            grant.held -= credits;
            if grant.is_living() {
                living.push((place, *credits));
            } else {
                grant.lost += credits;
            }
        }
        self.arrive(&living, None);
    }

    /// Credits have come to these grants: they pay what is owed, the oldest first.
    fn arrive(&mut self, credits: &[(usize, Micros)], except: Option<u64>) {
        for (place, credits) in credits {
            let grant = &mut self.grants[*place];
            if grant.scope.is_some() {
                continue;
            }
            let mut left = *credits;
            let mut owing: Vec<&mut Charge> = self.charges.iter_mut().collect();
            owing.sort_by_key(|charge| charge.id);
            if self.mistake == Mistake::PaysNewestDebt {
                owing.reverse();
            }
            for charge in owing {
                let paid = left.min(charge.owed);
                if paid > 0 && Some(charge.id) != except {
                    grant.spent += paid;
                    charge.owed -= paid;
                    charge.draws.push((grant.id.clone(), paid));
                    left -= paid;
                }
            }
        }
    }

    fn enter_plan(&mut self, plan: String, at: Instant, catalog: &Catalog) {
        self.plan = plan;
        self.plan_since = at;
        self.pending = None;
        if self.mistake == Mistake::GrantsMonthAgain {
            self.months.retain(|(granted, _)| *granted != self.plan);
        }
        let daily = catalog.plan(&self.plan).and_then(|plan| plan.daily);
        let daily = daily.map_or(0, |credits| credits.micros().into());
        if let Some(day) = &mut self.day
            && day.end > at
            && daily > day.granted
        {
            let more = daily - day.granted;
            let end = day.end;
            let beside = format!("_{}", Credits::from_micros(day.granted as i64));
            day.granted = daily;
            self.allow(GrantKind::Daily, more, at, end, beside);
        }
    }

    /// Grants an allowance of the plan.
    fn allow(
        &mut self,
        kind: GrantKind,
        credits: Micros,
        at: Instant,
        until: Instant,
        beside: String,
    ) {
        let moment = at.to_string().replace(['-', ':'], "");
        let id = format!("{}_{}_{moment}{beside}", kind.as_str(), self.plan);
        let category = match kind {
            GrantKind::Daily => Category::Promo,
            _ => Category::Paid,
        };
        self.add_grant(Grant {
            id,
            kind,
            category,
            priority: 50,
            scope: None,
            from: at,
            until: Some(until),
            credits,
            held: 0,
            spent: 0,
            lost: 0,
            started: true,
            ended: false,
            voided: false,
            seen: false,
        });
        self.arrive(&[(self.grants.len() - 1, credits)], None);
    }

    fn add_grant(&mut self, grant: Grant) {
        assert!(
            self.find_grant(&grant.id).is_none(),
            "two grants of one id: {}",
            grant.id
        );
        self.grants.push(grant);
    }

    fn see(&mut self) {
        for grant in &mut self.grants {
            grant.seen |= grant.is_living();
        }
    }

    // Looking things up.

    fn find_grant(&self, id: &str) -> Option<usize> {
        self.grants.iter().position(|grant| grant.id == id)
    }

    fn find_hold(&self, id: u64) -> Result<usize, Refused> {
        let place = self.holds.iter().position(|hold| hold.id == id);
        place.ok_or((Code::HoldNotFound, None))
    }

    fn owed(&self) -> Micros {
        self.charges.iter().map(|charge| charge.owed).sum()
    }

    /// The order of burning: what is less is burned first.
    fn order<'a>(&self, grant: &'a Grant) -> (u8, Instant, bool, Instant, &'a str) {
        let for_ever = Instant::from_millis(match self.mistake {
            Mistake::BurnsEternalFirst => i64::MIN,
            _ => i64::MAX,
        });
        let is_paid = grant.category == Category::Paid;
        (
            grant.priority,
            grant.until.unwrap_or(for_ever),
            is_paid != (self.mistake == Mistake::BurnsPaidFirst),
            grant.from,
            &grant.id,
        )
    }

    /// The places of the grants that may pay, in the order of burning.
    fn payers(&self, quote: &Quote) -> Vec<usize> {
        let mut payers: Vec<usize> = (0..self.grants.len())
            .filter(|place| self.grants[*place].is_living())
            .filter(|place| quote.is_covered_by(self.grants[*place].scope.as_ref()))
            .collect();
        payers.sort_by(|a, b| {
            self.order(&self.grants[*a])
                .cmp(&self.order(&self.grants[*b]))
        });
        payers
    }

    fn payable(&self, quote: &Quote) -> Micros {
        let payers = self.payers(quote);
        payers
            .iter()
            .map(|place| self.grants[*place].remaining())
            .sum()
    }

    /// Who would pay this amount, and how much nobody would.
    fn burn(&self, quote: &Quote, amount: Micros) -> (Draws, Micros) {
        let mut missing = amount;
        let mut draws = Vec::new();
        for place in self.payers(quote) {
            let grant = &self.grants[place];
            let credits = grant.remaining().min(missing);
            if credits > 0 {
                draws.push((grant.id.clone(), credits));
                missing -= credits;
            }
        }
        (draws, missing)
    }

    // What commands do.

    fn execute(
        &mut self,
        command: &Command,
        in_force: &InForce<'_>,
        seq: u64,
    ) -> Result<Option<Receipt>, Refused> {
        let catalog = in_force.place_at(self.clock);
        let present = in_force.at(self.clock);
        let done = Ok(Some(Receipt::default()));
        match command {
            Command::Open { .. } => Ok(None),
            Command::Update {
                time_zone,
                display_name,
            } => Ok(self.update(time_zone.as_ref(), display_name.as_ref())),
            Command::ChangePlan {
                plan,
                at_period_end,
            } => self.change_plan(plan, *at_period_end, in_force),
            Command::SetSpendLimits { limits } if *limits == self.limits => Ok(None),
            Command::SetSpendLimits { limits } => {
                self.limits = *limits;
                done
            }
            Command::SetAlerts { alerts } if *alerts == self.alerts => Ok(None),
            Command::SetAlerts { alerts } => {
                self.alerts = alerts.clone();
                done
            }
            Command::GrantPerk { perk } if self.perks.contains(perk) => Ok(None),
            Command::GrantPerk { perk } => {
                self.perks.push(perk.clone());
                self.perks.sort();
                done
            }
            Command::RevokePerk { perk } if !self.perks.contains(perk) => Ok(None),
            Command::RevokePerk { perk } => {
                self.perks.retain(|other| other != perk);
                done
            }
            Command::Hold {
                request,
                ttl_seconds,
            } => {
                let quote = self.quote(request, present)?;
                let until = self.clock.after_millis(i64::from(*ttl_seconds) * 1000);
                self.hold(&quote, until, catalog, seq).map(Some)
            }
            Command::Capture {
                hold,
                request,
                on_excess,
            } => self
                .capture(hold.0, request, *on_excess, in_force, seq)
                .map(Some),
            Command::Release { hold } => {
                let place = self.find_open_hold(hold.0)?;
                self.holds[place].status = Status::Over;
                self.give_back(&self.holds[place].draws.clone());
                done
            }
            Command::Extend { hold, ttl_seconds } => {
                let place = self.find_open_hold(hold.0)?;
                let until = self.clock.after_millis(i64::from(*ttl_seconds) * 1000);
                self.holds[place].until = until;
                done
            }
            Command::Charge { request, on_excess } => {
                let quote = self.quote(request, present)?;
                let price = quote.credits;
                if *on_excess == OnExcess::Reject {
                    self.check_limits(price)?;
                }
                self.charge(&quote, Vec::new(), price, *on_excess, seq)
                    .map(Some)
            }
            Command::Refund { charge, credits } => {
                let credits = credits.map(|credits| Micros::from(credits.micros()));
                self.refund(charge.0, credits, seq).map(Some)
            }
            Command::Grant(new) => self.grant(new, seq),
            Command::Award { new, source } => self.award(new, source, seq),
            Command::Void { grant } => {
                let Some(place) = self.find_grant(grant) else {
                    return refuse(Code::GrantNotFound);
                };
                let grant = &mut self.grants[place];
                if grant.ended {
                    return refuse(Code::GrantEnded);
                }
                grant.voided = true;
                grant.seen = true;
                grant.end();
                done
            }
            Command::UseFeature { feature, quantity } => {
                self.count_feature(feature, i128::from(*quantity), present)
            }
            Command::ReturnFeature { feature, quantity } => {
                self.count_feature(feature, -i128::from(*quantity), present)
            }
        }
    }

    fn update(&mut self, zone: Option<&String>, name: Option<&String>) -> Option<Receipt> {
        let mut changed = false;
        if let Some(zone) = zone
            && zone != self.zone.name()
        {
            self.zone = Zone::parse(zone, "").expect("a zone that was checked");
            if self.mistake == Mistake::ChangesZoneAtOnce
                && let Some(day) = &mut self.day
            {
                day.end = self.zone.next_midnight(self.clock);
            }
            changed = true;
        }
        let name = name.map(|name| Some(name.clone()).filter(|name| !name.is_empty()));
        if let Some(name) = name
            && name != self.name
        {
            self.name = name;
            changed = true;
        }
        changed.then(Receipt::default)
    }

    fn change_plan(
        &mut self,
        plan: &str,
        at_period_end: bool,
        in_force: &InForce<'_>,
    ) -> Result<Option<Receipt>, Refused> {
        let catalog = in_force.at(self.clock);
        if plan == self.plan {
            return Ok(self.pending.take().map(|_| Receipt::default()));
        }
        if catalog.plan(plan).map(|plan| plan.family) == Some(Family::Legacy) {
            return refuse(Code::PlanTransitionForbidden);
        }
        if at_period_end {
            if self
                .pending
                .as_ref()
                .is_some_and(|(known, _)| known == plan)
            {
                return Ok(None);
            }
            let next = self.anchor.index_at(self.clock) + 1;
            self.pending = Some((plan.to_owned(), self.anchor.start_of(next)));
        } else {
            self.enter_plan(plan.to_owned(), self.clock, catalog);
            self.settle(self.clock, in_force);
        }
        Ok(Some(Receipt::default()))
    }

    fn find_open_hold(&self, id: u64) -> Result<usize, Refused> {
        let place = self.find_hold(id)?;
        match self.holds[place].status {
            Status::Open => Ok(place),
            Status::Lapsed | Status::Over => refuse(Code::HoldNotOpen),
        }
    }

    fn hold(
        &mut self,
        quote: &Quote,
        until: Instant,
        catalog: usize,
        seq: u64,
    ) -> Result<Receipt, Refused> {
        self.check_limits(quote.credits)?;
        let (draws, _) = self.authorise(quote, quote.credits)?;
        for (id, credits) in &draws {
            let place = self.find_grant(id).expect("a grant that pays");
            self.grants[place].held += credits;
        }
        self.holds.push(Hold {
            id: seq,
            status: Status::Open,
            until,
            draws: draws.clone(),
            catalog,
            called: quote.called.clone(),
        });
        Ok(Receipt {
            credits: quote.credits,
            list_credits: quote.list_credits,
            waived: quote.waived,
            draws,
            ..Receipt::default()
        })
    }

    /// The ends of the day and of the month in which it is now.
    fn ends(&self) -> [Instant; 2] {
        let granted = self.day.as_ref().filter(|day| day.end > self.clock);
        let midnight = self.zone.next_midnight(self.clock);
        let next_month = self.anchor.index_at(self.clock) + 1;
        [
            granted.map_or(midnight, |day| day.end),
            self.anchor.start_of(next_month),
        ]
    }

    /// The day's and the month's limit, where there are some: the limit, what is spent, and when it resets.
    fn limits(&self) -> [Option<(Micros, Micros, Instant)>; 2] {
        let limits = [self.limits.day, self.limits.month];
        let ends = self.ends();
        [0, 1].map(|place| {
            let limit = limits[place]?.micros().into();
            let span = self.spans[place].as_ref();
            let Some(span) = span.filter(|span| span.end > self.clock) else {
                return Some((limit, 0, ends[place]));
            };
            let charges = self.charges.iter();
            let spent = charges
                .filter(|charge| span.charges.contains(&charge.id))
                .map(|charge| charge.credits - charge.refunded)
                .sum();
            Some((limit, spent, span.end))
        })
    }

    /// No hold and no charge that asks first goes beyond a limit. The limit is named that lasts longer.
    fn check_limits(&self, price: Micros) -> Result<(), Refused> {
        let mut held: Micros = self.grants.iter().map(|grant| grant.held).sum();
        if self.mistake == Mistake::LimitsForgetHolds {
            held = 0;
        }
        let mut reached: Option<(Micros, Micros, Instant)> = None;
        for (limit, spent, end) in self.limits().into_iter().flatten() {
            let later = reached.is_none_or(|(_, _, other)| end >= other);
            if price > 0 && spent + held + price > limit && later {
                reached = Some((limit, spent, end));
            }
        }
        match reached {
            Some((limit, spent, _)) => Err((Code::SpendLimitReached, Some((price, limit, spent)))),
            None => Ok(()),
        }
    }

    fn note_spent(&mut self, charge: u64) {
        let ends = self.ends();
        for (span, end) in self.spans.iter_mut().zip(ends) {
            match span.as_mut().filter(|span| span.end > self.clock) {
                Some(span) => span.charges.push(charge),
                None => {
                    let charges = vec![charge];
                    *span = Some(Span { end, charges });
                }
            }
        }
    }

    /// Who pays, if all of it can be paid and nothing is owed.
    fn authorise(&self, quote: &Quote, amount: Micros) -> Result<(Draws, Micros), Refused> {
        let (draws, missing) = self.burn(quote, amount);
        let owed = self.owed();
        if missing > 0 || (owed > 0 && amount > 0) {
            let shortage = (amount, self.payable(quote), owed);
            return Err((Code::InsufficientCredits, Some(shortage)));
        }
        Ok((draws, 0))
    }

    fn capture(
        &mut self,
        id: u64,
        request: &PricedRequest,
        on_excess: OnExcess,
        in_force: &InForce<'_>,
        seq: u64,
    ) -> Result<Receipt, Refused> {
        let place = self.find_hold(id)?;
        let hold = self.holds[place].clone();
        let late = match hold.status {
            Status::Open => false,
            Status::Lapsed => true,
            Status::Over => return refuse(Code::HoldNotOpen),
        };
        let then = &*in_force.all[hold.catalog];
        let quote = quote(request, then, |model| {
            match hold.called.iter().find(|(called, _)| called == model) {
                Some((_, waived)) => then.model(model).map(|model| (model, *waived)),
                None => self.offer(model, in_force.at(self.clock)),
            }
        })?;

        // The first draws that may pay are kept, as far as the price goes; the rest is given back.
        let (mut kept, mut rest) = (Vec::new(), Vec::new());
        let mut missing = quote.credits;
        for (id, credits) in if late { [].as_slice() } else { &hold.draws } {
            let grant = &self.grants[self
                .find_grant(id)
                .expect("a grant that credits are held of")];
            let covers = quote.is_covered_by(grant.scope.as_ref());
            let paid = if covers { missing.min(*credits) } else { 0 };
            if paid > 0 {
                kept.push((id.clone(), paid));
            }
            if credits - paid > 0 {
                rest.push((id.clone(), credits - paid));
            }
            missing -= paid;
        }
        for (id, credits) in &kept {
            let place = self
                .find_grant(id)
                .expect("a grant that credits are held of");
            self.grants[place].held -= credits;
            self.grants[place].spent += credits;
        }
        self.give_back(&rest);
        self.holds[place].status = Status::Over;

        let held: Micros = if late { 0 } else { sum(&hold.draws) };
        let from_hold = sum(&kept);
        let receipt = self.charge(&quote, kept, missing, on_excess, seq)?;
        Ok(Receipt {
            from_hold,
            excess: (quote.credits - held).max(0),
            late,
            ..receipt
        })
    }

    /// Takes what is missing beyond the draws of a hold, and makes the charge.
    fn charge(
        &mut self,
        quote: &Quote,
        mut draws: Draws,
        missing: Micros,
        on_excess: OnExcess,
        seq: u64,
    ) -> Result<Receipt, Refused> {
        let (beyond, unpaid) = match on_excess {
            OnExcess::Reject => self.authorise(quote, missing)?,
            OnExcess::Owe | OnExcess::Forgive => self.burn(quote, missing),
        };
        let (owed, forgiven) = match on_excess {
            OnExcess::Owe => (unpaid, 0),
            OnExcess::Forgive | OnExcess::Reject => (0, unpaid),
        };
        if on_excess == OnExcess::Owe && self.owed() + owed >= LIMIT {
            return refuse(Code::AmountTooLarge);
        }
        for (id, credits) in &beyond {
            let place = self.find_grant(id).expect("a grant that pays");
            self.grants[place].spent += credits;
        }
        draws.extend(beyond);
        let credits = quote.credits - forgiven;
        self.charges.push(Charge {
            id: seq,
            credits,
            refunded: 0,
            owed,
            draws: draws.clone(),
        });
        if credits > 0 {
            self.note_spent(seq);
        }
        self.used.credits += credits;
        self.used.list_credits += quote.list_credits;
        self.used.calls += quote.calls;
        for (sum, quantity) in self.used.quantities.iter_mut().zip(quote.quantities) {
            *sum += quantity;
        }
        Ok(Receipt {
            credits,
            list_credits: quote.list_credits,
            waived: quote.waived,
            excess: quote.credits,
            owed,
            forgiven,
            draws,
            ..Receipt::default()
        })
    }

    fn refund(&mut self, id: u64, credits: Option<Micros>, seq: u64) -> Result<Receipt, Refused> {
        let Some(place) = self.charges.iter().position(|charge| charge.id == id) else {
            return refuse(Code::ChargeNotFound);
        };
        let mut charge = self.charges[place].clone();
        let left = charge.credits - charge.refunded;
        let credits = credits.unwrap_or(left);
        if left == 0 || credits > left {
            return refuse(Code::RefundExceedsCharge);
        }
        charge.refunded += credits;
        let owed_cancelled = charge.owed.min(credits);
        charge.owed -= owed_cancelled;

        // The last draw first, to its grant or, if that has ended, to one of 30 days on the same terms.
        let mut missing = credits - owed_cancelled;
        let mut back: Vec<(usize, Micros)> = Vec::new();
        let first_new = self.grants.len();
        while missing > 0 {
            let last = match self.mistake {
                Mistake::RefundsForwards => 0,
                _ => charge.draws.len() - 1,
            };
            let (grant, drawn) = &mut charge.draws[last];
            let amount = missing.min(*drawn);
            missing -= amount;
            *drawn -= amount;
            let mut place = self.find_grant(grant).expect("a grant that paid");
            if *drawn == 0 {
                charge.draws.remove(last);
            }
            if self.grants[place].is_living() {
                self.grants[place].spent -= amount;
            } else {
                place = self.refund_grant(place, first_new, seq);
                self.grants[place].credits += amount;
            }
            match back.iter_mut().find(|(known, _)| *known == place) {
                Some((_, sum)) => *sum += amount,
                None => back.push((place, amount)),
            }
        }
        self.charges[place] = charge;
        if self.mistake == Mistake::RefundsReopenDays
            && let Some(day) = &mut self.spans[0]
        {
            day.charges.retain(|charge| *charge != id);
        }
        self.used.credits -= credits;
        let draws = back
            .iter()
            .map(|(place, credits)| (self.grants[*place].id.clone(), *credits))
            .collect();
        self.arrive(&back, Some(id));
        Ok(Receipt {
            credits,
            owed_cancelled,
            draws,
            ..Receipt::default()
        })
    }

    /// The grant among the new ones that has the terms of the one that ended.
    fn refund_grant(&mut self, ended: usize, first_new: usize, seq: u64) -> usize {
        let terms = |grant: &Grant| (grant.priority, grant.category, grant.scope.clone());
        let wanted = terms(&self.grants[ended]);
        for place in first_new..self.grants.len() {
            if terms(&self.grants[place]) == wanted {
                return place;
            }
        }
        let id = match self.grants.len() - first_new {
            0 => format!("grant_{seq}"),
            more => format!("grant_{seq}_{}", more + 1),
        };
        let (priority, category, scope) = wanted;
        self.add_grant(Grant {
            id,
            kind: GrantKind::Refund,
            category,
            priority,
            scope,
            from: self.clock,
            until: Some(self.clock.after_millis(30 * DAY_MS)),
            credits: 0,
            held: 0,
            spent: 0,
            lost: 0,
            started: true,
            ended: false,
            voided: false,
            seen: true,
        });
        self.grants.len() - 1
    }

    fn grant(&mut self, new: &NewGrant, seq: u64) -> Result<Option<Receipt>, Refused> {
        let from = new.effective_at.unwrap_or(self.clock);
        if new
            .expires_at
            .is_some_and(|until| until <= from || until <= self.clock)
        {
            return refuse(Code::InvalidRequest);
        }
        let credits: Micros = new.credits.micros().into();
        let all: Micros = self
            .grants
            .iter()
            .map(|grant| grant.remaining() + grant.held)
            .sum();
        if all + credits >= LIMIT {
            return refuse(Code::AmountTooLarge);
        }
        self.add_new_grant(new, format!("grant_{seq}"));
        Ok(Some(Receipt::default()))
    }

    /// Grants what was promised, unless that was done before.
    fn award(
        &mut self,
        new: &NewGrant,
        source: &Source,
        seq: u64,
    ) -> Result<Option<Receipt>, Refused> {
        let mut id = format!("grant_{seq}");
        match source {
            Source::Invited { .. } if self.invited => {
                return refuse(Code::InvitationAlreadyRedeemed);
            }
            Source::Invited { .. } => self.invited = true,
            Source::Inviting { redemption } if self.invitations.contains(redemption) => {
                return Ok(None);
            }
            Source::Inviting { .. } if self.invitations.len() >= 20 => {
                return refuse(Code::InvitationExhausted);
            }
            Source::Inviting { redemption } => self.invitations.push(redemption.clone()),
            Source::Payment { payment, .. } => id = format!("payment_{payment}"),
            Source::Promotion { .. } | Source::Day { .. } | Source::Period { .. } => {}
        }
        if self.find_grant(&id).is_some() {
            return Ok(None);
        }
        self.add_new_grant(new, id);
        Ok(Some(Receipt::default()))
    }

    fn add_new_grant(&mut self, new: &NewGrant, id: String) {
        let from = new.effective_at.unwrap_or(self.clock);
        let credits: Micros = new.credits.micros().into();
        let started = from <= self.clock;
        self.add_grant(Grant {
            id,
            kind: new.kind,
            category: new.category,
            priority: new.priority,
            scope: new.scope.clone(),
            from,
            until: new.expires_at,
            credits,
            held: 0,
            spent: 0,
            lost: 0,
            started,
            ended: false,
            voided: false,
            seen: true,
        });
        if started {
            self.arrive(&[(self.grants.len() - 1, credits)], None);
        }
    }

    fn count_feature(
        &mut self,
        feature: &str,
        quantity: i128,
        catalog: &Catalog,
    ) -> Result<Option<Receipt>, Refused> {
        let plan = catalog.plan(&self.plan);
        let Some(Feature::Limit { limit }) = plan.and_then(|plan| plan.features.get(feature))
        else {
            return refuse(Code::UnknownFeature);
        };
        if !self.features.iter().any(|(name, _)| name == feature) {
            self.features.push((feature.to_owned(), 0));
        }
        let used = self.features.iter_mut().find(|(name, _)| name == feature);
        let (_, used) = used.expect("a count");
        let after = i128::from(*used) + quantity;
        if quantity > 0 && after > i128::from(*limit) {
            return refuse(Code::EntitlementExhausted);
        }
        if after < 0 {
            return refuse(Code::InvalidQuantity);
        }
        *used = after as u64;
        Ok(Some(Receipt::default()))
    }

    // Prices.

    fn quote(&self, request: &PricedRequest, catalog: &Catalog) -> Result<Quote, Refused> {
        let mut quote = quote(request, catalog, |model| self.offer(model, catalog))?;
        if self.mistake == Mistake::RoundsDown {
            let increment = Micros::from(catalog.increment().micros());
            quote.credits -= if quote.credits > 0 { increment } else { 0 };
        }
        Ok(quote)
    }

    /// A model of the catalog, and whether a perk makes it cost nothing.
    fn offer<'a>(&self, model: &str, catalog: &'a Catalog) -> Option<(&'a Priced, bool)> {
        let priced = catalog.models().iter().find(|known| known.id == model)?;
        let waived = catalog
            .perks()
            .iter()
            .any(|perk| self.perks.contains(&perk.id) && perk.models.iter().any(|id| id == model));
        Some((priced, waived))
    }

    // How it stands.

    fn view(&self) -> View {
        let mut grants: Vec<GrantView> = self
            .grants
            .iter()
            .filter(|grant| grant.remaining() > 0 || grant.held > 0)
            .map(grant_view)
            .collect();
        grants.sort();
        let living = self.grants.iter().filter(|grant| grant.is_living());
        let open = self.holds.iter().filter(|hold| hold.status == Status::Open);
        let mut debts: Vec<(u64, Micros)> = self
            .charges
            .iter()
            .filter(|charge| charge.owed > 0)
            .map(|charge| (charge.id, charge.owed))
            .collect();
        debts.sort();
        let mut features = self.features.clone();
        features.retain(|(_, used)| *used > 0);
        features.sort();
        View {
            available: living.map(Grant::remaining).sum(),
            held: self.grants.iter().map(|grant| grant.held).sum(),
            owed: self.owed(),
            plan: self.plan.clone(),
            pending: self.pending.clone(),
            zone: self.zone.name().to_owned(),
            perks: self.perks.clone(),
            name: self.name.clone(),
            day: self
                .day
                .as_ref()
                .filter(|day| day.end > self.clock)
                .map(|day| (day.end, day.granted)),
            grants,
            holds: open
                .map(|hold| (hold.id, hold.until, hold.draws.clone()))
                .collect(),
            debts,
            features,
            limits: self.limits(),
            used: self.used.clone(),
        }
    }
}

fn grant_view(grant: &Grant) -> GrantView {
    let (expired, voided) = if grant.voided {
        (0, grant.lost)
    } else {
        (grant.lost, 0)
    };
    GrantView {
        id: grant.id.clone(),
        credits: grant.credits,
        remaining: grant.remaining(),
        held: grant.held,
        spent: grant.spent,
        expired,
        voided,
        from: grant.from,
        until: grant.until,
    }
}

fn sum(draws: &[(String, Micros)]) -> Micros {
    draws.iter().map(|(_, credits)| credits).sum()
}

/// Prices a request: every meter of every item, added as a fraction and rounded up once.
fn quote<'a>(
    request: &PricedRequest,
    catalog: &Catalog,
    offer: impl Fn(&str) -> Option<(&'a Priced, bool)>,
) -> Result<Quote, Refused> {
    let (mut list, mut charged) = (Fraction::whole(0), Fraction::whole(0));
    let mut quote = Quote {
        credits: 0,
        list_credits: 0,
        waived: false,
        tags: Vec::new(),
        flat: false,
        called: Vec::new(),
        calls: 0,
        quantities: [0; 7],
    };
    for item in &request.items {
        quote.calls += 1;
        match item {
            Item::Flat { credits, .. } => {
                quote.flat = true;
                list = list.plus(Fraction::whole(credits.micros().into()));
                charged = charged.plus(Fraction::whole(credits.micros().into()));
            }
            Item::Model { model, usage, .. } => {
                let Some((model, waived)) = offer(model) else {
                    return refuse(Code::UnknownModel);
                };
                quote.called.push((model.id.clone(), waived));
                if !waived {
                    quote.tags.push(tags(model));
                }
                for (place, meter) in Meter::ALL.into_iter().enumerate() {
                    let thousandths = usage.get(meter).thousandths();
                    if thousandths == 0 {
                        continue;
                    }
                    let mut rates = model.rates.iter();
                    let Some(rate) = rates.find(|rate| rate.meters().contains(&meter)) else {
                        return refuse(Code::UnknownMeter);
                    };
                    let micros = i128::from(rate.micros());
                    let line = Fraction::new(
                        i128::from(thousandths) * micros,
                        i128::from(rate.per()) * 1000,
                    );
                    if line.floor() >= LIMIT {
                        return refuse(Code::AmountTooLarge);
                    }
                    quote.quantities[place] += thousandths;
                    list = list.plus(line);
                    if !waived {
                        charged = charged.plus(line);
                    }
                }
            }
        }
    }
    let increment = catalog.increment().micros().into();
    quote.list_credits = list.up_to_a_multiple_of(increment);
    quote.credits = charged.up_to_a_multiple_of(increment);
    if quote.list_credits >= LIMIT {
        return refuse(Code::AmountTooLarge);
    }
    quote.waived = !quote.flat && quote.called.iter().all(|(_, waived)| *waived);
    Ok(quote)
}

fn tags(model: &Priced) -> Vec<String> {
    let mut tags = model.own_tags.clone();
    tags.push(model.modality.as_str().to_owned());
    if model.modality.as_str() != "text" {
        tags.push("multimodal".to_owned());
    }
    tags
}

/// A number of nought or more, exactly.
#[derive(Clone, Copy)]
struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    const fn whole(number: i128) -> Fraction {
        Fraction {
            numerator: number,
            denominator: 1,
        }
    }

    fn new(numerator: i128, denominator: i128) -> Fraction {
        let (mut divisor, mut rest) = (numerator, denominator);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Fraction {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        }
    }

    fn plus(self, other: Fraction) -> Fraction {
        Fraction::new(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )
    }

    fn floor(self) -> i128 {
        self.numerator / self.denominator
    }

    fn up_to_a_multiple_of(self, step: i128) -> i128 {
        let mut steps = self.numerator / (self.denominator * step);
        if steps * self.denominator * step < self.numerator {
            steps += 1;
        }
        steps * step
    }
}
