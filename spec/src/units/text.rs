//! Quantities as texts: how they are read, and how they are written.
//!
//! All in decimal digits, so that no amount is rounded through a float.

use std::fmt;
use std::str::FromStr;

use super::{A_CPU, A_DURATION, A_PERCENTAGE, A_SIZE, BadValue, Bytes, Cpu, Duration, Percent};

/// Splits a number from the unit behind it: `12.5Mi` into `12.5` and `Mi`.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// Returns `number` times `scale`, cut to a whole number, when it has at most `whole` digits and `fraction` behind the point.
///
/// Works in decimal digits, so that no amount is rounded through a float.
fn scaled(number: &str, scale: u64, most_whole: usize, most_fraction: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let short = (1..=most_whole).contains(&whole.len()) && fraction.len() <= most_fraction;
    if !short || (number.contains('.') && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?) * u128::from(scale);
    let part = if fraction.is_empty() {
        0
    } else {
        u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale) / 10u128.pow(fraction.len() as u32)
    };
    u64::try_from(whole + part).ok()
}

impl FromStr for Duration {
    type Err = BadValue;

    /// Reads one part or several, which are added: `90s`, `1m30s`, `1.5h`.
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::new(text, A_DURATION);
        let (mut rest, mut total) = (text, 0);
        for _ in 0..PARTS_MAX {
            let (number, more) = split(rest);
            let (unit, scale) = DURATIONS.iter().find(|(unit, _)| more.starts_with(unit)).ok_or_else(bad)?;
            total += scaled(number, *scale, 9, 3).ok_or_else(bad)?;
            rest = &more[unit.len()..];
            if rest.is_empty() {
                return Ok(Duration(total));
            }
        }
        Err(bad())
    }
}

/// Most parts of a duration.
const PARTS_MAX: usize = 5;
/// `ms` before `m`, so that the longer one is found.
const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", DAY)];
const DAY: u64 = 86_400_000;
/// Greatest whole number of a part of a duration: nine digits.
const NUMBER_MAX: u64 = 999_999_999;

impl FromStr for Bytes {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (number, unit) = split(text);
        let found = SIZES.iter().find(|(names, _)| names.contains(&unit));
        let size = found.and_then(|(_, scale)| match scale {
            1 => scaled(number, 1, 19, 0),
            scale => scaled(number, *scale, 6, 3),
        });
        size.map(Bytes).ok_or_else(|| BadValue::new(text, A_SIZE))
    }
}

/// The first name of each is the one that is written.
const SIZES: [(&[&str], u64); 9] = [
    (&["Ti", "TiB"], 1 << 40),
    (&["T", "TB"], 1_000_000_000_000),
    (&["Gi", "GiB"], 1 << 30),
    (&["G", "GB"], 1_000_000_000),
    (&["Mi", "MiB"], 1 << 20),
    (&["M", "MB"], 1_000_000),
    (&["Ki", "KiB"], 1 << 10),
    (&["K", "KB", "k", "kB"], 1_000),
    (&["B"], 1),
];

impl FromStr for Cpu {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        // More digits than thousandths of a core are cut off.
        let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let text_cut = if digits > 9 && text.is_ascii() { &text[..text.len() - (digits - 9)] } else { text };
        match scaled(text_cut, 1000, 4, 9) {
            Some(millicores @ 10..=4_096_000) => Ok(Cpu { millicores: millicores as u32 }),
            _ => Err(BadValue::new(text, A_CPU)),
        }
    }
}

impl FromStr for Percent {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let number = text.strip_suffix('%').filter(|number| !number.starts_with(['0', '+']));
        match number.and_then(|number| number.parse().ok()) {
            Some(percent @ 1..=100) => Ok(Percent(percent)),
            _ => Err(BadValue::new(text, A_PERCENTAGE)),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let fits = |scale: u64| self.0.is_multiple_of(scale) && self.0 / scale <= NUMBER_MAX;
        if let Some((unit, scale)) = DURATIONS.iter().rev().find(|(_, scale)| fits(*scale)) {
            return write!(f, "{}{unit}", self.0 / scale);
        }
        let (mut days, rest) = (self.0 / DAY, self.0 % DAY);
        while days > NUMBER_MAX {
            write!(f, "{NUMBER_MAX}d")?;
            days -= NUMBER_MAX;
        }
        if rest > 0 { write!(f, "{days}d{rest}ms") } else { write!(f, "{days}d") }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |scale: u64| self.0 > 0 && self.0.is_multiple_of(scale) && self.0 / scale < 1_000_000;
        match SIZES.iter().find(|(_, scale)| fits(*scale)) {
            Some((names, scale)) => write!(f, "{}{}", self.0 / scale, names[0]),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.millicores / 1000, self.millicores % 1000);
        match thousandths {
            0 => write!(f, "{whole}"),
            _ => write!(f, "{whole}.{}", format!("{thousandths:03}").trim_end_matches('0')),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}
