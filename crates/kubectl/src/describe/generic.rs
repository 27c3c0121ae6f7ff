//! Everything without a describer of its own: all fields (upstream: `genericDescriber`).

use serde_json::{Map, Value};

use super::{Describer, Writer, annotations, head, labels};
use crate::error::Result;
use crate::print::jsonpath::show;
use crate::value::Json;

const SKIP: &[&str] = &[".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"];

/// Describes any object.
pub(super) fn describe(d: &mut Describer<'_>, w: &mut Writer, o: &Value) -> Result {
    head(w, o);
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    if let Value::Object(m) = o {
        content(w, 0, m, "");
    }
    d.events(w, o)
}

fn content(w: &mut Writer, level: usize, m: &Map<String, Value>, path: &str) {
    for (k, v) in m {
        let here = format!("{path}.{k}");
        if SKIP.contains(&here.as_str()) {
            continue;
        }
        let label = label_for(k);
        match v {
            Value::Object(inner) => {
                w.line(level, &format!("{label}:"));
                content(w, level + 1, inner, &here);
            }
            Value::Array(a) => {
                w.line(level, &format!("{label}:"));
                for child in a {
                    match child {
                        Value::Object(inner) => content(w, level + 1, inner, &here),
                        other => w.line(level + 1, &show(other)),
                    }
                }
            }
            other => w.line(level, &format!("{label}:\t{}", show(other))),
        }
    }
}

/// `selfLink` → `Self Link` (upstream: `smartLabelFor`).
fn label_for(field: &str) -> String {
    split_camel_case(field)
        .into_iter()
        .map(|part| {
            let upper = part.to_uppercase();
            if ["API", "URL", "UID", "OSB", "GUID"].contains(&upper.as_str()) {
                return upper;
            }
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs of lower case, upper case, digits and the rest; the last upper case letter before lower case
/// belongs to what follows (upstream: `fatih/camelcase`).
fn split_camel_case(text: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_lowercase() => 1,
        c if c.is_uppercase() => 2,
        c if c.is_numeric() => 3,
        _ => 4,
    };
    let mut runs: Vec<String> = Vec::new();
    let mut last = 0;
    for c in text.chars() {
        match runs.last_mut() {
            Some(r) if class(c) == last => r.push(c),
            _ => runs.push(c.to_string()),
        }
        last = class(c);
    }
    for i in 0..runs.len().saturating_sub(1) {
        let upper = runs[i].chars().next().is_some_and(char::is_uppercase);
        let lower = runs[i + 1].chars().next().is_some_and(char::is_lowercase);
        if upper
            && lower
            && let Some(c) = runs[i].pop()
        {
            runs[i + 1].insert(0, c);
        }
    }
    runs.retain(|r| !r.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_split_camel_case() {
        for (field, label) in [
            ("apiVersion", "API Version"),
            ("uid", "UID"),
            ("selfLink", "Self Link"),
            ("nonResourceURLs", "Non Resource UR Ls"),
            ("fieldsV1", "Fields V 1"),
        ] {
            assert_eq!(label_for(field), label);
        }
    }
}
