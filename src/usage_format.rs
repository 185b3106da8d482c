//! Reading what providers report: their own usage objects, turned into our meters.

use crate::meter::{Meter, Quantities, Quantity, parse_meters, too_large};
use crate::refusal::{Code, Refusal};
use crate::value::{Value, join};

/// How a usage object is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageFormat {
    /// By our meters, strictly.
    #[default]
    Meters,
    /// As OpenAI reports it, in Chat Completions or Responses. Cached tokens are part of the prompt.
    OpenAi,
    /// As Anthropic reports it. Its token counts exclude one another.
    Anthropic,
    /// As Gemini reports it. Cached tokens are part of the prompt; thoughts are output, tool-use prompts input.
    Gemini,
}

/// The names of a provider's own fields that are read, wherever they stand.
const OPENAI_FIELDS: &[&str] = &[
    "prompt_tokens",
    "input_tokens",
    "prompt_tokens_details",
    "input_tokens_details",
    "completion_tokens",
    "output_tokens",
];
const ANTHROPIC_FIELDS: &[&str] = &[
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
];

impl UsageFormat {
    /// Every format, in order.
    pub const ALL: [UsageFormat; 4] = [
        UsageFormat::Meters,
        UsageFormat::OpenAi,
        UsageFormat::Anthropic,
        UsageFormat::Gemini,
    ];

    /// The format's name as callers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            UsageFormat::Meters => "meters",
            UsageFormat::OpenAi => "openai",
            UsageFormat::Anthropic => "anthropic",
            UsageFormat::Gemini => "gemini",
        }
    }

    /// Reads a format's name.
    ///
    /// # Errors
    /// `unknown_usage_format`.
    pub fn parse(name: &str, field: &str) -> Result<UsageFormat, Refusal> {
        UsageFormat::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| {
                let detail = format!(
                    "`{name}` is no usage format; there are meters, openai, anthropic and gemini"
                );
                Refusal::new(Code::UnknownUsageFormat, detail).at(field)
            })
    }

    /// Reads a usage object of this format.
    ///
    /// # Errors
    /// `invalid_request` for what is no object, `unknown_meter` where meters are expected, `invalid_quantity`
    /// and `amount_too_large` at the field of the object that is at fault.
    pub fn read(self, usage: &Value, path: &str) -> Result<Quantities, Refusal> {
        match self {
            UsageFormat::Meters => Quantities::parse(usage, path),
            _ => Ok(laid_over(&Quantities::NONE, self.mentioned(usage, path)?)),
        }
    }

    /// Reads what a usage object of this format mentions and lays it over a usage, meter by meter. In a
    /// provider's format our meters may be mentioned as well, but for those whose name the provider uses.
    ///
    /// # Errors
    /// As [`UsageFormat::read`], and `invalid_quantity` for what is mentioned both ways.
    pub fn read_over(
        self,
        usage: &Quantities,
        over: &Value,
        path: &str,
    ) -> Result<Quantities, Refusal> {
        let mut mentioned = self.mentioned(over, path)?;
        if let (Value::Map(entries), false) = (over, self == UsageFormat::Meters) {
            for (name, value) in entries {
                let Some(meter) = Meter::parse(name) else {
                    continue;
                };
                if self.provider_fields().contains(&name.as_str()) || *value == Value::Null {
                    continue;
                }
                let field = join(path, name);
                if mentioned.iter().any(|(known, _)| *known == meter) {
                    return Err(invalid(&field, format!("`{meter}` is given in two ways")));
                }
                mentioned.push((meter, Quantity::parse(value, meter, &field)?));
            }
        }
        Ok(laid_over(usage, mentioned))
    }

    /// The provider's names that are read. Gemini shares none with our meters.
    const fn provider_fields(self) -> &'static [&'static str] {
        match self {
            UsageFormat::OpenAi => OPENAI_FIELDS,
            UsageFormat::Anthropic => ANTHROPIC_FIELDS,
            UsageFormat::Meters | UsageFormat::Gemini => &[],
        }
    }

    /// The meters that a usage object mentions.
    fn mentioned(self, usage: &Value, path: &str) -> Result<Vec<(Meter, Quantity)>, Refusal> {
        match self {
            UsageFormat::Meters => parse_meters(usage, path),
            UsageFormat::OpenAi => openai(&Report::new(usage, path)?),
            UsageFormat::Anthropic => anthropic(&Report::new(usage, path)?),
            UsageFormat::Gemini => gemini(&Report::new(usage, path)?),
        }
    }
}

fn laid_over(usage: &Quantities, mentioned: Vec<(Meter, Quantity)>) -> Quantities {
    mentioned
        .into_iter()
        .fold(*usage, |usage, (meter, quantity)| {
            usage.with(meter, quantity)
        })
}

fn openai(report: &Report<'_>) -> Result<Vec<(Meter, Quantity)>, Refusal> {
    let prompt = report.count(&["prompt_tokens", "input_tokens"])?;
    let cached = report.count(&[
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
    ])?;
    let output = report.count(&["completion_tokens", "output_tokens"])?;
    Ok(list([
        (Meter::InputTokens, report.without_cached(prompt, cached)?),
        (Meter::CachedInputTokens, quantity(cached)),
        (Meter::OutputTokens, quantity(output)),
    ]))
}

fn anthropic(report: &Report<'_>) -> Result<Vec<(Meter, Quantity)>, Refusal> {
    Ok(list([
        (
            Meter::InputTokens,
            quantity(report.count(&["input_tokens"])?),
        ),
        (
            Meter::CachedInputTokens,
            quantity(report.count(&["cache_read_input_tokens"])?),
        ),
        (
            Meter::CacheWriteTokens,
            quantity(report.count(&["cache_creation_input_tokens"])?),
        ),
        (
            Meter::OutputTokens,
            quantity(report.count(&["output_tokens"])?),
        ),
    ]))
}

fn gemini(report: &Report<'_>) -> Result<Vec<(Meter, Quantity)>, Refusal> {
    let prompt = report.count(&["promptTokenCount", "prompt_token_count"])?;
    let cached = report.count(&["cachedContentTokenCount", "cached_content_token_count"])?;
    let tool_use = report.count(&["toolUsePromptTokenCount", "tool_use_prompt_token_count"])?;
    let candidates = report.count(&["candidatesTokenCount", "candidates_token_count"])?;
    let thoughts = report.count(&["thoughtsTokenCount", "thoughts_token_count"])?;
    Ok(list([
        (
            Meter::InputTokens,
            report.sum(report.without_cached(prompt, cached)?, tool_use)?,
        ),
        (Meter::CachedInputTokens, quantity(cached)),
        (
            Meter::OutputTokens,
            report.sum(quantity(candidates), thoughts)?,
        ),
    ]))
}

/// A count that a report states, and under which of its names.
type Count<'n> = Option<(Quantity, &'n str)>;

fn quantity(count: Count<'_>) -> Option<Quantity> {
    count.map(|(quantity, _)| quantity)
}

fn list<const N: usize>(counts: [(Meter, Option<Quantity>); N]) -> Vec<(Meter, Quantity)> {
    counts
        .into_iter()
        .filter_map(|(meter, count)| Some((meter, count?)))
        .collect()
}

/// A provider's usage object. What it has beside the counts that are asked for is passed over.
struct Report<'a> {
    usage: &'a Value,
    path: &'a str,
}

impl<'a> Report<'a> {
    fn new(usage: &'a Value, path: &'a str) -> Result<Report<'a>, Refusal> {
        match usage {
            Value::Map(_) => Ok(Report { usage, path }),
            other => {
                let detail = format!("a usage object is expected, not {}", other.describe());
                Err(Refusal::new(Code::InvalidRequest, detail).at(path))
            }
        }
    }

    /// What is left of a prompt without the cached tokens that are part of it.
    fn without_cached(
        &self,
        prompt: Count<'_>,
        cached: Count<'_>,
    ) -> Result<Option<Quantity>, Refusal> {
        let prompt = quantity(prompt);
        let Some((cached, name)) = cached else {
            return Ok(prompt);
        };
        match prompt.unwrap_or_default().checked_sub(cached) {
            Some(rest) => Ok(prompt.map(|_| rest)),
            None => Err(invalid(
                &join(self.path, name),
                format!("{cached} cached tokens are more than the prompt has"),
            )),
        }
    }

    fn sum(&self, count: Option<Quantity>, more: Count<'_>) -> Result<Option<Quantity>, Refusal> {
        let (Some(known), Some((added, name))) = (count, more) else {
            return Ok(count.or(quantity(more)));
        };
        known
            .checked_add(added)
            .map(Some)
            .ok_or_else(|| too_large(&added).at(&join(self.path, name)))
    }

    /// The count under any of these names, which must agree if several are there.
    fn count<'n>(&self, names: &[&'n str]) -> Result<Count<'n>, Refusal> {
        let mut found: Count<'n> = None;
        for name in names {
            let Some(value) = self.find(name)? else {
                continue;
            };
            let field = join(self.path, name);
            // Whatever tokens they are, they are counted whole.
            let count = Quantity::parse(value, Meter::InputTokens, &field)?;
            match found {
                Some((known, other)) if known != count => {
                    let place = join(self.path, other);
                    return Err(invalid(
                        &field,
                        format!("{count} contradicts the {known} of `{place}`"),
                    ));
                }
                _ => found = found.or(Some((count, name))),
            }
        }
        Ok(found)
    }

    /// The value under a name, or under two joined by a point. Null is as good as nothing.
    fn find(&self, name: &str) -> Result<Option<&'a Value>, Refusal> {
        let mut place = Some(self.usage);
        let mut path = self.path.to_owned();
        for part in name.split('.') {
            place = match place {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Map(entries)) => entries
                    .iter()
                    .find(|(key, _)| key == part)
                    .map(|(_, value)| value),
                Some(other) => {
                    let detail = format!("an object is expected, not {}", other.describe());
                    return Err(invalid(&path, detail));
                }
            };
            path = join(&path, part);
        }
        Ok(place.filter(|value| **value != Value::Null))
    }
}

fn invalid(field: &str, detail: String) -> Refusal {
    Refusal::new(Code::InvalidQuantity, detail).at(field)
}
