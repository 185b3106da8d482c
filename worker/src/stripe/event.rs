//! What an event means here. Stripe adds fields at any time: those that are not named are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::problem::Problem;
use crate::route::check_account_id;
use crate::subscriptions::{SubscriptionNotice, SubscriptionState};

/// An event.
#[derive(Deserialize)]
pub(super) struct Event {
    r#type: String,
    #[serde(default)]
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    /// Read only where it is known what it is.
    object: serde_json::Value,
}

/// A checkout session, a subscription, a charge or a dispute: what we look at of any of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    id: Option<String>,
    mode: Option<String>,
    status: Option<String>,
    payment_status: Option<String>,
    client_reference_id: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    payment_intent: Option<Reference>,
    subscription: Option<Reference>,
    charge: Option<Reference>,
    items: Option<List>,
    line_items: Option<List>,
    amount: Option<i64>,
    amount_refunded: Option<i64>,
}

/// An id, or the thing itself where it was expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(String),
    Expanded { id: String },
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: Option<Reference>,
}

/// The events that mean something here.
const KNOWN: [&str; 9] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
];

/// What the prices at Stripe stand for: packs and plans by price id.
pub(super) struct Prices(BTreeMap<String, String>);

impl Prices {
    /// Reads `{"price_…": "pack-500", "price_…": "starter"}`. None is none.
    ///
    /// # Errors
    /// If it is something else: the operator's fault, which the log tells.
    pub(super) fn read(text: &str) -> Result<Prices, Problem> {
        if text.trim().is_empty() {
            return Ok(Prices(BTreeMap::new()));
        }
        serde_json::from_str(text)
            .map(Prices)
            .map_err(|error| Problem::Fault(format!("STRIPE_PRICES cannot be read: {error}")))
    }
}

/// What an event means.
pub(super) enum News {
    /// Money came for a pack.
    Paid {
        payment: String,
        account: String,
        pack: String,
    },
    /// Money went back.
    MoneyBack { payment: String },
    /// How a subscription stands.
    Subscription {
        account: Option<String>,
        notice: SubscriptionNotice,
    },
    /// It is well known here, and nothing follows from it.
    NothingToDo,
    /// It would mean something, but lacks what is needed for that.
    Ignored(&'static str),
    /// It means nothing here.
    Unknown,
}

impl Event {
    /// What it means.
    ///
    /// # Errors
    /// If a field that we look at is of another type than Stripe documents.
    pub(super) fn news(self, prices: &Prices) -> Result<News, serde_json::Error> {
        if !KNOWN.contains(&self.r#type.as_str()) {
            return Ok(News::Unknown);
        }
        let object: Object = serde_json::from_value(self.data.object)?;
        Ok(object.news(&self.r#type, self.created, prices))
    }
}

impl Object {
    fn news(self, kind: &str, at: i64, prices: &Prices) -> News {
        match kind {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                self.checkout(at, prices)
            }
            "customer.subscription.created" | "customer.subscription.updated" => {
                let state = match (self.status.as_deref(), self.names("plan", prices)) {
                    (Some("active" | "trialing") | None, Some(plan)) => {
                        SubscriptionState::Active { plan }
                    }
                    (Some("active" | "trialing") | None, None) => return News::Ignored("no_plan"),
                    // A payment is late: Stripe still tries.
                    (Some("past_due" | "incomplete"), _) => SubscriptionState::Named,
                    (Some("canceled" | "incomplete_expired"), _) => SubscriptionState::Ended,
                    _ => SubscriptionState::Paused,
                };
                self.subscription_news(at, state)
            }
            "customer.subscription.deleted" => self.subscription_news(at, SubscriptionState::Ended),
            // The period's credits come with the account's own period, and not a second time with the invoice.
            "invoice.paid" => News::NothingToDo,
            "charge.refunded" => match (self.amount, self.amount_refunded) {
                (Some(amount), Some(refunded)) if refunded < amount => {
                    News::Ignored("partial_refund")
                }
                _ => self.money_back(),
            },
            "charge.dispute.created" => self.money_back(),
            "charge.dispute.closed" if self.status.as_deref() == Some("lost") => self.money_back(),
            _ => News::Unknown,
        }
    }

    fn checkout(self, at: i64, prices: &Prices) -> News {
        let is_unpaid = self.payment_status.as_deref() == Some("unpaid");
        let account = self.account();
        if self.mode.as_deref() == Some("subscription") {
            let Some(subscription) = self.subscription.as_ref().map(Reference::id) else {
                return News::Ignored("no_subscription");
            };
            let state = match self.names("plan", prices) {
                Some(plan) if !is_unpaid => SubscriptionState::Active { plan },
                _ => SubscriptionState::Named,
            };
            let notice = SubscriptionNotice {
                subscription: subscription.to_owned(),
                at,
                state,
            };
            return News::Subscription { account, notice };
        }
        let payment = self
            .payment_intent
            .as_ref()
            .map(Reference::id)
            .or(self.id.as_deref());
        match (self.names("pack", prices), account, payment) {
            (None, ..) => News::Ignored("no_pack"),
            (_, None, _) => News::Ignored("no_account"),
            (_, _, None) => News::Ignored("no_payment"),
            // Its money is on the way: `checkout.session.async_payment_succeeded` tells when it is there.
            _ if is_unpaid => News::Ignored("unpaid"),
            (Some(pack), Some(account), Some(payment)) => News::Paid {
                payment: payment.to_owned(),
                account,
                pack,
            },
        }
    }

    fn subscription_news(&self, at: i64, state: SubscriptionState) -> News {
        match &self.id {
            Some(id) => News::Subscription {
                account: self.account(),
                notice: SubscriptionNotice {
                    subscription: id.clone(),
                    at,
                    state,
                },
            },
            None => News::Ignored("no_subscription"),
        }
    }

    /// A charge or a dispute is about a payment, or about a charge that has none.
    fn money_back(&self) -> News {
        let payment = self
            .payment_intent
            .as_ref()
            .or(self.charge.as_ref())
            .map(Reference::id);
        match payment.or(self.id.as_deref()) {
            Some(payment) => News::MoneyBack {
                payment: payment.to_owned(),
            },
            None => News::Ignored("no_payment"),
        }
    }

    /// Whose it is. What can be no account of ours is none.
    fn account(&self) -> Option<String> {
        let named = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get("account"));
        // The metadata say what they are for; a reference may be anything.
        named
            .or(self.client_reference_id.as_ref())
            .filter(|account| check_account_id(account).is_ok())
            .cloned()
    }

    /// The pack or plan: by its price, which a customer may have changed, or else as the metadata say.
    fn names(&self, what: &str, prices: &Prices) -> Option<String> {
        let items = [&self.items, &self.line_items].into_iter().flatten();
        let by_price = items
            .flat_map(|list| &list.data)
            .filter_map(|item| item.price.as_ref())
            .find_map(|price| prices.0.get(price.id()));
        let named = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get(what));
        by_price.or(named).cloned()
    }
}

impl Reference {
    fn id(&self) -> &str {
        match self {
            Reference::Id(id) | Reference::Expanded { id } => id,
        }
    }
}
