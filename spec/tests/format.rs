//! The canonical form: data in, text out.

use expect_test::{Expect, expect};
use spec::format::{format, print};
use spec::manifest;

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let formatted = format(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    expected.assert_eq(&formatted);
    assert_eq!(format(&formatted).as_ref(), Ok(&formatted), "formatting it again changes it");
}

#[test]
fn fields_stand_in_the_order_of_the_model() {
    let text = "
services:
  web:
    scale: {replicas: 2, mode: fixed}
    init:
      steps:
        - timeout: 5s
          with:
            port: 5432
            host: db.global
          uses: init.wait_tcp
          unknown: 1
          id: wait
    env: {ZETA: a, ALPHA: b}
    x-other: 1
    image: {pull_policy: never, name: nginx}
  db:
    image:
      name: postgres
deployment: shop
version: v1
";
    check(
        text,
        &expect![[r#"
            version: v1
            deployment: shop
            services:
              web:
                image: {name: nginx, pull_policy: never}
                env: {ZETA: a, ALPHA: b}
                init:
                  steps:
                    - id: wait
                      uses: init.wait_tcp
                      with:
                        host: db.global
                        port: 5432
                      timeout: 5s
                      unknown: 1
                scale: {mode: fixed, replicas: 2}
                x-other: 1
              db:
                image:
                  name: postgres
        "#]],
    );
}

#[test]
fn comments_move_with_what_they_belong_to() {
    let text = "\
# A shop.
#
# Its header.

# about the services
services: # all of them
  # the first one

  # the front
  web: # it serves
    # how many
    scale: # fixed
      mode: fixed # for now
      replicas: 2
      # foot of scale
    # what it runs

    # the image
    image: {name: nginx} # from the hub
    # foot of web
  # the back
  db:
    image: {name: postgres}


    # foot of db
# between

# about the deployment
deployment: shop # a name
version: v1
# the end
";
    check(
        text,
        &expect![[r#"
            # A shop.
            #
            # Its header.

            version: v1
            # between

            # about the deployment
            deployment: shop # a name
            # about the services
            services: # all of them
              # the first one

              # the front
              web: # it serves
                # what it runs

                # the image
                image: {name: nginx} # from the hub
                # how many
                scale: # fixed
                  mode: fixed # for now
                  replicas: 2
                  # foot of scale
                # foot of web
              # the back
              db:
                image: {name: postgres}

                # foot of db
            # the end
        "#]],
    );
}

#[test]
fn comments_in_lists_stay_at_their_items() {
    let text = "\
services:
  web:
    command:
      args:
      # first
      - a # one
      # second
      -  b

      - # third
        c
      -
        # fourth
        d
      # foot at the dashes
      # and more
    init:
      steps:
      -   # about a
        # more about a
        retry: 1
        # the id
        id: a
        # foot of a

      # about b
      - {id: b, uses: init.run} # beside b
      # foot of the steps
";
    check(
        text,
        &expect![[r#"
            services:
              web:
                command:
                  args:
                    # first
                    - a # one
                    # second
                    - b

                    - c # third
                    # fourth
                    - d
                  # foot at the dashes
                  # and more
                init:
                  steps:
                    # about a
                    # the id
                    - id: a
                      # more about a
                      retry: 1
                      # foot of a

                    # about b
                    - {id: b, uses: init.run} # beside b
                  # foot of the steps
        "#]],
    );
}

#[test]
fn brackets_stay_where_they_fit_and_hold_no_comment() {
    let text = "\
a: {x:   1,y: [ 'b' , \"c\" ] , }
b: [
  one,
  two]
c: [one, # first
  # second
  two,
  # foot
] # after
d: {aaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccc: [ddddddddddddddddd, eeeeeeeee]}
e: [{aaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccccc: ddddddddddddddd, e: f}] # long
f: [] # empty
g: {
  # nothing
}
h: [a: b, ? c]
i: {j, k: , \"l\": ~}
";
    check(
        text,
        &expect![[r#"
            a: {x: 1, y: ["b", "c"]}
            b: [one, two]
            c: # after
              - one # first
              # second
              - two
              # foot
            d:
              aaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbb
              cccccccccccccccccccccccc: [ddddddddddddddddd, eeeeeeeee]
            e: # long
              - aaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbb
                cccccccccccccccccccccccc: ddddddddddddddd
                e: f
            f: [] # empty
            # nothing
            g: {}
            h: [{a: b}, {c: ~}]
            i: {j: ~, k: ~, l: ~}
        "#]],
    );
}

#[test]
fn json_becomes_yaml() {
    let text =
        r#"{"services": {"web": {"image": {"name": "nginx"}, "env": {"A": "1", "B": "no", "C": "x\ny"}}}, "version": "v1"}"#;
    check(
        text,
        &expect![[r#"
            version: "v1"
            services:
              web: {image: {name: "nginx"}, env: {A: "1", B: "no", C: "x\ny"}}
        "#]],
    );
}

#[test]
fn quotes_are_where_they_are_needed() {
    let text = r#"
a: 'plain'
b: "8080"
c: 'it''s'
d: "say \"x\""
e: "tab\tand \u0007"
f: '#x'
g: "a #b"
h: 'a: b'
i: "yes"
j: "2024-01-01"
k: "*/5 * * * *"
l: ["a,b", "[", c d, '-', "--port", "a]"]
m: "~"
n: ''
o: " x"
p: 'caf\u00e9 é'
"q": 1
"1": 2
'a b': 3
r: two
  words

  again
s: 017
t: "é\u0085"
"#;
    check(
        text,
        &expect![[r##"
            a: "plain"
            b: "8080"
            c: "it's"
            d: 'say "x"'
            e: "tab\tand \x07"
            f: "#x"
            g: "a #b"
            h: "a: b"
            i: "yes"
            j: "2024-01-01"
            k: "*/5 * * * *"
            l: ["a,b", "[", c d, "-", "--port", "a]"]
            m: "~"
            n: ""
            o: " x"
            p: 'caf\u00e9 é'
            q: 1
            "1": 2
            a b: 3
            r: "two words\nagain"
            s: 017
            t: "é\x85"
        "##]],
    );
}

#[test]
fn texts_of_several_lines_keep_their_lines() {
    let text = "\
a: |  # literal
    one
     two

    three


b: |-
  one
c: |+
  one

# after
d: >-
      folded
      text

      more
        indented
e: >2

     far

f:
    - |
      item
    - >+
      x

    # next
    - |2-
        x
g: |+


h: |
i: 1

j: >


  x
k: \"a\\nb\"
";
    check(
        text,
        &expect![[r#"
        a: | # literal
          one
           two

          three

        b: |-
          one
        c: |+
          one

        # after
        d: >-
          folded
          text

          more
            indented
        e: >2

             far

        f:
          - |
            item
          - >+
            x

          # next
          - |2-
              x
        g: |+


        h: ""
        i: 1

        j: >


          x
        k: "a\nb"
    "#]],
    );
}

#[test]
fn anchors_keep_everything_in_its_place() {
    let text = "\
services:
    web: &web # a base
        scale: &s {mode: fixed,   replicas: 1}
        image: &i
          name: nginx
    two: *web
    three: {image: *i , scale: *s}
    four:
      - &x
        a: 1
      - &y b
      - *y
      - &z [1]
      - *x
      - &n
    *y : 1
    &k key: !t \"v\"
    five: !!str
    six: {a: !!str , b: &w }
version: v1
";
    check(
        text,
        &expect![[r#"
        services:
          web: &web # a base
            scale: &s {mode: fixed, replicas: 1}
            image: &i
              name: nginx
          two: *web
          three: {image: *i, scale: *s}
          four:
            - &x
              a: 1
            - &y b
            - *y
            - &z [1]
            - *x
            - &n
          *y : 1
          &k key: !t "v"
          five: !!str
          six:
            a: !!str
            b: &w
        version: v1
    "#]],
    );
}

#[test]
fn any_mapping_can_be_formatted() {
    check(
        "# only\n--- # start\n{} # x\n# end\n",
        &expect![[r#"
        # only
        # start
        {}
        # x
        # end
    "#]],
    );
    check(
        "\u{feff}# c\r\na: 1\r\n\r\n\r\nb: |\r\n  x\r\n  y\r\n",
        &expect![[r#"
            # c

            a: 1

            b: |
              x
              y
        "#]],
    );
    check(
        "--- !!map # c\na: 1 # d\n... # e\n# f\n",
        &expect![[r#"
            !!map
            # c

            a: 1 # d
            # e
            # f
        "#]],
    );
    check(
        "? a # c\n# d\n: # e\n  # f\n  b # g\n? x\n",
        &expect![[r#"
            # d
            # f
            # c
            # e

            a: b # g
            x:
        "#]],
    );
    check(
        ": empty\n\"null\": text\n",
        &expect![[r#"
        : empty
        "null": text
    "#]],
    );
    check(
        &format!("{}: 1\n{{}}: {{{}: 1}}\n", "a".repeat(1001), "b".repeat(1001)).replace("{}", "c"),
        &expect![[r#"
        ? aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        : 1
        c:
          ? bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
          : 1
    "#]],
    );
}

#[test]
fn what_is_no_mapping_is_refused() {
    for (text, message) in [
        ("", "a manifest is a mapping: it has `version`, `deployment` and `services`"),
        ("- a", "a manifest is a mapping: it has `version`, `deployment` and `services`"),
        ("a: [", ""),
        ("a: 1\na: 2", "the key `a` is there twice"),
        (&format!("a:\n{}", "- xxxx\n".repeat(140_000)), "the canonical form has 1260003 bytes; at most 1048576 are read"),
    ] {
        let problems = format(text).expect_err(text);
        assert!(problems[0].message.contains(message), "{text}: {problems:?}");
    }
}

#[test]
fn a_manifest_without_text_is_printed() {
    let text = r#"
version: v1
deployment: shop
services:
  web:
    image: {name: nginx:alpine}
    command: {args: ["--port", "8080", "daemon off;"]}
    resources: {cpu: 0.5, memory: 256Mi}
    env: {MODE: "no", SCRIPT: "a\n  b\n", TABBED: "\ta\n", ODD: "\n", WINDOWS: "a\r\nb"}
    init: {steps: [{id: wait, uses: init.wait_tcp, with: {host: db.global, port: 5432}, retry: 2}]}
    endpoints: [{name: http, protocol: http, port: 80, target: 8080, expose: public}]
    health: {check: {type: http, path: /healthz}}
    scale: {mode: fixed, replicas: 2}
"#;
    let reading = manifest::read(text);
    let manifest = reading.manifest.unwrap_or_else(|| panic!("{:?}", reading.problems));
    let printed = print(&manifest);
    expect![[r#"
        version: v1
        deployment: shop

        services:
          web:
            image:
              name: nginx:alpine
            command:
              args: [--port, "8080", daemon off;]
            env:
              MODE: "no"
              ODD: "\n"
              SCRIPT: |
                a
                  b
              TABBED: |
                	a
              WINDOWS: "a\r\nb"
            resources:
              cpu: 0.5
              memory: 256Mi
            init:
              steps:
                - id: wait
                  uses: init.wait_tcp
                  with:
                    host: db.global
                    port: 5432
                  retry: 2
            endpoints:
              - name: http
                protocol: http
                port: 80
                target: 8080
                expose: public
            health:
              check:
                type: http
                path: /healthz
            scale:
              mode: fixed
              replicas: 2
    "#]]
    .assert_eq(&printed);
    assert_eq!(manifest::read(&printed).manifest.as_ref(), Some(&manifest));
    assert_eq!(format(&printed).as_ref(), Ok(&printed));
}
