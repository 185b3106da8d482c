//! `GET …/usage`: sums of what an account used.

use edge_credits::time::Instant;
use edge_credits::usage::{Totals, Usage};
use edge_credits::view::UsageView;

use crate::object::{Account, Ask};
use crate::page::{Page, invalid};
use crate::problem::Problem;
use crate::reads::written;
use crate::reply::{self, Response};

impl Account {
    /// `GET …/usage`: the difference of the sums at two instants, so that it costs the same however much lies
    /// between them.
    pub(crate) fn read_usage(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let page = Page::read(ask, &["group_by", "from", "to"])?;
        let settled = self.settled(ask)?;
        let groups = [("model", "model"), ("day", "day"), ("modality", "modality")];
        let group_by = page.word("group_by", &groups)?.unwrap_or("model");
        let (from, to) = (page.instant("from")?, page.instant("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(invalid("to", format!("`to` {to} lies before `from` {from}")).into());
        }
        let last = written(&settled);
        let before = match from {
            Some(from) => self.seq_before(from, last)?,
            None => 0,
        };
        let until = match to {
            Some(to) => self.seq_before(to, last)?.max(before),
            None => last,
        };
        let earlier = self.usage_at(before)?;
        let later = if until == last {
            settled.account.usage.clone()
        } else {
            self.usage_at(until)?
        };
        let view = match group_by {
            "day" => UsageView::new(group_by, self.days(&earlier, before, &later, until)?),
            "modality" => UsageView::new(
                group_by,
                later.models_since(&earlier).into_iter().map(|usage| {
                    (
                        usage.modality.map(|modality| modality.as_str().to_owned()),
                        usage.totals,
                    )
                }),
            ),
            _ => UsageView::new(
                group_by,
                later
                    .models_since(&earlier)
                    .into_iter()
                    .map(|usage| (usage.model, usage.totals)),
            ),
        };
        reply::json(200, &view)
    }

    /// The days between two sums. The first and the last may be cut.
    fn days(
        &self,
        earlier: &Usage,
        before: u64,
        later: &Usage,
        until: u64,
    ) -> Result<Vec<(Option<String>, Totals)>, Problem> {
        let mut days = self.store().days(before, until)?;
        days.extend(later.day.clone());
        days.dedup_by_key(|day| day.seq);
        let mut groups = Vec::new();
        for (index, day) in days.iter().enumerate() {
            let is_last = index.saturating_add(1) == days.len();
            let start = if day.seq <= before {
                &earlier.total
            } else {
                &day.before
            };
            let end = if is_last { &later.total } else { &day.after };
            let is_before = !is_last
                && days
                    .get(index.saturating_add(1))
                    .is_some_and(|next| next.seq <= before);
            let totals = end.since(start);
            if !is_before && !totals.is_empty() {
                groups.push((Some(day.date.clone()), totals));
            }
        }
        Ok(groups)
    }

    fn usage_at(&self, seq: u64) -> Result<Usage, Problem> {
        if seq == 0 {
            return Ok(Usage::default());
        }
        Ok(self
            .store()
            .fold_to(seq)?
            .account
            .map(|account| account.usage)
            .unwrap_or_default())
    }

    /// The number of the last entry before an instant.
    pub(crate) fn seq_before(&self, instant: Instant, last: u64) -> Result<u64, Problem> {
        self.store().last_seq_at(instant.after_millis(-1), last)
    }
}
