//! Threads inside namespaces.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::world::{link, on_a_host};
use crate::netns::{enter, in_netns};

/// Identifies the network namespace of the calling thread.
fn here() -> u64 {
    fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

#[test]
fn a_function_runs_inside_and_its_caller_stays_outside() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &["10.200.1.5@10.200.1.0/24"]);
        netctl.ensure_link(&link).await.unwrap();
        let (pin, outside) = (world.pin(&link), here());
        let inside = in_netns(&pin, here).unwrap();
        assert_ne!(inside, outside);
        assert_eq!(here(), outside);
        assert_eq!(fs::metadata(&pin).unwrap().ino(), inside);
        let entered = std::thread::scope(|scope| scope.spawn(|| enter(&pin).map(|()| here())).join().unwrap().unwrap());
        assert_eq!(entered, inside);
    });
}

#[test]
fn what_cannot_be_entered_is_an_error() {
    on_a_host(|world| async move {
        let file = world.directory.path().join("file");
        assert_eq!(in_netns(&file, here).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        fs::write(&file, "no namespace").unwrap();
        assert_eq!(in_netns(&file, here).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let user = std::path::Path::new("/proc/self/ns/user");
        assert_eq!(in_netns(user, here).unwrap_err().raw_os_error(), Some(libc::EINVAL), "another kind of namespace");
    });
}

#[test]
fn a_panic_inside_is_an_error_outside() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &["10.200.1.5@10.200.1.0/24"]);
        netctl.ensure_link(&link).await.unwrap();
        let error = in_netns(&world.pin(&link), || panic!("on purpose")).err().unwrap();
        assert_eq!(error.to_string(), "the function panicked");
    });
}
