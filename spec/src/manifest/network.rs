//! The networks a service is in (section 8), and who may join it (section 18).

use crate::shape::model;

model! {
    /// The networks a service is in, and who may join it.
    #[section("8")]
    pub struct Network {
        /// The encrypted networks between the replicas.
        ///
        /// Example: `overlays: {global: {enabled: true}}`
        overlays: Overlays = Overlays::default(),
        /// Which nodes may run a replica of it.
        ///
        /// Example: `join: {mode: token}`
        join: Join = Join::default(),
    }
}

model! {
    /// The encrypted networks between replicas.
    #[section("8")]
    pub struct Overlays {
        /// The service's own network: its replicas reach each other as `<service>.service`.
        ///
        /// Example: `service: {enabled: true}`
        service: ServiceOverlay = ServiceOverlay::default(),
        /// The deployment's network: its services reach each other as `<service>.global`.
        ///
        /// Example: `global: {enabled: true}`
        global: GlobalOverlay = GlobalOverlay::default(),
    }
}

model! {
    /// The service's own network.
    #[section("8")]
    pub struct ServiceOverlay {
        /// It is there.
        ///
        /// Unbuilt.
        /// Example: `enabled: true`
        enabled: bool = true,
        /// What leaves a node for another one is encrypted.
        ///
        /// Unbuilt.
        /// Example: `encrypted: true`
        encrypted: bool = true,
        /// Only the service's replicas are in it. Without, the deployment's other services reach it too.
        ///
        /// Unbuilt.
        /// Example: `isolated: true`
        isolated: bool = true,
    }
}

model! {
    /// The deployment's network.
    #[section("8")]
    pub struct GlobalOverlay {
        /// The service is in it.
        ///
        /// Unbuilt.
        /// Example: `enabled: true`
        enabled: bool = true,
        /// What leaves a node for another one is encrypted.
        ///
        /// Unbuilt.
        /// Example: `encrypted: true`
        encrypted: bool = true,
    }
}

model! {
    /// Which nodes may run a replica of a service.
    #[section("18")]
    pub struct Join {
        /// Who may join.
        ///
        /// Example: `mode: token`
        mode: JoinMode = JoinMode::Token,
        /// What a node that joins gets.
        ///
        /// Example: `scope: service`
        scope: JoinScope = JoinScope::Service,
    }
}

model! {
    /// Who may join a service.
    #[section("18")]
    pub enum JoinMode {
        /// Any trusted node of the deployment, by itself.
        ///
        /// Unbuilt.
        Open = "open",
        /// A node with a join key.
        Token = "token",
        /// None by itself: only Stead places replicas.
        ///
        /// Unbuilt.
        Closed = "closed",
    }
}

model! {
    /// What a node that joins a service gets.
    #[section("18")]
    pub enum JoinScope {
        /// Replicas of this service.
        Service = "service",
        /// Replicas of any service of the deployment.
        ///
        /// Unbuilt.
        Global = "global",
    }
}
