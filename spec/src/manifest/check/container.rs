//! What containers are made from: what they run, and what they may use.

use super::{Findings, One};
use crate::problem::{Code, Problem};
use crate::units::Bytes;

/// Less memory than this cannot hold a process with its page tables.
const MEMORY_MIN: Bytes = Bytes(4 << 20);

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    memory(one, findings);
    entrypoint(one, findings);
}

fn memory(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let resources = here.key("resources");
    if let Some(memory) = service.resources.memory.filter(|memory| *memory < MEMORY_MIN) {
        let problem = Problem::at("", format!("{memory} of memory cannot hold a process")).code(Code::BadValue);
        findings.add(resources.key("memory"), problem.fix(format!("give at least {MEMORY_MIN}")));
    }
}

fn entrypoint(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let command = here.key("command");
    let entrypoint = command.key("entrypoint");
    let keep = "leave `entrypoint` out to keep the image's";
    match service.command.entrypoint.as_deref() {
        Some([]) if findings.is_whole(entrypoint) => {
            let problem = Problem::at("", "an entrypoint has at least a program, and this one is empty").code(Code::BadValue);
            findings.add_at_key(entrypoint, problem.fix(keep));
        }
        Some([program, ..]) if program.is_empty() => {
            let problem = Problem::at("", "the program of an entrypoint has an empty name").code(Code::BadValue);
            findings.add(entrypoint.index(0), problem.fix(keep));
        }
        _ => {}
    }
}
