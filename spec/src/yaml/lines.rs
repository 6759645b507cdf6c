//! From a byte of a text to its line and column.

use serde::{Deserialize, Serialize};

use super::MAX_BYTES;

/// A place in a text as editors count: both from 1, columns in characters (Unicode scalar values).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// Where the lines of a text begin.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn of(text: &'a str) -> Lines<'a> {
        // Of more, nothing is read, so nothing has a place there.
        let text = &text[..text.floor_char_boundary(MAX_BYTES)];
        let mut starts = Vec::with_capacity(text.bytes().filter(|byte| *byte == b'\n').count() + 1);
        starts.push(0);
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Lines { text, starts }
    }

    /// Returns the place of a byte; one beyond the end, or within a character, counts as the last before it.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count();
        Position { line: line as u64, column: column as u64 + 1 }
    }

    /// Returns the byte of a place; of one that is not there, the nearest before it.
    pub fn offset(&self, position: Position) -> usize {
        let line = (position.line.max(1) as usize).min(self.starts.len());
        let (start, end) = (self.starts[line - 1], self.starts.get(line).map_or(self.text.len(), |next| next - 1));
        let column = (position.column.max(1) - 1) as usize;
        self.text[start..end].char_indices().nth(column).map_or(end, |(at, _)| start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_bytes_are_each_others_inverse() {
        let text = "a: ü\nbb: x\n";
        let lines = Lines::of(text);
        for (offset, line, column) in [(0, 1, 1), (3, 1, 4), (6, 2, 1), (10, 2, 5), (12, 3, 1)] {
            let place = Position { line, column };
            assert_eq!((lines.position(offset), lines.offset(place)), (place, offset));
        }
        assert_eq!(lines.position(4), Position { line: 1, column: 4 }, "within a character");
        assert_eq!(lines.position(999), Position { line: 3, column: 1 });
        assert_eq!(lines.offset(Position { line: 9, column: 9 }), text.len());
    }
}
