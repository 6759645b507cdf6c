//! What a manifest may say, and what its reader is told when it may not.

use insta::assert_snapshot;
use spec::manifest::parse;

fn check(text: &str) -> String {
    match parse(text) {
        Ok(manifest) => serde_json::to_string_pretty(&manifest).unwrap(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

/// A service with one field more, at the place where a service's fields stand.
fn with(field: &str) -> String {
    format!("version: v1\ndeployment: d\nservices:\n  web:\n    image: {{name: nginx}}\n    {field}\n")
}

#[test]
fn a_whole_manifest_is_read() {
    assert_snapshot!(check(
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
          with: {host: db.global, port: 5432}
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
"#
    ));
}

#[test]
fn a_bad_manifest_is_told_all_its_mistakes_with_their_places() {
    assert_snapshot!(check(
        "
version: v1
deployment: Hello
services:
  web:
    image: {name: nginx}
    depends: [{service: db}]
    endpoints:
      - {name: a, protocol: http, port: 80, path: /x/, expose: public}
      - {name: b, protocol: https, port: 80, path: /x}
    scale: {mode: fixed}
  w_b:
    rtype: job
    image: {name: ''}
"
    ));
}

#[test]
fn one_mistake_at_a_time() {
    let cases = [
        with("imagee: {}"),
        with("env: {A: no}"),
        with("env: {A: 0o17}"),
        with("env: {A: 1e3}"),
        with("env: {A: 8080}"),
        with("env: {A: !!binary aGk=}"),
        with("env: {A: 1, A: 2}"),
        with("env: {A: '$E:'}"),
        with("resources: {memory: 12Q}"),
        with("resources: {memory: 1Ki}"),
        with("resources: {cpu: -1}"),
        with("init: {steps: [{id: a, uses: init.sleep}]}"),
        with("init: {steps: [{id: a, uses: init.wait_tcp, with: {host: x}}]}"),
        with("init: {steps: [{id: a, uses: init.wait_tcp, with: {host: x, port: 70000}}]}"),
        with("endpoints: [{name: a, protocol: http, port: 70000}]"),
        with("endpoints: [{name: a, protocol: http, port: 80, path: ../x, expose: public}]"),
        with("health: {check: {type: tcp}}"),
        with("scale: {min: 1, max: 3}"),
        with("command: {entrypoint: [], workdir: app}"),
        "version: v2\ndeployment: d\nservices: {}".into(),
        "version: v1\ndeployment: d\nservices: {}".into(),
        "version: v1\ndeployment: d\n".into(),
        "".into(),
        "[".into(),
        "a: &x 1\nb: *x".into(),
        "version: v1\n---\nversion: v1".into(),
        "\u{7}".into(),
    ];
    assert_snapshot!(
        cases.map(|text| format!("{}\n  -> {}", text.lines().last().unwrap_or_default().trim(), check(&text))).join("\n")
    );
}

#[test]
fn bombs_are_refused_at_once() {
    let mut aliases = String::from("a0: &a0 [x]\n");
    for i in 1..60 {
        let before = format!("*a{}, ", i - 1).repeat(9);
        aliases.push_str(&format!("a{i}: &a{i} [{before}]\n"));
    }
    let deep = "[".repeat(100_000);
    let long = "x".repeat(2 << 20);
    for bomb in [aliases, deep, long] {
        let started = std::time::Instant::now();
        assert!(parse(&bomb).is_err());
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "refusing took {:?}", started.elapsed());
    }
}

#[test]
fn json_is_read_alike() {
    let yaml = parse(&with("scale: {mode: fixed, replicas: 3}")).unwrap();
    let json = parse(&serde_json::to_string(&yaml).unwrap()).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn a_deployment_has_no_more_replicas_than_its_addresses_can_bear() {
    let service = |name: &str| format!("  {name}: {{image: {{name: i}}, scale: {{mode: fixed, replicas: 400}}}}\n");
    let manifest = |count: usize| {
        let services: String = (0..count).map(|i| service(&format!("s{i}"))).collect();
        parse(&format!("version: v1\ndeployment: d\nservices:\n{services}"))
    };
    assert!(manifest(5).is_ok());
    assert_snapshot!(
        manifest(6).unwrap_err()[0].to_string(),
        @"3:1: services: 2400 replicas are more than the 2000 that one deployment may have (make it several deployments)"
    );
}
