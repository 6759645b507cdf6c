//! Measures commits per second and their latency, with and without a flush, on the disk of the directory given.
//!
//! `cargo run --release -p store --example commit_bench -- [directory]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use spec::kind::image;
use spec::plan::{OUTSIDE_WRITERS, Writer};
use spec::{Half, Key, Kind, Spec, Write};
use store::{Op, Store, Transaction, Writers};

const WRITER: Writer = Writer::Controller("image");
const RUN: Duration = Duration::from_secs(3);

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    println!(
        "{:>8} {:>8} {:>8} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "flush", "tasks", "objects", "commits/s", "p50", "p99", "per group", "flushes", "written"
    );
    for objects in [100, 10_000] {
        let file = std::path::Path::new(&directory).join(format!("commit_bench.{}", std::process::id()));
        let writers = OUTSIDE_WRITERS.iter().copied().chain([(Kind::Image, Half::Spec, WRITER)]);
        let store = Store::open(&file, Writers::new(writers).expect("one writer each")).expect("a store");
        runtime.block_on(fill(&store, objects));
        for (durable, tasks) in [(true, 1), (true, 16), (true, 128), (false, 1), (false, 16), (false, 128)] {
            runtime.block_on(measure(&store, objects, durable, tasks));
        }
        drop(store);
        let started = Instant::now();
        drop(Store::open(&file, Writers::new([]).expect("no writers")).expect("a store"));
        println!("open and close with {objects} objects: {:?}", started.elapsed());
        std::fs::remove_file(&file).expect("the file is ours");
    }
}

async fn fill(store: &Store, objects: usize) {
    for chunk in (0..objects).collect::<Vec<_>>().chunks(1000) {
        store.commit(Transaction::new(WRITER, chunk.iter().map(|n| put(*n, 0)))).await.expect("a commit");
    }
}

fn put(object: usize, value: u64) -> Op {
    let name = format!("image-{object}").parse().expect("a name");
    let spec = image::Spec { digest: format!("sha256:{value:064x}"), repository: "docker.io/library/nginx".to_owned() };
    Op::new(Write::Spec { key: Key::new(Kind::Image, name), owner: None, spec: Spec::Image(Arc::new(spec)) })
}

async fn measure(store: &Store, objects: usize, durable: bool, tasks: usize) {
    let (before, written, started) = (store.metrics(), written(), Instant::now());
    let tasks: Vec<_> = (0..tasks).map(|task| tokio::spawn(commit_for(store.clone(), objects, durable, task, tasks))).collect();
    let count = tasks.len();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("no panic"));
    }
    latencies.sort();
    let (elapsed, after) = (started.elapsed(), store.metrics());
    let per_group = (after.transactions - before.transactions) as f64 / (after.groups - before.groups) as f64;
    let at =
        |percent: usize| format!("{:?}", Duration::from_micros(latencies[latencies.len() * percent / 100].as_micros() as u64));
    let rate = latencies.len() as f64 / elapsed.as_secs_f64();
    let flushes = (after.flushes - before.flushes) as f64 / latencies.len() as f64;
    let written = (self::written() - written) / latencies.len() as u64;
    println!(
        "{durable:>8} {count:>8} {objects:>8} {rate:>12.0} {:>10} {:>10} {per_group:>10.1} {flushes:>10.3} {written:>10}",
        at(50),
        at(99)
    );
}

/// Returns how many bytes this process has written to anything.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("a process may read its own figures");
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).expect("bytes written")
}

async fn commit_for(store: Store, objects: usize, durable: bool, task: usize, tasks: usize) -> Vec<Duration> {
    let (started, mut latencies) = (Instant::now(), Vec::new());
    for round in 0.. {
        if started.elapsed() >= RUN {
            break;
        }
        // Values are never the same, so that each commit changes something.
        let value = (store.head().revision() << 32) + (task << 24 | round) as u64;
        let op = put((round * tasks + task) % objects, value);
        let asked = Instant::now();
        store.commit(Transaction { durable, ..Transaction::new(WRITER, [op]) }).await.expect("a commit");
        latencies.push(asked.elapsed());
    }
    latencies
}
