//! Pages: what the query of a read says of which part is wanted.

use edge_credits::refusal::{Code, Refusal};
use edge_credits::time::Instant;

use crate::object::Ask;
use crate::problem::Problem;
use crate::route::{Parameters, query};
use crate::store::LAST_SEQ;

/// The most items of a page, and how many it has if nobody says.
const MOST_ITEMS: u64 = 200;
const DEFAULT_ITEMS: u64 = 50;

/// The query of a page.
pub(crate) struct Page<'a> {
    parameters: Parameters<'a>,
}

impl<'a> Page<'a> {
    pub(crate) fn read(ask: &'a Ask<'_>, names: &[&str]) -> Result<Page<'a>, Problem> {
        Ok(Page {
            parameters: query(ask.query, names)?,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_ref())
    }

    pub(crate) fn limit(&self) -> Result<u64, Refusal> {
        let Some(text) = self.get("limit") else {
            return Ok(DEFAULT_ITEMS);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(limit) if digits && (1..=MOST_ITEMS).contains(&limit) => Ok(limit),
            _ => Err(invalid(
                "limit",
                format!("`limit` is a whole number from 1 to {MOST_ITEMS}"),
            )),
        }
    }

    pub(crate) fn instant(&self, name: &str) -> Result<Option<Instant>, Refusal> {
        self.get(name)
            .map(|text| Instant::parse(text, name))
            .transpose()
    }

    /// One of the words that a parameter may be.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(invalid(
                    name,
                    format!("`{name}` is one of {}, not `{text}`", known.join(", ")),
                ))
            }
        }
    }

    /// The place that a cursor of this kind of page stands for.
    pub(crate) fn cursor(&self, prefix: &str) -> Result<Option<&str>, Refusal> {
        let Some(text) = self.get("cursor") else {
            return Ok(None);
        };
        text.strip_prefix(prefix)
            .map(Some)
            .ok_or_else(invalid_cursor)
    }

    pub(crate) fn seq_cursor(&self, prefix: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.cursor(prefix)? else {
            return Ok(None);
        };
        let digits = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|seq| digits && *seq <= LAST_SEQ)
            .map(Some)
            .ok_or_else(invalid_cursor)
    }
}

pub(crate) fn invalid(field: &str, detail: String) -> Refusal {
    Refusal::new(Code::InvalidRequest, detail).at(field)
}

pub(crate) fn invalid_cursor() -> Refusal {
    Refusal::new(Code::InvalidCursor, "no page of this kind gave this cursor").at("cursor")
}
