//! The command, and its working directory.

use super::Import;
use super::at::At;
use super::words::split;
use crate::manifest::{AbsolutePath, Command, Text};
use crate::yaml::quoted;

pub(super) fn read<'a>(import: &mut Import<'a>, here: &At<'a>) -> Command {
    let workdir = workdir(import, here);
    let args = here.get("command").and_then(|at| words(import, &at));
    let Some(at) = here.get("entrypoint") else { return Command { entrypoint: None, args, workdir } };
    let (entrypoint, args) = match (words(import, &at), args) {
        (None, args) => (None, args),
        // An entrypoint takes the image's command with it, which a manifest says by itself.
        (Some(entrypoint), args) if !entrypoint.is_empty() => (Some(entrypoint), Some(args.unwrap_or_default())),
        // Without one, the command's first word is what runs.
        (Some(_), Some(mut args)) if !args.is_empty() => (Some(vec![args.remove(0)]), Some(args)),
        (Some(_), args) => {
            import.notes.leave_out_with(&at, "an empty one leaves nothing to run", "write what is to run");
            (None, args)
        }
    };
    if entrypoint.as_ref().is_some_and(|entrypoint| entrypoint[0].is_empty()) {
        import.notes.leave_out(&at, "its program has no name; the image's own runs");
        return Command { entrypoint: None, args, workdir };
    }
    Command { entrypoint, args, workdir }
}

fn workdir<'a>(import: &mut Import<'a>, here: &At<'a>) -> Option<AbsolutePath> {
    let at = here.get("working_dir")?;
    import.parsed(&at, "an absolute path", |text| text.parse().ok())
}

/// Returns the words of a list, or of a text that is split into them; `None` when there is nothing, or it cannot be read.
pub(super) fn words<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Vec<Text>> {
    if at.is_list() {
        let items: Vec<_> = at.items().collect();
        return Some(items.iter().filter_map(|at| word(import, at)).collect());
    }
    let text = import.text_with_variables(at)?;
    let Some(split) = split(&text) else {
        import.notes.leave_out(at, "a quote is not closed");
        return None;
    };
    if let Some(operator) = split.operator {
        let message = format!(
            "without a shell there is no {}: it and all that follows is left out, as Compose does",
            quoted(&operator.to_string())
        );
        import.notes.add_with(at, message, "write `entrypoint: [\"/bin/sh\", \"-c\"]` and the command as one text in `args`");
    }
    let words: Option<Vec<Text>> = split.words.iter().map(|word| word.parse().ok()).collect();
    if words.is_none() {
        import.notes.leave_out(at, "no argument can have a NUL character");
    }
    words
}

fn word<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Text> {
    if at.node.is_null() {
        import.notes.leave_out(at, "it is nothing");
        return None;
    }
    let word = import.text_with_variables(at)?.parse().ok();
    if word.is_none() {
        import.notes.leave_out(at, "no argument can have a NUL character");
    }
    word
}
