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

view!(
    /// A kept template.
    ControllerRevision, "apps", "v1", "controllerrevisions", NamespaceResourceScope, {
        /// The patch that brings it back.
        data: Value,
        /// Its number.
        revision: i64,
    }
);

view!(
    /// A daemon set.
    DaemonSet, "apps", "v1", "daemonsets", NamespaceResourceScope, {
        /// What is wanted.
        spec: DaemonSetSpec,
        /// What is.
        status: DaemonSetStatus,
    }
);

part!(
    /// A daemon set's spec.
    DaemonSetSpec, {
        /// Which pods.
        selector: LabelSelector,
        /// What the pods are made from.
        template: Value,
        /// How pods are replaced.
        update_strategy: k8s_openapi::api::apps::v1::DaemonSetUpdateStrategy,
        /// Seconds that a ready pod needs to count as available.
        min_ready_seconds: Option<i32>,
        /// How many old revisions stay.
        revision_history_limit: Option<i32>,
    }
);

part!(
    /// A daemon set's status.
    DaemonSetStatus, {
        /// Nodes that run it and should.
        current_number_scheduled: i32,
        /// Nodes that run it and should not.
        number_misscheduled: i32,
        /// Nodes that should run it.
        desired_number_scheduled: i32,
        /// Nodes where it is ready.
        number_ready: i32,
        /// Nodes with the newest template.
        updated_number_scheduled: Option<i32>,
        /// Nodes where it is available.
        number_available: Option<i32>,
        /// Nodes where it is not available.
        number_unavailable: Option<i32>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// How often two templates had one hash.
        collision_count: Option<i32>,
    }
);

view!(
    /// A stateful set.
    StatefulSet, "apps", "v1", "statefulsets", NamespaceResourceScope, {
        /// What is wanted.
        spec: StatefulSetSpec,
        /// What is.
        status: StatefulSetStatus,
    }
);

part!(
    /// A stateful set's spec.
    StatefulSetSpec, {
        /// How many pods; 1 when absent.
        replicas: Option<i32>,
        /// Which pods.
        selector: LabelSelector,
        /// What the pods are made from.
        template: Value,
        /// Claims that each pod gets.
        volume_claim_templates: Vec<Value>,
        /// The headless service that names the pods.
        service_name: Option<String>,
        /// OrderedReady or Parallel.
        pod_management_policy: Option<String>,
        /// How pods are replaced.
        update_strategy: k8s_openapi::api::apps::v1::StatefulSetUpdateStrategy,
        /// How many old revisions stay.
        revision_history_limit: Option<i32>,
        /// Seconds that a ready pod needs to count as available.
        min_ready_seconds: Option<i32>,
        /// Where numbers begin.
        ordinals: Option<k8s_openapi::api::apps::v1::StatefulSetOrdinals>,
        /// What becomes of claims.
        persistent_volume_claim_retention_policy: Option<k8s_openapi::api::apps::v1::StatefulSetPersistentVolumeClaimRetentionPolicy>,
    }
);

part!(
    /// A stateful set's status.
    StatefulSetStatus, {
        /// Pods.
        replicas: i32,
        /// Ready pods.
        ready_replicas: Option<i32>,
        /// Pods of the current revision.
        current_replicas: Option<i32>,
        /// Pods of the update revision.
        updated_replicas: Option<i32>,
        /// Available pods.
        available_replicas: Option<i32>,
        /// The revision that pods had before the update.
        current_revision: Option<String>,
        /// The revision that pods shall have.
        update_revision: Option<String>,
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// How often two templates had one hash.
        collision_count: Option<i32>,
    }
);

view!(
    /// A job.
    Job, "batch", "v1", "jobs", NamespaceResourceScope, {
        /// What is wanted.
        spec: JobSpec,
        /// What is.
        status: JobStatus,
    }
);

part!(
    /// A job's spec.
    JobSpec, {
        /// Pods at the same time; 1 when absent.
        parallelism: Option<i32>,
        /// Pods that must succeed; any when absent.
        completions: Option<i32>,
        /// Seconds it may run.
        active_deadline_seconds: Option<i64>,
        /// Failures before it fails; 6 when absent.
        backoff_limit: Option<i32>,
        /// Failures per index.
        backoff_limit_per_index: Option<i32>,
        /// Which pods.
        selector: LabelSelector,
        /// What the pods are made from.
        template: Value,
        /// Seconds it stays when finished.
        ttl_seconds_after_finished: Option<i32>,
        /// NonIndexed or Indexed.
        completion_mode: Option<String>,
        /// No pods for now.
        suspend: Option<bool>,
        /// Another controller's.
        managed_by: Option<String>,
    }
);

part!(
    /// A job's status.
    JobStatus, {
        /// Complete, Failed, Suspended.
        conditions: Vec<k8s_openapi::api::batch::v1::JobCondition>,
        /// When it began.
        start_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
        /// When it completed.
        completion_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
        /// Pods that run.
        active: Option<i32>,
        /// Pods that run and are ready.
        ready: Option<i32>,
        /// Pods that end.
        terminating: Option<i32>,
        /// Pods that succeeded.
        succeeded: Option<i32>,
        /// Pods that failed.
        failed: Option<i32>,
        /// Indexes that succeeded.
        completed_indexes: Option<String>,
        /// Finished pods that are not counted yet.
        uncounted_terminated_pods: Option<k8s_openapi::api::batch::v1::UncountedTerminatedPods>,
    }
);

view!(
    /// A cron job.
    CronJob, "batch", "v1", "cronjobs", NamespaceResourceScope, {
        /// When and what.
        spec: CronJobSpec,
        /// What ran.
        status: CronJobStatus,
    }
);

part!(
    /// A cron job's spec.
    CronJobSpec, {
        /// Five fields.
        schedule: String,
        /// Where the clock hangs.
        time_zone: Option<String>,
        /// How late a start may be.
        starting_deadline_seconds: Option<i64>,
        /// Allow, Forbid or Replace.
        concurrency_policy: Option<String>,
        /// Not for now.
        suspend: Option<bool>,
        /// What the jobs are made from.
        job_template: Value,
        /// How many stay.
        successful_jobs_history_limit: Option<i32>,
        /// How many stay.
        failed_jobs_history_limit: Option<i32>,
    }
);

part!(
    /// A cron job's status.
    CronJobStatus, {
        /// Jobs that run.
        active: Vec<k8s_openapi::api::core::v1::ObjectReference>,
        /// When one was last started.
        last_schedule_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
        /// When one last succeeded.
        last_successful_time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
    }
);

view!(
    /// A disruption budget.
    PodDisruptionBudget, "policy", "v1", "poddisruptionbudgets", NamespaceResourceScope, {
        /// What is allowed.
        spec: k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec,
        /// How much of it is left.
        status: PodDisruptionBudgetStatus,
    }
);

part!(
    /// A disruption budget's status.
    PodDisruptionBudgetStatus, {
        /// The generation that this status is about.
        observed_generation: Option<i64>,
        /// Pods that the API server evicted and that are not gone yet.
        disrupted_pods: BTreeMap<String, k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
        /// Evictions that are allowed now.
        disruptions_allowed: i32,
        /// Healthy pods.
        current_healthy: i32,
        /// Healthy pods that must be.
        desired_healthy: i32,
        /// Pods that should be.
        expected_pods: i32,
        /// DisruptionAllowed.
        conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    }
);
