//! The examples are manifests that Stead accepts.

use spec::manifest::parse;

#[test]
fn every_example_is_a_valid_manifest() {
    let examples = xtask::workspace::root().join("examples");
    let mut number = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let problems = parse(&text).err().unwrap_or_default();
            assert!(problems.is_empty(), "{}: {problems:?}", path.display());
            number += 1;
        }
    }
    assert!(number >= 2, "there are {number} examples");
}
