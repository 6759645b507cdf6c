//! Images from archives: what ends up on disk, and what overlayfs makes of it. Runs as root.

mod image_support;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use image_support::registry::skopeo;
use image_support::{Image, Layer, OCI_INDEX, OCI_MANIFEST, architecture, descriptor, digest, is_tidy, pack, write_layout};
use runtime::image::{Config, Images, Loaded};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};
use serde_json::json;
use spec::Timestamp;
use spec::manifest::PullPolicy;

fn open(directory: &Path) -> Images {
    Images::open(&directory.join("images"), Config::default()).unwrap()
}

fn two_layers() -> Image {
    let lower = Layer::new()
        .directory("etc")
        .file("etc/gone", "")
        .file("etc/stays", "lower")
        .directory("old")
        .file("old/x", "")
        .file("both", "lower");
    let upper = Layer::new()
        .file("etc/.wh.gone", "")
        .directory("old")
        .file("old/.wh..wh..opq", "")
        .file("old/new", "")
        .file("both", "upper");
    Image::of(&[lower.tar(), upper.tar()])
}

/// Mounts layers where nobody else sees it.
fn mounted(layers: &[PathBuf]) -> OwnedFd {
    let overlay = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    for layer in layers {
        mount::fsconfig_set_string(&overlay, "lowerdir+", layer.as_path()).unwrap();
    }
    mount::fsconfig_create(&overlay).unwrap();
    mount::fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

fn names(root: &OwnedFd, directory: &str) -> Vec<String> {
    let directory = openat(root, directory, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let entries = rustix::fs::Dir::read_from(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[tokio::test]
async fn overlayfs_shows_what_the_layers_add_up_to() {
    let directory = tempfile::tempdir().unwrap();
    let image = two_layers();
    image.write_layout(&directory.path().join("layout"), "app:1");
    let images = open(directory.path());
    let loaded = images.load(&directory.path().join("layout")).await.unwrap();
    assert_eq!(loaded, [Loaded { references: vec!["docker.io/library/app:1".to_owned()], digest: image.digest() }]);

    let layers = images.layers(&image.digest()).unwrap();
    assert!(layers[0].join("etc/gone").symlink_metadata().unwrap().file_type().is_char_device());
    // With one layer overlayfs wants a second.
    let root = mounted(&[&layers[..], &[directory.path().join("images/empty")]].concat());
    assert_eq!(names(&root, "etc"), ["stays"]);
    assert_eq!(names(&root, "old"), ["new"]);
    let both = openat(&root, "both", OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(std::io::read_to_string(fs::File::from(both)).unwrap(), "upper");
}

/// As `umoci insert` writes it: neither the last file's block is filled up, nor do blocks of zeros follow.
#[tokio::test]
async fn an_archive_that_ends_right_after_its_last_byte_is_whole_and_one_that_ends_before_is_not() {
    let tar = Layer::new().file("a", "first").file("b", "last").tar();
    let end = tar.windows(4).position(|window| window == b"last").unwrap() + 4;
    let load = async |tar: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        let image = Image::of(&[tar.to_vec()]);
        image.write_layout(&directory.path().join("layout"), "app:1");
        let images = open(directory.path());
        images.load(&directory.path().join("layout")).await?;
        Ok::<_, runtime::image::Error>(fs::read_to_string(images.layers(&image.digest())?[0].join("b")).unwrap())
    };
    assert_eq!(load(&tar[..end]).await.unwrap(), "last");
    for cut in [end - 1, end + 1] {
        let reason = load(&tar[..cut]).await.unwrap_err().to_string();
        assert!(reason.contains("the archive ends inside"), "{cut}: {reason}");
    }
}

#[tokio::test]
async fn an_image_is_known_by_name_digest_and_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let image = two_layers();
    image.write_layout(&directory.path().join("layout"), "app:1");
    let images = open(directory.path());
    images.load(&directory.path().join("layout")).await.unwrap();
    // Another handle knows it too: all of it is on disk.
    let images = [images, open(directory.path())];
    for images in &images {
        for (reference, policy) in [
            ("app:1".to_owned(), PullPolicy::Never),
            ("docker.io/library/app:1".to_owned(), PullPolicy::IfNotPresent),
            (format!("app@{}", image.digest()), PullPolicy::Always),
        ] {
            let resolved = images.resolve(&reference, policy).await.unwrap();
            assert_eq!(
                (resolved.reference, resolved.digest, resolved.repository),
                (reference, image.digest(), "docker.io/library/app".to_owned())
            );
        }
        let config = images.config(&image.digest()).unwrap().unwrap();
        assert_eq!(images.pull("docker.io/library/app", &image.digest()).await.unwrap(), config);
        insta::allow_duplicates! {
            insta::assert_debug_snapshot!(config, @r#"
            Config {
                entrypoint: [
                    "/bin/app",
                ],
                cmd: [
                    "serve",
                ],
                env: {
                    "A": "b",
                    "PATH": "/bin",
                },
                workdir: "/srv",
                user: "7:8",
                stop_signal: None,
            }
            "#);
        }
        let listed = images.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].references, ["docker.io/library/app:1"]);
        assert_eq!(listed[0].created, Some(Timestamp(1_704_164_645_000)));
        assert_eq!(listed[0].bytes, (image.config.len() + image.layers[0].len() + image.layers[1].len()) as u64);
    }
    for unknown in ["app:2", "other"] {
        let error = images[0].resolve(unknown, PullPolicy::Never).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains(unknown), "{error}");
    }
    assert!(!images[0].layers(&digest(b"unknown")).unwrap_err().is_permanent(), "to pull it helps");
    assert_eq!(images[0].config(&digest(b"unknown")).unwrap(), None);
}

#[tokio::test]
async fn attributes_of_files_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .entry(tar::EntryType::Directory, "./", "", &[], |header| header.set_mode(0o750))
        .entry(tar::EntryType::Directory, "d", "", &[], |header| {
            header.set_mode(0o1777);
            header.set_uid(11);
            header.set_gid(12);
        })
        .pax(&[("mtime", b"1234567890.5")])
        .file_with("d/file", b"x", |header| header.set_mode(0o640))
        .hard_link("d/link", "d/file")
        .entry(tar::EntryType::Symlink, "symlink", "/absolute/target", &[], |header| header.set_uid(13))
        .file("implied/parent/file", "");
    let image = Image::of(&[layer.tar()]);
    image.write_layout(&directory.path().join("layout"), "app");
    let images = open(directory.path());
    images.load(&directory.path().join("layout")).await.unwrap();
    let root = images.layers(&image.digest()).unwrap().remove(0);
    let of = |name: &str| root.join(name).symlink_metadata().unwrap();
    assert_eq!(of("").mode() & 0o7777, 0o750);
    assert_eq!((of("d").mode() & 0o7777, of("d").uid(), of("d").gid(), of("d").mtime()), (0o1777, 11, 12, 1_000_000_000));
    assert_eq!((of("d/file").mode() & 0o7777, of("d/file").nlink()), (0o640, 2));
    assert_eq!((of("d/file").mtime(), of("d/file").mtime_nsec()), (1_234_567_890, 500_000_000));
    assert_eq!((of("symlink").uid(), of("symlink").mtime()), (13, 1_000_000_000));
    assert_eq!(fs::read_link(root.join("symlink")).unwrap(), Path::new("/absolute/target"));
    assert_eq!((of("implied/parent").mode() & 0o7777, of("implied/parent").uid()), (0o755, 0));
}

#[tokio::test]
async fn a_whiteout_and_a_new_directory_of_one_name_hide_the_old_content() {
    let directory = tempfile::tempdir().unwrap();
    let lower = || Layer::new().directory("d").file("d/old", "").file("f", "old");
    for upper in [
        Layer::new().file(".wh.d", "").directory("d").file("d/new", "").file(".wh.f", "").file("f", "new"),
        Layer::new().directory("d").file("d/new", "").file(".wh.d", "").file("f", "new").file(".wh.f", ""),
    ] {
        let image = Image::of(&[lower().tar(), upper.tar()]);
        image.write_layout(&directory.path().join(image.digest()), "app");
        let images = open(directory.path());
        images.load(&directory.path().join(image.digest())).await.unwrap();
        let root = mounted(&images.layers(&image.digest()).unwrap());
        assert_eq!(names(&root, "d"), ["new"]);
        assert_eq!(names(&root, "."), ["d", "f"]);
    }
}

#[tokio::test]
async fn layers_are_shared_and_none_is_mounted_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (base, empty, top) = (Layer::new().file("base", "").tar(), Layer::new().tar(), Layer::new().file("top", "").tar());
    let images = open(directory.path());
    let all = [Image::of(&[base.clone(), empty.clone(), top, empty.clone()]), Image::of(&[base, empty]), Image::of(&[])];
    for image in &all {
        image.write_layout(&directory.path().join(image.digest()), "app");
        images.load(&directory.path().join(image.digest())).await.unwrap();
    }
    let layers: Vec<Vec<PathBuf>> = all.iter().map(|image| images.layers(&image.digest()).unwrap()).collect();
    assert_eq!(layers[0].len(), 3);
    assert_eq!(layers[0][2], layers[1][1]);
    assert_eq!(layers[0][0], layers[1][0], "the upper of two equal layers counts");
    assert_eq!(names(&mounted(&layers[0]), "."), ["base", "top"]);
    assert!(layers[2][0].read_dir().unwrap().next().is_none(), "an image without layers has an empty one");
    assert_eq!(fs::read_dir(directory.path().join("images/layers")).unwrap().count(), 3);
    assert!(is_tidy(&directory.path().join("images")));
    // The name went from image to image; the others are known by digest.
    let references: Vec<String> = images.list().unwrap().into_iter().flat_map(|listed| listed.references).collect();
    assert_eq!(references.iter().filter(|name| name.as_str() == "docker.io/library/app:latest").count(), 1);
    assert_eq!(references.iter().filter(|name| name.starts_with("docker.io/library/app@sha256:")).count(), 2);
}

#[tokio::test]
async fn archives_of_all_kinds_hold_the_same_image() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let image = two_layers();
    image.write_layout(&path("layout"), "app:1");
    pack(&path("layout"), &path("oci.tar"));
    let docker = format!("docker-archive:{}:example.com/saved:2", path("docker.tar").display());
    skopeo(&["copy", &format!("oci-archive:{}", path("oci.tar").display()), &docker]);

    let mut contents = Vec::new();
    for (archive, reference) in
        [("layout", "docker.io/library/app:1"), ("oci.tar", "docker.io/library/app:1"), ("docker.tar", "example.com/saved:2")]
    {
        let images = Images::open(&path(&format!("images-{archive}")), Config::default()).unwrap();
        let loaded = images.load(&path(archive)).await.unwrap();
        assert_eq!(loaded[0].references, [reference], "{archive}");
        assert_eq!(images.load(&path(archive)).await.unwrap(), loaded, "again is the same");
        let layers = images.layers(&loaded[0].digest).unwrap();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.file_name().unwrap().to_owned()).collect();
        contents.push((diff_ids, images.config(&loaded[0].digest).unwrap()));
        assert_eq!(names(&mounted(&layers), "old"), ["new"]);
    }
    assert_eq!(contents[0], contents[1]);
    assert_eq!(contents[0], contents[2]);
}

#[tokio::test]
async fn zstd_plain_and_many_membered_gzip_layers_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let tar = Layer::new().file("a", "content").tar();
    let config: serde_json::Value = serde_json::from_slice(&Image::of(std::slice::from_ref(&tar)).config).unwrap();
    let members = tar.chunks(600).flat_map(image_support::gzip).collect();
    for layer in [zstd::encode_all(&tar[..], 3).unwrap(), tar.clone(), members] {
        let image = Image::with(&config, vec![layer]);
        let place = directory.path().join(image.digest());
        image.write_layout(&place, "app");
        let images = Images::open(&place.join("images"), Config::default()).unwrap();
        images.load(&place).await.unwrap();
        let root = images.layers(&image.digest()).unwrap().remove(0);
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "content");
    }
}

#[tokio::test]
async fn this_nodes_image_is_chosen_from_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let image = two_layers();
    let mut ours = descriptor(OCI_MANIFEST, &image.manifest);
    ours["platform"] = json!({"os": "linux", "architecture": architecture()});
    let mut other = descriptor(OCI_MANIFEST, b"not here");
    other["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let nested = serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [other, ours]})).unwrap();
    let mut entry = descriptor(OCI_INDEX, &nested);
    entry["annotations"] = json!({"io.containerd.image.name": "ghcr.io/org/app:3", "org.opencontainers.image.ref.name": "3"});
    let blobs = [vec![nested, image.manifest.clone(), image.config.clone()], image.layers.clone()].concat();
    write_layout(directory.path(), &[entry], &blobs);
    let loaded = open(directory.path()).load(directory.path()).await.unwrap();
    assert_eq!(loaded, [Loaded { references: vec!["ghcr.io/org/app:3".to_owned()], digest: image.digest() }]);
}

#[tokio::test]
async fn what_is_no_archive_is_refused_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let image = two_layers();
    image.write_layout(&path("layout"), "app");
    pack(&path("layout"), &path("oci.tar"));
    fs::write(path("oci.tar.gz"), image_support::gzip(&fs::read(path("oci.tar")).unwrap())).unwrap();
    fs::create_dir(path("nothing")).unwrap();
    fs::write(path("noise"), [7; 5000]).unwrap();
    let missing = path("layout").join("blobs/sha256").join(&digest(&image.layers[0])[7..]);
    fs::remove_file(missing).unwrap();
    image.write_layout(&path("linked"), "app");
    let config = path("linked").join("blobs/sha256").join(&digest(&image.config)[7..]);
    fs::rename(&config, path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(path("elsewhere"), &config).unwrap();
    let images = open(directory.path());
    for (name, reason) in [("oci.tar.gz", "gunzip"), ("nothing", "index.json"), ("noise", "damaged"), ("layout", "missing")] {
        let error = images.load(&path(name)).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains(reason), "{name}: {error}");
    }
    assert!(images.load(&path("linked")).await.is_err(), "links out of a layout are not followed");
    assert!(images.load(&path("absent")).await.is_err());
    assert!(images.list().unwrap().is_empty());
}

#[tokio::test]
async fn an_image_for_another_processor_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({"os": "linux", "architecture": "s390x", "rootfs": {"type": "layers", "diff_ids": []}});
    Image::with(&config, vec![]).write_layout(directory.path(), "app");
    let error = open(directory.path()).load(directory.path()).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("linux/s390x"), "{error}");
}

#[tokio::test]
async fn opening_removes_what_a_crash_left_and_keeps_what_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let image = two_layers();
    image.write_layout(&directory.path().join("layout"), "app");
    open(directory.path()).load(&directory.path().join("layout")).await.unwrap();
    let images = directory.path().join("images");
    fs::create_dir_all(images.join("tmp/1-1/tree/a/b")).unwrap();
    let reopened = open(directory.path());
    assert!(is_tidy(&images));
    assert_eq!(reopened.list().unwrap().len(), 1);

    // A crash before the record: the image is not there, and is made complete again.
    fs::remove_file(images.join("images").join(&image.digest()[7..])).unwrap();
    assert!(reopened.resolve("app", PullPolicy::Never).await.is_err());
    assert_eq!(reopened.config(&image.digest()).unwrap(), None);
    reopened.load(&directory.path().join("layout")).await.unwrap();
    assert!(reopened.resolve("app", PullPolicy::Never).await.is_ok());

    // Damage to what is on disk: noticed, and repaired the same way.
    for damaged in ["images".to_owned() + "/" + &image.digest()[7..], "blobs/sha256/".to_owned() + &digest(&image.config)[7..]] {
        fs::write(images.join(damaged), "x").unwrap();
        assert_eq!(reopened.config(&image.digest()).unwrap(), None);
        reopened.load(&directory.path().join("layout")).await.unwrap();
        assert!(reopened.config(&image.digest()).unwrap().is_some());
    }
    let layer = reopened.layers(&image.digest()).unwrap().remove(0);
    fs::remove_dir_all(&layer).unwrap();
    assert!(reopened.layers(&image.digest()).is_err());
    reopened.load(&directory.path().join("layout")).await.unwrap();
    assert!(layer.is_dir());
}
