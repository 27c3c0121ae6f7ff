//! Kernel settings that services need. They are made only in a network namespace of our own: the machine's belongs to
//! its owner, who is told once what is missing.

use std::path::Path;

/// The inode of the machine's first pid namespace, fixed in the kernel (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Forwarding, and (when `localhost`) routing of 127.0.0.0/8 for node ports on localhost.
pub(crate) fn ensure(localhost: bool) {
    let machine = is_machines_namespace();
    let mut wanted = vec![("net/ipv4/ip_forward", "services need it to reach pods")];
    if localhost {
        wanted.push(("net/ipv4/conf/all/route_localnet", "node ports need it to answer on 127.0.0.1"));
    }
    for (name, why) in wanted {
        let path = Path::new("/proc/sys").join(name);
        if std::fs::read_to_string(&path).is_ok_and(|value| value.trim() == "1") {
            continue;
        }
        let dotted = name.replace('/', ".");
        if machine {
            tracing::warn!(
                "{dotted} is not 1 in the machine's network namespace; {why}; sysctl -w {dotted}=1"
            );
            continue;
        }
        match std::fs::write(&path, "1") {
            Ok(()) => tracing::info!("set {dotted}=1"),
            Err(err) => tracing::warn!("cannot set {dotted}=1 ({err}); {why}"),
        }
    }
}

/// Whether this is the namespace that the machine booted with. Inside a container that has processes of its own this
/// cannot be seen; there /proc/sys is read-only unless the container's owner wants otherwise.
fn is_machines_namespace() -> bool {
    let read = |path: &str| std::fs::read_link(path).map(|link| link.to_string_lossy().into_owned()).ok();
    read("/proc/self/ns/pid").as_deref() == Some(FIRST_PID_NAMESPACE)
        && read("/proc/self/ns/net") == read("/proc/1/ns/net")
}
