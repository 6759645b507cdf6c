//! The examples: one manifest for each idea, all valid, without warnings, and in canonical form.

use std::collections::BTreeMap;
use std::path::Path;

use spec::format::format;
use spec::manifest::check_file;
use spec::problem::Code;

fn examples() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_example_is_valid_and_warns_of_nothing_but_what_is_not_built() {
    let examples = examples();
    assert!(examples.len() >= 25, "there are {}", examples.len());
    for (name, text) in examples {
        let checked = check_file(&text);
        let said: Vec<_> =
            checked.problems.iter().filter(|problem| problem.code != Code::Unbuilt).map(ToString::to_string).collect();
        assert!(said.is_empty() && checked.manifest.is_some(), "{name}: {said:#?}");
    }
}

#[test]
fn every_example_is_in_canonical_form() {
    for (name, text) in examples() {
        assert_eq!(format(&text).unwrap(), text, "{name}: run `stead fmt` on it");
    }
}

#[test]
fn no_two_examples_have_a_name_in_common() {
    let mut taken = BTreeMap::new();
    for (name, text) in examples() {
        let deployment = check_file(&text).manifest.expect("it is valid").deployment;
        if let Some(other) = taken.insert(deployment.to_string(), name.clone()) {
            panic!("{name} and {other} both describe `{deployment}`");
        }
    }
}
