//! Quantities with their units: points in time, durations, sizes, processor shares, percentages, ports.

mod text;

use std::fmt;
use std::num::NonZeroU16;

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

/// A size in bytes; written as `512Mi`, `1G`, `64KB` or `10B`.
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
