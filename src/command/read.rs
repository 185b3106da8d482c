//! Commands as callers say them: each from the body of its call.

use crate::alert::Alert;
use crate::calendar::Zone;
use crate::catalog::Catalog;
use crate::charge::OnExcess;
use crate::entry::Opening;
use crate::grant::DEFAULT_PRIORITY;
use crate::hold::DEFAULT_TTL_SECONDS;
use crate::ids::{ChargeId, HoldId};
use crate::limit::SpendLimits;
use crate::refusal::{Code, Refusal};
use crate::request::PricedRequest;
use crate::value::{Fields, Value};

use super::fields::{
    category, grant_kind, instant, is_display_name, known_perk, known_plan, nullable_instant,
    on_excess, positive_credits, priced_fields, scope, ttl_seconds,
};
use super::{Command, NewGrant};

/// The most of a limited feature in one request.
const MOST_OF_A_FEATURE: u32 = 1_000_000_000;

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
