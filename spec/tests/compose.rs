//! Compose files of all kinds: what carries over, what is noted, and that nothing is dropped in silence.

#[path = "compose/leaves.rs"]
mod leaves;

use std::fmt::Write;

use expect_test::{expect, expect_file};
use proptest::prelude::*;
use spec::compose::{Imported, import};
use spec::manifest;
use spec::problem::Code;

const FILES: &[(&str, &str)] = &[
    ("celery", include_str!("compose/celery.yaml")),
    ("elastic", include_str!("compose/elastic.yaml")),
    ("gitea", include_str!("compose/gitea.yaml")),
    ("hostile", include_str!("compose/hostile.yaml")),
    ("long", include_str!("compose/long.yaml")),
    ("monitoring", include_str!("compose/monitoring.yaml")),
    ("names", include_str!("compose/names.yaml")),
    ("nextcloud", include_str!("compose/nextcloud.yaml")),
    ("old", include_str!("compose/old.yaml")),
    ("tags", include_str!("compose/tags.yaml")),
    ("traefik", include_str!("compose/traefik.yaml")),
    ("wordpress", include_str!("compose/wordpress.yaml")),
];

fn printed(imported: &Imported) -> String {
    spec::format::print(&imported.manifest)
}

fn shown(imported: &Imported) -> String {
    let mut shown = printed(imported);
    shown.push_str("---\n");
    imported.notes.iter().for_each(|note| writeln!(shown, "{note}").unwrap());
    shown
}

/// Imports a text and checks that what comes of it is a manifest.
fn imported(text: &str) -> Option<Imported> {
    let imported = match import(text, "folder") {
        Ok(imported) => imported,
        Err(problems) => {
            let explained =
                problems.iter().all(|problem| problem.is_error() && (problem.place.line > 0 || problem.code == Code::Limit));
            assert!(explained, "{problems:#?}\n{text}");
            return None;
        }
    };
    let printed = printed(&imported);
    match manifest::parse(&printed) {
        Ok(read) => assert_eq!(read, imported.manifest),
        Err(problems) => panic!("{problems:#?}\n{printed}\n{text}"),
    }
    assert!(imported.notes.iter().all(|note| !note.is_error() && note.place.line > 0), "{:#?}", imported.notes);
    Some(imported)
}

#[test]
fn files_as_they_are_found_become_manifests_with_notes() {
    for (name, text) in FILES {
        let imported = imported(text).unwrap_or_else(|| panic!("{name}: {:#?}", import(text, "folder")));
        expect_file![format!("compose/{name}.expected")].assert_eq(&shown(&imported));
    }
}

#[test]
fn every_leaf_is_carried_over_or_named_in_a_note() {
    let silent: Vec<String> = FILES.iter().flat_map(|(name, text)| leaves::silent(name, text)).collect();
    assert!(silent.is_empty(), "dropped without a word:\n{}", silent.join("\n"));
}

#[test]
fn notes_show_nothing_that_steers_a_terminal() {
    for (name, text) in FILES {
        for note in import(text, "folder").unwrap().notes {
            let said = format!("{}{}{}", note.path, note.message, note.fix.unwrap_or_default());
            assert!(!said.contains(char::is_control), "{name}: {said:?}");
        }
    }
}

#[test]
fn the_folder_gives_the_name_where_the_file_has_none() {
    for (file, folder, name) in [("", "My Project", "my-project"), ("", "...", "app"), ("name: shop\n", "x", "shop")] {
        let text = format!("{file}services:\n  web: {{image: nginx}}\n");
        assert_eq!(import(&text, folder).unwrap().manifest.deployment.to_string(), name);
    }
}

#[test]
fn what_is_no_compose_file_is_refused() {
    let many: String = (0..1025).map(|number| format!("  s{number}: {{image: nginx}}\n")).collect();
    let crowd: String = (0..6).map(|number| format!("  s{number}: {{image: nginx, scale: 400}}\n")).collect();
    let mut shown = String::new();
    for text in [
        "",
        "just text",
        "- a\n- b\n",
        "services: []\n",
        "services: {}\n",
        "version: '3'\nvolumes: {data: }\n",
        "web:\n  image: nginx\ndb:\n  image: postgres\n",
        "services:\n  web: {image: nginx}\n  web: {image: nginx}\n",
        "services: {web: {image: nginx}\n",
        "services:\n\tweb: nginx\n",
        &format!("services:\n{many}"),
        &format!("services:\n{crowd}"),
    ] {
        let start: String = text.chars().take(30).collect();
        writeln!(shown, "{start:?}").unwrap();
        for problem in import(text, "folder").unwrap_err() {
            writeln!(shown, "  {problem}").unwrap();
        }
    }
    expect![[r#"
        ""
          1:1: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "just text"
          1:1: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "- a\n- b\n"
          1:1: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "services: []\n"
          1:1: services: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "services: {}\n"
          1:1: services: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "version: '3'\nvolumes: {data: }"
          1:1: there are no services here (a compose file has `services:` with a name and an `image` for each)
        "web:\n  image: nginx\ndb:\n  imag"
          1:1: there are no services here (this is the oldest form of compose files: indent the services below `services:`)
        "services:\n  web: {image: nginx"
          3:3: the key `web` is there twice (keep one of the two)
        "services: {web: {image: nginx}"
          1:11: this `{` is not closed (close it with `}`)
        "services:\n\tweb: nginx\n"
          2:1: a tab cannot indent (indent with spaces: YAML forbids tabs)
        "services:\n  s0: {image: nginx}"
          1:1: services: 1025 services are more than the 1024 of one deployment (make it several deployments)
        "services:\n  s0: {image: nginx,"
          services: 2400 replicas are more than the 2000 that one deployment may have (make it several deployments)
    "#]]
    .assert_eq(&shown);
}

/// Texts that mean something somewhere in a compose file.
const WORDS: &[&str] = &[
    "",
    "~",
    "nginx",
    "db",
    "a",
    "0",
    "80",
    "8080:80",
    "53:53/udp",
    "9-2",
    "70000",
    "-1",
    "1.5",
    "512m",
    "10s",
    "true",
    "no",
    "NONE",
    "CMD",
    "CMD-SHELL",
    "./x:/y",
    "/x:/y",
    "v:/data",
    "v:/data:ro",
    "$X",
    "${X:-80}",
    "$$",
    "${",
    "http://db:80/",
    "curl -f http://localhost",
    "service_healthy",
    "service_started",
    "start-first",
    "rollback",
    "host",
    "always",
    "volume",
    "bind",
    "\0",
    "\u{1b}[0m",
    "A=b",
    "A=$B",
    "$E:X",
    "'",
    "a && b",
    "global",
];

const KEYS: &[&str] = &[
    "image",
    "build",
    "command",
    "entrypoint",
    "working_dir",
    "environment",
    "ports",
    "volumes",
    "depends_on",
    "links",
    "healthcheck",
    "test",
    "interval",
    "timeout",
    "retries",
    "disable",
    "deploy",
    "replicas",
    "scale",
    "resources",
    "limits",
    "cpus",
    "memory",
    "mem_limit",
    "update_config",
    "parallelism",
    "order",
    "failure_action",
    "restart",
    "networks",
    "aliases",
    "secrets",
    "profiles",
    "target",
    "published",
    "source",
    "type",
    "read_only",
    "condition",
    "required",
    "name",
    "container_name",
    "labels",
    "<<",
    "x-y",
    "a",
    "db",
    "global",
    "service",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,12}"]
        .prop_map(|word| serde_json::to_string(&word).unwrap())
}

/// Any tree, in which things stand at places where they mean something more often than by chance.
fn tree() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![3 => word(), 1 => prop::sample::select(&["5", "0.5", "true", "no", "null", ""][..]).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop::sample::select(KEYS);
        let mapping = prop::collection::btree_map(key, inner.clone(), 0..6);
        prop_oneof![
            2 => mapping.prop_map(|fields| mapping_of(&fields)),
            1 => prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

fn mapping_of(fields: &std::collections::BTreeMap<&str, String>) -> String {
    let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

fn service() -> impl Strategy<Value = String> {
    prop::collection::btree_map(prop::sample::select(KEYS), tree(), 0..8).prop_map(|fields| mapping_of(&fields))
}

fn file() -> impl Strategy<Value = String> {
    let services = prop::collection::btree_map(prop::sample::select(&["db", "a", "A", "global", "web"][..]), service(), 1..4);
    let rest =
        prop::collection::btree_map(prop::sample::select(&["volumes", "networks", "secrets", "name", "x-y"][..]), tree(), 0..3);
    (services, rest).prop_map(|(services, mut rest)| {
        rest.insert("services", mapping_of(&services));
        mapping_of(&rest)
    })
}

/// A file of the collection with some lines taken out, doubled or swapped.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (0_usize..200, 0_usize..200, 0_u8..4);
    (prop::sample::select(FILES), prop::collection::vec(edit, 1..6)).prop_map(|((_, text), edits)| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (one, other, how) in edits {
            let (one, other) = (one % lines.len(), other % lines.len());
            match how {
                0 if lines.len() > 1 => drop(lines.remove(one)),
                1 => lines.swap(one, other),
                2 => lines[one] = format!("  {}", lines[one]),
                _ => lines[one] = lines[other].clone(),
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_read_to_a_good_manifest_or_refused(text in tree()) {
        imported(&text);
        imported(&format!("services: {text}"));
    }

    #[test]
    fn any_file_is_read_to_a_good_manifest_or_refused(text in file()) {
        imported(&text);
    }

    #[test]
    fn a_damaged_file_is_read_to_a_good_manifest_or_refused(text in mutated()) {
        imported(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        imported(&text);
    }
}

#[test]
fn notes_are_bounded_and_the_last_says_so() {
    let mut text = "services:\n  web:\n    image: nginx\n".to_owned();
    (0..5000).for_each(|field| writeln!(text, "    imag{field}: 1").unwrap());
    let notes = imported(&text).unwrap().notes;
    assert_eq!((notes.len(), notes[200].code), (201, Code::Limit));
}

#[test]
fn a_manifest_that_is_too_long_to_be_read_is_not_made() {
    let ports: Vec<_> = (0..1000).map(|at| format!("'{0}-{1}:{0}-{1}'", at * 60 + 1, at * 60 + 60)).collect();
    let text = format!("services:\n  web:\n    image: nginx\n    ports: [{}]\n", ports.join(", "));
    let problems = import(&text, "folder").unwrap_err();
    assert_eq!(problems[0].code, Code::Limit, "{problems:?}");
}
