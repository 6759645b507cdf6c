//! One reading of a path, for routing; what goes to the backend is unchanged.

use std::borrow::Cow;

/// A path that proxy and backend could read differently.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path has {0}")]
pub(super) struct Ambiguous(&'static str);

/// Returns the path with its needlessly encoded characters decoded (RFC 3986 section 6.2.2).
pub(super) fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if path.contains('\\') {
        return Err(Ambiguous("a backslash"));
    }
    let plain = if path.contains('%') { Cow::Owned(decode(path)?) } else { Cow::Borrowed(path) };
    let is_dots = |segment: &str| {
        // Some servers cut a segment's parameters off first: `..;x` is `..` to them.
        let name = segment.split(';').next().unwrap_or_default();
        name == "." || name == ".."
    };
    if plain.split('/').any(is_dots) { Err(Ambiguous("a dot segment")) } else { Ok(plain) }
}

fn decode(path: &str) -> Result<String, Ambiguous> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.ok_or(Ambiguous("a `%` without two digits"))? {
            b'/' => return Err(Ambiguous("an encoded slash")),
            b'\\' => return Err(Ambiguous("an encoded backslash")),
            0 => return Err(Ambiguous("an encoded NUL")),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
            _ => plain.push_str(&rest[at..at + 3].to_ascii_uppercase()),
        }
        rest = &rest[at + 3..];
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_reading_or_is_refused() {
        for (path, plain) in [
            ("/", "/"),
            ("/a/b.c/..d/...", "/a/b.c/..d/..."),
            ("/%61pi/%7Euser", "/api/~user"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("//x//", "//x//"),
            ("/a;v=1/b", "/a;v=1/b"),
        ] {
            assert_eq!(normalise(path).unwrap(), plain);
        }
        for (path, why) in [
            ("/a/../b", "a dot segment"),
            ("/a/..", "a dot segment"),
            ("/./a", "a dot segment"),
            ("/a/%2e%2E/b", "a dot segment"),
            ("/a/.%2e", "a dot segment"),
            ("/a/..;x/b", "a dot segment"),
            ("/a%2fb", "an encoded slash"),
            ("/a%2Fb", "an encoded slash"),
            ("/a%5cb", "an encoded backslash"),
            ("/a\\b", "a backslash"),
            ("/a%00", "an encoded NUL"),
            ("/a%", "a `%` without two digits"),
            ("/a%2", "a `%` without two digits"),
            ("/a%+1", "a `%` without two digits"),
            ("/a%é", "a `%` without two digits"),
        ] {
            assert_eq!(normalise(path), Err(Ambiguous(why)), "{path}");
        }
    }
}
