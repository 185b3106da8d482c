//! Alerts: thresholds of which the product's server is told when they are crossed.
//!
//! An alert is crossed at an entry of the journal, and what an entry crosses follows from the entries alone: a replay
//! finds the same. What time alone does moves the figures and crosses nothing by itself, since it comes in pairs: at
//! midnight what is left of a day's credits expires, and the next day's are granted. Whoever makes the next entry
//! makes the crossing.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::credits::Credits;
use crate::entry::{Entry, Event, Source};
use crate::ids::EntryId;
use crate::refusal::{Code, Refusal};
use crate::time::Instant;
use crate::value::{Fields, Value};

/// The most alerts of an account.
const MOST_ALERTS: usize = 10;
/// The longest id, in characters.
const LONGEST_ID: usize = 64;

/// A threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name, which the caller gave it.
    pub id: String,
    /// What is watched.
    pub r#type: AlertType,
    /// Where the threshold lies.
    pub credits: Credits,
}

/// What an alert watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertType {
    /// What is available falls below the threshold. It is told again once it was back at it.
    AvailableBelow,
    /// More than the threshold is spent in a credit day. It is told once a day.
    SpentTodayAbove,
}

impl AlertType {
    /// The type as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertType::AvailableBelow => "available_below",
            AlertType::SpentTodayAbove => "spent_today_above",
        }
    }
}

/// An alert of an account, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Whether it has nothing to tell until the figure has been back, or the next day begins.
    pub is_quiet: bool,
    /// The entry that crossed it last.
    pub crossed_by: Option<EntryId>,
}

impl Alert {
    /// Reads `{alerts: [{id, type, credits}]}`: at most 10, each with an id of its own.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_credits`, `amount_too_large`.
    pub(crate) fn read_all(body: &Value) -> Result<Vec<Alert>, Refusal> {
        let fields = Fields::read(body, "", &["alerts"])?;
        let items = match fields.get("alerts") {
            None => return Err(fields.missing("alerts")),
            Some(Value::List(items)) if items.len() <= MOST_ALERTS => items,
            Some(other) => {
                let expected = format!("an array of at most {MOST_ALERTS} alerts");
                return Err(fields.wrong("alerts", &expected, other));
            }
        };
        let mut alerts: Vec<Alert> = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let path = format!("alerts[{place}]");
            let fields = Fields::read(item, &path, &["id", "type", "credits"])?;
            let alert = Alert::read(&fields)?;
            if alerts.iter().any(|known| known.id == alert.id) {
                let detail = format!("there are two alerts of the id `{}`", alert.id);
                let refusal = Refusal::new(Code::InvalidRequest, detail);
                return Err(refusal.at(&fields.path("id")));
            }
            alerts.push(alert);
        }
        Ok(alerts)
    }

    fn read(fields: &Fields<'_>) -> Result<Alert, Refusal> {
        let refuse =
            |code, name: &str, detail: &str| Err(Refusal::new(code, detail).at(&fields.path(name)));
        let id = fields.text("id")?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(legal) {
            let detail = "an alert's id has 1 to 64 of the characters A-Z a-z 0-9 . _ -";
            return refuse(Code::InvalidRequest, "id", detail);
        }
        let types = [AlertType::AvailableBelow, AlertType::SpentTodayAbove];
        let name = fields.text("type")?;
        let Some(r#type) = types.into_iter().find(|known| known.as_str() == name) else {
            let detail = "`type` is `available_below` or `spent_today_above`";
            return refuse(Code::InvalidRequest, "type", detail);
        };
        let credits = fields
            .get("credits")
            .ok_or_else(|| fields.missing("credits"))?;
        let credits = Credits::parse(credits, &fields.path("credits"))?;
        if r#type == AlertType::AvailableBelow && credits.is_zero() {
            let detail = "what is available is never below 0";
            return refuse(Code::InvalidCredits, "credits", detail);
        }
        Ok(Alert {
            id: id.to_owned(),
            r#type,
            credits,
        })
    }

    fn is_beyond(&self, figure: Credits) -> bool {
        match self.r#type {
            AlertType::AvailableBelow => figure < self.credits,
            AlertType::SpentTodayAbove => figure > self.credits,
        }
    }
}

impl Watch {
    /// Sees the figure as an entry leaves it.
    fn see(&mut self, figure: Credits, entry: &Entry, begins_day: bool) {
        let is_beyond = self.alert.is_beyond(figure);
        let begins_anew = match self.alert.r#type {
            AlertType::AvailableBelow => !is_beyond,
            AlertType::SpentTodayAbove => begins_day,
        };
        if begins_anew {
            self.is_quiet = false;
        }
        if is_beyond && !self.is_quiet && !is_made_by_time(&entry.event) {
            self.is_quiet = true;
            self.crossed_by = Some(entry.id);
        }
    }
}

/// Whether time alone made an entry, or a plan that begins, whose credits come next.
fn is_made_by_time(event: &Event) -> bool {
    match event {
        Event::Expired { .. }
        | Event::Started { .. }
        | Event::Lapsed { .. }
        | Event::PlanChanged { .. } => true,
        Event::Granted { source, .. } => {
            matches!(source, Some(Source::Day { .. } | Source::Period { .. }))
        }
        _ => false,
    }
}

impl Account {
    /// The alerts that this entry crossed, which was the last to be applied, and the figure of each.
    pub fn crossings<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = (&'a Alert, Credits)> {
        let crossed = |watch: &&Watch| watch.crossed_by == Some(entry.id);
        let figures = |watch: &'a Watch| (&watch.alert, self.figure(&watch.alert, entry.at));
        self.alerts.iter().filter(crossed).map(figures)
    }

    /// Sets its alerts. One that was there before stays as it stands; a new one that is beyond its threshold already
    /// has not been crossed.
    pub(crate) fn set_alerts(&mut self, alerts: &[Alert], at: Instant) {
        let watches = alerts.iter().map(|alert| {
            let known = self.alerts.iter().find(|watch| watch.alert == *alert);
            known.cloned().unwrap_or_else(|| Watch {
                alert: alert.clone(),
                is_quiet: alert.is_beyond(self.figure(alert, at)),
                crossed_by: None,
            })
        });
        self.alerts = watches.collect();
    }

    /// Lets its alerts see an entry that was applied. `day` is the day's first charge before it.
    pub(crate) fn watch(&mut self, entry: &Entry, day: Option<u64>) {
        if self.alerts.is_empty() {
            return;
        }
        let begins_day = self.first_of_day() != day;
        let (spent, _) = self.spent_today(entry.at);
        for watch in &mut self.alerts {
            let figure = match watch.alert.r#type {
                AlertType::AvailableBelow => entry.balance.available,
                AlertType::SpentTodayAbove => spent,
            };
            watch.see(figure, entry, begins_day);
        }
    }

    /// The first charge of the latest day in which something was spent.
    pub(crate) fn first_of_day(&self) -> Option<u64> {
        Some(self.spending?.day?.first)
    }

    fn figure(&self, alert: &Alert, at: Instant) -> Credits {
        match alert.r#type {
            AlertType::AvailableBelow => self.balance().available,
            AlertType::SpentTodayAbove => self.spent_today(at).0,
        }
    }
}
