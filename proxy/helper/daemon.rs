//! A daemon that serves one route and then waits to be killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use proxy::{Config, DataPlane};
use spec::kind::endpoint;

/// `args`: control directory, port of the proxy, address of the backend, address of the DNS server (the proxy has the same).
pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let text = |index: usize| args[index].to_str().expect("arguments are text");
    let mut config = Config::new(text(0).into(), std::env::current_exe().expect("own path"), vec!["data-plane".into()]);
    config.dns = text(3).parse().expect("an address");
    config.bind = Some((*config.dns.ip()).into());
    let route = endpoint::Spec {
        protocol: endpoint::Protocol::Http,
        port: text(1).parse().expect("a port"),
        path: "/".into(),
        backends: vec![text(2).parse().expect("an address")],
    };
    let routes = BTreeMap::from([("test/web/http".parse().expect("a name"), Arc::new(route))]);
    let tables = spec::plan::Tables { routes, ..Default::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let plane = DataPlane::open(config).await.expect("a data plane");
        plane.set(&tables).await.expect("tables are served");
        println!("serving {}", plane.status().borrow().pid.expect("a process"));
        std::io::stdout().flush().expect("a reader");
        std::future::pending::<ExitCode>().await
    })
}
