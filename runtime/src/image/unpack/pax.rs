//! Extended headers of pax archives (POSIX.1-2017, pax "Extended Header").
//!
//! Read by the length that each record declares: values may hold newlines, as file capabilities do, on which the `tar` crate splits.

use super::fault::{Fault, Unpacked};

/// What an extended header says about the entry after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    /// Seconds since 1970 and nanoseconds.
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Pax {
    pub(super) fn parse(mut data: &[u8]) -> Unpacked<Pax> {
        let mut pax = Pax::default();
        while !data.is_empty() {
            let (key, value, rest) = record(data).ok_or_else(|| Fault::hostile("a malformed pax header"))?;
            pax.set(key, value)?;
            data = rest;
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Unpacked {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ if key.starts_with(XATTR) => self.xattrs.push((key[XATTR.len()..].to_vec(), value.to_vec())),
            _ if key.starts_with(b"GNU.sparse.") => return Err(Fault::hostile("sparse files are not supported")),
            _ => {}
        }
        Ok(())
    }
}

/// Splits `<length> <key>=<value>\n` off; the length covers all of it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &data[length..]))
}

fn number(value: &[u8]) -> Unpacked<u64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Fault::hostile("a malformed number in a pax header"))
}

/// Reads `seconds` or `seconds.fraction`.
fn time(value: &[u8]) -> Unpacked<(i64, u32)> {
    let malformed = || Fault::hostile("a malformed time in a pax header");
    let text = std::str::from_utf8(value).map_err(|_| malformed())?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanos: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    match (seconds.parse(), nanos.parse()) {
        // A fraction of a time before 1970 counts backward; nobody needs it.
        (Ok(seconds), Ok(nanos)) if is_digits => Ok((seconds, if seconds < 0 { 0 } else { nanos })),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let length = (1..).map(|digits| body + digits).find(|length| length.to_string().len() + body == *length).unwrap();
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn values_may_hold_newlines() {
        let data = [
            encode("path", b"a\nb"),
            encode("SCHILY.xattr.security.capability", b"\x01\n=\n"),
            encode("mtime", b"12.5"),
            encode("size", b"9"),
        ]
        .concat();
        let pax = Pax::parse(&data).unwrap();
        assert_eq!(pax.path.unwrap(), b"a\nb");
        assert_eq!(pax.xattrs, [(b"security.capability".to_vec(), b"\x01\n=\n".to_vec())]);
        assert_eq!((pax.mtime, pax.size), (Some((12, 500_000_000)), Some(9)));
    }

    #[test]
    fn malformed_records_are_refused() {
        for data in [&b"x"[..], b"5 a=b", b"99 a=b\n", b"0 a=b\n", b"1 \n", b"6 abcd\n", b"18446744073709551616 a=b\n", b"\0\0"] {
            assert!(Pax::parse(data).is_err(), "{data:?}");
        }
        for (key, value) in [("size", "-1"), ("uid", "x"), ("mtime", "1.2.3"), ("GNU.sparse.major", "1")] {
            assert!(Pax::parse(&encode(key, value.as_bytes())).is_err(), "{key}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>) {
            let _ = Pax::parse(&data);
        }
    }
}
