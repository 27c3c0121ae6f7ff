//! What upstream's converter from untyped maps says of a value that has not the shape of its field
//! (`runtime.DefaultUnstructuredConverter`). Strategic merge patches go through it, the other patches through JSON.

use api::Value;
use api::schema::{self, Type};

/// Go's kind of an untyped value; `None` for null, which fits everywhere.
fn kind(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    })
}

/// Cuts numbers to the size of their fields, as Go's conversion of integers does.
pub(in crate::handlers) fn cut(value: &mut Value, ty: &Type) {
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => {
            let of = schema::builtin().get(*id);
            for (name, value) in fields {
                if let Some(field) = of.field(name) {
                    cut(value, &field.ty);
                }
            }
        }
        (Type::Map(map), Value::Object(entries)) => entries.values_mut().for_each(|v| cut(v, &map.value)),
        (Type::List(list), Value::Array(items)) => items.iter_mut().for_each(|v| cut(v, &list.item)),
        (Type::Int32, value @ Value::Number(_)) => {
            if let Some(number) = value.as_i64() {
                // The upper half goes.
                #[allow(clippy::cast_possible_truncation)]
                let low = number as i32;
                *value = low.into();
            }
        }
        _ => {}
    }
}

/// The first misfit, in the order of the Go types. Types that read themselves from JSON are left to the decoder.
pub(in crate::handlers) fn misfit(value: &Value, ty: &Type) -> Option<String> {
    let found = kind(value)?;
    match (ty, value) {
        (Type::Struct(id), Value::Object(fields)) => {
            let declared = &schema::builtin().get(*id).fields;
            declared.iter().find_map(|f| misfit(fields.get(f.name.as_ref())?, &f.ty))
        }
        (Type::Struct(_), _) => Some(format!("cannot restore struct from: {found}")),
        (Type::Map(map), Value::Object(entries)) => entries.values().find_map(|v| misfit(v, &map.value)),
        (Type::Map(_), _) => Some(format!("cannot restore map from {found}")),
        (Type::List(list), Value::Array(items)) => items.iter().find_map(|v| misfit(v, &list.item)),
        (Type::List(_), _) => Some(format!("cannot restore slice from {found}")),
        (Type::Bytes, Value::String(_) | Value::Array(_)) => None,
        (Type::Bytes, _) => Some(format!("cannot restore slice from {found}")),
        (Type::IntOrString, Value::Number(n)) if i32::try_from(n.as_i64().unwrap_or(i64::MAX)).is_err() => {
            Some(format!("json: cannot unmarshal number {n} into Go value of type int32"))
        }
        (Type::String(_), Value::Number(n)) if !n.is_f64() => {
            Some(format!("cannot convert int64 to {}", schema::builtin().go_type(ty)))
        }
        (Type::String(_), _) if !value.is_string() => Some("unrecognized type: string".to_owned()),
        (Type::Time | Type::MicroTime, _) if !value.is_string() => {
            let is = api::decode::kind_of(value);
            Some(format!("json: cannot unmarshal {is} into Go value of type string"))
        }
        (Type::Boolean, _) if !value.is_boolean() => Some("unrecognized type: bool".to_owned()),
        (Type::Int32 | Type::Int64, Value::Number(n)) if n.as_f64().is_some_and(|f| f.fract() != 0.0) => {
            Some(format!("cannot convert float64 to {}", schema::builtin().go_type(ty)))
        }
        (Type::Int32, _) if !value.is_number() => Some("unrecognized type: int32".to_owned()),
        (Type::Int64, _) if !value.is_number() => Some("unrecognized type: int64".to_owned()),
        _ => None,
    }
}

/// What the converter says where the decoder says `why`: bytes it reads through JSON.
pub(in crate::handlers) fn told(why: String) -> String {
    if why.starts_with("illegal base64 data") { format!("error decoding from json: {why}") } else { why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The decoder's words for JSON were given instead.
    #[test]
    fn a_strategic_patch_that_does_not_fit_is_refused_in_the_converters_words() {
        let ty = Type::Struct(schema::builtin().by_name("io.k8s.api.core.v1.Pod").unwrap());
        let of = |spec: Value| misfit(&json!({"spec": spec}), &ty);
        assert_eq!(of(json!({"containers": {"name": "c"}})).unwrap(), "cannot restore slice from map");
        assert_eq!(of(json!([])).unwrap(), "cannot restore struct from: slice");
        assert_eq!(of(json!({"nodeSelector": "a"})).unwrap(), "cannot restore map from string");
        assert_eq!(of(json!({"priority": "a"})).unwrap(), "unrecognized type: int32");
        assert_eq!(of(json!({"nodeName": 1})).unwrap(), "cannot convert int64 to string");
        assert_eq!(
            of(json!({"terminationGracePeriodSeconds": 1.5})).unwrap(),
            "cannot convert float64 to int64"
        );
        assert_eq!(of(json!({"terminationGracePeriodSeconds": 1e20})), None);
        assert_eq!(of(json!({"nodeName": null, "containers": [{"name": "a"}], "hostNetwork": true})), None);
    }

    #[test]
    fn bytes_are_slices_and_ports_read_themselves() {
        let of = |name: &str, object: Value| {
            misfit(&object, &Type::Struct(schema::builtin().by_name(name).unwrap()))
        };
        let secret = json!({"data": {"a": {"b": "c"}}});
        assert_eq!(of("io.k8s.api.core.v1.Secret", secret).unwrap(), "cannot restore slice from map");
        assert_eq!(of("io.k8s.api.core.v1.Secret", json!({"data": {"a": "Yg=="}})), None);
        let budget = |least: Value| json!({"spec": {"minAvailable": least}});
        let name = "io.k8s.api.policy.v1.PodDisruptionBudget";
        assert_eq!(
            of(name, budget(json!(1.5))).unwrap(),
            "json: cannot unmarshal number 1.5 into Go value of type int32"
        );
        assert_eq!(of(name, budget(json!("50%"))).or(of(name, budget(json!(1)))), None);
    }

    /// They were refused.
    #[test]
    fn numbers_are_cut_to_the_size_of_their_fields() {
        let ty = Type::Struct(schema::builtin().by_name("io.k8s.api.core.v1.Pod").unwrap());
        let mut pod = json!({"spec": {"priority": 2147483648_i64, "activeDeadlineSeconds": 2147483648_i64}});
        cut(&mut pod, &ty);
        let expected =
            json!({"spec": {"priority": -2147483648_i64, "activeDeadlineSeconds": 2147483648_i64}});
        assert_eq!(pod, expected);
    }
}
