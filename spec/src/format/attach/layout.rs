//! Lines and columns of a text, as formatting looks at them.

use crate::yaml::Node;

pub(super) struct Layout<'a> {
    text: &'a str,
    /// Where the lines begin.
    starts: Vec<usize>,
}

impl<'a> Layout<'a> {
    pub(super) fn of(text: &'a str) -> Layout<'a> {
        Layout { text, starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect() }
    }

    /// Returns the line of a byte, from 0.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// Returns the bytes before a byte on its line.
    pub(super) fn column(&self, offset: usize) -> usize {
        offset - self.starts[self.line(offset)]
    }

    pub(super) fn is_blank_above(&self, offset: usize) -> bool {
        let line = self.line(offset);
        line > 0 && self.text[self.starts[line - 1]..self.starts[line]].trim().is_empty()
    }

    /// Returns where a node begins, the anchor and the tag before it on its line included.
    pub(super) fn opening(&self, node: &Node) -> usize {
        let line = self.starts[self.line(node.span.start)];
        let mut before = &self.text[line..node.span.start];
        let mut opening = node.span.start;
        for _ in node.anchor().iter().chain(&node.tag()) {
            let words = before.trim_end();
            let word = words.rfind([' ', '\t']).map_or(0, |at| at + 1);
            if !words[word..].starts_with(['&', '!']) {
                break;
            }
            (opening, before) = (line + word, &words[..word]);
        }
        opening
    }

    /// Returns the first dash at a column on a line from `line` on, which comes before `most`; else that.
    pub(super) fn dash(&self, line: usize, column: usize, most: usize) -> usize {
        let starts = self.starts.get(line..).unwrap_or_default().iter().map(|start| start + column);
        let is_dash = |at: &usize| {
            let start = at - column;
            let indentation = self.text.get(start..*at).is_some_and(|text| text.bytes().all(|b| b == b' '));
            indentation
                && self
                    .text
                    .get(*at..)
                    .is_some_and(|rest| rest.starts_with('-') && !rest[1..].starts_with(|c: char| !c.is_whitespace()))
        };
        starts.take_while(|at| *at <= most).find(is_dash).unwrap_or(most)
    }
}
