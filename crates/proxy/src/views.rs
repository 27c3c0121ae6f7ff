//! Services and endpoint slices with only the fields that rules are made of: the cache of a large cluster stays small.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

/// A Service.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Service {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: ServiceSpec,
    #[serde(default)]
    pub(crate) status: ServiceStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceSpec {
    pub(crate) r#type: String,
    #[serde(rename = "clusterIP")]
    pub(crate) cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    pub(crate) cluster_ips: Vec<String>,
    pub(crate) ports: Vec<Port>,
    #[serde(rename = "externalIPs")]
    pub(crate) external_ips: Vec<String>,
    pub(crate) session_affinity: String,
    pub(crate) session_affinity_config: Option<SessionAffinityConfig>,
    pub(crate) external_traffic_policy: String,
    pub(crate) internal_traffic_policy: String,
    pub(crate) load_balancer_source_ranges: Vec<String>,
    pub(crate) health_check_node_port: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) protocol: String,
    pub(crate) port: u16,
    pub(crate) node_port: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct SessionAffinityConfig {
    #[serde(rename = "clientIP", default)]
    pub(crate) client_ip: ClientIp,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClientIp {
    pub(crate) timeout_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceStatus {
    pub(crate) load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoadBalancer {
    pub(crate) ingress: Vec<Ingress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Ingress {
    pub(crate) ip: String,
    pub(crate) ip_mode: String,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) address_type: String,
    // Go writes null for no endpoints.
    #[serde(default)]
    pub(crate) endpoints: Option<Vec<SliceEndpoint>>,
    #[serde(default)]
    pub(crate) ports: Option<Vec<SlicePort>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SliceEndpoint {
    pub(crate) addresses: Vec<String>,
    pub(crate) conditions: Conditions,
    pub(crate) node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Conditions {
    pub(crate) ready: Option<bool>,
    pub(crate) serving: Option<bool>,
    pub(crate) terminating: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SlicePort {
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) port: Option<u16>,
}

/// An Endpoints object, for API servers that have no endpoint slices.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) subsets: Option<Vec<Subset>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subset {
    pub(crate) addresses: Vec<Address>,
    pub(crate) ports: Vec<SlicePort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Address {
    pub(crate) ip: String,
    pub(crate) node_name: Option<String>,
}

macro_rules! resource {
    ($type:ty, $kind:literal, $group:literal, $version:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind(_: &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> Cow<'_, str> {
                $version.into()
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Service, "Service", "", "v1", "services");
resource!(EndpointSlice, "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices");
resource!(Endpoints, "Endpoints", "", "v1", "endpoints");

/// Annotations and owners are read by nobody here, with one exception.
pub(crate) fn slim(meta: &mut ObjectMeta) {
    meta.owner_references = None;
    meta.finalizers = None;
    meta.creation_timestamp = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|name, _| name == SOURCE_RANGES);
    }
    meta.labels = meta.labels.take().map(|labels| {
        labels.into_iter().filter(|(name, _)| name == SERVICE_NAME).collect::<BTreeMap<_, _>>()
    });
}

/// The label that names a slice's service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The annotation that older manifests use for `loadBalancerSourceRanges`.
pub(crate) const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
