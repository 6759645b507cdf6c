//! The health check.

use super::Import;
use super::at::At;
use super::probe::{self, Probe};
use crate::manifest::{Check, CommandCheck, CommandLine, Health, HttpCheck, TcpCheck};
use crate::units::Duration;
use crate::yaml::quoted;

/// What Compose takes where nothing is written.
const INTERVAL: Duration = Duration::seconds(30);
const TIMEOUT: Duration = Duration::seconds(30);
const RETRIES: u32 = 3;

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Health> {
    if at.node.is_null() {
        return None;
    }
    if is_disabled(import, at) {
        import.notes.leave_out(at, "nothing is checked unless a manifest says so");
        return None;
    }
    let Some(test) = at.get("test").filter(|test| !test.node.is_null()) else {
        import.notes.leave_out_with(at, "the image's own check is not run", "write a `health` with a `check`");
        return None;
    };
    let Some(check) = check(import, &test) else {
        import.notes.leave_out(at, "there is no check in it that could be read");
        return None;
    };
    let mut health = Health { start_grace: Duration(0), interval: INTERVAL, timeout: TIMEOUT, retries: RETRIES, check };
    times(import, at, &mut health);
    Some(health)
}

fn is_disabled<'a>(import: &mut Import<'a>, at: &At<'a>) -> bool {
    let none = at.get("test").and_then(|test| test.items().next()).is_some_and(|first| first.text() == Some("NONE"));
    none || at.get("disable").and_then(|at| import.boolean(&at)) == Some(true)
}

fn times<'a>(import: &mut Import<'a>, at: &At<'a>, health: &mut Health) {
    let mut timeout = None;
    for (field, at) in at.fields() {
        match field {
            "test" | "disable" => {}
            "interval" => health.interval = positive(import, &at).unwrap_or(INTERVAL),
            "timeout" => timeout = positive(import, &at),
            "start_period" => health.start_grace = import.duration(&at).unwrap_or_default(),
            "start_interval" => import.notes.leave_out(&at, "until a check passes it is asked more often by itself"),
            "retries" => health.retries = import.parsed(&at, "a number from 0 to 1000", retries).unwrap_or(RETRIES),
            _ => import.unknown(
                &at,
                ["disable", "interval", "retries", "start_interval", "start_period", "test", "timeout"].into_iter(),
            ),
        }
    }
    health.timeout = timeout.unwrap_or(TIMEOUT.min(health.interval));
}

/// Zero is the default in Compose.
fn positive<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Duration> {
    import.duration(at).filter(|duration| duration.0 > 0)
}

fn retries(text: &str) -> Option<u32> {
    match text.parse().ok()? {
        0 => Some(RETRIES),
        retries => (retries <= 1000).then_some(retries),
    }
}

fn check<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Check> {
    if !at.is_list() {
        let text = import.text_with_variables(at)?;
        return shell(import, at, &text);
    }
    let items: Vec<_> = at.items().collect();
    let kind = items.first().and_then(At::text);
    match kind {
        Some("CMD-SHELL") => {
            let texts: Vec<_> = items[1..].iter().filter_map(|at| import.text_with_variables(at)).collect();
            shell(import, at, &texts.join(" "))
        }
        Some("CMD") => {
            let words: Vec<_> = items[1..].iter().filter_map(|at| import.text_with_variables(at)).collect();
            direct(import, at, words)
        }
        _ => {
            import.notes.leave_out(at, "a list begins with `CMD`, `CMD-SHELL` or `NONE`");
            None
        }
    }
}

fn shell(import: &mut Import<'_>, at: &At<'_>, text: &str) -> Option<Check> {
    if let Some(check) = probe::shell(text).and_then(|probe| known(import, at, probe)) {
        return Some(check);
    }
    let line = text.parse().ok().map(CommandLine::Shell);
    command(import, at, line)
}

fn direct(import: &mut Import<'_>, at: &At<'_>, words: Vec<String>) -> Option<Check> {
    if let Some(check) = probe::words(&words).and_then(|probe| known(import, at, probe)) {
        return Some(check);
    }
    let words = words.into_iter().map(|word| word.parse().ok()).collect::<Option<Vec<_>>>();
    command(import, at, words.map(CommandLine::Direct))
}

fn command(import: &mut Import<'_>, at: &At<'_>, line: Option<CommandLine>) -> Option<Check> {
    let command = line.filter(|line| !line.is_empty());
    if command.is_none() {
        import.notes.leave_out(at, "there is no command in it");
    }
    command.map(|command| Check::Command(CommandCheck { command }))
}

/// Asks for a page or a port itself where the command does nothing else: the image needs no program for it then.
fn known(import: &mut Import<'_>, at: &At<'_>, probe: Probe) -> Option<Check> {
    let (check, what) = match probe {
        Probe::Http { port, path, any_status } => {
            if any_status {
                import.notes.add(at, "the command took any answer; the check takes the statuses from 200 to 399");
            }
            let shown = path.as_deref().unwrap_or("/").to_owned();
            (
                Check::Http(HttpCheck { port: Some(port), path, expect_status: None }),
                format!("asks for {} on port {port}", quoted(&shown)),
            )
        }
        Probe::Tcp { port } => (Check::Tcp(TcpCheck { port: Some(port) }), format!("asks whether port {port} accepts")),
    };
    let fix = "if the program listens on 127.0.0.1 alone, write `type: command` with the command";
    import.notes.add_with(at, format!("the check {what} itself, at the container's own address"), fix);
    Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_retries_are_the_default() {
        assert_eq!((retries("0"), retries("5"), retries("x"), retries("5000")), (Some(3), Some(5), None, None));
    }
}
