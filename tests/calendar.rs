//! Specifications of the calendar: credit days end at midnight in the account's zone, months never move.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption fails the test"
)]

use std::collections::HashSet;

use edge_credits::calendar::{Anchor, Zone};
use edge_credits::refusal::Code;
use edge_credits::time::{DAY_MS, Instant};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

fn zone(name: &str) -> Zone {
    Zone::parse(name, "time_zone").unwrap_or_else(|refusal| panic!("{}", refusal.detail))
}

fn at(text: &str) -> Instant {
    Instant::parse(text, "at").unwrap_or_else(|refusal| panic!("{}", refusal.detail))
}

#[test]
fn times_are_read_on_every_date_that_there_is_and_on_no_other() {
    for year in 0..=9998 {
        for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
            let read = Instant::parse(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z"), "at");
            let date = Date::new(year, month, day).ok();
            let expected = date.map(|date| date.to_zoned(TimeZone::UTC).unwrap().timestamp());
            assert_eq!(
                read.ok().map(Instant::millis),
                expected.map(Timestamp::as_millisecond),
                "{year}-{month}-{day}"
            );
        }
    }
}

/// Rows of consecutive credit days: when each begins, and its date. The last row only ends the one before.
fn expect_days(name: &str, rows: &[(&str, &str)]) {
    let zone = zone(name);
    for pair in rows.windows(2) {
        let (start, date) = (at(pair[0].0), pair[0].1);
        let (end, next_date) = (at(pair[1].0), pair[1].1);
        let middle = Instant::from_millis((start.millis() + end.millis()) / 2);
        for moment in [start, start.after_millis(1), middle, end.after_millis(-1)] {
            assert_eq!(
                zone.last_midnight(moment),
                start,
                "start of {date} in {name}"
            );
            assert_eq!(zone.next_midnight(moment), end, "end of {date} in {name}");
            assert_eq!(zone.date(moment), date, "date at {moment} in {name}");
        }
        assert_eq!(zone.date(end), next_date, "date at {end} in {name}");
    }
}

fn anchor(since: &str, name: &str) -> Anchor {
    Anchor {
        since: at(since),
        zone: zone(name),
    }
}

/// Rows of a month's index and when it begins. Its first instant is the month's, the one before is not.
fn expect_months(since: &str, name: &str, rows: &[(u32, &str)]) {
    let anchor = anchor(since, name);
    for &(index, start) in rows {
        let start = at(start);
        assert_eq!(
            anchor.start_of(index),
            start,
            "month {index} since {since} in {name}"
        );
        assert_eq!(
            anchor.index_at(start),
            index,
            "month at {start} since {since} in {name}"
        );
        let before = start.after_millis(-1);
        assert_eq!(
            anchor.index_at(before),
            index.saturating_sub(1),
            "month at {before} since {since}"
        );
    }
}

#[test]
fn a_zone_is_named_as_the_database_spells_it() {
    for (given, name) in [
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/BERLIN", "Europe/Berlin"),
        ("america/port-au-prince", "America/Port-au-Prince"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("Etc/GMT+5", "Etc/GMT+5"),
        (
            "America/Argentina/Buenos_Aires",
            "America/Argentina/Buenos_Aires",
        ),
    ] {
        assert_eq!(zone(given).name(), name);
        assert_eq!(zone(given), zone(name));
    }
    assert_eq!(Zone::utc(), zone("UTC"));
    assert_ne!(zone("Asia/Calcutta"), zone("Asia/Kolkata"));
}

#[test]
fn what_is_no_iana_name_is_refused() {
    for name in [
        "",
        " ",
        "local",
        "localtime",
        "system",
        "Mars/Olympus",
        "Europe",
        "Europe/",
        "Europe/Berlin ",
        " Europe/Berlin",
        "Europe\\Berlin",
        "Europe/Berlin\0",
        "../Europe/Berlin",
        "posix/Europe/Berlin",
        "Etc/Unknown",
        "etc/unknown",
        "CEST",
        "+02:00",
        "-05",
        "UTC+1",
        "Z",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+03>-3",
        ":Europe/Berlin",
        "Europe/Bürlin",
        "2026f",
    ] {
        let refusal = Zone::parse(name, "time_zone").expect_err(name);
        assert_eq!(refusal.code, Code::InvalidTimeZone, "{name}");
        assert_eq!(refusal.field.as_deref(), Some("time_zone"), "{name}");
    }
}

#[test]
fn a_zone_is_written_as_its_name() {
    let json = serde_json::to_string(&zone("asia/kolkata")).unwrap();
    assert_eq!(json, r#""Asia/Kolkata""#);
    assert_eq!(
        serde_json::from_str::<Zone>(&json).unwrap(),
        zone("Asia/Kolkata")
    );
    assert!(serde_json::from_str::<Zone>(r#""+05:30""#).is_err());
    assert!(serde_json::from_str::<Zone>("5").is_err());
}

#[test]
fn an_anchor_is_written_as_its_instant_and_its_zone() {
    let anchor = anchor("2026-01-31T09:30:00Z", "Europe/Berlin");
    let json = serde_json::to_string(&anchor).unwrap();
    assert_eq!(
        json,
        r#"{"since":"2026-01-31T09:30:00Z","zone":"Europe/Berlin"}"#
    );
    assert_eq!(serde_json::from_str::<Anchor>(&json).unwrap(), anchor);
}

#[test]
fn a_credit_day_ends_at_midnight_in_the_accounts_zone() {
    let rows = [
        (
            "UTC",
            "2026-11-23T00:00:00Z",
            "2026-11-23",
            "2026-11-24T00:00:00Z",
        ),
        (
            "Asia/Tokyo",
            "2026-11-22T15:00:00Z",
            "2026-11-23",
            "2026-11-23T15:00:00Z",
        ),
        (
            "America/New_York",
            "2026-11-23T05:00:00Z",
            "2026-11-23",
            "2026-11-24T05:00:00Z",
        ),
        (
            "Asia/Kolkata",
            "2026-11-22T18:30:00Z",
            "2026-11-23",
            "2026-11-23T18:30:00Z",
        ),
        (
            "Asia/Kathmandu",
            "2026-11-22T18:15:00Z",
            "2026-11-23",
            "2026-11-23T18:15:00Z",
        ),
        (
            "Pacific/Chatham",
            "2026-11-22T10:15:00Z",
            "2026-11-23",
            "2026-11-23T10:15:00Z",
        ),
        (
            "Pacific/Kiritimati",
            "2026-11-22T10:00:00Z",
            "2026-11-23",
            "2026-11-23T10:00:00Z",
        ),
        (
            "Pacific/Pago_Pago",
            "2026-11-23T11:00:00Z",
            "2026-11-23",
            "2026-11-24T11:00:00Z",
        ),
        (
            "UTC",
            "1969-12-31T00:00:00Z",
            "1969-12-31",
            "1970-01-01T00:00:00Z",
        ),
        (
            "UTC",
            "2028-02-29T00:00:00Z",
            "2028-02-29",
            "2028-03-01T00:00:00Z",
        ),
    ];
    for (name, start, date, end) in rows {
        expect_days(name, &[(start, date), (end, &zone(name).date(at(end)))]);
    }
}

#[test]
fn a_day_on_which_the_clock_changes_is_shorter_or_longer() {
    for (name, moment, minutes) in [
        ("America/New_York", "2026-03-08T12:00:00Z", 23 * 60),
        ("America/New_York", "2026-11-01T12:00:00Z", 25 * 60),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", 23 * 60),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", 25 * 60),
        ("Australia/Lord_Howe", "2026-04-04T20:00:00Z", 24 * 60 + 30),
        ("Australia/Lord_Howe", "2026-10-03T20:00:00Z", 23 * 60 + 30),
        ("Pacific/Chatham", "2026-04-04T20:00:00Z", 25 * 60),
        ("Antarctica/Troll", "2026-03-29T12:00:00Z", 22 * 60),
        ("Asia/Kolkata", "2026-03-29T12:00:00Z", 24 * 60),
    ] {
        let zone = zone(name);
        let start = zone.last_midnight(at(moment));
        let length = zone.next_midnight(start).millis() - start.millis();
        assert_eq!(length, minutes * 60_000, "{name} {moment}");
    }
}

#[test]
fn daylight_saving_moves_midnight() {
    expect_days(
        "America/New_York",
        &[
            ("2026-03-07T05:00:00Z", "2026-03-07"),
            ("2026-03-08T05:00:00Z", "2026-03-08"),
            ("2026-03-09T04:00:00Z", "2026-03-09"),
            ("2026-03-10T04:00:00Z", "2026-03-10"),
        ],
    );
    expect_days(
        "America/New_York",
        &[
            ("2026-10-31T04:00:00Z", "2026-10-31"),
            ("2026-11-01T04:00:00Z", "2026-11-01"),
            ("2026-11-02T05:00:00Z", "2026-11-02"),
        ],
    );
}

#[test]
fn a_midnight_that_a_zone_skips_is_the_first_instant_after_it() {
    // 00:00 to 01:00.
    expect_days(
        "Africa/Cairo",
        &[
            ("2025-04-23T22:00:00Z", "2025-04-24"),
            ("2025-04-24T22:00:00Z", "2025-04-25"),
            ("2025-04-25T21:00:00Z", "2025-04-26"),
        ],
    );
    expect_days(
        "Asia/Beirut",
        &[
            ("2025-03-28T22:00:00Z", "2025-03-29"),
            ("2025-03-29T22:00:00Z", "2025-03-30"),
            ("2025-03-30T21:00:00Z", "2025-03-31"),
        ],
    );
    expect_days(
        "America/Asuncion",
        &[
            ("2023-09-30T04:00:00Z", "2023-09-30"),
            ("2023-10-01T04:00:00Z", "2023-10-01"),
            ("2023-10-02T03:00:00Z", "2023-10-02"),
        ],
    );
    // 23:30 to 00:30: the day begins at what the clock calls half past midnight.
    expect_days(
        "America/Toronto",
        &[
            ("1919-03-30T05:00:00Z", "1919-03-30"),
            ("1919-03-31T04:30:00Z", "1919-03-31"),
            ("1919-04-01T04:00:00Z", "1919-04-01"),
        ],
    );
}

#[test]
fn a_day_that_a_zone_skips_has_no_refresh() {
    expect_days(
        "Pacific/Apia",
        &[
            ("2011-12-28T10:00:00Z", "2011-12-28"),
            ("2011-12-29T10:00:00Z", "2011-12-29"),
            ("2011-12-30T10:00:00Z", "2011-12-31"),
            ("2011-12-31T10:00:00Z", "2012-01-01"),
        ],
    );
    // From 20 August at 24:00 to 22 August.
    expect_days(
        "Pacific/Kwajalein",
        &[
            ("1993-08-20T12:00:00Z", "1993-08-20"),
            ("1993-08-21T12:00:00Z", "1993-08-22"),
            ("1993-08-22T12:00:00Z", "1993-08-23"),
        ],
    );
}

#[test]
fn a_midnight_that_comes_twice_is_the_first_of_the_two() {
    // 01:00 back to 00:00.
    expect_days(
        "America/Havana",
        &[
            ("2025-11-01T04:00:00Z", "2025-11-01"),
            ("2025-11-02T04:00:00Z", "2025-11-02"),
            ("2025-11-03T05:00:00Z", "2025-11-03"),
        ],
    );
}

#[test]
fn a_clock_that_goes_back_at_midnight_begins_the_new_day_an_hour_later() {
    // 24:00 back to 23:00: midnight comes but once, after 25 hours.
    expect_days(
        "Asia/Beirut",
        &[
            ("2025-10-24T21:00:00Z", "2025-10-25"),
            ("2025-10-25T22:00:00Z", "2025-10-26"),
            ("2025-10-26T22:00:00Z", "2025-10-27"),
        ],
    );
    expect_days(
        "America/Asuncion",
        &[
            ("2024-03-23T03:00:00Z", "2024-03-23"),
            ("2024-03-24T04:00:00Z", "2024-03-24"),
            ("2024-03-25T04:00:00Z", "2024-03-25"),
        ],
    );
}

#[test]
fn a_clock_that_goes_back_over_midnight_does_not_begin_the_day_again() {
    // 00:01 back to 23:01: for 59 minutes the clock shows the old date, but the new day has begun.
    expect_days(
        "America/St_Johns",
        &[
            ("2009-10-31T02:30:00Z", "2009-10-31"),
            ("2009-11-01T02:30:00Z", "2009-11-01"),
            ("2009-11-02T03:30:00Z", "2009-11-02"),
        ],
    );
    assert_eq!(
        zone("America/St_Johns").date(at("2009-11-01T03:00:00Z")),
        "2009-11-01"
    );
    // The whole of 19 October twice, when Alaska took American dates. It is one credit day.
    expect_days(
        "America/Juneau",
        &[
            ("1867-10-18T08:57:41Z", "1867-10-19"),
            ("1867-10-20T08:57:41Z", "1867-10-20"),
        ],
    );
}

#[test]
fn a_month_is_renewed_at_the_same_local_date_and_time() {
    expect_months(
        "2026-01-15T14:30:00Z",
        "America/New_York",
        &[
            (0, "2026-01-15T14:30:00Z"),
            (1, "2026-02-15T14:30:00Z"),
            (2, "2026-03-15T13:30:00Z"),
            (9, "2026-10-15T13:30:00Z"),
            (10, "2026-11-15T14:30:00Z"),
            (12, "2027-01-15T14:30:00Z"),
            (1_200, "2126-01-15T14:30:00Z"),
        ],
    );
}

#[test]
fn a_month_that_began_on_the_31st_is_renewed_on_the_last_day_and_then_on_the_31st_again() {
    expect_months(
        "2027-01-31T10:00:00Z",
        "UTC",
        &[
            (0, "2027-01-31T10:00:00Z"),
            (1, "2027-02-28T10:00:00Z"),
            (2, "2027-03-31T10:00:00Z"),
            (3, "2027-04-30T10:00:00Z"),
            (4, "2027-05-31T10:00:00Z"),
            (11, "2027-12-31T10:00:00Z"),
            (12, "2028-01-31T10:00:00Z"),
            (13, "2028-02-29T10:00:00Z"),
            (14, "2028-03-31T10:00:00Z"),
        ],
    );
}

#[test]
fn a_month_that_began_on_29_february_is_renewed_on_the_29th() {
    expect_months(
        "2028-02-29T00:00:00Z",
        "UTC",
        &[
            (1, "2028-03-29T00:00:00Z"),
            (11, "2029-01-29T00:00:00Z"),
            (12, "2029-02-28T00:00:00Z"),
            (13, "2029-03-29T00:00:00Z"),
            (48, "2032-02-29T00:00:00Z"),
            (864, "2100-02-28T00:00:00Z"),
        ],
    );
}

#[test]
fn the_day_of_the_month_is_the_one_in_the_anchors_zone() {
    // 31 January at 23:30 in New York is 1 February in UTC.
    let since = "2026-02-01T04:30:00Z";
    expect_months(
        since,
        "America/New_York",
        &[(1, "2026-03-01T04:30:00Z"), (2, "2026-04-01T03:30:00Z")],
    );
    expect_months(
        since,
        "UTC",
        &[(1, "2026-03-01T04:30:00Z"), (2, "2026-04-01T04:30:00Z")],
    );
}

#[test]
fn a_renewal_that_a_zone_skips_is_at_the_first_instant_after_the_gap() {
    // 02:30 on 8 March does not exist in New York: 03:00 is its first instant.
    expect_months(
        "2026-02-08T07:30:00Z",
        "America/New_York",
        &[(1, "2026-03-08T07:00:00Z"), (2, "2026-04-08T06:30:00Z")],
    );
    // Noon of 30 December 2011 does not exist in Apia: 31 December is next.
    expect_months(
        "2011-11-30T22:00:00Z",
        "Pacific/Apia",
        &[(1, "2011-12-30T10:00:00Z"), (2, "2012-01-29T22:00:00Z")],
    );
}

#[test]
fn a_renewal_that_comes_twice_is_the_first_of_the_two() {
    expect_months(
        "2026-10-01T05:30:00Z",
        "America/New_York",
        &[(1, "2026-11-01T05:30:00Z"), (2, "2026-12-01T06:30:00Z")],
    );
    // An anchor in the second of the two stays there; the months after it have but one such hour.
    expect_months(
        "2026-11-01T06:30:00Z",
        "America/New_York",
        &[(0, "2026-11-01T06:30:00Z"), (1, "2026-12-01T06:30:00Z")],
    );
    // 1 November has begun, though the clock of St John's is back in October.
    let anchor = anchor("2009-08-01T02:30:00Z", "America/St_Johns");
    assert_eq!(anchor.index_at(at("2009-11-01T02:29:59Z")), 2);
    assert_eq!(anchor.index_at(at("2009-11-01T03:00:00Z")), 3);
}

#[test]
fn what_is_before_the_anchor_belongs_to_month_0() {
    let anchor = anchor("2026-01-31T10:00:00Z", "UTC");
    assert_eq!(anchor.index_at(at("2026-01-31T09:59:59Z")), 0);
    assert_eq!(anchor.index_at(at("0001-01-01T00:00:00Z")), 0);
}

#[test]
fn time_has_two_ends_and_nothing_fails_there() {
    let (first, last) = (
        Instant::from_millis(i64::MIN),
        Instant::from_millis(i64::MAX),
    );
    for zone in zones() {
        for step in [0, 1, 12 * 3_600_000, DAY_MS, 2 * DAY_MS] {
            for moment in [first.after_millis(step), last.after_millis(-step)] {
                assert!(zone.last_midnight(moment) <= moment);
                assert!(zone.next_midnight(moment) > moment || moment == last || step <= DAY_MS);
                assert!(zone.next_midnight(moment) >= moment);
                assert!(!zone.date(moment).is_empty());
                let anchor = Anchor {
                    since: moment,
                    zone: zone.clone(),
                };
                assert_eq!(anchor.start_of(u32::MAX), last);
                assert_eq!(anchor.index_at(first), 0);
                assert!(anchor.start_of(anchor.index_at(last)) <= last);
            }
        }
    }
    let whole = Anchor {
        since: first,
        zone: Zone::utc(),
    };
    assert_eq!(whole.index_at(last), 9_999 * 12 - 1);
    assert_eq!(whole.start_of(9_999 * 12 - 1), at("9998-12-01T00:00:00Z"));
    assert_eq!(whole.start_of(9_999 * 12), last);
    assert_eq!(Zone::utc().next_midnight(at("9998-12-31T12:00:00Z")), last);
}

/// Every zone of the database.
fn zones() -> Vec<Zone> {
    let zones: Vec<Zone> = jiff::tz::db()
        .available()
        .map(|name| zone(name.as_str()))
        .collect();
    assert!(zones.len() > 500);
    zones
}

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// A zone as a list of stretches of time with one offset each: the plain model that the calendar is held against.
/// It goes through all of them where the calendar searches.
struct Model {
    /// When each stretch begins, and its offset, in milliseconds.
    stretches: Vec<(i64, i64)>,
}

impl Model {
    fn of(zone: &Zone) -> Model {
        let rules = TimeZone::get(zone.name()).unwrap();
        let start: Timestamp = "1800-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2060-01-01T00:00:00Z".parse().unwrap();
        let offset = |seconds: i32| i64::from(seconds) * 1_000;
        let mut stretches = vec![(i64::MIN, offset(rules.to_offset(start).seconds()))];
        for change in rules
            .following(start)
            .take_while(|change| change.timestamp() < end)
        {
            stretches.push((
                change.timestamp().as_millisecond(),
                offset(change.offset().seconds()),
            ));
        }
        Model { stretches }
    }

    /// The first instant at which the clock has reached this local time, both in milliseconds.
    fn first_reaching(&self, local: i64) -> i64 {
        let ends = self
            .stretches
            .iter()
            .skip(1)
            .map(|stretch| stretch.0)
            .chain([i64::MAX]);
        let (&(start, offset), _) = self
            .stretches
            .iter()
            .zip(ends)
            .find(|&(&(_, offset), end)| local - offset < end)
            .unwrap();
        start.max(local - offset)
    }

    fn local(&self, at: i64) -> i64 {
        at + self
            .stretches
            .iter()
            .rev()
            .find(|stretch| stretch.0 <= at)
            .unwrap()
            .1
    }

    /// The midnights of the days around this instant, in order.
    fn midnights_around(&self, at: i64) -> Vec<i64> {
        let today = self.local(at).div_euclid(DAY_MS);
        let mut midnights: Vec<i64> = (-4..=4)
            .map(|days| self.first_reaching((today + days) * DAY_MS))
            .collect();
        midnights.dedup();
        midnights
    }
}

#[test]
fn midnights_are_those_of_the_plain_model_around_every_change_of_every_zone() {
    let mut seen = HashSet::new();
    for zone in zones() {
        let model = Model::of(&zone);
        // Many names are links to the same rules.
        if !seen.insert(model.stretches.clone()) {
            continue;
        }
        for &(change, _) in model.stretches.iter().skip(1) {
            let midnights = model.midnights_around(change);
            let near = midnights
                .iter()
                .copied()
                .filter(|midnight| (midnight - change).abs() <= DAY_MS);
            let moments = near.flat_map(|midnight| [midnight - 1, midnight, midnight + 1_800_000]);
            for moment in moments.chain([change - 1, change]) {
                let after = midnights.partition_point(|&midnight| midnight <= moment);
                let named = zone.name();
                let moment = Instant::from_millis(moment);
                assert_eq!(
                    zone.last_midnight(moment).millis(),
                    midnights[after - 1],
                    "before {moment} in {named}"
                );
                assert_eq!(
                    zone.next_midnight(moment).millis(),
                    midnights[after],
                    "after {moment} in {named}"
                );
            }
        }
    }
}

#[test]
fn credit_days_follow_one_another_without_gap_or_overlap() {
    let mut numbers = Numbers(1);
    for zone in zones() {
        for _ in 0..40 {
            // The years 1850 to 2150.
            let moment =
                Instant::from_millis(numbers.below(300 * 365 * DAY_MS) - 120 * 365 * DAY_MS);
            let (last, next) = (zone.last_midnight(moment), zone.next_midnight(moment));
            let name = zone.name();
            assert!(last <= moment && moment < next, "{moment} in {name}");
            assert_eq!(zone.last_midnight(next), next, "{moment} in {name}");
            assert_eq!(zone.last_midnight(last), last, "{moment} in {name}");
            assert_eq!(zone.next_midnight(last), next, "{moment} in {name}");
            assert_eq!(
                zone.next_midnight(next.after_millis(-1)),
                next,
                "{moment} in {name}"
            );
            assert_eq!(zone.date(last), zone.date(moment), "{moment} in {name}");
            assert_eq!(
                zone.date(next.after_millis(-1)),
                zone.date(moment),
                "{moment} in {name}"
            );
            assert!(zone.date(next) > zone.date(moment), "{moment} in {name}");
        }
    }
}

#[test]
fn months_follow_one_another_and_are_those_of_the_plain_model() {
    let mut numbers = Numbers(2);
    let epoch: DateTime = "1970-01-01T00:00".parse().unwrap();
    for zone in zones() {
        let model = Model::of(&zone);
        let rules = TimeZone::get(zone.name()).unwrap();
        for _ in 0..20 {
            // The years 1900 to 2020, and up to 40 years later.
            let since = Instant::from_millis(numbers.below(120 * 365 * DAY_MS) - 70 * 365 * DAY_MS);
            let index = u32::try_from(numbers.below(480)).unwrap() + 1;
            let anchor = Anchor {
                since,
                zone: zone.clone(),
            };
            let start = anchor.start_of(index);
            let named = format!("month {index} since {since} in {}", zone.name());

            let local = rules.to_datetime(Timestamp::from_millisecond(since.millis()).unwrap());
            let local = local.checked_add(i64::from(index).months()).unwrap();
            let local = local.duration_since(epoch).as_millis();
            assert_eq!(
                start.millis(),
                model.first_reaching(i64::try_from(local).unwrap()),
                "{named}"
            );

            assert!(
                anchor.start_of(index - 1) < start && start < anchor.start_of(index + 1),
                "{named}"
            );
            assert_eq!(anchor.index_at(start), index, "{named}");
            assert_eq!(
                anchor.index_at(start.after_millis(-1)),
                index - 1,
                "{named}"
            );
            let within = start.after_millis(numbers.below(27 * DAY_MS));
            assert_eq!(anchor.index_at(within), index, "{named}, at {within}");
        }
        let anchor = Anchor {
            since: Instant::from_millis(0),
            zone,
        };
        assert_eq!(anchor.index_at(anchor.start_of(0)), 0);
    }
}
