//! What must be there before a service starts (section 11).

use super::ServiceName;
use crate::shape::model;
use crate::units::Duration;

model! {
    /// A service that must be there before another one starts.
    #[section("11")]
    pub struct Dependency {
        /// Name of a service of the same deployment.
        ///
        /// Example: `service: db`
        service: ServiceName,
        /// What is waited for.
        ///
        /// Example: `condition: healthy`
        condition: Condition = Condition::Ready,
        /// Longest time to wait.
        ///
        /// Example: `timeout: 60s`
        timeout: Duration = Duration::seconds(300),
        /// What happens when it takes longer.
        ///
        /// Example: `on_timeout: warn`
        on_timeout: OnTimeout = OnTimeout::Fail,
    }
}

model! {
    /// What is waited for.
    #[section("11")]
    pub enum Condition {
        /// Its process runs.
        Started = "started",
        /// Its health check passes; it must have one.
        Healthy = "healthy",
        /// It takes traffic: the proxy would send it requests.
        Ready = "ready",
    }
}

model! {
    /// What happens when waiting takes too long.
    #[section("11")]
    pub enum OnTimeout {
        /// The service does not start, and waits anew with backoff.
        Fail = "fail",
        /// The service starts, and an event says so.
        Warn = "warn",
        /// The service starts.
        Continue = "continue",
    }
}
