//! Quantities with their units: points in time, durations, sizes, processor shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// Why a text is no quantity: what it says and what would be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {expected}")]
pub struct BadQuantity {
    text: String,
    expected: &'static str,
}

const A_DURATION: &str = "a duration such as 500ms, 15s, 10m, 2h or 1d";
const A_SIZE: &str = "a size such as 512Mi, 1G or 64KB";
const A_CPU: &str = "a number of cores such as 2 or 0.25, at least 0.01 and at most 4096";

/// Splits `12.5Mi` into the exact value of its number times `scale(unit)`.
///
/// Works in decimal digits, so that no amount is rounded through a float; `None` when it does not fit or is no number.
fn scaled(text: &str, scale: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = u128::from(scale(unit)?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok().map(u128::from)? * scale;
    let part = if fraction.is_empty() {
        0
    } else {
        u128::from(fraction.parse::<u64>().ok()?) * scale / 10u128.pow(fraction.len() as u32)
    };
    u64::try_from(whole + part).ok()
}

impl FromStr for Duration {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let unit = |unit: &str| match unit {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        scaled(text, unit).map(Duration).ok_or_else(|| BadQuantity { text: text.to_owned(), expected: A_DURATION })
    }
}

impl FromStr for Bytes {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let unit = |unit: &str| {
            Some(match unit {
                "" | "B" => 1,
                "K" | "KB" | "k" | "kB" => 1_000,
                "M" | "MB" => 1_000_000,
                "G" | "GB" => 1_000_000_000,
                "T" | "TB" => 1_000_000_000_000,
                "Ki" | "KiB" => 1 << 10,
                "Mi" | "MiB" => 1 << 20,
                "Gi" | "GiB" => 1 << 30,
                "Ti" | "TiB" => 1 << 40,
                _ => return None,
            })
        };
        scaled(text, unit).map(Bytes).ok_or_else(|| BadQuantity { text: text.to_owned(), expected: A_SIZE })
    }
}

impl FromStr for Cpu {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let millicores = scaled(text, |unit| unit.is_empty().then_some(1000)).and_then(|value| u32::try_from(value).ok());
        match millicores {
            Some(millicores @ 10..=4_096_000) => Ok(Cpu { millicores }),
            _ => Err(BadQuantity { text: text.to_owned(), expected: A_CPU }),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
        match units.into_iter().find(|(scale, _)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((scale, unit)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
        match units.into_iter().find(|(scale, _)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((scale, unit)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}", self.0),
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

/// Serialises as text, and takes text or a bare number, as YAML gives `cpu: 2` and `memory: 1048576`.
macro_rules! as_text {
    ($($quantity:ty, $expected:expr;)*) => {$(
        impl Serialize for $quantity {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

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

as_text! {
    Duration, A_DURATION;
    Bytes, A_SIZE;
    Cpu, A_CPU;
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
            ("0s", 0, "0ms"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration.0, duration.to_string().as_str()), (milliseconds, printed));
        }
        for text in ["", "15", "s", "-1s", "1 s", "1e3s", ".5s", "5.s", "99999999999999999999d", "213503982335d"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, printed) in
            [("512Mi", 512 << 20, "512Mi"), ("1G", 1_000_000_000, "1000000000"), ("1.5Ki", 1536, "1536"), ("64", 64, "64")]
        {
            let size: Bytes = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, printed));
        }
        assert!("16777216Ti".parse::<Bytes>().is_err(), "2^64 does not fit");
    }

    #[test]
    fn shares_of_a_core_keep_their_thousandths() {
        for (text, millicores, printed) in [("2", 2000, "2"), ("0.25", 250, "0.25"), ("1.5", 1500, "1.5")] {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!((cpu.millicores, cpu.to_string().as_str()), (millicores, printed));
        }
        for text in ["0", "0.001", "-1", "5000", "1k"] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_in_the_future_counts_as_now() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration(0));
    }
}
