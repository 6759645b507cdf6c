//! A node's images, from registries and from archives: unpacked once, and mounted by every container that runs them.
//!
//! ```text
//!  reference ──resolve──▶ digest ──pull──▶ manifest ─▶ configuration
//!                                             └─▶ layers, three at a time: stream ─▶ unpack ─▶ layers/<diff id>
//!                                                                                     all there ─▶ images/<digest>
//! ```
//!
//! Everything is checked against the digest it was asked by, before it is used. Registries are strangers: what they send
//! decides neither where credentials go ([`registry`]) nor what is written outside a layer's directory ([`unpack`]).

mod archive;
mod digest;
mod document;
mod error;
mod feed;
mod install;
mod keyed;
mod platform;
mod reference;
mod registry;
mod settings;
mod source;
mod store;
mod tidy;
mod unpack;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use spec::Timestamp;
use spec::kind::image::Config as ImageConfig;
use spec::kind::resolution::Resolved;
use spec::manifest::PullPolicy;

use archive::Archive;
use digest::Digest;
use document::Document;
pub use error::Error;
use keyed::Keyed;
use reference::{Reference, Repository};
use registry::Registry;
pub use registry::{Config, Timeouts};
use settings::Settings;
use source::{Source, blocking};
use store::{Name, Store};
pub use unpack::Limits;

/// The images of one directory; clones share it.
#[derive(Clone)]
pub struct Images {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    registry: Arc<Registry>,
    limits: Limits,
    pulls: Keyed,
    layers: Keyed,
    /// Names that a registry gave for images that are not here yet.
    pending: Mutex<BTreeMap<Digest, BTreeSet<String>>>,
}

/// Names that may wait for their image. Forgetting them costs one more question to a registry.
const PENDING_MAX: usize = 1000;

/// An image that an archive brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Complete: `docker.io/library/app:1`.
    pub references: Vec<String>,
    /// Manifest digest, `sha256:…`.
    pub digest: String,
}

/// An image on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Complete; `repository@digest` for an image that was pulled by digest.
    pub references: Vec<String>,
    pub digest: String,
    /// Configuration and compressed layers, as the manifest declares them.
    pub bytes: u64,
    /// When the image was built.
    pub created: Option<Timestamp>,
}

impl Images {
    /// Opens a directory, and removes what interrupted work left in it.
    pub fn open(dir: &Path, config: Config) -> Result<Images, Error> {
        let limits = config.limits.clone();
        let inner = Inner {
            store: Arc::new(Store::open(dir)?),
            registry: Arc::new(Registry::new(config)),
            limits,
            pulls: Keyed::default(),
            layers: Keyed::default(),
            pending: Mutex::default(),
        };
        Ok(Images { inner: Arc::new(inner) })
    }

    /// Finds out which image a reference means for this node's platform.
    ///
    /// By digest, an image that is here needs no registry, whatever the policy.
    pub async fn resolve(&self, reference: &str, policy: PullPolicy) -> Result<Resolved, Error> {
        let parsed = Reference::parse(reference)?;
        let may_be_local = policy != PullPolicy::Always || parsed.digest.is_some();
        let local = if may_be_local { self.find(&parsed)? } else { None };
        let digest = match (local, policy) {
            (Some(digest), _) => digest,
            (None, PullPolicy::Never) => return Err(Error::NotLocal(reference.to_owned())),
            (None, PullPolicy::Always | PullPolicy::IfNotPresent) => self.ask(&parsed).await?,
        };
        Ok(Resolved { reference: reference.to_owned(), digest: digest.to_string(), repository: parsed.repository.to_string() })
    }

    /// Fetches an image by its manifest's digest and unpacks it; nothing to do when it is here.
    ///
    /// A second call for the same image waits for the first.
    pub async fn pull(&self, repository: &str, digest: &str) -> Result<ImageConfig, Error> {
        let repository = Repository::parse(repository)?;
        let source = Source::Registry(Arc::clone(&self.inner.registry), repository.clone());
        self.install(source, &Digest::parse(digest)?, &repository.to_string()).await
    }

    /// Returns what an image says about running it; none when it is not here.
    pub fn config(&self, digest: &str) -> Result<Option<ImageConfig>, Error> {
        self.settings(&Digest::parse(digest)?)
    }

    /// Returns an image's layers as lower directories of overlayfs: absolute, top first, at least one.
    pub fn layers(&self, digest: &str) -> Result<Vec<PathBuf>, Error> {
        let image = self.inner.store.image(&Digest::parse(digest)?)?;
        image.map(|image| self.inner.store.lower_directories(&image)).ok_or_else(|| Error::Missing(digest.to_owned()))
    }

    /// Brings in the images of an OCI layout (a directory or a tar archive) or of an archive by `docker save`.
    pub async fn load(&self, archive: &Path) -> Result<Vec<Loaded>, Error> {
        let path = archive.to_owned();
        let (archive, found) = blocking(move || Archive::open(&path)).await?;
        let archive = Arc::new(archive);
        let mut loaded = Vec::new();
        for image in found {
            let source = Source::Archive(Arc::clone(&archive));
            let repository = image.references.first().map_or(Ok(String::new()), |name| repository_of(name))?;
            self.install(source, &image.digest, &repository).await?;
            self.name(&image.digest, image.references.clone()).await?;
            loaded.push(Loaded { references: image.references, digest: image.digest.to_string() });
        }
        Ok(loaded)
    }

    /// Lists the images that are here, by digest.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut references: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for Name { reference, digest } in self.inner.store.names()? {
            references.entry(digest).or_default().push(reference);
        }
        let images = self.inner.store.images()?.into_iter().map(|image| {
            let mut names = references.remove(&image.digest).unwrap_or_else(|| image.nameless().into_iter().collect());
            names.sort();
            Listed { references: names, digest: image.digest.to_string(), bytes: image.bytes, created: image.created }
        });
        Ok(images.collect())
    }

    /// Finds an image that is here.
    fn find(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let store = &self.inner.store;
        let digest = match &reference.digest {
            Some(digest) if store.image(digest)?.is_some() => Some(digest.clone()),
            _ => store.name(&reference.to_string())?,
        };
        Ok(match digest {
            Some(digest) if store.image(&digest)?.is_some() => Some(digest),
            _ => None,
        })
    }

    /// Asks the registry which image a reference means.
    async fn ask(&self, reference: &Reference) -> Result<Digest, Error> {
        let what = reference.to_string();
        let asked = reference.digest.as_ref().map(Digest::to_string).or_else(|| reference.tag.clone()).unwrap_or_default();
        let bytes = self.inner.registry.manifest(&reference.repository, &asked, reference.digest.as_ref()).await?;
        let digest = match Document::parse(&what, &bytes)? {
            Document::Manifest(_) => Digest::of(&bytes),
            Document::Index(entries) => document::choose(&what, &entries)?.digest.clone(),
        };
        self.remember(&digest, what).await?;
        Ok(digest)
    }

    /// Keeps what a registry calls an image, at once or as soon as it is here.
    async fn remember(&self, digest: &Digest, reference: String) -> Result<(), Error> {
        if self.inner.store.image(digest)?.is_some() {
            return self.name(digest, vec![reference]).await;
        }
        let mut pending = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() >= PENDING_MAX {
            pending.clear();
        }
        pending.entry(digest.clone()).or_default().insert(reference);
        Ok(())
    }

    /// Reads what is known of an image that is here, and whole.
    fn settings(&self, digest: &Digest) -> Result<Option<ImageConfig>, Error> {
        let Some(image) = self.inner.store.image(digest)? else { return Ok(None) };
        let Some(bytes) = self.inner.store.blob(&image.config)? else { return Ok(None) };
        Settings::parse(&format!("configuration {}", image.config), &bytes).map(|settings| Some(settings.config))
    }
}

fn repository_of(reference: &str) -> Result<String, Error> {
    Ok(Reference::parse(reference)?.repository.to_string())
}
