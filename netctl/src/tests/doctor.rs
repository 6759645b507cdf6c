//! What the doctor says of a host, and that it changes nothing of it.

use super::world::on_a_host;
use crate::doctor::{Finding, Level, check};
use crate::filter::tests as nft;
use crate::rtnl;

const HOOK_INPUT: u32 = 1;
const HOOK_FORWARD: u32 = 2;

async fn firewalls() -> Vec<Finding> {
    check().await.into_iter().filter(|finding| finding.name == "other-firewalls").collect()
}

#[test]
fn a_host_that_runs_the_other_tests_is_in_good_health() {
    on_a_host(|_| async {
        let findings = check().await;
        let names: Vec<_> = findings.iter().map(|finding| finding.name.as_str()).collect();
        let all = ["netlink", "network-namespaces", "forwarding", "veth", "packet-filter", "other-firewalls", "tun", "wireguard"];
        assert_eq!(names, all);
        // A warning is right where the kernel lacks WireGuard; the rest was used by the other tests.
        for finding in findings.iter().filter(|finding| !["tun", "wireguard"].contains(&finding.name.as_str())) {
            assert_eq!(finding.level, Level::Good, "{finding:?}");
        }
        for finding in &findings {
            assert_eq!(finding.fix.is_empty(), finding.level == Level::Good, "{finding:?}");
        }
    });
}

#[test]
fn looking_changes_nothing() {
    on_a_host(|_| async {
        let interfaces = || rtnl::interfaces(&mut rtnl::open().unwrap()).unwrap();
        let before = interfaces();
        check().await;
        assert_eq!(interfaces(), before);
        assert!(nft::tables().is_empty());
    });
}

#[test]
fn a_firewall_that_drops_is_named_until_it_lets_links_pass() {
    on_a_host(|_| async {
        for (table, hook) in [("one", HOOK_FORWARD), ("two", HOOK_INPUT)] {
            nft::make_firewall(table, hook);
            let [finding] = firewalls().await.try_into().unwrap();
            assert_eq!(finding.level, Level::Problem);
            assert!(finding.detail.contains(&format!("chain guard of the table inet {table}")), "{finding:?}");
            assert!(finding.fix.contains(&format!("nft insert rule inet {table} guard iifname 'st*'")), "{finding:?}");
            nft::admit_links(table);
            let [finding] = firewalls().await.try_into().unwrap();
            assert_eq!(finding.level, Level::Good, "{finding:?}");
        }
    });
}

#[test]
fn our_own_table_is_no_other_firewall() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        netctl.set_filter(super::world::filter("10.200.0.0/14", &[])).await.unwrap();
        assert_eq!(firewalls().await[0].level, Level::Good);
    });
}
