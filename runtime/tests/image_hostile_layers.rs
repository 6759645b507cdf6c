//! Hostile layers: whatever they contain, nothing outside their own directory changes. Runs as root.

mod image_support;

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use image_support::canary::Canary;
use image_support::{Image, Layer, gzip, is_tidy};
use runtime::image::{Config, Error, Images, Limits};
use tar::EntryType;

/// Loads an image of one layer; returns its directory.
async fn load(canary: &Canary, image: &Image, limits: Limits) -> Result<PathBuf, Error> {
    image.write_layout(&canary.scratch(), "app");
    let images = Images::open(&canary.images(), Config { limits, ..Config::default() })?;
    let loaded = images.load(&canary.scratch()).await?;
    Ok(images.layers(&loaded[0].digest)?.remove(0))
}

async fn unpack(canary: &Canary, layer: Layer) -> Result<PathBuf, Error> {
    let unpacked = load(canary, &Image::of(&[layer.tar()]), Limits::default()).await;
    canary.assert_untouched();
    unpacked
}

/// Loads a layer that must be refused for good, and returns why.
async fn refusal(layer: impl FnOnce(&str) -> Layer) -> String {
    let canary = Canary::new();
    let layer = layer(canary.outside().to_str().unwrap());
    let error = unpack(&canary, layer).await.expect_err("hostile");
    assert_refused(&canary, &error);
    error.to_string()
}

#[track_caller]
fn assert_refused(canary: &Canary, error: &Error) {
    canary.assert_untouched();
    assert!(error.is_permanent(), "{error}");
    assert!(is_tidy(&canary.images()), "nothing unfinished stays");
    assert_eq!(std::fs::read_dir(canary.images().join("layers")).unwrap().count(), 0, "no layer appears");
    assert!(Images::open(&canary.images(), Config::default()).unwrap().list().unwrap().is_empty());
}

#[tokio::test]
async fn absolute_names_are_taken_relative() {
    let canary = Canary::new();
    let name = canary.outside().join("secret");
    let root = unpack(&canary, Layer::new().file(name.to_str().unwrap(), "evil")).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.join(name.strip_prefix("/").unwrap())).unwrap(), "evil");
}

#[tokio::test]
async fn names_that_climb_are_refused() {
    let reason = refusal(|_| Layer::new().file("../../../outside/secret", "evil")).await;
    assert!(reason.contains("`..`"), "{reason}");
    refusal(|_| Layer::new().file("a/../../outside/secret", "evil")).await;
    refusal(|_| Layer::new().pax(&[("path", b"../../../outside/secret")]).file("innocent", "evil")).await;
    refusal(|_| Layer::new().directory("..")).await;
    refusal(|_| Layer::new().directory("a").symlink("a/..", "x")).await;
}

#[tokio::test]
async fn writing_through_an_earlier_symlink_is_refused() {
    let reason = refusal(|outside| Layer::new().symlink("link", outside).file("link/secret", "evil")).await;
    assert!(reason.contains("link"), "{reason}");
    refusal(|_| Layer::new().symlink("link", "../../../outside").file("link/secret", "evil")).await;
    refusal(|outside| Layer::new().symlink("a", outside).symlink("b", "a").file("b/etc/passwd", "evil")).await;
    refusal(|outside| Layer::new().symlink("link", outside).directory("link/new")).await;
    refusal(|outside| Layer::new().symlink("link", &format!("/proc/self/root{outside}")).file("link/secret", "evil")).await;
}

#[tokio::test]
async fn a_file_in_place_of_a_symlink_replaces_the_link() {
    let canary = Canary::new();
    let secret = canary.outside().join("secret");
    let root = unpack(&canary, Layer::new().symlink("x", secret.to_str().unwrap()).file("x", "evil")).await.unwrap();
    assert!(root.join("x").symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn a_file_in_place_of_a_full_directory_replaces_it() {
    let canary = Canary::new();
    let outside = canary.outside();
    let full = Layer::new().directory("d").directory("d/e").file("d/e/f", "").symlink("d/link", outside.to_str().unwrap());
    let root = unpack(&canary, full.file("d", "file").file("other", "")).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.join("d")).unwrap(), "file");
    assert!(is_tidy(&canary.images()));
    let reason = refusal(|_| Layer::new().directory("d").file("d", "").file("d/x", "")).await;
    assert!(reason.contains("d"), "{reason}");
}

#[tokio::test]
async fn a_directory_in_place_of_a_symlink_changes_nothing_outside() {
    let canary = Canary::new();
    let outside = canary.outside();
    let layer = Layer::new().symlink("x", outside.to_str().unwrap()).entry(EntryType::Directory, "x", "", &[], |header| {
        header.set_mode(0o777);
        header.set_uid(1234);
    });
    let root = unpack(&canary, layer.file("x/secret", "evil")).await.unwrap();
    assert!(root.join("x").symlink_metadata().unwrap().is_dir());
    assert_eq!(std::fs::read_to_string(root.join("x/secret")).unwrap(), "evil");
}

#[tokio::test]
async fn times_of_directories_do_not_follow_a_later_symlink() {
    let canary = Canary::new();
    let empty = canary.outside().join("empty");
    let before = empty.metadata().unwrap().mtime();
    unpack(&canary, Layer::new().directory("x").symlink("x", empty.to_str().unwrap())).await.unwrap();
    assert_eq!(empty.metadata().unwrap().mtime(), before);
}

#[tokio::test]
async fn symlinks_inside_the_layer_are_followed() {
    let canary = Canary::new();
    let layer = Layer::new().directory("usr").directory("usr/lib").symlink("lib", "usr/lib").symlink("usr/back", "../lib");
    let root = unpack(&canary, layer.file("lib/a", "a").file("usr/back/b", "b")).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.join("usr/lib/a")).unwrap(), "a");
    assert_eq!(std::fs::read_to_string(root.join("usr/lib/b")).unwrap(), "b");
}

#[tokio::test]
async fn hard_links_out_of_the_root_are_refused() {
    refusal(|outside| Layer::new().hard_link("x", &format!("{outside}/secret"))).await;
    refusal(|_| Layer::new().hard_link("x", "../../../outside/secret")).await;
    refusal(|outside| Layer::new().symlink("link", outside).hard_link("x", "link/secret")).await;
    refusal(|_| Layer::new().directory("d").hard_link("x", "d")).await;
    refusal(|_| Layer::new().hard_link("x", "x")).await;
    refusal(|_| Layer::new().hard_link("x", "/")).await;
}

#[tokio::test]
async fn a_hard_link_to_a_symlink_is_not_followed_when_it_is_written() {
    let canary = Canary::new();
    let secret = canary.outside().join("secret");
    let layer = Layer::new().symlink("a", secret.to_str().unwrap()).hard_link("b", "a").file("b", "evil");
    unpack(&canary, layer).await.unwrap();
}

#[tokio::test]
async fn a_whiteout_under_a_symlinked_parent_leaves_the_host_alone() {
    refusal(|outside| Layer::new().symlink("link", outside).file("link/.wh.secret", "")).await;
    refusal(|outside| Layer::new().symlink("link", outside).file("link/.wh..wh..opq", "")).await;
    refusal(|_| Layer::new().file(".wh...", "")).await;
    refusal(|_| Layer::new().file("d/.wh..", "")).await;
    refusal(|_| Layer::new().file(".wh.", "")).await;
}

#[tokio::test]
async fn odd_names_are_refused_or_kept_as_they_are() {
    let reason = refusal(|_| Layer::new().pax(&[("path", b"a\0b")]).file("x", "")).await;
    assert!(reason.contains("NUL"), "{reason}");
    refusal(|_| Layer::new().file(&"a".repeat(300), "")).await;
    refusal(|_| Layer::new().file(&"a/".repeat(2500), "")).await;
    refusal(|_| Layer::new().pax(&[("path", &[b'a'; 2 << 20])]).file("x", "")).await;
    refusal(|_| Layer::new().file("/", "")).await;

    let canary = Canary::new();
    let root = unpack(&canary, Layer::new().pax(&[("path", b"a\n../../outside/secret\nb\xff")]).file("x", "kept")).await;
    let reason = root.expect_err("it climbs").to_string();
    assert!(!reason.contains('\n'), "a message is one line: {reason}");

    let canary = Canary::new();
    let root = unpack(&canary, Layer::new().pax(&[("path", b"a\nb")]).file("x", "kept").file(&"d/".repeat(100).repeat(2), ""))
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(root.join("a\nb")).unwrap(), "kept");
}

#[tokio::test]
async fn devices_become_nothing_and_set_uid_bits_stay() {
    let canary = Canary::new();
    let device = |header: &mut tar::Header| {
        header.set_device_major(8).unwrap();
        header.set_device_minor(0).unwrap();
    };
    let layer = Layer::new()
        .entry(EntryType::Block, "sda", "", &[], device)
        .entry(EntryType::Char, "mem", "", &[], device)
        .entry(EntryType::Fifo, "fifo", "", &[], |header| header.set_mode(0o622))
        .file_with("su", b"x", |header| header.set_mode(0o4755));
    let root = unpack(&canary, layer).await.unwrap();
    assert!(!root.join("sda").exists() && !root.join("mem").exists());
    assert!(root.join("fifo").metadata().unwrap().file_type().is_fifo());
    assert_eq!(root.join("fifo").metadata().unwrap().mode() & 0o7777, 0o622);
    assert_eq!(root.join("su").metadata().unwrap().mode() & 0o7777, 0o4755);
    assert_eq!(canary.images().metadata().unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn only_harmless_attributes_are_kept() {
    let canary = Canary::new();
    // Capabilities with newlines among their bytes: CAP_DAC_OVERRIDE and CAP_FOWNER.
    let capability: &[u8] = &[1, 0, 0, 2, 10, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let layer = Layer::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"x"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/outside"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ])
        .file_with("x", b"x", |header| header.set_uid(5))
        .pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .directory("d");
    let root = unpack(&canary, layer).await.unwrap();
    let mut names: Vec<_> = xattr::list(root.join("x")).unwrap().collect();
    names.sort();
    assert_eq!(names, ["security.capability", "user.note"]);
    assert_eq!(xattr::get(root.join("x"), "security.capability").unwrap().unwrap(), capability);
    assert_eq!(xattr::list(root.join("d")).unwrap().count(), 0);
}

#[tokio::test]
async fn bombs_are_stopped_and_cleaned_up() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits { unpacked_bytes: 4 << 20, entries: 1000, ratio: 100, free_bytes: 1 << 20 };
        change(&mut limits);
        limits
    };
    let zeros = vec![0; 8 << 20];
    let bomb = Layer::new().file_with("zeros", &zeros, |_| {}).tar();
    let many = (0..2000).fold(Layer::new(), |layer, number| layer.file(&number.to_string(), "")).tar();
    let claimed = Layer::new().file_with("huge", b"", |header| header.set_size(1 << 40)).tar();
    let padding = [Layer::new().tar(), zeros].concat();
    for (tar, limits, reason) in [
        (&bomb, limits(|_| {}), "more than 4194304 bytes"),
        (&bomb, limits(|limits| limits.unpacked_bytes = 16 << 30), "100 times its size"),
        (&many, limits(|_| {}), "more than 1000 entries"),
        (&claimed, limits(|_| {}), "more than 4194304 bytes"),
        (&padding, limits(|limits| limits.unpacked_bytes = 16 << 30), "100 times its size"),
    ] {
        let canary = Canary::new();
        let error = load(&canary, &Image::of(std::slice::from_ref(tar)), limits).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_refused(&canary, &error);
    }
}

#[tokio::test]
async fn a_zstd_bomb_is_stopped() {
    let tar = Layer::new().file_with("zeros", &vec![0; 8 << 20], |_| {}).tar();
    let mut image = Image::of(std::slice::from_ref(&tar));
    let config = serde_json::from_slice(&image.config).unwrap();
    image = Image::with(&config, vec![zstd::encode_all(&tar[..], 3).unwrap()]);
    let canary = Canary::new();
    let error = load(&canary, &image, Limits { ratio: 10, free_bytes: 1 << 20, ..Limits::default() }).await.unwrap_err();
    assert!(error.to_string().contains("10 times"), "{error}");
    assert_refused(&canary, &error);
}

#[tokio::test]
async fn a_sparse_terabyte_is_refused_before_it_is_written() {
    let sparse = |header: &mut tar::Header| {
        let gnu = header.as_gnu_mut().unwrap();
        gnu.realsize.copy_from_slice(b"17777777777\0");
    };
    let reason = refusal(|_| Layer::new().entry(EntryType::GNUSparse, "sparse", "", b"", sparse)).await;
    assert!(reason.contains("'S'"), "{reason}");
    let pax: &[(&str, &[u8])] = &[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"1099511627776")];
    let reason = refusal(|_| Layer::new().pax(pax).file("x", "")).await;
    assert!(reason.contains("sparse"), "{reason}");
    let reason = refusal(|_| Layer::new().pax(&[("size", b"1099511627776")]).file("x", "")).await;
    assert!(reason.contains("bytes"), "{reason}");
}

#[tokio::test]
async fn a_hundred_thousand_opaque_whiteouts_take_bounded_time() {
    let canary = Canary::new();
    let files = (0..2000).fold(Layer::new(), |layer, number| layer.file(&format!("d/{number}"), ""));
    let layer = (0..100_000).fold(files, |layer, _| layer.file("d/.wh..wh..opq", ""));
    let root = tokio::time::timeout(Duration::from_secs(300), unpack(&canary, layer)).await.expect("bounded").unwrap();
    assert_eq!(xattr::get(root.join("d"), "trusted.overlay.opaque").unwrap().unwrap(), b"y");
    assert_eq!(std::fs::read_dir(root.join("d")).unwrap().count(), 2000, "what the layer itself has stays");
}

#[tokio::test]
async fn damaged_streams_are_refused() {
    let tar = Layer::new().file("a", "content").tar();
    let good = Image::of(std::slice::from_ref(&tar));
    let config: serde_json::Value = serde_json::from_slice(&good.config).unwrap();
    let other = gzip(&Layer::new().file("b", "").tar());
    let cut = good.layers[0][..good.layers[0].len() / 2].to_vec();
    let garbage = [good.layers[0].clone(), b"garbage".to_vec()].concat();
    let mut flipped = tar.clone();
    flipped[10] ^= 1;
    for (layer, reason) in [
        (other, "digest of its content"),
        (cut, ""),
        (garbage, ""),
        (gzip(&flipped), "damaged tar header"),
        (Vec::new(), "digest"),
    ] {
        let canary = Canary::new();
        let error = load(&canary, &Image::with(&config, vec![layer]), Limits::default()).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_refused(&canary, &error);
    }
}

#[tokio::test]
async fn entries_described_twice_and_unknown_types_are_refused() {
    refusal(|_| Layer::new().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("c", "")).await;
    refusal(|_| Layer::new().pax(&[("path", b"a")])).await;
    refusal(|_| Layer::new().entry(EntryType::new(b'V'), "label", "", &[], |_| {})).await;
    refusal(|_| Layer::new().file_with("a", b"", |header| header.set_uid(u64::from(u32::MAX)))).await;
}
