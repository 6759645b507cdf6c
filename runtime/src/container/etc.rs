//! The files in `/etc` that tell a container its name, its address and where to ask for those of others.

use spec::kind::container::Spec;
use spec::net::GATEWAY;

/// Returns name and content of each.
pub(crate) fn files(spec: &Spec) -> [(&'static str, String); 3] {
    [("hostname", format!("{}\n", spec.host_name)), ("hosts", hosts(spec)), ("resolv.conf", resolv_conf())]
}

fn hosts(spec: &Spec) -> String {
    let mut hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for address in &spec.link.addresses {
        hosts.push_str(&format!("{}\t{}\n", address.address, spec.host_name));
    }
    hosts
}

/// Names are looked up as they are: `ndots:0` and no search list, so that one name is one question.
fn resolv_conf() -> String {
    format!("nameserver {GATEWAY}\noptions ndots:0 timeout:2 attempts:3\n")
}
