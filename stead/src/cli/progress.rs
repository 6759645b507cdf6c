//! What a person sees while a deployment comes up: a line for each change of each service.

use std::collections::BTreeMap;
use std::time::Duration;

use anstream::println;
use api::Client;
use api::client::Error;
use api::wire::{Event, Query};
use futures_util::StreamExt as _;
use spec::kind::{Deployment, Service, deployment, service};
use spec::view::Item;
use spec::{Kind, Name, Object};
use tokio::time::Instant;

use super::show::{self, BAD, DIM, GOOD};

/// How long what had failed before gets to show that it is being tried again.
const RETRY: Duration = Duration::from_secs(3);

/// Pause between two looks for a node that is away; how often is up to the caller's own deadline.
const NODE_PAUSE: Duration = Duration::from_millis(200);

pub(super) enum Outcome {
    Up,
    /// Services that will not come up by themselves, and why.
    Failed(BTreeMap<String, String>),
    Gone,
}

/// What is known of a deployment on its way.
pub(super) struct Progress {
    generation: u64,
    current: Option<(deployment::Spec, bool)>,
    /// Revision at which the user last spoke: what had failed before is being tried again.
    asked: u64,
    /// When a failure from before counts as one that lasts.
    lasting: Instant,
    services: BTreeMap<String, Seen>,
}

struct Seen {
    spec: service::Spec,
    status: service::Status,
    /// Revision of the status.
    revision: u64,
    line: String,
}

impl Progress {
    /// Begins with a deployment whose spec is of this generation.
    pub(super) fn new(generation: u64) -> Progress {
        Progress { generation, current: None, asked: 0, lasting: Instant::now() + RETRY, services: BTreeMap::new() }
    }

    /// Follows the deployment until its spec serves, or has failed; through restarts of the node, too.
    pub(super) async fn follow(&mut self, client: &Client, deployment: &Name) -> anyhow::Result<Outcome> {
        loop {
            match self.watch(client, deployment).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) | Err(Error::Broken { .. } | Error::Timeout { .. }) => println!("  the node went away; waiting for it"),
                Err(Error::NoNode { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(NODE_PAUSE).await;
        }
    }

    /// Follows one watch to its end, or to a verdict.
    async fn watch(&mut self, client: &Client, deployment: &Name) -> Result<Option<Outcome>, Error> {
        let kinds = vec![Kind::Deployment, Kind::Service];
        let query = Query { kinds, deployment: Some(deployment.clone()), ..Query::default() };
        let mut events = client.watch(&query, None).await?;
        let mut there = false;
        loop {
            let event = match tokio::time::timeout_at(self.lasting, events.next()).await {
                Ok(event) => event,
                // Nothing new was said of what had failed: that is an answer now.
                Err(_) => match self.outcome() {
                    Some(outcome) => return Ok(Some(outcome)),
                    None => events.next().await,
                },
            };
            let Some(event) = event.transpose()? else { return Ok(None) };
            match event {
                Event::Put(event) => {
                    there |= event.object.key.kind == Kind::Deployment;
                    self.see(&event.object);
                }
                Event::Synced { .. } if !there => return Ok(Some(Outcome::Gone)),
                Event::Delete(event) if event.object.key.kind == Kind::Deployment => return Ok(Some(Outcome::Gone)),
                Event::Delete(event) => {
                    self.services.remove(event.object.key.name.leaf());
                }
                Event::Synced { .. } | Event::Bookmark { .. } => {}
            }
            if let Some(outcome) = self.outcome() {
                return Ok(Some(outcome));
            }
        }
    }

    /// Returns what each service waits for that does not serve yet.
    pub(super) fn waiting(&self) -> BTreeMap<&str, &str> {
        let waiting = self.services.iter().filter(|(_, seen)| !seen.status.settled);
        waiting.map(|(name, seen)| (name.as_str(), seen.status.message.as_str())).collect()
    }

    /// A deployment comes before its services, in the list that a watch begins with and in each transaction.
    fn see(&mut self, object: &Object) {
        if let Some(item) = Item::<Deployment>::of(object)
            && object.generation >= self.generation
        {
            let ready = object.observed_generation == object.generation && item.status.is_some_and(|status| status.ready);
            self.current = Some((item.spec.clone(), ready));
            self.asked = object.spec_revision;
            self.services.retain(|name, seen| item.spec.services.get(name.as_str()) == Some(&seen.spec));
        }
        if let Some(item) = Item::<Service>::of(object)
            && object.observed_generation == object.generation
            && let Some(status) = item.status
            && self.asks_for(object.key.name.leaf(), item.spec)
        {
            self.tell(object.key.name.leaf(), item.spec, status, object.status_revision);
        }
    }

    /// Returns whether a service is as the deployment wants it now: what is said of one as it was before is no answer.
    fn asks_for(&self, name: &str, spec: &service::Spec) -> bool {
        self.current.as_ref().is_some_and(|(wanted, _)| wanted.services.get(name) == Some(spec))
    }

    /// Prints a service's state when it reads differently than before.
    fn tell(&mut self, name: &str, spec: &service::Spec, status: &service::Status, revision: u64) {
        let count = format!("{}/{} ready", status.ready, status.desired);
        let message = show::plain(&status.message);
        let rest = match (status.settled, status.failed) {
            (true, _) => show::paint(DIM, urls(spec).join(" ")),
            (_, true) => show::paint(BAD, message),
            _ => show::paint(DIM, message),
        };
        let count = if status.settled { show::paint(GOOD, count) } else { count };
        let line = format!("  {name:<16} {count}  {rest}");
        if self.services.get(name).is_none_or(|seen| seen.line != line) {
            println!("{}", line.trim_end());
        }
        self.services.insert(name.to_owned(), Seen { spec: spec.clone(), status: status.clone(), revision, line });
    }

    /// Returns a verdict once there is nothing left to wait for.
    fn outcome(&self) -> Option<Outcome> {
        let (spec, ready) = self.current.as_ref()?;
        let wanted: Vec<_> = spec.services.keys().filter_map(|name| Some((name, self.services.get(&**name)?))).collect();
        if wanted.len() < spec.services.len() {
            return None;
        }
        if *ready && wanted.iter().all(|(_, seen)| seen.status.settled) {
            return Some(Outcome::Up);
        }
        // What failed is told once nothing else is still on its way.
        let lasts = |seen: &Seen| seen.status.failed && (seen.revision > self.asked || Instant::now() >= self.lasting);
        if !wanted.iter().all(|(_, seen)| seen.status.settled || lasts(seen)) {
            return None;
        }
        let failed: BTreeMap<_, _> = wanted
            .into_iter()
            .filter(|(_, seen)| seen.status.failed)
            .map(|(name, seen)| (name.to_string(), seen.status.message.clone()))
            .collect();
        (!failed.is_empty()).then_some(Outcome::Failed(failed))
    }
}

/// Returns where a service can be reached from this machine.
fn urls(spec: &service::Spec) -> Vec<String> {
    spec.endpoints.iter().map(|endpoint| format!("http://127.0.0.1:{}{}", endpoint.port, endpoint.path())).collect()
}
