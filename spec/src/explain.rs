//! Explains a field as its user meets it: what it is for, what it takes, what its absence means.

mod find;
mod print;

use std::fmt;

use crate::manifest::Manifest;
use crate::shape::{Model, Place, Shape, Struct, Variant};

pub use find::Unknown;

/// Everything there is to say of a path.
pub struct Explanation {
    subject: Subject,
}

enum Subject {
    /// The language as a whole.
    Everything,
    /// One service, or what else the user's own name stands for.
    Entry { path: String, of: &'static Struct },
    /// Usually one; several when variants of a union share a name and not a meaning.
    Fields(Vec<Field>),
    /// One variant of a union.
    Variant { place: Place, variant: &'static Variant },
}

/// A field, and the variants of a union that have it.
struct Field {
    place: Place,
    with: Vec<(&'static str, &'static str)>,
}

/// Explains the field at `path`; with an empty one, the language as a whole.
///
/// A path may begin at the manifest or at a service, and may have the user's own names and indices: `endpoints.protocol`,
/// `services.<name>.endpoints[].protocol` and `services.web.endpoints[0].protocol` are the same field.
pub fn explain(path: &str) -> Result<Explanation, Unknown> {
    find::find(path).map(|subject| Explanation { subject })
}

impl fmt::Display for Explanation {
    /// Writes lines of at most 100 characters, the last one without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(print::text(&self.subject).trim_end())
    }
}

fn language() -> &'static Struct {
    const LANGUAGE: Shape = Manifest::SHAPE;
    LANGUAGE.inner().expect("a manifest is a mapping")
}

/// Returns the language's struct for one service.
fn service() -> &'static Struct {
    let services = language().field("services").expect("a manifest has services");
    services.shape.inner().expect("a service is a mapping")
}
