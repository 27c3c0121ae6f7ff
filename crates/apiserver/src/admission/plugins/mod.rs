//! The plug-ins whose decisions are in the crate `admission`: here they get the objects that they look at.

pub(crate) mod lookup;

pub mod certificate_subject_restriction;
pub mod default_class;
pub mod default_toleration_seconds;
pub mod limit_ranger;
pub mod persistent_volume_claim_resize;
pub mod pod_topology_labels;
pub mod priority;
pub mod resource_quota;
pub mod runtime_class;
pub mod storage_object_in_use_protection;
pub mod taint_nodes_by_condition;

pub use lookup::Recent;
pub(crate) use lookup::kind as fresh;

use api::Value;
use api::status::ApiError;

use super::{Attributes, Plugin};
use crate::registry::obj;

/// The plug-in of this name, if it is one of these.
pub fn make(name: &str) -> Option<Box<dyn Plugin>> {
    Some(match name {
        "LimitRanger" => Box::new(limit_ranger::LimitRanger),
        "TaintNodesByCondition" => Box::new(taint_nodes_by_condition::TaintNodesByCondition),
        "Priority" => Box::new(priority::Priority),
        "DefaultTolerationSeconds" => Box::new(default_toleration_seconds::DefaultTolerationSeconds),
        "DefaultStorageClass" => Box::new(default_class::STORAGE),
        "StorageObjectInUseProtection" => {
            Box::new(storage_object_in_use_protection::StorageObjectInUseProtection)
        }
        "PersistentVolumeClaimResize" => {
            Box::new(persistent_volume_claim_resize::PersistentVolumeClaimResize)
        }
        "RuntimeClass" => Box::new(runtime_class::RuntimeClass),
        "DefaultIngressClass" => Box::new(default_class::INGRESS),
        "CertificateSubjectRestriction" => {
            Box::new(certificate_subject_restriction::CertificateSubjectRestriction)
        }
        "PodTopologyLabels" => Box::new(pod_topology_labels::PodTopologyLabels),
        "ResourceQuota" => Box::new(resource_quota::ResourceQuota::default()),
        _ => return None,
    })
}

/// `admission.NewForbidden` for an object whose name may still have to be generated.
fn forbidden(attributes: &Attributes<'_>, object: Option<&Value>, why: &str) -> ApiError {
    let of = |field| object.map(|o| obj::meta_text(o, field)).unwrap_or_default();
    let names = [attributes.name, of("name"), of("generateName"), "Unknown"];
    let name = names.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    ApiError::forbidden(attributes.resource.group_resource(), name, why)
}
