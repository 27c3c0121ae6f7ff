//! API services: upstream's `kube-aggregator/pkg/registry/apiservice/strategy.go`.

use api::Value;
use serde_json::json;

use crate::registry::obj;

/// The status of a service that this server answers for itself: available at once
/// (`NewLocalAvailableAPIServiceCondition`).
pub(crate) fn local_status() -> Value {
    json!({"conditions": [{
        "type": "Available", "status": "True", "lastTransitionTime": obj::now(), "reason": "Local",
        "message": "Local APIServices are always available",
    }]})
}

/// What clients send as the status is not looked at.
pub(super) fn initial_status(object: &mut Value) {
    let is_local = obj::at(object, "spec.service").is_none_or(Value::is_null);
    object["status"] = if is_local { local_status() } else { json!({}) };
}
