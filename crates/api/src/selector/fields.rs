//! Field selectors: which fields each kind supports, under which names per version, and matching.

use std::borrow::Cow;
use std::fmt;

use crate::Value;
use crate::kinds::Resource;

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, in the hub's naming.
    pub field: String,
    /// The value to compare with.
    pub value: String,
    /// `=` when true, else `!=`.
    pub equals: bool,
}

/// Conditions that must all hold; none hold for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// Fields beyond `metadata.name` and `metadata.namespace`, per group and plural: upstream's
/// `AddFieldLabelConversionFunc` and `ToSelectableFields`.
const SUPPORTED: &[(&str, &str, &[&str])] = &[
    (
        "",
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    (
        "",
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("", "nodes", &["spec.unschedulable"]),
    ("", "namespaces", &["status.phase"]),
    ("", "secrets", &["type"]),
    ("", "services", &["spec.clusterIP", "spec.type"]),
    ("", "replicationcontrollers", &["status.replicas"]),
    ("batch", "jobs", &["status.successful"]),
    ("certificates.k8s.io", "certificatesigningrequests", &["spec.signerName"]),
    ("resource.k8s.io", "resourceslices", &["spec.nodeName", "spec.driver"]),
];

/// Kinds whose refusal has a text of its own, though they support nothing more than others.
const OWN_TEXT: &[(&str, &str)] = &[("apps", "statefulsets"), ("batch", "cronjobs")];

/// The fields beyond name and namespace that selectors may use for a kind, in the hub's naming.
pub fn supported_fields(group: &str, plural: &str) -> &'static [&'static str] {
    SUPPORTED.iter().find(|(g, p, _)| *g == group && *p == plural).map_or(&[], |(_, _, fields)| fields)
}

/// The hub's name for a field of a version, or upstream's refusal.
fn hub_field(resource: &Resource, label: &str, extra: Option<&[String]>) -> Result<String, String> {
    let kind = &resource.kind;
    if let Some(extra) = extra {
        let known = label == "metadata.name"
            || (kind.namespaced && label == "metadata.namespace")
            || extra.iter().any(|field| field == label);
        return if known { Ok(label.to_owned()) } else { Err(format!("field label not supported: {label}")) };
    }
    let own = supported_fields(&kind.group, &kind.plural);
    if resource.group == "events.k8s.io" {
        return match label {
            "reason" | "type" | "metadata.name" | "metadata.namespace" => Ok(label.to_owned()),
            "reportingController" => Ok("reportingComponent".to_owned()),
            _ => match label.strip_prefix("regarding.") {
                Some(field) if own.iter().any(|f| f.strip_prefix("involvedObject.") == Some(field)) => {
                    Ok(format!("involvedObject.{field}"))
                }
                _ => Err(format!("field label not supported: {label}")),
            },
        };
    }
    // Nodes and some cluster-wide kinds know no namespace; the namespace never matters for the others.
    let cluster_strict = !kind.namespaced && !own.is_empty();
    match label {
        "metadata.name" => return Ok(label.to_owned()),
        "metadata.namespace" if !cluster_strict => return Ok(label.to_owned()),
        "spec.host" if kind.plural == "pods" && kind.group.is_empty() => {
            return Ok("spec.nodeName".to_owned());
        }
        "status.successful"
            if resource.version != "v1" && OWN_TEXT.contains(&(&kind.group, &kind.plural)) =>
        {
            return Ok(label.to_owned());
        }
        _ if own.contains(&label) => return Ok(label.to_owned()),
        _ => {}
    }
    let quoted = crate::field::go_quote(label);
    match (&*kind.group, &*kind.plural) {
        ("batch", "jobs") => Err(format!("field label {quoted} not supported for Job")),
        ("batch", "cronjobs") if resource.version != "v1" => {
            Err(format!("field label {quoted} not supported for \"CronJob\""))
        }
        ("apps", "statefulsets") if resource.version != "v1" => {
            Err(format!("field label not supported for apps{}.StatefulSet: {label}", resource.version))
        }
        ("resource.k8s.io", "resourceslices") => Err(format!(
            "field label not supported for {}, Kind=ResourceSlice: {label}",
            resource.group_version()
        )),
        _ if !own.is_empty() => Err(format!("field label not supported: {label}")),
        _ => Err(format!(
            "{quoted} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )),
    }
}

/// The text of a selectable field of an object (in the hub version); empty where it is absent.
pub fn selectable_field<'a>(object: &'a Value, field: &str) -> Cow<'a, str> {
    let at = |path: &str| path.split('.').try_fold(object, |value, key| value.get(key));
    let text = |value: Option<&'a Value>| match value {
        Some(Value::String(s)) => Cow::Borrowed(s.as_str()),
        Some(Value::Bool(b)) => Cow::Borrowed(if *b { "true" } else { "false" }),
        Some(Value::Number(n)) => Cow::Owned(n.to_string()),
        _ => Cow::Borrowed(""),
    };
    match field {
        "spec.unschedulable" | "spec.hostNetwork" => match at(field) {
            Some(Value::Bool(true)) => Cow::Borrowed("true"),
            _ => Cow::Borrowed("false"),
        },
        "status.successful" => numeric(at("status.succeeded")),
        "status.replicas" => numeric(at(field)),
        "status.podIP" => {
            let first = at("status.podIPs").and_then(|list| list.get(0)).and_then(|ip| ip.get("ip"));
            text(first.or_else(|| at(field)))
        }
        "reportingComponent" => text(object.get("reportingComponent")),
        "source" => match text(at("source.component")) {
            component if component.is_empty() => text(object.get("reportingComponent")),
            component => component,
        },
        _ => text(at(field)),
    }
}

/// Where [`selectable_field`] looks for a field.
pub fn field_paths(field: &'static str) -> Vec<&'static str> {
    match field {
        "status.successful" => vec!["status.succeeded"],
        "status.podIP" => vec!["status.podIPs", field],
        "source" => vec!["source.component", "reportingComponent"],
        _ => vec![field],
    }
}

fn numeric(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        Some(Value::Number(n)) => Cow::Owned(n.to_string()),
        _ => Cow::Borrowed("0"),
    }
}

impl FieldSelector {
    /// Selects everything.
    pub fn everything() -> FieldSelector {
        FieldSelector::default()
    }

    /// Parses the text of a `fieldSelector` query and renames its fields to the hub's.
    pub fn parse(text: &str, resource: &Resource) -> Result<FieldSelector, String> {
        FieldSelector::parse_with(text, resource, None)
    }

    /// The same with the fields of a custom resource (`selectableFields` of its version, without the leading dot).
    pub fn parse_with(
        text: &str,
        resource: &Resource,
        extra: Option<&[String]>,
    ) -> Result<FieldSelector, String> {
        let mut terms = FieldSelector::parse_raw(text)?.terms;
        for term in &mut terms {
            term.field = hub_field(resource, &term.field, extra)?;
        }
        Ok(FieldSelector { terms })
    }

    /// Parses without a check of field names (`fields.ParseSelector`).
    pub fn parse_raw(text: &str) -> Result<FieldSelector, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|p| !p.is_empty()) {
            let at = part.find(['!', '=']).and_then(|first| {
                // A `!` counts only before `=`.
                (first..part.len()).find_map(|i| {
                    let rest = part.get(i..)?;
                    ["!=", "==", "="].iter().find(|op| rest.starts_with(**op)).map(|op| (i, *op))
                })
            });
            let Some((at, operator)) = at else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let value = unescape(&part[at + operator.len()..])?;
            // A term of nothing is everything (`Transform`).
            if at > 0 || !value.is_empty() {
                terms.push(FieldTerm { field: part[..at].to_owned(), value, equals: operator != "!=" });
            }
        }
        Ok(FieldSelector { terms })
    }

    /// The conditions.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that `field` must have.
    pub fn requires_exact_match(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equals && t.field == field).map(|t| t.value.as_str())
    }

    /// Whether an object (in the hub version) is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_with(|field| selectable_field(object, field))
    }

    /// The same with the fields given by a function (a cache that holds them parsed).
    pub fn matches_with<'a>(&self, mut get: impl FnMut(&str) -> Cow<'a, str>) -> bool {
        self.terms.iter().all(|t| (get(&t.field) == t.value) == t.equals)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let value = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            let (comma, operator) = (if i == 0 { "" } else { "," }, if term.equals { "=" } else { "!=" });
            write!(f, "{comma}{}{operator}{value}", term.field)?;
        }
        Ok(())
    }
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                out.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(format!("invalid field selector: invalid escape sequence: \\{c}")),
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            // Upstream prints the character's number.
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {}", c as u32));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::builtin;
    use serde_json::json;

    fn parse(path: (&str, &str, &str), text: &str) -> Result<FieldSelector, String> {
        FieldSelector::parse(text, builtin().lookup(path.0, path.1, path.2).unwrap())
    }

    #[test]
    fn fields_match_under_the_hubs_names() {
        let pods = ("", "v1", "pods");
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1", "hostNetwork": true}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}});
        for text in [
            "spec.nodeName=n1",
            "spec.host=n1,metadata.name!=b",
            "spec.hostNetwork=true",
            "status.podIP==10.0.0.1",
            "status.phase=",
            "",
        ] {
            assert!(parse(pods, text).unwrap().matches(&pod), "{text}");
        }
        assert!(!parse(pods, "spec.nodeName!=n1").unwrap().matches(&pod));
        let event = json!({"involvedObject": {"name": "x"}, "reportingComponent": "k"});
        assert!(parse(("events.k8s.io", "v1", "events"), "regarding.name=x").unwrap().matches(&event));
        assert!(parse(("", "v1", "events"), "source=k").unwrap().matches(&event));
    }

    /// What is not below the paths of a field must not matter to it.
    #[test]
    fn fields_are_read_at_their_paths() {
        let mut object = json!({
            "involvedObject": {"kind": "a", "namespace": "b", "name": "c", "uid": "d", "apiVersion": "e", "fieldPath": "f"},
            "reason": "g", "reportingComponent": "h", "source": {"component": "i"}, "type": "j",
            "spec": {"nodeName": "k", "restartPolicy": "l", "hostNetwork": true, "unschedulable": true, "clusterIP": "m"},
            "status": {"phase": "n", "podIP": "o", "podIPs": [{"ip": "p"}], "succeeded": 1, "replicas": 2},
        });
        for (_, _, fields) in SUPPORTED {
            for field in *fields {
                let mut kept = json!({});
                for path in field_paths(field) {
                    let keys: Vec<&str> = path.split('.').collect();
                    let Some(value) = keys.iter().try_fold(&object, |v, k| v.get(k)).cloned() else {
                        continue;
                    };
                    match keys.as_slice() {
                        [only] => kept[only] = value,
                        [first, second] => kept[first][second] = value,
                        _ => unreachable!("no deeper fields"),
                    }
                }
                assert_eq!(selectable_field(&object, field), selectable_field(&kept, field), "{field}");
            }
        }
        object["source"] = json!({});
        assert_eq!(selectable_field(&object, "source"), "h");
    }

    #[test]
    fn errors_are_upstreams() {
        let error = |path, text| parse(path, text).unwrap_err();
        assert_eq!(error(("", "v1", "nodes"), "status.phase=x"), "field label not supported: status.phase");
        assert_eq!(
            error(("apps", "v1", "deployments"), "spec.replicas=1"),
            "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        // Custom resources know their version's fields and no others.
        let nodes = crate::kinds::builtin().lookup("", "v1", "nodes").unwrap();
        let custom = |text: &str| FieldSelector::parse_with(text, nodes, Some(&["spec.a".to_owned()]));
        assert!(custom("spec.a=1,metadata.name=x").is_ok());
        assert_eq!(custom("spec.b=1").unwrap_err(), "field label not supported: spec.b");
        assert_eq!(
            custom("metadata.namespace=x").unwrap_err(),
            "field label not supported: metadata.namespace"
        );
        let cm = ("", "v1", "configmaps");
        assert_eq!(
            error(cm, "metadata.name"),
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
        );
        assert_eq!(error(cm, "metadata.name=a\\x"), "invalid field selector: invalid escape sequence: \\x");
    }
}
