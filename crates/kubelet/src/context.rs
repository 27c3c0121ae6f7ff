//! What all pod workers of a node share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::events::{EventType, Recorder};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::config::Config;
use crate::images::Images;
use crate::labels::{Owner, PodRef};
use crate::network::Network;
use crate::pod::spec;
use crate::runtime::Runtime;
use crate::volumes::Volumes;
use crate::volumes::objects::Objects;

/// The node's resources that limits and environments refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    /// CPUs, thousandths.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of the root directory's file system.
    pub storage: i64,
}

/// See the module.
pub struct Context {
    /// Whose containers these are.
    pub owner: Owner,
    /// Configuration.
    pub config: Config,
    /// The image of sandboxes.
    pub infra_image: String,
    /// Files of pods.
    pub root_dir: PathBuf,
    /// The node's address.
    pub node_ip: IpAddr,
    /// Docker's network mode of pods on the host's network.
    pub host_network: Result<String, String>,
    /// The runtime.
    pub runtime: Arc<dyn Runtime>,
    /// The pod network.
    pub network: Arc<dyn Network>,
    /// Images.
    pub images: Images,
    /// Volumes.
    pub volumes: Volumes,
    /// Config maps, secrets, services.
    pub objects: Arc<Objects>,
    /// The API server.
    pub client: kube::Client,
    /// Events.
    pub recorder: Recorder,
    /// Resources.
    pub capacity: Capacity,
    /// This machine refuses to lower oom_score_adj.
    pub oom_refused: AtomicBool,
}

impl Context {
    /// An event about a pod.
    pub fn say(&self, pod: &Pod, kind: EventType, reason: &str, message: impl Into<String>) {
        self.recorder.event_ref(&reference(pod), kind, reason, message);
    }

    /// An event about a container of a pod.
    pub fn say_container(
        &self,
        pod: &Pod,
        name: &str,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let list = if spec::init_containers(pod).iter().any(|c| c.name == name) {
            "initContainers"
        } else {
            "containers"
        };
        let reference =
            ObjectReference { field_path: Some(format!("spec.{list}{{{name}}}")), ..reference(pod) };
        self.recorder.event_ref(&reference, kind, reason, message);
    }

    /// The score to ask for, on machines that refuse to lower it.
    pub fn oom_score_adj(&self, wanted: i64) -> i64 {
        if self.oom_refused.load(Ordering::Relaxed) { wanted.max(0) } else { wanted }
    }

    /// Was a start refused because of the score? Says so once.
    pub fn note_oom_refusal(&self, error: &str) -> bool {
        // Old runc dies of it before it can say why.
        let refused =
            error.contains("oom_score_adj") || error.contains("can't get final child's PID from pipe");
        if refused && !self.oom_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this machine refuses to lower oom_score_adj: pods run without their out-of-memory protection"
            );
        }
        refused
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    let id = PodRef::of(pod);
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(id.name),
        namespace: Some(id.namespace),
        uid: Some(id.uid),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: None,
    }
}
