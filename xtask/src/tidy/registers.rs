//! Lists that name every file of a folder: what is not in the list does not run, and nothing else would say so.

use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, Item};

use super::{Finding, read};

/// A folder with one file per thing, and the sorted list that names them all.
struct Register {
    folder: &'static str,
    file: &'static str,
    list: &'static str,
}

const REGISTERS: &[Register] = &[
    Register { folder: "controllers/src/controller", file: "controllers/src/lib.rs", list: "ALL" },
    Register { folder: "runtime/src/init", file: "runtime/src/init.rs", list: "ACTIONS" },
    Register { folder: "xtask/src/scenarios", file: "xtask/src/scenarios.rs", list: "ALL" },
    Register { folder: "xtask/src/soak", file: "xtask/src/soak.rs", list: "ALL" },
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for register in REGISTERS {
        let names = names(&root.join(register.folder))?;
        if !names.is_empty() {
            findings.extend(register.check(&names, &read(&root.join(register.file))?)?);
        }
    }
    Ok(findings)
}

/// Returns the names of the files of a folder, sorted; none when there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
    }
    names.retain(|name| name != "tests");
    names.sort();
    Ok(names)
}

impl Register {
    fn check(&self, names: &[String], text: &str) -> Result<Vec<Finding>> {
        let Register { folder, file, list } = self;
        let Some((line, elements)) = list_in(text, list).with_context(|| format!("cannot parse {file}"))? else {
            let message = format!("there is no list `{list}` that names the files of {folder}");
            return Ok(vec![Finding::error(*file, 1, message, format!("write `pub const {list}: &[…] = &[…]` as a list"))]);
        };
        let mut findings = Vec::new();
        let mut last = "";
        for (at, words) in &elements {
            let Some(name) = names.iter().find(|name| words.contains(name)) else {
                let message = format!("this element of {list} belongs to no file of {folder}");
                findings.push(Finding::error(*file, *at, message, "name it like its file, or remove it"));
                continue;
            };
            if name.as_str() <= last {
                let message = format!("{list} has {name} after {last}");
                findings.push(Finding::error(*file, *at, message, "sort it, each file once"));
            }
            last = name;
        }
        let listed = |name: &String| elements.iter().any(|(_, words)| words.contains(name));
        for name in names.iter().filter(|name| !listed(name)) {
            let message = format!("{folder}/{name}.rs is not in {list}");
            findings.push(Finding::error(*file, line, message, format!("add {name} to {list}")));
        }
        Ok(findings)
    }
}

type Element = (usize, Vec<String>);

/// Returns the line of a constant list, and of each element its line and the words in it, in lower case.
fn list_in(text: &str, list: &str) -> Result<Option<(usize, Vec<Element>)>> {
    for item in syn::parse_file(text)?.items {
        let (name, expression) = match item {
            Item::Const(item) => (item.ident, *item.expr),
            Item::Static(item) => (item.ident, *item.expr),
            _ => continue,
        };
        if name == list {
            let elements = match unwrapped(&expression) {
                Expr::Array(array) => array.elems.iter().map(element).collect(),
                _ => return Ok(None),
            };
            return Ok(Some((name.span().start().line, elements)));
        }
    }
    Ok(None)
}

fn unwrapped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Reference(reference) => unwrapped(&reference.expr),
        other => other,
    }
}

fn element(expression: &Expr) -> Element {
    let mut found = Vec::new();
    words(expression.to_token_stream(), &mut found);
    (expression.span().start().line, found)
}

fn words(tokens: TokenStream, found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident.to_string().to_lowercase()),
            // A name such as "init.wait_tcp" ends with that of its file.
            TokenTree::Literal(literal) => {
                found.extend(literal.to_string().trim_matches('"').rsplit('.').next().map(str::to_lowercase));
            }
            TokenTree::Group(group) => words(group.stream(), found),
            TokenTree::Punct(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check_text(names: &[&str], text: &str) -> String {
        let register = Register { folder: "c/src/controller", file: "c/src/lib.rs", list: "ALL" };
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        register.check(&names, text).unwrap().iter().map(|finding| finding.to_string() + "\n").collect()
    }

    #[test]
    fn a_list_may_name_its_files_in_any_form() {
        for text in [
            "pub const ALL: &[Controller] = &[image::IMAGE, init_step::INIT_STEP];",
            "pub const ALL: &[&Controller] = &[&controller::image::IMAGE, &controller::init_step::INIT_STEP];",
            "pub static ALL: [Controller; 2] = [IMAGE, INIT_STEP];",
            "pub const ALL: &[(&str, Plan)] = &[(\"init.image\", image::plan), (\"init.init_step\", plan)];",
        ] {
            assert_eq!(check_text(&["image", "init_step"], text), "");
        }
    }

    #[test]
    fn what_is_missing_unsorted_or_unknown_is_found() {
        assert_snapshot!(check_text(&["a", "b", "c"], "pub const ALL: &[C] = &[\n  b::B,\n  a::A,\n  old::OLD,\n];"), @"
        c/src/lib.rs:3: ALL has a after b; sort it, each file once
        c/src/lib.rs:4: this element of ALL belongs to no file of c/src/controller; name it like its file, or remove it
        c/src/lib.rs:1: c/src/controller/c.rs is not in ALL; add c to ALL
        ");
        assert_snapshot!(check_text(&["a"], "pub const ALL: &[C] = &[a::A, a::A];"), @"c/src/lib.rs:1: ALL has a after a; sort it, each file once");
        assert_snapshot!(check_text(&["a"], "pub const OTHER: &[C] = &[a::A];"), @"c/src/lib.rs:1: there is no list `ALL` that names the files of c/src/controller; write `pub const ALL: &[…] = &[…]` as a list");
    }
}
