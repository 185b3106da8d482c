//! Instants: an argument of every decision, never read from a clock here.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::refusal::{Code, Refusal};

/// A moment, to the millisecond, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

/// The milliseconds of a second.
pub const SECOND_MS: i64 = 1_000;
/// The milliseconds of 24 hours, which is not always a credit day.
pub const DAY_MS: i64 = 86_400 * SECOND_MS;

impl Instant {
    /// The first instant that can be written: the year 0.
    const FIRST_MS: i64 = -62_167_219_200_000;
    /// The last instant that a request may name: the end of the year 9998, so that a day can be added to it.
    const LAST_MS: i64 = 253_370_764_799_999;

    /// The moment so many milliseconds after 1970 began, kept within the years 0 to 9998.
    pub fn from_millis(millis: i64) -> Instant {
        Instant(millis.clamp(Instant::FIRST_MS, Instant::LAST_MS))
    }

    /// Milliseconds since 1970 began.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The moment so many milliseconds later.
    pub fn after_millis(self, millis: i64) -> Instant {
        Instant::from_millis(self.0.saturating_add(millis))
    }

    /// Reads an RFC 3339 time, with any offset. What is finer than a millisecond is cut off.
    ///
    /// # Errors
    /// `invalid_request` if it is none.
    pub fn parse(text: &str, field: &str) -> Result<Instant, Refusal> {
        read_rfc3339(text.as_bytes()).ok_or_else(|| {
            let detail = format!("`{text}` is no RFC 3339 time such as 2026-03-01T12:00:00Z");
            Refusal::new(Code::InvalidRequest, detail).at(field)
        })
    }

    /// The moment as part of a name: `20261123T110000Z`, with milliseconds only where there are some.
    pub(crate) fn compact(self) -> String {
        self.to_string().replace(['-', ':'], "")
    }

    /// The same moment for the calendar.
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// RFC 3339 and nothing else. The calendar's own parser takes more forms, and would be a third of what a browser
/// loads; even its dates would add a twentieth. All parts have at most four digits: nothing here overflows.
fn read_rfc3339(text: &[u8]) -> Option<Instant> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (head, tail) = text.split_at_checked(SHAPE.len())?;
    let shaped = head.iter().zip(SHAPE).all(|(byte, mark)| match mark {
        b'0' => byte.is_ascii_digit(),
        mark => byte.eq_ignore_ascii_case(mark),
    });
    if !shaped {
        return None;
    }
    let part = |from: usize, past: usize| head.get(from..past).map(number);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    // A leap second is the last moment of its minute.
    let (second, leap) = if second == 60 {
        (59, true)
    } else {
        (second, false)
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;

    let (millis, offset) = read_fraction(tail)?;
    let offset_seconds = read_offset(offset)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset_seconds;
    let millis = seconds * SECOND_MS + if leap { 999 } else { millis };
    (Instant::FIRST_MS..=Instant::LAST_MS)
        .contains(&millis)
        .then_some(Instant(millis))
}

/// The days from 1970 to a date of the years 0 to 9999, if there is such a date.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let length = match month {
        2 => 28 + leaps(year) - leaps(year - 1),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end, and five months of 153 days are alike.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    Some(year * 365 + leaps(year) + (month * 153 + 2) / 5 + day - 719_469)
}

/// The milliseconds of a fraction of a second, if there is one, and what follows it.
fn read_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, offset) = rest.split_at_checked(digits)?;
    let place = |index: usize| fraction.get(index).map_or(0, |digit| number(&[*digit]));
    let millis = place(0)
        .saturating_mul(100)
        .saturating_add(place(1).saturating_mul(10));
    (digits > 0).then_some((millis.saturating_add(place(2)), offset))
}

/// The seconds that an offset is ahead of UTC.
fn read_offset(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()) =>
        {
            let (hours, minutes) = (number(&[*h1, *h2]), number(&[*m1, *m2]));
            let seconds = hours
                .saturating_mul(60)
                .saturating_add(minutes)
                .saturating_mul(60);
            let legal = hours < 24 && minutes < 60;
            legal.then_some(if *sign == b'-' {
                seconds.saturating_neg()
            } else {
                seconds
            })
        }
        _ => None,
    }
}

/// The number that these digits write.
fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0_i64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(i64::from(digit.saturating_sub(b'0')))
    })
}

impl fmt::Display for Instant {
    /// As `2026-03-01T12:00:00Z`, with milliseconds only where there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = self.timestamp();
        if self.0 % SECOND_MS == 0 {
            write!(f, "{timestamp:.0}")
        } else {
            write!(f, "{timestamp:.3}")
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        let text = String::deserialize(deserializer)?;
        Instant::parse(&text, "").map_err(|refusal| de::Error::custom(&refusal.detail))
    }
}
