//! What goes wrong at the edge to the kernel.

use std::io;

use crate::socket;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}")]
    Io { what: String, source: io::Error },
    #[error("cannot {what}")]
    Netlink { what: String, source: socket::Error },
    #[error("`{0}` is not a node id: 4 to 8 lower-case hexadecimal digits")]
    NodeId(String),
    #[error(
        "`{name}` cannot name a link of node {node}: it begins with `st{node}` and has at most 15 bytes, none of them `/` or a space"
    )]
    LinkName { name: String, node: String },
    #[error("`{0}` cannot name a network namespace: it is one plain file name")]
    PinName(String),
    #[error("the interface `{0}` has the name of a link of this node but was not made by it")]
    ForeignLink(String),
    #[error("link `{link}` is still not complete after it was repaired {rounds} times; missing: {missing}")]
    Unsettled { link: String, rounds: u32, missing: String },
    #[error("the packet filter kept being changed by others while it was being set")]
    FilterContended,
    #[error("a thread that changes the network panicked")]
    Panicked,
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what: what.into(), source }
    }

    pub(crate) fn netlink(what: impl Into<String>) -> impl FnOnce(socket::Error) -> Error {
        move |source| Error::Netlink { what: what.into(), source }
    }
}
