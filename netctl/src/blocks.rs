//! Which range of addresses the host does not use yet.

use std::collections::BTreeSet;

use spec::net::Block;

use crate::node::Node;
use crate::{Error, rtnl};

/// Longest prefix of a route that stands for everywhere: a VPN that takes all traffic sets two halves, 0.0.0.0/1 and
/// 128.0.0.0/1, in place of one default route.
const EVERYWHERE_PREFIX: u8 = 1;

pub(crate) fn free(node: &Node, candidates: &[Block]) -> Result<Option<Block>, Error> {
    let used = used(node)?;
    Ok(candidates.iter().find(|candidate| !used.iter().any(|block| block.overlaps(candidate))).copied())
}

/// Returns what the host's routes and addresses cover, this node's own links left out.
fn used(node: &Node) -> Result<BTreeSet<Block>, Error> {
    let failed = || Error::netlink("list the host's routes");
    let mut socket = rtnl::open().map_err(failed())?;
    let interfaces = rtnl::interfaces(&mut socket).map_err(failed())?;
    let own: BTreeSet<u32> = interfaces.iter().filter(|it| node.owns(it)).map(|it| it.index).collect();
    let routes = rtnl::all_routes(&mut socket).map_err(failed())?;
    let addresses = rtnl::all_addresses(&mut socket).map_err(failed())?;
    let routed = routes.into_iter().filter(|(index, _)| !index.is_some_and(|index| own.contains(&index)));
    let routed = routed.map(|(_, route)| route.destination).filter(|block| block.prefix() > EVERYWHERE_PREFIX);
    let addressed = addresses.into_iter().filter(|(index, _)| !own.contains(index));
    let addressed = addressed.filter_map(|(_, it)| Block::holding(it.address, it.prefix));
    Ok(routed.chain(addressed).collect())
}
