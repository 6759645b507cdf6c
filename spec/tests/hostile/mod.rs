//! Texts that cost a reader more than they seem to: as large, as deep and as wrong as a text of that size can be.

use std::fmt::Write as _;

use spec::yaml::MAX_BYTES;

/// Any two texts of one kind differ in what they are made of.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Name of a kind, and what makes its texts.
type Kind = (&'static str, fn() -> Vec<Hostile>);

/// Texts by kind.
pub(crate) const KINDS: &[Kind] =
    &[("aliases", aliases), ("depth", depth), ("mistakes", mistakes), ("services", services), ("size", size), ("width", width)];

fn hostile(name: &'static str, text: impl Into<String>) -> Hostile {
    Hostile { name, text: text.into() }
}

/// As many of `part` as the largest text has room for, between `start` and `end`.
fn filled(start: &str, part: &str, end: &str) -> String {
    let times = (MAX_BYTES - start.len() - end.len()) / part.len();
    format!("{start}{}{end}", part.repeat(times))
}

/// As many of `part` as there is room for; each is given its number.
fn numbered(start: &str, part: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = start.to_owned();
    for number in 0.. {
        let part = part(number);
        if text.len() + part.len() + end.len() > MAX_BYTES {
            break;
        }
        text.push_str(&part);
    }
    text + end
}

/// A manifest of one service, with more of its fields at the end.
const SERVICE: &str = "version: v1\ndeployment: d\nservices:\n  a:\n    image: {name: a}\n";

/// A little that stands for a lot.
fn aliases() -> Vec<Hostile> {
    let doubled = |start: &str, of: &str, open: &str, close: &str| {
        let mut text = format!("{start}a0: &a0 {of}\n");
        for level in 1..60 {
            let before = format!("*a{}, ", level - 1).repeat(9);
            writeln!(text, "a{level}: &a{level} {open}{before}{close}").expect("a text takes all");
        }
        text
    };
    let mut in_env = format!("{SERVICE}    env:\n      A: &a [x]\n");
    for level in 0..60 {
        let (name, before) = ((b'b' + level % 24) as char, (b'a' + level % 24) as char);
        writeln!(in_env, "      {name}{level}: &{name} [*{before}, *{before}, *{before}, *{before}]").expect("a text takes all");
    }
    let thousand = format!("a: &a [{}]\n", "x,".repeat(1000));
    vec![
        hostile("lists of lists", doubled("", "[x]", "[", "]")),
        hostile("mappings of mappings", {
            let mut text = String::from("a0: &a0 {k: x}\n");
            for level in 1..60 {
                let before: String = (0..9).map(|key| format!("k{key}: *a{}, ", level - 1)).collect();
                writeln!(text, "a{level}: &a{level} {{{before}}}").expect("a text takes all");
            }
            text
        }),
        hostile("in the environment", in_env),
        hostile("one long list, many times", filled(&format!("{thousand}b: ["), "*a,", "]")),
        hostile("one long text, many times", filled(&format!("a: &a {}\nb: [", "x".repeat(100_000)), "*a,", "]")),
        hostile("of itself", "a: &a [*a]\n"),
        hostile(
            "of a service, many times",
            numbered(
                "version: v1\ndeployment: d\nservices:\n  a: &a {image: {name: a}, env: {A: x, B: y, C: z, D: $E:X}}\n",
                |number| format!("  s{number}: *a\n"),
                "",
            ),
        ),
        hostile("anchors on everything", numbered("[", |number| format!("&a{number} x,"), "]")),
        hostile(
            "anchors within anchors",
            format!("{}x{}", (0..30).map(|level| format!("&a{level} [")).collect::<String>(), "]".repeat(30)),
        ),
        hostile("anchors within anchors, each with many", {
            let level = |level: usize| format!("&a{level} [{}", "x,".repeat(3000));
            format!("{}x{}", (0..30).map(level).collect::<String>(), "]".repeat(30))
        }),
    ]
}

fn depth() -> Vec<Hostile> {
    let times = 100_000;
    let block: String = (0..1400).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    vec![
        hostile("lists", "[".repeat(times)),
        hostile("lists, closed", "[".repeat(times) + &"]".repeat(times)),
        hostile("mappings", "{a: ".repeat(times)),
        hostile("JSON", "{\"a\":".repeat(times) + "1" + &"}".repeat(times)),
        hostile("JSON in a field of any text", format!("{SERVICE}    env: {{A: {}", "{\"a\":[".repeat(times))),
        hostile("dashes on a line", "- ".repeat(times)),
        hostile("question marks on a line", "? ".repeat(times)),
        hostile("colons on a line", "a: ".repeat(times)),
        hostile("keys, each further in", block),
        hostile("dashes, each further in", (0..1400).map(|level| format!("{}-\n", " ".repeat(level))).collect::<String>()),
        hostile("as deep as allowed, and often", filled("", &format!("- {}{}\n", "[".repeat(30), "]".repeat(30)), "")),
    ]
}

/// Large, with little in it.
fn size() -> Vec<Hostile> {
    let long = |start: &str, end: &str| filled(start, "x", end);
    vec![
        hostile("a byte too many", "x".repeat(MAX_BYTES + 1)),
        hostile("many times too many", "- x\n".repeat(4 * MAX_BYTES)),
        hostile("one plain text", long("", "")),
        hostile("one text in single quotes", filled("'", "''", "'")),
        hostile("one text of escapes", filled("\"", "\\x41", "\"")),
        hostile("one text that is not closed", long("\"", "")),
        hostile("one text over many lines", filled("a: |\n", "  x\n", "")),
        hostile("one folded text over many lines", filled("a: >\n", "  x\n\n", "")),
        hostile("one plain text over many lines", filled("a: x\n", "  x\n", "")),
        hostile("one key", long("", ": x")),
        hostile("one key in quotes", long("\"", "\": x")),
        hostile("one key behind a question mark", long("? ", "\n: x")),
        hostile("one name of a field", long("{\"version\": v1, ? \"", "\": x}")),
        hostile("one name of a service", long("version: v1\ndeployment: d\nservices: {? \"", "\": {image: {name: a}}}")),
        hostile("one image", long("version: v1\ndeployment: d\nservices: {a: {image: {name: \"", "\"}}}")),
        hostile("one variable", long(&format!("{SERVICE}    env: {{A: \""), "\"}")),
        hostile("one number", filled(&format!("{SERVICE}    retries: "), "9", "")),
        hostile("one duration", filled(&format!("{SERVICE}    timeout: "), "1s", "")),
        hostile("one schedule", filled(&format!("{SERVICE}    rtype: cron\n    schedule: \"*"), ",*", " * * * *\"")),
        hostile("one anchor", long("&", " x")),
        hostile("one tag", long("!", " x")),
        hostile("one comment", long("#", "")),
        hostile("comments", filled("", "#\n", "")),
        hostile("comments behind values", filled("", "- x # c\n", "")),
        hostile("white space", filled("", " ", "")),
        hostile("empty lines", filled("", "\n", "")),
        hostile("carriage returns", filled("", "\r\n", "")),
        hostile("NULs", filled("", "\0", "")),
        hostile("byte order marks", filled("", "\u{feff}", "")),
        hostile("tabs", filled("", "\t", "")),
        hostile("wide characters", filled("", "😀", "")),
    ]
}

/// Many of something.
fn width() -> Vec<Hostile> {
    vec![
        hostile("items", filled("[", "1,", "]")),
        hostile("items on lines", filled("", "-\n", "")),
        hostile("empty lists", filled("[", "[],", "]")),
        hostile("empty mappings", filled("[", "{},", "]")),
        hostile("keys", numbered("", |number| format!("k{number}:\n"), "")),
        hostile("keys without values", numbered("{", |number| format!("k{number},"), "}")),
        hostile("the same key", filled("", "a: 1\n", "")),
        hostile("the same key at the end", numbered("", |number| format!("k{number}:\n"), "k0:\n")),
        hostile("tags", filled("[", "!t x,", "]")),
        hostile("tags on a value", filled("", "!t ", "x")),
        hostile("documents", filled("", "--- x\n", "")),
        hostile("directives", filled("", "%YAML 1.2\n", "--- x\n")),
        hostile("colons", filled("", ":", "")),
        hostile("commas", filled("[", ",", "]")),
        hostile("brackets that do not match", filled("", "[}", "")),
    ]
}

/// Wrong in as many places as can be.
fn mistakes() -> Vec<Hostile> {
    let on_a_line = |start: &str| numbered(start, |number| format!("x{number}: 1, "), "}");
    vec![
        hostile("fields that are none", numbered("", |number| format!("x{number}: 1\n"), "")),
        hostile("fields that are none, on a line", on_a_line("{")),
        hostile("fields that are nearly one", numbered("", |number| format!("servicez{number}: 1\n"), "")),
        hostile("fields that are none, of services", numbered("services:\n", |number| format!("  s{number}: {{x: 1}}\n"), "")),
        hostile("names that are none", numbered("services:\n", |number| format!("  S{number}: {{image: {{name: a}}}}\n"), "")),
        hostile("values that are none", numbered("services:\n", |number| format!("  s{number}: 1\n"), "")),
        hostile("values that are none, in a list", filled(&format!("{SERVICE}    endpoints: ["), "1,", "]")),
        hostile("fields that are missing", numbered("services: {", |number| format!("s{number}: {{}}, "), "}")),
        hostile(
            "words that are none",
            filled(&format!("{SERVICE}    endpoints:\n"), "    - {protocol: h, expose: p, port: 0}\n", ""),
        ),
        hostile("tags in a manifest", filled(&format!("{SERVICE}    command: {{args: ["), "!t x,", "]}")),
        hostile("numbers for texts", filled(&format!("{SERVICE}    command: {{args: ["), "1,", "]}")),
        hostile("merge keys", numbered("services:\n", |number| format!("  s{number}: {{<<: x}}\n"), "")),
    ]
}

/// Right in itself, and many that must be compared.
fn services() -> Vec<Hostile> {
    let start = "version: v1\ndeployment: d\nservices:\n";
    let chain = |number: usize| format!("  s{number}: {{image: {{name: a}}, depends: [{{service: s{}}}]}}\n", number + 1);
    let ring = |size: usize| {
        let one = |number| format!("  s{number}: {{image: {{name: a}}, depends: [{{service: s{}}}]}}\n", (number + 1) % size);
        start.to_owned() + &(0..size).map(one).collect::<String>()
    };
    let all_for_all = |size: usize| {
        let one = |number| {
            let others: String = (0..size).map(|other| format!("{{service: s{other}}},")).collect();
            format!("  s{number}: {{image: {{name: a}}, depends: [{others}]}}\n")
        };
        start.to_owned() + &(0..size).map(one).collect::<String>()
    };
    let endpoints = |endpoint: fn(usize) -> String| numbered(&format!("{SERVICE}    endpoints:\n"), endpoint, "");
    vec![
        hostile("too many", numbered(start, |number| format!("  s{number}: {{image: {{name: a}}}}\n"), "")),
        hostile("each waits for the next", start.to_owned() + &(0..1024).map(chain).collect::<String>()),
        hostile("in a ring", ring(1024)),
        hostile("each waits for all", all_for_all(200)),
        hostile(
            "endpoints with a path each",
            endpoints(|number| format!("    - {{name: e{number}, protocol: http, port: 80, path: /{number}, expose: public}}\n")),
        ),
        hostile(
            "endpoints that clash",
            endpoints(|number| format!("    - {{name: e{number}, protocol: http, port: 80, expose: public}}\n")),
        ),
        hostile(
            "endpoints of one name",
            endpoints(|number| format!("    - {{name: e, protocol: http, port: {}}}\n", number % 65535 + 1)),
        ),
        hostile(
            "steps of one name",
            filled(&format!("{SERVICE}    init:\n      steps:\n"), "      - {id: s, uses: init.run, with: {command: x}}\n", ""),
        ),
        hostile("volumes at one place", filled(&format!("{SERVICE}    volumes:\n"), "    - {name: v, target: /v}\n", "")),
        hostile(
            "volumes",
            numbered(
                &format!("{SERVICE}    volumes:\n"),
                |number| format!("    - {{name: v{number}, target: /v/{number}}}\n"),
                "",
            ),
        ),
        hostile("variables", numbered(&format!("{SERVICE}    env:\n"), |number| format!("      V{number}: x\n"), "")),
        hostile(
            "variables of the node",
            numbered(&format!("{SERVICE}    env:\n"), |number| format!("      V{number}: $E:V{number}\n"), ""),
        ),
        hostile("arguments", filled(&format!("{SERVICE}    command: {{args: ["), "x,", "]}")),
    ]
}
