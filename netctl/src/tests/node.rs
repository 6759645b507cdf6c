//! The node as a whole: free blocks, and leaving nothing behind.

use std::fs;
use std::net::Ipv4Addr;

use rustix::mount::{MountPropagationFlags, mount_change};

use super::world::{World, apply, block, filter, index_of, link, on_a_host};
use crate::filter::tests as nft;
use crate::rtnl::{self, Route};
use crate::{Config, Error, Netctl};

#[test]
fn a_free_block_overlaps_nothing_of_the_host() {
    on_a_host(|world| async move {
        world.connect_outside();
        let netctl = world.open().await;
        let candidates = ["192.0.0.0/16", "10.64.0.0/12", "10.200.0.0/14", "10.204.0.0/14"].map(block);
        let free = async || netctl.free_block(&candidates).await.unwrap();
        assert_eq!(free().await, Some(candidates[1]), "the first holds an address of the host");

        let route = |to: &str| Route { destination: block(to), gateway: Some(Ipv4Addr::new(192, 0, 2, 2)), source: None };
        let add = |to: &str| apply(&mut rtnl::open().unwrap(), &[rtnl::add_route(index_of("out0"), &route(to))]);
        add("10.70.1.0/24");
        assert_eq!(free().await, Some(candidates[2]), "a route inside the block");
        for everywhere in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"] {
            add(everywhere);
            assert_eq!(free().await, Some(candidates[2]), "{everywhere} does not count");
        }
        netctl.ensure_link(&link(1, &["10.200.1.5@10.200.1.0/24"])).await.unwrap();
        assert_eq!(free().await, Some(candidates[2]), "the node's own links do not count");
        let other = world.open_node("ffff", "other").await;
        assert_eq!(other.free_block(&candidates).await.unwrap(), Some(candidates[3]), "another node's links do");
        add("10.0.0.0/8");
        assert_eq!(free().await, None);
    });
}

#[test]
fn nothing_stays_behind() {
    on_a_host(|world| async move {
        let before = host(&world);
        let netctl = world.open().await;
        let links = [link(1, &["10.200.1.5@10.200.1.0/24"]), link(2, &["10.200.1.6@10.200.1.0/24"])];
        for link in &links {
            netctl.ensure_link(link).await.unwrap();
        }
        netctl.set_filter(filter("10.200.0.0/14", &[&links[0], &links[1]])).await.unwrap();
        assert_ne!(host(&world), before);
        netctl.remove_all().await.unwrap();
        assert_eq!(host(&world), before);
        assert_eq!(fs::read_dir(world.netns_dir()).unwrap().count(), 0);
        netctl.remove_all().await.expect("removing nothing is no error");
    });
}

#[test]
fn a_pin_is_mounted_once_and_its_directory_is_shared() {
    on_a_host(|world| async move {
        // As systemd mounts it; what is mounted below such a mount appears in all of its peers.
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::SHARED).unwrap();
        let netctl = world.open().await;
        drop(world.open().await);
        let link = link(1, &["10.200.1.5@10.200.1.0/24"]);
        netctl.ensure_link(&link).await.unwrap();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let of = |path: &str| mounts.lines().filter(|line| line.split(' ').nth(4) == Some(path)).collect::<Vec<_>>();
        let directory = of(world.netns_dir().to_str().unwrap());
        assert_eq!(directory.len(), 1, "{mounts}");
        assert!(directory[0].contains(" shared:"), "{}", directory[0]);
        assert_eq!(of(world.pin(&link).to_str().unwrap()).len(), 1, "{mounts}");
    });
}

/// Describes what a node could leave behind: interfaces, tables, routes, and mounts below the world's directory.
///
/// Elsewhere mounts vanish by themselves: the kernel takes a mount away in all namespaces when one removes its mount point.
fn host(world: &World) -> String {
    let mut socket = rtnl::open().unwrap();
    let interfaces = rtnl::interfaces(&mut socket).unwrap();
    let routes = rtnl::all_routes(&mut socket).unwrap();
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let directory = world.directory.path().to_str().unwrap();
    let mounts: Vec<_> = mounts.lines().filter(|line| line.contains(directory)).collect();
    format!("{interfaces:#?}\n{:#?}\n{routes:#?}\n{mounts:#?}", nft::tables())
}

#[test]
fn a_node_id_that_is_none_is_refused() {
    on_a_host(|world| async move {
        let config = Config { netns_dir: world.netns_dir(), node_id: "node-1".into() };
        let error = Netctl::open(config).await.err().expect("refused");
        assert!(matches!(&error, Error::NodeId(id) if id == "node-1"), "{error}");
        assert!(!world.netns_dir().exists());
    });
}
