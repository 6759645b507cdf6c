//! The node's steady clock: wall time when the daemon started, carried on by the boot clock.
//!
//! A step of the wall clock moves nothing: no storm of restarts, no backoff that lasts a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spec::Timestamp;

#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Boot {
        wall_at_start: Duration,
        boot_at_start: Duration,
    },
    /// Milliseconds that a simulator moves on.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub fn start() -> Clock {
        let wall_at_start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock(Source::Boot { wall_at_start, boot_at_start: since_boot() })
    }

    /// Returns a clock that shows what is in `milliseconds`.
    pub fn manual(milliseconds: Arc<AtomicU64>) -> Clock {
        Clock(Source::Manual(milliseconds))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Boot { wall_at_start, boot_at_start } => {
                let elapsed = since_boot().saturating_sub(*boot_at_start);
                Timestamp((*wall_at_start + elapsed).as_millis() as u64)
            }
            Source::Manual(milliseconds) => Timestamp(milliseconds.load(Ordering::SeqCst)),
        }
    }
}

/// Returns the time since boot, suspension included.
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
