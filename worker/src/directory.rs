//! The directory: the one object that knows what belongs to which account. It never decides about credits.

use edge_credits::promotion::Promotion;
use edge_credits::time::Instant;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorageValue, State};

use crate::catalogs;
use crate::database::Database;
use crate::internal;
use crate::problem::{CallFault, Problem};
use crate::reply::{self, Finished, Response};
use crate::request::Request;
use crate::subscriptions::SubscriptionNotice;
use crate::wall::{EarlyBird, WallNotice};

/// The name of the one there is.
const NAME: &str = "directory";
/// The most names that the wall shows.
const MOST_ON_THE_WALL: i64 = 10_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS codes (
        code TEXT PRIMARY KEY, account TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wall (
        account TEXT PRIMARY KEY, seq INTEGER NOT NULL, since INTEGER NOT NULL, name TEXT) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS payments (
        payment TEXT PRIMARY KEY, account TEXT, void INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS subscriptions (
        subscription TEXT PRIMARY KEY, account TEXT, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS promotions (
        code TEXT PRIMARY KEY, redeemed INTEGER NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS reservations (
        code TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (code, account)) STRICT, WITHOUT ROWID;";

/// The directory.
#[wasm_bindgen]
pub struct Directory {
    pub(crate) database: Database,
    env: Env,
}

/// What it may be asked or told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub(crate) enum DirectoryCall {
    /// An account's invitation code.
    AddCode { code: String, account: String },
    /// Whose code it is.
    FindCode { code: String },
    /// How an account looks on the wall, or that it does not.
    PutOnWall { notice: WallNotice },
    /// Who is on the wall.
    ReadWall,
    /// What is known of a payment: whose it is, or that its money went back. Answers all that is known.
    NotePayment {
        payment: String,
        account: Option<String>,
        void: bool,
    },
    /// What is known of a subscription. Answers the latest that is known.
    NoteSubscription {
        account: Option<String>,
        notice: SubscriptionNotice,
    },
    /// A promotion that is offered, in place of what was offered under its code.
    OfferPromotion { promotion: Promotion },
    /// What is offered under a code.
    FindPromotion { code: String },
    /// One redemption of a promotion, for this account. Asking again changes nothing.
    ReservePromotion {
        code: String,
        account: String,
        now: Instant,
    },
    /// The catalogs that were published after this version.
    HearCatalogs { after: u64, bundled: String },
    /// A catalog that is in force without having been published.
    KeepCatalog { hash: String, catalog: String },
    /// A catalog that an operator publishes, as JSON.
    PublishCatalog {
        catalog: String,
        effective_at: Option<Instant>,
        now: Instant,
    },
    /// All publications.
    ListCatalogs,
    /// The catalog of a hash, as JSON.
    FindCatalog { hash: String },
}

/// A promotion, and how many accounts redeemed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownPromotion {
    #[serde(flatten)]
    pub(crate) promotion: Promotion,
    pub(crate) redeemed: u32,
}

/// Whether a promotion can be redeemed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Reservation {
    Reserved { promotion: Promotion },
    NotFound,
    NotOpen,
    Exhausted,
}

/// What is known of a payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownPayment {
    pub(crate) account: Option<String>,
    pub(crate) void: bool,
}

/// What is known of a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownSubscription {
    pub(crate) account: Option<String>,
    pub(crate) notice: SubscriptionNotice,
}

/// Asks the directory.
///
/// # Errors
/// If it cannot be reached, or failed.
pub(crate) async fn ask<T: DeserializeOwned>(
    env: &Env,
    call: &DirectoryCall,
) -> Result<T, Problem> {
    internal::post(env.durable_object("DIRECTORY")?.get_by_name(NAME)?, call).await
}

#[wasm_bindgen]
impl Directory {
    /// The directory of this storage.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Directory {
        Directory {
            database: Database::of(&State::from(state).storage()),
            env,
        }
    }

    /// Answers a call of ours, handed over as [`Request::read`] has it.
    pub fn fetch(&self, head: &str, body: Option<Vec<u8>>) -> JsValue {
        let request = Request::read(head, body);
        Finished::of(self.serve(&request), &request, &self.env).into_js()
    }
}

impl Directory {
    fn serve(&self, request: &Request) -> Result<Response, Problem> {
        if request.path() != internal::PATH {
            return Err(CallFault::NotFound.into());
        }
        let call: DirectoryCall = serde_json::from_slice(request.bytes()?)?;
        self.database.run(SCHEMA, vec![])?;
        self.database.run(catalogs::SCHEMA, vec![])?;
        match call {
            DirectoryCall::AddCode { code, account } => {
                self.database.run(
                    "INSERT OR IGNORE INTO codes (code, account) VALUES (?,?)",
                    vec![code.into(), account.into()],
                )?;
                reply::json(200, &())
            }
            DirectoryCall::FindCode { code } => reply::json(200, &self.account_of_code(code)?),
            DirectoryCall::PutOnWall { notice } => {
                self.put_on_wall(notice)?;
                reply::json(200, &())
            }
            DirectoryCall::ReadWall => reply::json(200, &self.read_wall()?),
            DirectoryCall::NotePayment {
                payment,
                account,
                void,
            } => reply::json(200, &self.note_payment(payment, account, void)?),
            DirectoryCall::NoteSubscription { account, notice } => {
                reply::json(200, &self.note_subscription(account, notice)?)
            }
            DirectoryCall::OfferPromotion { promotion } => {
                reply::json(200, &self.offer_promotion(&promotion)?)
            }
            DirectoryCall::FindPromotion { code } => reply::json(200, &self.promotion(&code)?),
            DirectoryCall::ReservePromotion { code, account, now } => {
                reply::json(200, &self.reserve_promotion(code, account, now)?)
            }
            DirectoryCall::HearCatalogs { after, bundled } => {
                reply::json(200, &self.hear_catalogs(after, &bundled)?)
            }
            DirectoryCall::KeepCatalog { hash, catalog } => {
                reply::json(200, &self.keep_catalog(hash, catalog)?)
            }
            DirectoryCall::PublishCatalog {
                catalog,
                effective_at,
                now,
            } => reply::json(200, &self.publish_catalog(catalog, effective_at, now)?),
            DirectoryCall::ListCatalogs => reply::json(200, &self.list_catalogs()?),
            DirectoryCall::FindCatalog { hash } => reply::json(200, &self.find_catalog(&hash)?),
        }
    }

    fn account_of_code(&self, code: String) -> Result<Option<String>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            account: String,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT account FROM codes WHERE code = ?",
            vec![code.into()],
        )?;
        Ok(rows.into_iter().next().map(|row| row.account))
    }

    /// Notices may overtake one another: the one with the latest entry counts.
    fn put_on_wall(&self, notice: WallNotice) -> Result<(), Problem> {
        self.database.run(
            "INSERT INTO wall (account, seq, since, name) VALUES (?,?,?,?)
             ON CONFLICT (account) DO UPDATE SET seq = excluded.seq, since = excluded.since, name = excluded.name
             WHERE excluded.seq > wall.seq",
            vec![
                notice.account.into(),
                SqlStorageValue::Integer(i64::try_from(notice.seq).unwrap_or(i64::MAX)),
                SqlStorageValue::Integer(notice.since.millis()),
                notice.display_name.into(),
            ],
        )
    }

    fn read_wall(&self) -> Result<Vec<EarlyBird>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            since: i64,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT name, since FROM wall WHERE name IS NOT NULL ORDER BY since, account LIMIT ?",
            vec![SqlStorageValue::Integer(MOST_ON_THE_WALL)],
        )?;
        Ok(rows
            .into_iter()
            .map(|row| EarlyBird::new(row.name, row.since))
            .collect())
    }

    /// A payment that was void once stays so, and belongs to the account that was named first.
    fn note_payment(
        &self,
        payment: String,
        account: Option<String>,
        void: bool,
    ) -> Result<KnownPayment, Problem> {
        #[derive(Deserialize)]
        struct Row {
            account: Option<String>,
            void: u8,
        }
        self.database.run(
            "INSERT INTO payments (payment, account, void) VALUES (?,?,?) ON CONFLICT (payment) DO UPDATE
             SET account = coalesce(payments.account, excluded.account), void = max(payments.void, excluded.void)",
            vec![
                payment.clone().into(),
                account.into(),
                SqlStorageValue::Integer(i64::from(void)),
            ],
        )?;
        let rows: Vec<Row> = self.database.rows(
            "SELECT account, void FROM payments WHERE payment = ?",
            vec![payment.into()],
        )?;
        match rows.into_iter().next() {
            Some(row) => Ok(KnownPayment {
                account: row.account,
                void: row.void != 0,
            }),
            None => Err(Problem::Fault("a payment was noted in vain".to_owned())),
        }
    }

    fn note_subscription(
        &self,
        account: Option<String>,
        notice: SubscriptionNotice,
    ) -> Result<KnownSubscription, Problem> {
        #[derive(Deserialize)]
        struct Row {
            account: Option<String>,
            body: String,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT account, body FROM subscriptions WHERE subscription = ?",
            vec![notice.subscription.clone().into()],
        )?;
        let known = match rows.into_iter().next() {
            None => KnownSubscription { account, notice },
            Some(row) => KnownSubscription {
                account: row.account.or(account),
                notice: notice.or_later(serde_json::from_str(&row.body)?),
            },
        };
        self.database.run(
            "INSERT OR REPLACE INTO subscriptions (subscription, account, body) VALUES (?,?,?)",
            vec![
                known.notice.subscription.clone().into(),
                known.account.clone().into(),
                serde_json::to_string(&known.notice)?.into(),
            ],
        )?;
        Ok(known)
    }
}
