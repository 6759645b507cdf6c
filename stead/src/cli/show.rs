//! How things are put to a person.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// How an answer is printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Returns text in a style, for those who see colours.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a text as it is, with a line end; whoever reads it through a pipe may stop before its end.
pub(super) fn print_whole(text: &str) -> anyhow::Result<()> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints an error with its causes, and a manifest's problems one by one.
pub(super) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        match cause.to_string() {
            cause if text.is_empty() => text = cause,
            cause if !text.contains(&cause) => text = format!("{text}: {cause}"),
            _ => {}
        }
        // Its own cause is only that the file is not there.
        if is_no_node(cause) {
            break;
        }
    }
    eprintln!("{} {}", paint(BAD, "error:"), plain(&text));
    if error.chain().any(is_no_node) {
        eprintln!("  without --socket, `stead up FILE` starts one; `sudo stead install` also starts it after every boot");
    }
}

fn is_no_node(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(api::client::Error::NoNode { .. }))
}

/// Keeps characters of others from the terminal that it obeys or does not show; line ends stay.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| if spec::problem::is_harmful(c) && c != '\n' { c.escape_default().collect() } else { vec![c] };
    text.chars().flat_map(shown).collect()
}

/// Returns a text for one line: a name with a line end in it cannot pass for two lines.
pub(super) fn line(text: &str) -> String {
    plain(text).replace('\n', "\\n")
}

/// Returns a file's name as it is shown.
pub(super) fn name(file: &Path) -> String {
    line(&file.display().to_string())
}

/// Prints a value as JSON, in which what a terminal would obey is written as an escape.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if spec::problem::is_harmful(c) && c != '\n' {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    print_whole(&escaped)
}

/// Prints rows under a header, without lines around them.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| title.to_uppercase()));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(&cell.replace('\n', " "))));
    }
    for line in table.to_string().lines() {
        println!("{}", line.strip_prefix(' ').unwrap_or(line).trim_end());
    }
}

/// Returns a duration for people: the largest unit alone.
pub(super) fn age(duration: spec::units::Duration) -> String {
    let seconds = duration.0 / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns a size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c\nd");
        assert_eq!(line("a.yaml: valid\nb\u{200b}"), "a.yaml: valid\\nb\\u{200b}");
    }
}
