//! The lines around a place, cleaned of what a terminal would obey.

use std::ops::Range;

use annotate_snippets::AnnotationKind;

use crate::manifest::Source;
use crate::problem::{Place, Related};
use crate::yaml::{Lines, Position};

/// Longest line of which a part is shown, in bytes: drawing takes time for all of it.
const LINE_MAX: usize = 20_000;
/// Longest part that is taken of a line without a mark, in characters.
const UNMARKED_MAX: usize = 200;
/// Lines around a mark that may be shown with it.
const AROUND: usize = 2;

/// A source of which excerpts are made.
pub(super) struct Excerpt<'a> {
    pub(super) name: &'a str,
    text: &'a str,
    lines: Lines<'a>,
}

/// A place that is pointed at.
pub(super) struct Mark<'a> {
    pub(super) place: &'a Place,
    pub(super) kind: AnnotationKind,
    pub(super) label: Option<&'a str>,
}

/// What is drawn: lines, and the bytes of them that are pointed at.
pub(super) struct Cut {
    pub(super) text: String,
    pub(super) first_line: usize,
    pub(super) marks: Vec<(Range<usize>, AnnotationKind, Option<String>)>,
}

/// Part of a line, in characters counted from 0.
#[derive(Clone)]
struct Stretch {
    line: usize,
    columns: Range<usize>,
}

impl<'a> Mark<'a> {
    pub(super) fn context(related: &'a Related) -> Mark<'a> {
        Mark { place: &related.place, kind: AnnotationKind::Context, label: Some(&related.message) }
    }
}

impl<'a> Excerpt<'a> {
    pub(super) fn of(source: &Source<'a>) -> Excerpt<'a> {
        Excerpt { name: source.name, text: source.text, lines: Lines::of(source.text) }
    }

    /// The line of the place is short enough to be drawn.
    pub(super) fn can_show(&self, place: &Place) -> bool {
        self.line(self.stretch(place).line).len() <= LINE_MAX
    }

    /// Returns the lines from the first mark to the last; those far from all marks are empty, as they are not drawn.
    pub(super) fn cut(&self, marks: &[Mark<'_>]) -> Cut {
        let stretches: Vec<_> = marks.iter().map(|mark| self.stretch(mark.place)).collect();
        let lines = stretches.iter().map(|stretch| stretch.line);
        let (first, last) = (lines.clone().min().unwrap_or(1), lines.max().unwrap_or(1));
        let mut cut = Cut { text: String::new(), first_line: first, marks: Vec::new() };
        let mut spans = vec![0..0; marks.len()];
        for line in first..=last {
            if line > first {
                cut.text.push('\n');
            }
            let here: Vec<_> = (0..marks.len()).filter(|index| stretches[*index].line == line).collect();
            if stretches.iter().any(|stretch| stretch.line.abs_diff(line) <= AROUND) {
                let found =
                    put(self.line(line), here.iter().map(|index| stretches[*index].columns.clone()).collect(), &mut cut.text);
                here.into_iter().zip(found).for_each(|(index, span)| spans[index] = span);
            }
        }
        let labels = marks.iter().map(|mark| mark.label.map(clean));
        cut.marks = spans.into_iter().zip(labels).zip(marks).map(|((span, label), mark)| (span, mark.kind, label)).collect();
        cut
    }

    /// Returns where a place is in the text as it is; of one over several lines, what is in the first.
    fn stretch(&self, place: &Place) -> Stretch {
        let end = self.lines.position(self.text.len());
        let line = place.line.clamp(1, end.line) as usize;
        let width = self.line(line).chars().count();
        let column = |column: u64| usize::try_from(column.saturating_sub(1)).unwrap_or(width).min(width);
        let start = if place.line > end.line { width } else { column(place.column) };
        let end = if place.end_line > place.line { width } else { column(place.end_column) };
        Stretch { line, columns: start..end.max(start) }
    }

    fn line(&self, line: usize) -> &'a str {
        let at = |column| self.lines.offset(Position { line: line as u64, column });
        let line = &self.text[at(1)..at(u64::MAX)];
        line.strip_suffix('\r').unwrap_or(line)
    }
}

/// Adds a line, of one without marks the beginning, and returns the bytes where the columns are now.
fn put(line: &str, columns: Vec<Range<usize>>, text: &mut String) -> Vec<Range<usize>> {
    let mut bytes = Vec::new();
    let most = if columns.is_empty() { UNMARKED_MAX } else { LINE_MAX };
    for c in line.chars().take(most) {
        bytes.push(text.len());
        text.push(harmless(c));
    }
    bytes.push(text.len());
    columns.into_iter().map(|columns| bytes[columns.start]..bytes[columns.end]).collect()
}

/// Returns a text for one line, with nothing in it that a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(harmless).collect()
}

/// Returns a character that can be shown in place of one that is obeyed or cannot be seen.
fn harmless(c: char) -> char {
    match c {
        '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Tells whether a terminal would obey a character, or show nothing where it stands: controls, what turns the direction of writing,
/// and what has no width.
pub fn is_harmful(c: char) -> bool {
    let unseen = matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    c.is_control() || unseen || turns
}
