//! Files that outlive containers, and files of the node. An addition to the specification.

use super::{AbsolutePath, Label};
use crate::shape::model;

model! {
    /// A directory that outlives containers (`name`), or a file or directory of the node (`bind`).
    #[section("")]
    pub struct Volume {
        /// Name of a volume of the service, which is made on the node when it is first used, and kept when its containers go.
        ///
        /// Default: none; then there is `bind`.
        /// Addition.
        /// Example: `name: data`
        name: Option<Label> = None,
        /// File or directory of the node, always read-only.
        ///
        /// Default: none; then there is `name`.
        /// Addition.
        /// Example: `bind: /etc/shop/nginx.conf`
        bind: Option<AbsolutePath> = None,
        /// Where it is in the container.
        ///
        /// Addition.
        /// Example: `target: /var/lib/data`
        target: AbsolutePath,
        /// The container cannot write to it.
        ///
        /// Default: `false` for a volume, `true` for a bind.
        /// Addition.
        /// Example: `read_only: true`
        read_only: Option<bool> = None,
    }
}
