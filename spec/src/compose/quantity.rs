//! Values of Compose: texts with variables, numbers, booleans, times and sizes.

use super::Import;
use super::at::At;
use super::variables::{Filled, fill};
use crate::units::{Bytes, Duration};
use crate::words::nearest;
use crate::yaml::quoted;

impl<'a> Import<'a> {
    /// Returns a text with its variables' defaults; `None`, with a note, when it needs a variable that has none.
    pub(super) fn text(&mut self, at: &At<'a>) -> Option<String> {
        let filled = self.filled(at)?;
        if let Some(name) = filled.unset.first() {
            self.notes.leave_out_with(at, &format!("the variable {} has no value here", quoted(name)), "write the value");
            return None;
        }
        Some(filled.text)
    }

    /// Returns a text in which variables without a value are left as they are.
    pub(super) fn text_with_variables(&mut self, at: &At<'a>) -> Option<String> {
        let filled = self.filled(at)?;
        if let Some(name) = filled.unset.first() {
            let message = format!("{} is not filled in: there are variables in `env` alone", quoted(&format!("${{{name}}}")));
            self.notes.add_with(
                at,
                message,
                "write its value, or give it to the service in `env` and let a shell in the container fill it in",
            );
        }
        Some(self.hosts(at, &filled.text, false))
    }

    pub(super) fn filled(&mut self, at: &At<'a>) -> Option<Filled> {
        match at.text() {
            Some(text) => {
                let filled = fill(text);
                self.tell_defaults(at, &filled);
                Some(filled)
            }
            None => {
                if !at.node.is_null() {
                    self.notes.leave_out(at, "a text belongs here");
                }
                None
            }
        }
    }

    pub(super) fn tell_defaults(&mut self, at: &At<'a>, filled: &Filled) {
        if let Some((name, default)) = filled.defaults.first() {
            let whole = filled.defaults.len() == 1 && *default == filled.text && at.path.contains(".environment");
            let fix = if whole {
                format!("write `$E:{name}` to have it read on the node")
            } else {
                "write another value where it is not right".to_owned()
            };
            let taken = if default.is_empty() { "the empty text".to_owned() } else { quoted(default) };
            self.notes.add_with(
                at,
                format!("the variable {} is not asked for; its default was taken: {taken}", quoted(name)),
                fix,
            );
        }
        if filled.odd {
            self.notes.add(at, "something begins like a variable and is none; it was kept as it stands");
        }
    }

    /// Returns the text with the services it names called as Stead calls them.
    pub(super) fn hosts(&mut self, at: &At<'a>, text: &str, bare: bool) -> String {
        let Some((text, host)) = self.names.rewrite(text, bare) else { return text.to_owned() };
        self.notes.add(at, format!("services are reached by another name here: it now says {}", quoted(&host)));
        text
    }

    /// Returns a value of a type, or says what it should have been.
    pub(super) fn parsed<T>(&mut self, at: &At<'a>, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(at)?;
        let value = parse(&text);
        if value.is_none() {
            self.notes.leave_out(at, &format!("{} is not {what}", quoted(&text)));
        }
        value
    }

    pub(super) fn boolean(&mut self, at: &At<'a>) -> Option<bool> {
        self.parsed(at, "true or false", boolean)
    }

    pub(super) fn duration(&mut self, at: &At<'a>) -> Option<Duration> {
        self.parsed(at, "a time such as 1m30s", |text| text.parse().ok())
    }

    pub(super) fn bytes(&mut self, at: &At<'a>) -> Option<Bytes> {
        self.parsed(at, "a size such as 512m", bytes)
    }

    /// Returns the items of a list, or the one value that stands for a list.
    pub(super) fn list(&mut self, at: &At<'a>) -> Vec<At<'a>> {
        if at.is_mapping() {
            self.notes.leave_out(at, "a list belongs here");
        }
        if at.text().is_some() { vec![at.clone()] } else { at.items().collect() }
    }

    /// Says that a field is not known, and which one may have been meant.
    pub(super) fn unknown(&mut self, at: &At<'a>, known: impl Iterator<Item = &'static str>) {
        let name = at.name();
        if name.starts_with("x-") {
            return self.notes.leave_out(at, "extension fields are for other tools");
        }
        match if self.notes.is_full() { None } else { nearest(name, known) } {
            Some(near) => self.notes.leave_out_with(at, "Compose has no such field here", format!("did you mean `{near}`?")),
            None => self.notes.leave_out(at, "Compose has no such field here"),
        }
    }
}

/// Booleans as YAML 1.1 and 1.2 have them, also in quotes.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// Sizes count in 1024, whatever their unit says.
fn bytes(text: &str) -> Option<Bytes> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len()));
    let unit = match unit.trim_start() {
        "" | "b" => "B",
        "k" | "kb" | "ki" | "kib" => "Ki",
        "m" | "mb" | "mi" | "mib" => "Mi",
        "g" | "gb" | "gi" | "gib" => "Gi",
        "t" | "tb" | "ti" | "tib" => "Ti",
        _ => return None,
    };
    let bytes: Bytes = format!("{number}{unit}").parse().ok()?;
    // What cannot be written cannot be read again.
    (bytes.to_string().parse() == Ok(bytes)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024() {
        for (text, size) in
            [("512m", 512 << 20), ("1g", 1 << 30), ("64k", 64 << 10), ("1.5GB", 3 << 29), ("2048b", 2048), ("4096", 4096)]
        {
            assert_eq!(bytes(text), Some(Bytes(size)), "{text}");
        }
        for text in ["", "m", "-1", "1x", "1 000m", "9999999999999999999g"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
