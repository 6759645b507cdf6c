//! Scalars: with quotes where they are needed, and texts of several lines as they were.

use std::fmt::Write;

use crate::yaml::{Content, Node, Plain, Style};

/// A scalar, and the form it is written in.
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) form: Form,
}

pub(super) enum Form {
    /// A text: without quotes, where it is the same without.
    Text,
    /// A text that keeps its quotes.
    Quoted,
    /// As it stands: a number, `true`, `~`.
    Raw,
    /// Nothing is written where nothing is meant.
    Empty,
    /// The lines after `|`.
    Literal,
    /// The lines after `>`, which the text cannot be broken into again.
    Folded(Vec<String>),
}

impl Scalar {
    pub(super) fn text(text: &str) -> Scalar {
        Scalar { text: text.to_owned(), form: Form::Text }
    }

    pub(super) fn raw(text: String) -> Scalar {
        Scalar { text, form: Form::Raw }
    }

    /// Returns the scalar of a node. Quotes stay where their writer put them: they say that a text is meant.
    pub(super) fn of(node: &Node, source: &str) -> Scalar {
        let Content::Scalar { text, style } = &node.content else { return Scalar::text("") };
        let one_line = !text.contains('\n');
        let form = match style {
            Style::Plain if node.span.start == node.span.end => Form::Empty,
            Style::Plain if node.tag().is_some() && one_line => Form::Raw,
            Style::Plain if matches!(node.plain(), Some(Plain::Text(_))) && node.tag().is_none() => Form::Text,
            Style::Plain if one_line => Form::Raw,
            Style::Literal | Style::Folded if text.is_empty() => Form::Quoted,
            Style::Folded if !text.trim_start_matches('\n').is_empty() => Form::Folded(folded(node, source)),
            Style::Literal | Style::Folded => Form::Literal,
            Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => Form::Quoted,
        };
        Scalar { text: text.to_string(), form }
    }

    /// Returns it as part of a line, within brackets or not; `None` for what has lines of its own.
    pub(super) fn inline(&self, flow: bool) -> Option<String> {
        match &self.form {
            Form::Text if is_plain(&self.text, flow) => Some(self.text.clone()),
            Form::Text | Form::Quoted if fits_single(&self.text) => Some(format!("'{}'", self.text)),
            Form::Text | Form::Quoted => Some(quote(&self.text)),
            Form::Raw => Some(self.text.clone()),
            Form::Empty if !flow => Some(String::new()),
            // After a tag, nothing else would mean nothing.
            Form::Empty => Some(self.text.clone()).filter(|text| !text.is_empty()),
            Form::Literal | Form::Folded(_) => None,
        }
    }

    /// Returns it as a key, which stands on one line.
    pub(super) fn key(&self, flow: bool) -> String {
        match self.form {
            Form::Literal | Form::Folded(_) => quote(&self.text),
            Form::Quoted => Scalar::text(&self.text).inline(flow).unwrap_or_default(),
            _ => self.inline(flow).unwrap_or_default(),
        }
    }

    /// Returns its indicator and its lines; nothing for what is part of a line.
    pub(super) fn block(&self) -> Option<(String, Vec<&str>)> {
        let ends = self.text.len() - self.text.trim_end_matches('\n').len();
        let (sign, lines): (_, Vec<&str>) = match &self.form {
            Form::Literal => ('|', self.text.strip_suffix('\n').unwrap_or(&self.text).split('\n').collect()),
            Form::Folded(lines) => ('>', lines.iter().map(String::as_str).chain((1..ends).map(|_| "")).collect()),
            _ => return None,
        };
        let keeps = ends > 1 || ends == self.text.len();
        let indented = lines.iter().find(|line| !line.is_empty()).is_some_and(|line| line.starts_with(' '));
        let chomping = if keeps {
            "+"
        } else if ends == 0 {
            "-"
        } else {
            ""
        };
        Some((format!("{sign}{}{chomping}", if indented { "2" } else { "" }), lines))
    }
}

/// Whether a text of several lines can be written after `|`.
pub(super) fn fits_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.trim_matches('\n').is_empty()
        && text.chars().all(|c| matches!(c, '\n' | '\t') || is_printable(c))
}

/// Returns the lines of a folded scalar without their indentation, and without the empty lines after the last.
fn folded(node: &Node, source: &str) -> Vec<String> {
    let start = source[..node.span.start].rfind('\n').map_or(0, |at| at + 1);
    let indentation = node.span.start - start;
    let lines = source[start..node.span.end].lines().map(|line| line.get(indentation..).unwrap_or_default().to_owned());
    let before = node.text().unwrap_or_default().chars().take_while(|c| *c == '\n').map(|_| String::new());
    let mut lines: Vec<String> = before.chain(lines).collect();
    lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
    lines
}

/// Whether single quotes spare a text escapes that double ones would need.
fn fits_single(text: &str) -> bool {
    text.contains(['"', '\\']) && !text.contains('\'') && text.chars().all(is_printable)
}

/// Whether a text is read as that text without quotes, here and by other readers of YAML.
fn is_plain(text: &str, flow: bool) -> bool {
    let starts_well = match text.chars().next() {
        Some('-') => text[1..].starts_with(|c: char| c != ' ') && !text.starts_with("---"),
        Some('.') => !text.starts_with("..."),
        Some(c) => !",[]{}#&*!|>'\"%@`?: ".contains(c),
        None => false,
    };
    let ends_well = !text.ends_with([' ', ':']);
    let within = !text.contains(": ") && !text.contains(" #") && text.chars().all(is_printable);
    let in_brackets = !flow || !text.contains([',', '[', ']', '{', '}']);
    starts_well && ends_well && within && in_brackets && !is_date(text) && matches!(Plain::of(text), Plain::Text(_))
}

/// A date is no text for readers of YAML 1.1.
fn is_date(text: &str) -> bool {
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = text.splitn(3, '-');
    let (year, month, rest) = (parts.next(), parts.next(), parts.next());
    let day = rest.map(|rest| rest.split(['T', 't', ' ']).next().unwrap_or_default());
    year.is_some_and(|year| digits(year, 4))
        && month.is_some_and(|month| digits(month, 2))
        && day.is_some_and(|day| digits(day, 2))
}

/// It may stand in a text as it is.
fn is_printable(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || turns || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
}

/// Returns a text in double quotes (YAML 1.2.2, section 5.7).
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => {
                let _ = match u32::from(c) {
                    code @ ..0x100 => write!(quoted, "\\x{code:02x}"),
                    code @ ..0x1_0000 => write!(quoted, "\\u{code:04x}"),
                    code => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}
