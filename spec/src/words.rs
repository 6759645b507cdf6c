//! Words that are probably meant, and lists of words as they are spoken.

/// Returns the one of `names` that was probably meant by `text`.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = plain(text);
    let (length, own) = (text.chars().count(), letters(&text));
    let most = if length > 1 { (length.min(30) / 3).max(1) } else { 0 };
    // Each letter that a name does not have is one to change.
    let possible = |name: &&str| (own & !letters(name)).count_ones() as usize <= most;
    let near = names.filter(possible).filter_map(|name| Some((distance(&text, &plain(name), most)?, name)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Returns a bit for each letter of a text, which some share.
fn letters(text: &str) -> u64 {
    text.chars().fold(0, |bits, c| bits | 1 << (u32::from(c.to_ascii_lowercase()) & 63))
}

fn distance(text: &str, name: &str, most: usize) -> Option<usize> {
    if is_end(text, name) {
        return Some(0);
    }
    let short = text.len().abs_diff(name.len()) <= most;
    short.then(|| strsim::osa_distance(text, name)).filter(|distance| *distance <= most)
}

/// Two names are the same but for case and the way they join words: `targetPort` and `target_port`.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

/// Case and the ways to join words make no difference.
fn plain(text: &str) -> String {
    text.chars().take(100).filter(|c| !matches!(c, '-' | '_' | ' ')).collect::<String>().to_ascii_lowercase()
}

/// `wait_tcp` is the end of `init.wait_tcp`, `Vienna` that of `Europe/Vienna`.
fn is_end(text: &str, name: &str) -> bool {
    text.len() > 2 && name.strip_suffix(text).is_some_and(|rest| rest.ends_with(['.', '/']))
}

pub(crate) fn and(list: &[String]) -> String {
    join(list, "and")
}

pub(crate) fn either(list: &[String]) -> String {
    join(list, "or")
}

fn join(list: &[String], word: &str) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} {word} {last}", rest.join(", ")),
    }
}

/// Returns each of `names` in backquotes.
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(crate::yaml::quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let names = ["endpoints", "env", "init.wait_tcp", "Europe/Vienna", "if_not_present"];
        let near = |text: &str| nearest(text, names.into_iter());
        for (text, meant) in [
            ("endpoint", "endpoints"),
            ("Env", "env"),
            ("wait_tcp", "init.wait_tcp"),
            ("europe/vienna", "Europe/Vienna"),
            ("Vienna", "Europe/Vienna"),
            ("IfNotPresent", "if_not_present"),
        ] {
            assert_eq!(near(text), Some(meant), "{text}");
        }
        assert_eq!((near("volumes"), near("x"), near("")), (None, None, None));
    }

    #[test]
    fn lists_are_spoken() {
        assert_eq!(either(&quoted(["a", "b", "c"])), "`a`, `b` or `c`");
        assert_eq!(and(&quoted(["a"])), "`a`");
    }
}
