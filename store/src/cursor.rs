//! A place in the history of one store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in the history of one store, opaque to everyone else: its text form is only compared and handed back.
///
/// Cursors of one epoch are ordered by what happened first. A restored or rebuilt store has another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
}

/// Why a text is no [`Cursor`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cursor: take one from an answer of this store")]
pub struct BadCursor(String);

impl Cursor {
    /// Returns the revision of the last transaction that the place is behind.
    pub fn revision(self) -> u64 {
        self.revision
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.epoch, self.revision)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let hex = |part: &str| u64::from_str_radix(part, 16).ok();
        let parsed =
            text.split_once('-').and_then(|(epoch, revision)| Some(Cursor { epoch: hex(epoch)?, revision: hex(revision)? }));
        // One form only, so that equal cursors are equal texts.
        parsed.filter(|cursor| cursor.to_string() == text).ok_or_else(|| BadCursor(text.chars().take(64).collect()))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_form() {
        for cursor in [Cursor { epoch: 0, revision: 0 }, Cursor { epoch: u64::MAX, revision: 0xabc }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", "-", "1-1", "0000000000000001-+1", "0000000000000001-01", "0000000000000001-A", "no cursor"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
