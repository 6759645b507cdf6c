//! The users' reference, `docs/manifest.md`: made from the model, with a few parts written by hand.

mod table;

use std::collections::BTreeMap;

use crate::manifest::Manifest;
use crate::shape::{Doc, Model, Place, PlaceKind, Shape, visit};

const LANGUAGE: &Shape = &Manifest::SHAPE;

/// Returns the whole page.
pub fn markdown() -> String {
    let root = LANGUAGE.inner().expect("a manifest is a mapping");
    let mut all = Vec::new();
    visit(root, &mut |place| all.push(place.clone()));
    let mut page = include_str!("reference/intro.md").to_owned();
    section(&mut page, "## The file", &Doc::of(root.doc), root.section, &below(&all, ""));
    for place in &all {
        let fields = below(&all, &place.inner_path());
        match (place.kind, place.shape().and_then(Shape::inner)) {
            (_, Some(inner)) => {
                let heading =
                    if inner.name == SERVICE { "## A service".to_owned() } else { format!("### {}", title(&place.path)) };
                let doc = Doc { unbuilt: place.is_unbuilt(), ..Doc::of(inner.doc) };
                section(&mut page, &heading, &doc, inner.section, &fields);
            }
            (PlaceKind::Content(_), _) => section(&mut page, &format!("### {}", title(&place.path)), &place.doc, INPUTS, &fields),
            _ => {}
        }
    }
    forms(&mut page, &all);
    page.push('\n');
    page.push_str(include_str!("reference/behaviour.md"));
    page
}

/// The struct that has a chapter.
const SERVICE: &str = "Service";
/// The section that has the inputs of init actions.
const INPUTS: &str = "14";

/// Returns the fields right below a path.
fn below<'a>(all: &'a [Place], path: &str) -> Vec<&'a Place> {
    let parent = |place: &Place| place.path.strip_suffix(place.name).map(|rest| rest.trim_end_matches('.').to_owned());
    all.iter().filter(|place| parent(place).as_deref() == Some(path)).collect()
}

fn section(page: &mut String, heading: &str, doc: &Doc, section: &str, fields: &[&Place]) {
    let source = match section {
        "" => "An addition to the specification.".to_owned(),
        section => format!("Section {section}."),
    };
    let unbuilt = if doc.unbuilt { " *Not run yet.*" } else { "" };
    page.push_str(&format!("\n{heading}\n\n{} {source}{unbuilt}\n", doc.paragraphs.join("\n\n")));
    let mut with: Vec<_> = fields.iter().map(|place| place.with).collect();
    with.dedup();
    for with in with {
        let fields: Vec<_> = fields.iter().copied().filter(|place| place.with == with).collect();
        let lead = with.map_or(String::new(), |(tag, name)| format!("\nWith `{tag}: {name}`:\n"));
        page.push_str(&lead);
        table::put(page, &fields);
    }
}

/// Returns the heading of the section on a field: `network.overlays` in code.
fn title(path: &str) -> String {
    format!("`{}`", path.strip_prefix("services.<name>.").unwrap_or(path).replace("[]", ""))
}

/// Returns where a forge's page leads to for a heading: letters, digits and dashes.
fn anchor(title: &str) -> String {
    let lower = title.to_lowercase().replace(' ', "-");
    lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Lists what is written in a certain form, with that form.
fn forms(page: &mut String, all: &[Place]) {
    let mut forms = BTreeMap::new();
    all.iter().filter_map(Place::shape).for_each(|shape| collect(shape, &mut forms));
    page.push_str("\n## Forms of values\n\n| type | what it is |\n|---|---|\n");
    for (name, expected) in forms {
        page.push_str(&format!("| {} | {} |\n", table::cell(name), table::cell(expected)));
    }
}

fn collect(shape: &'static Shape, forms: &mut BTreeMap<&'static str, &'static str>) {
    match shape {
        Shape::Scalar(of) => drop(forms.insert(of.name, of.expected)),
        Shape::Integer(of) => drop(forms.insert(of.name, of.expected)),
        Shape::Number(of) => drop(forms.insert(of.name, of.expected)),
        Shape::List(of) => collect(of, forms),
        Shape::Map(of) => {
            forms.insert(of.key.name, of.key.expected);
            collect(of.value, forms);
        }
        Shape::TextOrList(text, list) => {
            collect(text, forms);
            collect(list, forms);
        }
        Shape::Boolean | Shape::Choice(_) | Shape::Struct(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_on_the_page_leads_to_a_heading_of_it() {
        let page = markdown();
        let headings: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect();
        let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        let unique: std::collections::BTreeSet<&String> = headings.iter().collect();
        assert_eq!(unique.len(), headings.len(), "{headings:?}");
        assert!(links.len() > 10, "{links:?}");
        for link in links {
            assert!(headings.iter().any(|heading| heading == link), "{link} is none of {headings:?}");
        }
    }

    #[test]
    fn the_manifest_on_the_page_is_one() {
        let page = markdown();
        let text = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        assert_eq!(crate::manifest::parse(text).err(), None);
    }
}
