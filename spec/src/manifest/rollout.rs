//! How a change reaches the replicas. An addition to the specification.

use crate::shape::model;
use crate::units::Duration;

model! {
    /// How a change reaches the replicas.
    #[section("")]
    pub struct Rollout {
        /// In which order old replicas go and new ones come.
        ///
        /// Default: `recreate` for a service with a named volume, else `rolling`.
        /// Addition.
        /// Example: `strategy: blue_green`
        strategy: Option<Strategy> = None,
        /// Most replicas beyond the number asked for while a `rolling` change goes on.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `max_surge: 2`
        max_surge: u32 = 1,
        /// Most replicas below the number asked for while a `rolling` change goes on.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `max_unavailable: 1`
        max_unavailable: u32 = 0,
        /// How long the new replicas of `blue_green` must have been ready before traffic moves to them.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `warmup: 10s`
        warmup: Duration = Duration::seconds(2),
        /// What happens when new replicas do not become ready.
        ///
        /// Default: `rollback`, once it is built; until then the change waits, and the old replicas serve.
        /// Addition.
        /// Unbuilt.
        /// Example: `on_failure: pause`
        on_failure: Option<OnRolloutFailure> = None,
    }
}

model! {
    /// In which order old replicas go and new ones come.
    #[section("")]
    pub enum Strategy {
        /// A few new ones come, and when they are ready as many old ones go, until all are new.
        Rolling = "rolling",
        /// All new ones come; when they are ready traffic moves to them, and then the old ones go.
        ///
        /// Unbuilt.
        BlueGreen = "blue_green",
        /// All old ones go before new ones come, so that there are never both.
        ///
        /// Unbuilt.
        Recreate = "recreate",
    }
}

model! {
    /// What happens when new replicas do not become ready.
    #[section("")]
    pub enum OnRolloutFailure {
        /// The earlier revision comes back.
        Rollback = "rollback",
        /// The change waits for a person; old replicas that are left serve.
        Pause = "pause",
    }
}
