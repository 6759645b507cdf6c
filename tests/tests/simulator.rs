//! Lives of a server, drawn from seeds. `STEAD_SEED` replays one, `STEAD_SEEDS` says how many.

use tests::simulator::Simulator;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_happens_in_whatever_order_it_ends_as_asked_for() {
    let first = number("STEAD_SEED").unwrap_or(1);
    let count = if number("STEAD_SEED").is_some() { 1 } else { number("STEAD_SEEDS").unwrap_or(16) };
    for seed in first..first + count {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut simulator = Simulator::new(seed).await;
            let mut report = OnPanic { seed, history: Vec::new() };
            for _ in 0..12 {
                simulator.live(10).await;
                report.history =
                    std::mem::take(&mut simulator.history).into_iter().chain(std::mem::take(&mut report.history)).collect();
            }
            simulator.calm_down().await;
            simulator.check_calm();
            report.history.clear();
        });
    }
}

/// Says how to see a failure again.
struct OnPanic {
    seed: u64,
    history: Vec<String>,
}

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: replay with STEAD_SEED={} cargo test -p tests --test simulator", self.seed, self.seed);
            for line in self.history.iter().take(40) {
                eprintln!("  {line}");
            }
        }
    }
}
