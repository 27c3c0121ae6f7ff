//! Writes the descriptions of types and fields, as k8s-openapi's JSON schemas have them, into one compressed table.
//!
//! `src/descriptions.rs` reads it and says how it is laid out. k8s-openapi is a dependency of this script only: the server
//! gets the texts, not the types.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use schemars::SchemaGenerator;
use serde_json::Value;

/// Adds types with everything that they refer to.
macro_rules! add {
    ($to:ident, $($package:path { $($ty:ident),* $(,)? })*) => { $({
        use $package as package;
        $($to.subschema_for::<package::$ty>();)*
    })* };
}

/// Every kind that is served in its newest version; what only older versions have is nowhere in k8s-openapi.
fn types() -> SchemaGenerator {
    let mut types = SchemaGenerator::default();
    add! { types,
        k8s_openapi::api::admissionregistration::v1 {
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        }
        k8s_openapi::api::apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
        k8s_openapi::api::authentication::v1 { SelfSubjectReview, TokenRequest, TokenReview }
        k8s_openapi::api::authorization::v1 {
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        }
        k8s_openapi::api::autoscaling::v1 { HorizontalPodAutoscaler, Scale }
        k8s_openapi::api::autoscaling::v2 { HorizontalPodAutoscaler }
        k8s_openapi::api::batch::v1 { CronJob, Job }
        k8s_openapi::api::certificates::v1 { CertificateSigningRequest }
        k8s_openapi::api::coordination::v1 { Lease }
        k8s_openapi::api::core::v1 {
            Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
            PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service,
            ServiceAccount,
        }
        k8s_openapi::api::discovery::v1 { EndpointSlice }
        k8s_openapi::api::events::v1 { Event }
        k8s_openapi::api::flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
        k8s_openapi::api::networking::v1 { IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR }
        k8s_openapi::api::node::v1 { RuntimeClass }
        k8s_openapi::api::policy::v1 { Eviction, PodDisruptionBudget }
        k8s_openapi::api::rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
        k8s_openapi::api::resource::v1 { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
        k8s_openapi::api::scheduling::v1 { PriorityClass }
        k8s_openapi::api::storage::v1 {
            CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
        }
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 { CustomResourceDefinition }
        k8s_openapi::apimachinery::pkg::apis::meta::v1 {
            APIGroup, APIGroupList, APIResourceList, APIVersions, DeleteOptions, ListMeta, MicroTime, Patch, Status,
        }
        k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 { APIService }
    }
    types
}

/// The texts, each once, and where they belong.
#[derive(Default)]
struct Table {
    texts: String,
    index: String,
    known: HashMap<String, usize>,
}

impl Table {
    /// A line of the index. Most texts are new ones: only older ones are numbered.
    fn line(&mut self, start: &str, name: &str, text: &str) -> std::fmt::Result {
        let next = self.known.len();
        match *self.known.entry(text.to_owned()).or_insert(next) {
            new if new == next => {
                self.texts.push_str(text);
                self.texts.push('\0');
                writeln!(self.index, "{start}{name}")
            }
            old => writeln!(self.index, "{start}{name}={old}"),
        }
    }
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let types = types();
    let definitions: BTreeMap<_, _> = types.definitions().iter().collect();
    let mut table = Table::default();
    for (name, schema) in definitions {
        table.line(" ", name, description(schema))?;
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        // The reader searches by name.
        for (field, schema) in fields.collect::<BTreeMap<_, _>>() {
            table.line("", field, description(schema))?;
        }
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut file = DeflateEncoder::new(std::fs::File::create(out.join("descriptions"))?, Compression::best());
    write!(file, "{}{}", table.texts, table.index)?;
    file.finish()?;
    Ok(())
}
