//! Names of a layer's entries, made relative and checked before the kernel sees them.

use std::fmt;

use super::fault::{Fault, Unpacked};

/// A relative path without empty parts, `.` and `..`; empty for the root itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

/// The kernel's bound on a path, its final NUL included.
const PATH_MAX: usize = 4096;

impl Name {
    pub(super) fn parse(raw: &[u8]) -> Unpacked<Name> {
        let parts: Vec<&[u8]> = raw.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        let name = Name(parts.join(&b'/'));
        if parts.contains(&&b".."[..]) {
            return Err(name.hostile("a name with `..`"));
        }
        if name.0.contains(&0) {
            return Err(name.hostile("a name with a NUL"));
        }
        if name.0.len() >= PATH_MAX {
            return Err(name.hostile("a name of 4096 bytes or more"));
        }
        Ok(name)
    }

    /// Splits into the parent and the last part; none for the root.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn hostile(&self, reason: &str) -> Fault {
        Fault::hostile(format!("{self}: {reason}"))
    }
}

/// Quoted, escaped, and cut where it is absurdly long.
impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Quoted(&self.0))
    }
}

/// Bytes for a message.
pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

/// Bytes of a name that a message shows.
const SHOWN: usize = 200;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        let rest = if shown.len() < self.0.len() { "…" } else { "" };
        write!(formatter, "{:?}{rest}", String::from_utf8_lossy(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_relative() {
        for (raw, name) in
            [("/etc/passwd", "etc/passwd"), ("./a//b/./c/", "a/b/c"), ("./", ""), ("/", ""), ("a..b/...", "a..b/...")]
        {
            assert_eq!(Name::parse(raw.as_bytes()).unwrap().as_bytes(), name.as_bytes());
        }
    }

    #[test]
    fn names_that_climb_or_cut_are_refused() {
        for raw in [&b"../x"[..], b"a/../../x", b"..", b"a/..", b"/..", b"a\0b", &[b'a'; 5000]] {
            assert!(matches!(Name::parse(raw), Err(Fault::Hostile(_))));
        }
    }

    #[test]
    fn the_last_part_is_split_off() {
        let split = |raw: &str| Name::parse(raw.as_bytes()).unwrap().split().map(|(a, b)| (a.to_vec(), b.to_vec()));
        assert_eq!(split("a/b/c"), Some((b"a/b".to_vec(), b"c".to_vec())));
        assert_eq!(split("a"), Some((vec![], b"a".to_vec())));
        assert_eq!(split("."), None);
    }
}
