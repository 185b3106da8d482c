//! What the core answers when it says no: the caller's situation, never a fault of ours.

use std::ops::Deref;

use crate::credits::Credits;
use crate::limit::LimitReached;
use crate::value::join;

/// Every reason for a refusal: the closed list that callers may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A field is missing, unknown, or of the wrong type.
    InvalidRequest,
    /// The catalog has no such model.
    UnknownModel,
    /// No such meter, or the model has no rate for it.
    UnknownMeter,
    /// A quantity is negative, fractional where it must be whole, or no number.
    InvalidQuantity,
    /// An amount of credits is negative, too fine, or no number.
    InvalidCredits,
    /// An amount or a price is 10⁹ credits or more.
    AmountTooLarge,
    /// The catalog has no such plan.
    UnknownPlan,
    /// The catalog has no such perk.
    UnknownPerk,
    /// The account's plan has no such limited feature.
    UnknownFeature,
    /// Not the IANA name of a time zone.
    InvalidTimeZone,
    /// A cursor that no page gave.
    InvalidCursor,
    /// A usage format that nobody has.
    UnknownUsageFormat,
    /// A catalog that cannot be used.
    InvalidCatalog,
    /// An account snapshot that cannot be read.
    InvalidAccount,
    /// An entry of a journal that cannot be read, or that charges nothing.
    InvalidEntry,
    /// An entry that was priced with another catalog.
    UnknownCatalog,
    /// A POST that moves credits came without an idempotency key.
    IdempotencyKeyRequired,
    /// The account's credits, or what it owes, do not allow it.
    InsufficientCredits,
    /// More would be spent than the account may in a day or a month.
    SpendLimitReached,
    /// A limited feature is used up.
    EntitlementExhausted,
    /// There is no such account.
    AccountNotFound,
    /// There is no such hold.
    HoldNotFound,
    /// There is no such charge.
    ChargeNotFound,
    /// There is no such grant.
    GrantNotFound,
    /// The account exists, opened otherwise.
    AccountExists,
    /// A legacy plan cannot be entered.
    PlanTransitionForbidden,
    /// The hold was captured, released, or lapsed.
    HoldNotOpen,
    /// More would be given back than the charge took.
    RefundExceedsCharge,
    /// The grant has ended already.
    GrantEnded,
    /// The key was used for something else.
    IdempotencyKeyReused,
    /// Nobody has this invitation code.
    InvitationNotFound,
    /// An account cannot invite itself.
    OwnInvitation,
    /// The account was invited before.
    InvitationAlreadyRedeemed,
    /// The inviter has been rewarded as often as can be.
    InvitationExhausted,
    /// The catalog has no such pack.
    UnknownPack,
    /// No catalog has this hash.
    CatalogNotFound,
    /// There is no such promotion.
    PromotionNotFound,
    /// The promotion has not begun, or is over.
    PromotionNotOpen,
    /// The promotion was redeemed as often as it may be.
    PromotionExhausted,
    /// The account redeemed the promotion before.
    PromotionAlreadyRedeemed,
}

impl Code {
    /// The code as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::InvalidRequest => "invalid_request",
            Code::UnknownModel => "unknown_model",
            Code::UnknownMeter => "unknown_meter",
            Code::InvalidQuantity => "invalid_quantity",
            Code::InvalidCredits => "invalid_credits",
            Code::AmountTooLarge => "amount_too_large",
            Code::UnknownPlan => "unknown_plan",
            Code::UnknownPerk => "unknown_perk",
            Code::UnknownFeature => "unknown_feature",
            Code::InvalidTimeZone => "invalid_time_zone",
            Code::InvalidCursor => "invalid_cursor",
            Code::UnknownUsageFormat => "unknown_usage_format",
            Code::InvalidCatalog => "invalid_catalog",
            Code::InvalidAccount => "invalid_account",
            Code::InvalidEntry => "invalid_entry",
            Code::UnknownCatalog => "unknown_catalog",
            Code::IdempotencyKeyRequired => "idempotency_key_required",
            Code::InsufficientCredits => "insufficient_credits",
            Code::SpendLimitReached => "spend_limit_reached",
            Code::EntitlementExhausted => "entitlement_exhausted",
            Code::AccountNotFound => "account_not_found",
            Code::HoldNotFound => "hold_not_found",
            Code::ChargeNotFound => "charge_not_found",
            Code::GrantNotFound => "grant_not_found",
            Code::AccountExists => "account_exists",
            Code::PlanTransitionForbidden => "plan_transition_forbidden",
            Code::HoldNotOpen => "hold_not_open",
            Code::RefundExceedsCharge => "refund_exceeds_charge",
            Code::GrantEnded => "grant_ended",
            Code::IdempotencyKeyReused => "idempotency_key_reused",
            Code::InvitationNotFound => "invitation_not_found",
            Code::OwnInvitation => "own_invitation",
            Code::InvitationAlreadyRedeemed => "invitation_already_redeemed",
            Code::InvitationExhausted => "invitation_exhausted",
            Code::UnknownPack => "unknown_pack",
            Code::CatalogNotFound => "catalog_not_found",
            Code::PromotionNotFound => "promotion_not_found",
            Code::PromotionNotOpen => "promotion_not_open",
            Code::PromotionExhausted => "promotion_exhausted",
            Code::PromotionAlreadyRedeemed => "promotion_already_redeemed",
        }
    }
}

/// The figures behind a refusal for want of credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What the request needs.
    pub required: Credits,
    /// What could pay for this request.
    pub available: Credits,
    /// What the account owes.
    pub owed: Credits,
}

impl Shortage {
    /// What is missing: required + owed - available.
    pub fn shortfall(&self) -> Credits {
        (self.required + self.owed).less(self.available)
    }
}

/// A refusal: why, in words, and where.
///
/// It is one pointer wide, since nearly every function may give one and nearly none does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Reasons>);

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// The reason.
    pub code: Code,
    /// One sentence in lower case that names the figure or the field at fault.
    pub detail: String,
    /// Where in the request, such as `items[1].usage.seconds`.
    pub field: Option<String>,
    /// The figures, where credits are what is missing.
    pub shortage: Option<Shortage>,
    /// The figures, where a spend limit is what stands in the way.
    pub limit: Option<LimitReached>,
}

impl Deref for Refusal {
    type Target = Reasons;
    fn deref(&self) -> &Reasons {
        &self.0
    }
}

impl Refusal {
    /// A refusal without a place.
    pub fn new(code: Code, detail: impl Into<String>) -> Refusal {
        Refusal(Box::new(Reasons {
            code,
            detail: detail.into(),
            field: None,
            shortage: None,
            limit: None,
        }))
    }

    /// The same refusal, at a place of the request. A place that it has already is kept.
    pub fn at(mut self, field: &str) -> Refusal {
        self.0.field.get_or_insert_with(|| field.to_owned());
        self
    }

    /// The same refusal, of a value that is a field of the request.
    pub fn within(mut self, field: &str) -> Refusal {
        self.0.field = Some(match self.0.field.as_deref() {
            None | Some("") => field.to_owned(),
            Some(place) => join(field, place),
        });
        self
    }

    /// The same refusal, for another reason.
    pub fn coded(mut self, code: Code) -> Refusal {
        self.0.code = code;
        self
    }

    /// The same refusal, with the figures behind it.
    pub fn with_shortage(mut self, shortage: Shortage) -> Refusal {
        self.0.shortage = Some(shortage);
        self
    }

    /// The same refusal, with the limit behind it.
    pub fn with_limit(mut self, limit: LimitReached) -> Refusal {
        self.0.limit = Some(limit);
        self
    }
}
