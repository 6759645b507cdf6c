//! Reporting to the store: statuses that the edge saw, and events worth telling.

use std::error::Error;
use std::time::Duration;

use spec::kind::{Event, event};
use spec::object::{Name, Resource, Uid};
use spec::plan::Writer;
use spec::view::Item;
use spec::{Key, Kind, Timestamp, Write};
use store::{Op, Store, Transaction};
use tracing::{debug, warn};

/// How often a report is tried again when something else writes the same status: those are a few tasks of one container.
const TRIES: u32 = 32;
/// How long a full disk is left alone before a report is tried again.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// Changes the status of the `R` called `name`, if it still is the object with `uid`.
///
/// Returns whether the object is still there. What happened happens once: while the disk is full, the report waits for room.
pub async fn status<R: Resource>(store: &Store, name: &Name, uid: &Uid, change: impl Fn(&mut R::Status) + Send) -> bool
where
    R::Status: Default + Clone + PartialEq,
{
    let key = Key::new(R::KIND, name.clone());
    observed(store, &key, || status_op::<R>(store, &key, uid, &change).into_iter().collect()).await
}

/// Commits the writes that `ops` makes of the store as it stands, anew when others wrote meanwhile; returns whether there were any.
pub(crate) async fn observed(store: &Store, about: &Key, ops: impl Fn() -> Vec<Op>) -> bool {
    let mut tries = 0;
    while tries < TRIES {
        let ops = ops();
        if ops.is_empty() {
            return false;
        }
        match store.commit(Transaction::observed(Writer::Edge, ops)).await {
            Ok(_) => return true,
            // What is gone is left out the next time.
            Err(store::Error::Conflict { .. } | store::Error::Gone { .. }) => tries += 1,
            Err(error @ store::Error::Full) => {
                warn!(object = %about, error = chain(&error), "a status waits to be stored");
                tokio::time::sleep(FULL_RETRY).await;
            }
            Err(error) => {
                warn!(object = %about, error = chain(&error), "a status cannot be stored");
                return true;
            }
        }
    }
    warn!(object = %about, "a status could not be stored: too many write it at once");
    true
}

/// Returns the write that changes a status; `None` when the object is gone.
pub(crate) fn status_op<R: Resource>(store: &Store, key: &Key, uid: &Uid, change: impl Fn(&mut R::Status)) -> Option<Op>
where
    R::Status: Default + Clone,
{
    let object = store.get(key).filter(|object| object.uid == *uid)?;
    let mut status = Item::<R>::of(&object)?.status.cloned().unwrap_or_default();
    change(&mut status);
    let write = Write::Status { key: key.clone(), status: R::to_status(status) };
    Some(Op::new(write).expect_uid(uid.clone()).expect_revision(object.status_revision))
}

/// Writes an event about an object. Said again in the same words it is the same event; in others it counts as one more.
pub async fn event(store: &Store, about: &Key, reason: &str, message: &str, now: Timestamp) {
    let Ok(name) = about.name.child(&format!("{}-{reason}", about.kind)) else { return };
    // An event about what is gone is of no use to anybody: it goes with its subject, and does not come after it.
    if store.get(about).is_none() {
        return;
    }
    let key = Key::new(Kind::Event, name);
    let before = store.get(&key);
    let before = before.as_ref().and_then(|object| Item::<Event>::of(object)).map(|item| item.spec);
    if before.is_some_and(|before| before.message == message) {
        return;
    }
    let spec = event::Spec {
        about: about.clone(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: before.map_or(0, |before| before.count) + 1,
        first: before.map_or(now, |before| before.first),
        last: now,
    };
    let write = Write::Spec { key, owner: Some(about.clone()), spec: Event::to_spec(spec) };
    if let Err(error) = store.commit(Transaction::observed(Writer::Driver, [Op::new(write)])).await {
        debug!(about = %about, error = chain(&error), "an event cannot be stored");
    }
}

/// Returns an error with its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    use spec::kind::{Image, image};
    use store::Writers;

    use super::*;

    /// Runs `test` in a thread that alone sees a file system of 2 MiB at `directory`. Needs root.
    fn with_small_disk(directory: &Path, test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: only the mount namespace and the file system attributes of this thread are unshared, no descriptors.
                unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
                mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
                mount("tmpfs", directory, "tmpfs", MountFlags::empty(), c"size=2m").unwrap();
                test();
            });
        });
    }

    async fn put(store: &Store, name: &str, bytes: usize) -> Result<Key, store::Error> {
        let key = Key::new(Kind::Image, name.parse().unwrap());
        let spec = Image::to_spec(image::Spec { digest: "d".into(), repository: "r".repeat(bytes) });
        let write = Op::new(Write::Spec { key: key.clone(), owner: None, spec }).by(Writer::Controller("image"));
        store.commit(Transaction::new(Writer::Driver, [write])).await.map(|_| key)
    }

    #[test]
    fn what_happened_while_the_disk_was_full_is_reported_once_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        with_small_disk(directory.path(), || runtime.block_on(full_disk(directory.path())));
    }

    async fn full_disk(directory: &Path) {
        let store = Store::open(&directory.join("store"), Writers::new(controllers::writers()).unwrap()).unwrap();
        let ballast = directory.join("ballast");
        std::fs::write(&ballast, vec![0; 400_000]).unwrap();
        let key = put(&store, "a", 1).await.unwrap();
        let uid = store.get(&key).unwrap().uid.clone();
        let mut count = 0;
        while put(&store, &format!("i{count}"), 20_000).await.is_ok() {
            count += 1;
        }
        assert!(matches!(store.writable(), Err(store::Error::Full)));

        let present = |status: &mut image::Status| status.config = Some(image::Config::default());
        let report = status::<Image>(&store, &key.name, &uid, present);
        let room = async {
            tokio::task::yield_now().await;
            std::fs::remove_file(&ballast).unwrap();
        };
        let both = async { tokio::join!(report, room).0 };
        assert!(tokio::time::timeout(Duration::from_secs(20), both).await.expect("it ends"));
        let object = store.get(&key).unwrap();
        assert!(Item::<Image>::of(&object).unwrap().status.is_some_and(|status| status.config.is_some()));
    }
}
