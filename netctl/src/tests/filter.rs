//! The packet filter as a whole: declared, changed, damaged, repaired.

use std::net::Ipv4Addr;

use super::world::{DEADLINE, NODE, World, block, filter, is_dropped_by, link, on_a_host, udp};
use crate::filter::tests as nft;
use crate::{Event, Filter, Netctl};

const POOL: &str = "10.200.0.0/14";

fn table() -> String {
    format!("stead-{NODE}")
}

fn of_links(count: u32) -> Filter {
    let address = |number: u32| Ipv4Addr::from_bits(Ipv4Addr::new(10, 200, 0, 0).to_bits() + number);
    let link = |number| (format!("st{NODE}{number:04x}"), [address(number)].into());
    Filter { pool: block(POOL), overlays: [block("10.200.0.0/16")].into(), links: (0..count).map(link).collect() }
}

async fn with_filter(world: &World) -> Netctl {
    let netctl = world.open().await;
    netctl.set_filter(of_links(3)).await.unwrap();
    assert!(netctl.filter_is_intact().await.unwrap());
    netctl
}

/// Damages the table by hand, and expects that it is noticed, announced and put right.
fn is_repaired(damage: impl FnOnce() + Send + 'static) {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        let whole = nft::describe_table(&table());
        let mut events = netctl.events();
        damage();
        assert_eq!(events.next().await, Some(Event::Filter));
        assert!(!netctl.filter_is_intact().await.unwrap());
        netctl.repair_filter().await.unwrap();
        assert!(netctl.filter_is_intact().await.unwrap());
        assert_eq!(nft::describe_table(&table()), whole);
    });
}

#[test]
fn a_deleted_table_is_made_again() {
    is_repaired(|| nft::delete_table(&table()));
}

#[test]
fn deleted_rules_are_put_back() {
    is_repaired(|| nft::delete_rules(&table(), "from_link"));
}

#[test]
fn deleted_elements_are_put_back() {
    is_repaired(|| nft::delete_elements(&table(), "ports"));
    is_repaired(|| nft::delete_elements(&table(), "overlay"));
}

#[test]
fn an_alien_rule_is_taken_away() {
    is_repaired(|| nft::add_rule(&table(), "input"));
}

#[test]
fn the_same_filter_again_repairs_a_deleted_table() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        nft::delete_table(&table());
        netctl.set_filter(of_links(3)).await.unwrap();
        assert!(nft::tables().contains(&table()));
    });
}

#[test]
fn a_filter_that_was_never_declared_lacks_nothing() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        assert!(netctl.filter_is_intact().await.unwrap());
        netctl.repair_filter().await.unwrap();
        assert!(nft::tables().is_empty());
    });
}

#[test]
fn a_restarted_node_takes_over_the_table_it_finds() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        drop(netctl);
        let netctl = world.open().await;
        netctl.set_filter(of_links(3)).await.unwrap();
        assert_eq!(netctl.filter_messages(), 0, "nothing differs");
        netctl.set_filter(of_links(4)).await.unwrap();
        assert!(netctl.filter_messages() <= 6);
        assert!(netctl.filter_is_intact().await.unwrap());
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    on_a_host(|world| async move {
        let foreign = of_links(5);
        nft::make_foreign_table("firewall", &foreign);
        let before = nft::describe_table("firewall");
        let netctl = with_filter(&world).await;
        netctl.set_filter(of_links(0)).await.unwrap();
        nft::delete_table(&table());
        netctl.repair_filter().await.unwrap();
        netctl.remove_all().await.unwrap();
        assert_eq!(nft::describe_table("firewall"), before);
        assert_eq!(nft::tables(), ["firewall"]);
    });
}

#[test]
fn changes_of_others_in_between_are_taken_into_account() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        for count in 4..12 {
            nft::make_foreign_table("firewall", &of_links(1));
            nft::delete_table("firewall");
            netctl.set_filter(of_links(count)).await.unwrap();
            assert!(netctl.filter_is_intact().await.unwrap());
        }
    });
}

#[test]
fn a_change_keeps_the_counters() {
    on_a_host(|world| async move {
        let (a, b) = (link(1, &["10.200.1.5@10.200.1.0/24"]), link(2, &["10.200.2.6@10.200.2.0/24"]));
        let netctl = world.open().await;
        netctl.ensure_link(&a).await.unwrap();
        netctl.ensure_link(&b).await.unwrap();
        netctl.set_filter(filter(POOL, &[&a, &b])).await.unwrap();
        let from = udp(&world.pin(&a), a.addresses[0].address, 0);
        is_dropped_by(&netctl, "other-overlay", &from, b.addresses[0].address, 80).await;
        let before = netctl.filter_counters().await.unwrap();
        assert!(before["other-overlay"].packets > 0 && before["other-overlay"].bytes > 0);

        let c = link(3, &["10.200.3.7@10.200.3.0/24"]);
        netctl.set_filter(filter(POOL, &[&a, &b, &c])).await.unwrap();
        assert_eq!(netctl.filter_counters().await.unwrap(), before);
    });
}

#[test]
fn overlays_grow_and_shrink_in_place() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        for overlays in [&["10.200.0.0/24", "10.200.1.0/24"][..], &["10.200.0.0/23"], &["10.200.1.0/24"], &[]] {
            let overlays = overlays.iter().map(|text| block(text)).collect();
            netctl.set_filter(Filter { overlays, ..of_links(3) }).await.unwrap();
            assert!(netctl.filter_is_intact().await.unwrap());
        }
    });
}

#[test]
fn another_pool_changes_the_rules_in_place() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        netctl.set_filter(Filter { pool: block("10.64.0.0/12"), ..of_links(3) }).await.unwrap();
        assert!(netctl.filter_is_intact().await.unwrap());
        let fresh = world.open().await;
        fresh.set_filter(Filter { pool: block("10.64.0.0/12"), ..of_links(3) }).await.unwrap();
        assert_eq!(fresh.filter_messages(), 0);
    });
}

#[test]
fn a_thousand_links_are_set_with_few_messages() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let started = std::time::Instant::now();
        netctl.set_filter(of_links(1000)).await.unwrap();
        println!("1,000 links: {} messages in {:?}", netctl.filter_messages(), started.elapsed());
        let all = netctl.filter_messages();
        assert!(all < 64, "{all} messages");
        let started = std::time::Instant::now();
        netctl.set_filter(of_links(1001)).await.unwrap();
        println!("one more: {} messages in {:?}", netctl.filter_messages() - all, started.elapsed());
        assert!(netctl.filter_messages() - all <= 4);
        assert!(netctl.filter_is_intact().await.unwrap());
        let fresh = world.open().await;
        fresh.set_filter(of_links(1001)).await.unwrap();
        assert_eq!(fresh.filter_messages(), 0, "read back whole");
    });
}

#[test]
fn links_of_others_are_refused() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let links = [("eth0".to_owned(), Default::default())].into();
        let error = netctl.set_filter(Filter { links, ..of_links(0) }).await.unwrap_err();
        assert!(matches!(error, crate::Error::LinkName { .. }), "{error}");
        assert!(nft::tables().is_empty());
    });
}

#[test]
fn many_changes_make_few_events() {
    on_a_host(|world| async move {
        let netctl = with_filter(&world).await;
        let mut events = netctl.events();
        for count in 0..50 {
            netctl.set_filter(of_links(count)).await.unwrap();
        }
        assert_eq!(events.next().await, Some(Event::Filter));
        let rest = async { while events.next().await.is_some() {} };
        drop(netctl);
        tokio::time::timeout(DEADLINE, rest).await.expect("the stream ends with the last handle");
    });
}
