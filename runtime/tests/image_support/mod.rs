//! What the image tests share: layers and images made by hand, and a registry that answers as a test says.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod canary;
pub(crate) mod node;
pub(crate) mod registry;
pub(crate) mod server;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layer's tar stream, entry by entry, with names no sane writer would write.
#[derive(Clone, Default)]
pub(crate) struct Layer(Vec<u8>);

impl Layer {
    pub(crate) fn new() -> Layer {
        Layer::default()
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Layer {
        self.file_with(name, content.as_bytes(), |header| header.set_mode(0o644))
    }

    pub(crate) fn file_with(self, name: &str, content: &[u8], change: impl FnOnce(&mut Header)) -> Layer {
        self.entry(EntryType::Regular, name, "", content, change)
    }

    pub(crate) fn directory(self, name: &str) -> Layer {
        self.entry(EntryType::Directory, name, "", &[], |header| header.set_mode(0o755))
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Layer {
        self.entry(EntryType::Symlink, name, target, &[], |_| {})
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Layer {
        self.entry(EntryType::Link, name, target, &[], |_| {})
    }

    /// Appends an entry; names longer than a header holds get a GNU long name first.
    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Layer {
        if name.len() > 100 {
            self = self.raw(EntryType::GNULongName, b"././@LongLink", b"", name.as_bytes(), |_| {});
        }
        let short = &name.as_bytes()[..name.len().min(100)];
        self.raw(kind, short, link.as_bytes(), content, change)
    }

    /// Appends a pax header for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Layer {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let length = (1..).map(|digits| body + digits).find(|length| length.to_string().len() + body == *length).unwrap();
            data.extend([format!("{length} {key}=").as_bytes(), value, b"\n"].concat());
        }
        self.raw(EntryType::XHeader, b"pax", b"", &data, |_| {})
    }

    fn raw(mut self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8], change: impl FnOnce(&mut Header)) -> Layer {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Ends the stream.
    pub(crate) fn tar(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// An image as a registry holds it.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// As transferred.
    pub(crate) layers: Vec<Vec<u8>>,
}

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// This node's architecture as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Image {
    /// Makes an image of gzip layers.
    pub(crate) fn of(tars: &[Vec<u8>]) -> Image {
        let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        let config = json!({
            "os": "linux", "architecture": architecture(), "created": "2024-01-02T03:04:05Z",
            "config": {"Entrypoint": ["/bin/app"], "Cmd": ["serve"], "Env": ["PATH=/bin", "A=b"], "WorkingDir": "/srv", "User": "7:8"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Image::with(&config, tars.iter().map(|tar| gzip(tar)).collect())
    }

    pub(crate) fn with(config: &Value, layers: Vec<Vec<u8>>) -> Image {
        let config = serde_json::to_vec(config).unwrap();
        let descriptors: Vec<Value> = layers.iter().map(|layer| descriptor(&layer_type(layer), layer)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, &config), "layers": descriptors});
        Image { manifest: serde_json::to_vec(&manifest).unwrap(), config, layers }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Writes an OCI layout that calls the image `name`.
    pub(crate) fn write_layout(&self, directory: &Path, name: &str) {
        let mut entry = descriptor(OCI_MANIFEST, &self.manifest);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        write_layout(directory, &[entry], &[vec![self.manifest.clone(), self.config.clone()], self.layers.clone()].concat());
    }
}

fn layer_type(layer: &[u8]) -> String {
    let suffix = match layer {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "+zstd",
        _ => "",
    };
    format!("{OCI_LAYER}{suffix}")
}

pub(crate) fn write_layout(directory: &Path, entries: &[Value], blobs: &[Vec<u8>]) {
    let place = directory.join("blobs/sha256");
    std::fs::create_dir_all(&place).unwrap();
    for blob in blobs {
        std::fs::write(place.join(&digest(blob)["sha256:".len()..]), blob).unwrap();
    }
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    std::fs::write(directory.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// Packs a directory into a tar archive.
pub(crate) fn pack(directory: &Path, archive: &Path) {
    let mut builder = tar::Builder::new(std::fs::File::create(archive).unwrap());
    builder.append_dir_all(".", directory).unwrap();
    builder.finish().unwrap();
}

/// Whether nothing is left of unfinished work.
pub(crate) fn is_tidy(images: &Path) -> bool {
    std::fs::read_dir(images.join("tmp")).unwrap().next().is_none()
}
