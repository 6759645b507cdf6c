//! From two tables to one batch: only what differs, so that counters keep counting.

use super::encode::Batch;
use super::table::{Outline, Rule, Table};

/// Adds to `batch` what turns `observed` into `desired`; false when there is nothing to do.
pub(super) fn difference(batch: &mut Batch, desired: &Table, observed: Option<&Outline>) -> bool {
    let before = batch.messages();
    match observed {
        None => create(batch, desired),
        Some(observed) if !observed.has_the_frame_of(&desired.outline()) => {
            batch.delete_table();
            create(batch, desired);
        }
        Some(observed) => {
            change_rules(batch, desired, observed);
            change_elements(batch, desired, observed);
        }
    }
    batch.messages() != before
}

fn create(batch: &mut Batch, table: &Table) {
    batch.add_table();
    for (name, set) in &table.sets {
        batch.add_set(name, set);
    }
    for (name, chain) in &table.chains {
        batch.add_chain(name, chain);
    }
    for (name, set) in &table.sets {
        batch.add_elements(name, &set.elements);
    }
    for (name, chain) in &table.chains {
        chain.rules.iter().for_each(|rule| batch.add_rule(name, rule));
    }
}

fn change_rules(batch: &mut Batch, desired: &Table, observed: &Outline) {
    for (name, chain) in &desired.chains {
        let wanted = chain.rules.iter().map(Rule::comment);
        if observed.chains.get(name).is_some_and(|found| wanted.eq(found.comments.iter().cloned())) {
            continue;
        }
        batch.delete_rules(name);
        chain.rules.iter().for_each(|rule| batch.add_rule(name, rule));
    }
}

/// Deletes of all sets come first: an interval that grows must not meet what it replaces.
fn change_elements(batch: &mut Batch, desired: &Table, observed: &Outline) {
    for (name, set) in &desired.sets {
        if let Some(have) = observed.sets.get(name) {
            batch.delete_elements(name, have.elements.difference(&set.elements));
        }
    }
    for (name, set) in &desired.sets {
        if let Some(have) = observed.sets.get(name) {
            batch.add_elements(name, set.elements.difference(&have.elements));
        }
    }
}
