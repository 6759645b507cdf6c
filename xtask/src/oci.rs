//! Packs one static program as an OCI image: an image layout (image-spec 1.1) in a tar file.
//!
//! The same program gives the same bytes, on every machine and at every time: nothing in the archive is a date, an owner or
//! the order of a directory.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Whom the program runs as: nobody whom the host knows.
const USER: &str = "65532:65532";

/// A static program and the name of its image.
pub struct Program<'a> {
    /// What `stead image load` calls the image, such as `hello:latest`.
    pub reference: &'a str,
    /// Name of the program in the image, where it lies at the root and is the entrypoint.
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Returns the image as an OCI archive.
pub fn archive(program: &Program<'_>) -> Result<Vec<u8>> {
    let layer = tar(&BTreeMap::from([(program.name.to_owned(), (0o755, program.bytes.to_vec()))]))?;
    let mut blobs = Blobs::default();
    let layer_descriptor = blobs.add("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&layer)?);
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Entrypoint": [format!("/{}", program.name)], "User": USER, "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = blobs.add("application/vnd.oci.image.config.v1+json", serde_json::to_vec(&config)?);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer_descriptor],
    });
    let mut manifest = blobs.add("application/vnd.oci.image.manifest.v1+json", serde_json::to_vec(&manifest)?);
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": program.reference });
    manifest["platform"] = json!({ "architecture": architecture(), "os": "linux" });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    });
    let mut files = blobs.0;
    files.insert("index.json".to_owned(), (0o644, serde_json::to_vec(&index)?));
    files.insert("oci-layout".to_owned(), (0o644, serde_json::to_vec(&json!({ "imageLayoutVersion": "1.0.0" }))?));
    tar(&files)
}

/// Mode and contents by path.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

#[derive(Default)]
struct Blobs(Files);

impl Blobs {
    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (digest(&bytes), bytes.len());
        self.0.insert(format!("blobs/{}", digest.replace(':', "/")), (0o644, bytes));
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // A header without time and system, unlike the default one.
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn tar(files: &Files) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, (mode, bytes)) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, path, bytes.as_slice()).with_context(|| format!("packing {path}"))?;
    }
    Ok(builder.into_inner()?)
}

/// Returns this machine's architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn hello() -> Vec<u8> {
        archive(&Program { reference: "hello:latest", name: "hello", bytes: b"\x7fELF program" }).unwrap()
    }

    fn unpack(archive: &[u8]) -> Files {
        let mut files = Files::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, mode) = (entry.path().unwrap().to_str().unwrap().to_owned(), entry.header().mode().unwrap());
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, (mode, bytes));
        }
        files
    }

    /// Follows a descriptor: its digest and size are those of the blob.
    fn blob(files: &Files, descriptor: &Value) -> Vec<u8> {
        let name = descriptor["digest"].as_str().unwrap();
        let bytes = files[&format!("blobs/{}", name.replace(':', "/"))].1.clone();
        assert_eq!((digest(&bytes).as_str(), descriptor["size"].as_u64()), (name, Some(bytes.len() as u64)));
        bytes
    }

    fn document(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_program_is_found_by_following_the_digests() {
        let files = unpack(&hello());
        let index = document(&files["index.json"].1);
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "hello:latest");
        let manifest = document(&blob(&files, &index["manifests"][0]));
        let config = document(&blob(&files, &manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/hello"]));
        let mut layer = Vec::new();
        GzDecoder::new(blob(&files, &manifest["layers"][0]).as_slice()).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&layer)]));
        assert_eq!(unpack(&layer), Files::from([("hello".to_owned(), (0o755, b"\x7fELF program".to_vec()))]));
        assert_eq!(document(&files["oci-layout"].1), json!({ "imageLayoutVersion": "1.0.0" }));
    }

    #[test]
    fn the_same_program_gives_the_same_bytes() {
        assert_eq!(hello(), hello());
        // Changes only with the format, which is then a new image for everybody who has loaded it.
        #[cfg(target_arch = "x86_64")]
        insta::assert_snapshot!(digest(&hello()), @"sha256:18c95e657b3487ac07c1fe1d6fc0feba149acbadf985edbe2912eb2aeb3d7b65");
    }
}
