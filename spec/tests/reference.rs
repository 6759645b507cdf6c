//! The reference that users read is that of this version.

#[test]
fn the_page_in_docs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/manifest.md");
    let there = std::fs::read_to_string(path).unwrap();
    assert!(there == spec::reference::markdown(), "docs/manifest.md is stale: run `cargo xtask docs`");
}
