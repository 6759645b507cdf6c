//! `${NAME}` in the values of a compose file, which are filled in from the environment of whoever runs Compose.

use std::collections::BTreeSet;

/// A text with its defaults filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// Variables without a default stand in it as `${NAME}`.
    pub(super) text: String,
    /// Variables with a default, and the default that was taken.
    pub(super) defaults: Vec<(String, String)>,
    /// Variables without a default.
    pub(super) unset: Vec<String>,
    /// The same, to be found quickly.
    named: BTreeSet<String>,
    /// Something begins like a variable and is none; it was kept as it stands.
    pub(super) odd: bool,
}

/// Deepest nesting of defaults within defaults.
const DEPTH_MAX: usize = 8;

/// Fills in the defaults, and takes the second `$` off `$$`.
pub(super) fn fill(text: &str) -> Filled {
    let mut filled = Filled::default();
    filled.add(text, 0);
    filled
}

impl Filled {
    /// Returns the name when the whole text is one variable.
    pub(super) fn variable(&self) -> Option<&str> {
        let [name] = self.unset.as_slice() else { return None };
        (self.text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) == Some(name)).then_some(name)
    }

    fn add(&mut self, text: &str, depth: usize) {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            self.text.push_str(before);
            rest = match after.bytes().next() {
                Some(b'$') => {
                    self.text.push('$');
                    &after[1..]
                }
                Some(b'{') => self.braced(after, depth),
                _ => self.bare(after),
            };
        }
        self.text.push_str(rest);
    }

    /// Reads `NAME`; returns what follows.
    fn bare<'t>(&mut self, after: &'t str) -> &'t str {
        match name(after) {
            "" => self.text.push('$'),
            name => self.unset(name),
        }
        &after[name(after).len()..]
    }

    /// Reads `{NAME…}`; returns what follows.
    fn braced<'t>(&mut self, after: &'t str, depth: usize) -> &'t str {
        let Some(end) = closing(after).filter(|_| depth < DEPTH_MAX) else {
            self.text.push('$');
            self.text.push_str(after);
            self.odd = true;
            return "";
        };
        let (inner, rest) = (&after[1..end], &after[end + 1..]);
        let (name, operation) = inner.split_at(name(inner).len());
        let operator = operation.trim_start_matches(':').bytes().next();
        match operator {
            _ if name.is_empty() => self.keep(inner),
            None if operation.is_empty() => self.unset(name),
            Some(b'?') => self.unset(name),
            Some(b'-') => self.take_default(name, operation.trim_start_matches(':').trim_start_matches('-'), depth),
            // Text for when the variable is set; without it there is none.
            Some(b'+') => self.defaults.push((name.to_owned(), String::new())),
            _ => self.keep(inner),
        }
        rest
    }

    fn take_default(&mut self, name: &str, default: &str, depth: usize) {
        let start = self.text.len();
        self.add(default, depth + 1);
        let taken = self.text[start..].to_owned();
        self.defaults.push((name.to_owned(), taken));
    }

    fn unset(&mut self, name: &str) {
        self.text.push_str(&format!("${{{name}}}"));
        if self.named.insert(name.to_owned()) {
            self.unset.push(name.to_owned());
        }
    }

    fn keep(&mut self, inner: &str) {
        self.text.push_str(&format!("${{{inner}}}"));
        self.odd = true;
    }
}

/// Returns the name of a variable that the text begins with.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

/// Returns where the brace closes that the text begins with.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if at == 0 || text.as_bytes()[at - 1] == b'$' => open += 1,
            b'}' if open == 1 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_filled_in_and_the_rest_is_named() {
        for (text, filled, unset) in [
            ("plain", "plain", &[][..]),
            ("a$$b $ 5$", "a$b $ 5$", &[]),
            ("$${A}", "${A}", &[]),
            ("${A}", "${A}", &["A"]),
            ("$A/$B", "${A}/${B}", &["A", "B"]),
            ("${A:-x}${A-y}", "xy", &[]),
            ("${A:-${B:-${C}}}z", "${C}z", &["C"]),
            ("${A:?must be set}", "${A}", &["A"]),
            ("${A:+alt}", "", &[]),
            ("${A:-{}}", "{}", &[]),
            ("${A:-}", "", &[]),
        ] {
            let found = fill(text);
            assert_eq!(
                (found.text.as_str(), found.unset.iter().map(String::as_str).collect::<Vec<_>>()),
                (filled, unset.to_vec()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_variable_is_kept() {
        for text in ["${", "${}", "${1}", "${A/b/c}", "${A:-x"] {
            let found = fill(text);
            assert!(found.odd && found.text == text, "{text}: {found:?}");
        }
        let deep = "${A:-".repeat(100_000);
        assert!(fill(&deep).odd);
        let deep = format!("{}{}", "${A:-".repeat(1000), "}".repeat(1000));
        assert!(fill(&deep).odd);
    }

    #[test]
    fn a_text_that_is_one_variable_is_told() {
        assert_eq!(fill("${A}").variable(), Some("A"));
        assert_eq!(fill("$A").variable(), Some("A"));
        for text in ["x${A}", "$${A}", "${A:-b}", "$A$A", "$A$B"] {
            assert_eq!(fill(text).variable(), None, "{text}");
        }
    }
}
