//! Answers: what a command's entry tells its caller.
//!
//! An answer is made of the stored entry alone, so that a retry is answered as the first time, word for word.

use serde::Serialize;

use crate::charge::{Charge, Refund};
use crate::entry::{Balance, Entry, Event};
use crate::grant::Grant;
use crate::hold::Hold;
use crate::view::FeatureView;

/// The answer to a command that made an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<&'a Charge>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Hold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<&'a Refund>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'a Grant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<FeatureView>,
    balance: Balance,
}

impl Entry {
    /// What the caller of the command that made this entry is told.
    pub fn answer(&self) -> Answer<'_> {
        let nothing = Answer {
            charge: None,
            hold: None,
            refund: None,
            grant: None,
            feature: None,
            balance: self.balance,
        };
        match &self.event {
            Event::Granted { grant, .. } | Event::Voided { grant } => Answer {
                grant: Some(grant),
                ..nothing
            },
            Event::Refunded { refund, .. } => Answer {
                refund: Some(refund),
                ..nothing
            },
            Event::FeatureUsed(count) | Event::FeatureReturned(count) => Answer {
                feature: Some(FeatureView::limit(count.limit, count.used)),
                ..nothing
            },
            event => Answer {
                charge: event.charge(),
                hold: event.hold(),
                ..nothing
            },
        }
    }

    /// Whether the command made what its caller asked for: a grant, a hold, or a direct charge.
    pub fn creates(&self) -> bool {
        matches!(
            self.event,
            Event::Granted { source: None, .. } | Event::Held { .. } | Event::Charged { .. }
        )
    }
}
