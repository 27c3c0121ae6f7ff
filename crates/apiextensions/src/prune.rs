//! Fields that the schema does not know go away (`apiserver/schema/pruning`), and nulls that stand for nothing.

use api::Value;

use crate::schema::Schema;

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes what the schema of a whole resource does not know; gives the paths, sorted. `apiVersion`, `kind` and
/// `metadata` stay.
pub fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut walk = Walk { path: String::new(), unknown: Vec::new() };
    walk.value(object, Some(schema), true);
    walk.unknown.sort();
    walk.unknown
}

/// Removes what a schema below the root does not know.
pub(crate) fn prune_part(value: &mut Value, schema: &Schema) {
    Walk { path: String::new(), unknown: Vec::new() }.value(value, Some(schema), schema.embedded);
}

struct Walk {
    path: String,
    unknown: Vec<String>,
}

impl Walk {
    fn below(&mut self, step: &str, visit: impl FnOnce(&mut Walk)) {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        visit(self);
        self.path.truncate(length);
    }

    fn value(&mut self, value: &mut Value, schema: Option<&Schema>, embedded: bool) {
        let keeps = schema.is_some_and(|s| s.preserve_unknown);
        match value {
            Value::Object(fields) => {
                let at_root = self.path.is_empty();
                let mut unknown = Vec::new();
                for (name, value) in fields.iter_mut() {
                    if embedded && META.contains(&name.as_str()) {
                        continue;
                    }
                    let known = schema.and_then(|s| match s.properties.get(name) {
                        Some(property) => Some(Some(property)),
                        None => s.additional.as_ref().map(|a| a.schema.as_deref()),
                    });
                    match known {
                        Some(below) => self.below(name, |walk| {
                            walk.value(value, below, below.is_some_and(|s| s.embedded));
                        }),
                        None if keeps => {}
                        None => unknown.push(name.clone()),
                    }
                }
                for name in unknown {
                    fields.remove(&name);
                    if !at_root || !META.contains(&name.as_str()) {
                        self.below(&name, |walk| walk.unknown.push(walk.path.clone()));
                    }
                }
            }
            Value::Array(items) => {
                let below = schema.and_then(|s| s.items.as_deref());
                if keeps && below.is_none() {
                    return;
                }
                for (index, item) in items.iter_mut().enumerate() {
                    self.below(&format!("[{index}]"), |walk| {
                        walk.value(item, below, below.is_some_and(|s| s.embedded));
                    });
                }
            }
            _ => {}
        }
    }
}

/// Removes nulls from fields that may not be null and have no default (`PruneNonNullableNullsWithoutDefaults`).
pub fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let drops = |s: &Schema| s.refuses_null() && s.default.is_none();
                !(value.is_null() && schema.field(name).is_some_and(drops))
            });
            for (name, value) in fields {
                if let Some(below) = schema.field(name) {
                    drop_nulls(value, below);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &schema.items {
                items.iter_mut().for_each(|item| drop_nulls(item, below));
            }
        }
        _ => {}
    }
}

/// Fills in defaults (`apiserver/schema/defaulting`).
pub fn default(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                let absent = fields.get(name).is_none_or(|v| v.is_null() && property.refuses_null());
                if absent {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                let Some(below) = schema.field(name) else { continue };
                if !schema.properties.contains_key(name) && value.is_null() && below.refuses_null() {
                    *value = below.default.clone().unwrap_or_default();
                }
                default(value, below);
            }
        }
        Value::Array(items) => {
            let Some(below) = &schema.items else { return };
            for item in items {
                if item.is_null() && below.refuses_null() {
                    *item = below.default.clone().unwrap_or_default();
                }
                default(item, below);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::parse(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string", "default": "x"},
            "l": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object", "properties": {"k": {"type": "string"}}}}},
            "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"v": {"type": "string"}}}},
        }}}}))
    }

    #[test]
    fn unknown_fields_go_and_are_named() {
        let mut object = json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"}, "top": 1, "spec": {
            "l": [{"y": "1", "z": 2}], "free": {"any": 1, "known": {"k": "1", "no": 1}}, "m": {"key": {"v": "1", "w": 1}}}});
        let unknown = prune(&mut object, &schema());
        assert_eq!(unknown, ["spec.free.known.no", "spec.l[0].z", "spec.m.key.w", "top"]);
        assert_eq!(object["spec"]["free"]["any"], 1);
        assert_eq!(object["metadata"]["name"], "n");
    }

    #[test]
    fn defaults_fill_absent_fields_and_nulls() {
        let mut object = json!({"spec": {"a": null, "m": null}});
        drop_nulls(&mut object, &schema());
        default(&mut object, &schema());
        assert_eq!(object, json!({"spec": {"a": "x"}}));
    }
}
