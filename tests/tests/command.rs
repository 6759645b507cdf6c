//! What a manifest's `command` makes of an image's ENTRYPOINT, CMD and WORKDIR (section 5.5), in real containers. Needs root.

use tests::server::Server;
use tests::{images, until};

/// Each service, its `command`, and how its program must have been called.
const CASES: [(&str, &str, &str); 7] = [
    ("neither", "{}", "/bin/say image-entrypoint image-cmd in /image"),
    ("args", "{args: [given, 'two words']}", "/bin/say image-entrypoint given two words in /image"),
    ("entrypoint", "{entrypoint: [/bin/tell]}", "/bin/tell image-cmd in /image"),
    ("both", "{entrypoint: [/bin/tell, first], args: [given]}", "/bin/tell first given in /image"),
    ("no-args", "{args: []}", "/bin/say image-entrypoint in /image"),
    ("workdir", "{workdir: /other}", "/bin/say image-entrypoint image-cmd in /other"),
    ("everything", "{entrypoint: [tell], args: [given], workdir: /other}", "/bin/tell given in /other"),
];

#[test]
fn each_override_replaces_its_own_part_of_the_images_command() {
    let server = Server::new();
    server.load(images::commands());
    let service = |(name, command, _): (&str, &str, &str)| {
        format!("  {name}:\n    image: {{name: commands, pull_policy: never}}\n    command: {command}\n")
    };
    let services: String = CASES.into_iter().map(service).collect();
    server.up(&format!("version: v1\ndeployment: d\nservices:\n{services}")).good();
    for (name, _, called) in CASES {
        let logs = || server.stead(&["logs", &format!("d/{name}")]).good();
        until(&format!("{name} has said how it was called"), || logs().contains("called: "));
        let said = logs();
        assert!(said.contains(&format!("called: {called}\n")), "{name}: {said}");
    }
}
