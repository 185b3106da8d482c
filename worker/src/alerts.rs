//! Alerts on their way: a crossing becomes a signed event that is posted to the product's server, at least once.
//!
//! The event is put into the outbox in the transaction of the entry that crossed the threshold, and the alarm posts
//! it, so that no caller waits for it. Where it goes is for the deployment to say, so that no caller can make the
//! Worker call anyone. <https://www.standardwebhooks.com> says what it looks like.

use base16ct::lower::encode_string;
use base64ct::{Base64, Encoding};
use edge_credits::account::Account as AccountState;
use edge_credits::alert::{Alert, AlertType};
use edge_credits::credits::Credits;
use edge_credits::entry::{Balance, Entry};
use edge_credits::ids::EntryId;
use edge_credits::time::Instant;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use worker::{AbortSignal, Date, Env, Fetch, Method, Request, RequestInit, RequestRedirect, Url};
use worker::{Headers, web_sys};

use crate::mac::hmac_sha256;
use crate::object::Account;
use crate::outbox::Due;
use crate::problem::Problem;
use crate::trace;
use crate::vars;

/// The variable that says where events are posted, and the secret that they are signed with.
const RECEIVER: &str = "ALERT_WEBHOOK_URL";
const SECRETS: &str = "ALERT_WEBHOOK_SECRET";
/// How the outbox's names of events begin.
pub(crate) const PREFIX: &str = "alert:";
/// How long after each try in vain the next is made: for three days, as Standard Webhooks advises.
const BACKOFF_SECONDS: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// How long other events wait for one that could not be posted.
const HELD_BACK_MS: u64 = 5_000;
/// How long the receiver has to answer.
const TIMEOUT_MS: u32 = 10_000;
/// What a secret is before its base64.
const SECRET_PREFIX: &str = "whsec_";
/// How long the bytes of a secret are.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// An event as the outbox keeps it: the same bytes at each try.
#[derive(Serialize, Deserialize)]
struct Event {
    id: String,
    payload: String,
}

/// What is posted.
#[derive(Serialize)]
struct Payload<'a> {
    r#type: String,
    timestamp: Instant,
    data: Crossing<'a>,
}

#[derive(Serialize)]
struct Crossing<'a> {
    account: &'a str,
    alert: &'a Alert,
    #[serde(skip_serializing_if = "Option::is_none")]
    spent_today: Option<Credits>,
    entry: EntryId,
    balance: Balance,
}

/// An event that is to be put into the outbox.
pub(crate) struct Letter {
    name: String,
    body: String,
}

impl Account {
    /// The events that this entry makes, which was the last to be applied. Where nobody is to be told, none.
    pub(crate) fn letters(
        &self,
        account: &AccountState,
        entry: &Entry,
    ) -> Result<Vec<Letter>, Problem> {
        if account.alerts.is_empty() || vars::text(self.env(), RECEIVER).is_empty() {
            return Ok(Vec::new());
        }
        account
            .crossings(entry)
            .map(|(alert, figure)| letter(account, entry, alert, figure))
            .collect()
    }

    /// Puts events into the outbox, to be posted at once.
    pub(crate) fn put_letters(&self, letters: &[Letter]) -> Result<(), Problem> {
        letters
            .iter()
            .try_for_each(|letter| self.outbox().insert(&letter.name, &letter.body, 0))
    }

    /// Posts an event that is due. One that cannot be posted is tried again, and given up after three days; it lets
    /// those behind it wait a moment, since the receiver may be down. The value is whether to go on with them.
    pub(crate) async fn post_alert(&self, due: &Due) -> Result<bool, Problem> {
        let event: Event = serde_json::from_str(&due.body)?;
        let Err(failure) = post(&event, self.env()).await else {
            self.outbox().remove(&due.name)?;
            return Ok(true);
        };
        let next = BACKOFF_SECONDS.get(due.tries).filter(|_| !failure.is_final);
        let Some(seconds) = next else {
            trace::fault(
                None,
                &format!("the alert {} is given up: {}", event.id, failure.reason),
            );
            self.outbox().remove(&due.name)?;
            return Ok(true);
        };
        trace::fault(
            None,
            &format!("the alert {} is not told yet: {}", event.id, failure.reason),
        );
        self.outbox()
            .postpone(&due.name, seconds.saturating_mul(1_000))?;
        self.outbox().hold_back(PREFIX, HELD_BACK_MS)?;
        Ok(false)
    }
}

fn letter(
    account: &AccountState,
    entry: &Entry,
    alert: &Alert,
    figure: Credits,
) -> Result<Letter, Problem> {
    // The receiver drops what it has seen by this.
    let place = format!("{}\0{}\0{}", account.id, entry.seq, alert.id);
    let digest = Sha256::digest(place.as_bytes());
    let payload = Payload {
        r#type: format!("alert.{}", alert.r#type.as_str()),
        timestamp: entry.at,
        data: Crossing {
            account: &account.id,
            alert,
            spent_today: (alert.r#type == AlertType::SpentTodayAbove).then_some(figure),
            entry: entry.id,
            balance: entry.balance,
        },
    };
    let event = Event {
        id: format!(
            "msg_{}",
            encode_string(digest.get(..16).unwrap_or_default())
        ),
        payload: serde_json::to_string(&payload)?,
    };
    Ok(Letter {
        // Events that are due at one moment go in the order of their entries.
        name: format!("{PREFIX}{:016}:{}", entry.seq, alert.id),
        body: serde_json::to_string(&event)?,
    })
}

/// Why an event was not posted.
struct Failure {
    reason: String,
    /// Whether the receiver wants no more of it.
    is_final: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure {
            reason,
            is_final: false,
        }
    }
}

async fn post(event: &Event, env: &Env) -> Result<(), Failure> {
    let url = receiver(&vars::text(env, RECEIVER))
        .ok_or_else(|| format!("{RECEIVER} is no https URL"))?;
    let secrets = secrets(&vars::text(env, SECRETS));
    if secrets.is_empty() {
        return Err(format!("{SECRETS} has no secret").into());
    }
    let request = request(event, &url, &secrets).map_err(|error| error.to_string())?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(TIMEOUT_MS));
    let response = Fetch::Request(request)
        .send_with_signal(&signal)
        .await
        .map_err(|error| format!("the receiver cannot be reached: {error}"))?;
    let status = response.status_code();
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(Failure {
        reason: format!("the receiver answered {status}"),
        is_final: status == 410,
    })
}

fn request(event: &Event, url: &Url, secrets: &[Vec<u8>]) -> worker::Result<Request> {
    let timestamp = (Date::now().as_millis() / 1_000).to_string();
    let headers = Headers::new();
    headers.set("Content-Type", "application/json")?;
    headers.set("webhook-id", &event.id)?;
    headers.set("webhook-timestamp", &timestamp)?;
    headers.set("webhook-signature", &signatures(event, &timestamp, secrets))?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(event.payload.as_str().into()))
        // Whoever answers with another place is not who was configured.
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(url.as_str(), &init)
}

/// One signature for each secret, of which there are two while one is being replaced.
fn signatures(event: &Event, timestamp: &str, secrets: &[Vec<u8>]) -> String {
    let parts = [&event.id, ".", timestamp, ".", &event.payload].map(str::as_bytes);
    let signature = |secret: &Vec<u8>| {
        let mac = hmac_sha256(secret, &parts);
        format!("v1,{}", Base64::encode_string(&mac))
    };
    let all: Vec<String> = secrets.iter().map(signature).collect();
    all.join(" ")
}

/// The secrets of a list with commas. What is none is left out.
fn secrets(list: &str) -> Vec<Vec<u8>> {
    list.split(',')
        .filter_map(|secret| secret.trim().strip_prefix(SECRET_PREFIX))
        .filter_map(|base64| Base64::decode_vec(base64).ok())
        .filter(|secret| SECRET_BYTES.contains(&secret.len()))
        .collect()
}

/// The receiver's URL. Without TLS it must be on this very machine.
fn receiver(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    (url.scheme() == "https" || (url.scheme() == "http" && is_local)).then_some(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let event = Event {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            payload: "{\"test\": 2432232314}".to_owned(),
        };
        let secrets = secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signatures = signatures(&event, "1614265330", &secrets);
        assert_eq!(
            signatures,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        let rows = [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_?",
        ];
        for row in rows {
            assert!(secrets(row).is_empty(), "{row}");
        }
    }

    #[test]
    fn a_receiver_speaks_tls_or_is_this_machine() {
        let rows = [
            ("https://example.com/alerts", true),
            ("http://127.0.0.1:9000/", true),
            ("http://localhost:9000", true),
            ("http://[::1]:9000", true),
            ("http://example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("file:///etc/passwd", false),
            ("example.com", false),
        ];
        for (url, is_one) in rows {
            assert_eq!(receiver(url).is_some(), is_one, "{url}");
        }
    }
}
