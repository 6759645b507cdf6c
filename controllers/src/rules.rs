//! Rules that several controllers go by, each in one place.

pub(crate) mod attempt;
pub(crate) mod backoff;
pub(crate) mod names;
pub(crate) mod retry;
pub(crate) mod template;
pub(crate) mod wake;
