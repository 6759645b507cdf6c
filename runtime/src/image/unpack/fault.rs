//! Why a layer cannot be unpacked.

use std::io;

use rustix::io::Errno;

/// Either the layer is at fault, or this node is.
#[derive(Debug)]
pub(in crate::image) enum Fault {
    /// The layer is wrong, damaged or hostile.
    Hostile(String),
    /// The node's file system failed.
    Disk(&'static str, io::Error),
    /// The stream stopped, and whoever fed it knows why.
    Interrupted,
}

pub(in crate::image) type Unpacked<T = ()> = Result<T, Fault>;

impl Fault {
    pub(super) fn hostile(reason: impl Into<String>) -> Fault {
        Fault::Hostile(reason.into())
    }

    /// Judges a failed system call on a name that the layer chose.
    pub(super) fn of(action: &'static str, name: &dyn std::fmt::Display, error: Errno) -> Fault {
        let is_layers_fault = matches!(
            error,
            Errno::XDEV
                | Errno::LOOP
                | Errno::NOTDIR
                | Errno::NAMETOOLONG
                | Errno::NOENT
                | Errno::ISDIR
                | Errno::EXIST
                | Errno::INVAL
                | Errno::MLINK
                | Errno::TOOBIG
                | Errno::RANGE
        );
        if is_layers_fault {
            Fault::Hostile(format!("cannot {action} {name}: {error}"))
        } else {
            Fault::Disk(action, error.into())
        }
    }
}

/// Failed reads: decoders and limits speak as I/O errors, and only the system's have a number.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            INTERRUPTED => Fault::Interrupted,
            _ if error.raw_os_error().is_some() => Fault::Disk("read", error),
            _ => Fault::Hostile(error.to_string()),
        }
    }
}

/// What a stream that stops early fails with; `io::ErrorKind::Interrupted` would mean to try again.
pub(in crate::image) const INTERRUPTED: io::ErrorKind = io::ErrorKind::ConnectionAborted;
