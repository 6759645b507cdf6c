//! Texts of each form of the language: from the plainest to the oddest that is allowed.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use spec::shape::Scalar;

/// Returns texts that `of` takes.
pub(crate) fn scalar(of: &'static Scalar) -> BoxedStrategy<String> {
    let good = move |text: &String| (of.check)(text).is_ok();
    by_name(of.name).prop_filter("only what the language takes", good).boxed()
}

fn by_name(name: &str) -> BoxedStrategy<String> {
    match name {
        "name" | "name of a service" => label(),
        "auto | internal | name of a secret" => prop_oneof![one_of(&["auto", "internal"]), label()].boxed(),
        "text" => any_text(),
        "name of a variable" => prop_oneof![5 => like("[A-Z_][A-Z0-9_]{0,8}"), 1 => any_text()].boxed(),
        "absolute path" => {
            prop_oneof![4 => like("(/[a-z0-9._-]{1,6}){1,3}"), 1 => any_text().prop_map(|text| format!("/{text}"))].boxed()
        }
        "path prefix" => {
            prop_oneof![3 => like("(/[a-z0-9._~-]{1,5}){1,3}/?"), 1 => like("(/[!-~]{1,5}){1,2}/?"), 1 => one_of(&["/"])].boxed()
        }
        "path of a request" => like("/[!-~]{0,12}"),
        "host name" => like("[a-z0-9]{1,6}(\\.[a-z0-9-]{1,6}){0,3}"),
        "host" => prop_oneof![3 => like("[A-Za-z0-9][A-Za-z0-9_-]{0,6}(\\.[A-Za-z0-9_-]{1,6}){0,3}"), 1 => address()].boxed(),
        "http URL" => like("https?://([a-z]{1,8}(\\.[a-z]{1,3})?|\\[::1\\])(:[0-9]{2,5})?([/?][!-~]{0,8})?"),
        "image reference" => image(),
        "duration" => {
            prop_oneof![4 => like("[1-9][0-9]{0,2}(ms|s|m|h|d)"), 1 => like("([0-9]{1,9}(\\.[0-9]{1,3})?(ms|s|m|h|d)){1,5}")]
                .boxed()
        }
        "size" => {
            prop_oneof![3 => like("[1-9][0-9]{0,2}(Mi|M|Gi|G)"), 1 => like("[0-9]{1,6}(\\.[0-9]{1,3})?[KMGTk]?i?B?")].boxed()
        }
        "percentage" => like("([1-9][0-9]?|100)%"),
        "schedule" => schedule(),
        "time zone" => one_of(&["UTC", "Europe/Vienna", "America/Argentina/Ushuaia", "Etc/GMT+12", "Asia/Tokyo"]),
        other => panic!("the form `{other}` has no generator: add one to spec/tests/generate/text.rs"),
    }
}

fn like(pattern: &str) -> BoxedStrategy<String> {
    string_regex(pattern).expect("a pattern of this file").boxed()
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

fn label() -> BoxedStrategy<String> {
    prop_oneof![8 => like("[a-z][a-z0-9-]{0,7}"), 2 => like("[0-9]{1,5}"), 1 => like("[a-z0-9-]{60,63}"), 1 => one_of(&["no", "null", "1e3"])].boxed()
}

/// Texts that need care when they are written: what looks like something else, white space, all of Unicode.
fn any_text() -> BoxedStrategy<String> {
    const ODD: &[&str] = &[
        "",
        " ",
        "~",
        "null",
        "no",
        "true",
        "8080",
        "1e3",
        "0o17",
        "1:30",
        "2001-01-01",
        "<<",
        "=",
        "-",
        "- a",
        "? a",
        "a: b",
        "a:",
        "#",
        "a #b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "@a",
        "`a`",
        "%a",
        "[",
        "{}",
        "'",
        "\"",
        "\\",
        "a\\nb",
        ",",
        " a",
        "a ",
        "\t",
        "a\tb",
        "a\n",
        "\na",
        "a\n\n b\n",
        "\r\n",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffd}",
        "\u{1b}[31m",
        "é",
        "漢字",
        "😀",
        "$E:A",
        "$S:A_1",
        "$$",
        "---",
        "...",
        "a\n---\nb",
    ];
    prop_oneof![4 => like("[a-zA-Z0-9 ./=-]{0,12}"), 2 => one_of(ODD), 1 => like("\\PC{0,8}"), 1 => like("[^\\x00]{0,8}")].boxed()
}

fn address() -> BoxedStrategy<String> {
    let four = any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string());
    // Zeros that can be left out, anywhere.
    let six = (any::<u128>(), any::<[bool; 8]>(), any::<bool>()).prop_map(|(bits, zeros, mapped)| {
        let masked =
            zeros.iter().enumerate().fold(bits, |bits, (at, zero)| if *zero { bits & !(0xffff << (16 * at)) } else { bits });
        let bits = if mapped { 0xffff_0000_0000 | (masked & 0xffff_ffff) } else { masked };
        std::net::Ipv6Addr::from(bits).to_string()
    });
    prop_oneof![
        four,
        six,
        one_of(&["::", "::1", "1::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "1::1.2.3.4", "FE80::A"])
    ]
    .boxed()
}

fn image() -> BoxedStrategy<String> {
    let host = prop_oneof![3 => Just(String::new()), 1 => like("[a-z]{1,5}\\.[a-z]{2,3}(:[1-9][0-9]{1,3})?/"), 1 => like("localhost(:5000)?/")];
    let path = like("[a-z0-9]{1,6}(([._]|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,6}){0,2}");
    let tag = prop_oneof![2 => like("(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,8})?"), 1 => like("(:[a-z]{1,4})?@sha256:[0-9a-f]{64}")];
    (host, path, tag).prop_map(|(host, path, tag)| host + &path + &tag).boxed()
}

fn schedule() -> BoxedStrategy<String> {
    let field = |value: &str| {
        let part = format!("(\\*|{value}-{value})(/([1-9]|[1-5][0-9]))?|{value}");
        like(&format!("({part})(,({part}))?"))
    };
    let month = "([1-9]|1[0-2]|JAN|JUN|DEC)";
    let day = "([0-7]|SUN|MON|SAT)";
    let five = (field("[1-5]?[0-9]"), field("(1?[0-9]|2[0-3])"), field("([1-9]|[12][0-9]|3[01])"), field(month), field(day));
    let five = five.prop_map(|(minute, hour, date, month, day)| [minute, hour, date, month, day].join(" "));
    prop_oneof![4 => five, 1 => one_of(&["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "* * * * *", "30 3 * * MON-FRI"])]
        .boxed()
}
