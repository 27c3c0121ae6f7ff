//! Dynamic kubelet configuration of nodes, which is gone (`pkg/registry/core/node/strategy.go`).

use api::Value;

use crate::registry::obj;

/// A node gets no configuration any more; only one that has some may keep or change it.
pub(super) fn drop_config(node: &mut Value, old: Option<&Value>) {
    if old.is_none_or(|old| obj::at(old, "spec.configSource").is_none()) {
        obj::child_mut(node, "spec").remove("configSource");
    }
    if old.is_none() {
        obj::child_mut(node, "status").remove("config");
    }
}

/// The same for the status of the configuration.
pub(super) fn drop_status_config(node: &mut Value, old: &Value) {
    if obj::at(old, "status.config").is_none() {
        obj::child_mut(node, "status").remove("config");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Configuration was stored, and a warning said that it is gone.
    #[test]
    fn configuration_is_dropped_unless_the_node_has_some() {
        let new = json!({"spec": {"configSource": {}}, "status": {"config": {"error": "e"}}});
        let mut created = new.clone();
        drop_config(&mut created, None);
        assert_eq!(created, json!({"spec": {}, "status": {}}));
        let mut kept = new.clone();
        drop_config(&mut kept, Some(&new));
        drop_status_config(&mut kept, &new);
        assert_eq!(kept, new);
    }
}
