//! Names: those of services as labels, and the host names by which services of the file reach each other.

use std::collections::{BTreeMap, BTreeSet};

use super::at::At;
use super::notes::Notes;
use crate::manifest::{Label, ServiceName};

pub(super) struct Names {
    services: BTreeMap<String, ServiceName>,
    /// Services by what Compose lets the others call them.
    hosts: BTreeMap<String, ServiceName>,
}

/// Longest label (RFC 1123, section 2.1).
const LABEL_MAX: usize = 63;

/// Returns the nearest label to a text.
pub(super) fn label(text: &str) -> Label {
    let short = plain(text, LABEL_MAX);
    if short.is_empty() { "app" } else { &short }.parse().expect("letters, digits and inner dashes are a label")
}

/// Lower-case letters and digits, with one dash for anything between them.
fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => plain.push(c),
            _ if plain.is_empty() => {}
            _ => plain.push('-'),
        }
        if plain.len() == most {
            break;
        }
    }
    plain.trim_end_matches('-').to_owned()
}

impl Names {
    pub(super) fn of(services: &At<'_>, notes: &mut Notes<'_>) -> Names {
        let mut names = Names { services: BTreeMap::new(), hosts: BTreeMap::new() };
        let mut taken = BTreeSet::new();
        // Names that need no change come first, so that none of them is taken by one that does.
        let (fit, changed): (Vec<_>, Vec<_>) = services.fields().partition(|(key, _)| key.parse::<ServiceName>().is_ok());
        for (key, at) in fit.into_iter().chain(changed) {
            let name = free(key, &taken);
            if *name != *key {
                let message = format!(
                    "the service is called `{name}`: names are lower-case letters, digits and `-`, and each is there once"
                );
                notes.add_with(&at, message, format!("it is reached as {name}.global"));
            }
            taken.insert(name.clone());
            names.hosts.insert(key.to_owned(), name.clone());
            names.services.insert(key.to_owned(), name);
        }
        services.fields().for_each(|(key, at)| names.aliases(key, &at));
        names
    }

    /// Adds the other names of a service. What services are called wins.
    fn aliases(&mut self, key: &str, at: &At<'_>) {
        // A `hostname` is what the container calls itself; the others do not find it by that.
        let own = at.get("container_name").and_then(|at| at.text());
        let networks = at.get("networks").into_iter().flat_map(|networks| networks.fields());
        let aliases =
            networks.filter_map(|(_, network)| network.get("aliases")).flat_map(|list| list.items().filter_map(|at| at.text()));
        for alias in own.into_iter().chain(aliases) {
            self.alias(alias, key);
        }
        for link in at.get("links").into_iter().flat_map(|links| links.items()).filter_map(|at| at.text()) {
            if let Some((service, alias)) = link.split_once(':') {
                self.alias(alias, service);
            }
        }
    }

    fn alias(&mut self, alias: &str, service: &str) {
        let Some(name) = self.services.get(service) else { return };
        if alias != "localhost" && !alias.is_empty() {
            self.hosts.entry(alias.to_owned()).or_insert_with(|| name.clone());
        }
    }

    pub(super) fn service(&self, key: &str) -> Option<&ServiceName> {
        self.services.get(key)
    }

    /// Returns the service that the others can call so.
    pub(super) fn host(&self, name: &str) -> Option<ServiceName> {
        self.hosts.get(name).cloned()
    }

    /// Returns a text in which services are called as Stead calls them, and what was changed; `None` when nothing was.
    ///
    /// A name counts as a host's where it is followed by a port, where it is the host of a URL, and, with `bare`, by itself.
    pub(super) fn rewrite(&self, text: &str, bare: bool) -> Option<(String, String)> {
        let mut rewritten = String::new();
        let mut changed = None;
        let mut rest = text;
        while let Some(start) = rest.find(is_host_char) {
            let token = &rest[start..];
            let token = &token[..token.find(|c| !is_host_char(c)).unwrap_or(token.len())];
            let (before, after) = (&rest[..start], &rest[start + token.len()..]);
            rewritten.push_str(before);
            match self.hosts.get(token).filter(|_| is_host(before, after, rewritten.is_empty(), bare)) {
                Some(name) => {
                    rewritten.push_str(&format!("{name}.global"));
                    changed.get_or_insert_with(|| format!("{name}.global"));
                }
                None => rewritten.push_str(token),
            }
            rest = after;
        }
        rewritten.push_str(rest);
        changed.map(|changed| (rewritten, changed))
    }
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Tells by what is around a name whether it is a host's. `before` reaches back to the token before it.
fn is_host(before: &str, after: &str, first: bool, bare: bool) -> bool {
    let ends = after.is_empty() || after.starts_with(['/', ',', '?', '#', ' ', '"', '\'', ']', ')', ';', '\n']);
    let begins = first || before.ends_with([',', '=', ' ', '"', '\'', '[', '(', ';', '\n']);
    let in_url = before.ends_with("://") || before.ends_with('@');
    (in_url && (ends || has_port(after))) || (begins && has_port(after)) || (bare && begins && ends)
}

/// A colon, a port, and nothing that could be part of a longer word.
fn has_port(after: &str) -> bool {
    let Some(rest) = after.strip_prefix(':') else { return false };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (2..=5).contains(&digits) && !rest[digits..].starts_with(|c: char| is_host_char(c) || c == ':')
}

/// Returns a name that is not taken: the nearest one, with a number behind it where needed.
fn free(key: &str, taken: &BTreeSet<ServiceName>) -> ServiceName {
    let fits = |text: &str| text.parse().ok().filter(|name| !taken.contains(name));
    let base = label(key);
    let numbered = |number: usize| {
        let suffix = format!("-{number}");
        fits(&format!("{}{suffix}", plain(&base, LABEL_MAX - suffix.len())))
    };
    fits(&base).or_else(|| (2..).find_map(numbered)).expect("one of all numbers is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        let root = crate::yaml::parse(text).unwrap().root.unwrap();
        Names::of(&At::root(&root), &mut Notes::of(text))
    }

    #[test]
    fn names_become_labels_and_stay_apart() {
        let names = names("My_App: {}\nmy-app: {}\nmy.app: {}\nglobal: {}\n___: {}\n");
        let found: Vec<_> =
            ["My_App", "my-app", "my.app", "global", "___"].map(|key| names.service(key).unwrap().to_string()).into();
        assert_eq!(found, ["my-app-2", "my-app", "my-app-3", "global-2", "app"]);
        assert_eq!(label(&"x".repeat(100)).len(), 63);
        assert_eq!(label("-").to_string(), "app");
    }

    #[test]
    fn hosts_are_told_from_other_words() {
        let names = names("db: {container_name: shop_db}\nweb: {links: ['db:database']}\ncache: {}\n");
        for (text, bare, rewritten) in [
            ("db:5432", false, "db.global:5432"),
            ("postgres://u:p@db:5432/db", false, "postgres://u:p@db.global:5432/db"),
            ("http://shop_db/x", false, "http://db.global/x"),
            ("http://database", false, "http://db.global"),
            ("cache:6379,db:5432", false, "cache.global:6379,db.global:5432"),
            ("--url=cache:6379 -v", false, "--url=cache.global:6379 -v"),
            ("db,cache", true, "db.global,cache.global"),
            ("[\"http://db:1000\"]", false, "[\"http://db.global:1000\"]"),
        ] {
            assert_eq!(names.rewrite(text, bare).map(|(text, _)| text).as_deref(), Some(rewritten), "{text}");
        }
        for text in ["db", "db.global:5432", "mydb:5432", "db:1", "db:5432x", "user db", "db:pass@host", "http://x.db/", "/db"] {
            assert_eq!(names.rewrite(text, false), None, "{text}");
        }
    }
}
