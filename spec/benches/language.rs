//! Takes the times of the language, for `cargo xtask bench language`: a line of JSON for each measure, with all samples.
//!
//! Arguments: how often each time is taken, and how often each hostile text is tried.

#[path = "../tests/counting/mod.rs"]
mod counting;
#[path = "../tests/hostile/mod.rs"]
mod hostile;
mod thousand;

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use spec::format::{format, print};
use spec::manifest::{Manifest, Source, check_file, parse, read};
use spec::problem::render;

use counting::counted;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (runs, tries) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let text = thousand::manifest();
    let manifest = parse(&text).expect("it is valid");
    tell("its size", "KiB", &[text.len() as f64 / 1024.0]);
    ours(&text, &manifest, runs);
    peers(&text, &manifest, runs);
    machine(&text, runs);
    for (kind, texts) in hostile::KINDS.iter().filter(|_| tries > 0) {
        for text in texts() {
            answer(&format!("{kind}: {}", text.name), &text.text, tries);
        }
    }
}

fn ours(text: &str, manifest: &Manifest, runs: usize) {
    time("read and checked", runs, || check_file(text));
    time("part: text to tree", runs, || spec::yaml::parse_without_comments(text));
    time("part: text to types", runs, || read(text));
    time("checked alone", runs, || spec::manifest::validate(manifest));
    let json = serde_json::to_string(manifest).expect("a manifest is data");
    time("read and checked as JSON", runs, || check_file(&json));
    let warned = text.replace("mode: fixed, replicas: 2", "mode: adaptive, cooldown: 15s");
    time("read and checked, a warning for each service", runs, || check_file(&warned));
    let wrong = text.replace("protocol:", "protocl:");
    time("read and checked, an error in each service", runs, || check_file(&wrong));
    let problems = check_file(&wrong).problems;
    time("the problems of that shown", runs, || render(&problems, &[Source { name: "", text: &wrong }], false));
    time("formatted", runs, || format(text));
    time("printed", runs, || print(manifest));
    time("the schema", runs, spec::schema::schema);
    time("a field explained", runs, || spec::explain::explain("endpoints.protocol"));
    let (_, counts) = counted(|| check_file(text));
    tell("memory to read and check", "MiB", &[mebibytes(counts.peak_bytes)]);
    tell("allocations to read and check", "thousand", &[counts.allocations as f64 / 1000.0]);
}

/// Others that read the same.
fn peers(text: &str, manifest: &Manifest, runs: usize) {
    time("peer: serde-saphyr to values", runs, || serde_saphyr::from_str::<Value>(text).expect("it is YAML"));
    let json = serde_json::to_string(manifest).expect("a manifest is data");
    time("peer: serde_json to types", runs, || serde_json::from_str::<Manifest>(&json).expect("it is a manifest"));
}

/// What reading cannot be faster than.
fn machine(text: &str, runs: usize) {
    time("limit: the parser's events alone", runs, || {
        let options = granit_parser::options! { emit_comments: false };
        granit_parser::Parser::new_from_str_with_options(text, options).filter(Result::is_ok).count()
    });
    time("limit: checked for UTF-8", runs, || std::str::from_utf8(black_box(text.as_bytes())).is_ok());
    time("limit: copied", runs, || text.to_owned());
}

fn answer(name: &str, text: &str, tries: usize) {
    let answer = || {
        let problems = check_file(text).problems;
        render(&problems, &[Source { name: "", text }], false)
    };
    time(&format!("bomb: {name}"), tries, answer);
    let (_, counts) = counted(answer);
    tell(&format!("bomb: {name}"), "MiB", &[mebibytes(counts.peak_bytes)]);
}

fn mebibytes(bytes: isize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Takes the processor time of a piece of work, which others on the machine do not add to. What it makes is dropped outside of it.
fn time<T>(measure: &str, runs: usize, work: impl Fn() -> T) {
    let sample = |_| {
        let started = processor_ms();
        let made = black_box(work());
        let took = processor_ms() - started;
        drop(made);
        took
    };
    tell(measure, "ms", &(0..runs).map(sample).collect::<Vec<_>>());
}

/// Returns the milliseconds that this thread has run.
fn processor_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn tell(measure: &str, unit: &str, samples: &[f64]) {
    println!("{}", json!({"measure": measure, "unit": unit, "samples": samples}));
}
