//! Where `$E:NAME` gets its values: the node's environment file, then the daemon's own environment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use spec::kind::container::Variable;

/// Longest environment file that is read.
const BYTES_MAX: usize = 1 << 20;

pub(crate) struct Environment {
    file: PathBuf,
    own: BTreeMap<String, String>,
}

impl Environment {
    pub(crate) fn new(file: PathBuf, own: BTreeMap<String, String>) -> Environment {
        Environment { file, own }
    }

    /// Returns where variables can be added.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns those of `names` that cannot be had.
    pub(crate) async fn missing<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, String> {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return Ok(BTreeSet::new());
        }
        let file = self.read().await?;
        Ok(names.filter(|name| !file.contains_key(*name) && !self.own.contains_key(*name)).collect())
    }

    /// Returns the variables with their values as they are now; the error says which cannot be had, and where to put it.
    pub(crate) async fn resolve(&self, env: &BTreeMap<String, Variable>) -> Result<BTreeMap<String, String>, String> {
        let asks = env.values().any(|value| matches!(value, Variable::Node(_)));
        let file = if asks { self.read().await? } else { BTreeMap::new() };
        let value = |name: &str| file.get(name).or_else(|| self.own.get(name)).cloned();
        env.iter()
            .map(|(name, wanted)| match wanted {
                Variable::Text(text) => Ok((name.clone(), text.clone())),
                Variable::Node(source) => value(source).map(|text| (name.clone(), text)).ok_or_else(|| {
                    format!(
                        "env {name} asks for $E:{source}, which this node does not have: add `{source}=…` to {}",
                        self.file.display()
                    )
                }),
                Variable::Secret(secret) => Err(format!("env {name} asks for $S:{secret}, and this version has no secrets yet")),
            })
            .collect()
    }

    async fn read(&self) -> Result<BTreeMap<String, String>, String> {
        let bad = |why: String| format!("the node's environment file {} {why}", self.file.display());
        match tokio::fs::read(&self.file).await {
            Ok(bytes) if bytes.len() > BYTES_MAX => Err(bad("is too long".to_owned())),
            Ok(bytes) => parse(&String::from_utf8(bytes).map_err(|_| bad("is not UTF-8".to_owned()))?).map_err(bad),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(bad(format!("cannot be read: {error}"))),
        }
    }
}

/// Reads `NAME=value` lines. A value may stand in quotes; lines that are empty or begin with `#` are passed over.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| format!("has no `=` in line {}", index + 1))?;
        variables.insert(name.trim().trim_start_matches("export ").trim().to_owned(), unquoted(value.trim()).to_owned());
    }
    Ok(variables)
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_quotes() {
        let read = parse("# a comment\n\nA=1\nexport B = two words \nC='x=y'\nD=\"\"\n").unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(parse("A=1\nnonsense"), Err("has no `=` in line 2".to_owned()));
    }

    #[tokio::test]
    async fn the_file_comes_before_the_daemons_environment_and_a_missing_name_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "A=file\n").unwrap();
        let own = [("A", "own"), ("B", "own")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let environment = Environment::new(file, own);
        let asked = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Variable::Node((*name).to_owned()))).collect();
        let read = environment.resolve(&asked(&["A", "B"])).await.unwrap();
        assert_eq!((read["A"].as_str(), read["B"].as_str()), ("file", "own"));
        assert!(environment.resolve(&asked(&["C"])).await.unwrap_err().contains("add `C=…`"));
    }
}
