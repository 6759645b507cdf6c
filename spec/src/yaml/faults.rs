//! What is said of a text that is no YAML: what a person did, not what the parser missed.

use granit_parser::{ErrorKind, ScanError};

use super::{Fault, Span, quoted};

/// Puts an error of the parser into words, at the place that a person has to look at.
pub(super) fn of(text: &str, error: &ScanError) -> Fault {
    let at = text.floor_char_boundary(error.marker().byte_offset().unwrap_or_default().min(text.len()));
    let place = Place { text, at };
    place
        .tab(error.kind())
        .or_else(|| place.brackets(error.kind()))
        .or_else(|| place.quotes(error.kind()))
        .unwrap_or_else(|| place.lines(error.kind()))
}

fn fault(span: Span, message: impl Into<String>, fix: &'static str) -> Fault {
    Fault { span, message: message.into(), fix: Some(fix), earlier: None }
}

/// Where the parser stopped.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Place<'a> {
    fn tab(self, kind: &ErrorKind) -> Option<Fault> {
        use ErrorKind as E;
        let of_tabs = matches!(
            kind,
            E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabInPlainScalar | E::TabAtBlockScalarStart
        );
        let tab = self.text[self.line().start..].find('\t')? + self.line().start;
        of_tabs.then(|| fault(one(self.text, tab), "a tab cannot indent", "indent with spaces: YAML forbids tabs"))
    }

    fn brackets(self, kind: &ErrorKind) -> Option<Fault> {
        use ErrorKind as E;
        let here = one(self.text, self.at);
        let open = Open::at(self.text, self.at);
        let unclosed = |at: usize| {
            let bracket = &self.text[one(self.text, at).start..one(self.text, at).end];
            let fix = if bracket == "[" { "close it with `]`" } else { "close it with `}`" };
            Some(fault(one(self.text, at), format!("this `{bracket}` is not closed"), fix))
        };
        match kind {
            E::UnclosedFlowCollection { .. } => unclosed(self.at),
            E::MismatchedFlowCollectionEnd { open, close } => {
                let fix = if *open == '[' { "close it with `]` first" } else { "close it with `}` first" };
                Some(fault(here, format!("this `{open}` is closed by a `{close}`"), fix))
            }
            E::MisplacedFlowCollectionEnd => {
                let bracket = &self.text[here.start..here.end];
                Some(fault(here, format!("this `{bracket}` closes nothing"), "leave it out, or put the text in quotes"))
            }
            E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator | E::InvalidColonPlacement => {
                let (_, bracket) = open.brackets.last().copied()?;
                // A line that begins with a key is no part of what was opened before it.
                if bracket < self.line().start && self.is_key_of_line() {
                    return unclosed(bracket);
                }
                Some(fault(here, "a `,` is missing before this", "separate what is in brackets with `, `"))
            }
            _ => None,
        }
    }

    fn quotes(self, kind: &ErrorKind) -> Option<Fault> {
        use ErrorKind as E;
        match kind {
            E::UnclosedQuotedScalar => Some(self.unclosed_quote(self.at)),
            E::InvalidQuotedScalarIndent => Some(self.unclosed_quote(Open::at(self.text, self.at).quote?)),
            E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar
                if self.text[..self.at].ends_with(' ') =>
            {
                let missing = Open::at(self.text, self.at).brackets.last().is_some();
                Some(match missing {
                    true => fault(
                        one(self.text, self.at),
                        "a `,` or `:` is missing before this",
                        "separate what is in brackets with `, `",
                    ),
                    false => fault(self.rest(), "there is more behind the closing quote", "put all of it in quotes"),
                })
            }
            E::InvalidTrailingSingleQuotedScalar => Some(fault(
                one(self.text, self.at),
                "there is more behind the closing quote",
                "within single quotes write '' for a quote",
            )),
            E::InvalidTrailingDoubleQuotedScalar => Some(fault(
                one(self.text, self.at),
                "there is more behind the closing quote",
                "within double quotes write \\\" for a quote",
            )),
            E::UnknownQuotedScalarEscape
            | E::InvalidQuotedScalarHexEscape
            | E::InvalidUnicodeEscape
            | E::InvalidLowSurrogate
            | E::InvalidLowSurrogateHexEscape
            | E::MissingLowSurrogate
            | E::UnpairedLowSurrogate => {
                let fix = "use single quotes, in which `\\` stands for itself";
                Some(fault(self.rest(), "double quotes have no such `\\` escape", fix))
            }
            _ => None,
        }
    }

    fn unclosed_quote(self, at: usize) -> Fault {
        fault(
            one(self.text, at),
            "this quote is not closed on the lines that follow",
            "close it, or put the text in other quotes",
        )
    }

    fn lines(self, kind: &ErrorKind) -> Fault {
        use ErrorKind as E;
        let here = one(self.text, self.at);
        match kind {
            E::MappingValueNotAllowed => self.colon(),
            E::SimpleKeyExpected | E::InvalidSimpleKey => self.no_key(self.line()),
            E::BlockSequenceEntryNotAllowed | E::BlockEntryInFlowCollection => {
                fault(here, "a list with `- ` does not begin here", "begin it on a line of its own, or write it as [a, b]")
            }
            E::ExpectedBlockSequenceEntry => {
                let fix = "begin it with `- `, or indent it as the key that it belongs beside";
                fault(self.line(), "the lines before this one are a list, and this one has no `- `", fix)
            }
            E::ExpectedBlockMappingKey | E::InvalidIndentation | E::InvalidFlowScalarIndent => {
                let fix = "indent it exactly as the lines that it belongs to";
                fault(self.line(), "this line is indented like none of those above it", fix)
            }
            E::UnknownAnchor | E::MissingAnchorOrAliasName => {
                let name = self.text[here.end..].split([' ', '\n', ',', ']', '}']).next().unwrap_or_default();
                let rest = self.rest();
                let is_name = !name.is_empty() && !name.contains('/') && rest.end == here.end + name.len();
                match is_name {
                    true => fault(
                        rest,
                        format!("there is no anchor `&{}` before this", super::shown(name)),
                        "write the value itself, or put a text in quotes",
                    ),
                    false => self.needs_quotes(),
                }
            }
            E::UnexpectedCharacter { character } if character.is_control() => {
                fault(here, format!("the control character {} cannot be in YAML", quoted(&character.to_string())), "leave it out")
            }
            E::UnexpectedCharacter { .. } => self.needs_quotes(),
            E::InvalidBlockScalarHeader | E::ZeroBlockScalarIndent => fault(
                self.rest(),
                "a text behind `|` or `>` begins on the next line",
                "begin a new line, indented deeper than the key",
            ),
            E::DirectiveDisallowed => fault(self.line(), "lines that begin with `%` are not read", "leave it out"),
            E::CommentNotSeparated => fault(here, "a comment needs a space before its `#`", "put a space before it"),
            E::UnclosedVerbatimTag => fault(here, "this tag is not closed", "leave it out: the language has no tags"),
            E::TooManyComments => fault(here, "too many comments stand here in a row", "leave some of them out"),
            kind => Fault { span: here, message: format!("this is no YAML: {kind}"), fix: None, earlier: None },
        }
    }

    /// A `: ` where no key can be: twice in a line, or behind a line that is no whole one.
    fn colon(self) -> Fault {
        let line = self.line();
        let before = &self.text[line.start..self.at];
        if before.contains(": ") || before.trim_start().starts_with(['"', '\'']) && before.matches(':').count() > 0 {
            let span = Span { start: self.at, end: self.at + 1 };
            return fault(span, "there is a second `: ` in this line", "put the value in quotes, or begin a new line");
        }
        let above = self.line_above();
        if !self.text[above.start..above.end].contains(": ") {
            return self.no_key(above);
        }
        let message = "this line is indented deeper than the one above it, which has its value already";
        fault(line, message, "indent both alike, or leave the value of the line above out")
    }

    /// A line that should be a key and its value.
    fn no_key(self, line: Span) -> Fault {
        match self.text[line.start..line.end].find(':') {
            Some(colon) if line.start + colon + 1 < line.end => {
                let colon = line.start + colon;
                fault(
                    Span { start: colon, end: colon + 1 },
                    "there is no space behind this `:`",
                    "write `: ` between key and value",
                )
            }
            _ => fault(line, "this line is no `key: value`", "write a `:` and a space behind the key"),
        }
    }

    fn needs_quotes(self) -> Fault {
        let first = match &self.text[self.at..one(self.text, self.at).end] {
            "`" => "a backquote".to_owned(),
            other => quoted(other),
        };
        fault(self.rest(), format!("a text cannot begin with {first} without quotes"), "put the text in quotes")
    }

    /// Between the beginning of the line and here there is nothing but a key.
    fn is_key_of_line(self) -> bool {
        let line = self.line();
        let colon = self.text[line.start..line.end].find(':').is_some_and(|colon| line.start + colon == self.at);
        colon && !self.text[line.start..self.at].contains([',', '{', '[', '}', ']'])
    }

    /// Returns the line without what indents it and what ends it.
    fn line(self) -> Span {
        let start = self.text[..self.at].rfind('\n').map_or(0, |end| end + 1);
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |end| self.at + end);
        let line = &self.text[start..end];
        let blank = line.len() - line.trim_start_matches(' ').len();
        Span { start: start + blank, end: start + line.trim_end().len().max(blank) }
    }

    /// Returns the last line before this one that is neither empty nor a comment.
    fn line_above(self) -> Span {
        let mut above = self;
        loop {
            let start = self.text[..above.at].rfind('\n');
            let Some(start) = start else { return above.line() };
            above.at = start;
            let line = above.line();
            let words = &self.text[line.start..line.end];
            if !words.is_empty() && !words.starts_with('#') {
                return line;
            }
        }
    }

    /// Returns what is left of the line.
    fn rest(self) -> Span {
        Span { start: self.at, end: self.line().end.max(one(self.text, self.at).end) }
    }
}

/// Returns the span of one character.
fn one(text: &str, at: usize) -> Span {
    Span { start: at, end: text[at..].chars().next().map_or(at, |c| at + c.len_utf8()) }
}

/// Brackets and quotes that are open at a place.
#[derive(Default)]
struct Open {
    brackets: Vec<(char, usize)>,
    quote: Option<usize>,
}

impl Open {
    /// Looks at the characters alone, which is enough for a place to point at.
    fn at(text: &str, end: usize) -> Open {
        let mut open = Open::default();
        let (mut before, mut comment) = ('\n', false);
        for (at, c) in text[..end].char_indices() {
            let begins = before.is_whitespace() || matches!(before, '[' | '{' | ',');
            match c {
                '\n' => comment = false,
                _ if comment => {}
                '"' | '\'' => match open.quote {
                    None if begins => open.quote = Some(at),
                    Some(quote) if text[quote..].starts_with(c) && !(c == '"' && before == '\\') => open.quote = None,
                    _ => {}
                },
                _ if open.quote.is_some() => {}
                '#' => comment = before.is_whitespace(),
                '[' | '{' if begins || !open.brackets.is_empty() => open.brackets.push((c, at)),
                ']' | '}' => drop(open.brackets.pop()),
                _ => {}
            }
            before = c;
        }
        open
    }
}
