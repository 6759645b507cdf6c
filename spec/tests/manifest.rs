//! What a manifest means once it is read. What is said of bad ones is in `mistakes.rs`.

use expect_test::{Expect, expect, expect_file};
use spec::manifest::{Manifest, check_file, parse, read, validate};
use spec::problem::Code;

fn check(text: &str, expected: &Expect) {
    let said = match parse(text) {
        Ok(manifest) => serde_json::to_string(&manifest.services["web"]).unwrap(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&said);
}

/// A service with one field more, at the place where a service's fields stand.
fn with(field: &str) -> String {
    format!("version: v1\ndeployment: d\nservices:\n  web:\n    image: {{name: nginx}}\n    {field}\n")
}

#[test]
fn a_whole_manifest_is_read() {
    let manifest = parse(
        r#"
version: v1
deployment: hello
services:
  web:
    rtype: service
    image:
      name: nginx:alpine
      pull_policy: if_not_present
    command:
      args: ["-g", "daemon off;"]
    env:
      MODE: production
      DATABASE_URL: $E:DATABASE_URL
    resources:
      cpu: 0.5
      memory: 64Mi
    init:
      steps:
        - id: wait
          uses: init.wait_tcp
          with: {host: db.example.com, port: 5432}
          timeout: 60s
        - id: check
          uses: init.run
          with: {command: test -n "$MODE"}
          retry: 2
          on_failure: continue
    endpoints:
      - {name: http, protocol: http, port: 8080, target: 80, path: /, expose: public}
    health:
      interval: 5s
      check: {type: http, path: /healthz}
    scale: {mode: fixed, replicas: 2}
"#,
    );
    expect_file!["manifest/whole.json"].assert_eq(&serde_json::to_string_pretty(&manifest.unwrap()).unwrap());
}

#[test]
fn what_is_left_out_has_its_default_and_is_not_written() {
    check(&with(""), &expect![[r#"{"image":{"name":"nginx"}}"#]]);
    check(&with("retries: 0\n    rollout: {max_surge: 1}"), &expect![[r#"{"image":{"name":"nginx"}}"#]]);
    check(
        &with("scale: {min: 1}\n    health: {interval: 10s, check: {type: tcp, port: 80}}"),
        &expect![[r#"{"image":{"name":"nginx"},"health":{"check":{"type":"tcp","port":80}},"scale":{"mode":"adaptive"}}"#]],
    );
}

#[test]
fn an_alias_stands_for_a_whole_value() {
    let text = with("env: &env {MODE: production}\n  api:\n    image: {name: api:1}\n    env: *env");
    let manifest = parse(&text).unwrap();
    assert_eq!(manifest.services["web"].env, manifest.services["api"].env);
}

#[test]
fn what_an_anchor_names_is_told_of_once() {
    let text = with("env: &env {MODE: 1}\n  api:\n    image: {name: api:1}\n    env: *env");
    assert_eq!(check_file(&text).problems.len(), 1, "{:?}", check_file(&text).problems);
}

#[test]
fn json_is_read_alike() {
    let yaml = parse(&with("scale: {mode: fixed, replicas: 3}")).unwrap();
    let json = parse(&serde_json::to_string(&yaml).unwrap()).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn what_cannot_be_read_is_left_out_and_the_rest_is_there() {
    let reading =
        read(&with("endpoints: [{name: a, protocol: htp, port: 80}, {name: b, protocol: http, port: 81}]\n    retries: x"));
    let service = &reading.manifest.unwrap().services["web"];
    assert_eq!((service.endpoints.len(), service.retries), (1, 0));
    let broken: Vec<_> = reading.broken.iter().map(String::as_str).collect();
    assert_eq!(broken, ["services.web.endpoints[0].protocol", "services.web.retries"]);
}

#[test]
fn a_manifest_without_a_text_is_checked_alike() {
    let manifest: Manifest = read(&with("scale: {min: 5, max: 2}\n    depends: [{service: db}]")).manifest.unwrap();
    let said: Vec<_> = validate(&manifest).iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
    expect![[r#"
        [
            "services.web.depends[0].service: there is no service `db` in this deployment (name `web`, or add `db` to the services)",
            "services.web.scale.max: `max` is 2, which is less than `min`, 5 (make `max` at least 5)",
        ]
    "#]]
    .assert_debug_eq(&said);
}

#[test]
fn a_deployment_has_no_more_replicas_than_its_addresses_can_bear() {
    let service = |name: &str| format!("  {name}: {{image: {{name: i}}, scale: {{mode: fixed, replicas: 400}}}}\n");
    let manifest = |count: usize| {
        let services: String = (0..count).map(|i| service(&format!("s{i}"))).collect();
        parse(&format!("version: v1\ndeployment: d\nservices:\n{services}"))
    };
    assert!(manifest(5).is_ok());
    expect!["3:1: services: 2400 replicas are more than the 2000 that one deployment may have (make it several deployments)"]
        .assert_eq(&manifest(6).unwrap_err()[0].to_string());
}

#[test]
fn of_very_many_mistakes_the_first_are_told() {
    let services: String = (0..500).map(|number| format!("  s{number}: {{image: nginx}}\n")).collect();
    let checked = check_file(&format!("version: v1\ndeployment: d\nservices:\n{services}"));
    assert!(checked.manifest.is_none());
    assert_eq!((checked.problems.len(), checked.problems[0].place.line), (201, 4));
    expect!["there is more that is wrong; these 200 are enough to begin with"].assert_eq(&checked.problems[200].message);
}

#[test]
fn doubts_leave_room_for_errors_and_for_what_cannot_be_run() {
    let doubts: String = (0..500).map(|number| format!(", V{number}: $X")).collect();
    let text = with(&format!("env: {{A: x{doubts}}}\n    depends: [{{service: db}}]\n    on_disconnect: stop"));
    let checked = check_file(&text);
    let has = |code: Code| checked.problems.iter().any(|problem| problem.code == code);
    assert!(checked.manifest.is_none() && has(Code::UnknownService) && has(Code::Unbuilt));
}
