//! Hostile and failing registries, played on loopback. Runs as root.

mod image_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image_support::node::{Node, credentials};
use image_support::server::{Answer, Server};
use image_support::{Image, Layer, digest, is_tidy};
use runtime::image::{Config, Error, Timeouts};
use spec::manifest::PullPolicy;

fn image() -> Image {
    Image::of(&[Layer::new().file("a", "a").tar(), Layer::new().file("b", "b").tar()])
}

fn is_authorized(server: &Server) -> bool {
    server.seen().iter().any(|seen| seen.header("authorization").is_some())
}

fn bearer(realm: &str) -> Answer {
    Answer::status(401)
        .header("www-authenticate", format!(r#"Bearer realm="{realm}",service="s",scope="repository:app:pull,push""#))
}

#[tokio::test]
async fn a_token_realm_on_loopback_that_nobody_named_gets_nothing() {
    let victim = Server::start(|_, _| Answer::ok(r#"{"token":"x"}"#)).await;
    let port = victim.address.port();
    for realm in [
        format!("http://{}/token", victim.address),
        format!("http://localhost:{port}/token"),
        format!("http://[::ffff:127.0.0.1]:{port}/token"),
        format!("https://127.0.0.1:{port}/token"),
        format!("https://rebound.localhost:{port}/token"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/token".to_owned(),
        "https://[fe80::1]/token".to_owned(),
        "https://[fd00::1]/token".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let place = realm.clone();
        let server = Server::start(move |_, _| bearer(&place)).await;
        let error = Node::knowing(&server).resolve(&server).await.expect_err("refused");
        assert!(matches!(error, Error::Refused { .. }), "{realm}: {error}");
        assert!(error.is_permanent());
        assert!(!is_authorized(&server), "no credentials before a token");
    }
    assert!(victim.seen().is_empty(), "not even a connection");
}

#[tokio::test]
async fn a_redirect_to_loopback_that_nobody_named_is_refused() {
    let victim = Server::start(|_, _| Answer::ok("secret")).await;
    let image = image();
    let target = format!("http://{}/latest/meta-data?key=secret", victim.address);
    let answers = image.clone();
    let server =
        Server::start(move |seen, _| if seen.is_blob() { Answer::redirect(&target) } else { answers.answer(&seen.target) }).await;
    let reason = Node::new().refusal(&server, &image).await;
    assert!(reason.contains("not public") && !reason.contains("key=secret"), "{reason}");
    assert!(victim.seen().is_empty());
}

#[tokio::test]
async fn a_named_place_gets_redirects_without_credentials() {
    let image = image();
    let storage = Server::of(&image).await;
    let (answers, target) = (image.clone(), storage.address);
    let server = Server::start(move |seen, _| {
        if seen.header("authorization").is_none() {
            return Answer::status(401).header("www-authenticate", "Basic realm=x");
        }
        if seen.is_blob() { Answer::redirect(format!("http://{target}{}", seen.target)) } else { answers.answer(&seen.target) }
    })
    .await;
    let node =
        Node::with(Config { credentials: credentials(&server), trusted: vec![storage.address.to_string()], ..Config::default() });
    assert_eq!(node.pull(&server, &image).await.unwrap().len(), 2);
    assert!(is_authorized(&server));
    assert!(!storage.seen().is_empty() && !is_authorized(&storage));
}

#[tokio::test]
async fn a_redirect_that_comes_home_does_not_bring_the_credentials_back() {
    let image = image();
    let away = Server::start(|seen, _| Answer::redirect(seen.target.split_once("?home=").unwrap().1)).await;
    let (answers, target) = (image.clone(), away.address);
    let server = Server::start(move |seen, _| {
        let home = format!("http://{}", seen.header("host").unwrap());
        match (seen.header("authorization"), seen.target.starts_with("/home")) {
            (None, true) => Answer::status(403),
            (Some(_), true) => answers.answer(&seen.target),
            (None, false) => Answer::status(401).header("www-authenticate", "Basic realm=x"),
            (Some(_), false) => Answer::redirect(format!("http://{target}/?home={home}/home{}", seen.target)),
        }
    })
    .await;
    let node =
        Node::with(Config { credentials: credentials(&server), trusted: vec![away.address.to_string()], ..Config::default() });
    let reason = node.refusal(&server, &image).await;
    assert!(reason.contains("denied"), "{reason}");
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = Server::start(|seen, _| Answer::redirect(format!("{}x", seen.target))).await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("5 redirects"), "{error}");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_token_is_asked_for_pulling_only_and_used_again() {
    let image = image();
    let answers = image.clone();
    let server = Server::start(move |seen, _| {
        if seen.target.starts_with("/token") {
            return Answer::ok(r#"{"access_token":"t0ken","expires_in":300}"#);
        }
        match seen.header("authorization") {
            Some("Bearer t0ken") => answers.answer(&seen.target),
            _ => bearer(&format!("http://{}/token?a=b", seen.header("host").unwrap())),
        }
    })
    .await;
    let node = Node::knowing(&server);
    assert_eq!(node.resolve(&server).await.unwrap(), image.digest());
    node.pull(&server, &image).await.unwrap();
    let seen = server.seen();
    let tokens: Vec<_> = seen.iter().filter(|seen| seen.target.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].target, "/token?a=b&service=s&scope=repository%3Aapp%3Apull");
    assert_eq!(tokens[0].header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
}

#[tokio::test]
async fn without_credentials_none_are_sent_and_a_refusal_is_final() {
    let server = Server::start(|seen, _| {
        if seen.target.starts_with("/token") {
            return Answer::status(403).header("x", "y");
        }
        bearer(&format!("http://{}/token", seen.header("host").unwrap()))
    })
    .await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && error.is_permanent(), "{error}");
    assert!(!is_authorized(&server));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn patience_is_honoured() {
    let image = image();
    let answers = image.clone();
    let server = Server::start(move |seen, before| match before {
        0 => Answer::status(429).header("retry-after", "1"),
        1 => Answer::status(503).header("retry-after", "0"),
        _ => answers.answer(&seen.target),
    })
    .await;
    assert_eq!(Node::new().resolve(&server).await.unwrap(), image.digest());
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn patience_has_bounds() {
    let server = Server::start(|_, _| Answer::status(503).header("retry-after", "86400")).await;
    let error = Node::new().resolve(&server).await.unwrap_err();
    assert!(!error.is_permanent() && matches!(error, Error::Status { status: 503, .. }), "{error}");
    assert_eq!(server.seen().len(), 1, "whoever wants the image asks again");

    let server = Server::start(|_, _| Answer::status(503).header("retry-after", "0")).await;
    assert!(!Node::new().resolve(&server).await.unwrap_err().is_permanent());
    assert_eq!(server.seen().len(), 4);

    let server = Server::start(|_, _| Answer::status(500)).await;
    assert!(!Node::new().resolve(&server).await.unwrap_err().is_permanent());
}

#[tokio::test]
async fn silence_ends_in_time_and_may_be_tried_again() {
    let image = image();
    let answers = image.clone();
    let server =
        Server::start(
            move |seen, _| {
                if seen.is_blob() { answers.answer(&seen.target).silent_after(10) } else { answers.answer(&seen.target) }
            },
        )
        .await;
    let timeouts = Timeouts { stall: Duration::from_millis(50), ..Timeouts::default() };
    let node = Node::with(Config { timeouts, ..Config::default() });
    let error = node.pull(&server, &image).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && !error.is_permanent(), "{error}");
    node.assert_nothing_came().await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeouts = Timeouts { headers: Duration::from_millis(50), ..Timeouts::default() };
    let images = Node::with(Config { timeouts, ..Config::default() });
    let reference = format!("{}/app", listener.local_addr().unwrap());
    let error = images.images.resolve(&reference, PullPolicy::Always).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_trickle_is_no_progress() {
    let server = Server::start(|_, _| Answer::ok([b' '; 8000]).trickling(Duration::from_millis(5))).await;
    let timeouts = Timeouts { stall: Duration::from_millis(200), ..Timeouts::default() };
    let error = Node::with(Config { timeouts, ..Config::default() }).resolve(&server).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn localhost_is_found_without_a_name_server() {
    let image = image();
    let server = Server::of(&image).await;
    let reference = format!("localhost:{}/app", server.address.port());
    let resolved = Node::new().images.resolve(&reference, PullPolicy::Always).await.unwrap();
    assert_eq!(resolved.digest, image.digest());
}

#[tokio::test]
async fn a_broken_layer_is_taken_up_where_it_broke() {
    let noise: Vec<u8> = (0..300_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::of(&[Layer::new().file_with("noise", &noise, |_| {}).tar()]);
    for supports_ranges in [true, false] {
        let answers = image.clone();
        let broke = Arc::new(AtomicBool::new(false));
        let layer = digest(&image.layers[0]);
        let server = Server::start(move |seen, _| {
            if !seen.target.ends_with(&layer) {
                return answers.answer(&seen.target);
            }
            if !broke.swap(true, Ordering::Relaxed) {
                return answers.answer(&seen.target).cut(1000);
            }
            let start: usize = seen.header("range").unwrap().trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let whole = &answers.layers[0];
            let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
            if supports_ranges {
                Answer::partial(&whole[start..]).header("content-range", range)
            } else {
                answers.answer(&seen.target)
            }
        })
        .await;
        let layers = Node::new().pull(&server, &image).await.map(|layers| layers.len());
        assert_eq!(layers.unwrap(), 1);
        assert_eq!(server.seen().last().unwrap().header("range"), Some("bytes=1000-"));
    }
}

#[tokio::test]
async fn two_pulls_at_once_fetch_once_and_present_layers_are_not_fetched() {
    let image = image();
    let server = Server::of(&image).await;
    let node = Node::new();
    let repository = server.repository();
    let name = image.digest();
    let pull = || node.images.pull(&repository, &name);
    let (one, two, three) = tokio::join!(pull(), pull(), pull());
    assert_eq!(one.unwrap(), two.unwrap());
    three.unwrap();
    assert_eq!(server.seen().len(), 4, "a manifest, a configuration, two layers");

    let bigger =
        Image::of(&[Layer::new().file("a", "a").tar(), Layer::new().file("b", "b").tar(), Layer::new().file("c", "c").tar()]);
    let second = Server::of(&bigger).await;
    node.pull(&second, &bigger).await.unwrap();
    let blobs: Vec<String> =
        second.seen().into_iter().filter(image_support::server::Seen::is_blob).map(|seen| seen.target).collect();
    assert_eq!(blobs.len(), 2, "the configuration and the layer that is new: {blobs:?}");
    assert!(blobs[1].ends_with(&digest(&bigger.layers[2])));
}

#[tokio::test]
async fn a_pull_that_is_given_up_leaves_nothing_and_another_one_succeeds() {
    let image = image();
    let (answers, is_slow) = (image.clone(), Arc::new(AtomicBool::new(true)));
    let slow = Arc::clone(&is_slow);
    let server = Server::start(move |seen, _| {
        let answer = answers.answer(&seen.target);
        if seen.is_blob() && slow.load(Ordering::Relaxed) && !seen.target.ends_with(&digest(&answers.config)) {
            answer.silent_after(20)
        } else {
            answer
        }
    })
    .await;
    let node = Node::new();
    {
        let pull = node.pull(&server, &image);
        tokio::pin!(pull);
        while server.seen().len() < 3 {
            assert!(tokio::time::timeout(Duration::from_millis(5), &mut pull).await.is_err());
        }
    }
    is_slow.store(false, Ordering::Relaxed);
    assert_eq!(node.pull(&server, &image).await.unwrap().len(), 2);
    while !is_tidy(node.directory.path()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
