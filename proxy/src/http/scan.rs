//! Reads along with the bytes of a connection and finds what hyper would let pass.
//!
//! hyper frames messages correctly but kindly: a bare line feed ends a line, and a `Content-Length` beside a
//! `Transfer-Encoding` is dropped. A backend that frames otherwise could be made to see another request in the same bytes
//! (request smuggling), so here such a request is refused (RFC 9112 sections 2.2, 6.1 and 6.3). This is a second lock, not
//! the only one: what goes to a backend is always framed anew.

/// Where in its messages a connection is.
#[derive(Debug)]
pub(super) struct Scanner {
    part: Part,
    head: Head,
}

/// The first byte that breaks the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) at: usize,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Body,
}

#[derive(Debug)]
enum Part {
    Head,
    /// Bytes left of a body of known length.
    Length(u64),
    Chunk(Chunk),
}

/// Where in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Trailer { empty: bool },
    TrailerLf { empty: bool },
}

#[derive(Debug, Default)]
struct Head {
    line: Line,
    after_cr: bool,
    name: Short<20>,
    value: Short<24>,
    length: Option<u64>,
    chunked: bool,
    host: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Before the request line.
    #[default]
    Nothing,
    Request,
    /// At the start of a field or of the end.
    Start,
    Name,
    Value,
}

/// A short text that remembers whether it was longer.
#[derive(Debug)]
struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        Scanner { part: Part::Head, head: Head::default() }
    }

    /// Says whether a head has begun and not ended.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.part, Part::Head) && (self.head.line != Line::Nothing || self.head.after_cr)
    }

    /// Reads the next bytes of the connection.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            at += self.step(&bytes[at..]).map_err(|skipped| Violation { at: at + skipped, place: self.place() })?;
        }
        Ok(())
    }

    fn place(&self) -> Place {
        if matches!(self.part, Part::Head) { Place::Head } else { Place::Body }
    }

    /// Reads at least one byte; returns how many, or how many came before the one that is wrong.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        match &mut self.part {
            Part::Head => {
                let plain = self.head.plain(bytes);
                if plain > 0 {
                    return Ok(plain);
                }
                if self.head.read(bytes[0]).map_err(|Wrong| 0usize)? {
                    self.part = std::mem::take(&mut self.head).body();
                }
                Ok(1)
            }
            Part::Length(left) => {
                let read = (*left).min(bytes.len() as u64);
                *left -= read;
                if *left == 0 {
                    self.part = Part::Head;
                }
                // At most the length of a slice.
                Ok(read as usize)
            }
            Part::Chunk(Chunk::Data(left)) => {
                let read = (*left).min(bytes.len() as u64);
                *left -= read;
                if *left == 0 {
                    self.part = Part::Chunk(Chunk::DataCr);
                }
                Ok(read as usize)
            }
            Part::Chunk(chunk) => {
                self.part = chunk.read(bytes[0]).map_err(|Wrong| 0usize)?.map_or(Part::Head, Part::Chunk);
                Ok(1)
            }
        }
    }
}

/// A byte that may not stand here.
#[derive(Debug)]
struct Wrong;

impl Head {
    /// Returns how many of the next bytes are of no interest: the common case, taken in one stride.
    fn plain(&self, bytes: &[u8]) -> usize {
        let dull = self.line == Line::Request || (self.line == Line::Value && !self.is_framing());
        if self.after_cr || !dull {
            return 0;
        }
        bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).unwrap_or(bytes.len())
    }

    fn is_framing(&self) -> bool {
        matches!(self.name.text(), Some(b"content-length" | b"transfer-encoding"))
    }

    /// Reads one byte; true at the end of the head.
    fn read(&mut self, byte: u8) -> Result<bool, Wrong> {
        if self.after_cr {
            self.after_cr = false;
            return if byte == b'\n' { self.end_line() } else { Err(Wrong) };
        }
        match (byte, self.line) {
            (b'\r', _) => self.after_cr = true,
            (b'\n' | 0, _) => return Err(Wrong),
            (_, Line::Nothing) => self.line = Line::Request,
            (_, Line::Request) => {}
            // A folded line: part of the last value to some, a field of its own to others.
            (b' ' | b'\t', Line::Start) => return Err(Wrong),
            (b':', Line::Start) => return Err(Wrong),
            (b':', Line::Name) => self.line = Line::Value,
            (_, Line::Start | Line::Name) => {
                self.line = Line::Name;
                self.name.push(byte.to_ascii_lowercase());
            }
            (b' ' | b'\t', Line::Value) if self.value.length == 0 => {}
            (_, Line::Value) => self.value.push(byte),
        }
        Ok(false)
    }

    fn end_line(&mut self) -> Result<bool, Wrong> {
        match self.line {
            // An empty line before a request is allowed (RFC 9112 section 2.2).
            Line::Nothing => return Ok(false),
            Line::Start => return Ok(true),
            Line::Name => return Err(Wrong),
            Line::Request => {}
            Line::Value => self.end_field()?,
        }
        self.line = Line::Start;
        (self.name.length, self.value.length) = (0, 0);
        Ok(false)
    }

    fn end_field(&mut self) -> Result<(), Wrong> {
        let value = self.value.text().map(<[u8]>::trim_ascii_end);
        match self.name.text() {
            Some(b"content-length") => {
                let length = value.and_then(decimal).ok_or(Wrong)?;
                if self.length.replace(length).is_some() || self.chunked {
                    return Err(Wrong);
                }
            }
            Some(b"transfer-encoding") => {
                let is_chunked = value.is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
                if !is_chunked || self.length.is_some() || std::mem::replace(&mut self.chunked, true) {
                    return Err(Wrong);
                }
            }
            Some(b"host") if std::mem::replace(&mut self.host, true) => return Err(Wrong),
            _ => {}
        }
        Ok(())
    }

    fn body(self) -> Part {
        match self.length {
            _ if self.chunked => Part::Chunk(Chunk::START),
            Some(length) if length > 0 => Part::Length(length),
            _ => Part::Head,
        }
    }
}

impl Chunk {
    const START: Chunk = Chunk::Size { digits: 0, size: 0 };

    /// Digits of a chunk's size: more would not fit in 64 bits.
    const DIGITS_MAX: u8 = 16;

    /// Reads one byte that is no data; `None` at the end of the body.
    fn read(self, byte: u8) -> Result<Option<Chunk>, Wrong> {
        Ok(Some(match (self, byte) {
            (Chunk::Size { digits: 1.., size }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Size { digits: 1.., size }, b';' | b' ' | b'\t') => Chunk::Extension { size },
            (Chunk::Size { digits, size }, digit) if digits < Chunk::DIGITS_MAX => {
                let value = char::from(digit).to_digit(16).ok_or(Wrong)?;
                Chunk::Size { digits: digits + 1, size: size << 4 | u64::from(value) }
            }
            (Chunk::Extension { size }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Extension { size }, byte) if byte != b'\n' && byte != 0 => Chunk::Extension { size },
            (Chunk::SizeEnd { size: 0 }, b'\n') => Chunk::Trailer { empty: true },
            (Chunk::SizeEnd { size }, b'\n') => Chunk::Data(size),
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::START,
            (Chunk::Trailer { empty }, b'\r') => Chunk::TrailerLf { empty },
            (Chunk::Trailer { .. }, byte) if byte != b'\n' && byte != 0 => Chunk::Trailer { empty: false },
            (Chunk::TrailerLf { empty: true }, b'\n') => return Ok(None),
            (Chunk::TrailerLf { empty: false }, b'\n') => Chunk::Trailer { empty: true },
            _ => return Err(Wrong),
        }))
    }
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Short { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Short<N> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    /// Returns the text; `None` if it was longer than can be remembered.
    fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(bytes: &str) -> Option<Place> {
        Scanner::new().scan(bytes.as_bytes()).err().map(|violation| violation.place)
    }

    #[test]
    fn what_smuggles_is_found_and_what_is_common_passes() {
        let (head, body) = (Some(Place::Head), Some(Place::Body));
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\nX: content-length: 5\r\n\r\nGET / HTTP/1.1\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.1\r\n\r\n", None),
            ("POST / HTTP/1.1\r\ncontent-length:3 \r\n\r\nabcGET / HTTP/1.1\n", head),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                None,
            ),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", head),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", head),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", head),
            ("\nGET / HTTP/1.1\r\n", head),
            ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", head),
            ("GET / HTTP/1.1\r\nX: a\0\r\n\r\n", head),
            ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", head),
            ("GET / HTTP/1.1\r\nX\r\n\r\n", head),
            ("GET / HTTP/1.1\r\n: x\r\n\r\n", head),
            ("GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", head),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: +3\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n", head),
            ("POST / HTTP/1.1\r\nContent-Length: 0000000000000000000000000000003\r\n", head),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", head),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", head),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", head),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\nabc\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", body),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\n\r\n", body),
        ] {
            assert_eq!(place(request), expected, "{request:?}");
        }
    }

    #[test]
    fn the_scanner_knows_when_a_head_has_begun() {
        let mut scanner = Scanner::new();
        for (bytes, in_head) in [("", false), ("G", true), ("ET / HTTP/1.1\r\n\r", true), ("\n", false), ("P", true)] {
            scanner.scan(bytes.as_bytes()).unwrap();
            assert_eq!(scanner.is_in_head(), in_head, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn where_reads_end_makes_no_difference(
            parts in proptest::collection::vec("(GET / HTTP/1.1\r\n|X: y\r\n|Content-Length: 2\r\n|Transfer-Encoding: chunked\r\n|\r\n|\n|2\r\n|ab|0\r\n|\\PC)", 0..12),
            cuts in proptest::collection::vec(1..9usize, 1..9),
        ) {
            let bytes = parts.concat().into_bytes();
            let whole = Scanner::new().scan(&bytes);
            let mut scanner = Scanner::new();
            let (mut at, mut pieces) = (0, Ok(()));
            for cut in cuts.iter().cycle() {
                if at >= bytes.len() || pieces.is_err() {
                    break;
                }
                let end = (at + cut).min(bytes.len());
                pieces = scanner.scan(&bytes[at..end]).map_err(|violation| Violation { at: violation.at + at, ..violation });
                at = end;
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
