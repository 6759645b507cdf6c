//! What follows failures (section 16).

use crate::shape::model;

model! {
    /// What follows failures.
    #[section("16")]
    pub struct Errors {
        /// When an init step fails that must not.
        ///
        /// Example: `on_init_failure: {action: backoff}`
        on_init_failure: OnInitFailure = OnInitFailure::default(),
        /// When the container's process ends by itself; goes with `rtype: service`.
        ///
        /// Example: `on_panic: {action: restart}`
        on_panic: OnPanic = OnPanic::default(),
    }
}

model! {
    /// What follows an init step that fails.
    #[section("16")]
    pub struct OnInitFailure {
        /// What is done.
        ///
        /// Example: `action: backoff`
        action: InitFailure = InitFailure::Backoff,
    }
}

model! {
    /// What follows an init step that fails.
    #[section("16")]
    pub enum InitFailure {
        /// The replica has failed, and is not started again by itself.
        ///
        /// Unbuilt.
        Fail = "fail",
        /// The start is tried again at once.
        ///
        /// Unbuilt.
        Restart = "restart",
        /// The start is tried again after 100 ms, doubling up to 30 s.
        Backoff = "backoff",
    }
}

model! {
    /// What follows the end of a container's process.
    #[section("16")]
    pub struct OnPanic {
        /// What is done.
        ///
        /// Example: `action: restart`
        action: Panic = Panic::Restart,
    }
}

model! {
    /// What follows the end of a container's process.
    #[section("16")]
    pub enum Panic {
        /// It is started again, with backoff.
        Restart = "restart",
        /// It stays stopped.
        ///
        /// Unbuilt.
        Shutdown = "shutdown",
        /// It takes no traffic, its files are kept to be looked at, and a fresh replica starts beside it.
        ///
        /// Unbuilt.
        Isolate = "isolate",
    }
}
