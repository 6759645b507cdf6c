//! A manifest of a thousand services, each as people write them: some thirty lines.

use std::fmt::Write as _;

const SERVICES: usize = 1000;

/// Returns the text; it is a little smaller than the largest that is read.
pub(crate) fn manifest() -> String {
    let mut text = String::from("# A thousand services.\nversion: v1\ndeployment: thousand\n\nservices:\n");
    for number in 0..SERVICES {
        service(&mut text, number);
    }
    text
}

fn service(text: &mut String, number: usize) {
    let port = 10_000 + number;
    let written = write!(
        text,
        "  # Part {number} of the shop.
  part-{number}:
    image:
      name: registry.example.com/shop/part-{number}:1.4.{number}
      pull_policy: if_not_present
    command:
      args: [\"--config\", \"/etc/shop/part.yaml\", --verbose]
    env:
      MODE: production
      LISTEN: \"0.0.0.0:{port}\"
      DATABASE_URL: $E:DATABASE_URL
    resources: {{ cpu: 0.25, memory: 64Mi }}
    init:
      steps:
        - id: wait-for-it
          uses: init.wait_tcp
          with: {{ host: db.example.com, port: 5432 }}
          timeout: 60s
    endpoints:
      - name: http
        protocol: http
        port: {port} # of the node
        target: 8080
        path: /part/{number}
        expose: public
    health:
      interval: 5s
      retries: 5
      check: {{ type: http, path: /healthz }}
    scale: {{ mode: fixed, replicas: 2 }}

"
    );
    written.expect("a text takes all");
}
