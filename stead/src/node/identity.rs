//! Who this node is: made once, kept in its data directory.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use spec::Name;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Keeps this node's names on the host apart from those of another: 4 hexadecimal digits.
    pub(crate) id: String,
    /// Name of its object: the host's name when it was made.
    pub(crate) name: Name,
}

impl Identity {
    pub(crate) fn load_or_make(data: &Path) -> io::Result<Identity> {
        let file = data.join("node.json");
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Identity::make()?;
                identity.keep(&file)?;
                Ok(identity)
            }
            Err(error) => Err(error),
        }
    }

    fn make() -> io::Result<Identity> {
        let name =
            super::host_name().or_else(|| "node".parse().ok()).ok_or_else(|| io::Error::other("the host has no usable name"))?;
        // Another node on this host shows in its control group.
        let taken = |id: &str| {
            ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"].iter().any(|root| Path::new(root).join(format!("stead-{id}")).exists())
        };
        for _ in 0..64 {
            let mut bytes = [0; 2];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
            let id = format!("{:04x}", u16::from_be_bytes(bytes));
            if !taken(&id) {
                return Ok(Identity { id, name });
            }
        }
        Err(io::Error::other("all ids tried belong to other nodes of this host"))
    }

    fn keep(&self, file: &Path) -> io::Result<()> {
        let temporary = file.with_extension("new");
        let mut out = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        serde_json::to_writer(&mut out, self)?;
        out.sync_all()?;
        fs::rename(temporary, file)
    }
}
