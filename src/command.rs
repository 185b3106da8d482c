//! Commands: what a caller wants done to an account, parsed and judged as far as that needs no state.

use crate::alert::Alert;
use crate::calendar::Zone;
use crate::catalog::Catalog;
use crate::charge::OnExcess;
use crate::credits::Credits;
use crate::entry::{Opening, Source};
use crate::grant::{Category, DEFAULT_PRIORITY, GrantKind};
use crate::hold::{DEFAULT_TTL_SECONDS, LONGEST_TTL_SECONDS};
use crate::ids::{ChargeId, GrantId, HoldId};
use crate::limit::SpendLimits;
use crate::refusal::{Code, Refusal};
use crate::request::PricedRequest;
use crate::time::Instant;
use crate::value::{Fields, Value};

/// The longest display name, in characters.
const LONGEST_NAME: usize = 80;
/// The most tags of a scope.
const MOST_TAGS: usize = 16;
/// The most of a limited feature in one request.
const MOST_OF_A_FEATURE: u32 = 1_000_000_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens the account.
    Open {
        /// How.
        opening: Opening,
    },
    /// Changes its settings; what is absent stays.
    Update {
        /// The name of the new time zone.
        time_zone: Option<String>,
        /// The new display name; an empty one takes it away.
        display_name: Option<String>,
    },
    /// Puts it on another plan.
    ChangePlan {
        /// The plan.
        plan: String,
        /// Whether it waits for the end of the period.
        at_period_end: bool,
    },
    /// Sets the most that it may spend, in place of the limits before.
    SetSpendLimits {
        /// The limits.
        limits: SpendLimits,
    },
    /// Sets its alerts, in place of those before.
    SetAlerts {
        /// The alerts.
        alerts: Vec<Alert>,
    },
    /// Gives it a perk.
    GrantPerk {
        /// Which.
        perk: String,
    },
    /// Takes a perk from it.
    RevokePerk {
        /// Which.
        perk: String,
    },
    /// Reserves the credits of a priced request.
    Hold {
        /// What for; at its ceiling, if it states one.
        request: PricedRequest,
        /// For how long.
        ttl_seconds: u32,
    },
    /// Charges what a held call really used.
    Capture {
        /// The hold.
        hold: HoldId,
        /// What was used.
        request: PricedRequest,
        /// What happens to the part that nobody can pay.
        on_excess: OnExcess,
    },
    /// Gives a hold back.
    Release {
        /// The hold.
        hold: HoldId,
    },
    /// Lets a hold live longer.
    Extend {
        /// The hold.
        hold: HoldId,
        /// For how long from now.
        ttl_seconds: u32,
    },
    /// Charges in one step.
    Charge {
        /// What was used.
        request: PricedRequest,
        /// What happens to the part that nobody can pay.
        on_excess: OnExcess,
    },
    /// Gives a charge back.
    Refund {
        /// The charge.
        charge: ChargeId,
        /// How much of it; all that is left of it by default.
        credits: Option<Credits>,
    },
    /// Grants credits.
    Grant(NewGrant),
    /// Grants what the product itself promised, once.
    Award {
        /// What.
        new: NewGrant,
        /// What for.
        source: Source,
    },
    /// Ends a grant.
    Void {
        /// Which.
        grant: GrantId,
    },
    /// Uses some of a limited feature.
    UseFeature {
        /// Which.
        feature: String,
        /// How much.
        quantity: u64,
    },
    /// Gives some of a limited feature back.
    ReturnFeature {
        /// Which.
        feature: String,
        /// How much.
        quantity: u64,
    },
}

/// A grant that is to be given.
#[derive(Clone, Debug, PartialEq)]
pub struct NewGrant {
    /// Where it comes from.
    pub kind: GrantKind,
    /// How much.
    pub credits: Credits,
    /// Given or paid for.
    pub category: Category,
    /// 0 to 100; low is burned first.
    pub priority: u8,
    /// The tags of the models that it pays for.
    pub scope: Option<Vec<String>>,
    /// From when it is in force; at once without one.
    pub effective_at: Option<Instant>,
    /// Until when.
    pub expires_at: Option<Instant>,
}

impl Command {
    /// Reads the body of an opening: `{plan, time_zone?, perks?, since?}`.
    ///
    /// # Errors
    /// `invalid_request`, `unknown_plan`, `unknown_perk`, `invalid_time_zone`.
    pub fn open(body: &Value, catalog: &Catalog) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["plan", "time_zone", "perks", "since"])?;
        let plan = known_plan(fields.text("plan")?, catalog)?;
        let time_zone = match fields.optional_text("time_zone")? {
            Some(name) => Zone::parse(name, "time_zone")?.name().to_owned(),
            None => Zone::utc().name().to_owned(),
        };
        let mut perks = Vec::new();
        for (index, perk) in fields
            .optional_texts("perks")?
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            perks.push(
                known_perk(perk, catalog)
                    .map_err(|refusal| refusal.at(&format!("perks[{index}]")))?,
            );
        }
        perks.sort_unstable();
        perks.dedup();
        let since = instant(&fields, "since")?;
        Ok(Command::Open {
            opening: Opening {
                plan,
                time_zone,
                perks,
                since,
            },
        })
    }

    /// Reads the body of a change of settings: `{time_zone?, display_name?}`.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_time_zone`.
    pub fn update(body: &Value) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["time_zone", "display_name"])?;
        let time_zone = match fields.get("time_zone") {
            None => None,
            Some(Value::Text(name)) => Some(Zone::parse(name, "time_zone")?.name().to_owned()),
            Some(other) => {
                let refusal = fields.wrong("time_zone", "the name of a time zone", other);
                return Err(refusal.coded(Code::InvalidTimeZone));
            }
        };
        let display_name = match fields.get("display_name") {
            None => None,
            Some(Value::Null) => Some(String::new()),
            Some(Value::Text(name)) if is_display_name(name) => Some(name.trim().to_owned()),
            Some(other) => {
                let expected = "a string of 1 to 80 characters without control characters, or null";
                return Err(fields.wrong("display_name", expected, other));
            }
        };
        Ok(Command::Update {
            time_zone,
            display_name,
        })
    }

    /// Reads the body of a change of plan: `{plan, effective?, dry_run?}`. The second value is `dry_run`.
    ///
    /// # Errors
    /// `invalid_request`, `unknown_plan`.
    pub fn change_plan(body: &Value, catalog: &Catalog) -> Result<(Command, bool), Refusal> {
        let fields = Fields::read(body, "", &["plan", "effective", "dry_run"])?;
        let plan = known_plan(fields.text("plan")?, catalog)?;
        let at_period_end = match fields.optional_text("effective")? {
            None | Some("now") => false,
            Some("period_end") => true,
            Some(other) => {
                return Err(Refusal::new(
                    Code::InvalidRequest,
                    format!("`effective` is `now` or `period_end`, not `{other}`"),
                )
                .at("effective"));
            }
        };
        let dry_run = match fields.get("dry_run") {
            None => false,
            Some(Value::Bool(dry_run)) => *dry_run,
            Some(other) => return Err(fields.wrong("dry_run", "true or false", other)),
        };
        Ok((
            Command::ChangePlan {
                plan,
                at_period_end,
            },
            dry_run,
        ))
    }

    /// Reads the body of new spend limits: `{day?, month?}`. What is absent or `null` has no limit.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub fn spend_limits(body: &Value) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["day", "month"])?;
        Ok(Command::SetSpendLimits {
            limits: SpendLimits::read(&fields)?,
        })
    }

    /// Reads the body of new alerts: `{alerts: [{id, type, credits}]}`.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub fn alerts(body: &Value) -> Result<Command, Refusal> {
        Ok(Command::SetAlerts {
            alerts: Alert::read_all(body)?,
        })
    }

    /// Reads the name of a perk to grant or revoke.
    ///
    /// # Errors
    /// `unknown_perk`.
    pub fn perk(name: &str, granted: bool, catalog: &Catalog) -> Result<Command, Refusal> {
        let perk = known_perk(name, catalog)?;
        Ok(if granted {
            Command::GrantPerk { perk }
        } else {
            Command::RevokePerk { perk }
        })
    }

    /// Reads the body of a hold: a priced request and `ttl_seconds`. One that states a ceiling holds that.
    ///
    /// # Errors
    /// Those of [`PricedRequest::parse`].
    pub fn hold(body: &Value) -> Result<Command, Refusal> {
        let fields = priced_fields(body, &["ttl_seconds"])?;
        let ttl_seconds = ttl_seconds(&fields)?.unwrap_or(DEFAULT_TTL_SECONDS);
        let request = PricedRequest::parse(&fields, true)?;
        let request = request.at_ceiling().unwrap_or(request);
        Ok(Command::Hold {
            request,
            ttl_seconds,
        })
    }

    /// Reads the body of a capture: a priced request of the actual usage, and `on_excess`.
    ///
    /// # Errors
    /// Those of [`PricedRequest::parse`].
    pub fn capture(hold: HoldId, body: &Value) -> Result<Command, Refusal> {
        let fields = priced_fields(body, &["on_excess"])?;
        let on_excess = on_excess(&fields)?.unwrap_or(OnExcess::Owe);
        Ok(Command::Capture {
            hold,
            request: PricedRequest::parse(&fields, false)?,
            on_excess,
        })
    }

    /// Reads the body of an extension: `{ttl_seconds}`, from now on.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn extend(hold: HoldId, body: &Value) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["ttl_seconds"])?;
        let ttl_seconds = ttl_seconds(&fields)?.ok_or_else(|| fields.missing("ttl_seconds"))?;
        Ok(Command::Extend { hold, ttl_seconds })
    }

    /// Reads the body of a direct charge: a priced request and `on_excess`.
    ///
    /// # Errors
    /// Those of [`PricedRequest::parse`].
    pub fn charge(body: &Value) -> Result<Command, Refusal> {
        let fields = priced_fields(body, &["on_excess"])?;
        let on_excess = on_excess(&fields)?.unwrap_or(OnExcess::Reject);
        Ok(Command::Charge {
            request: PricedRequest::parse(&fields, false)?,
            on_excess,
        })
    }

    /// Reads the body of a refund: `{credits?}`.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub fn refund(charge: ChargeId, body: &Value) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["credits"])?;
        let credits = match fields.get("credits") {
            None => None,
            Some(value) => Some(positive_credits(value)?),
        };
        Ok(Command::Refund { charge, credits })
    }

    /// Reads the body of a grant: `{kind, credits, category?, priority?, scope?, effective_at?, expires_at?}`.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub fn grant(body: &Value, catalog: &Catalog) -> Result<Command, Refusal> {
        let names = [
            "kind",
            "credits",
            "category",
            "priority",
            "scope",
            "effective_at",
            "expires_at",
        ];
        let fields = Fields::read(body, "", &names)?;
        let kind = grant_kind(fields.text("kind")?)?;
        let credits = fields
            .get("credits")
            .ok_or_else(|| fields.missing("credits"))?;
        Ok(Command::Grant(NewGrant {
            kind,
            credits: positive_credits(credits)?,
            category: category(&fields)?.unwrap_or_else(|| kind.category()),
            priority: match fields.optional_whole("priority", 0, 100)? {
                Some(priority) => u8::try_from(priority).unwrap_or(DEFAULT_PRIORITY),
                None => DEFAULT_PRIORITY,
            },
            scope: scope(&fields, catalog)?,
            effective_at: nullable_instant(&fields, "effective_at")?,
            expires_at: nullable_instant(&fields, "expires_at")?,
        }))
    }

    /// Reads the body of a use or a return of a limited feature: `{quantity}`.
    ///
    /// # Errors
    /// `invalid_quantity`, `invalid_request`.
    pub fn feature(name: &str, returned: bool, body: &Value) -> Result<Command, Refusal> {
        let fields = Fields::read(body, "", &["quantity"])?;
        let quantity = fields
            .optional_whole("quantity", 1, MOST_OF_A_FEATURE)
            .map_err(|refusal| refusal.coded(Code::InvalidQuantity))?
            .ok_or_else(|| fields.missing("quantity"))?;
        let (feature, quantity) = (name.to_owned(), u64::from(quantity));
        Ok(if returned {
            Command::ReturnFeature { feature, quantity }
        } else {
            Command::UseFeature { feature, quantity }
        })
    }

    /// Reads a body that has nothing to say: `{}`, for which none stands too.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn nothing(body: &Value) -> Result<(), Refusal> {
        Fields::read(body, "", &[]).map(|_| ())
    }
}

/// The fields of a priced request and these others.
fn priced_fields<'a>(body: &'a Value, others: &[&str]) -> Result<Fields<'a>, Refusal> {
    let names: Vec<&str> = PricedRequest::FIELDS
        .iter()
        .chain(others)
        .copied()
        .collect();
    Fields::read(body, "", &names)
}

fn known_plan(name: &str, catalog: &Catalog) -> Result<String, Refusal> {
    match catalog.plan(name) {
        Some(plan) => Ok(plan.id.clone()),
        None => {
            Err(Refusal::new(Code::UnknownPlan, format!("there is no plan `{name}`")).at("plan"))
        }
    }
}

fn known_perk(name: &str, catalog: &Catalog) -> Result<String, Refusal> {
    match catalog.perk(name) {
        Some(perk) => Ok(perk.id.clone()),
        None => Err(Refusal::new(
            Code::UnknownPerk,
            format!("there is no perk `{name}`"),
        )),
    }
}

fn is_display_name(name: &str) -> bool {
    let length = name.trim().chars().count();
    (1..=LONGEST_NAME).contains(&length) && !name.chars().any(char::is_control)
}

fn instant(fields: &Fields<'_>, name: &str) -> Result<Option<Instant>, Refusal> {
    fields
        .optional_text(name)?
        .map(|text| Instant::parse(text, name))
        .transpose()
}

/// A grant shows `null` for a time that it has not, and may be given so.
pub(crate) fn nullable_instant(
    fields: &Fields<'_>,
    name: &str,
) -> Result<Option<Instant>, Refusal> {
    fields
        .given(name)
        .map_or(Ok(None), |_| instant(fields, name))
}

fn ttl_seconds(fields: &Fields<'_>) -> Result<Option<u32>, Refusal> {
    fields.optional_whole("ttl_seconds", 1, LONGEST_TTL_SECONDS)
}

fn on_excess(fields: &Fields<'_>) -> Result<Option<OnExcess>, Refusal> {
    match fields.optional_text("on_excess")? {
        None => Ok(None),
        Some("owe") => Ok(Some(OnExcess::Owe)),
        Some("forgive") => Ok(Some(OnExcess::Forgive)),
        Some("reject") => Ok(Some(OnExcess::Reject)),
        Some(other) => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`on_excess` is `owe`, `forgive` or `reject`, not `{other}`"),
        )
        .at("on_excess")),
    }
}

pub(crate) fn positive_credits(value: &Value) -> Result<Credits, Refusal> {
    let credits = Credits::parse(value, "credits")?;
    if credits.is_positive() {
        Ok(credits)
    } else {
        Err(Refusal::new(Code::InvalidCredits, "`credits` must be more than 0").at("credits"))
    }
}

fn grant_kind(name: &str) -> Result<GrantKind, Refusal> {
    GrantKind::GIVEN
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or_else(|| {
            let known = GrantKind::GIVEN.map(GrantKind::as_str).join(", ");
            let detail =
                format!("`{name}` is no kind of grant that can be given; those are {known}");
            Refusal::new(Code::InvalidRequest, detail).at("kind")
        })
}

fn category(fields: &Fields<'_>) -> Result<Option<Category>, Refusal> {
    match fields.optional_text("category")? {
        None => Ok(None),
        Some("promo") => Ok(Some(Category::Promo)),
        Some("paid") => Ok(Some(Category::Paid)),
        Some(other) => Err(Refusal::new(
            Code::InvalidRequest,
            format!("`category` is `promo` or `paid`, not `{other}`"),
        )
        .at("category")),
    }
}

/// A scope of tags that models have: one that no model has would lock the credits away.
pub(crate) fn scope(
    fields: &Fields<'_>,
    catalog: &Catalog,
) -> Result<Option<Vec<String>>, Refusal> {
    if fields.given("scope").is_none() {
        return Ok(None);
    }
    let tags = fields.optional_texts("scope")?.unwrap_or_default();
    let refuse = |detail: String| Err(Refusal::new(Code::InvalidRequest, detail).at("scope"));
    if tags.is_empty() || tags.len() > MOST_TAGS {
        return refuse(format!("`scope` has 1 to {MOST_TAGS} tags, or is left out"));
    }
    for tag in &tags {
        if !catalog
            .models()
            .iter()
            .any(|model| model.tags().any(|known| known == *tag))
        {
            return refuse(format!("no model has the tag `{tag}`"));
        }
    }
    Ok(Some(tags.into_iter().map(str::to_owned).collect()))
}
