//! Names for pod templates.

use serde_json::Value;

/// The label that tells pods of different templates apart.
pub(crate) const LABEL: &str = "pod-template-hash";

/// The hash of a template, as it stands in names and labels. `collisions` makes another one of the same template.
///
/// Upstream prints the Go struct and hashes that; ours hashes the canonical JSON with the same function (FNV-1a, 32 bits)
/// and writes it with the same alphabet. So names look alike but are not the same; nothing depends on that, because replica
/// sets are found by comparing templates.
pub(crate) fn of(template: &Value, collisions: i32) -> String {
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    add(canonical(template).to_string().as_bytes());
    if collisions != 0 {
        add(&(collisions as u64).to_le_bytes());
    }
    component_base::rand::safe_encode(&hash.to_string())
}

/// Whether two templates make the same pods: all is equal but the hash label and ways to write nothing.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    canonical(a) == canonical(b)
}

/// The template without the hash label, without nulls and empty lists.
fn canonical(template: &Value) -> Value {
    let mut copy = template.clone();
    if let Some(labels) = copy.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(LABEL);
    }
    if let Some(meta) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("creationTimestamp");
        meta.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    strip(&mut copy);
    copy
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_templates_have_equal_hashes() {
        let a = json!({"metadata": {"creationTimestamp": null, "labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "env": []}]}});
        let b = json!({"metadata": {"labels": {"app": "x", "pod-template-hash": "abc"}}, "spec": {"containers": [{"name": "c"}]}});
        assert!(equal(&a, &b));
        assert_eq!(of(&a, 0), of(&b, 0));
        assert_ne!(of(&a, 0), of(&a, 1));
        let c = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "d"}]}});
        assert!(!equal(&a, &c));
        let hash = of(&c, 0);
        assert!(
            (8..=10).contains(&hash.len())
                && hash.bytes().all(|c| component_base::rand::ALPHABET.contains(&c))
        );
    }
}
