//! Roles and cluster roles.

use serde_json::Value;

use super::{Writer, annotations, labels};
use crate::value::Json;

/// Describes a role: its rules broken down to one resource per line.
pub(super) fn describe(w: &mut Writer, o: &Value) {
    w.field("Name", o.s("metadata.name"));
    labels(w, "Labels", &o.strings("metadata.labels"));
    annotations(w, o);
    w.line(0, "PolicyRule:");
    w.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    w.line(1, "---------\t-----------------\t--------------\t-----");
    let words = |v: &Value, key: &str| -> Vec<String> {
        v.list(key).iter().filter_map(Value::as_str).map(str::to_string).collect()
    };
    // (resource, urls, names) → verbs; rules about the same thing are put together.
    let mut rows: Vec<(String, String, String, Vec<String>)> = Vec::new();
    let mut add = |resource: String, urls: String, names: String, verbs: Vec<String>| match rows
        .iter_mut()
        .find(|r| r.0 == resource && r.1 == urls && r.2 == names)
    {
        Some(r) => r.3.extend(verbs),
        None => rows.push((resource, urls, names, verbs)),
    };
    for rule in o.list("rules") {
        let verbs = words(rule, "verbs");
        let names = words(rule, "resourceNames").join(" ");
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                let (base, sub) = resource.split_once('/').map_or((resource.as_str(), ""), |(b, s)| (b, s));
                let mut text = base.to_string();
                if !group.is_empty() {
                    text.push_str(&format!(".{group}"));
                }
                if !sub.is_empty() {
                    text.push_str(&format!("/{sub}"));
                }
                add(text, String::new(), names.clone(), verbs.clone());
            }
        }
        for url in words(rule, "nonResourceURLs") {
            add(String::new(), url, String::new(), verbs.clone());
        }
    }
    for (resource, urls, names, verbs) in rows {
        w.line(1, &format!("{resource}\t[{urls}]\t[{names}]\t[{}]", verbs.join(" ")));
    }
}
