//! `init.wait_tcp`: waits until a port takes connections.

use std::net::SocketAddrV4;

use spec::manifest::{self, Step};

use super::{Action, Context, until};
use crate::names;
use crate::probe;

pub(super) const ACTION: Action = Action { name: "init.wait_tcp", try_once: |context, _, step| Box::pin(wait(context, step)) };

async fn wait(context: &Context, step: &Step) -> Result<(), String> {
    let manifest::Action::WaitTcp(wanted) = &step.action else { return Err("it is another action".to_owned()) };
    let netns = context.containers.netns(&context.launch.spec);
    let waited = until(step.timeout, || async {
        let address = names::look_up(&netns, &wanted.host).await?;
        probe::connect(&netns, SocketAddrV4::new(address, wanted.port.get())).await.map(drop)
    });
    waited.await.map_err(|why| format!("{}:{} does not answer: {why}", wanted.host, wanted.port.get()))
}
