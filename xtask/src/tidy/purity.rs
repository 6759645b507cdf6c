//! `spec` and `controllers` are functions of their arguments: no clock, file, network, thread, process or randomness.
//!
//! Paths are read from the syntax tree, with the names that `use` gives them, and from the tokens of macros. Tests may do
//! as they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

use super::{Finding, read, relative, sources};
use crate::workspace::Package;

const PURE: &[&str] = &["controllers", "spec"];

/// What pure code does not name, and what it does instead.
const IMPURE: &[(&str, &str)] = &[
    ("libc", "let runtime, netctl or stead act on an effect"),
    ("rand", "derive it from names and hashes, or take a seed as an argument"),
    ("rustix", "let runtime, netctl or stead act on an effect"),
    ("std::collections::hash_map::RandomState", "derive it from names and hashes, or take a seed as an argument"),
    ("std::env", "take it as an argument"),
    ("std::fs", "let runtime, netctl or stead act on an effect"),
    ("std::hash::RandomState", "derive it from names and hashes, or take a seed as an argument"),
    ("std::io::stderr", "report by a status or an event"),
    ("std::io::stdin", "take it as an argument"),
    ("std::io::stdout", "report by a status or an event"),
    ("std::net::TcpListener", "let runtime, netctl or stead act on an effect"),
    ("std::net::TcpStream", "let runtime, netctl or stead act on an effect"),
    ("std::net::ToSocketAddrs", "let runtime, netctl or stead act on an effect"),
    ("std::net::UdpSocket", "let runtime, netctl or stead act on an effect"),
    ("std::os", "let runtime, netctl or stead act on an effect"),
    ("std::process", "let runtime, netctl or stead act on an effect"),
    ("std::thread", "let the driver do things side by side"),
    ("std::time::Instant", "take `now` as an argument"),
    ("std::time::SystemTime", "take `now` as an argument"),
    ("std::time::UNIX_EPOCH", "take `now` as an argument"),
    ("tokio", "let the driver wait"),
];

pub(super) fn check(packages: &[Package], root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| PURE.contains(&package.name.as_str())) {
        let mut files = Vec::new();
        for path in sources(&package.dir().join("src"))? {
            let tree = syn::parse_file(&read(&path)?).with_context(|| format!("cannot parse {}", path.display()))?;
            files.push((path, tree));
        }
        let of_tests: BTreeSet<PathBuf> = files.iter().flat_map(|(path, tree)| test_modules(path, tree)).collect();
        for (path, tree) in files.iter().filter(|(path, _)| !path.ancestors().any(|part| of_tests.contains(part))) {
            findings.extend(of_file(relative(path, root), &package.name, tree));
        }
    }
    Ok(findings)
}

/// Returns the files and folders of modules that `tree` declares for its tests only.
fn test_modules(path: &Path, tree: &syn::File) -> Vec<PathBuf> {
    let is_root = path.file_stem().is_some_and(|stem| stem == "lib" || stem == "main" || stem == "mod");
    let folder = if is_root { path.parent().unwrap_or(path).to_owned() } else { path.with_extension("") };
    let modules = tree.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    });
    modules.flat_map(|name| [folder.join(&name), folder.join(name + ".rs")]).collect()
}

fn of_file(file: &Path, package: &str, tree: &syn::File) -> Vec<Finding> {
    let mut names = Names::default();
    names.visit_file(tree);
    let mut scan = Scan { names: names.0, found: BTreeMap::new() };
    scan.visit_file(tree);
    let finding = |((line, path), instead): ((usize, String), &&str)| {
        Finding::error(file, line, format!("{package} is pure and names {path}"), *instead)
    };
    scan.found.iter().map(|(place, instead)| finding((place.clone(), instead))).collect()
}

/// The names that `use` brings in, and the paths they stand for.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for (_, path, name) in leaves(&item.tree, "") {
            self.0.insert(name, path);
        }
    }
}

/// Returns the line, the path and the name of each thing a `use` brings in.
fn leaves(tree: &UseTree, prefix: &str) -> Vec<(usize, String, String)> {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let line = tree.span().start().line;
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &join(&path.ident.to_string())),
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, prefix)).collect(),
        UseTree::Glob(_) => vec![(line, join("*"), "*".to_owned())],
        UseTree::Name(name) if name.ident == "self" => {
            vec![(line, prefix.to_owned(), prefix.rsplit("::").next().unwrap_or(prefix).to_owned())]
        }
        UseTree::Name(name) => vec![(line, join(&name.ident.to_string()), name.ident.to_string())],
        UseTree::Rename(rename) if rename.ident == "self" => vec![(line, prefix.to_owned(), rename.rename.to_string())],
        UseTree::Rename(rename) => vec![(line, join(&rename.ident.to_string()), rename.rename.to_string())],
    }
}

/// Looks at every path of a file that is not for tests.
struct Scan {
    names: BTreeMap<String, String>,
    /// By line and path: what to do instead.
    found: BTreeMap<(usize, String), &'static str>,
}

impl Scan {
    fn look_at(&mut self, line: usize, path: &str) {
        if let Some((impure, instead)) = IMPURE.iter().find(|(impure, _)| reaches(path, impure)) {
            self.found.insert((line, impure.to_string()), instead);
        }
    }

    /// Looks at a path as it is written, whose first segment may be a name for something longer.
    fn look_at_use(&mut self, line: usize, segments: &[String]) {
        let Some((first, rest)) = segments.split_first() else { return };
        let first = self.names.get(first).cloned().unwrap_or_else(|| first.clone());
        // A lone name was looked at where `use` brought it in.
        if !rest.is_empty() {
            self.look_at(line, &[&[first], rest].concat().join("::"));
        }
    }

    fn look_at_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 || segments.is_empty() {
                        self.look_at_use(line, &std::mem::take(&mut segments));
                        line = ident.span().start().line;
                    }
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.look_at_use(line, &std::mem::take(&mut segments));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.look_at_tokens(group.stream());
                    }
                }
            }
        }
        self.look_at_use(line, &segments);
    }
}

impl<'ast> Visit<'ast> for Scan {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for (line, path, _) in leaves(&item.tree, "") {
            self.look_at(line, &path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.look_at_use(path.span().start().line, &segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        visit::visit_macro(self, invocation);
        self.look_at_tokens(invocation.tokens.clone());
    }
}

/// Returns whether `path` is `impure`, or something in it, or the glob that brings it in.
fn reaches(path: &str, impure: &str) -> bool {
    let path = path.replacen("core::", "std::", usize::from(path.starts_with("core::")));
    let inside = |path: &str, of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    inside(&path, impure)
        || path.strip_suffix("::*").is_some_and(|module| impure.rsplit_once("::").is_some_and(|(of, _)| of == module))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns whether there is a `#[cfg(test)]`, also as the first of `all(…)`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string().replace(' ', ""));
        condition.is_ok_and(|condition| condition == "test" || condition.starts_with("all(test,"))
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check_text(text: &str) -> String {
        let findings = of_file(Path::new("spec/src/x.rs"), "spec", &syn::parse_file(text).unwrap());
        findings.iter().map(|finding| finding.to_string() + "\n").collect()
    }

    #[test]
    fn data_is_pure() {
        let text = "
            use std::{collections::BTreeMap, net::{Ipv4Addr, SocketAddr}, time::Duration};
            /// Like `std::fs::read`, but std::env is not asked.
            fn f(now: u64, fs: &str) -> String { format!(\"std::process::exit {} {fs}\", std::time::Duration::ZERO.as_secs()) }
            fn env() {}
            fn g() { env(); self::env(); }
        ";
        assert_eq!(check_text(text), "");
    }

    #[test]
    fn each_way_to_name_the_world_is_found() {
        let text = "
            use std::{fs, net::{Ipv4Addr, TcpStream as Wire}};
            use std::time::{self, Duration};
            use std::thread::*;
            use std::collections::*;
            use core::time::*;
            fn a() { std::env::var(\"HOME\"); }
            fn b() -> time::Instant { time::Instant::now() }
            fn c(now: std::time::SystemTime) {}
            fn d() { println!(\"{}\", std::process::id()); vec![[::std::fs::read(\"x\")]]; }
            fn e() -> u8 { rand::random() }
            impl X { fn f() { use tokio::time; time::sleep(1); } }
        ";
        assert_snapshot!(check_text(text), @"
        spec/src/x.rs:2: spec is pure and names std::fs; let runtime, netctl or stead act on an effect
        spec/src/x.rs:2: spec is pure and names std::net::TcpStream; let runtime, netctl or stead act on an effect
        spec/src/x.rs:4: spec is pure and names std::thread; let the driver do things side by side
        spec/src/x.rs:6: spec is pure and names std::time::Instant; take `now` as an argument
        spec/src/x.rs:7: spec is pure and names std::env; take it as an argument
        spec/src/x.rs:8: spec is pure and names tokio; let the driver wait
        spec/src/x.rs:9: spec is pure and names std::time::SystemTime; take `now` as an argument
        spec/src/x.rs:10: spec is pure and names std::fs; let runtime, netctl or stead act on an effect
        spec/src/x.rs:10: spec is pure and names std::process; let runtime, netctl or stead act on an effect
        spec/src/x.rs:11: spec is pure and names rand; derive it from names and hashes, or take a seed as an argument
        spec/src/x.rs:12: spec is pure and names tokio; let the driver wait
        ");
    }

    #[test]
    fn tests_may_do_as_they_like() {
        let text = "
            #[cfg(test)] mod tests { use std::fs; fn f() { std::thread::yield_now() } }
            #[cfg(test)] fn g() { std::process::exit(0) }
            #[cfg(all(test, unix))] use std::env;
            impl X { #[cfg(test)] fn h() { std::env::args(); } }
        ";
        assert_eq!(check_text(text), "");
        assert!(check_text("#[cfg(not(test))] use std::fs;").contains("std::fs"));
    }

    #[test]
    fn files_of_test_modules_are_known_by_their_declaration() {
        let tree = syn::parse_file("#[cfg(test)] mod tests; mod other; #[cfg(test)] mod inline {}").unwrap();
        assert_eq!(test_modules(Path::new("s/view.rs"), &tree), [Path::new("s/view/tests"), Path::new("s/view/tests.rs")]);
        assert_eq!(test_modules(Path::new("s/lib.rs"), &tree), [Path::new("s/tests"), Path::new("s/tests.rs")]);
    }
}
