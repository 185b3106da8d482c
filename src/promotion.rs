//! Promotions: credits for whoever knows a code while it lasts (guide, FAQ 6: *periodic promotional activities*).

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::command::{NewGrant, nullable_instant, positive_credits, scope};
use crate::credits::Credits;
use crate::grant::{DEFAULT_PRIORITY, GrantKind};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_MS, Instant};
use crate::value::{Fields, Value};

/// The shortest and the longest code, in characters.
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 3..=64;
/// The most redemptions that a limit may state.
const LARGEST_LIMIT: u32 = 1_000_000_000;
/// The longest time that its credits live: ten years.
const LONGEST_DAYS: u32 = 3_650;

/// A promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// What is typed in, in capitals.
    pub code: String,
    /// What each account gets, once.
    pub credits: Credits,
    /// From when it can be redeemed; at once without one.
    pub starts_at: Option<Instant>,
    /// Until when, exclusively; for ever without one.
    pub ends_at: Option<Instant>,
    /// How many accounts may redeem it; all of them without one.
    pub limit: Option<u32>,
    /// The tags of the models that the credits pay for; all models without one.
    pub scope: Option<Vec<String>>,
    /// For how many days the credits are in force; for ever without one.
    pub valid_days: Option<u32>,
}

impl Promotion {
    /// Reads what an operator offers: `{credits, starts_at?, ends_at?, limit?, scope?, valid_days?}`.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub fn parse(code: &str, body: &Value, catalog: &Catalog) -> Result<Promotion, Refusal> {
        let names = [
            "credits",
            "starts_at",
            "ends_at",
            "limit",
            "scope",
            "valid_days",
        ];
        let fields = Fields::read(body, "", &names)?;
        let whole = |name: &str, most: u32| match fields.given(name) {
            None => Ok(None),
            Some(_) => fields.optional_whole(name, 1, most),
        };
        let credits = fields
            .get("credits")
            .ok_or_else(|| fields.missing("credits"))?;
        let promotion = Promotion {
            code: code.to_owned(),
            credits: positive_credits(credits)?,
            starts_at: nullable_instant(&fields, "starts_at")?,
            ends_at: nullable_instant(&fields, "ends_at")?,
            limit: whole("limit", LARGEST_LIMIT)?,
            scope: scope(&fields, catalog)?,
            valid_days: whole("valid_days", LONGEST_DAYS)?,
        };
        match (promotion.starts_at, promotion.ends_at) {
            (Some(start), Some(end)) if end <= start => {
                let detail = format!("`ends_at` {end} does not lie after `starts_at` {start}");
                Err(Refusal::new(Code::InvalidRequest, detail).at("ends_at"))
            }
            _ => Ok(promotion),
        }
    }

    /// Whether it can be redeemed at `now`.
    pub fn is_open(&self, now: Instant) -> bool {
        self.starts_at.is_none_or(|start| start <= now) && self.ends_at.is_none_or(|end| now < end)
    }

    /// What each account gets.
    pub fn grant(&self, now: Instant) -> NewGrant {
        let end = |days: u32| now.after_millis(i64::from(days).saturating_mul(DAY_MS));
        NewGrant {
            kind: GrantKind::Promotion,
            credits: self.credits,
            category: GrantKind::Promotion.category(),
            priority: DEFAULT_PRIORITY,
            scope: self.scope.clone(),
            effective_at: None,
            expires_at: self.valid_days.map(end),
        }
    }
}

/// A code as it was typed in, in either case. Nothing if it can be none.
pub fn read_code(text: &str) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let code = text.trim();
    (CODE_LENGTH.contains(&code.len()) && code.bytes().all(legal))
        .then(|| code.to_ascii_uppercase())
}

/// The refusal for the second redemption by one account.
pub(crate) fn already_redeemed(code: &str) -> Refusal {
    let detail = format!("the account has redeemed the promotion `{code}` before");
    Refusal::new(Code::PromotionAlreadyRedeemed, detail)
}
