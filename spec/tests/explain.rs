//! What `stead explain` says.

use expect_test::{Expect, expect};
use spec::explain::explain;

fn check(path: &str, expected: &Expect) {
    let said = match explain(path) {
        Ok(explanation) => explanation.to_string(),
        Err(unknown) => format!("error: {unknown}"),
    };
    expected.assert_eq(&(said + "\n"));
}

#[test]
fn a_field_with_a_choice() {
    check(
        "endpoints.protocol",
        &expect![[r#"
        services.<name>.endpoints[].protocol
          What is spoken.

          Type       http | https | tcp | udp | websocket
          Required   yes
          From       section 9 of the OCI Service Specification, Draft v1

          Values:
            http       HTTP without TLS.
            https      HTTP over TLS, which ends at the proxy. Not run by this version yet.
            tcp        Connections as they are. Not run by this version yet.
            udp        Datagrams. Not run by this version yet.
            websocket  WebSocket, which begins as HTTP. Not run by this version yet.

          Example:
            protocol: http
    "#]],
    );
}

#[test]
fn a_field_with_a_default_of_a_certain_form() {
    check(
        "health.interval",
        &expect![[r#"
        services.<name>.health.interval
          Time between two checks. Before the first one passes it is asked more often, but failures count
          once an interval.

          Type       duration
          Takes      a duration such as 500ms, 15s, 1m30s, 2h or 1d
          Default    `10s`
          From       section 12 of the OCI Service Specification, Draft v1

          Example:
            interval: 5s
    "#]],
    );
}

#[test]
fn an_addition_that_is_not_built() {
    check(
        "endpoints.tls",
        &expect![[r#"
        services.<name>.endpoints[].tls
          Where the certificate is from; for `https`, and for `websocket` over TLS.

          `auto` asks a public authority (ACME) for `host`, or Stead's own where that cannot be; `internal`
          is Stead's own; another text names a secret with a certificate and its key.

          Type       auto | internal | name of a secret
          Takes      auto, internal, or the name of a secret
          Default    `auto` for `https`, no TLS for `websocket`
          From       Stead: an addition to the OCI Service Specification, Draft v1
          Status     Not run by this version yet.

          Example:
            tls: auto
    "#]],
    );
}

#[test]
fn a_mapping_lists_its_fields_those_of_each_variant_apart() {
    check(
        "scale",
        &expect![[r#"
        services.<name>.scale
          How many replicas there are; goes with `rtype: service`.

          Type       mapping
          Default    `adaptive` with `min: 1`: one replica
          From       section 10 of the OCI Service Specification, Draft v1

          Fields:
            mode  How many replicas a service has: by load, a fixed number, or by hand.

          With `mode: adaptive`:
            min       Least number of replicas, at most 400.
            max       Greatest number of replicas, at most 400.
            cooldown  Least time between two changes. Not run by this version yet.
            targets   The load of one replica that is aimed at; the target that asks for most replicas
                      decides.

          With `mode: fixed`:
            replicas  Required. Number of replicas, at most 400; 0 stops the service and keeps all else.

          Example:
            scale: {mode: fixed, replicas: 2}
    "#]],
    );
}

#[test]
fn the_inputs_of_init_actions() {
    check(
        "init.steps.with",
        &expect![[r#"
        services.<name>.init.steps[].with
          Inputs of what `uses` names.

          Type       mapping
          Required   yes
          From       section 14 of the OCI Service Specification, Draft v1

          With `uses: init.run`:
            command  Required. A text for the image's `/bin/sh -c`, or a list that runs as it stands.

          With `uses: init.wait_http`:
            url            Required. What is asked for, until it answers as expected.
            expect_status  The status it answers with.

          With `uses: init.wait_tcp`:
            host  Required. Name or address.
            port  Required. Port that is to accept.

          Example:
            with: {command: python /app/migrate.py --apply}
    "#]],
    );
    check(
        "init.wait_http",
        &expect![[r#"
        services.<name>.init.steps[].uses: init.wait_http
          Waits until a page answers.

          Inputs:
            url            Required. What is asked for, until it answers as expected.
            expect_status  The status it answers with.
    "#]],
    );
}

#[test]
fn a_tag_lists_its_variants() {
    check(
        "health.check.type",
        &expect![[r#"
        services.<name>.health.check.type
          What is checked.

          Type       tcp | http | command
          Required   yes
          From       section 12 of the OCI Service Specification, Draft v1

          Values:
            tcp      A port accepts connections. Goes with `port`.
            http     A page answers. Goes with `port`, `path` and `expect_status`.
            command  A command in the container ends with 0. Goes with `command`. Not run by this version
                     yet.

          Example:
            type: tcp
    "#]],
    );
}

#[test]
fn a_field_that_several_variants_have_is_explained_once() {
    check(
        "health.check.port",
        &expect![[r#"
        services.<name>.health.check.port
          Port of the container.

          Type       port
          Takes      a port from 1 to 65535
          Default    the container's port of the first endpoint
          Goes with  `type: tcp` and `type: http`
          From       Stead: an addition to the OCI Service Specification, Draft v1

          Example:
            port: 5432
    "#]],
    );
}

#[test]
fn nothing_explains_the_language() {
    check(
        "",
        &expect![[r#"
            The manifest
              A whole manifest: one deployment, in one file.

              Fields:
                version     Required. Version of the language.
                deployment  Required. Name of the deployment, unique on the servers it runs on.
                services    Required. The services by name: 1 to 1024, with at most 2000 replicas in all.

              Fields of a service (services.<name>):
                rtype          What kind of work it is.
                image          Required. The image its containers are made from.
                command        What runs instead of the image's own command.
                schedule       When it runs, in the five fields of cron: minute, hour, day of the month, month,
                               day of the week. Not run by this version yet.
                timezone       The time zone of `schedule`, by its name in the IANA database. Not run by this
                               version yet.
                concurrency    What happens when a run is due while an earlier one has not ended; goes with
                               `rtype: job` and `rtype: cron`. Not run by this version yet.
                timeout        Longest time one run may take; it is then ended, and has failed. Not run by this
                               version yet.
                retries        How often a failed run is tried again, with backoff; goes with `rtype: job` and
                               `rtype: cron`. Not run by this version yet.
                env            Environment variables by name.
                resources      Upper bounds of what each replica may use.
                volumes        Files that outlive containers, and files of the node. Not run by this version
                               yet.
                network        The networks it is in, and who may join it.
                depends        Services that must be there before it starts. Not run by this version yet.
                init           What runs before each start.
                endpoints      Where traffic is bound.
                health         How to find out whether it serves; goes with `rtype: service`.
                scale          How many replicas there are; goes with `rtype: service`.
                rollout        How a change reaches the replicas; goes with `rtype: service`.
                errors         What follows failures.
                on_disconnect  What becomes of a replica on a node that the server cannot reach; goes with
                               `rtype: service`.

              `stead explain endpoints.protocol` explains one of them.
        "#]],
    );
}

#[test]
fn all_ways_to_write_a_path_lead_to_the_same_field() {
    let said = |path: &str| explain(path).map(|explanation| explanation.to_string()).map_err(|unknown| unknown.to_string());
    for (path, same) in [
        ("endpoints.protocol", "services.<name>.endpoints[].protocol"),
        ("endpoints.protocol", "services.web.endpoints[0].protocol"),
        ("endpoints.protocol", "services.*.endpoints.protocol"),
        ("endpoints.protocol", "services.endpoints.protocol"),
        ("endpoints.protocol", "endpoints[1].protocol"),
        ("timeout", "services.health.timeout"),
        ("health.timeout", "services.web.health.timeout"),
        ("image", "services.image"),
        ("services.<name>", "services.web"),
        ("env", "services.web.env.PATH"),
        ("scale.min", "services.web.scale.min"),
        ("scale.fixed", "scale.mode.fixed"),
        ("rtype", "rtype.cron"),
        ("", "."),
    ] {
        assert!(said(path).is_ok(), "{path}: {:?}", said(path));
        assert_eq!(said(path), said(same), "{path} and {same}");
    }
}

#[test]
fn an_unknown_path_says_how_far_it_leads_and_what_there_is() {
    check(
        "endpoints.protocl",
        &expect![[r#"
        error: `endpoints` has no field `protocl`; did you mean `endpoints.protocol`?
        fields: name, protocol, port, target, host, path, expose, tls
    "#]],
    );
    check(
        "services.web.helth.check",
        &expect![[r#"
        error: `services.web` has no field `helth`; did you mean `services.web.health`?
        fields: rtype, image, command, schedule, timezone, concurrency, timeout, retries, env, resources,
          volumes, network, depends, init, endpoints, health, scale, rollout, errors, on_disconnect
    "#]],
    );
    check(
        "protocol",
        &expect![[r#"
        error: neither the manifest nor a service has a field `protocol`; did you mean `endpoints.protocol`?
        fields: version, deployment, services, rtype, image, command, schedule, timezone, concurrency,
          timeout, retries, env, resources, volumes, network, depends, init, endpoints, health, scale,
          rollout, errors, on_disconnect
    "#]],
    );
    check(
        "image.name.tag",
        &expect![[r#"
        error: `image.name` has no fields, so no `tag`
    "#]],
    );
    check(
        "init.steps.with.hots",
        &expect![[r#"
        error: `init.steps.with` has no field `hots`; did you mean `init.steps.with.host`?
        fields: command, url, expect_status, host, port
    "#]],
    );
    check(
        "\u{1b}[31m",
        &expect![[r#"
        error: neither the manifest nor a service has a field `\u{1b}[31m`
        fields: version, deployment, services, rtype, image, command, schedule, timezone, concurrency,
          timeout, retries, env, resources, volumes, network, depends, init, endpoints, health, scale,
          rollout, errors, on_disconnect
    "#]],
    );
}
