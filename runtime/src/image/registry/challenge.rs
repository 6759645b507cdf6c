//! What a `WWW-Authenticate` header asks for (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::WWW_AUTHENTICATE;

/// One way to get in.
#[derive(Debug, PartialEq)]
pub(super) struct Challenge {
    /// Lower case: `bearer`, `basic`.
    pub(super) scheme: String,
    pub(super) parameters: BTreeMap<String, String>,
}

/// Parses all challenges; what makes no sense is left out.
pub(super) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(parse_value).collect()
}

fn parse_value(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in split(value) {
        let part = part.trim();
        let (head, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
        // `scheme key=value` begins a challenge, `key=value` goes on with one.
        let parameter = if head.contains('=') || head.is_empty() {
            part
        } else {
            challenges.push(Challenge { scheme: head.to_ascii_lowercase(), parameters: BTreeMap::new() });
            rest.trim()
        };
        if let (Some((key, value)), Some(challenge)) = (parameter.split_once('='), challenges.last_mut()) {
            challenge.parameters.insert(key.trim().to_ascii_lowercase(), unquote(value.trim()));
        }
    }
    challenges
}

/// Splits at commas outside quotes.
fn split(value: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let outside = move |c: char| {
        let is_separator = c == ',' && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        is_separator
    };
    value.split(outside).collect()
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_apart() {
        let value = r#"Bearer realm="https://auth.example/token?a=b,c",service="s \"q\"",scope="repository:x:pull,push", Basic realm=plain, Negotiate"#;
        insta::assert_debug_snapshot!(parse_value(value), @r#"
        [
            Challenge {
                scheme: "bearer",
                parameters: {
                    "realm": "https://auth.example/token?a=b,c",
                    "scope": "repository:x:pull,push",
                    "service": "s \"q\"",
                },
            },
            Challenge {
                scheme: "basic",
                parameters: {
                    "realm": "plain",
                },
            },
            Challenge {
                scheme: "negotiate",
                parameters: {},
            },
        ]
        "#);
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(value: String) {
            parse_value(&value);
        }
    }
}
