//! Entries: the journal's lines. What is stored is what callers read, and what replay applies.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::charge::{Charge, Payment, Refund, Standing};
use crate::credits::Credits;
use crate::grant::Grant;
use crate::hold::Hold;
use crate::ids::EntryId;
use crate::limit::SpendLimits;
use crate::time::Instant;
use crate::usage::Share;

/// What an account has, in three figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// What can be burned now: the `remaining` of the grants in force.
    pub available: Credits,
    /// What open holds reserve.
    pub held: Credits,
    /// What charges left unpaid.
    pub owed: Credits,
}

impl Add for Balance {
    type Output = Balance;
    fn add(self, change: Balance) -> Balance {
        Balance {
            available: self.available + change.available,
            held: self.held + change.held,
            owed: self.owed + change.owed,
        }
    }
}

/// One line of an account's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: 1, 2, 3 and so on without a gap.
    pub seq: u64,
    /// Its name.
    pub id: EntryId,
    /// When it took effect. Never before the entry in front of it.
    pub at: Instant,
    /// The signed change of `available`.
    pub credits: Credits,
    /// The balance after it.
    pub balance: Balance,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// How an account was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The plan it began on.
    pub plan: String,
    /// The name of its time zone.
    pub time_zone: String,
    /// The perks it began with, sorted.
    pub perks: Vec<String>,
    /// From when its months are counted, if that was named.
    pub since: Option<Instant>,
}

/// Settings that were changed. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The new time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The new display name; an empty one takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The plan that the next period begins with; an empty one takes the change back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_plan: Option<String>,
    /// The new spend limits, both of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_limits: Option<SpendLimits>,
    /// The new alerts, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<Alert>>,
}

/// What happened, with all that replay needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The account was opened.
    Opened {
        /// Whose it is.
        account: String,
        /// How.
        opening: Opening,
    },
    /// The account's settings were changed, or a plan's change announced.
    Updated(Changes),
    /// The account is on another plan from now on.
    PlanChanged {
        /// The plan.
        plan: String,
        /// The plan before. Not `previous`: that name belongs to the chain, which adds it to every stored entry.
        from: String,
    },
    /// A perk was granted.
    PerkGranted {
        /// Which.
        perk: String,
    },
    /// A perk was revoked.
    PerkRevoked {
        /// Which.
        perk: String,
    },
    /// Credits were granted. Those of a grant that starts later come with `started`.
    Granted {
        /// The grant after it.
        grant: Grant,
        /// What it paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
        /// Where it comes from, if no operator gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Source>,
    },
    /// The time of a grant has begun.
    Started {
        /// The grant after it.
        grant: Grant,
        /// What it paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
    },
    /// The time of a grant is over, with credits left.
    Expired {
        /// The grant after it.
        grant: Grant,
    },
    /// An operator ended a grant.
    Voided {
        /// The grant after it.
        grant: Grant,
    },
    /// Credits were reserved.
    Held {
        /// The hold.
        hold: Hold,
    },
    /// A hold was given back, and the charge taken.
    Captured {
        /// The charge.
        charge: Charge,
        /// The hold after it.
        hold: Hold,
        /// What the hold's rest paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
    },
    /// A hold was given back.
    Released {
        /// The hold after it.
        hold: Hold,
        /// What it paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
    },
    /// The time of a hold was over, and it was given back.
    Lapsed {
        /// The hold after it.
        hold: Hold,
        /// What it paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
    },
    /// A hold lives longer.
    Extended {
        /// The hold after it.
        hold: Hold,
    },
    /// A call was charged in one step.
    Charged {
        /// The charge.
        charge: Charge,
    },
    /// A charge was given back, in part or whole.
    Refunded {
        /// The refund.
        refund: Refund,
        /// How the charge stands after it.
        standing: Standing,
        /// The grants that the refund made, for credits whose grants had ended.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grants: Vec<Grant>,
        /// Grants that had been burned to the last and have credits again, as they were before it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        revived: Vec<Grant>,
        /// What it paid of what was owed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        payments: Vec<Payment>,
        /// Which models the usage figures take it from.
        shares: Vec<Share>,
    },
    /// Some of a limited feature was used.
    FeatureUsed(FeatureCount),
    /// Some of a limited feature was given back.
    FeatureReturned(FeatureCount),
}

/// Where a grant comes from that no operator gave: a plan, an invitation, a payment.
///
/// Other accounts are never named: an account's user reads its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Source {
    /// A plan's allowance of a credit day, or what an upgrade adds to it.
    Day {
        /// The plan.
        plan: String,
        /// When the day began.
        start: Instant,
        /// When it ends.
        end: Instant,
    },
    /// A plan's allowance of a period.
    Period {
        /// The plan.
        plan: String,
        /// The period's number, counted from the account's `since`.
        index: u32,
    },
    /// The account was invited.
    Invited {
        /// The inviter's code.
        code: String,
    },
    /// The account invited another.
    Inviting {
        /// Which redemption of its code: a name that tells nothing of who redeemed it.
        redemption: String,
    },
    /// A payment for a pack.
    Payment {
        /// The payment, as its processor calls it.
        payment: String,
        /// The pack.
        pack: String,
    },
    /// A promotion that the account redeemed.
    Promotion {
        /// Its code.
        code: String,
    },
}

impl Source {
    /// The id of the grant, where its source decides it: whoever knows of the payment can name the grant.
    pub fn grant_id(&self) -> Option<String> {
        match self {
            Source::Payment { payment, .. } => Some(payment_grant_id(payment)),
            _ => None,
        }
    }
}

/// The id of the grant that a payment makes.
pub fn payment_grant_id(payment: &str) -> String {
    format!("payment_{payment}")
}

/// How much of a limited feature was used or given back, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureCount {
    /// The feature.
    pub feature: String,
    /// How much.
    pub quantity: u64,
    /// How much is in use after it.
    pub used: u64,
    /// The plan's limit at that time.
    pub limit: u64,
}

impl Event {
    /// The kind as callers see it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Event::Opened { .. } => "opened",
            Event::Updated(_) => "updated",
            Event::PlanChanged { .. } => "plan_changed",
            Event::PerkGranted { .. } => "perk_granted",
            Event::PerkRevoked { .. } => "perk_revoked",
            Event::Granted { .. } => "granted",
            Event::Started { .. } => "started",
            Event::Expired { .. } => "expired",
            Event::Voided { .. } => "voided",
            Event::Held { .. } => "held",
            Event::Captured { .. } => "captured",
            Event::Released { .. } => "released",
            Event::Lapsed { .. } => "lapsed",
            Event::Extended { .. } => "extended",
            Event::Charged { .. } => "charged",
            Event::Refunded { .. } => "refunded",
            Event::FeatureUsed(_) => "feature_used",
            Event::FeatureReturned(_) => "feature_returned",
        }
    }

    /// All kinds there are, as callers see them.
    pub const KINDS: [&'static str; 18] = [
        "opened",
        "updated",
        "plan_changed",
        "perk_granted",
        "perk_revoked",
        "granted",
        "started",
        "expired",
        "voided",
        "held",
        "captured",
        "released",
        "lapsed",
        "extended",
        "charged",
        "refunded",
        "feature_used",
        "feature_returned",
    ];

    /// The charge that it makes, if it makes one.
    pub const fn charge(&self) -> Option<&Charge> {
        match self {
            Event::Captured { charge, .. } | Event::Charged { charge } => Some(charge),
            _ => None,
        }
    }

    /// The hold that it makes, changes or ends, as it is after it.
    pub const fn hold(&self) -> Option<&Hold> {
        match self {
            Event::Held { hold }
            | Event::Captured { hold, .. }
            | Event::Released { hold, .. }
            | Event::Lapsed { hold, .. }
            | Event::Extended { hold } => Some(hold),
            _ => None,
        }
    }

    /// The models that it is about, each once.
    pub fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = match self {
            Event::Captured { charge, .. } | Event::Charged { charge } => charge
                .models
                .iter()
                .map(|called| called.model.as_str())
                .collect(),
            Event::Refunded { shares, .. } => shares
                .iter()
                .filter_map(|share| share.model.as_deref())
                .collect(),
            event => event.hold().map_or_else(Vec::new, |hold| {
                hold.models
                    .iter()
                    .map(|called| called.model.as_str())
                    .collect()
            }),
        };
        models.sort_unstable();
        models.dedup();
        models
    }
}
