//! Least privilege: everything but a named set of capabilities is dropped, and what is missing is said once.
//! Capabilities belong to threads, so this runs before any other thread is started.

use caps::{CapSet, Capability, CapsHashSet};

/// What the kubelet and the proxy beside it need, and what for.
const NEEDED: [(Capability, &str); 7] = [
    (Capability::CAP_NET_ADMIN, "to wire pods and to program services"),
    (Capability::CAP_NET_RAW, "for iptables"),
    (Capability::CAP_SYS_ADMIN, "to enter pods' network namespaces"),
    (Capability::CAP_SYS_PTRACE, "to open other processes' namespaces"),
    (Capability::CAP_CHOWN, "to give volumes to a pod's group"),
    (Capability::CAP_DAC_OVERRIDE, "to manage volumes that pods own"),
    (Capability::CAP_FOWNER, "to manage volumes that pods own"),
];

/// Kept when they are there, not missed otherwise: the group bit of volumes, node ports below 1024.
const USEFUL: [Capability; 2] = [Capability::CAP_FSETID, Capability::CAP_NET_BIND_SERVICE];

/// Drops the rest. A kernel that refuses is no reason not to start.
pub fn drop_all_others() {
    let needed: CapsHashSet = NEEDED.iter().map(|(cap, _)| *cap).chain(USEFUL).collect();
    let have = match caps::read(None, CapSet::Permitted) {
        Ok(have) => have,
        Err(e) => {
            tracing::warn!("cannot read capabilities: {e}");
            return;
        }
    };
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(cap, _)| !have.contains(cap))
        .map(|(cap, why)| format!("{cap} ({why})"))
        .collect();
    if !missing.is_empty() {
        tracing::warn!("missing capabilities: {}", missing.join(", "));
    }
    let keep: CapsHashSet = have.intersection(&needed).copied().collect();
    // The bounding set limits what child processes (iptables) can get; dropping from it needs CAP_SETPCAP, so it is first.
    if have.contains(&Capability::CAP_SETPCAP)
        && let Ok(bounding) = caps::read(None, CapSet::Bounding)
    {
        for cap in bounding.difference(&needed) {
            let _ = caps::drop(None, CapSet::Bounding, *cap);
        }
    }
    let none = CapsHashSet::new();
    for (set, wanted) in
        [(CapSet::Inheritable, &none), (CapSet::Effective, &keep), (CapSet::Permitted, &keep)]
    {
        if let Err(e) = caps::set(None, set, wanted) {
            tracing::warn!("cannot drop capabilities: {e}");
            return;
        }
    }
}
