//! Finds what a path means.

use std::fmt;

use super::print::wrapped;
use super::{Field, Subject, language, service};
use crate::shape::{Place, PlaceKind, Shape, Struct, Union, Variant, fields_of, visit};
use crate::words::nearest;
use crate::yaml::quoted;

/// Why a path means nothing: how far it leads, and where it could lead from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The first step that there is not.
    pub step: String,
    /// What it was looked for in, as a path; empty for the top level.
    pub within: String,
    /// A path that was probably meant.
    pub near: Option<String>,
    /// The fields there are where it was looked for.
    pub fields: Vec<&'static str>,
}

impl std::error::Error for Unknown {}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (step, within) = (quoted(&self.step), quoted(&self.within));
        let near = self.near.iter().map(|near| format!("; did you mean {}?", quoted(near))).collect::<String>();
        let what = match (self.within.as_str(), self.fields.as_slice()) {
            ("", _) => format!("neither the manifest nor a service has a field {step}"),
            (_, []) => format!("{within} has no fields, so no {step}"),
            _ => format!("{within} has no field {step}"),
        };
        f.write_str(&wrapped(&(what + &near)))?;
        if self.fields.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", wrapped(&format!("fields: {}", self.fields.join(", "))))
    }
}

pub(super) fn find(path: &str) -> Result<Subject, Unknown> {
    let written: Vec<&str> = path.split('.').map(str::trim).filter(|text| !step(text).is_empty()).collect();
    let steps: Vec<&str> = written.iter().map(|text| step(text)).collect();
    if steps.is_empty() {
        return Ok(Subject::Everything);
    }
    let all = places();
    subject(&all, &steps).or_else(|| variant_by_name(&all, path)).ok_or_else(|| unknown(&all, &steps, &written))
}

/// Returns a step without its index.
fn step(step: &str) -> &str {
    step.split('[').next().unwrap_or_default()
}

fn places() -> Vec<Place> {
    let mut all = Vec::new();
    visit(language(), &mut |place| all.push(place.clone()));
    all
}

fn subject(all: &[Place], steps: &[&str]) -> Option<Subject> {
    let placeholder = steps.last().is_some_and(|last| is_placeholder(last));
    let first = named(all, steps).or_else(|| entry(all, steps).filter(|_| placeholder));
    first.or_else(|| unnamed(all, steps)).or_else(|| entry(all, steps)).or_else(|| variant(all, steps))
}

/// Returns the fields of a path with a name at each place where users have theirs.
fn named(all: &[Place], steps: &[&str]) -> Option<Subject> {
    those(all, |place| matches(place.path.split('.'), steps) || matches(short(&place.path).split('.'), steps))
}

/// Returns the fields of a path without names: `services.endpoints.port`.
fn unnamed(all: &[Place], steps: &[&str]) -> Option<Subject> {
    let bare: Vec<&str> = steps.iter().copied().filter(|step| !is_placeholder(step)).collect();
    those(all, |place| essence(&place.path) == bare || essence(short(&place.path)) == bare)
}

fn those(all: &[Place], fits: impl Fn(&Place) -> bool) -> Option<Subject> {
    let found: Vec<&Place> = all.iter().filter(|place| fits(place)).collect();
    (!found.is_empty()).then(|| Subject::Fields(merged(&found)))
}

fn fields(all: &[Place], steps: &[&str]) -> Option<Subject> {
    named(all, steps).or_else(|| unnamed(all, steps))
}

/// Puts together what several variants have alike.
fn merged(places: &[&Place]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for place in places {
        let meaning = |place: &Place| (place.doc.paragraphs.clone(), place.default(), place.type_name());
        let same = |field: &&mut Field| meaning(&field.place) == meaning(place);
        match fields.iter_mut().find(same) {
            Some(field) => field.with.extend(place.with),
            None => fields.push(Field { place: (*place).clone(), with: place.with.into_iter().collect() }),
        }
    }
    fields
}

/// Returns what a path means that ends with a name of the user's, or with a value: `services.web`, `rtype.cron`.
fn entry(all: &[Place], steps: &[&str]) -> Option<Subject> {
    let (last, rest) = steps.split_last()?;
    let Some(Subject::Fields(found)) = fields(all, rest) else { return None };
    let place = &found.first()?.place;
    match place.shape()? {
        Shape::Map(of) => match of.value.inner() {
            Some(inner) => Some(Subject::Entry { path: format!("{}.<name>", place.path), of: inner }),
            None => Some(Subject::Fields(found)),
        },
        Shape::Choice(of) if of.words.iter().any(|word| word.name == *last) => Some(Subject::Fields(found)),
        _ => None,
    }
}

/// Returns the variant that a path ends with: `scale.fixed`.
fn variant(all: &[Place], steps: &[&str]) -> Option<Subject> {
    let (last, rest) = steps.split_last()?;
    let Some(Subject::Fields(found)) = fields(all, rest) else { return None };
    let place = &found.first()?.place;
    let union = match place.kind {
        PlaceKind::Tag(union) | PlaceKind::Content(union) => union,
        PlaceKind::Field(field) => field.shape.inner()?.union?,
    };
    let tag = all.iter().find(|place| is_tag_of(place, union))?;
    union.variant(last).map(|variant| Subject::Variant { place: tag.clone(), variant })
}

fn is_tag_of(place: &Place, union: &Union) -> bool {
    matches!(place.kind, PlaceKind::Tag(of) if std::ptr::eq(of, union))
}

/// Returns the variant of a name that nothing else has, because there is a dot in it: `init.run`.
fn variant_by_name(all: &[Place], name: &str) -> Option<Subject> {
    let variant = |place: &Place| -> Option<&'static Variant> {
        let PlaceKind::Tag(union) = place.kind else { return None };
        union.variant(name).filter(|_| name.contains('.'))
    };
    all.iter().find_map(|place| Some(Subject::Variant { place: place.clone(), variant: variant(place)? }))
}

/// `steps` has the steps of the path, and a name or a placeholder at each of its placeholders.
fn matches<'a>(mut path: impl Iterator<Item = &'a str>, steps: &[&str]) -> bool {
    steps.iter().all(|given| path.next().is_some_and(|own| is_placeholder(own) || step(own) == *given)) && path.next().is_none()
}

fn is_placeholder(step: &str) -> bool {
    step == "*" || (step.starts_with('<') && step.ends_with('>'))
}

fn essence(path: &str) -> Vec<&str> {
    path.split('.').map(step).filter(|step| !is_placeholder(step)).collect()
}

/// Returns a path as it is within a service.
fn short(path: &str) -> &str {
    path.strip_prefix("services.<name>.").unwrap_or(path)
}

/// Says where a path stops to lead anywhere.
fn unknown(all: &[Place], steps: &[&str], written: &[&str]) -> Unknown {
    let known = (1..steps.len()).rev().find_map(|length| Some((length, subject(all, &steps[..length])?)));
    let (length, fields) = known.map_or_else(|| (0, top_level()), |(length, subject)| (length, names(&subject)));
    let within = written[..length].join(".");
    let join = |name: &str| if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
    let near = nearest(steps[length], fields.iter().copied()).map(join).or_else(|| elsewhere(all, steps));
    Unknown { step: written[length].to_owned(), within, near, fields }
}

/// Returns a path that ends with what was asked for: `endpoints.protocol` for `protocol`.
fn elsewhere(all: &[Place], steps: &[&str]) -> Option<String> {
    let ends = |place: &&Place| essence(&place.path).ends_with(steps);
    all.iter().find(ends).map(|place| essence(short(&place.path)).join("."))
}

fn top_level() -> Vec<&'static str> {
    let fields = fields_of(language()).into_iter().chain(fields_of(service()));
    fields.map(|place| place.name).collect()
}

/// Returns the fields that are known below a subject.
fn names(subject: &Subject) -> Vec<&'static str> {
    let of = |of: &'static Struct| fields_of(of).into_iter().map(|place| place.name).collect::<Vec<_>>();
    let mut names = match subject {
        Subject::Everything => top_level(),
        Subject::Entry { of: inner, .. } => of(inner),
        Subject::Variant { variant, .. } => of(variant.fields),
        Subject::Fields(fields) => fields.iter().flat_map(|field| field.place.below()).map(|place| place.name).collect(),
    };
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names
}
