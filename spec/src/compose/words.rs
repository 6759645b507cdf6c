//! The words of a command that is written as one text, split as Compose does: quotes and backslashes, and no shell.

/// The words of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) words: Vec<String>,
    /// What a shell would take for an operator, such as `&&`. Compose drops it and all that follows.
    pub(super) operator: Option<char>,
}

/// Splits a text into words; `None` when a quote is not closed.
pub(super) fn split(text: &str) -> Option<Split> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some('"') | None) => word.get_or_insert_default().push(escaped(chars.next()?)),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            (';' | '&' | '|' | '<' | '>', None) => {
                words.extend(word);
                return Some(Split { words, operator: Some(c) });
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(Split { words, operator: None })
}

fn escaped(c: char) -> char {
    match c {
        't' => '\t',
        'n' => '\n',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_as_compose_does() {
        for (text, words) in [
            ("", &[][..]),
            ("bundle exec thin -p 3000", &["bundle", "exec", "thin", "-p", "3000"]),
            ("sh -c 'echo \"$HOME\"'", &["sh", "-c", "echo \"$HOME\""]),
            (r#"a "b c" d\ e '' f"g"h"#, &["a", "b c", "d e", "", "fgh"]),
            ("a\n  b\tc ", &["a", "b", "c"]),
            (r"'a\b' \n", &[r"a\b", "\n"]),
        ] {
            let split = split(text).unwrap();
            assert_eq!((split.words, split.operator), (words.iter().map(ToString::to_string).collect(), None), "{text}");
        }
    }

    #[test]
    fn words_end_at_what_only_a_shell_knows() {
        let split = split("npm run a && npm run b").unwrap();
        assert_eq!((split.words.join(" "), split.operator), ("npm run a".to_owned(), Some('&')));
    }

    #[test]
    fn an_open_quote_is_no_command() {
        for text in ["'a", "a \"b", "a \\"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
