//! Published catalogs: operators put one into force from an instant, without a deploy. The directory numbers and keeps
//! them, with every catalog that was ever in force.

use edge_credits::catalogs::Publication;
use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;
use edge_credits::value::Value;
use serde::{Deserialize, Serialize};
use worker::{Env, SqlStorageValue};

use crate::directory::{self, Directory, DirectoryCall};
use crate::problem::Problem;
use crate::published::{self, Timeline};
use crate::reply::{self, Response};
use crate::request::Headers;

/// The tables of the directory that hold them.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS catalogs (
        hash TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS publications (
        version INTEGER PRIMARY KEY, hash TEXT NOT NULL, effective_at INTEGER NOT NULL,
        published_at INTEGER NOT NULL) STRICT;";

/// A publication, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// They are counted from 1.
    version: u64,
    hash: String,
    effective_at: Instant,
    published_at: Instant,
}

/// A publication, with its catalog as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announced {
    pub(crate) version: u64,
    pub(crate) effective_at: Instant,
    pub(crate) catalog: String,
}

/// What an isolate has not heard of yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) announced: Vec<Announced>,
    /// Whether the isolate's bundled catalog is kept.
    pub(crate) knows_bundled: bool,
}

/// What came of a publication.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is published.
    New(Published),
    /// It was, by the publication before this one.
    Same(Published),
    /// It lacks something that accounts may refer to.
    Refused { detail: String, field: String },
}

/// `PUT /v1/catalogs`
pub(crate) async fn publish(body: &Value, now: Instant, env: &Env) -> Result<Response, Problem> {
    let publication = Publication::parse(body, now)?;
    let call = DirectoryCall::PublishCatalog {
        catalog: serde_json::to_string(&publication.catalog)?,
        effective_at: publication.effective_at,
        now,
    };
    let outcome = directory::ask(env, &call).await?;
    published::forget();
    match outcome {
        Outcome::New(published) => reply::json(201, &published),
        Outcome::Same(published) => reply::json(200, &published),
        Outcome::Refused { detail, field } => {
            Err(Refusal::new(Code::InvalidCatalog, detail).at(&field).into())
        }
    }
}

/// `GET /v1/catalogs`: the publications, newest first.
pub(crate) async fn list(now: Instant, env: &Env) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct List<'a> {
        in_force: &'a str,
        catalogs: Vec<Published>,
    }
    let catalogs = directory::ask(env, &DirectoryCall::ListCatalogs).await?;
    let timeline = published::hear(env).await?;
    reply::json(
        200,
        &List {
            in_force: timeline.at(now).hash(),
            catalogs,
        },
    )
}

/// `GET /v1/catalogs/{hash}`: a catalog that is or was in force, or is going to be.
pub(crate) async fn read(hash: &str, asked: &Headers, env: &Env) -> Result<Response, Problem> {
    let timeline = published::hear(env).await?;
    let body = match timeline.of_hash(hash) {
        Some(catalog) => serde_json::to_string(&*catalog)?,
        None => {
            let call = DirectoryCall::FindCatalog {
                hash: hash.to_owned(),
            };
            let kept: Option<String> = directory::ask(env, &call).await?;
            kept.ok_or_else(|| not_found(hash))?
        }
    };
    let tag = format!("\"{hash}\"");
    let response = reply::tagged(asked, &tag, || Ok(reply::text(200, body)))?;
    // What has this hash is this and nothing else, for ever.
    Ok(response.with("Cache-Control", "public, max-age=31536000, immutable"))
}

fn not_found(hash: &str) -> Refusal {
    let detail = format!("no catalog with the hash `{hash}` is or was in force");
    Refusal::new(Code::CatalogNotFound, detail)
}

#[derive(Deserialize)]
struct BodyRow {
    body: String,
}

#[derive(Deserialize)]
struct PublicationRow {
    version: u64,
    hash: String,
    effective_at: i64,
    published_at: i64,
}

impl From<PublicationRow> for Published {
    fn from(row: PublicationRow) -> Published {
        Published {
            version: row.version,
            hash: row.hash,
            effective_at: Instant::from_millis(row.effective_at),
            published_at: Instant::from_millis(row.published_at),
        }
    }
}

impl Directory {
    /// Numbers a publication and keeps its catalog, unless the last publication says the same.
    pub(crate) fn publish_catalog(
        &self,
        catalog: String,
        effective_at: Option<Instant>,
        now: Instant,
    ) -> Result<Outcome, Problem> {
        let known = self.catalogs_after(0)?;
        let last = known.last().map_or(0, |last| last.version);
        let new = Announced {
            version: last.saturating_add(1),
            effective_at: effective_at.unwrap_or(now),
            catalog,
        };
        let timeline = Timeline::bundled()?;
        let alone = timeline.clone().with(std::slice::from_ref(&new))?;
        let catalog = alone.at(new.effective_at);
        let published = Published {
            version: new.version,
            hash: catalog.hash().to_owned(),
            effective_at: new.effective_at,
            published_at: now,
        };
        if let Some(last) = self.list_catalogs()?.into_iter().next()
            && last.hash == published.hash
            && effective_at.map_or(last.effective_at <= now, |at| at == last.effective_at)
        {
            return Ok(Outcome::Same(last));
        }
        let before = timeline.with(&known)?;
        if let Err(refusal) = before.view().check(catalog, new.effective_at) {
            return Ok(Outcome::Refused {
                detail: refusal.detail.clone(),
                field: refusal.field.clone().unwrap_or_default(),
            });
        }
        self.keep_catalog(published.hash.clone(), new.catalog)?;
        self.database.run(
            "INSERT INTO publications (version, hash, effective_at, published_at) VALUES (?,?,?,?)",
            vec![
                SqlStorageValue::Integer(i64::try_from(published.version).unwrap_or(i64::MAX)),
                published.hash.clone().into(),
                SqlStorageValue::Integer(published.effective_at.millis()),
                SqlStorageValue::Integer(now.millis()),
            ],
        )?;
        Ok(Outcome::New(published))
    }

    /// What was published after this version.
    pub(crate) fn hear_catalogs(&self, after: u64, bundled: &str) -> Result<News, Problem> {
        Ok(News {
            announced: self.catalogs_after(after)?,
            knows_bundled: self.find_catalog(bundled)?.is_some(),
        })
    }

    /// Keeps a catalog for those who ask for its hash.
    pub(crate) fn keep_catalog(&self, hash: String, catalog: String) -> Result<(), Problem> {
        self.database.run(
            "INSERT OR IGNORE INTO catalogs (hash, body) VALUES (?,?)",
            vec![hash.into(), catalog.into()],
        )
    }

    /// The catalog of this hash.
    pub(crate) fn find_catalog(&self, hash: &str) -> Result<Option<String>, Problem> {
        let rows: Vec<BodyRow> = self.database.rows(
            "SELECT body FROM catalogs WHERE hash = ?",
            vec![hash.into()],
        )?;
        Ok(rows.into_iter().next().map(|row| row.body))
    }

    /// All publications, newest first.
    pub(crate) fn list_catalogs(&self) -> Result<Vec<Published>, Problem> {
        let rows: Vec<PublicationRow> = self.database.rows(
            "SELECT version, hash, effective_at, published_at FROM publications ORDER BY version DESC",
            vec![],
        )?;
        Ok(rows.into_iter().map(Published::from).collect())
    }

    fn catalogs_after(&self, version: u64) -> Result<Vec<Announced>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            version: u64,
            effective_at: i64,
            body: String,
        }
        let rows: Vec<Row> = self.database.rows(
            "SELECT version, effective_at, body FROM publications JOIN catalogs USING (hash)
             WHERE version > ? ORDER BY version",
            vec![SqlStorageValue::Integer(
                i64::try_from(version).unwrap_or(i64::MAX),
            )],
        )?;
        Ok(rows
            .into_iter()
            .map(|row| Announced {
                version: row.version,
                effective_at: Instant::from_millis(row.effective_at),
                catalog: row.body,
            })
            .collect())
    }
}
