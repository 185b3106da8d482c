//! The published catalogs as this isolate knows them: the bundled one, and those that operators published since.
//!
//! The directory has them all. Everybody else asks it for what is new every half minute, so that a catalog that is
//! announced a minute ahead takes effect everywhere at its very instant.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use edge_credits::catalog::{Catalog, PUBLISHED};
use edge_credits::catalogs::{Catalogs, Version};
use edge_credits::time::Instant;
use worker::{Date, Env};

use crate::catalogs::{Announced, News};
use crate::directory::{self, DirectoryCall};
use crate::problem::Problem;
use crate::trace;

/// How long an isolate goes without asking for news.
const FRESH_MS: u64 = 30_000;
/// How long it goes on with what it knows when the directory cannot be asked.
const RETRY_MS: u64 = 5_000;

/// The catalogs of all times, as far as this isolate has heard.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    bundled: Rc<Catalog>,
    // INVARIANT: in the order in which they take effect and, at one instant, in that of their publication.
    later: Vec<Version>,
    /// The number of the last publication.
    last: u64,
}

struct Known {
    timeline: Rc<Timeline>,
    /// When the directory is asked again.
    stale_at_ms: u64,
}

thread_local! {
    static BUNDLED: OnceCell<Rc<Catalog>> = const { OnceCell::new() };
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

impl Timeline {
    /// Nothing but the bundled catalog.
    pub(crate) fn bundled() -> Result<Timeline, Problem> {
        Ok(Timeline {
            bundled: bundled()?,
            later: Vec::new(),
            last: 0,
        })
    }

    /// The same with what was announced since.
    pub(crate) fn with(mut self, news: &[Announced]) -> Result<Timeline, Problem> {
        for announced in news.iter().filter(|news| news.version > self.last) {
            let catalog = parse(&announced.catalog)?;
            self.later.push(Version {
                effective_at: announced.effective_at,
                catalog,
            });
        }
        self.later.sort_by_key(|version| version.effective_at);
        let last = news.iter().map(|news| news.version).max();
        self.last = self.last.max(last.unwrap_or_default());
        Ok(self)
    }

    /// As the core reads them.
    pub(crate) fn view(&self) -> Catalogs<'_> {
        Catalogs::new(&self.bundled, &self.later)
    }

    /// The catalog in force at an instant.
    pub(crate) fn at(&self, at: Instant) -> &Catalog {
        self.view().at(at)
    }

    /// The catalog with this hash.
    pub(crate) fn of_hash(&self, hash: &str) -> Option<Rc<Catalog>> {
        let later = self.later.iter().map(|version| &version.catalog);
        let mut all = later.chain([&self.bundled]);
        all.find(|catalog| catalog.hash() == hash).cloned()
    }
}

/// The catalogs, asked for if the last news is too old.
///
/// # Errors
/// If the directory was never heard and cannot be reached. Later on, what is known serves until it can.
pub(crate) async fn hear(env: &Env) -> Result<Rc<Timeline>, Problem> {
    let now = Date::now().as_millis();
    let known = KNOWN.with_borrow(|known| {
        let known = known.as_ref()?;
        Some((known.timeline.clone(), known.stale_at_ms))
    });
    match known {
        Some((timeline, stale_at_ms)) if now < stale_at_ms => Ok(timeline),
        Some((timeline, _)) => {
            // Whoever comes meanwhile goes on with what is known.
            keep(timeline.clone(), now.saturating_add(RETRY_MS));
            match ask(env, (*timeline).clone()).await {
                Ok(timeline) => Ok(timeline),
                Err(problem) => {
                    trace::fault(None, &format!("no news of catalogs: {problem:?}"));
                    Ok(timeline)
                }
            }
        }
        None => ask(env, Timeline::bundled()?).await,
    }
}

/// The catalogs as last heard, for steps in which nothing is awaited.
///
/// # Errors
/// If nothing was heard yet, which whoever began the step has seen to.
pub(crate) fn known() -> Result<Rc<Timeline>, Problem> {
    KNOWN
        .with_borrow(|known| known.as_ref().map(|known| known.timeline.clone()))
        .ok_or_else(|| Problem::Fault("no catalog was heard of yet".to_owned()))
}

/// What this isolate publishes, it knows at once.
pub(crate) fn forget() {
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known {
            known.stale_at_ms = 0;
        }
    });
}

async fn ask(env: &Env, timeline: Timeline) -> Result<Rc<Timeline>, Problem> {
    let bundled = timeline.bundled.clone();
    let call = DirectoryCall::HearCatalogs {
        after: timeline.last,
        bundled: bundled.hash().to_owned(),
    };
    let news: News = directory::ask(env, &call).await?;
    if !news.knows_bundled {
        let catalog = serde_json::to_string(&*bundled)?;
        let hash = bundled.hash().to_owned();
        directory::ask::<()>(env, &DirectoryCall::KeepCatalog { hash, catalog }).await?;
    }
    let timeline = Rc::new(timeline.with(&news.announced)?);
    keep(
        timeline.clone(),
        Date::now().as_millis().saturating_add(FRESH_MS),
    );
    Ok(timeline)
}

fn keep(timeline: Rc<Timeline>, stale_at_ms: u64) {
    KNOWN.set(Some(Known {
        timeline,
        stale_at_ms,
    }));
}

/// The catalog that is part of the build: in force until another one is, and read once in the life of an isolate.
fn bundled() -> Result<Rc<Catalog>, Problem> {
    BUNDLED.with(|cell| {
        if let Some(catalog) = cell.get() {
            return Ok(catalog.clone());
        }
        let catalog = parse(PUBLISHED)?;
        Ok(cell.get_or_init(|| catalog).clone())
    })
}

fn parse(text: &str) -> Result<Rc<Catalog>, Problem> {
    Ok(Rc::new(Catalog::parse(&serde_json::from_str(text)?)?))
}
