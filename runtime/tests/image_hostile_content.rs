//! Registries that send other content than they were asked for. Runs as root.

mod image_support;

use image_support::node::Node;
use image_support::server::{Answer, Server};
use image_support::{Image, Layer, OCI_INDEX, OCI_MANIFEST, architecture, descriptor, digest};
use serde_json::{Value, json};
use spec::manifest::PullPolicy;

fn image() -> Image {
    Image::of(&[Layer::new().file("a", "a").tar(), Layer::new().file("b", "b").tar()])
}

/// Serves an image of which one answer is replaced.
async fn tampered(image: &Image, target: String, replace: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Server {
    let image = image.clone();
    Server::start(move |seen, _| {
        let answer = image.answer(&seen.target);
        if seen.target.ends_with(&target) { replace(answer) } else { answer }
    })
    .await
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let image = image();
    let other = Image::of(&[Layer::new().file("x", "x").tar()]);
    for (target, content) in [
        (image.digest(), other.manifest.clone()),
        (digest(&image.config), other.config.clone()),
        (digest(&image.layers[0]), other.layers[0].clone()),
        (digest(&image.layers[0]), [image.layers[0].clone(), vec![0; 100_000]].concat()),
        (digest(&image.layers[0]), image.layers[0][..50].to_vec()),
    ] {
        let server = tampered(&image, target, move |_| Answer::ok(content.clone())).await;
        Node::new().refusal(&server, &image).await;
    }
    // A layer with the right bytes, whose configuration promises others.
    let config: Value = serde_json::from_slice(&image.config).unwrap();
    let swapped = Image::with(&config, vec![image.layers[1].clone(), image.layers[0].clone()]);
    let reason = Node::new().refusal(&Server::of(&swapped).await, &swapped).await;
    assert!(reason.contains("digest of its content"), "{reason}");
    let fewer = Image::with(&config, vec![image.layers[0].clone()]);
    let reason = Node::new().refusal(&Server::of(&fewer).await, &fewer).await;
    assert!(reason.contains("1 layers, but 2 diff ids"), "{reason}");
}

#[tokio::test]
async fn a_registry_that_contradicts_itself_is_refused() {
    let image = image();
    let server = tampered(&image, "latest".to_owned(), |answer| answer.header("docker-content-digest", digest(b"other"))).await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("has digest"), "{error}");
}

#[tokio::test]
async fn sizes_are_capped_before_they_are_read() {
    let image = image();
    // As announced, and as it comes.
    let server = tampered(&image, "latest".to_owned(), |_| Answer::ok(vec![b' '; 5 << 20])).await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("4194304"), "{error}");
    let server = tampered(&image, "latest".to_owned(), |_| Answer::ok(vec![b' '; 5 << 20]).of_unknown_length()).await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("4194304"), "{error}");
}

#[tokio::test]
async fn an_index_leads_to_this_nodes_image_and_never_to_itself() {
    let image = image();
    let platform = json!({"os": "linux", "architecture": architecture()});
    let index = |media_type: &str, bytes: &[u8]| {
        let mut entry = descriptor(media_type, bytes);
        entry["platform"] = platform.clone();
        serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})).unwrap()
    };
    let serve = |index: Vec<u8>, image: Image| {
        let name = digest(&index);
        Server::start(move |seen, _| {
            let is_index = seen.target.ends_with("latest") || seen.target.ends_with(&name);
            if is_index { Answer::ok(index.clone()) } else { image.answer(&seen.target) }
        })
    };
    let good = index(OCI_MANIFEST, &image.manifest);
    let server = serve(good.clone(), image.clone()).await;
    let node = Node::new();
    assert_eq!(node.resolve(&server).await.unwrap(), image.digest());
    let by_index = format!("{}@{}", server.repository(), digest(&good));
    assert_eq!(node.images.resolve(&by_index, PullPolicy::Always).await.unwrap().digest, image.digest());
    node.pull(&server, &image).await.unwrap();
    // Its digest is known now, so that it needs no registry.
    assert_eq!(node.images.resolve(&by_index, PullPolicy::Never).await.unwrap().digest, image.digest());

    let nested = index(OCI_INDEX, &good);
    let error = Node::new().resolve(&serve(nested, image.clone()).await).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("not an image"), "{error}");
    // An index that calls another index a manifest.
    let lying = index(OCI_MANIFEST, &good);
    let server =
        Server::start(move |seen, _| Answer::ok(if seen.target.ends_with("latest") { lying.clone() } else { good.clone() }))
            .await;
    let node = Node::new();
    let chosen = node.resolve(&server).await.unwrap();
    let error = node.images.pull(&server.repository(), &chosen).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("an index where"), "{error}");
    let error = Node::new().images.pull(&server.repository(), "sha256:../../x").await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}
