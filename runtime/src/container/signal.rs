//! Names of signals, as images and manifests write them.

/// Number and name of each signal with a name (signal(7), x86-64 and AArch64).
const NAMES: [(i32, &str); 31] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (7, "BUS"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (17, "CHLD"),
    (18, "CONT"),
    (19, "STOP"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (23, "URG"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
    (31, "SYS"),
];

/// First real-time signal programs see; the C library keeps the two below for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Returns the number of `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3`, in capitals or not: images have both.
pub(crate) fn number(text: &str) -> Option<i32> {
    let text = text.to_ascii_uppercase();
    let name = text.strip_prefix("SIG").unwrap_or(&text);
    if let Ok(number) = name.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    if let Some(offset) = name.strip_prefix("RTMIN") {
        let number = RTMIN + offset.parse::<i32>().or(if offset.is_empty() { Ok(0) } else { Err(()) }).ok()?;
        return (RTMIN..=RTMAX).contains(&number).then_some(number);
    }
    NAMES.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

/// Returns the name of a signal: `SIGTERM`, or `SIGRTMIN+3`.
pub(crate) fn name(number: i32) -> String {
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => format!("SIG{name}"),
        None => format!("SIGRTMIN+{}", number - RTMIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_all_their_names() {
        for text in ["SIGTERM", "TERM", "15", "sigterm", "Term"] {
            assert_eq!(number(text), Some(15), "{text}");
        }
        assert_eq!(number("SIGRTMIN+3"), Some(37));
        assert_eq!(number("sigrtmin+3"), Some(37));
        for text in ["", "SIG", "0", "-9", "65", "SIGNOTHING", "SIGKILL\n", "RTMIN+99", "RTMINx"] {
            assert_eq!(number(text), None, "{text}");
        }
        for (known, _) in NAMES {
            assert_eq!(number(&name(known)), Some(known));
        }
    }
}
