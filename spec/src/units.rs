//! Quantities with their units: points in time, durations, sizes, processor shares, percentages, ports.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shape::{Integer, Model, Number, Shape};
use crate::yaml::quoted;

/// Milliseconds since the Unix epoch on the node's steady clock, which never runs backward while the node is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub fn after(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.0))
    }

    /// Returns the time from `earlier` to `self`; zero when `earlier` lies in the future, as after a clock step between two runs.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in milliseconds; written as `500ms`, `15s`, `10m`, `2h` or `1d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub u64);

impl Duration {
    pub const fn seconds(seconds: u64) -> Duration {
        Duration(seconds * 1000)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        std::time::Duration::from_millis(duration.0)
    }
}

/// A size in bytes; written as `512Mi`, `1G`, `64KB` or a number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A share of processor time in thousandths of a core; written as a number of cores such as `2` or `0.25`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu {
    pub millicores: u32,
}

/// A percentage; written as `70%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

/// A port of TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

/// A status of HTTP (RFC 9110, section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct HttpStatus(u16);

/// Why a text is no value of a type: what it says, and what would be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{} is not {expected}", quoted(.text))]
pub struct BadValue {
    text: String,
    expected: &'static str,
}

impl BadValue {
    pub fn new(text: &str, expected: &'static str) -> BadValue {
        BadValue { text: text.to_owned(), expected }
    }
}

const A_DURATION: &str = "a duration such as 500ms, 15s, 1m30s, 2h or 1d";
const A_SIZE: &str = "a size such as 512Mi, 1G or 64KB";
const A_CPU: &str = "a number of cores such as 2 or 0.25, from 0.01 to 4096";
const A_PERCENTAGE: &str = "a percentage from 1% to 100%";
const A_PORT: &str = "a port from 1 to 65535";
const A_STATUS: &str = "an HTTP status from 100 to 599";

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

impl Port {
    pub const fn new(port: u16) -> Option<Port> {
        match NonZeroU16::new(port) {
            Some(port) => Some(Port(port)),
            None => None,
        }
    }

    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl HttpStatus {
    pub fn new(status: u16) -> Option<HttpStatus> {
        (100..=599).contains(&status).then_some(HttpStatus(status))
    }

    pub fn get(self) -> u16 {
        self.0
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

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HttpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Cpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.millicores % 1000 {
            0 => serializer.serialize_u32(self.millicores / 1000),
            _ => serializer.serialize_f64(f64::from(self.millicores) / 1000.0),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Port::new(u16::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom(A_PORT))
    }
}

impl<'de> Deserialize<'de> for HttpStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HttpStatus::new(u16::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom(A_STATUS))
    }
}

impl Model for Port {
    const SHAPE: Shape = Shape::Integer(&Integer { name: "port", expected: A_PORT, min: 1, max: 65535 });
}

impl Model for HttpStatus {
    const SHAPE: Shape = Shape::Integer(&Integer { name: "HTTP status", expected: A_STATUS, min: 100, max: 599 });
}

impl Model for Cpu {
    const SHAPE: Shape = Shape::Number(&Number { name: "number of cores", expected: A_CPU, min: 0.01, max: 4096.0 });
}

scalar! { @shape Duration, "duration", A_DURATION, r"^(?:[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)){1,5}$", Some("s") }
scalar! {
    @shape Bytes, "size", A_SIZE,
    r"^(?:[0-9]{1,19}B|[0-9]{1,6}(?:\.[0-9]{1,3})?(?:[KMGT]B?|[KMGT]iB?|kB?))$", Some("Mi")
}
scalar! { @shape Percent, "percentage", A_PERCENTAGE, r"^(?:[1-9][0-9]?|100)%$", Some("%") }

/// Serialises as text.
macro_rules! as_text {
    ($($quantity:ty),*) => {$(
        impl Serialize for $quantity {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text!(Duration, Bytes, Percent);

/// Takes text or a bare number.
macro_rules! from_text {
    ($($quantity:ty, $expected:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $quantity;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$quantity, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$quantity, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<$quantity, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    )*};
}

from_text! {
    Duration, A_DURATION;
    Bytes, A_SIZE;
    Cpu, A_CPU;
    Percent, A_PERCENTAGE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, milliseconds, printed) in [
            ("500ms", 500, "500ms"),
            ("15s", 15_000, "15s"),
            ("90m", 5_400_000, "90m"),
            ("1.5h", 5_400_000, "90m"),
            ("1m30s", 90_000, "90s"),
            ("1h0m5ms", 3_600_005, "3600005ms"),
            ("17000.01m", 1_020_000_600, "11d69600600ms"),
            ("999999999d999999999.5d", 172_799_999_870_400_000, "999999999d999999999d43200000ms"),
            ("0s", 0, "0s"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.0, duration.to_string().as_str()), (milliseconds, printed));
        }
        for text in ["", "15", "s", "-1s", "1 s", "1e3s", ".5s", "5.s", "99999999999999999999d", "1s1s1s1s1s1s", "1.2.3s", "1m30"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, printed) in [
            ("512Mi", 512 << 20, "512Mi"),
            ("1G", 1_000_000_000, "1G"),
            ("1.5Ki", 1536, "1536B"),
            ("64B", 64, "64B"),
            ("999999.999Ti", 1_099_511_626_676_488_372, "1099511626676488372B"),
        ] {
            let size: Bytes = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, printed));
        }
        for text in ["", "64", "16777216Ti", "1.Gi", "1.2.3Gi", "1 Gi", "1gb", "0.5B"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_of_a_core_keep_their_thousandths() {
        for (text, millicores, printed) in [("2", 2000, "2"), ("0.25", 250, "0.25"), ("1.5", 1500, "1.5")] {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!((cpu.millicores, cpu.to_string().as_str()), (millicores, printed));
        }
        for text in ["0", "0.001", "-1", "5000", "1k", "0.12345678é1"] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_are_from_1_to_100() {
        assert_eq!("70%".parse(), Ok(Percent(70)));
        for text in ["", "%", "70", "0%", "101%", "07%", "+7%", "7.5%", "999%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_in_the_future_counts_as_now() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration(0));
    }
}
