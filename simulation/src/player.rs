//! The player: whoever uses an account, as badly as can be. It makes up the steps.

use edge_credits::account::Account;
use edge_credits::alert::{Alert, AlertType};
use edge_credits::catalog::Catalog;
use edge_credits::charge::OnExcess;
use edge_credits::command::{Command, NewGrant};
use edge_credits::credits::Credits;
use edge_credits::due::Settled;
use edge_credits::entry::{Opening, Source};
use edge_credits::grant::{Category, GrantKind};
use edge_credits::ids::{ChargeId, HoldId};
use edge_credits::invitation::reward;
use edge_credits::limit::SpendLimits;
use edge_credits::meter::{Meter, Quantities, Quantity};
use edge_credits::plan::Family;
use edge_credits::request::{Item, PricedRequest};
use edge_credits::time::{DAY_MS, Instant, SECOND_MS};

use crate::random::Random;
use crate::step::{About, Act, Fate, Recovery, Request, Step};
use crate::subject::Subject;

/// Zones whose clocks do strange things: at midnight, by half an hour, by a day, or not at all.
const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

const SCOPES: [&[&str]; 6] = [
    &["advanced"],
    &["multimodal"],
    &["video"],
    &["text"],
    &["image", "audio"],
    &["advanced", "video"],
];

/// The time from which and to which accounts are opened: 2004 to 2034.
const EARLIEST: i64 = 1_072_915_200_000;
const LATEST: i64 = 2_019_686_400_000;

/// Someone with an account.
pub struct Player {
    random: Random,
    now: Instant,
    catalog: usize,
    /// Whether time passes slowly, so that holds are captured while they are open.
    calm: bool,
    numbers: u32,
    sent: Vec<Request>,
}

impl Player {
    /// A player of this seed.
    pub fn new(seed: u64) -> Player {
        let mut random = Random::new(seed);
        let now = Instant::from_millis(random.between(EARLIEST, LATEST));
        Player {
            random,
            now,
            catalog: 0,
            calm: false,
            numbers: 0,
            sent: Vec::new(),
        }
    }

    /// How many steps an account takes in its life.
    pub fn life(&mut self) -> usize {
        20 + self.random.sized(1_000) as usize
    }

    /// What happens next to an account.
    pub fn next(&mut self, subject: &Subject<'_>) -> Step {
        let catalogs = subject.in_force.all;
        if self.random.percent(2) {
            self.catalog = self.random.below(catalogs.len() as u64) as usize;
        }
        let catalog = &catalogs[self.catalog];
        let state = subject.shell.state.as_ref();
        if self.random.percent(3) {
            self.calm = !self.calm;
        }
        self.pass_time(state);
        let settled = state.map(|account| account.settled(self.now, subject.in_force.for_core()));
        let act = match self.random.below(100) {
            0 => Act::Restart(self.recovery()),
            1 if self.random.percent(30) => Act::LoseSnapshots,
            2 if self.random.percent(30) => Act::LoseArchive,
            _ => Act::Send(self.request(settled.as_ref(), subject, catalog)),
        };
        Step {
            now: self.now,
            catalog: self.catalog,
            act,
        }
    }

    fn recovery(&mut self) -> Recovery {
        *self.random.pick(&[
            Recovery::Snapshot,
            Recovery::StaleSnapshot,
            Recovery::Journal,
        ])
    }

    fn pass_time(&mut self, state: Option<&Account>) {
        let weights = if self.calm {
            [60, 35, 1, 0, 2, 0, 0, 2]
        } else {
            [38, 22, 12, 5, 10, 2, 1, 6]
        };
        let millis = match self.random.weighted(&weights) {
            0 => 0,
            1 => self.random.between(1, 600 * SECOND_MS),
            2 => self.random.between(1, DAY_MS / 2),
            3 => self.random.between(1, 3) * DAY_MS,
            4 => self.way_to_an_edge(state),
            5 => self.random.between(5, 100) * DAY_MS,
            6 => self.random.sized(1_500) as i64 * DAY_MS,
            // The clock goes back.
            _ => -(self.random.sized(3 * DAY_MS as u64) as i64),
        };
        self.now = self.now.after_millis(millis);
    }

    /// The way to a moment at which something is due, or to one millisecond before or after it.
    fn way_to_an_edge(&mut self, state: Option<&Account>) -> i64 {
        let Some(account) = state else {
            return 0;
        };
        let mut edges = vec![
            account.zone.next_midnight(self.now),
            account.period(self.now).1,
        ];
        edges.extend(account.day.iter().map(|day| day.end));
        edges.extend(account.holds.iter().map(|hold| hold.expires_at));
        edges.extend(account.grants.iter().filter_map(|grant| grant.expires_at));
        edges.extend(account.grants.iter().map(|grant| grant.effective_at));
        edges.retain(|edge| *edge > self.now && edge.millis() - self.now.millis() < 60 * DAY_MS);
        if edges.is_empty() {
            return 0;
        }
        let edge = *self.random.pick(&edges);
        edge.millis() - self.now.millis() + self.random.between(-1, 1)
    }

    fn request(
        &mut self,
        settled: Option<&Settled>,
        subject: &Subject<'_>,
        catalog: &Catalog,
    ) -> Request {
        if !self.sent.is_empty() && self.random.percent(8) {
            return self.again(settled, subject, catalog);
        }
        self.numbers += 1;
        let (command, about) = self.command(settled, subject, catalog);
        let request = Request {
            number: self.numbers,
            keyed: needs_key(&command) && self.random.percent(80),
            command,
            about,
            fate: self.fate(),
        };
        self.sent.push(request.clone());
        request
    }

    /// An earlier request once more, late or after it was lost; or its key with something else.
    fn again(
        &mut self,
        settled: Option<&Settled>,
        subject: &Subject<'_>,
        catalog: &Catalog,
    ) -> Request {
        let recent = self.sent.len().min(1 + self.random.sized(60) as usize);
        let back = self.random.below(recent as u64) as usize;
        let mut request = self.sent[self.sent.len() - 1 - back].clone();
        if self.random.percent(20) {
            (request.command, request.about) = self.command(settled, subject, catalog);
        }
        request.fate = self.fate();
        request
    }

    fn fate(&mut self) -> Fate {
        match self.random.below(100) {
            0..4 => Fate::Lost,
            4..8 => Fate::CrashBeforeWrite(self.recovery()),
            8..12 => Fate::CrashBeforeAnswer(self.recovery()),
            _ => Fate::Answered,
        }
    }

    fn command(
        &mut self,
        settled: Option<&Settled>,
        subject: &Subject<'_>,
        catalog: &Catalog,
    ) -> (Command, About) {
        let weights = if settled.is_some() {
            [1, 3, 7, 2, 2, 18, 14, 4, 4, 16, 9, 9, 4, 3, 3, 3, 2, 2]
        } else {
            [80, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
        };
        let hold = HoldId(1);
        let mut about = About::Itself;
        let command = match self.random.weighted(&weights) {
            0 => Command::Open {
                opening: self.opening(settled, catalog),
            },
            1 => Command::Update {
                time_zone: self
                    .random
                    .percent(70)
                    .then(|| (*self.random.pick(&ZONES)).to_owned()),
                display_name: self
                    .random
                    .percent(40)
                    .then(|| (*self.random.pick(&["", "Ada", "Grace"])).to_owned()),
            },
            2 => Command::ChangePlan {
                plan: self.plan(catalog),
                at_period_end: self.random.percent(40),
            },
            3 => Command::GrantPerk {
                perk: "early_bird".to_owned(),
            },
            4 => Command::RevokePerk {
                perk: "early_bird".to_owned(),
            },
            5 => Command::Hold {
                request: self.priced(settled, catalog),
                ttl_seconds: self.ttl_seconds(),
            },
            6 => {
                about = self.about_hold(settled, subject);
                Command::Capture {
                    hold,
                    request: self.captured(&about, settled, catalog),
                    on_excess: self.on_excess(),
                }
            }
            7 => {
                about = self.about_hold(settled, subject);
                Command::Release { hold }
            }
            8 => {
                about = self.about_hold(settled, subject);
                Command::Extend {
                    hold,
                    ttl_seconds: self.ttl_seconds(),
                }
            }
            9 => Command::Charge {
                request: self.priced(settled, catalog),
                on_excess: self.on_excess(),
            },
            10 => {
                about = self.about(subject, |command| {
                    matches!(command, Command::Charge { .. } | Command::Capture { .. })
                });
                Command::Refund {
                    charge: ChargeId(1),
                    credits: self.random.percent(60).then(|| self.amount(2_000)),
                }
            }
            11 => Command::Grant(self.grant()),
            12 => {
                about = self.about(subject, |command| matches!(command, Command::Grant(_)));
                Command::Void {
                    grant: self.void(&mut about, settled, subject),
                }
            }
            13 => Command::UseFeature {
                feature: self.feature(),
                quantity: 1 + self.random.sized(60),
            },
            14 => self.award(),
            15 => Command::SetAlerts {
                alerts: self.alerts(),
            },
            16 => Command::SetSpendLimits {
                limits: SpendLimits {
                    day: self.limit(1_000),
                    month: self.limit(20_000),
                },
            },
            _ => Command::ReturnFeature {
                feature: self.feature(),
                quantity: 1 + self.random.sized(60),
            },
        };
        (command, about)
    }

    /// A few alerts, some of which were there before.
    fn alerts(&mut self) -> Vec<Alert> {
        let types = [AlertType::AvailableBelow, AlertType::SpentTodayAbove];
        let count = self.random.below(4);
        let alert = |place: u64| Alert {
            id: format!("alert-{place}"),
            r#type: *self.random.pick(&types),
            credits: Credits::whole(*self.random.pick(&[1, 20, 50, 100, 300, 2_000])),
        };
        (0..count).map(alert).collect()
    }

    /// A limit that binds at times, or none.
    fn limit(&mut self, most: u64) -> Option<Credits> {
        match self.random.below(10) {
            0 if self.random.percent(10) => Some(Credits::ZERO),
            1..3 => Some(self.amount(most)),
            _ => None,
        }
    }

    fn ttl_seconds(&mut self) -> u32 {
        let most = 86_399;
        1 + match self.random.below(3) {
            0 => self.random.sized(most) as u32,
            _ => self.random.below(most) as u32,
        }
    }

    /// One of the holds, mostly one that is open.
    fn about_hold(&mut self, settled: Option<&Settled>, subject: &Subject) -> About {
        let open = settled.map_or(&[][..], |settled| &settled.account.holds);
        if open.is_empty() || self.random.percent(30) {
            return self.about(subject, |command| matches!(command, Command::Hold { .. }));
        }
        let hold = self.random.pick(open).id;
        subject.made_by(hold.0).map_or(About::Itself, About::MadeBy)
    }

    /// One of the latest requests of a kind, mostly one that was done.
    fn about(&mut self, subject: &Subject<'_>, kind: impl Fn(&Command) -> bool) -> About {
        let done = self.random.percent(90);
        let all: Vec<u32> = self
            .sent
            .iter()
            .rev()
            .filter(|request| kind(&request.command))
            .filter(|request| !done || subject.made(request.number).is_some())
            .map(|request| request.number)
            .take(12)
            .collect();
        if all.is_empty() || self.random.percent(2) {
            return About::Itself;
        }
        let most = self.random.sized(all.len() as u64 - 1);
        About::MadeBy(all[most as usize])
    }

    fn opening(&mut self, settled: Option<&Settled>, catalog: &Catalog) -> Opening {
        if let Some(settled) = settled
            && self.random.percent(50)
        {
            return settled.account.opening.clone();
        }
        let perk = self.random.percent(20).then(|| "early_bird".to_owned());
        let since = self.random.percent(40).then(|| {
            let ago = self.random.between(-10, 4_000) * DAY_MS / 10;
            // The last days of a month are where months differ.
            self.now.after_millis(-ago)
        });
        Opening {
            plan: self.random.pick(catalog.plans()).id.clone(),
            time_zone: (*self.random.pick(&ZONES)).to_owned(),
            perks: perk.into_iter().collect(),
            since,
        }
    }

    /// A plan, mostly one that can be entered.
    fn plan(&mut self, catalog: &Catalog) -> String {
        let plans = catalog.plans();
        let plan = self.random.pick(plans);
        let again = plan.family == Family::Legacy && self.random.percent(80);
        if again { self.random.pick(plans) } else { plan }
            .id
            .clone()
    }

    fn on_excess(&mut self) -> OnExcess {
        *self.random.pick(&[
            OnExcess::Owe,
            OnExcess::Owe,
            OnExcess::Forgive,
            OnExcess::Reject,
            OnExcess::Reject,
        ])
    }

    /// An amount up to so many credits: whole, or not.
    fn amount(&mut self, most: u64) -> Credits {
        let whole = 1 + self.random.sized(most) as i64;
        match self.random.below(4) {
            0 => Credits::from_micros(1 + self.random.below(whole as u64 * 1_000_000) as i64),
            _ => Credits::whole(whole),
        }
    }

    fn grant(&mut self) -> NewGrant {
        let kind = *self.random.pick(&GrantKind::GIVEN);
        let scoped = self.random.percent(35);
        let starts = match self.random.below(10) {
            0..6 => None,
            6 => Some(0),
            7 => Some(-(self.random.sized(20 * DAY_MS as u64) as i64)),
            _ => Some(self.random.sized(20 * DAY_MS as u64) as i64),
        };
        let ends = match self.random.below(10) {
            0..4 => None,
            4 => Some(self.random.between(-1, 2)),
            _ => Some(self.random.sized(60 * DAY_MS as u64) as i64),
        };
        NewGrant {
            kind,
            credits: match self.random.below(200) {
                0 => Credits::whole(999_999_990),
                _ => self.amount(4_000),
            },
            category: match self.random.below(3) {
                0 => *self.random.pick(&[Category::Paid, Category::Promo]),
                _ => kind.category(),
            },
            priority: *self.random.pick(&[50, 50, 50, 50, 0, 49, 51, 100]),
            scope: scoped.then(|| {
                let tags = self.random.pick(&SCOPES).iter();
                tags.map(|tag| (*tag).to_owned()).collect()
            }),
            effective_at: starts.map(|millis| self.now.after_millis(millis)),
            expires_at: ends.map(|millis| self.now.after_millis(millis)),
        }
    }

    /// What the product promised: for an invitation, or for a payment.
    fn award(&mut self) -> Command {
        let name = format!("{}", self.random.sized(40));
        match self.random.below(3) {
            0 => Command::Award {
                new: reward(self.now),
                source: Source::Invited { code: name },
            },
            1 => Command::Award {
                new: reward(self.now),
                source: Source::Inviting { redemption: name },
            },
            _ => Command::Award {
                new: NewGrant {
                    effective_at: None,
                    expires_at: Some(self.now.after_millis(365 * DAY_MS)),
                    ..self.grant()
                },
                source: Source::Payment {
                    payment: name,
                    pack: "small".to_owned(),
                },
            },
        }
    }

    /// A grant to void: one that was given, or any that there is or was.
    fn void(&mut self, about: &mut About, settled: Option<&Settled>, subject: &Subject) -> String {
        let present = settled.iter().flat_map(|settled| &settled.account.grants);
        let mut all: Vec<&str> = present.map(|grant| grant.id.as_str()).collect();
        all.extend(
            subject
                .shell
                .records
                .grants
                .keys()
                .rev()
                .take(5)
                .map(String::as_str),
        );
        if all.is_empty() || self.random.percent(50) {
            return "grant_0".to_owned();
        }
        *about = About::Itself;
        (*self.random.pick(&all)).to_owned()
    }

    fn feature(&mut self) -> String {
        let names = [
            "file_uploads",
            "file_uploads",
            "file_uploads",
            "seats",
            "max_file_bytes",
        ];
        (*self.random.pick(&names)).to_owned()
    }

    /// What a hold is captured for: often what it was for, more or less.
    fn captured(
        &mut self,
        about: &About,
        settled: Option<&Settled>,
        catalog: &Catalog,
    ) -> PricedRequest {
        let held = self.sent.iter().find_map(|request| match &request.command {
            Command::Hold { request: held, .. } if *about == About::MadeBy(request.number) => {
                Some(held.clone())
            }
            _ => None,
        });
        match held {
            Some(mut held) if self.random.percent(75) => {
                for item in &mut held.items {
                    self.use_otherwise(item);
                }
                held
            }
            _ => self.priced(settled, catalog),
        }
    }

    fn use_otherwise(&mut self, item: &mut Item) {
        let percent = match self.random.below(6) {
            0 => 0,
            1 => 100,
            2 => self.random.below(1_000),
            3 => 101,
            _ => self.random.below(100),
        };
        if let Item::Model { usage, .. } = item {
            for meter in Meter::ALL {
                let step = if meter == Meter::Seconds { 1 } else { 1_000 };
                let thousandths = usage.get(meter).thousandths() / 100 * percent / step * step;
                usage.set(meter, Quantity::from_thousandths(thousandths));
            }
        }
    }

    fn priced(&mut self, settled: Option<&Settled>, catalog: &Catalog) -> PricedRequest {
        let several = self.random.percent(25);
        let items = if several { 1 + self.random.below(4) } else { 1 };
        // Often about as much as there is, so that what is scarce is burned to the last.
        let available = settled.map_or(0, |settled| settled.account.balance().available.micros());
        let target = match self.random.below(8) {
            0..3 => available / 1_000_000,
            3 => available / 1_000_000 * 2 + 50,
            4 => 0,
            _ => self.random.sized(400) as i64,
        };
        let each = target / items as i64;
        PricedRequest {
            items: (0..items)
                .map(|place| {
                    let path = if several {
                        format!("items[{place}]")
                    } else {
                        String::new()
                    };
                    self.item(each, path, catalog)
                })
                .collect(),
        }
    }

    /// An item of about so many credits.
    fn item(&mut self, credits: i64, path: String, catalog: &Catalog) -> Item {
        if self.random.percent(7) {
            return Item::Flat {
                credits: match self.random.below(3) {
                    0 => self.amount(300),
                    _ => Credits::whole(credits.clamp(0, 900_000_000)),
                },
                description: "a feature".to_owned(),
            };
        }
        if self.random.percent(1) {
            return Item::Model {
                model: (*self.random.pick(&["nobody", "gpt-4.1", "bark"])).to_owned(),
                usage: Quantities::NONE.with(Meter::InputTokens, Quantity::whole(3)),
                usage_max: None,
                path,
            };
        }
        // A few models more often than the rest, so that catalogs disagree about them.
        let model = match self.random.below(4) {
            0 => {
                let few = ["gpt-4o", "kimi-k2", "veo-3", "flux-dev", "wan-2.2-fast"];
                catalog.model(few[self.random.below(5) as usize])
            }
            _ => None,
        };
        let model = model.unwrap_or_else(|| self.random.pick(catalog.models()));
        let mut usage = Quantities::NONE;
        for meter in model.meters() {
            if self.random.percent(30) {
                continue;
            }
            let rate = model.rate(meter).map_or((1, 1), |rate| {
                let micros = i128::from(rate.micros());
                (rate.per(), (micros / 1_000_000).max(1))
            });
            let units = i128::from(credits) * i128::from(rate.0) * 1_000 / rate.1;
            let thousandths = u64::try_from(units).unwrap_or(0);
            let thousandths = match self.random.below(40) {
                0..12 => self.random.below(thousandths + 2),
                12 => self.random.number() % (1 << 60),
                13 => 1_000,
                _ => thousandths / model.meters().count().max(1) as u64,
            };
            let step = if meter == Meter::Seconds { 1 } else { 1_000 };
            usage.set(meter, Quantity::from_thousandths(thousandths / step * step));
        }
        if self.random.percent(1) {
            usage.set(*self.random.pick(&Meter::ALL), Quantity::whole(1));
        }
        Item::Model {
            model: model.id.clone(),
            usage,
            usage_max: None,
            path,
        }
    }
}

/// Whether a call moves credits or uses up an entitlement.
fn needs_key(command: &Command) -> bool {
    !matches!(
        command,
        Command::Open { .. }
            | Command::Update { .. }
            | Command::ChangePlan { .. }
            | Command::SetSpendLimits { .. }
            | Command::SetAlerts { .. }
            | Command::GrantPerk { .. }
            | Command::RevokePerk { .. }
            | Command::Award { .. }
    )
}
