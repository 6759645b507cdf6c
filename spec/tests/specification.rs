//! The specification's own examples (sections 15 and 15.5), word for word but for the head and the services they leave out.

use spec::manifest::{Action, Checked, CommandLine, EnvValue, Expose, Protocol, PullPolicy, Scale, check_file};
use spec::problem::Code;
use spec::units::{Duration, Percent};

fn read(text: &str) -> spec::manifest::Manifest {
    let Checked { manifest, problems } = check_file(text);
    let other: Vec<_> = problems.iter().filter(|problem| problem.code != Code::Unbuilt).collect();
    assert!(other.is_empty(), "{other:?}");
    manifest.expect("it is valid")
}

#[test]
fn section_15_means_what_it_says() {
    let manifest = read(include_str!("specification/15.yaml"));
    let api = &manifest.services["api"];
    assert_eq!(api.image.pull_policy, PullPolicy::IfNotPresent);
    assert!(matches!(&api.env["DATABASE_URL"], EnvValue::FromNode(name) if *name == "DATABASE_URL"));
    let [wait, check] = &api.init.steps[..] else { panic!("there are two steps") };
    assert!(matches!(&wait.action, Action::WaitTcp(wait) if wait.host == "db.global" && wait.port.get() == 5432));
    assert_eq!(wait.timeout, Duration::seconds(600));
    assert!(
        matches!(&check.action, Action::Run(run) if matches!(&run.command, CommandLine::Shell(text) if *text == "test -n \"$PGADMIN_URL\""))
    );
    let endpoint = &api.endpoints[0];
    assert_eq!(
        (endpoint.protocol, endpoint.port.get(), endpoint.path(), endpoint.expose),
        (Protocol::Https, 3000, "/api", Expose::Public)
    );
    let Scale::Adaptive(scale) = api.scale() else { panic!("it is adaptive") };
    assert_eq!((scale.min, scale.max(), scale.cooldown), (2, 50, Duration::seconds(15)));
    assert_eq!((scale.targets.cpu, scale.targets.rps), (Some(Percent(70)), Some(800)));
}

#[test]
fn section_15_5_means_what_it_says() {
    let manifest = read(include_str!("specification/15.5.yaml"));
    let worker = &manifest.services["worker"];
    let text = serde_json::to_string(&worker.command).unwrap();
    assert_eq!(
        text,
        r#"{"entrypoint":["python"],"args":["/app/worker.py","--queue=high-priority","--concurrency=4"],"workdir":"/app"}"#
    );
    assert_eq!(worker.init.steps.iter().map(|step| step.timeout.to_string()).collect::<Vec<_>>(), ["1m", "2m", "5m"]);
    assert!(worker.network.overlays.service.enabled && worker.network.overlays.service.encrypted);
    let nginx = &manifest.services["nginx-custom"];
    assert_eq!((nginx.command.entrypoint.is_some(), nginx.command.args.as_ref().map(Vec::len)), (false, Some(4)));
    assert_eq!(nginx.scale().start(), 3);
}
