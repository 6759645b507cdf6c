//! Ended at any point, a store holds every durable transaction it acknowledged, and no half of one; watchers go on without a gap.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::*;
use spec::plan::Writer;
use spec::{Key, Object, Spec};
use store::{Cursor, Store, Transaction};

/// Set for the child, which is this same binary: the file it commits to.
const CHILD: &str = "STORE_CRASH_TEST_FILE";
const LANES: usize = 4;

/// The child's part: commits for ever, and prints what was acknowledged. Without a file to commit to, all it does is to make sure
/// that the parent finds it by its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits_until_it_is_killed() {
    let Some(file) = std::env::var_os(CHILD) else {
        assert_eq!(std::thread::current().name(), Some("child_that_commits_until_it_is_killed"));
        return;
    };
    let store = Store::open(Path::new(&file), writers()).unwrap();
    let lanes: Vec<_> = (0..LANES).map(|lane| tokio::spawn(commit_for_ever(store.clone(), lane))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

/// Writes the same number to two objects in each transaction, and an observation nobody needs in between.
async fn commit_for_ever(store: Store, lane: usize) {
    let [a, b] = ["a", "b"].map(|half| image(&format!("{lane}{half}")));
    let start = store.get(&a).map_or(0, |object| value(&object.spec));
    for number in start + 1.. {
        let text = number.to_string();
        let committed = store.commit(Transaction::new(IMAGE, [put(&a, &text), put(&b, &text)])).await.unwrap();
        println!("ACK {lane} {number} {}", committed.cursor.revision());
        let observed = store.commit(Transaction::observed(Writer::Edge, [report(&a, &text)])).await.unwrap();
        println!("SEEN {}", observed.cursor.revision());
    }
}

fn value(spec: &Spec) -> u64 {
    match spec {
        Spec::Image(spec) => spec.digest.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs the child until it has printed `acks` lines, kills it, and returns all it printed.
fn run_and_kill(file: &Path, acks: usize) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture"]).env(CHILD, file);
    let mut child = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut printed: Vec<String> = lines.by_ref().take(acks).collect::<Result<_, _>>().unwrap();
    assert_eq!(printed.len(), acks, "the child ended by itself");
    child.0.kill().unwrap();
    // What it printed before it died was acknowledged too; only a line cut in half was not.
    printed.extend(lines.map_while(Result::ok).filter(|line| line.split(' ').count() == 4 || line.starts_with("SEEN")));
    printed
}

/// Checks that a watcher who was told of `number`, at `revision`, is told of each number after it, once.
fn check_watch(store: &Store, key: &Key, number: u64, revision: u64) {
    let epoch = store.head().to_string().split_once('-').unwrap().0.to_owned();
    let since: Cursor = format!("{epoch}-{revision:x}").parse().unwrap();
    let mut watch = store.watch(Some(since)).unwrap();
    let batches: Vec<_> = std::iter::from_fn(|| watch.try_next().unwrap()).collect();
    let changes = batches.iter().flat_map(|batch| &batch.changes).filter(|change| change.key == *key);
    let spec = |object: &Option<Arc<Object>>| object.as_ref().map(|object| value(&object.spec));
    let told = changes.filter(|change| spec(&change.old) != spec(&change.new)).map(|change| spec(&change.new).unwrap());
    let last = value(&store.get(key).unwrap().spec);
    assert_eq!(told.collect::<Vec<_>>(), (number + 1..=last).collect::<Vec<_>>(), "{key} since {since}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_is_half_done() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let (mut acknowledged, mut highest) = (BTreeMap::new(), 0);
    for round in 0..10 {
        let mut acks = Vec::new();
        for line in run_and_kill(&file, 20 + 37 * round) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ACK", lane, number, revision] => {
                    let (number, revision) = (number.parse::<u64>().unwrap(), revision.parse().unwrap());
                    acknowledged.insert(lane.to_owned(), number);
                    highest = highest.max(revision);
                    acks.push((lane.to_owned(), number, revision));
                }
                ["SEEN", revision] => highest = highest.max(revision.parse().unwrap_or(0)),
                _ => (),
            }
        }
        let store = Store::open(&file, writers()).unwrap();
        for (lane, number) in &acknowledged {
            let [a, b] = ["a", "b"].map(|half| value(&store.get(&image(&format!("{lane}{half}"))).unwrap().spec));
            assert_eq!(a, b, "round {round}, lane {lane}: half a transaction");
            assert!(a >= *number, "round {round}, lane {lane}: {number} was acknowledged, {a} is there");
            assert!(a <= number + 1, "round {round}, lane {lane}: {a} was never asked for");
        }
        assert!(store.head().revision() >= highest, "a revision that was seen would be used again");
        for (lane, number, revision) in acks.iter().rev().step_by(7) {
            check_watch(&store, &image(&format!("{lane}a")), *number, *revision);
        }
    }
    assert_eq!(acknowledged.len(), LANES);
}
