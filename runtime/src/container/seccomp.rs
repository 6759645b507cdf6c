//! The system calls a container may not make: what Docker's default profile refuses, as a list of refusals.
//!
//! Most of them also need a capability that containers lack. The list is a second wall, and the only one before the calls
//! that need none: new user namespaces, io_uring, userfaultfd, the kernel's key store.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Marks the calls of the x32 interface, which are the same ones by other numbers.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Socket families that reach past the container's network: the hypervisor (vsock(7)), and the kernel's cryptography, which few
/// programs use and which has let unprivileged ones write to files they may only read.
const FAMILIES: [i32; 2] = [libc::AF_ALG, libc::AF_VSOCK];

/// Flags of clone(2) that make a namespace.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    CLONE_NEWTIME,
];

/// Not in the libc crate for all targets.
const CLONE_NEWTIME: i32 = 0x80;

const REFUSED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
];

/// Returns the filters, to be put on in this order.
pub(crate) fn filters() -> Result<Vec<BpfProgram>, Error> {
    Ok(vec![filter(refused()?, libc::EPERM)?, filter(all_of(&[libc::SYS_clone3]), libc::ENOSYS)?])
}

/// What is answered with "not permitted".
fn refused() -> Result<BTreeMap<i64, Vec<SeccompRule>>, Error> {
    let mut rules = all_of(REFUSED);
    let flags = NAMESPACES.into_iter().map(|flag| has_bit(flag as u64)).collect::<Result<Vec<_>, _>>()?;
    conditional(&mut rules, libc::SYS_clone, flags);
    let families = FAMILIES.into_iter().map(|family| is_equal(family as u64)).collect::<Result<Vec<_>, _>>()?;
    conditional(&mut rules, libc::SYS_socket, families);
    Ok(rules)
}

/// `clone3` hides its flags in memory, where no filter looks: "not implemented" makes C libraries fall back to `clone`.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?;
    Ok(BpfProgram::try_from(filter)?)
}

fn all_of(calls: &[i64]) -> BTreeMap<i64, Vec<SeccompRule>> {
    let mut rules = BTreeMap::new();
    calls.iter().for_each(|call| conditional(&mut rules, *call, vec![]));
    rules
}

/// Refuses `call` where one of `rules` holds; always, where there is none.
fn conditional(all: &mut BTreeMap<i64, Vec<SeccompRule>>, call: i64, rules: Vec<SeccompRule>) {
    #[cfg(target_arch = "x86_64")]
    all.insert(call | X32, rules.clone());
    all.insert(call, rules);
}

fn has_bit(bit: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)?])
}

fn is_equal(value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile() {
        let lengths: Vec<usize> = filters().unwrap().iter().map(Vec::len).collect();
        assert_eq!(lengths.len(), 2);
        assert!(lengths.iter().all(|length| (3..4096).contains(length)), "{lengths:?}");
    }

    #[test]
    fn sockets_that_reach_past_the_network_are_refused() {
        // A filter holds for the thread that puts it on, and ends with it.
        let filtered = std::thread::spawn(|| {
            filters().unwrap().iter().for_each(|filter| seccompiler::apply_filter(filter).unwrap());
            [libc::AF_ALG, libc::AF_VSOCK, libc::AF_INET].map(|family| {
                // SAFETY: makes a file descriptor, which is closed at once.
                match unsafe { libc::socket(family, libc::SOCK_STREAM, 0) } {
                    -1 => std::io::Error::last_os_error().raw_os_error(),
                    // SAFETY: nobody else has it.
                    socket => unsafe { (libc::close(socket) != 0).then_some(0) },
                }
            })
        });
        assert_eq!(filtered.join().unwrap(), [Some(libc::EPERM), Some(libc::EPERM), None]);
    }
}
