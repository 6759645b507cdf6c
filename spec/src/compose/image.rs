//! The image, and what builds it.

use super::Import;
use super::at::At;
use crate::manifest::{Image, ImageRef, PullPolicy, ServiceName};
use crate::yaml::quoted;

/// Reads the image of a service. Every service has one in the end: what Compose would call the one it builds stands in.
pub(super) fn read<'a>(import: &mut Import<'a>, here: &At<'a>, service: &ServiceName) -> Image {
    let named = here.get("image").and_then(|at| name(import, &at));
    let missing = named.is_none();
    let name = named.unwrap_or_else(|| {
        let name = format!("{}-{service}", import.deployment);
        name.parse().expect("two labels with a dash between them are a reference")
    });
    match here.get("build") {
        Some(at) => {
            let fix = format!("build it and push it as `{name}`, or load it with `stead image load`");
            import.notes.leave_out_with(&at, "Stead runs images and builds none", fix);
        }
        None if missing => {
            import.notes.add_with(
                here,
                format!("the service has no image that can be used; `{name}` stands in for it"),
                "write the image's name",
            );
        }
        None => {}
    }
    let pull_policy = here.get("pull_policy").and_then(|at| pull_policy(import, &at)).unwrap_or(PullPolicy::IfNotPresent);
    Image { name, pull_policy }
}

fn name<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<ImageRef> {
    let filled = import.filled(at)?;
    if filled.unset.is_empty() {
        let name = filled.text.parse().ok();
        if name.is_none() {
            import.notes.leave_out(at, &format!("{} is no reference of an image", quoted(&filled.text)));
        }
        return name;
    }
    let variable = &filled.unset[0];
    // The name alone would fetch `latest`; the variable's own name as the tag is one that nobody has.
    let tagged = filled.text.rsplit_once(':').filter(|(name, _)| !name.contains('$'));
    let name = tagged.and_then(|(name, tag)| format!("{name}:{}", tag.replace(['$', '{', '}'], "")).parse().ok());
    let message = match &name {
        Some(name) => format!("the variable `{variable}` has no value here: `{name}` is not the image's name yet"),
        None => format!("`image` is left out: the variable `{variable}` has no value here"),
    };
    import.notes.add_with(at, message, "write the image's name");
    name
}

fn pull_policy<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<PullPolicy> {
    let text = import.text(at)?;
    match text.as_str() {
        "always" => return Some(PullPolicy::Always),
        "never" => return Some(PullPolicy::Never),
        "missing" | "if_not_present" => return Some(PullPolicy::IfNotPresent),
        "build" => import.notes.leave_out(at, "Stead builds no images"),
        _ => import.notes.leave_out(at, &format!("{} is not one of `always`, `if_not_present` and `never`", quoted(&text))),
    }
    None
}
