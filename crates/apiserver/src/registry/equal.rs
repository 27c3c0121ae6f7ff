//! Semantic equality: upstream's `apiequality.Semantic.DeepEqual` over the Go values that JSON stands for.

use api::schema::{Schemas, Type};
use api::{Object, Value};

/// How Go compares.
#[derive(Clone, Copy)]
pub(super) struct Equality<'a> {
    pub(super) schemas: &'a Schemas,
    /// Whether lists and maps that are nil and such that are empty are the same: to `Semantic.DeepEqual` they are, to
    /// `reflect.DeepEqual`, which a few strategies call, they are not.
    pub(super) nil_is_empty: bool,
}

impl Equality<'_> {
    /// Whether two values of a type are the same. A pointer to an empty struct is not nil.
    pub(super) fn same(self, ty: &Type, a: Option<&Value>, b: Option<&Value>) -> bool {
        let set = |v: &&Value| !v.is_null();
        match (a.filter(set), b.filter(set)) {
            (None, None) => true,
            (Some(a), Some(b)) => a == b || self.same_set(ty, a, b),
            (Some(one), None) | (None, Some(one)) => {
                self.nil_is_empty
                    && match one {
                        Value::Array(list) => matches!(ty, Type::List(_)) && list.is_empty(),
                        Value::Object(map) => matches!(ty, Type::Map(_)) && map.is_empty(),
                        Value::String(text) => matches!(ty, Type::Bytes) && text.is_empty(),
                        _ => false,
                    }
            }
        }
    }

    fn same_set(self, ty: &Type, a: &Value, b: &Value) -> bool {
        match (ty, a, b) {
            (Type::Struct(id), Value::Object(a), Value::Object(b)) => {
                let of = self.schemas.get(*id);
                names(a, b).all(|name| match of.field(name) {
                    Some(field) => self.same(&field.ty, a.get(name), b.get(name)),
                    None => a.get(name) == b.get(name),
                })
            }
            (Type::Map(map), Value::Object(a), Value::Object(b)) => {
                let alike = |(k, v)| b.get(k).is_some_and(|w| self.same(&map.value, Some(v), Some(w)));
                a.len() == b.len() && a.iter().all(alike)
            }
            (Type::List(list), Value::Array(a), Value::Array(b)) => {
                let alike = |(a, b)| self.same(&list.item, Some(a), Some(b));
                a.len() == b.len() && a.iter().zip(b).all(alike)
            }
            _ => false,
        }
    }
}

/// The keys of both.
fn names<'a>(a: &'a Object, b: &'a Object) -> impl Iterator<Item = &'a String> {
    a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)))
}

#[cfg(test)]
mod tests {
    use api::schema::builtin;
    use serde_json::json;

    use super::*;

    fn pod_spec_to(nil_is_empty: bool, a: Value, b: Value) -> bool {
        let ty = Type::Struct(builtin().by_name("io.k8s.api.core.v1.PodSpec").unwrap());
        Equality { schemas: builtin(), nil_is_empty }.same(&ty, Some(&a), Some(&b))
    }

    fn pod_spec(a: Value, b: Value) -> bool {
        pod_spec_to(true, a, b)
    }

    #[test]
    fn nil_and_empty_lists_and_maps_are_the_same() {
        assert!(pod_spec(json!({"nodeSelector": {}, "volumes": []}), json!({"volumes": null})));
        assert!(!pod_spec(json!({"nodeSelector": {"a": "b"}}), json!({})));
        assert!(!pod_spec_to(false, json!({"volumes": []}), json!({})));
    }

    #[test]
    fn a_pointer_to_nothing_is_not_nil() {
        assert!(!pod_spec(json!({"dnsConfig": {}}), json!({})));
        assert!(pod_spec(json!({"dnsConfig": {"searches": []}}), json!({"dnsConfig": {}})));
    }
}
