//! Health checks of well-known programs that do no more than Stead's own checks.

use super::words::split;
use crate::manifest::RequestPath;
use crate::units::Port;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Http {
        port: Port,
        path: Option<RequestPath>,
        /// The program would have taken any status.
        any_status: bool,
    },
    Tcp {
        port: Port,
    },
}

/// Options of `curl` that change nothing about whether it succeeds, or make it ask as Stead does.
const CURL: &[&str] = &["--compressed", "--insecure", "--location", "--silent", "--show-error"];
const CURL_WITH_VALUE: &[&str] = &["--connect-timeout", "--max-time", "--output", "--retry", "-m", "-o"];
const WGET: &[&str] =
    &["--no-check-certificate", "--no-verbose", "--quiet", "--server-response", "--spider", "-S", "-nv", "-q", "-qO-", "-q0-"];
const WGET_WITH_VALUE: &[&str] = &["--output-document", "--timeout", "--tries", "-O", "-T", "-qO", "-t"];
/// Names of the container itself.
const ITSELF: &[&str] = &["127.0.0.1", "0.0.0.0", "localhost", "[::1]"];

/// Recognises a command that a shell runs, with nothing of the shell's in it but `|| exit 1` at its end.
pub(super) fn shell(text: &str) -> Option<Probe> {
    let text = text.trim();
    let bare =
        ["|| exit 1", "||exit 1", "|| false", "|| exit 2"].into_iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    if bare.contains(['$', '`', '*', '\n']) {
        return None;
    }
    let split = split(bare).filter(|split| split.operator.is_none())?;
    words(&split.words)
}

/// Recognises a command by its words.
pub(super) fn words(words: &[String]) -> Option<Probe> {
    let (program, arguments) = words.split_first()?;
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match program.rsplit('/').next()? {
        "curl" => curl(&arguments),
        "wget" => http(&operands(&arguments, |option| WGET.contains(&option), WGET_WITH_VALUE)?, false),
        "nc" => nc(&arguments),
        _ => None,
    }
}

fn curl(arguments: &[&str]) -> Option<Probe> {
    let fails = |option: &&str| *option == "--fail" || (is_letters(option) && option.contains('f'));
    let known = |option: &str| {
        option == "--fail" || CURL.contains(&option) || (is_letters(option) && option[1..].bytes().all(|b| b"fsSLk".contains(&b)))
    };
    let urls = operands(arguments, known, CURL_WITH_VALUE)?;
    http(&urls, !arguments.iter().any(fails))
}

/// One dash and letters behind it.
fn is_letters(option: &str) -> bool {
    option.starts_with('-') && !option.starts_with("--") && option.len() > 1
}

/// Returns what is no option; `None` when there is an option that may matter.
fn operands<'a>(arguments: &[&'a str], known: impl Fn(&str) -> bool, with_value: &[&str]) -> Option<Vec<&'a str>> {
    let mut operands = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let name = argument.split_once('=').map_or(*argument, |(name, _)| name);
        match argument {
            operand if !operand.starts_with('-') => operands.push(*operand),
            _ if with_value.contains(argument) => drop(arguments.next()?),
            _ if argument.contains('=') && with_value.contains(&name) => {}
            option if known(option) => {}
            _ => return None,
        }
    }
    Some(operands)
}

fn http(urls: &[&str], any_status: bool) -> Option<Probe> {
    let [url] = urls else { return None };
    let rest = url.strip_prefix("http://").or_else(|| (!url.contains("://")).then_some(*url))?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let itself = ITSELF.iter().find(|name| authority.starts_with(**name))?;
    let port = match authority[itself.len()..].strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if authority.len() == itself.len() => 80,
        None => return None,
    };
    let path = if path == "/" { None } else { Some(path.split('#').next()?.parse().ok()?) };
    Some(Probe::Http { port: Port::new(port)?, path, any_status })
}

fn nc(arguments: &[&str]) -> Option<Probe> {
    let operands = operands(arguments, |option| is_letters(option) && option[1..].bytes().all(|b| b"zvn".contains(&b)), &["-w"])?;
    let [host, port] = operands.as_slice() else { return None };
    let looks = arguments.iter().any(|option| is_letters(option) && option.contains('z'));
    (looks && ITSELF.contains(host)).then_some(())?;
    Some(Probe::Tcp { port: Port::new(port.parse().ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(port: u16, path: Option<&str>, any_status: bool) -> Option<Probe> {
        Some(Probe::Http { port: Port::new(port).unwrap(), path: path.map(|path| path.parse().unwrap()), any_status })
    }

    #[test]
    fn commands_that_ask_for_a_page_are_told() {
        for (text, probe) in [
            ("curl -f http://localhost", http(80, None, false)),
            ("curl -fsS http://localhost:8080/health || exit 1", http(8080, Some("/health"), false)),
            ("curl --fail --silent --max-time 5 -o /dev/null http://127.0.0.1:3000/a?b=c", http(3000, Some("/a?b=c"), false)),
            ("curl localhost:9200", http(9200, None, true)),
            ("/usr/bin/curl -f 'http://[::1]:80/'", http(80, None, false)),
            ("wget -q --spider http://localhost:8080/ping", http(8080, Some("/ping"), false)),
            ("wget --no-verbose --tries=1 --spider localhost || exit 1", http(80, None, false)),
            ("wget -qO- http://0.0.0.0:2368/", http(2368, None, false)),
            ("wget -O /dev/null -T 5 http://localhost/x", http(80, Some("/x"), false)),
            ("nc -z -w 3 localhost 5432", Some(Probe::Tcp { port: Port::new(5432).unwrap() })),
        ] {
            assert_eq!(shell(text), probe, "{text}");
        }
    }

    #[test]
    fn all_that_does_more_stays_a_command() {
        for text in [
            "pg_isready -U app",
            "curl -f https://localhost",
            "curl -f http://db:80/",
            "curl -f http://localhost.example.com/",
            "curl -X POST http://localhost",
            "curl -f -H 'Host: x' http://localhost",
            "curl -f http://localhost | grep ok",
            "curl -f http://localhost:$PORT/",
            "curl -f http://localhost && pidof app",
            "curl -f http://localhost http://localhost:81",
            "curl -f http://localhost:99999/",
            "nc localhost 80",
            "wget --post-data x http://localhost",
            "",
        ] {
            assert_eq!(shell(text), None, "{text}");
        }
    }
}
