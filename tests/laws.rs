//! The laws of an account, over long random histories: hostile clocks, every command, every policy.
//!
//! A history is made of one seed. `LAWS_SEED=17 cargo test --test laws` repeats the one that failed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a specification that cannot go on has failed"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;
use std::thread;

use edge_credits::account::Account;
use edge_credits::catalog::Catalog;
use edge_credits::catalogs::Catalogs;
use edge_credits::command::Command;
use edge_credits::credits::Credits;
use edge_credits::due::Settled;
use edge_credits::entry::Entry;
use edge_credits::grant::Draw;
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::time::{DAY_MS, Instant};
use serde_json::json;
use support::{Json, Ledger, catalog_with, differences, time, value, with};

const HISTORIES: u64 = 300;
const COMMANDS: usize = 350;
const COMPARE_EVERY: usize = 50;

/// Zones and a day each on which their clocks do something odd, or nothing.
const BEGINNINGS: [(&str, &str); 12] = [
    ("UTC", "2026-03-01T12:00:00Z"),
    ("America/New_York", "2026-03-07T12:00:00Z"),
    ("America/New_York", "2026-10-31T12:00:00Z"),
    ("Asia/Kolkata", "2026-01-31T18:29:59.999Z"),
    ("Pacific/Chatham", "2026-04-04T10:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T10:00:00Z"),
    ("America/Havana", "2026-03-07T12:00:00Z"),
    ("America/Havana", "2026-10-31T12:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T12:00:00Z"),
    ("Pacific/Apia", "2011-12-28T12:00:00Z"),
    ("Europe/Berlin", "2028-02-28T22:30:00Z"),
    ("Pacific/Kiritimati", "2026-12-30T09:59:59Z"),
];

const PLANS: [&str; 6] = ["free", "starter", "maker", "plus", "pro", "max"];

/// Models of every modality, waived and not, advanced and not, and how much of them a call uses.
const MODELS: [(&str, &str, u64); 8] = [
    ("kimi-k2", "input_tokens", 100_000),
    ("gpt-oss-120b", "output_tokens", 400_000),
    ("claude-sonnet-4", "output_tokens", 40_000),
    ("claude-opus-4", "cached_input_tokens", 9_000),
    ("flux-schnell", "images", 150),
    ("veo-3", "seconds", 1),
    ("wan-2.2-fast", "seconds", 12),
    ("bark", "uses", 4),
];

/// A catalog of other prices, other allowances and a fine increment.
static OTHER_CATALOG: LazyLock<&'static Catalog> = LazyLock::new(|| {
    catalog_with(|catalog| {
        catalog["increment"] = json!(0.01);
        // Allowances that were not there before, and others that are no more.
        catalog["plans"][0]["daily"] = json!(120.5);
        catalog["plans"][0]["monthly"] = json!(60);
        catalog["plans"][1]["monthly"] = json!(null);
        catalog["plans"][3]["daily"] = json!(30);
        catalog["plans"][4]["daily"] = json!(20);
        for model in catalog["models"].as_array_mut().unwrap() {
            model["rates"][0]["per"] = json!(7);
        }
        catalog["models"][4]["rates"][0]["per"] = json!(70_000);
    })
});

/// A small deterministic generator: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }

    fn chance(&mut self, in_hundred: u64) -> bool {
        self.below(100) < in_hundred
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// The code of a refusal, if there would be one, and who would pay.
type Foreseen = (Option<&'static str>, Vec<Draw>);

/// One account's history in the making.
struct History {
    dice: Dice,
    ledger: Ledger,
    /// What was read at moments that the journal then passed.
    readings: Vec<(Instant, Settled)>,
    refusals: usize,
}

impl History {
    fn begin(seed: u64) -> History {
        let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let (zone, start) = dice.pick(&BEGINNINGS);
        let mut body = json!({"plan": dice.pick(&PLANS), "time_zone": zone});
        if dice.chance(40) {
            body["perks"] = json!(["early_bird"]);
        }
        if dice.chance(40) {
            let days = i64::try_from(dice.below(800)).unwrap();
            let since = time(start).after_millis(-days * DAY_MS);
            body["since"] = json!(since.to_string());
        }
        let mut ledger = Ledger::open_at(start, body);
        ledger.compares_always = false;
        History {
            dice,
            ledger,
            readings: Vec::new(),
            refusals: 0,
        }
    }

    /// The clock's next reading: it creeps, jumps, stands still, runs backwards and hits every boundary.
    fn tick(&mut self) {
        let account = self.ledger.account();
        let now = self.ledger.now;
        let zone = account.zone.clone();
        let boundary = match self.dice.below(5) {
            0 => zone.next_midnight(now),
            1 => account.period(now).1,
            2 => {
                let ends = account.grants.iter().filter_map(|grant| grant.expires_at);
                ends.min().unwrap_or(now)
            }
            3 => {
                let starts = account.grants.iter().map(|grant| grant.effective_at);
                starts.max().unwrap_or(now)
            }
            _ => account
                .holds
                .iter()
                .map(|hold| hold.expires_at)
                .min()
                .unwrap_or(now),
        };
        let dice = &mut self.dice;
        let mut some = |most: u64| i64::try_from(dice.below(most)).unwrap();
        let step = match some(100) {
            0..30 => 0,
            30..35 => 1,
            35..60 => some(120_000),
            60..75 => some(20 * 3_600_000),
            75..78 => some(5) * DAY_MS + some(DAY_MS.unsigned_abs()),
            78..79 => some(70) * DAY_MS,
            79..84 => -some(3 * DAY_MS.unsigned_abs()),
            // A boundary, or one millisecond beside it.
            _ => (boundary.millis() - now.millis()).min(40 * DAY_MS) + some(3) - 1,
        };
        self.ledger.now = now.after_millis(step);
    }

    fn item(&mut self) -> Json {
        if self.dice.chance(8) {
            let credits = self.dice.pick(&[0.0, 0.5, 3.0, 12.000_001, 40.0]);
            return json!({"credits": credits, "description": "a feature"});
        }
        let (model, meter, most) = self.dice.pick(&MODELS);
        let quantity = match self.dice.below(20) {
            0 => 0,
            1 => most * 10,
            _ => self.dice.below(most) + 1,
        };
        json!({"model": model, "usage": {meter: quantity}})
    }

    fn request(&mut self) -> Json {
        match self.dice.below(50) {
            0 => json!({"model": "no-such-model", "usage": {}}),
            1 => json!({"model": "bark", "usage": {"images": 1}}),
            2..10 => {
                let items: Vec<Json> = (0..=self.dice.below(3)).map(|_| self.item()).collect();
                json!({"items": items})
            }
            _ => self.item(),
        }
    }

    fn policy(&mut self, body: Json) -> Json {
        match self.dice.below(4) {
            0 => body,
            1 => with(body, "on_excess", "forgive"),
            2 => with(body, "on_excess", "reject"),
            _ => with(body, "on_excess", "owe"),
        }
    }

    /// A hold, mostly one that was made.
    fn some_hold(&mut self) -> HoldId {
        let open = &self.ledger.account().holds;
        if !open.is_empty() && self.dice.chance(70) {
            let ids: Vec<HoldId> = open.iter().map(|hold| hold.id).collect();
            return self.dice.pick(&ids);
        }
        let ids: Vec<HoldId> = self.ledger.shelf.holds.keys().copied().collect();
        match ids.as_slice() {
            [] => HoldId(1),
            ids if self.dice.chance(97) => self.dice.pick(ids),
            _ => HoldId(999_999),
        }
    }

    fn some_charge(&mut self) -> ChargeId {
        let debts = &self.ledger.account().debts;
        if !debts.is_empty() && self.dice.chance(30) {
            let ids: Vec<ChargeId> = debts.iter().map(|debt| debt.charge).collect();
            return self.dice.pick(&ids);
        }
        let ids: Vec<ChargeId> = self.ledger.shelf.charges.keys().copied().collect();
        match ids.as_slice() {
            [] => ChargeId(1),
            [.., last] if self.dice.chance(30) => *last,
            ids => self.dice.pick(ids),
        }
    }

    fn some_grant(&mut self) -> String {
        let account = self.ledger.account();
        let present = account.grants.iter().map(|grant| grant.id.clone());
        let gone = self.ledger.shelf.grants.keys().rev().take(3).cloned();
        let ids: Vec<String> = present.chain(gone).collect();
        match ids.len() {
            0 => "grant_1".to_owned(),
            count => {
                let place = self.dice.below(count as u64);
                ids[usize::try_from(place).unwrap()].clone()
            }
        }
    }

    fn new_grant(&mut self) -> Json {
        let kinds = ["bonus", "pack", "invitation", "promotion", "adjustment"];
        let mut body = json!({"kind": self.dice.pick(&kinds), "credits": self.dice.below(300) + 1});
        if self.dice.chance(10) {
            body["credits"] = json!(0.000_001);
        }
        if self.dice.chance(40) {
            let scopes = [
                json!(["advanced"]),
                json!(["image"]),
                json!(["multimodal", "text"]),
            ];
            body["scope"] = scopes[usize::try_from(self.dice.below(3)).unwrap()].clone();
        }
        if self.dice.chance(30) {
            body["priority"] = json!(self.dice.below(101));
        }
        if self.dice.chance(20) {
            body["category"] = json!(self.dice.pick(&["paid", "promo"]));
        }
        let mut start = self.ledger.now;
        if self.dice.chance(30) {
            let hours = i64::try_from(self.dice.below(60)).unwrap() - 10;
            start = start.after_millis(hours * 3_600_000);
            body["effective_at"] = json!(start.to_string());
        }
        if self.dice.chance(60) {
            let hours = i64::try_from(self.dice.below(90)).unwrap();
            body["expires_at"] = json!(start.after_millis(hours * 3_600_000).to_string());
        }
        body
    }

    /// Publishes a catalog, now or for later: what was priced before stays as it is.
    fn publish(&mut self, catalog: &'static Catalog) {
        let now = self.ledger.now.max(self.ledger.account().last_at);
        let later = self.dice.below(2) * self.dice.below(100);
        let hours = i64::try_from(later).unwrap();
        let effective_at = now.after_millis(hours * 3_600_000);
        self.ledger.publish_from(effective_at, catalog);
    }

    fn command(&mut self) -> Command {
        let catalog = self.ledger.catalog;
        match self.dice.below(100) {
            0..20 => {
                let body = self.request();
                let body = self.policy(body);
                Command::charge(&value(body)).unwrap()
            }
            20..40 => {
                let ttl = self.dice.pick(&[1, 60, 900, 7_200, 86_400]);
                let body = self.request();
                Command::hold(&value(with(body, "ttl_seconds", ttl))).unwrap()
            }
            40..58 => {
                let hold = self.some_hold();
                let same = self.ledger.shelf.holds.get(&hold).and_then(|hold| {
                    let models: Vec<Json> = hold
                        .lines
                        .iter()
                        .filter_map(|line| serde_json::to_value(line).ok())
                        .filter(|line| line.get("model").is_some())
                        .collect();
                    models.first().cloned()
                });
                // Mostly what was held, more or less of it; at times something else.
                let body = match same {
                    Some(line) if self.dice.chance(75) => {
                        let meter = line["meter"].as_str().unwrap();
                        let held = line["quantity"].as_f64().unwrap() as u64;
                        let quantity = self.dice.below(held.max(1) * 2);
                        json!({"model": line["model"], "usage": {meter: quantity}})
                    }
                    _ => self.request(),
                };
                let body = self.policy(body);
                Command::capture(hold, &value(body)).unwrap()
            }
            58..63 => Command::Release {
                hold: self.some_hold(),
            },
            63..66 => Command::Extend {
                hold: self.some_hold(),
                ttl_seconds: self.dice.pick(&[1, 900, 86_400]),
            },
            66..76 => {
                let charge = self.some_charge();
                let credits = self.dice.below(60);
                support::refund_of(charge, (credits > 20).then_some(credits as i64 - 20))
            }
            76..83 => {
                let body = self.new_grant();
                match Command::grant(&value(body), catalog) {
                    Ok(command) => command,
                    Err(refusal) => panic!("{refusal:?}"),
                }
            }
            83..86 => Command::Void {
                grant: self.some_grant(),
            },
            86..90 => support::plan_change(self.dice.pick(&PLANS), self.dice.chance(40)),
            90..92 => Command::perk("early_bird", self.dice.chance(50), catalog).unwrap(),
            92..94 => {
                let (zone, _) = self.dice.pick(&BEGINNINGS);
                Command::update(&value(json!({"time_zone": zone}))).unwrap()
            }
            94..95 => Command::update(&value(json!({"display_name": "Ada"}))).unwrap(),
            95..97 => {
                // Mostly such that they bind at times, and always some other time.
                let mut limit = || match self.dice.below(4) {
                    0 => json!(self.dice.below(120)),
                    1 => json!(self.dice.below(3_000)),
                    _ => json!(null),
                };
                let limits = json!({"day": limit(), "month": limit()});
                Command::spend_limits(&value(limits)).unwrap()
            }
            97..99 => {
                let body = json!({"quantity": self.dice.below(60) + 1});
                let feature = self.dice.pick(&["file_uploads", "max_file_bytes", "none"]);
                Command::feature(feature, self.dice.chance(40), &value(body)).unwrap()
            }
            _ => {
                let open = json!({"plan": self.dice.pick(&PLANS)});
                Command::open(&value(open), catalog).unwrap()
            }
        }
    }

    /// Reads at a moment before the next command, in one go and after a stop on the way (D5).
    fn read_before(&mut self, next: Instant) -> Option<(Instant, Settled)> {
        let last = self.ledger.account().last_at;
        let span = u64::try_from(next.millis() - last.millis() - 1).ok()?;
        let mut some = || last.after_millis(i64::try_from(self.dice.below(span + 1)).unwrap());
        let (stop, moment) = (some(), some());
        let (stop, moment) = (stop.min(moment), stop.max(moment));
        let account = self.ledger.account();
        let straight = account.settled(moment, self.ledger.catalogs());
        let stopped = settled_by_way_of(account, stop, moment, self.ledger.catalogs());
        let changes = differences(&straight, &stopped);
        assert!(
            changes.is_empty(),
            "a stop at {stop}, seen at {moment}: {changes:#?}"
        );
        let limits = [&straight, &stopped].map(|settled| settled.wallet().limits);
        assert_eq!(limits[0], limits[1], "limits at {moment} by way of {stop}");
        Some((moment, straight))
    }

    fn step(&mut self) {
        let before = self.ledger.now;
        self.tick();
        let read = self.ledger.now > before && self.dice.chance(40);
        let reading = read.then(|| self.read_before(self.ledger.now)).flatten();
        let command = self.command();
        let foreseen = self.foresee(&command);
        let known = self.ledger.state.clone();
        match (self.ledger.attempt(&command), foreseen) {
            (Ok(entries), foreseen) => {
                // The journal has passed the moment, and will never come before it again.
                self.readings
                    .extend(reading.filter(|_| !entries.is_empty()));
                if let (Some((code, draws)), Some(entry)) = (foreseen, entries.last()) {
                    assert_eq!(code, None, "an estimate foresaw no refusal of {command:?}");
                    self.check_limits(entry);
                    let charge = entry.event.charge().map(|charge| &charge.draws);
                    let hold = entry.event.hold().map(|hold| &hold.draws);
                    assert_eq!(charge.or(hold), Some(&draws), "draws as foreseen");
                }
            }
            (Err(refusal), foreseen) => {
                self.refusals += 1;
                assert_eq!(self.ledger.state, known, "a refusal leaves no trace");
                assert!(!refusal.detail.is_empty());
                if let Some((code, _)) = foreseen {
                    assert_eq!(code, Some(refusal.code.as_str()), "an estimate foresees");
                }
            }
        }
    }

    /// What the account estimate says of a hold, or of a charge that is refused if it cannot be paid.
    fn foresee(&self, command: &Command) -> Option<Foreseen> {
        use edge_credits::charge::OnExcess;
        use edge_credits::estimate::account_estimate;
        let (Command::Hold { request, .. }
        | Command::Charge {
            request,
            on_excess: OnExcess::Reject,
        }) = command
        else {
            return None;
        };
        let settled = self.ledger.settled();
        let catalog = self.ledger.catalogs().at(settled.as_of);
        let estimate = account_estimate(request, catalog, settled.wallet()).ok()?;
        Some((estimate.access.code, estimate.draws))
    }

    /// After what was let through, no more is spent and held than the limits allow.
    fn check_limits(&self, entry: &Entry) {
        let standings = self.ledger.account().limit_standings(entry.at);
        for standing in [standings.day, standings.month].into_iter().flatten() {
            let costs_nothing = entry.credits == Credits::ZERO;
            let within = standing.spent + standing.held <= standing.limit;
            assert!(within || costs_nothing, "{standing:?} after {entry:?}");
        }
    }

    /// `?at=`: the journal up to a moment, settled there, gives what was read then.
    fn check_readings(&mut self) {
        self.readings.sort_by_key(|(moment, _)| *moment);
        let mut state: Option<Account> = None;
        let mut entries = self.ledger.entries.iter().peekable();
        for (moment, reading) in &self.readings {
            while let Some(entry) = entries.next_if(|entry| entry.at <= *moment) {
                Account::apply(&mut state, entry);
            }
            let then = state.as_ref().unwrap();
            let settled = then.settled(*moment, self.ledger.catalogs());
            let changes = differences(&settled, reading);
            assert!(changes.is_empty(), "at {moment}: {changes:#?}");
        }
    }
}

/// The account at `moment`, if what was due at `stop` was written then.
fn settled_by_way_of(
    account: &Account,
    stop: Instant,
    moment: Instant,
    catalogs: Catalogs<'_>,
) -> Settled {
    let mut state = Some(account.clone());
    for entry in account.settled(stop, catalogs).due {
        Account::apply(&mut state, &entry);
    }
    state.unwrap().settled(moment, catalogs)
}

/// Runs one history, and says which it was if it fails.
fn run(seed: u64) -> (usize, usize) {
    let history = catch_unwind(AssertUnwindSafe(|| {
        let mut history = History::begin(seed);
        // Every third account sees prices change under its open holds.
        let republishes = seed.is_multiple_of(3);
        for count in 0..COMMANDS {
            if republishes && count % 40 == 39 {
                let catalog = if count % 80 == 39 {
                    *OTHER_CATALOG
                } else {
                    support::published()
                };
                history.publish(catalog);
            }
            history.step();
            if count % COMPARE_EVERY == 0 {
                history.ledger.compare_with_replay();
            }
        }
        history.ledger.compare_with_replay();
        history.check_readings();
        (history.ledger.entries.len(), history.refusals)
    }));
    history.unwrap_or_else(|failure| {
        eprintln!("the history that failed: LAWS_SEED={seed}");
        resume_unwind(failure)
    })
}

/// D1 to D8 at once: whatever happens, the journal adds up.
#[test]
fn the_laws_hold_over_random_histories() {
    if let Ok(seed) = std::env::var("LAWS_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let half = |odd: u64| {
        move || {
            (0..HISTORIES / 2)
                .map(|n| run(n * 2 + odd))
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        }
    };
    let halves = [thread::spawn(half(0)), thread::spawn(half(1))];
    let (mut entries, mut refusals) = (0, 0);
    for half in halves {
        match half.join() {
            Ok((made, refused)) => {
                entries += made;
                refusals += refused;
            }
            Err(failure) => resume_unwind(failure),
        }
    }
    let commands = usize::try_from(HISTORIES).unwrap() * COMMANDS;
    assert!(commands >= 100_000);
    assert!(entries > commands / 2, "{entries} entries");
    assert!(
        refusals > commands / 20 && refusals < commands / 2,
        "{refusals} refusals"
    );
    println!("{commands} commands, {entries} entries, {refusals} refusals");
}
