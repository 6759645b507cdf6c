//! What a scalar without quotes means.

/// A plain scalar by the core schema (YAML 1.2.2, section 10.3.2), and what else other readers of YAML take for no text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plain<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A number with a fraction or an exponent, or an integer beyond 64 bits.
    Float(f64),
    /// Text for some readers of YAML, something else for others: `no`, `0o17`, `.inf`.
    Doubtful,
    Text(&'a str),
}

impl<'a> Plain<'a> {
    pub(crate) fn of(text: &'a str) -> Plain<'a> {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
            "true" | "True" | "TRUE" => return Plain::Boolean(true),
            "false" | "False" | "FALSE" => return Plain::Boolean(false),
            _ => {}
        }
        if is_doubtful_word(text) {
            return Plain::Doubtful;
        }
        number(text).unwrap_or(Plain::Text(text))
    }
}

/// The booleans of YAML 1.1, and the numbers that are none.
fn is_doubtful_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let word = lower.trim_start_matches(['+', '-']);
    matches!(lower.as_str(), "yes" | "no" | "on" | "off" | "<<" | "=") || matches!(word, ".inf" | ".nan")
}

fn number<'a>(text: &str) -> Option<Plain<'a>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let first = digits.bytes().next()?;
    let is_number = first.is_ascii_digit() || (first == b'.' && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit));
    if !is_number {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // Octal in YAML 1.1.
        if digits.len() > 1 && first == b'0' {
            return Some(Plain::Doubtful);
        }
        return Some(text.parse().map_or_else(|_| Plain::Float(text.parse().unwrap_or(f64::INFINITY)), Plain::Integer));
    }
    let radix = digits.get(..2).is_some_and(|start| matches!(start, "0x" | "0o" | "0b" | "0X"));
    if radix && digits[2..].bytes().all(|b| b.is_ascii_hexdigit() || b == b'_') {
        return Some(Plain::Doubtful);
    }
    if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return text.parse().ok().map(Plain::Float);
    }
    // Integers with `_` and sexagesimals such as 12:30 of YAML 1.1.
    let odd = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b':' | b'.'));
    let sexagesimal = digits.split(':').skip(1).all(|part| part.len() <= 2 && part.parse::<u8>().is_ok_and(|part| part < 60));
    (odd && sexagesimal && !digits.ends_with(['_', '.', ':']) && !is_address(digits)).then_some(Plain::Doubtful)
}

/// `10.0.0.1` is read as a text by all.
fn is_address(text: &str) -> bool {
    text.matches('.').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_something_else_is_no_text() {
        for (text, meaning) in [
            ("", Plain::Null),
            ("~", Plain::Null),
            ("true", Plain::Boolean(true)),
            ("no", Plain::Doubtful),
            ("On", Plain::Doubtful),
            ("8080", Plain::Integer(8080)),
            ("-1", Plain::Integer(-1)),
            ("+3", Plain::Integer(3)),
            ("0", Plain::Integer(0)),
            ("017", Plain::Doubtful),
            ("0o17", Plain::Doubtful),
            ("0xff", Plain::Doubtful),
            ("1e3", Plain::Float(1000.0)),
            (".5", Plain::Float(0.5)),
            ("1_000", Plain::Doubtful),
            ("12:30", Plain::Doubtful),
            (".inf", Plain::Doubtful),
            ("99999999999999999999", Plain::Float(1e20)),
        ] {
            assert_eq!(Plain::of(text), meaning, "{text}");
        }
        for text in
            ["nginx", "1.2.3", "10.0.0.1", "512Mi", "70%", "10s", "8080:80", "e3", "-", "nope", "0.1.0", "1.25-alpine", "ünïcode"]
        {
            assert_eq!(Plain::of(text), Plain::Text(text), "{text}");
        }
    }
}
