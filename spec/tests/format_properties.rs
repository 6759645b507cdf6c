//! Properties of the canonical form: it means the same, loses no comment, and is its own canonical form.

mod generate;

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Map, Value};
use spec::format::{format, print};
use spec::manifest;
use spec::yaml::{self, Content};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_as_it_was(value in generate::manifest()) {
        let manifest = manifest::read(&generate::json(&value)).manifest.expect("it is of the right type");
        let printed = print(&manifest);
        let reading = manifest::read(&printed);
        prop_assert_eq!(reading.problems, vec![]);
        prop_assert_eq!(reading.manifest.as_ref(), Some(&manifest), "{}", printed);
        prop_assert_eq!(format(&printed), Ok(printed));
    }

    #[test]
    fn a_manifest_of_any_style_is_formatted_to_the_same(value in generate::manifest(), seed in any::<u64>()) {
        let (text, comments) = Writer::write(&value, seed);
        let before = manifest::read(&text);
        prop_assert_eq!(before.problems, vec![], "{}", text);
        let formatted = formatted(&text, comments)?;
        prop_assert_eq!(manifest::read(&formatted).manifest, before.manifest, "{}\n---\n{}", text, formatted);
    }

    #[test]
    fn any_tree_of_any_style_is_formatted_to_the_same(fields in fields(), seed in any::<u64>()) {
        let (text, comments) = Writer::write(&Value::Object(fields), seed);
        formatted(&text, comments)?;
    }

    #[test]
    fn whatever_is_a_mapping_can_be_formatted(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..25)) {
        let text = format!("k: {}", tokens.concat());
        let root = yaml::parse(&text).ok().and_then(|document| document.root);
        if root.is_some_and(|root| matches!(root.content, Content::Mapping { .. })) {
            formatted(&text, 0)?;
        }
    }
}

/// What YAML is made of; few texts of them are YAML, and those are odd ones.
const TOKENS: &[&str] = &[
    "\n",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "\r\n",
    " ",
    "a",
    "b: ",
    "b:",
    "- ",
    "- ",
    "-",
    "# 1\n",
    " # 2\n",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "? ",
    "|\n",
    "|+\n",
    "|2\n",
    ">-\n",
    ">\n",
    "\"",
    "'",
    "'x'",
    "&x ",
    "*x",
    "!t ",
    "~",
    "1",
    "--- ",
    "...\n",
    "é",
    "\t",
    "services:\n",
];

/// Formats a text with so many comments, and looks at what needs no knowledge of its values.
fn formatted(text: &str, comments: usize) -> Result<String, TestCaseError> {
    let formatted = format(text).map_err(|problems| TestCaseError::fail(format!("{problems:?}\n{text}")))?;
    prop_assert_eq!(format(&formatted), Ok(formatted.clone()), "formatting it again changes it:\n{}", text);
    prop_assert!(formatted.ends_with('\n') && !formatted.contains('\r'));
    for number in 0..comments {
        let comment = format!("# comment {number}.");
        prop_assert_eq!(formatted.matches(&comment).count(), 1, "{}\n{}\n---\n{}", comment, text, formatted);
    }
    Ok(formatted)
}

/// Returns trees that are no manifests.
fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let text = prop_oneof![
        3 => "[a-z]{1,8}",
        2 => "[ -~]{0,12}",
        1 => "[ \n\ta-c#:'\"|>-]{0,12}",
        1 => "(one|two| three|\n|\n\n|  ){0,6}",
        1 => "\\PC{0,6}",
        1 => prop::sample::select(vec!["no", "~", "null", "1", "0x1", "1e3", "2024-01-01", "12:30", "-", "---", "...", "? a", "<<", "=", "*", "&a", "!t"])
            .prop_map(str::to_owned),
    ];
    let key = prop_oneof![4 => "[a-z]{1,8}", 1 => "[ -~]{0,8}", 1 => prop::sample::select(vec!["version", "services", "image", "scale", "mode"]).prop_map(str::to_owned)];
    let leaf = prop_oneof![6 => text.prop_map(Value::from), 1 => any::<i32>().prop_map(Value::from), 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)];
    let map = move |value: BoxedStrategy<Value>| {
        prop::collection::btree_map(key.clone(), value, 0..5).prop_map(|map| map.into_iter().collect::<Map<_, _>>())
    };
    let tree = leaf.prop_recursive(5, 40, 5, {
        let map = map.clone();
        move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from);
            prop_oneof![list, map(inner.boxed()).prop_map(Value::Object)]
        }
    });
    map(tree.boxed())
}

/// Writes a value as YAML in a style that differs from place to place, with comments wherever there may be some.
struct Writer {
    text: String,
    seed: u64,
    comments: usize,
    /// Empty lines would be lines of the text that was written last.
    open: bool,
}

impl Writer {
    /// Returns the text, and the number of comments in it.
    fn write(value: &Value, seed: u64) -> (String, usize) {
        let mut writer = Writer { text: String::new(), seed: seed | 1, comments: 0, open: false };
        let (bom, windows) = (writer.one_in(8), writer.one_in(6));
        if writer.one_in(4) {
            writer.above(0);
            writer.text.push_str("---");
            writer.end();
        }
        match value {
            Value::Object(fields) if !fields.is_empty() && !writer.one_in(6) => writer.mapping(fields, 0),
            value => {
                writer.flow(value, 0);
                writer.end();
            }
        }
        writer.above(0);
        let text = if windows { writer.text.replace('\n', "\r\n") } else { writer.text };
        (if bom { format!("\u{feff}{text}") } else { text }, writer.comments)
    }

    fn random(&mut self, below: usize) -> usize {
        // xorshift64 (Marsaglia 2003).
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % below
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random(count) == 0
    }

    fn spaces(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    /// Writes the entries on lines of their own, in an order of its own.
    fn mapping(&mut self, fields: &Map<String, Value>, indentation: usize) {
        for (index, (name, value)) in self.shuffled(fields).into_iter().enumerate() {
            if index > 0 || self.text.ends_with('\n') || self.text.is_empty() {
                self.above(indentation);
                self.spaces(indentation);
            }
            let key = self.word(name, false);
            self.text.push_str(&key);
            self.text.push(':');
            self.value(value, indentation, false);
        }
        if self.one_in(4) {
            self.above(indentation);
        }
    }

    fn sequence(&mut self, items: &[Value], indentation: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || self.text.ends_with('\n') {
                self.above(indentation);
                self.spaces(indentation);
            }
            self.text.push('-');
            self.value(item, indentation, true);
        }
    }

    /// Writes what follows a key or a dash.
    fn value(&mut self, value: &Value, indentation: usize, dash: bool) {
        let step = 1 + self.random(4);
        match value {
            Value::Object(fields) if !fields.is_empty() && !self.one_in(3) => {
                if dash && self.one_in(2) {
                    self.spaces(step);
                } else {
                    self.end();
                }
                self.mapping(fields, indentation + if dash { 1 + step } else { step });
            }
            Value::Array(items) if !items.is_empty() && !self.one_in(3) => {
                // Dashes may stand right below a key.
                let step = if !dash && self.one_in(2) { 0 } else { step };
                self.end();
                self.sequence(items, indentation + step);
            }
            Value::String(text) if self.lines(text, indentation, step) => {}
            Value::Object(_) | Value::Array(_) => {
                self.break_or_space(indentation + 1);
                self.flow(value, indentation + 1);
                self.end();
            }
            value => {
                self.break_or_space(indentation + 1);
                let word = self.scalar(value, false);
                self.text.push_str(&word);
                self.end();
            }
        }
    }

    /// Writes a text of several lines after `|` or `>`, where that can be done.
    fn lines(&mut self, text: &str, indentation: usize, step: usize) -> bool {
        let ends = text.len() - text.trim_end_matches('\n').len();
        let odd = text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}'));
        if odd || text.trim_matches(['\n', ' ', '\t']).is_empty() || self.one_in(2) {
            return false;
        }
        // To be folded, a text must have no lines that begin with a space, nor two line breaks.
        let folds =
            !text.trim_end_matches('\n').contains(['\n', '\t']) && !text.contains("  ") && !text.starts_with(' ') && ends < 2;
        let folded = folds && self.one_in(2);
        let indicator = if text.trim_start_matches('\n').starts_with([' ', '\t']) { step.to_string() } else { String::new() };
        let chomping = ["-", "", "+"][ends.min(2)];
        let _ = write!(self.text, " {}{indicator}{chomping}", if folded { '>' } else { '|' });
        self.end();
        let body = if folded { text.replace(' ', "\n") } else { text.to_owned() };
        for line in body.strip_suffix('\n').unwrap_or(&body).split('\n') {
            if !line.is_empty() {
                self.spaces(indentation + step);
            }
            self.text.push_str(line);
            self.text.push('\n');
        }
        self.open = ends > 1;
        true
    }

    /// Writes a value in brackets.
    fn flow(&mut self, value: &Value, indentation: usize) {
        match value {
            Value::Array(items) => {
                self.text.push('[');
                for item in items {
                    self.break_or_nothing(indentation);
                    self.flow(item, indentation);
                    self.break_or_nothing(indentation);
                    self.text.push(',');
                }
                self.close(']', indentation);
            }
            Value::Object(fields) => {
                self.text.push('{');
                for (name, value) in self.shuffled(fields) {
                    self.break_or_nothing(indentation);
                    let key = self.word(name, true);
                    let _ = write!(self.text, "{key}: ");
                    self.flow(value, indentation);
                    self.break_or_nothing(indentation);
                    self.text.push(',');
                }
                self.close('}', indentation);
            }
            scalar => {
                let word = self.scalar(scalar, true);
                self.text.push_str(&word);
            }
        }
    }

    fn close(&mut self, bracket: char, indentation: usize) {
        // A comma may follow the last, and need not.
        if self.text.ends_with(',') && self.one_in(2) {
            self.text.pop();
        }
        self.break_or_nothing(indentation);
        self.text.push(bracket);
    }

    fn scalar(&mut self, value: &Value, flow: bool) -> String {
        match value {
            Value::String(text) => self.word(text, flow),
            other => other.to_string(),
        }
    }

    /// Returns a text of one line with quotes of some kind, or none where it surely needs none.
    fn word(&mut self, text: &str, flow: bool) -> String {
        let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || " -_/.".contains(c));
        let word = matches!(text.to_ascii_lowercase().as_str(), "no" | "on" | "yes" | "off" | "null" | "true" | "false")
            || text.ends_with(' ');
        let printable =
            text.chars().all(|c| !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'));
        match self.random(3) {
            0 if plain && !word && !(flow && text.contains(' ')) => text.to_owned(),
            1 if printable => format!("'{}'", text.replace('\'', "''")),
            _ => generate::json(&Value::from(text)),
        }
    }

    fn shuffled<'v>(&mut self, fields: &'v Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
        let mut fields: Vec<_> = fields.iter().collect();
        for index in (1..fields.len()).rev() {
            let other = self.random(index + 1);
            fields.swap(index, other);
        }
        fields
    }

    fn comment(&mut self) {
        let _ = write!(self.text, "# comment {}.", self.comments);
        self.comments += 1;
    }

    /// Writes a comment on a line of its own.
    fn line(&mut self, indentation: usize) {
        self.spaces(indentation);
        self.comment();
        self.text.push('\n');
        self.open = false;
    }

    /// Ends a line, some with a comment.
    fn end(&mut self) {
        if self.one_in(5) {
            self.text.push(' ');
            self.comment();
        }
        self.text.push('\n');
        self.open = false;
    }

    /// Writes empty lines and comments, if any.
    fn above(&mut self, indentation: usize) {
        while self.one_in(4) {
            if self.one_in(2) && !self.open {
                self.text.push('\n');
            } else {
                self.line(indentation);
            }
        }
    }

    fn break_or_space(&mut self, indentation: usize) {
        let length = self.text.len();
        self.break_or_nothing(indentation);
        if self.text.len() == length {
            self.text.push(' ');
        }
    }

    /// Begins a new line within a value, some with comments.
    fn break_or_nothing(&mut self, indentation: usize) {
        if self.one_in(8) {
            self.end();
            if self.one_in(3) {
                self.line(indentation);
            }
            self.spaces(indentation);
        }
    }
}
