//! Digests: content named by its own hash, and readers that check bytes against that name.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Error;

/// A SHA-256 digest as registries write it: `sha256:` and 64 lower-case hexadecimal digits.
///
/// Its hexadecimal part is safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

/// Hexadecimal digits of a SHA-256.
const HEX_DIGITS: usize = 64;

impl Digest {
    pub(super) fn parse(text: &str) -> Result<Digest, Error> {
        let hex = text.strip_prefix("sha256:").filter(|hex| is_hex(hex));
        hex.map(|hex| Digest(hex.to_owned())).ok_or_else(|| Error::Digest(text.to_owned()))
    }

    /// Returns the digest of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Digest {
        Digest::from_hash(Sha256::new_with_prefix(bytes))
    }

    /// Returns the 64 hexadecimal digits.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }

    fn from_hash(hash: Sha256) -> Digest {
        Digest(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == HEX_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Digest, Error> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// A reader that hashes and counts what passes through it.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Hashing<R> {
        Hashing { inner, hash: Sha256::new(), count: 0 }
    }

    /// Returns how many bytes have passed.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Returns the digest of all that has passed.
    pub(super) fn digest(self) -> Digest {
        Digest::from_hash(self.hash)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.count += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_sha256_of_full_length_is_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(&format!("sha256:{hex}")).unwrap(), Digest::of(b""));
        for wrong in [
            hex.to_owned(),
            format!("sha512:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}0"),
            "sha256:".to_owned(),
            "sha256:../../../etc/passwd".to_owned(),
            format!("sha256:../../{}", &hex[6..]),
        ] {
            assert!(Digest::parse(&wrong).unwrap_err().is_permanent(), "{wrong}");
        }
    }

    #[test]
    fn a_hashing_reader_knows_what_passed() {
        let mut reader = Hashing::new(&b"hello"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.count(), 5);
        assert_eq!(reader.digest(), Digest::of(b"hello"));
    }
}
