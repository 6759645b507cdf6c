//! Stable, short fingerprints: names of derived objects, jitter, address choice.

use sha2::{Digest, Sha256};

/// Returns the first `digits` hexadecimal digits of the SHA-256 of `parts`.
///
/// Parts are length-prefixed, so `["ab", "c"]` and `["a", "bc"]` differ.
pub fn hex(parts: &[&str], digits: usize) -> String {
    let digest = digest(parts);
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .take(digits)
        .map(|nibble| char::from_digit(nibble.into(), 16).unwrap_or('0'))
        .collect()
}

/// Returns a number that depends on `parts` alone.
pub fn number(parts: &[&str]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest(parts);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}
