//! Images from a real registry (Debian's docker-registry), pushed by skopeo. Runs as root.

mod image_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use image_support::registry::{DebianRegistry, skopeo};
use image_support::{Image, Layer, digest, is_tidy, pack};
use runtime::image::{Config, Images};
use spec::manifest::PullPolicy;

fn tars() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..200_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        Layer::new().directory("bin").file_with("bin/app", &noise, |header| header.set_mode(0o755)).tar(),
        Layer::new().directory("srv").file("srv/page", "hello").tar(),
        Layer::new().file("srv/.wh.page", "").file("srv/other", "").tar(),
    ]
}

fn image() -> Image {
    Image::of(&tars())
}

/// Writes an image as an archive.
fn archive(image: &Image, directory: &Path) -> std::path::PathBuf {
    let layout = directory.join(format!("layout-{}", image.digest()));
    image.write_layout(&layout, "app:1");
    let path = directory.join(format!("{}.tar", &image.digest()[7..]));
    pack(&layout, &path);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_resolved_pulled_and_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start("", |_| {});
    let image = image();
    registry.push(&archive(&image, directory.path()), "org/app:1", &[]);
    let images = Images::open(&directory.path().join("images"), Config::default()).unwrap();
    let reference = format!("{}:1", registry.repository("org/app"));

    assert!(images.resolve(&reference, PullPolicy::Never).await.is_err());
    let resolved = images.resolve(&reference, PullPolicy::IfNotPresent).await.unwrap();
    assert_eq!(resolved.repository, registry.repository("org/app"));
    assert_eq!(resolved.digest, image.digest());
    assert!(images.list().unwrap().is_empty(), "resolving fetches nothing");

    let config = images.pull(&resolved.repository, &resolved.digest).await.unwrap();
    assert_eq!(config.entrypoint, ["/bin/app"]);
    let layers = images.layers(&resolved.digest).unwrap();
    assert_eq!(layers.len(), 3);
    assert_eq!(fs::read_to_string(layers[1].join("srv/page")).unwrap(), "hello");
    assert_eq!(fs::metadata(layers[2].join("bin/app")).unwrap().len(), 200_000);
    assert_eq!(images.list().unwrap()[0].references, std::slice::from_ref(&reference));
    assert!(is_tidy(&directory.path().join("images")));

    // The tag moves on: who asks always sees it, the others stay.
    let other = Image::of(&[Layer::new().file("new", "").tar()]);
    registry.push(&archive(&other, directory.path()), "org/app:1", &[]);
    assert_eq!(images.resolve(&reference, PullPolicy::IfNotPresent).await.unwrap().digest, image.digest());
    assert_eq!(images.resolve(&reference, PullPolicy::Always).await.unwrap().digest, other.digest());
    images.pull(&resolved.repository, &other.digest()).await.unwrap();
    assert_eq!(images.resolve(&reference, PullPolicy::IfNotPresent).await.unwrap().digest, other.digest());

    // What is here needs no registry; what is not does.
    drop(registry);
    assert_eq!(images.resolve(&reference, PullPolicy::IfNotPresent).await.unwrap().digest, other.digest());
    let by_digest = format!("{}@{}", resolved.repository, image.digest());
    assert_eq!(images.resolve(&by_digest, PullPolicy::Always).await.unwrap().digest, image.digest());
    images.pull(&resolved.repository, &image.digest()).await.unwrap();
    let error = images.resolve(&reference, PullPolicy::Always).await.unwrap_err();
    assert!(!error.is_permanent(), "a registry that is gone may come back: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_own_format_and_zstd_layers_are_pulled() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start("", |_| {});
    registry.push(&archive(&image(), directory.path()), "app:docker", &["--format", "v2s2"]);
    // Only what is not compressed yet gets compressed as asked.
    let plain = Image::with(&serde_json::from_slice(&image().config).unwrap(), tars());
    registry.push(&archive(&plain, directory.path()), "app:zstd", &["--dest-compress-format", "zstd"]);
    let mut diff_ids = Vec::new();
    for tag in ["docker", "zstd"] {
        let images = Images::open(&directory.path().join(tag), Config::default()).unwrap();
        let resolved = images.resolve(&format!("{}:{tag}", registry.repository("app")), PullPolicy::Always).await.unwrap();
        images.pull(&resolved.repository, &resolved.digest).await.unwrap();
        let layers = images.layers(&resolved.digest).unwrap();
        diff_ids.push(layers.iter().map(|layer| layer.file_name().unwrap().to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_plainly() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start("", |_| {});
    let images = Images::open(directory.path(), Config::default()).unwrap();
    let error = images.resolve(&registry.repository("nothing"), PullPolicy::Always).await.unwrap_err();
    assert!(error.is_permanent());
    let shown = error.to_string().replace(&registry.port.to_string(), "PORT");
    insta::assert_snapshot!(shown, @"http://127.0.0.1:PORT/v2/nothing/manifests/latest: no such image (manifest unknown)");
    let error = images.pull(&registry.repository("nothing"), &digest(b"x")).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}

/// `user` with the password `secret`, in bcrypt.
const HTPASSWD: &str = "user:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
const HTPASSWD_AUTH: &str = "auth:\n  htpasswd:\n    realm: test\n    path: DIR/htpasswd";

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_what_is_closed_without() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start(HTPASSWD_AUTH, |directory| fs::write(directory.join("htpasswd"), HTPASSWD).unwrap());
    let image = image();
    registry.push(&archive(&image, directory.path()), "app:1", &["--dest-creds", "user:secret"]);
    let host = format!("127.0.0.1:{}", registry.port);
    let with = |name: &str, password: Option<&str>| {
        let credentials = password.map(|password| (host.clone(), ("user".to_owned(), password.to_owned()))).into_iter().collect();
        Images::open(&directory.path().join(name), Config { credentials, ..Config::default() }).unwrap()
    };
    let reference = format!("{}:1", registry.repository("app"));
    for (name, password) in [("none", None), ("wrong", Some("guess"))] {
        let error = with(name, password).resolve(&reference, PullPolicy::Always).await.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("denied"), "{error}");
        assert!(!error.to_string().contains("guess"));
    }
    let images = with("right", Some("secret"));
    let resolved = images.resolve(&reference, PullPolicy::Always).await.unwrap();
    images.pull(&resolved.repository, &resolved.digest).await.unwrap();
    assert_eq!(images.layers(&image.digest()).unwrap().len(), 3);
}

/// Makes a certificate for `registry.localhost`, which resolves to loopback but is no loopback address by name.
fn certify(directory: &Path) {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:registry.localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ])
        .current_dir(directory)
        .output()
        .expect("openssl is needed: apt-get install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_and_a_private_authority_can_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start("", certify);
    let image = image();
    registry.push(&archive(&image, directory.path()), "app:1", &[]);
    let reference = format!("registry.localhost:{}/app:1", registry.port);

    let strangers = Images::open(&directory.path().join("strangers"), Config::default()).unwrap();
    assert!(strangers.resolve(&reference, PullPolicy::Always).await.is_err());

    let config = Config { authorities: vec![registry.directory().join("certificate.pem")], ..Config::default() };
    let images = Images::open(&directory.path().join("images"), config).unwrap();
    let resolved = images.resolve(&reference, PullPolicy::Always).await.unwrap();
    images.pull(&resolved.repository, &resolved.digest).await.unwrap();
    assert_eq!(images.layers(&image.digest()).unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_https_may_not_send_for_tokens_in_plain_http() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = image_support::server::Server::start(|_, _| image_support::server::Answer::ok(r#"{"token":"x"}"#)).await;
    let auth = format!(
        "auth:\n  token:\n    realm: http://{}/token\n    service: test\n    issuer: test\n    rootcertbundle: DIR/certificate.pem",
        tokens.address
    );
    let registry = DebianRegistry::start(&auth, certify);
    let host = format!("registry.localhost:{}", registry.port);
    let config = Config {
        authorities: vec![registry.directory().join("certificate.pem")],
        credentials: [(host.clone(), ("user".to_owned(), "secret".to_owned()))].into(),
        // Even where plain http would do.
        insecure: vec![tokens.address.to_string()],
        ..Config::default()
    };
    let images = Images::open(&directory.path().join("images"), config).unwrap();
    let error = images.resolve(&format!("{host}/app"), PullPolicy::Always).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("from https to http"), "{error}");
    assert!(tokens.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_pulls_is_what_is_unpacked() {
    // The other way round: an archive that skopeo makes from the registry is the image that was pushed.
    let directory = tempfile::tempdir().unwrap();
    let registry = DebianRegistry::start("", |_| {});
    let image = image();
    registry.push(&archive(&image, directory.path()), "app:1", &[]);
    let target = directory.path().join("again.tar");
    let source = format!("docker://127.0.0.1:{}/app:1", registry.port);
    skopeo(&["copy", "--src-tls-verify=false", &source, &format!("oci-archive:{}:app:1", target.display())]);
    let images = Images::open(&directory.path().join("images"), Config::default()).unwrap();
    let loaded = images.load(&target).await.unwrap();
    assert_eq!(
        (loaded[0].digest.as_str(), &loaded[0].references[..]),
        (image.digest().as_str(), &["docker.io/library/app:1".to_owned()][..])
    );
}
