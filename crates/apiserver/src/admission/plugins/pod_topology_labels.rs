//! PodTopologyLabels: a pod that gets a node gets the labels that say where the node is.

use api::Value;
use api::status::ApiError;
use async_trait::async_trait;
use serde_json::json;

use super::super::{Attributes, Plugin};
use super::lookup;
use crate::Server;
use crate::registry::obj;

/// See the module.
pub struct PodTopologyLabels;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        if !attributes.resource.is("", "pods") {
            return Ok(());
        }
        let node = match attributes.subresource {
            "" => obj::text_at(object, "spec.nodeName"),
            "binding" if obj::text_at(object, "target.kind") == "Node" => obj::text_at(object, "target.name"),
            _ => "",
        };
        if node.is_empty() {
            return Ok(());
        }
        let Some(item) = lookup::kind(server, "", "nodes").await?.get(node) else { return Ok(()) };
        for key in LABELS {
            let Some(value) = item.label(key) else { continue };
            let labels = obj::metadata_mut(object).entry("labels").or_insert_with(|| json!({}));
            labels[key] = value.into();
        }
        Ok(())
    }
}
