//! Doc comments, taken apart.

/// What a doc comment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doc {
    /// Paragraphs, each one line.
    pub paragraphs: Vec<String>,
    /// What absence means, where a value does not say it.
    pub default: Option<String>,
    /// The field as YAML.
    pub example: Option<String>,
    /// Not in the OCI Service Specification, Draft v1.
    pub addition: bool,
    /// Valid, and this version cannot run it.
    pub unbuilt: bool,
}

/// What the next line of text would go on with.
enum Open {
    Nothing,
    Paragraph,
    Default,
}

const UNBUILT: &str = "Unbuilt.";

/// Returns whether a doc comment says that this version cannot run what it describes.
pub const fn is_unbuilt(lines: &[&str]) -> bool {
    let [line, rest @ ..] = lines else { return false };
    matches!(line.trim_ascii().as_bytes(), b"Unbuilt.") || is_unbuilt(rest)
}

impl Doc {
    pub fn of(lines: &[&str]) -> Doc {
        let mut doc = Doc::default();
        let mut open = Open::Nothing;
        for line in lines.iter().map(|line| line.trim()) {
            let before = std::mem::replace(&mut open, Open::Nothing);
            if let Some(example) = line.strip_prefix("Example: ") {
                doc.example = Some(example.trim_matches('`').to_owned());
            } else if let Some(default) = line.strip_prefix("Default: ") {
                doc.default = Some(default.to_owned());
                open = Open::Default;
            } else if line == "Addition." {
                doc.addition = true;
            } else if line == UNBUILT {
                doc.unbuilt = true;
            } else if !line.is_empty() {
                open = doc.put(line, before);
            }
        }
        doc.default = doc.default.map(|default| default.trim_end_matches('.').to_owned());
        doc
    }

    /// Adds a line of text to what the line before it belongs to.
    fn put(&mut self, line: &str, open: Open) -> Open {
        match (&open, self.paragraphs.last_mut(), &mut self.default) {
            (Open::Paragraph, Some(text), _) | (Open::Default, _, Some(text)) => {
                text.push(' ');
                text.push_str(line);
                open
            }
            _ => {
                self.paragraphs.push(line.to_owned());
                Open::Paragraph
            }
        }
    }

    /// Returns the first sentence.
    pub fn summary(&self) -> &str {
        let first = self.paragraphs.first().map_or("", String::as_str);
        first.find(". ").map_or(first, |end| &first[..=end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_are_understood_are_no_text() {
        let doc =
            Doc::of(&[" One. Two", " three.", "", " Four.", " Default: none,", " or one.", " Example: `a: 1`", " Addition."]);
        assert_eq!(doc.paragraphs, ["One. Two three.", "Four."]);
        assert_eq!((doc.default.as_deref(), doc.example.as_deref(), doc.addition), (Some("none, or one"), Some("a: 1"), true));
        assert_eq!(doc.summary(), "One.");
    }
}
