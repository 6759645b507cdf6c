//! A node that pulls from a registry of a test.

use std::path::PathBuf;
use std::time::Duration;

use runtime::image::{Config, Error, Images};
use spec::manifest::PullPolicy;
use tempfile::TempDir;

use super::server::Server;
use super::{Image, is_tidy};

pub(crate) struct Node {
    pub(crate) directory: TempDir,
    pub(crate) images: Images,
}

impl Node {
    pub(crate) fn with(config: Config) -> Node {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::open(directory.path(), config).unwrap();
        Node { directory, images }
    }

    pub(crate) fn new() -> Node {
        Node::with(Config::default())
    }

    /// With a password for a registry.
    pub(crate) fn knowing(server: &Server) -> Node {
        Node::with(Config { credentials: credentials(server), ..Config::default() })
    }

    pub(crate) async fn resolve(&self, server: &Server) -> Result<String, Error> {
        Ok(self.images.resolve(&server.repository(), PullPolicy::Always).await?.digest)
    }

    pub(crate) async fn pull(&self, server: &Server, image: &Image) -> Result<Vec<PathBuf>, Error> {
        self.images.pull(&server.repository(), &image.digest()).await?;
        self.images.layers(&image.digest())
    }

    /// Pulls what must be refused for good, and returns why.
    pub(crate) async fn refusal(&self, server: &Server, image: &Image) -> String {
        let error = self.pull(server, image).await.expect_err("refused");
        assert!(error.is_permanent(), "{error}");
        self.assert_nothing_came().await;
        error.to_string()
    }

    /// Waits for the threads of other layers, which end by themselves.
    pub(crate) async fn assert_nothing_came(&self) {
        assert!(self.images.list().unwrap().is_empty());
        while !is_tidy(self.directory.path()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn credentials(server: &Server) -> std::collections::BTreeMap<String, (String, String)> {
    [(server.address.to_string(), ("user".to_owned(), "secret".to_owned()))].into()
}
