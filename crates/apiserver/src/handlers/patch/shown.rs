//! A patched object as upstream quotes it: what the patch touched has its keys sorted, the rest has the order of the
//! Go types.

use std::collections::HashMap;

use api::decode::{Target, Typed};
use api::json::escape_html;
use api::schema::{self, StructId, Type};
use api::{Object, Value};

use super::kinds::PatchType;

/// The places that a patch looks into.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The patch replaced all below.
    all: bool,
    /// What it put there was read as JSON of any type.
    sorted: bool,
    below: HashMap<String, Touched>,
}

impl Touched {
    fn child(&self, name: &str) -> Option<&Touched> {
        self.below.get(name)
    }

    fn enter(&mut self, name: &str) -> &mut Touched {
        self.below.entry(name.to_owned()).or_default()
    }
}

/// What a patch touches.
pub(super) fn touched(patch_type: PatchType, patch: &Value) -> Touched {
    let mut root = Touched::default();
    if patch_type == PatchType::Json {
        for operation in patch.as_array().into_iter().flatten() {
            for member in ["path", "from"] {
                let Some(path) = operation.get(member).and_then(Value::as_str) else { continue };
                let mut steps: Vec<String> =
                    path.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
                let last = steps.pop();
                let mut at = &mut root;
                for step in &steps {
                    at = at.enter(step);
                }
                if let Some(last) = last {
                    at.enter(&last).all = true;
                }
            }
        }
    } else {
        merge(&mut root, patch);
    }
    root
}

fn merge(at: &mut Touched, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            for (name, value) in fields {
                merge(at.enter(name), value);
            }
        }
        // Lists are taken as they are, after a look for nulls inside.
        _ => (at.all, at.sorted) = (true, true),
    }
}

/// The object as JSON with its fields in the order of the Go types.
pub(super) fn in_order(object: &Value, ty: &Type) -> String {
    let mut out = String::new();
    write(&mut out, object, ty, None);
    out
}

/// The object as text.
pub(super) fn as_go(object: &Value, ty: StructId, touched: &Touched) -> String {
    let mut out = String::new();
    write(&mut out, object, &Type::Struct(ty), Some(touched));
    escape_html(out)
}

/// What a JSON patch makes of the object that was `before`, as text.
pub(super) fn replayed(before: &Value, ty: StructId, patch: &[u8]) -> Option<String> {
    super::ordered::replay(&in_order(before, &Type::Struct(ty)), patch).map(escape_html)
}

fn write(out: &mut String, value: &Value, ty: &Type, touched: Option<&Touched>) {
    match value {
        Value::Object(fields) => write_object(out, fields, ty, touched),
        Value::Array(items) => {
            let any = Type::Any;
            let item_type = match ty {
                Type::List(list) => &list.item,
                _ => &any,
            };
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item, item_type, touched.and_then(|t| t.child(&i.to_string())));
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn write_object(out: &mut String, fields: &Object, ty: &Type, touched: Option<&Touched>) {
    let schemas = schema::builtin();
    let declared = match ty {
        Type::Struct(id) => Some(schemas.get(*id)),
        _ => None,
    };
    let mut names: Vec<&String> = fields.keys().collect();
    if touched.is_none()
        && let Some(of) = declared
    {
        names.sort_by_key(|n| of.position(n).unwrap_or(usize::MAX));
    }
    out.push('{');
    for (i, name) in names.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        let any = Type::Any;
        let below = match ty {
            Type::Struct(_) => schemas.field_type(ty, name).unwrap_or(&any),
            Type::Map(map) => &map.value,
            _ => &any,
        };
        let inner = touched.and_then(|t| t.child(name));
        match inner {
            // Without a type, keys are sorted.
            Some(inner) if inner.sorted => out.push_str(&fields[name.as_str()].to_string()),
            inner => write(out, &fields[name.as_str()], below, inner.filter(|t| !t.all)),
        }
    }
    out.push('}');
}

/// Reads the patched object as the type that it is expected to have; an object that now says that it is of another kind
/// is read as that, as upstream's decoder does.
pub(super) fn decode(
    target: &Target<'_>,
    object: &Value,
    text: &[u8],
    strictly: bool,
) -> Result<Typed, String> {
    for name in ["apiVersion", "kind"] {
        let Some(value) = object.get(name).filter(|v| !v.is_null() && !v.is_string()) else { continue };
        let is = api::decode::kind_of(value);
        return Err(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {is} into Go struct field .{name} of type string"
        ));
    }
    let said = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (said("kind"), said("apiVersion"));
    let expected = api::kinds::group_version(target.group, target.version);
    if (kind == target.kind || kind.is_empty()) && version == expected {
        return api::decode::typed(target.schemas, &Type::Struct(target.ty), text, strictly);
    }
    let (group, of_version) = api::kinds::split_api_version(version);
    let Some(other) = api::kinds::builtin().by_kind(group, of_version, kind) else {
        return Err(format!(
            "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        ));
    };
    let ty = other.ty.map_or(Type::Any, Type::Struct);
    api::decode::typed(target.schemas, &ty, text, strictly)?;
    let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or_default() };
    let own =
        if target.group.is_empty() { "core" } else { target.group.split('.').next().unwrap_or_default() };
    if package == own && kind == target.kind {
        return api::decode::typed(target.schemas, &Type::Struct(target.ty), text, strictly);
    }
    Err(format!("unable to convert object type {package}.{kind} to {own}.{}", target.kind))
}
