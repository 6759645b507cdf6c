//! What a container costs; the numbers are printed, and bounds far above them catch a slip. Needs root.

mod container_support;

use std::fs;
use std::time::{Duration, Instant};

use container_support::{Host, within};

#[tokio::test]
async fn a_start_is_quick_and_a_shim_is_small() {
    let host = Host::new();
    let mut starts = Vec::new();
    for number in 0..20 {
        let begin = Instant::now();
        let _running = host.start(host.launch(&format!("speed-{number}"), &["sleep", "1000"])).await;
        starts.push(begin.elapsed());
    }
    let pss = |number: usize| {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", host.shim(&format!("speed-{number}")))).unwrap();
        let field = |name: &str| -> u64 {
            let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("Pss:"), field("Private_Dirty:"), field("Rss:"))
    };
    let sizes: Vec<(u64, u64, u64)> = (0..20).map(pss).collect();
    let begin = Instant::now();
    for number in 0..20 {
        within(host.containers.release(&format!("speed-{number}"))).await.unwrap();
    }
    let release = begin.elapsed() / 20;
    starts.sort();
    eprintln!("start: fastest {:?}, median {:?}, slowest {:?}; release {release:?}", starts[0], starts[10], starts[19]);
    eprintln!("a shim of 20: PSS {} KiB, of that its own {} KiB; RSS {} KiB", sizes[10].0, sizes[10].1, sizes[10].2);
    assert!(starts[10] < Duration::from_secs(1));
    assert!(sizes[10].0 < 32 << 10);
}
