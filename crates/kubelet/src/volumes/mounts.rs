//! From a container's `volumeMounts` to Docker's binds.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{Place, Places};
use crate::pod::create::Mounts;
use crate::pod::expand::expand;
use crate::pod::spec;

/// Binds of one container. Sub-paths of the kubelet's own directories are made here; Docker makes those of the host.
pub fn mounts(
    pod: &Pod,
    container: &Container,
    places: &Places,
    env: &[(String, String)],
) -> Result<Mounts, String> {
    let mut result = Mounts::default();
    for mount in container.volume_mounts.iter().flatten() {
        let place = places.get(&mount.name).ok_or_else(|| {
            format!("cannot find volume {:?} to mount into container {:?}", mount.name, container.name)
        })?;
        let sub = match &mount.sub_path_expr {
            Some(text) if !text.is_empty() => {
                expand(text, |name| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
            }
            _ => mount.sub_path.clone().unwrap_or_default(),
        };
        if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
            return Err(format!("subPath {sub:?} must be a relative path without .."));
        }
        let source = match place {
            Place::Directory(dir) if sub.is_empty() => dir.display().to_string(),
            Place::Directory(dir) => {
                let path = dir.join(&sub);
                if !path.exists() {
                    std::fs::create_dir_all(&path).map_err(|e| {
                        format!(
                            "failed to create subPath directory for volumeMount {:?} of container {:?}: {e}",
                            mount.name, container.name
                        )
                    })?;
                }
                // Docker resolves links on the host, where they mean the same: the root directory has one path.
                std::fs::canonicalize(&path).unwrap_or(path).display().to_string()
            }
            Place::Host(path) if sub.is_empty() => path.clone(),
            Place::Host(path) => format!("{}/{sub}", path.trim_end_matches('/')),
            Place::Docker(name) if sub.is_empty() => name.clone(),
            Place::Docker(_) => return Err("subPath of a memory-backed emptyDir is not supported".into()),
        };
        let mut options = Vec::new();
        if mount.read_only.unwrap_or_default() || always_read_only(pod, &mount.name) {
            options.push("ro");
        }
        match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => options.push("rslave"),
            Some("Bidirectional") => options.push("rshared"),
            _ => {}
        }
        let target = if mount.mount_path.starts_with('/') {
            mount.mount_path.clone()
        } else {
            format!("/{}", mount.mount_path)
        };
        let suffix = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
        result.binds.push(format!("{source}:{target}{suffix}"));
    }
    Ok(result)
}

/// Config maps, secrets and their like cannot be written to.
fn always_read_only(pod: &Pod, name: &str) -> bool {
    spec::of(pod).volumes.iter().flatten().any(|v| {
        v.name == name
            && (v.config_map.is_some()
                || v.secret.is_some()
                || v.projected.is_some()
                || v.downward_api.is_some())
    })
}

/// Does the container mount something at this very path?
pub fn covers(container: &Container, path: &str) -> bool {
    container.volume_mounts.iter().flatten().any(|m| m.mount_path.trim_end_matches('/') == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn binds_are_made() {
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "volumes": [{"name": "h", "hostPath": {"path": "/data/"}}, {"name": "s", "secret": {"secretName": "x"}}],
            "containers": [{"name": "a", "volumeMounts": [
                {"name": "h", "mountPath": "/h", "subPathExpr": "$(N)"}, {"name": "s", "mountPath": "/s"}]}]}}))
        .unwrap();
        let places: Places =
            [("h".into(), Place::Host("/data/".into())), ("s".into(), Place::Directory("/r/s".into()))]
                .into();
        let env = [("N".to_owned(), "one".to_owned())];
        let found = mounts(&pod, &spec::of(&pod).containers[0], &places, &env).unwrap();
        assert_eq!(found.binds, ["/data/one:/h", "/r/s:/s:ro"]);
        let bad: Container = serde_json::from_value(json!({"name": "a", "volumeMounts":
            [{"name": "h", "mountPath": "/h", "subPath": "../etc"}]}))
        .unwrap();
        assert!(mounts(&pod, &bad, &places, &[]).is_err());
    }
}
