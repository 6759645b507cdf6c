//! How many replicas a service has (section 10).

use crate::shape::model;
use crate::units::{Duration, Percent};

model! {
    /// How many replicas a service has: by load, a fixed number, or by hand.
    #[section("10")]
    pub enum Scale by "mode" or "adaptive" {
        /// Between `min` and `max`, by load.
        Adaptive(Adaptive) = "adaptive",
        /// A fixed number.
        Fixed(Fixed) = "fixed",
        /// As many as were asked for by hand, at first one.
        ///
        /// Unbuilt.
        Manual(Manual) = "manual",
    }
}

model! {
    /// Between a least and a greatest number, by load.
    #[section("10")]
    pub struct Adaptive {
        /// Least number of replicas, at most 400. With 0 (an addition, and not built yet) there may be none while nothing is
        /// asked; the proxy then holds a request until one is there.
        ///
        /// Example: `min: 2`
        min: u32 = 1,
        /// Greatest number of replicas, at most 400.
        ///
        /// Default: the same as `min`, or 1, so that nothing grows that was not asked to.
        /// Example: `max: 10`
        max: Option<u32> = None,
        /// Least time between two changes.
        ///
        /// Unbuilt.
        /// Example: `cooldown: 15s`
        cooldown: Duration = Duration::seconds(30),
        /// The load of one replica that is aimed at; the target that asks for most replicas decides.
        ///
        /// Default: `cpu: 80%`.
        /// Example: `targets: {cpu: 70%, rps: 800}`
        targets: Targets = Targets::default(),
    }
}

model! {
    /// The load of one replica that is aimed at.
    #[section("10")]
    pub struct Targets {
        /// Of the processor time it may use (`resources.cpu`, or one core).
        ///
        /// Default: not looked at.
        /// Unbuilt.
        /// Example: `cpu: 70%`
        cpu: Option<Percent> = None,
        /// Of the memory it may use (`resources.memory`).
        ///
        /// Default: not looked at.
        /// Unbuilt.
        /// Example: `memory: 80%`
        memory: Option<Percent> = None,
        /// Requests a second, counted by the proxies of all nodes.
        ///
        /// Default: not looked at.
        /// Unbuilt.
        /// Example: `rps: 800`
        rps: Option<u32> = None,
    }
}

model! {
    /// A fixed number of replicas.
    #[section("10")]
    pub struct Fixed {
        /// Number of replicas, at most 400; 0 stops the service and keeps all else.
        ///
        /// Example: `replicas: 3`
        replicas: u32,
    }
}

model! {
    /// As many replicas as were asked for by hand.
    #[section("10")]
    pub struct Manual {}
}

impl Default for Scale {
    fn default() -> Scale {
        Scale::Adaptive(Adaptive::default())
    }
}

impl Scale {
    /// Returns the number of replicas before anything was measured or asked for by hand.
    pub fn start(&self) -> u32 {
        match self {
            Scale::Adaptive(adaptive) => adaptive.min,
            Scale::Fixed(fixed) => fixed.replicas,
            Scale::Manual(_) => 1,
        }
    }

    /// Returns the greatest number of replicas there can be.
    pub fn most(&self) -> u32 {
        match self {
            Scale::Adaptive(adaptive) => adaptive.max(),
            Scale::Fixed(fixed) => fixed.replicas,
            Scale::Manual(_) => 1,
        }
    }
}

impl Adaptive {
    pub fn max(&self) -> u32 {
        self.max.unwrap_or(self.min.max(1))
    }
}
