//! Security contexts as Docker's options (`pkg/securitycontext`, dockershim's `security_context.go`).

use k8s_openapi::api::core::v1::{Container, Pod};

use super::spec;
use crate::labels::PodRef;

/// What Docker is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Security {
    /// `uid[:gid]`
    pub user: Option<String>,
    /// Additional groups.
    pub groups: Vec<String>,
    /// Everything allowed.
    pub privileged: bool,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// Root file system read-only.
    pub read_only: bool,
    /// Further options.
    pub options: Vec<String>,
}

/// The container's own context over the pod's. `image_user` is what the image runs as. The error is the message of
/// CreateContainerConfigError.
pub fn security(pod: &Pod, container: &Container, image_user: &str) -> Result<Security, String> {
    let of_pod = spec::of(pod).security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let uid = own.run_as_user.or(of_pod.run_as_user);
    let gid = own.run_as_group.or(of_pod.run_as_group);
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        non_root(pod, container, uid, image_user)?;
    }
    let mut groups: Vec<String> = of_pod.supplemental_groups.iter().flatten().map(i64::to_string).collect();
    groups.extend(of_pod.fs_group.map(|g| g.to_string()));
    let privileged = own.privileged.unwrap_or_default();
    let capabilities = own.capabilities.unwrap_or_default();
    let mut options = Vec::new();
    if own.allow_privilege_escalation == Some(false) {
        options.push("no-new-privileges".to_owned());
    }
    let profile = own.seccomp_profile.or(of_pod.seccomp_profile).map(|p| p.type_);
    // Upstream's default is no filter; a privileged container has none anyway.
    if !privileged && profile.as_deref().is_none_or(|p| p == "Unconfined") {
        options.push("seccomp=unconfined".to_owned());
    }
    Ok(Security {
        user: match (uid, gid) {
            (Some(uid), Some(gid)) => Some(format!("{uid}:{gid}")),
            (Some(uid), None) => Some(uid.to_string()),
            // A group alone needs the image's user beside it.
            (None, Some(gid)) => Some(format!("{}:{gid}", image_uid(image_user))),
            (None, None) => None,
        },
        groups,
        privileged,
        cap_add: capabilities.add.unwrap_or_default(),
        cap_drop: capabilities.drop.unwrap_or_default(),
        read_only: own.read_only_root_filesystem.unwrap_or_default(),
        options,
    })
}

fn image_uid(image_user: &str) -> &str {
    match image_user.split(':').next().unwrap_or_default() {
        "" => "0",
        user => user,
    }
}

fn non_root(pod: &Pod, container: &Container, uid: Option<i64>, image_user: &str) -> Result<(), String> {
    let place = || format!("(pod: {:?}, container: {})", PodRef::of(pod).to_string(), container.name);
    match uid {
        Some(0) => Err(format!("container's runAsUser breaks non-root policy {}", place())),
        Some(_) => Ok(()),
        None => match image_uid(image_user) {
            "0" | "root" => Err(format!("container has runAsNonRoot and image will run as root {}", place())),
            user if user.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
            user => Err(format!(
                "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {}",
                place()
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(pod: serde_json::Value, own: serde_json::Value, image_user: &str) -> Result<Security, String> {
        let object = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec":
            {"securityContext": pod, "containers": [{"name": "a", "securityContext": own}]}});
        let pod: Pod = serde_json::from_value(object).unwrap();
        security(&pod, &spec::of(&pod).containers[0], image_user)
    }

    #[test]
    fn the_container_overrides_the_pod() {
        let found =
            of(json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3}), json!({"runAsUser": 9}), "").unwrap();
        assert_eq!((found.user.as_deref(), found.groups), (Some("9:2"), vec!["3".to_owned()]));
    }

    #[test]
    fn root_is_refused_when_it_must_not_be() {
        let error = of(json!({"runAsNonRoot": true}), json!({}), "").unwrap_err();
        assert_eq!(
            error,
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: a)"
        );
        assert!(of(json!({"runAsNonRoot": true}), json!({}), "1000").is_ok());
        assert!(of(json!({"runAsNonRoot": true}), json!({}), "nginx").is_err());
    }
}
