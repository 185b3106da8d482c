//! The account's calendar: credit days, which end at midnight in its time zone, and months, which are counted
//! from an anchor.
//!
//! One rule serves both: a local date and time is *the first instant at which the zone's clock has reached it*.
//! So a midnight that a zone skips is the first instant after the gap, one that comes twice is the first of the
//! two, and no date begins twice, though the clock may return to it. The time zone database is compiled in.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::refusal::{Code, Refusal};
use crate::time::Instant;

/// A time zone of the IANA database, written as its name. A clone shares the zone's rules; two zones are equal
/// if their names are.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of an IANA name, in whatever case: it then has the database's spelling. Links such as
    /// `Asia/Calcutta` keep their own name. This decodes the zone's rules, which takes microseconds: keep the
    /// zone rather than its name.
    ///
    /// # Errors
    /// `invalid_time_zone` if the database has no such name. Offsets, POSIX rules and `local` are none.
    pub fn parse(name: &str, field: &str) -> Result<Zone, Refusal> {
        match TimeZone::get(name) {
            // `Etc/Unknown` is found as well, but is no zone of the database and has no name.
            Ok(zone) if zone.iana_name().is_some() => Ok(Zone(zone)),
            _ => {
                let detail = format!(
                    "`{name}` is not the IANA name of a time zone, such as `Europe/Berlin`"
                );
                Err(Refusal::new(Code::InvalidTimeZone, detail).at(field))
            }
        }
    }

    /// The zone of accounts that name none.
    pub const fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// The IANA name, as the database spells it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The end of the credit day that contains this instant: the first midnight after it.
    ///
    /// This, and what follows, takes two or three searches in the zone's table of changes and allocates nothing:
    /// well under a microsecond. At the end of the year 9998, the last midnight is the last instant.
    pub fn next_midnight(&self, after: Instant) -> Instant {
        instant(self.credit_day(after).1)
    }

    /// The start of the credit day that contains this instant: the last midnight that is not after it.
    pub fn last_midnight(&self, at: Instant) -> Instant {
        instant(self.midnight(self.credit_day(at).0))
    }

    /// The date of the credit day that contains this instant, as `2026-11-23`. Where the clock goes back over
    /// midnight, the new day has begun all the same, and the second 23:30 belongs to it.
    pub fn date(&self, at: Instant) -> String {
        self.credit_day(at).0.to_string()
    }

    /// The date of the credit day that contains this instant, and when it ends.
    fn credit_day(&self, at: Instant) -> (Date, Timestamp) {
        let at = at.timestamp();
        let mut date = self.0.to_datetime(at).date();
        // The clock's date has begun. A later one has too if the clock went back over a midnight since: this
        // repeats but once for that.
        loop {
            let Ok(tomorrow) = date.tomorrow() else {
                return (date, Timestamp::MAX);
            };
            let end = self.midnight(tomorrow);
            if end > at {
                return (date, end);
            }
            date = tomorrow;
        }
    }

    fn midnight(&self, date: Date) -> Timestamp {
        self.first_reaching(date.to_datetime(Time::midnight()))
    }

    /// The first instant at which the zone's clock shows this date and time or, having skipped it, a later one.
    fn first_reaching(&self, local: DateTime) -> Timestamp {
        let offset = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { after, .. } => {
                // By the clock after the gap, this local time lies before it.
                let earlier = after.to_timestamp(local).unwrap_or(Timestamp::MAX);
                let end = self
                    .0
                    .following(earlier)
                    .find(|change| change.offset() == after);
                return end.map_or(earlier, |change| change.timestamp());
            }
        };
        offset.to_timestamp(local).unwrap_or(Timestamp::MAX)
    }

    fn local(&self, at: Instant) -> DateTime {
        self.0.to_datetime(at.timestamp())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
        let name = String::deserialize(deserializer)?;
        Zone::parse(&name, "").map_err(|refusal| de::Error::custom(&refusal.detail))
    }
}

/// Where an account's months are counted from: the local date and time that this instant has in this zone.
///
/// Month 0 begins at `since`, and month n at the same local time n months later, on the same day of the month or,
/// in a month that lacks it, on the last. Each is counted from `since` itself, so that the day never drifts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// When month 0 begins.
    pub since: Instant,
    /// The zone in which `since` was read. It stays, whatever zone the account moves to.
    pub zone: Zone,
}

impl Anchor {
    /// When the month of this index begins and the one before it ends. What begins after the year 9998 is put at
    /// its end.
    pub fn start_of(&self, index: u32) -> Instant {
        instant(self.start(index))
    }

    /// The index of the month that contains this instant; 0 for one before `since`. The cost does not grow with
    /// the number of months.
    pub fn index_at(&self, at: Instant) -> u32 {
        let months = month_number(self.zone.local(at)) - month_number(self.zone.local(self.since));
        let index = u32::try_from(months).unwrap_or(0);
        let at = at.timestamp();
        if self.start(index) > at {
            return index.saturating_sub(1);
        }
        // Where the clock goes back from the first of a month to the last of the former, that month has begun.
        let next = index.saturating_add(1);
        if self.start(next) <= at { next } else { index }
    }

    fn start(&self, index: u32) -> Timestamp {
        if index == 0 {
            return self.since.timestamp();
        }
        let since = self.zone.local(self.since);
        match date_in_month(month_number(since) + i64::from(index), since.day()) {
            Some(date) => self.zone.first_reaching(date.to_datetime(since.time())),
            None => Timestamp::MAX,
        }
    }
}

/// Months since the year 0 began.
fn month_number(local: DateTime) -> i64 {
    i64::from(local.year()) * 12 + i64::from(local.month()) - 1
}

/// This day of that month, or the month's last; none after the year 9999.
fn date_in_month(month_number: i64, day: i8) -> Option<Date> {
    let year = i16::try_from(month_number.div_euclid(12)).ok()?;
    let month = i8::try_from(month_number.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?;
    Date::new(year, month, day.min(first.days_in_month())).ok()
}

fn instant(timestamp: Timestamp) -> Instant {
    Instant::from_millis(timestamp.as_millisecond())
}
