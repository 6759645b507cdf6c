//! Whatever a text is made of: it is answered for, in little memory and with little work.
//!
//! Times are no test: `cargo xtask bench language` prints them. What is counted here is the same on every machine.

mod counting;
mod hostile;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use spec::manifest::{Source, check_file};
use spec::problem::render;

use counting::{Counts, counted};

/// Most memory that a text may take, its own size not counted.
const MEMORY_MAX: isize = 64 << 20;
/// Most allocations: some for each node that a text may have.
const ALLOCATIONS_MAX: usize = 1_000_000;

/// Answers for all texts of a kind, and compares the answers.
fn check(kind: &str, expected: &Expect) {
    let (_, texts) = hostile::KINDS.iter().find(|(name, _)| *name == kind).expect("a kind of text");
    let mut told = String::new();
    for text in texts() {
        let (answer, counts) = counted(|| answer(&text.text));
        bounded(text.name, counts);
        writeln!(told, "{}: {answer}", text.name).expect("a text takes all");
    }
    expected.assert_eq(&told);
}

fn bounded(name: &str, Counts { peak_bytes, allocations, .. }: Counts) {
    assert!(peak_bytes < MEMORY_MAX, "{name}: {} MiB of memory", peak_bytes >> 20);
    assert!(allocations < ALLOCATIONS_MAX, "{name}: {allocations} allocations");
}

/// Returns how many problems there are, and the first.
fn answer(text: &str) -> String {
    let problems = check_file(text).problems;
    let shown = render(&problems, &[Source { name: "", text }], false);
    let first = problems.first().map(|problem| format!("{}, {problem}", problem.code.name())).unwrap_or_default();
    format!("{} problems in {} bytes; {first}", problems.len(), shown.len())
}

#[test]
fn a_little_that_stands_for_a_lot_is_refused() {
    check(
        "aliases",
        &expect![[r#"
            lists of lists: 1 problems in 229 bytes; syntax, 6:50: this makes more than 150000 values, counting those that aliases stand for
            mappings of mappings: 1 problems in 256 bytes; syntax, 6:41: this makes more than 150000 values, counting those that aliases stand for
            in the environment: 1 problems in 176 bytes; syntax, 15:19: this makes more than 150000 values, counting those that aliases stand for
            one long list, many times: 1 problems in 99 bytes; syntax, 2:446: this makes more than 150000 values, counting those that aliases stand for
            one long text, many times: 1 problems in 96 bytes; syntax, 2:125: this makes more than 4194304 bytes of the texts that aliases stand for
            of itself: 1 problems in 136 bytes; syntax, 1:8: `*a` stands inside what it names (write the value itself)
            of a service, many times: 1 problems in 159 bytes; syntax, 8826:10: this makes more than 150000 values, counting those that aliases stand for
            anchors on everything: 1 problems in 59 bytes; syntax, 1:7899: there are more than 1000 anchors
            anchors within anchors: 1 problems in 604 bytes; wrong_type, 1:5: expected a manifest, which is a mapping, found a list (put version: v1, deployment and services at the beginning of lines, each with `: `)
            anchors within anchors, each with many: 1 problems in 102 bytes; syntax, 1:144140: this makes more than 150000 values, counting those that aliases stand for
        "#]],
    );
}

#[test]
fn what_is_too_deep_is_refused_where_it_is() {
    check(
        "depth",
        &expect![[r#"
            lists: 1 problems in 61 bytes; syntax, 1:65: this is nested deeper than 32 levels
            lists, closed: 1 problems in 61 bytes; syntax, 1:65: this is nested deeper than 32 levels
            mappings: 1 problems in 62 bytes; syntax, 1:257: this is nested deeper than 32 levels
            JSON: 1 problems in 62 bytes; syntax, 1:321: this is nested deeper than 32 levels
            JSON in a field of any text: 1 problems in 62 bytes; syntax, 6:205: this is nested deeper than 32 levels
            dashes on a line: 1 problems in 61 bytes; syntax, 1:67: this is nested deeper than 32 levels
            question marks on a line: 1 problems in 61 bytes; syntax, 1:67: this is nested deeper than 32 levels
            colons on a line: 1 problems in 113 bytes; syntax, 1:5: there is a second `: ` in this line (put the value in quotes, or begin a new line)
            keys, each further in: 1 problems in 137 bytes; syntax, 33:33: this is nested deeper than 32 levels
            dashes, each further in: 1 problems in 136 bytes; syntax, 34:34: this is nested deeper than 32 levels
            as deep as allowed, and often: 1 problems in 231 bytes; syntax, 5000:32: this makes more than 150000 values, counting those that aliases stand for
        "#]],
    );
}

#[test]
fn mistakes_are_told_up_to_a_number() {
    check(
        "mistakes",
        &expect![[r#"
            fields that are none: 1 problems in 159 bytes; syntax, 75000:9: this makes more than 150000 values, counting those that aliases stand for
            fields that are none, on a line: 1 problems in 102 bytes; syntax, 1:813889: this makes more than 150000 values, counting those that aliases stand for
            fields that are nearly one: 201 problems in 33992 bytes; unknown_field, 1:1: servicez0: `servicez0` is no field of a manifest (did you mean `services`?)
            fields that are none, of services: 1 problems in 169 bytes; syntax, 37501:11: this makes more than 150000 values, counting those that aliases stand for
            names that are none: 1 problems in 189 bytes; syntax, 25001:19: this makes more than 150000 values, counting those that aliases stand for
            values that are none: 1 problems in 164 bytes; syntax, 75000:11: this makes more than 150000 values, counting those that aliases stand for
            values that are none, in a list: 1 problems in 102 bytes; syntax, 6:299987: this makes more than 150000 values, counting those that aliases stand for
            fields that are missing: 1 problems in 102 bytes; syntax, 1:888886: this makes more than 150000 values, counting those that aliases stand for
            words that are none: 1 problems in 207 bytes; syntax, 21433:21: this makes more than 150000 values, counting those that aliases stand for
            tags in a manifest: 1 problems in 102 bytes; syntax, 6:749940: this makes more than 150000 values, counting those that aliases stand for
            numbers for texts: 1 problems in 102 bytes; syntax, 6:299988: this makes more than 150000 values, counting those that aliases stand for
            merge keys: 1 problems in 170 bytes; syntax, 37501:11: this makes more than 150000 values, counting those that aliases stand for
        "#]],
    );
}

#[test]
fn many_that_must_be_compared_are_compared_or_refused() {
    check(
        "services",
        &expect![[r#"
            too many: 1 problems in 196 bytes; syntax, 25002:26: this makes more than 150000 values, counting those that aliases stand for
            each waits for the next: 400 problems in 91323 bytes; unbuilt, 4:26: warning: services.s0.depends: `depends` is part of the language, but this version of Stead cannot run it yet
            in a ring: 400 problems in 93053 bytes; unbuilt, 4:26: warning: services.s0.depends: `depends` is part of the language, but this version of Stead cannot run it yet
            each waits for all: 221 problems in 89330 bytes; cycle, 4:46: services.s0.depends[0].service: service `s0` waits for itself before it starts (leave it out, or name another service)
            endpoints with a path each: 1 problems in 224 bytes; syntax, 13642:7: this makes more than 150000 values, counting those that aliases stand for
            endpoints that clash: 1 problems in 210 bytes; syntax, 16672:7: this makes more than 150000 values, counting those that aliases stand for
            endpoints of one name: 1 problems in 210 bytes; syntax, 21433:17: this makes more than 150000 values, counting those that aliases stand for
            steps of one name: 1 problems in 239 bytes; syntax, 16672:40: this makes more than 150000 values, counting those that aliases stand for
            volumes at one place: 1 problems in 175 bytes; syntax, 30004:7: this makes more than 150000 values, counting those that aliases stand for
            volumes: 1 problems in 152 bytes; unbuilt, 6:5: warning: services.a.volumes: `volumes` is part of the language, but this version of Stead cannot run it yet
            variables: 0 problems in 0 bytes; 
            variables of the node: 0 problems in 0 bytes; 
            arguments: 1 problems in 102 bytes; syntax, 6:299988: this makes more than 150000 values, counting those that aliases stand for
        "#]],
    );
}

#[test]
fn what_is_large_is_read_or_refused() {
    check(
        "size",
        &expect![[r#"
        a byte too many: 1 problems in 76 bytes; syntax, 1:1: the text has 1048577 bytes; at most 1048576 are read
        many times too many: 1 problems in 105 bytes; syntax, 1:1: the text has 16777216 bytes; at most 1048576 are read
        one plain text: 1 problems in 241 bytes; wrong_type, 1:1: expected a manifest, which is a mapping, found the text `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` (put version: v1, deployment and services at the beginning of lines, each with `: `)
        one text in single quotes: 1 problems in 241 bytes; wrong_type, 1:1: expected a manifest, which is a mapping, found the text `''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''…` (put version: v1, deployment and services at the beginning of lines, each with `: `)
        one text of escapes: 1 problems in 241 bytes; wrong_type, 1:1: expected a manifest, which is a mapping, found the text `AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA…` (put version: v1, deployment and services at the beginning of lines, each with `: `)
        one text that is not closed: 1 problems in 124 bytes; syntax, 1:1: this quote is not closed on the lines that follow (close it, or put the text in other quotes)
        one text over many lines: 2 problems in 368 bytes; unknown_field, 1:1: a: `a` is no field of a manifest
        one folded text over many lines: 2 problems in 368 bytes; unknown_field, 1:1: a: `a` is no field of a manifest
        one plain text over many lines: 2 problems in 368 bytes; unknown_field, 1:1: a: `a` is no field of a manifest
        one key: 1 problems in 172 bytes; syntax, 1:1: this line is indented deeper than the one above it, which has its value already (indent both alike, or leave the value of the line above out)
        one key in quotes: 1 problems in 172 bytes; syntax, 1:1: this line is indented deeper than the one above it, which has its value already (indent both alike, or leave the value of the line above out)
        one key behind a question mark: 2 problems in 376 bytes; unknown_field, 1:3: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is no field of a manifest
        one name of a field: 2 problems in 340 bytes; missing_field, 1:2: deployment: a manifest needs `deployment` and `services` (add them, such as `deployment: shop`, `services: {web: {image: {name: nginx:alpine}}}`)
        one name of a service: 1 problems in 239 bytes; bad_value, 3:14: services.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not the name of a service: 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends, and neither `global` nor `service`
        one image: 1 problems in 163 bytes; bad_value, 3:30: services.a.image.name: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not an image reference such as nginx:alpine or ghcr.io/org/api:1.2
        one variable: 0 problems in 0 bytes; 
        one number: 1 problems in 133 bytes; bad_value, 6:14: services.a.retries: `999999999999999999999999999999999999999999999999999999999999…` is not a whole number from 0 to 1000000
        one duration: 1 problems in 167 bytes; bad_value, 6:14: services.a.timeout: `1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s…` is not a duration such as 500ms, 15s, 1m30s, 2h or 1d (write `1s`)
        one schedule: 2 problems in 272 bytes; unbuilt, 6:12: warning: services.a.rtype: `rtype: cron` is part of the language, but this version of Stead cannot run it yet
        one anchor: 1 problems in 185 bytes; wrong_type, 1:1048576: expected a manifest, which is a mapping, found the text `x` (put version: v1, deployment and services at the beginning of lines, each with `: `)
        one tag: 1 problems in 158 bytes; syntax, 1:1048576: `!xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is a tag, and the language has none (leave the tag out)
        one comment: 1 problems in 115 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        comments: 1 problems in 146 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        comments behind values: 1 problems in 210 bytes; wrong_type, 1:1: expected a manifest, which is a mapping, found a list (put version: v1, deployment and services at the beginning of lines, each with `: `)
        white space: 1 problems in 115 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        empty lines: 1 problems in 144 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        carriage returns: 1 problems in 144 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        NULs: 1 problems in 93 bytes; syntax, 1:1: the control character `\u{0}` cannot be in YAML (leave it out)
        byte order marks: 1 problems in 115 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        tabs: 1 problems in 115 bytes; missing_field, 1:1: the manifest is empty (begin with `version: v1`, `deployment` and `services`)
        wide characters: 1 problems in 421 bytes; wrong_type, 1:1: expected a manifest, which is a mapping, found the text `😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀…` (put version: v1, deployment and services at the beginning of lines, each with `: `)
    "#]],
    );
}

#[test]
fn what_is_many_is_read_or_refused() {
    check(
        "width",
        &expect![[r#"
            items: 1 problems in 102 bytes; syntax, 1:300000: this makes more than 150000 values, counting those that aliases stand for
            items on lines: 1 problems in 149 bytes; syntax, 150000:2: this makes more than 150000 values, counting those that aliases stand for
            empty lists: 1 problems in 102 bytes; syntax, 1:449999: this makes more than 150000 values, counting those that aliases stand for
            empty mappings: 1 problems in 102 bytes; syntax, 1:449999: this makes more than 150000 values, counting those that aliases stand for
            keys: 1 problems in 155 bytes; syntax, 75000:7: this makes more than 150000 values, counting those that aliases stand for
            keys without values: 1 problems in 102 bytes; syntax, 1:513891: this makes more than 150000 values, counting those that aliases stand for
            the same key: 1 problems in 157 bytes; duplicate_key, 2:1: the key `a` is there twice (keep one of the two)
            the same key at the end: 1 problems in 155 bytes; syntax, 75000:7: this makes more than 150000 values, counting those that aliases stand for
            tags: 1 problems in 102 bytes; syntax, 1:750000: this makes more than 150000 values, counting those that aliases stand for
            tags on a value: 1 problems in 79 bytes; syntax, 1:4: this is no YAML: did not find expected <document start>
            documents: 1 problems in 140 bytes; syntax, 2:1: a second document begins here (put each document into a file of its own)
            directives: 1 problems in 131 bytes; syntax, 1:1: lines that begin with `%` are not read (leave it out)
            colons: 1 problems in 99 bytes; syntax, 1:1: there is no space behind this `:` (write `: ` between key and value)
            commas: 1 problems in 94 bytes; syntax, 1:2: this is no YAML: unexpected EOF while parsing an implicit flow mapping
            brackets that do not match: 1 problems in 84 bytes; syntax, 1:1: this `[` is closed by a `}` (close it with `]` first)
        "#]],
    );
}
