//! Finds the places of problems that others than the checks have: those know paths, not texts.

use std::borrow::Cow;

use super::read::place;
use crate::problem::Problem;
use crate::yaml::{self, Content, Lines, Node, Span, shown};

/// Longest key that is certain to be shown whole, in bytes.
const KEY_MAX: usize = 32;

/// Gives each problem without a place the one its path has in `text`; of a path that ends early there, the last that is there.
pub fn locate(text: &str, problems: &mut [Problem]) {
    let Some(root) = yaml::parse(text).ok().and_then(|document| document.root) else { return };
    let lines = Lines::of(text);
    for problem in problems.iter_mut().filter(|problem| problem.place.line == 0) {
        problem.place = place(&lines, find(&root, &problem.path));
    }
}

fn find(root: &Node, path: &str) -> Span {
    let (mut node, mut rest) = (root, path);
    let mut span = root.entries().first().map_or(root.span, |entry| entry.key.span);
    loop {
        let (next, at, behind) = match &node.content {
            Content::Mapping { entries, .. } => {
                // The longest, since a key of the user's may hold what parts keys.
                let fits = entries.iter().filter_map(|entry| {
                    let key = entry.key.text()?;
                    // Few keys are shown otherwise than they are, and there may be many keys.
                    let as_is = key.len() <= KEY_MAX && !key.contains(char::is_control);
                    let key = if as_is { Cow::Borrowed(key) } else { Cow::Owned(shown(key)) };
                    let behind = rest.strip_prefix(&*key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))?;
                    Some((entry, behind))
                });
                let Some((entry, behind)) = fits.min_by_key(|(_, behind)| behind.len()) else { return span };
                (&entry.value, entry.key.span, behind)
            }
            Content::Sequence { items, .. } => {
                let index = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let item = index.and_then(|(index, behind)| Some((items.get(index.parse::<usize>().ok()?)?, behind)));
                let Some((item, behind)) = item else { return span };
                (item, item.entries().first().map_or(item.span, |entry| entry.key.span), behind)
            }
            Content::Scalar { .. } => return span,
        };
        let is_scalar = matches!(next.content, Content::Scalar { .. }) && next.span.end > next.span.start;
        span = if is_scalar { next.span } else { at };
        (node, rest) = (next, behind.strip_prefix('.').unwrap_or(behind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_places_even_through_keys_with_dots() {
        let text = "services:\n  web:\n    env: {a.b: x, a: y}\n    endpoints:\n      - {name: n}\n";
        let place = |path: &str| {
            let mut problems = [Problem::at(path, "")];
            locate(text, &mut problems);
            (problems[0].place.line, problems[0].place.column)
        };
        assert_eq!(place("services.web.env.a.b"), (3, 16));
        assert_eq!(place("services.web.env.a"), (3, 22));
        assert_eq!(place("services.web.endpoints[0].name"), (5, 16));
        assert_eq!(place("services.web.endpoints[7]"), (4, 5));
        assert_eq!(place("nothing"), (1, 1));
    }
}
