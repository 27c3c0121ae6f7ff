//! Sets and maps in lists have each item once (`apiserver/schema/listtype`), and embedded resources are resources
//! (`apiserver/schema/objectmeta`).

use std::collections::HashMap;

use api::field::{Error, ErrorList, Path};
use api::{Object, Value};

use crate::schema::Schema;

/// Items that occur twice in a whole resource.
pub fn validate(schema: &Schema, object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    walk(schema, object, &Path::ROOT, &mut errors);
    errors
}

fn walk(schema: &Schema, value: &Value, path: &Path<'_>, errors: &mut ErrorList) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(property) = schema.properties.get(name) {
                    walk(property, value, &path.child(name), errors);
                } else if let Some(below) = schema.additional.as_ref().and_then(|a| a.schema.as_deref()) {
                    walk(below, value, &path.key(name), errors);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type.as_deref() {
                Some("set") => {
                    let twice = repeated(items);
                    errors.extend(twice.iter().map(|i| Error::duplicate(&path.index(*i), &items[*i])));
                }
                Some("map") => map(schema, items, path, errors),
                _ => {}
            }
            if let Some(below) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    walk(below, item, &path.index(index), errors);
                }
            }
        }
        _ => {}
    }
}

/// The places where an item occurs for the second time.
fn repeated(items: &[Value]) -> Vec<usize> {
    let mut counts: HashMap<&Value, usize> = HashMap::with_capacity(items.len());
    let mut second = |item| {
        let count = counts.entry(item).or_default();
        *count += 1;
        *count == 2
    };
    (0..items.len()).filter(|at| second(&items[*at])).collect()
}

fn map(schema: &Schema, items: &[Value], path: &Path<'_>, errors: &mut ErrorList) {
    if let Some(at) = items.iter().position(|i| !i.is_object() && !i.is_null()) {
        let why = "must be an object for an array of list-type map";
        errors.push(Error::invalid(&path.index(at), &items[at], why));
        return;
    }
    let keys: Vec<Value> = items
        .iter()
        .map(|item| {
            let named = schema.list_map_keys.iter().filter_map(|k| Some((k.clone(), item.get(k)?.clone())));
            named.collect::<Object>().into()
        })
        .collect();
    errors.extend(repeated(&keys).iter().map(|i| Error::duplicate(&path.index(*i), &keys[*i])));
}
