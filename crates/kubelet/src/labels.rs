//! Names and labels of containers: dockershim's, so that people's habits and tools keep working
//! (`pkg/kubelet/dockershim/naming.go`, `pkg/kubelet/kuberuntime/labels.go`), plus two of our own that say whose a
//! container is: several nodes, several clusters and foreign containers share one Docker engine.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};

/// Label: the pod's name.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// Label: the pod's namespace.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// Label: the pod's uid.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// Label: the container's name; `POD` on a sandbox.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// Label: `podsandbox` or `container`.
pub const TYPE: &str = "io.kubernetes.docker.type";
/// Label: the sandbox that a container belongs to.
pub const SANDBOX_ID: &str = "io.kubernetes.sandbox.id";
/// Label: what the container was made from, see [`hash`].
pub const HASH: &str = "annotation.io.kubernetes.container.hash";
/// Label: how often the container was restarted before.
pub const RESTART_COUNT: &str = "annotation.io.kubernetes.container.restartCount";
/// Label: where the container leaves its last words.
pub const TERMINATION_PATH: &str = "annotation.io.kubernetes.container.terminationMessagePath";
/// Label: `File` or `FallbackToLogsOnError`.
pub const TERMINATION_POLICY: &str = "annotation.io.kubernetes.container.terminationMessagePolicy";
/// Label: the pod's grace period, for when the pod object is gone.
pub const GRACE_PERIOD: &str = "annotation.io.kubernetes.pod.terminationGracePeriod";
/// Label: the node that owns the container.
pub const NODE: &str = "skiff.io/node";
/// Label: the cluster that owns the container.
pub const CLUSTER: &str = "skiff.io/cluster";
/// Label on a sandbox: the pod's address. It is what remembers addresses over a restart.
pub const POD_IP: &str = "skiff.io/pod-ip";
/// Label on a sandbox: its attempt.
pub const ATTEMPT: &str = "skiff.io/attempt";

/// The container name of sandboxes.
pub const SANDBOX_NAME: &str = "POD";

/// Whose containers these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node's name.
    pub node: String,
    /// The cluster's mark.
    pub cluster: String,
}

/// `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
pub fn container_name(container: &str, pod: &PodRef, attempt: u32) -> String {
    format!("k8s_{container}_{}_{}_{}_{attempt}", pod.name, pod.namespace, pod.uid)
}

/// What identifies a pod, from its object or from labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodRef {
    /// metadata.namespace
    pub namespace: String,
    /// metadata.name
    pub name: String,
    /// metadata.uid
    pub uid: String,
}

impl PodRef {
    /// From the object. Missing fields are empty.
    pub fn of(pod: &Pod) -> Self {
        PodRef {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// From a container's labels.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(PodRef {
            namespace: labels.get(POD_NAMESPACE)?.clone(),
            name: labels.get(POD_NAME)?.clone(),
            uid: labels.get(POD_UID)?.clone(),
        })
    }
}

/// `name_namespace(uid)`, upstream's `format.Pod`.
impl std::fmt::Display for PodRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// Labels of a sandbox.
pub fn sandbox_labels(pod: &Pod, owner: &Owner, attempt: u32, ip: Option<&str>) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = pod.metadata.labels.clone().unwrap_or_default();
    for (key, value) in pod.metadata.annotations.iter().flatten() {
        labels.insert(format!("annotation.{key}"), value.clone());
    }
    labels.extend(common(&PodRef::of(pod), owner, SANDBOX_NAME, "podsandbox"));
    labels.insert(ATTEMPT.into(), attempt.to_string());
    if let Some(ip) = ip {
        labels.insert(POD_IP.into(), ip.to_owned());
    }
    labels
}

/// Labels of a container.
pub fn container_labels(
    pod: &Pod,
    container: &Container,
    owner: &Owner,
    restarts: u32,
    sandbox: &str,
) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> =
        common(&PodRef::of(pod), owner, &container.name, "container").into_iter().collect();
    labels.insert(SANDBOX_ID.into(), sandbox.to_owned());
    labels.insert(HASH.into(), hash(container));
    labels.insert(RESTART_COUNT.into(), restarts.to_string());
    let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    labels.insert(TERMINATION_PATH.into(), path.to_owned());
    let policy = container.termination_message_policy.as_deref().unwrap_or("File");
    labels.insert(TERMINATION_POLICY.into(), policy.to_owned());
    if let Some(grace) = pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds) {
        labels.insert(GRACE_PERIOD.into(), grace.to_string());
    }
    if let Some(hook) = container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref())
        && let Ok(text) = serde_json::to_string(hook)
    {
        labels.insert("annotation.io.kubernetes.container.preStopHandler".into(), text);
    }
    if let Some(ports) = &container.ports
        && let Ok(text) = serde_json::to_string(ports)
    {
        labels.insert("annotation.io.kubernetes.container.ports".into(), text);
    }
    labels
}

fn common(pod: &PodRef, owner: &Owner, container: &str, kind: &str) -> [(String, String); 7] {
    [
        (POD_NAME.into(), pod.name.clone()),
        (POD_NAMESPACE.into(), pod.namespace.clone()),
        (POD_UID.into(), pod.uid.clone()),
        (CONTAINER_NAME.into(), container.to_owned()),
        (TYPE.into(), kind.to_owned()),
        (NODE.into(), owner.node.clone()),
        (CLUSTER.into(), owner.cluster.clone()),
    ]
}

/// Upstream's `HashContainer` idea: of a running container's fields only the name and the image may change, so only
/// they decide whether it must be made anew. FNV-1a, 32 bit, in hex.
pub fn hash(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let bytes = container.name.bytes().chain([0]).chain(image.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:x}")
}

/// The default of `--cluster-id`: one kubelet root directory belongs to one node of one cluster.
pub fn default_cluster_id(root_dir: &std::path::Path) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(root_dir.as_os_str().as_encoded_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockershims() {
        let pod = PodRef { namespace: "default".into(), name: "nginx".into(), uid: "u-1".into() };
        assert_eq!(container_name(SANDBOX_NAME, &pod, 0), "k8s_POD_nginx_default_u-1_0");
        assert_eq!(container_name("web", &pod, 2), "k8s_web_nginx_default_u-1_2");
        assert_eq!(pod.to_string(), "nginx_default(u-1)");
    }

    #[test]
    fn a_new_image_is_a_new_hash() {
        let with =
            |image: &str| Container { name: "a".into(), image: Some(image.into()), ..Default::default() };
        assert_eq!(hash(&with("x")), hash(&Container { tty: Some(true), ..with("x") }));
        assert_ne!(hash(&with("x")), hash(&with("y")));
    }

    #[test]
    fn a_pods_own_labels_cannot_move_it_to_another_owner() {
        let mut pod = Pod::default();
        pod.metadata.labels = Some([(NODE.to_string(), "other".to_string())].into());
        let owner = Owner { node: "n1".into(), cluster: "c".into() };
        assert_eq!(sandbox_labels(&pod, &owner, 0, None)[NODE], "n1");
    }
}
