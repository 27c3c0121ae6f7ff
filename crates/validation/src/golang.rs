//! How Go prints structs: upstream's messages quote whole internal objects as JSON, with the Go field
//! names in the order of the type, and show differences of such texts.
//!
//! `data/gotypes.txt` holds the types, one per line: `package.Type GoName=jsonName:kind …`; `@` marks
//! types with JSON tags of their own (`?`: left out when empty); `-` an embedded struct. Kinds: `s` text,
//! `i` integer, `b` boolean, `f` float, `q` quantity, `x` int-or-string, `t` time, `r` any JSON, `*T`
//! pointer, `[T` list, `{T` map. It is read on the first such message only.

use std::collections::HashMap;
use std::sync::OnceLock;

use api::Value;
use api::json::go_string;

use crate::errs::Shown;
use crate::quantity::{Quantity, QuantityField as _};
use crate::value::{Get, NULL};

static TYPES_TEXT: &str = include_str!("../data/gotypes.txt");

struct GoField {
    shown: &'static str,
    key: &'static str,
    kind: &'static str,
    omit_empty: bool,
}

fn types() -> &'static HashMap<&'static str, Vec<GoField>> {
    static TYPES: OnceLock<HashMap<&'static str, Vec<GoField>>> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut all = HashMap::new();
        for line in TYPES_TEXT.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or("").trim_start_matches('@');
            let fields = words
                .filter_map(|word| {
                    let (names, kind) = word.split_once(':')?;
                    let (shown, key) = names.split_once('=').unwrap_or((names, names));
                    let bare = kind.trim_end_matches('?');
                    Some(GoField { shown, key, kind: bare, omit_empty: bare.len() != kind.len() })
                })
                .collect();
            all.insert(name, fields);
        }
        all
    })
}

/// The fields of a type in its order: Go names and JSON names.
pub(crate) fn fields_of(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    types().get(name).into_iter().flatten().map(|f| (f.shown, f.key))
}

/// A JSON text under construction; objects keep their order.
enum Node {
    Leaf(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// How many bytes of text are still wanted. A value's text ends behind them, between two of its parts.
struct Wanted(usize);

impl Wanted {
    fn leaf(&mut self, text: String) -> Node {
        self.0 = self.0.saturating_sub(text.len());
        Node::Leaf(text)
    }

    fn list<T>(&mut self, items: &[T], mut make: impl FnMut(&T, &mut Wanted) -> Node) -> Node {
        let mut out = Vec::new();
        for item in items {
            if self.0 == 0 {
                break;
            }
            out.push(make(item, self));
        }
        Node::List(out)
    }

    fn map(&mut self, fields: &api::Object, make: impl Fn(&Value, &mut Wanted) -> Node) -> Node {
        let mut out = Vec::new();
        for (key, value) in fields {
            if self.0 == 0 {
                break;
            }
            self.0 = self.0.saturating_sub(key.len());
            out.push((key.clone(), make(value, self)));
        }
        Node::Map(out)
    }
}

fn of_kind(kind: &str, value: &Value, wanted: &mut Wanted) -> Node {
    if let Some(inner) = kind.strip_prefix('*') {
        return if value.is_null() { Node::Leaf("null".into()) } else { of_kind(inner, value, wanted) };
    }
    if let Some(inner) = kind.strip_prefix('[') {
        return match value.as_array() {
            Some(items) => wanted.list(items, |v, wanted| of_kind(inner, v, wanted)),
            None => Node::Leaf("null".into()),
        };
    }
    if let Some(inner) = kind.strip_prefix('{') {
        return match value.as_object() {
            Some(map) => wanted.map(map, |v, wanted| of_kind(inner, v, wanted)),
            None => Node::Leaf("null".into()),
        };
    }
    match kind {
        "s" => wanted.leaf(go_string(value.text())),
        "i" | "f" | "x" if value.is_null() => Node::Leaf("0".into()),
        "b" if value.is_null() => Node::Leaf("false".into()),
        "q" => wanted.leaf(go_string(&Quantity::shown(value))),
        "s?" | "i" | "f" | "x" | "b" | "t" | "r" => any(value, wanted),
        "apiextensions.JSONSchemaPropsOrBool" => {
            either(value, "Allows", Node::Leaf(any_bool(value)), false, wanted)
        }
        "apiextensions.JSONSchemaPropsOrArray" => {
            let schemas = of_kind(SCHEMAS, value, wanted);
            either(value, "JSONSchemas", schemas, true, wanted)
        }
        name => Node::Map(struct_fields(name, value, wanted)),
    }
}

const SCHEMAS: &str = "[apiextensions.JSONSchemaProps";

fn any_bool(value: &Value) -> String {
    value.as_bool().unwrap_or(true).to_string()
}

/// A union of a schema and something else: Go has a field for each.
fn either(value: &Value, other: &str, shown: Node, schema_first: bool, wanted: &mut Wanted) -> Node {
    let schema = if value.is_object() { value } else { &NULL };
    let schema = ("Schema".to_owned(), of_kind("*apiextensions.JSONSchemaProps", schema, wanted));
    let other = (other.to_owned(), shown);
    Node::Map(if schema_first { vec![schema, other] } else { vec![other, schema] })
}

fn struct_fields(name: &str, value: &Value, wanted: &mut Wanted) -> Vec<(String, Node)> {
    let mut out = Vec::new();
    for field in types().get(name).map_or(&[][..], Vec::as_slice) {
        if wanted.0 == 0 {
            break;
        }
        if field.shown == "-" {
            // Object metadata is a field of its own on the wire.
            let inner = if field.kind == "metav1.ObjectMeta" { value.sub("metadata") } else { value };
            out.extend(struct_fields(field.kind, inner, wanted));
            continue;
        }
        if name == "core.PodSpec" && field.key == "securityContext" {
            out.push((field.shown.to_owned(), pod_security_context(value, wanted)));
            continue;
        }
        let v = value.sub(field.key);
        if field.omit_empty && is_zero(v) {
            continue;
        }
        wanted.0 = wanted.0.saturating_sub(field.shown.len());
        out.push((field.shown.to_owned(), of_kind(field.kind, v, wanted)));
    }
    out
}

/// The internal type keeps the host namespaces in the security context, which always exists.
fn pod_security_context(spec: &Value, wanted: &mut Wanted) -> Node {
    const FROM_SPEC: &[&str] = &["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"];
    let context = spec.sub("securityContext");
    let fields = types().get("core.PodSecurityContext").map_or(&[][..], Vec::as_slice);
    Node::Map(
        fields
            .iter()
            .map(|f| {
                let from = if FROM_SPEC.contains(&f.key) { spec } else { context };
                (f.shown.to_owned(), of_kind(f.kind, from.sub(f.key), wanted))
            })
            .collect(),
    )
}

/// Whether Go's `omitempty` leaves a value out.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

fn any(value: &Value, wanted: &mut Wanted) -> Node {
    match value {
        Value::String(s) => wanted.leaf(go_string(s)),
        Value::Array(items) => wanted.list(items, any),
        Value::Object(map) => wanted.map(map, any),
        Value::Number(n) if n.is_f64() => wanted.leaf(n.as_f64().unwrap_or_default().to_string()),
        other => wanted.leaf(other.to_string()),
    }
}

fn compact(node: &Node, out: &mut String) {
    match node {
        Node::Leaf(text) => out.push_str(text),
        Node::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                compact(item, out);
            }
            out.push(']');
        }
        Node::Map(fields) => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&go_string(key));
                out.push(':');
                compact(item, out);
            }
            out.push('}');
        }
    }
}

fn pretty(node: &Node, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    match node {
        Node::List(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                pretty(item, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        Node::Map(fields) if !fields.is_empty() => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                out.push_str(&go_string(key));
                out.push_str(": ");
                pretty(item, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        other => compact(other, out),
    }
}

/// Any JSON as Go's `json.Marshal` writes it.
pub(crate) fn json(value: &Value) -> String {
    json_within(value, usize::MAX)
}

/// As [`json`], and not much more than `max` bytes of it.
pub(crate) fn json_within(value: &Value, max: usize) -> String {
    let mut out = String::new();
    compact(&any(value, &mut Wanted(max)), &mut out);
    out
}

/// A value of a kind (see the module's text) as Go writes the internal type.
pub(crate) fn typed(kind: &str, value: &Value) -> String {
    typed_within(kind, value, usize::MAX)
}

fn typed_within(kind: &str, value: &Value, max: usize) -> String {
    let mut out = String::new();
    compact(&of_kind(kind, value, &mut Wanted(max)), &mut out);
    out
}

/// A value of a kind, as an error quotes it.
pub(crate) struct Typed<'a> {
    kind: &'a str,
    value: &'a Value,
}

/// A value of a kind, to be quoted.
pub(crate) fn shown<'a>(kind: &'a str, value: &'a Value) -> Typed<'a> {
    Typed { kind, value }
}

impl Shown for Typed<'_> {
    fn go_syntax(&self) -> Option<String> {
        syntax::of(self.kind, self.value)
    }

    fn shown(&self, max: usize) -> String {
        typed_within(self.kind, self.value, max)
    }
}

/// Upstream's `diff.Diff` of two internal objects.
pub(crate) fn diff(kind: &str, old: &Value, new: &Value) -> String {
    let text = |value: &Value| {
        let mut out = String::new();
        pretty(&of_kind(kind, value, &mut Wanted(usize::MAX)), 0, &mut out);
        out
    };
    unified(&text(old), &text(new))
}

/// The first error of Go's `json.Unmarshal` of a text into a map, if it has one.
pub(crate) fn unmarshal_map_error(data: &[u8]) -> Option<String> {
    if let Err(why) = api::json::check(data) {
        return Some(why);
    }
    let kind = match data.trim_ascii_start().first()? {
        b'{' | b'n' => return None,
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        _ => "number",
    };
    Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
}

/// A `Value` at a path of field names; null when absent.
pub(crate) fn dig<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |v, name| v.get(*name).unwrap_or(&NULL))
}

mod difflib;
pub(crate) mod syntax;
use difflib::unified;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as j;

    #[test]
    fn structs_print_with_go_names_and_zero_values() {
        let strategy = j!({"type": "X"});
        assert_eq!(typed("apps.DeploymentStrategy", &strategy), r#"{"Type":"X","RollingUpdate":null}"#);
        let selector = j!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["<"]}], "matchLabels": {"b": "c"}});
        assert_eq!(
            typed("*metav1.LabelSelector", &selector),
            r#"{"matchLabels":{"b":"c"},"matchExpressions":[{"key":"a","operator":"In","values":["\u003c"]}]}"#
        );
    }

    #[test]
    fn differences_are_unified_diffs() {
        let old = j!({"nfs": {"server": "a", "path": "/x"}});
        let new = j!({"nfs": {"server": "b", "path": "/x"}});
        let text = diff("core.PersistentVolumeSource", &old, &new);
        assert!(
            text.starts_with("@@ -5,7 +5,7 @@\n  \"Glusterfs\": null,\n")
                || text.contains("-  \"Server\": \"a\",\n+  \"Server\": \"b\",\n")
        );
    }

    #[test]
    fn host_namespaces_belong_to_the_internal_security_context() {
        let text = typed("core.PodSpec", &j!({"hostNetwork": true}));
        assert!(text.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false"#));
    }
}
