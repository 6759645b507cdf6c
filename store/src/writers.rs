//! Who may write which half of which kind.

use std::collections::BTreeMap;

use spec::plan::Writer;
use spec::{Half, Kind, Write};

/// The one controller that may take objects away.
const COLLECT: Writer = Writer::Controller("collect");

/// The one writer of each half of each kind.
#[derive(Clone, Debug)]
pub struct Writers(BTreeMap<(Kind, Half), Writer>);

/// Two writers were declared for one half.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the {half} of a {kind} has two writers: {} and {}", describe(*first), describe(*second), half = half_name(*half))]
pub struct TwoWriters {
    pub kind: Kind,
    pub half: Half,
    pub first: Writer,
    pub second: Writer,
}

impl Writers {
    pub fn new(declared: impl IntoIterator<Item = (Kind, Half, Writer)>) -> Result<Writers, TwoWriters> {
        let mut writers = BTreeMap::new();
        for (kind, half, writer) in declared {
            match writers.insert((kind, half), writer) {
                Some(first) if first != writer => return Err(TwoWriters { kind, half, first, second: writer }),
                _ => (),
            }
        }
        Ok(Writers(writers))
    }

    /// Returns whether `writer` may do `write`.
    pub(crate) fn allow(&self, writer: Writer, write: &Write) -> bool {
        let kind = write.key().kind;
        let is_writer = |half| self.0.get(&(kind, half)) == Some(&writer);
        let drives_events = writer == Writer::Driver && kind == Kind::Event;
        match write {
            Write::Spec { .. } => is_writer(Half::Spec),
            Write::Status { .. } => is_writer(Half::Status),
            Write::Delete { .. } => is_writer(Half::Spec) || writer == COLLECT || drives_events,
            Write::Remove { .. } => writer == COLLECT || drives_events,
        }
    }
}

pub(crate) fn describe(writer: Writer) -> String {
    match writer {
        Writer::User => "users".to_owned(),
        Writer::Controller(name) => format!("controller `{name}`"),
        Writer::Driver => "the driver".to_owned(),
        Writer::Edge => "the edge".to_owned(),
    }
}

fn half_name(half: Half) -> &'static str {
    match half {
        Half::Spec => "spec",
        Half::Status => "status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writers_of_one_half_are_refused_by_name() {
        let declared = [
            (Kind::Service, Half::Spec, Writer::Controller("service")),
            (Kind::Service, Half::Status, Writer::Controller("replica")),
            (Kind::Service, Half::Spec, Writer::User),
        ];
        let error = Writers::new(declared).unwrap_err();
        assert_eq!(error.to_string(), "the spec of a service has two writers: controller `service` and users");
        assert!(Writers::new(declared.into_iter().take(2)).is_ok());
    }
}
