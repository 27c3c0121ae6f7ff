//! What "the host's network" is. On a real host the kubelet shares the host's namespace. In the lab a host is a
//! container that holds a namespace, and the kubelet's own container has joined it.

use crate::runtime::docker::DockerRuntime;

/// Docker's network mode for pods with `hostNetwork: true`; `Err` says why there is none.
pub async fn network_mode(docker: &DockerRuntime) -> Result<String, String> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let found = match own_container_id(&mountinfo, &cgroup) {
        Some(id) => docker.network_mode(&id).await.map_err(|e| e.to_string())?.map(|mode| (id, mode)),
        None => None,
    };
    match found {
        Some((_, mode)) if mode == "host" || mode.starts_with("container:") => Ok(mode),
        Some((id, _)) => Ok(format!("container:{id}")),
        None if same_namespace_as_init() => Ok("host".into()),
        None => Err("the kubelet runs in a network namespace that Docker does not know".into()),
    }
}

fn same_namespace_as_init() -> bool {
    let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    link("1").is_some_and(|init| link("self") == Some(init))
}

/// Docker mounts `/etc/hostname` out of `…/containers/<id>/`; cgroup v1 paths end with the id.
fn own_container_id(mountinfo: &str, cgroup: &str) -> Option<String> {
    let is_id = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mounted =
        mountinfo.lines().filter(|l| l.contains(" /etc/hostname ") || l.contains(" /etc/resolv.conf "));
    let mut parts = mounted.flat_map(|l| l.split(['/', ' '])).chain(cgroup.split(['/', '\n', '-', '.']));
    parts.find(|p| is_id(p)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_container_is_found() {
        let id = "a".repeat(64);
        let mounts = format!(
            "700 600 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
        );
        assert_eq!(own_container_id(&mounts, ""), Some(id.clone()));
        assert_eq!(own_container_id("", &format!("4:memory:/docker/{id}\n")), Some(id));
        assert_eq!(own_container_id("", "4:memory:/user.slice\n"), None);
    }
}
