//! Manifests and objects, by the client.

mod common;

use api::client::{Error, PutOptions};
use api::wire::{ManifestType, Query, Reason};
use common::*;
use spec::difference::Difference;
use spec::problem::Code;
use spec::{Key, Kind, Spec};
use std::time::Duration;
use store::Transaction;

fn reason(error: &Error) -> Option<Reason> {
    error.reason()
}

#[tokio::test]
async fn a_manifest_is_applied_and_then_unchanged() {
    let daemon = Daemon::start().await;
    let first = daemon.put(&manifest("hello", &[8080])).await.unwrap();
    assert!(first.changed);
    assert_eq!((first.object.generation, first.revision), (1, first.object.spec_revision));
    let again = daemon.put(&manifest("hello", &[8080])).await.unwrap();
    assert_eq!((again.changed, again.revision, &again.object), (false, first.revision, &first.object));
    let changed = daemon.put(&manifest("hello", &[8081])).await.unwrap();
    assert!(changed.changed && changed.revision > first.revision && changed.cursor > first.cursor);
    assert_eq!(changed.object.generation, 2);
}

#[tokio::test]
async fn json_is_taken_as_well() {
    let daemon = Daemon::start().await;
    let json = r#"{"version": "v1", "deployment": "hello", "services": {"web": {"image": {"name": "nginx"}}}}"#;
    let applied = daemon.client.put_manifest(json, ManifestType::Json, PutOptions::default()).await.unwrap();
    let Spec::Deployment(manifest) = &applied.object.spec else { panic!("{applied:?}") };
    assert_eq!(manifest.services["web"].image.name.to_string(), "nginx");
}

#[tokio::test]
async fn a_manifest_with_mistakes_is_refused_with_all_of_them() {
    let daemon = Daemon::start().await;
    let text = manifest("hello", &[8080]).replace("port: 8080", "port: 0").replace("nginx:alpine", "");
    let error = daemon.put(&text).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.status, problem.reason), (400, Reason::InvalidManifest));
    assert!(problem.problems.len() >= 2 && problem.problems.iter().all(|problem| problem.place.line > 0), "{problem:?}");
    assert!(error.to_string().contains("services.web8080"), "{error}");
    assert!(daemon.store.is_empty());
}

#[tokio::test]
async fn what_the_node_does_not_admit_is_refused() {
    let daemon = Daemon::start().await;
    let error = daemon.put(&manifest("inadmissible", &[8080])).await.unwrap_err();
    assert_eq!(reason(&error), Some(Reason::NotAdmitted));
    assert!(error.to_string().contains("not on this node"));
    assert!(daemon.store.is_empty());
}

#[tokio::test]
async fn a_list_of_objects_is_refused_by_name() {
    let daemon = Daemon::start().await;
    let put = daemon.client.put_manifest(r#"{"objects": []}"#, ManifestType::Json, PutOptions::default()).await;
    let error = put.unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Unsupported));
    assert!(error.to_string().contains("`objects`"));
}

#[tokio::test]
async fn an_endpoint_of_another_deployment_is_a_clash_that_names_both() {
    let daemon = Daemon::start().await;
    daemon.put(&manifest("first", &[8080, 8081])).await.unwrap();
    let error = daemon.put(&manifest("second", &[8081])).await.unwrap_err();
    assert_eq!((reason(&error), error.problem().unwrap().status), (Some(Reason::Clash), 409));
    let text = error.to_string();
    assert!(text.contains("services.web8081.endpoints[0]") && text.contains("deployment `first`"), "{text}");
    daemon.put(&manifest("second", &[8082])).await.unwrap();
    daemon.put(&manifest("first", &[8080, 8081, 8083])).await.unwrap();
}

/// Two manifests that each fit, and not together: exactly one is applied.
#[tokio::test]
async fn manifests_applied_at_once_are_checked_against_each_other() {
    let daemon = Daemon::start().await;
    for round in 0..10 {
        let port = 9000 + round;
        let names: Vec<String> = (0..8).map(|n| format!("d{round}-{n}")).collect();
        let manifests: Vec<String> = names.iter().map(|name| manifest(name, &[port])).collect();
        let results = futures_util::future::join_all(manifests.iter().map(|manifest| daemon.put(manifest))).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let daemon = Daemon::start().await;
    let plan = async |ports: &[u16]| {
        let text = manifest("hello", ports);
        daemon.client.plan_manifest(&text, ManifestType::Yaml, PutOptions::default()).await.unwrap()
    };
    let new = plan(&[8080]).await;
    assert_eq!((new.changed, new.revision, new.services["web8080"].difference), (true, 0, Difference::Created));
    assert!(daemon.store.is_empty());
    let applied = daemon.put(&manifest("hello", &[8080, 8081])).await.unwrap();
    let same = plan(&[8080, 8081]).await;
    assert_eq!((same.changed, same.revision, same.cursor), (false, applied.revision, daemon.store.head()));
    let other = plan(&[8081, 8082]).await;
    let differences: Vec<_> = other.services.into_iter().map(|(name, change)| (name, change.difference)).collect();
    let expected = [("web8080", Difference::Removed), ("web8081", Difference::Unchanged), ("web8082", Difference::Created)];
    assert_eq!(differences, expected.map(|(name, difference)| (name.to_owned(), difference)));
    let text = manifest("hello", &[8080, 8081]).replace("nginx:alpine", "nginx:1.27");
    let changed = daemon.client.plan_manifest(&text, ManifestType::Yaml, PutOptions::default()).await.unwrap();
    let web = &changed.services["web8080"];
    let fields: Vec<_> =
        web.fields.iter().map(|field| (field.path.as_str(), field.before.clone(), field.after.clone())).collect();
    let image = |name: &str| Some(serde_json::json!(name));
    assert_eq!((web.difference, fields), (Difference::Changed, vec![("image.name", image("nginx:alpine"), image("nginx:1.27"))]));
    assert_eq!(daemon.store.head(), applied.cursor);
}

#[tokio::test]
async fn what_the_node_doubts_comes_with_its_place_and_stops_nothing() {
    let daemon = Daemon::start().await;
    let text = manifest("doubtful", &[8080]);
    let planned = daemon.client.plan_manifest(&text, ManifestType::Yaml, PutOptions::default()).await.unwrap();
    let applied = daemon.put(&text).await.unwrap();
    for warnings in [planned.warnings, applied.warnings] {
        let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["2:13: warning: deployment: a doubt of this node"]);
    }
    assert!(applied.changed);
}

#[tokio::test]
async fn what_this_version_cannot_run_is_refused_by_name_and_place() {
    let daemon = Daemon::start().await;
    let text = manifest("hello", &[8080]).replace("protocol: http", "protocol: tcp");
    let plan = daemon.client.plan_manifest(&text, ManifestType::Yaml, PutOptions::default()).await;
    for error in [plan.unwrap_err(), daemon.put(&text).await.unwrap_err()] {
        let document = error.problem().unwrap();
        assert_eq!((document.status, document.reason), (400, Reason::Unsupported));
        let problem = &document.problems[0];
        assert_eq!((problem.code, problem.path.as_str()), (Code::Unbuilt, "services.web8080.endpoints[0].protocol"));
        assert!(problem.is_error() && problem.place.line == 7 && problem.message.contains("`protocol: tcp`"), "{problem:?}");
    }
    assert!(daemon.store.is_empty());
}

#[tokio::test]
async fn if_match_lets_only_the_first_of_two_edits_through() {
    let daemon = Daemon::start().await;
    let put = async |ports: &[u16], revision| {
        let options = PutOptions { if_match: Some(revision) };
        daemon.client.put_manifest(&manifest("hello", ports), ManifestType::Yaml, options).await
    };
    let created = put(&[8080], 0).await.unwrap();
    assert_eq!(reason(&put(&[8081], 0).await.unwrap_err()), Some(Reason::RevisionMismatch));
    put(&[8081], created.revision).await.unwrap();
    let error = put(&[8082], created.revision).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 412);
    let options = PutOptions { if_match: Some(created.revision) };
    let plan = daemon.client.plan_manifest(&manifest("hello", &[8082]), ManifestType::Yaml, options).await;
    assert_eq!(reason(&plan.unwrap_err()), Some(Reason::RevisionMismatch));
}

#[tokio::test]
async fn a_deployment_is_deleted_by_a_mark_and_nothing_else_is() {
    let daemon = Daemon::start().await;
    let (key, other) = (deployment("hello"), Key::new(Kind::Image, "a".parse().unwrap()));
    assert_eq!(reason(&daemon.client.delete(&key).await.unwrap_err()), Some(Reason::NotFound));
    daemon.put(&manifest("hello", &[8080])).await.unwrap();
    daemon.store.commit(Transaction::new(IMAGE, [image("a", "1")])).await.unwrap();
    let deleted = daemon.client.delete(&key).await.unwrap();
    assert!(deleted.deleting);
    assert_eq!(daemon.client.delete(&key).await.unwrap(), deleted);
    let error = daemon.client.delete(&other).await.unwrap_err();
    assert_eq!((reason(&error), error.problem().unwrap().status), (Some(Reason::DerivedObject), 403));
    assert_eq!(daemon.client.get(&other).await.unwrap().map(|object| object.deleting), Some(false));
    let error = daemon.put(&manifest("hello", &[8080])).await.unwrap_err();
    assert_eq!((reason(&error), error.problem().unwrap().status), (Some(Reason::Deleting), 409));
    daemon.collect(&key).await;
    assert_eq!(daemon.client.get(&key).await.unwrap(), None);
    daemon.put(&manifest("hello", &[8080])).await.unwrap();
}

#[tokio::test]
async fn a_manifest_can_wait_for_its_predecessor_to_go() {
    let daemon = Daemon::start().await;
    let (text, options) = (manifest("hello", &[8080]), PutOptions::default());
    let old = daemon.put(&text).await.unwrap().object.uid.clone();
    daemon.client.delete(&deployment("hello")).await.unwrap();
    let put = |patience| daemon.client.put_manifest_when_gone(&text, ManifestType::Yaml, options, patience);
    assert_eq!(reason(&put(Duration::ZERO).await.unwrap_err()), Some(Reason::Deleting));
    let key = deployment("hello");
    let (applied, ()) = tokio::join!(within(put(Duration::from_secs(20))), async {
        tokio::task::yield_now().await;
        daemon.collect(&key).await;
    });
    let applied = applied.unwrap();
    assert!(applied.changed && applied.object.uid != old);
}

#[tokio::test]
async fn lists_are_filtered() {
    let daemon = Daemon::start().await;
    daemon.put(&manifest("one", &[8080])).await.unwrap();
    daemon.put(&manifest("two", &[8081])).await.unwrap();
    daemon.store.commit(Transaction::new(IMAGE, [image("one", "1"), image("b", "1")])).await.unwrap();
    let list = async |kinds: &[Kind], deployment: Option<&str>, service: Option<&str>| {
        let name = |name: &str| name.parse().unwrap();
        let query = Query { kinds: kinds.to_vec(), deployment: deployment.map(name), service: service.map(name) };
        let list = daemon.client.list(&query).await.unwrap();
        assert_eq!((list.cursor, list.next), (daemon.store.head(), None));
        list.objects.iter().map(|object| object.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(&[], None, None).await, ["deployment one", "deployment two", "image b", "image one"]);
    assert_eq!(list(&[Kind::Image], None, None).await, ["image b", "image one"]);
    assert_eq!(list(&[Kind::Image, Kind::Deployment], None, None).await.len(), 4);
    // An image is of no deployment, whatever its name.
    assert_eq!(list(&[], Some("one"), None).await, ["deployment one"]);
    assert_eq!(list(&[], Some("one"), Some("web")).await, [""; 0]);
    assert_eq!(list(&[], Some("on"), None).await, [""; 0]);
}

#[tokio::test]
async fn pages_together_are_the_whole_list_and_share_a_cursor() {
    let daemon = Daemon::start().await;
    let images: Vec<String> = (0..10).map(|n| format!("i{n}")).collect();
    daemon.store.commit(Transaction::new(IMAGE, images.iter().map(|name| image(name, "1")))).await.unwrap();
    let (mut names, mut token, start) = (Vec::new(), None, daemon.store.head());
    loop {
        let page = daemon.client.list_page(&Query::default(), 3, token.as_deref()).await.unwrap();
        assert!(page.objects.len() <= 3);
        assert_eq!(page.cursor, start);
        names.extend(page.objects.iter().map(|object| object.key.name.to_string()));
        // What changes between two pages is seen by a watch from their cursor.
        daemon.store.commit(Transaction::new(IMAGE, [image("i0", &names.len().to_string())])).await.unwrap();
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, images);
    let mut events = daemon.client.watch(&Query::default(), Some(start)).await.unwrap();
    assert_eq!(put_of(next(&mut events).await).object.key.name.as_str(), "i0");
}

#[tokio::test]
async fn health_readiness_and_version() {
    let daemon = Daemon::start().await;
    daemon.client.ready().await.unwrap();
    assert_eq!(daemon.client.version().await.unwrap().version, "0.0.0-test");
    daemon.hooks.unready.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = daemon.client.ready().await.unwrap_err();
    assert_eq!((reason(&error), error.to_string().as_str()), (Some(Reason::NotReady), "it is still looking around"));
}
