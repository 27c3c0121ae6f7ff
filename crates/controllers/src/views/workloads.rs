//! Views of the groups apps, batch and policy.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStrategy, ReplicaSetCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::{part, view};

view!(
    /// A deployment.
    Deployment, "apps", "v1", "deployments", NamespaceResourceScope, {
        /// What is wanted.
        spec: DeploymentSpec,
        /// What is.
        status: DeploymentStatus,
    }
);

part!(
    /// A deployment's spec.
    DeploymentSpec, {
        /// How many pods; 1 when absent.
        replicas: Option<i32>,
        /// Which pods.
        selector: LabelSelector,
        /// What the pods are made from.
        template: Value,
        /// How pods are replaced.
        strategy: DeploymentStrategy,
        /// Seconds that a ready pod needs to count as available.
        min_ready_seconds: Option<i32>,
        /// How many old replica sets stay.
        revision_history_limit: Option<i32>,
        /// No rollout for now.
        paused: Option<bool>,
        /// Seconds after which a rollout without progress has failed.
        progress_deadline_seconds: Option<i32>,
    }
);

part!(
    /// A deployment's status.
    DeploymentStatus, {
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// Pods of all replica sets.
        replicas: Option<i32>,
        /// Pods of the newest template.
        updated_replicas: Option<i32>,
        /// Ready pods.
        ready_replicas: Option<i32>,
        /// Available pods.
        available_replicas: Option<i32>,
        /// Missing pods.
        unavailable_replicas: Option<i32>,
        /// Available, Progressing, ReplicaFailure.
        conditions: Vec<DeploymentCondition>,
        /// How often two templates had one hash.
        collision_count: Option<i32>,
    }
);

view!(
    /// A replica set.
    ReplicaSet, "apps", "v1", "replicasets", NamespaceResourceScope, {
        /// What is wanted.
        spec: ReplicaSetSpec,
        /// What is.
        status: ReplicaSetStatus,
    }
);

part!(
    /// A replica set's spec.
    ReplicaSetSpec, {
        /// How many pods; 1 when absent.
        replicas: Option<i32>,
        /// Seconds that a ready pod needs to count as available.
        min_ready_seconds: Option<i32>,
        /// Which pods.
        selector: LabelSelector,
        /// What the pods are made from.
        template: Value,
    }
);

part!(
    /// The status of a replica set or replication controller.
    ReplicaSetStatus, {
        /// Pods.
        replicas: i32,
        /// Pods that have all labels of the template.
        fully_labeled_replicas: Option<i32>,
        /// Ready pods.
        ready_replicas: Option<i32>,
        /// Available pods.
        available_replicas: Option<i32>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// ReplicaFailure.
        conditions: Vec<ReplicaSetCondition>,
    }
);

view!(
    /// A replication controller.
    ReplicationController, "", "v1", "replicationcontrollers", NamespaceResourceScope, {
        /// What is wanted.
        spec: ReplicationControllerSpec,
        /// What is.
        status: ReplicaSetStatus,
    }
);

part!(
    /// A replication controller's spec.
    ReplicationControllerSpec, {
        /// How many pods; 1 when absent.
        replicas: Option<i32>,
        /// Seconds that a ready pod needs to count as available.
        min_ready_seconds: Option<i32>,
        /// Which pods.
        selector: BTreeMap<String, String>,
        /// What the pods are made from.
        template: Value,
    }
);
