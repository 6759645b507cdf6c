//! When a cron runs: five fields as cron(5) has them, and the time zone they are in. An addition to the specification.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shape::scalar;
use crate::units::BadValue;

/// A schedule, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: Box<str>,
    /// A bit for each value; Sunday is bit 0 of `weekdays`.
    pub minutes: u64,
    pub hours: u64,
    pub days: u64,
    pub months: u64,
    pub weekdays: u64,
    /// `days` and `weekdays` were both given: a day that is in either is meant.
    pub either_day: bool,
}

/// The values of one field, and their names.
struct Range {
    first: u8,
    last: u8,
    /// Three letters each, from `first` on.
    names: &'static [&'static str],
}

const MINUTES: Range = Range { first: 0, last: 59, names: &[] };
const HOURS: Range = Range { first: 0, last: 23, names: &[] };
const DAYS: Range = Range { first: 1, last: 31, names: &[] };
const MONTHS: Range =
    Range { first: 1, last: 12, names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"] };
/// Sunday is 0 and 7.
const WEEKDAYS: Range = Range { first: 0, last: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

const A_SCHEDULE: &str = "a schedule: five fields such as `30 3 * * MON-FRI`, or @hourly, @daily, @weekly, @monthly or @yearly";

impl FromStr for Schedule {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Schedule, BadValue> {
        let fields = match text {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            fields => fields,
        };
        let bad = || BadValue::new(text, A_SCHEDULE);
        let parts: Vec<&str> = fields.split(' ').collect();
        let [minutes, hours, days, months, weekdays] = parts[..] else { return Err(bad()) };
        let weekday_bits = field(weekdays, &WEEKDAYS).ok_or_else(bad)?;
        Ok(Schedule {
            text: text.into(),
            minutes: field(minutes, &MINUTES).ok_or_else(bad)?,
            hours: field(hours, &HOURS).ok_or_else(bad)?,
            days: field(days, &DAYS).ok_or_else(bad)?,
            months: field(months, &MONTHS).ok_or_else(bad)?,
            weekdays: (weekday_bits | weekday_bits >> 7) & 0x7f,
            either_day: days != "*" && weekdays != "*",
        })
    }
}

/// Reads `*`, `5`, `1-5`, `*/10`, `22-2/2` or a list of them.
fn field(text: &str, range: &Range) -> Option<u64> {
    text.split(',').try_fold(0, |bits, part| Some(bits | self::part(part, range)?))
}

fn part(text: &str, range: &Range) -> Option<u64> {
    let (values, step) = match text.split_once('/') {
        Some((values, step)) => (values, number(step).filter(|step| (1..=59).contains(step))?),
        None => (text, 1),
    };
    let (first, last) = match values.split_once('-') {
        _ if values == "*" => (range.first, range.last),
        Some((first, last)) => (value(first, range)?, value(last, range)?),
        // A step needs something to step through.
        None if text.contains('/') => return None,
        None => value(values, range).map(|value| (value, value))?,
    };
    // A range may go over the end: 22-2 is 22, 23, 0, 1, 2.
    let count = u64::from(range.last - range.first) + 1;
    let length = (u64::from(last) + count - u64::from(first)) % count;
    let bit = |offset: u64| 1 << (u64::from(range.first) + (u64::from(first - range.first) + offset) % count);
    Some((0..=length).step_by(step.into()).map(bit).fold(0, |bits, bit| bits | bit))
}

fn value(text: &str, range: &Range) -> Option<u8> {
    if let Some(at) = range.names.iter().position(|name| *name == text) {
        return Some(range.first + at as u8);
    }
    number(text).filter(|number| (range.first..=range.last).contains(number))
}

fn number(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl Schedule {
    /// It can come: some month of it has some day of it.
    pub fn can_come(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first = self.days.trailing_zeros();
        let by_day = (1..=12).any(|month| self.months & (1 << month) != 0 && first <= LONGEST[month - 1]);
        by_day || self.either_day
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Schedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Schedule, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The expression of a field whose single values match `$value`.
macro_rules! field {
    ($value:expr) => {
        concat!(
            "(?:",
            "(?:\\*|(?:",
            $value,
            ")-(?:",
            $value,
            "))(?:/0?[1-9]|/[1-5][0-9])?|(?:",
            $value,
            "))",
            "(?:,(?:(?:\\*|(?:",
            $value,
            ")-(?:",
            $value,
            "))(?:/0?[1-9]|/[1-5][0-9])?|(?:",
            $value,
            ")))*"
        )
    };
}
macro_rules! minute {
    () => {
        field!("[0-5]?[0-9]")
    };
}
macro_rules! hour {
    () => {
        field!("[01]?[0-9]|2[0-3]")
    };
}
macro_rules! day {
    () => {
        field!("0?[1-9]|[12][0-9]|3[01]")
    };
}
macro_rules! month {
    () => {
        field!("0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC")
    };
}
macro_rules! weekday {
    () => {
        field!("0?[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT")
    };
}

scalar! {
    @shape Schedule, "schedule", A_SCHEDULE,
    concat!(
        r"^(?:@(?:hourly|daily|midnight|weekly|monthly|yearly|annually)|",
        minute!(), " ", hour!(), " ", day!(), " ", month!(), " ", weekday!(), ")$"
    ), None
}

scalar! {
    /// A time zone by its name in the IANA database. That there is one of the name is checked apart.
    pub struct TimeZone: "time zone", expected "the name of a time zone such as Europe/Vienna or UTC",
    pattern "^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*$",
    check |text| {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b));
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split('/').all(part)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_sets() {
        let read = |text: &str| text.parse::<Schedule>().unwrap();
        let schedule = read("*/15 22-2 1,15 JAN-MAR MON-FRI");
        assert_eq!(schedule.minutes, 1 | 1 << 15 | 1 << 30 | 1 << 45);
        assert_eq!(schedule.hours, 1 << 22 | 1 << 23 | 0b111);
        assert_eq!((schedule.days, schedule.months, schedule.weekdays), (1 << 1 | 1 << 15, 0b1110, 0b11_1110));
        assert!(schedule.either_day);
        assert_eq!(read("0 0 * * 7").weekdays, read("0 0 * * SUN").weekdays);
        assert_eq!(read("0 0 * * *").weekdays, 0x7f);
        assert_eq!(read("0 0 * * FRI-MON").weekdays, 0b110_0011);
        assert_eq!(read("@weekly").weekdays, 1);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5/2 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "@reboot",
            "*  * * * *",
            "1, * * * *",
            "* * * jan *",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_that_no_month_has_never_comes() {
        let comes = |text: &str| text.parse::<Schedule>().unwrap().can_come();
        assert!(comes("0 0 29 2 *") && comes("0 0 31 * *") && comes("0 0 31 2 MON"));
        assert!(!comes("0 0 30 2 *") && !comes("0 0 31 4,6 *"));
    }
}
