//! `kubectl label` and `kubectl annotate` (upstream v1.10: `pkg/kubectl/cmd/label.go`, `annotate.go`).

use serde_json::{Map, Value, json};

use super::create::{emit, record};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::MERGE;
use crate::print::output::{Format, format};
use crate::resource::{Rules, infos};
use crate::value::Json;

/// `label`.
pub(crate) fn label(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    run(ctx, flags, words, "label")
}

/// `annotate`.
pub(crate) fn annotate(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    run(ctx, flags, words, "annotation")
}

/// What is to be set and what is to be removed.
#[derive(Debug, PartialEq)]
struct Changes {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

/// Splits arguments into resources and changes.
fn split(words: &[String], what: &str) -> Result<(Vec<String>, Changes)> {
    let mut changes = Changes { set: Vec::new(), remove: Vec::new() };
    let mut resources = Vec::new();
    for w in words {
        let is_change = w.contains('=') || w.ends_with('-');
        if !is_change {
            if !changes.set.is_empty() || !changes.remove.is_empty() {
                return Err(format!("all resources must be specified before {what} changes: {w}").into());
            }
            resources.push(w.clone());
        } else if let Some((k, v)) = w.split_once('=') {
            if k.is_empty() {
                return Err(format!("invalid {what} format: {w}").into());
            }
            changes.set.push((k.into(), v.into()));
        } else {
            changes.remove.push(w.trim_end_matches('-').to_string());
        }
    }
    if let Some((k, _)) = changes.set.iter().find(|(k, _)| changes.remove.contains(k)) {
        return Err(format!(
            "can not both modify and remove a{} {what} in the same command: {k}",
            if what == "label" { "" } else { "n" }
        )
        .into());
    }
    Ok((resources, changes))
}

fn run(ctx: &mut Context, flags: &Flags, words: &[String], what: &str) -> Result {
    let field = if what == "label" { "labels" } else { "annotations" };
    let (resources, changes) = split(words, what)?;
    if resources.is_empty() && flags.list("filename").is_empty() {
        return Err(
            flags.usage("one or more resources must be specified as <resource> <name> or <resource>/<name>")
        );
    }
    let list_only = what == "label" && flags.bool("list");
    if changes.set.is_empty() && changes.remove.is_empty() && !list_only {
        return Err(flags.usage(format!("at least one {what} update is required")));
    }
    let overwrite = flags.bool("overwrite");
    let local = flags.bool("local");
    let dry = flags.bool("dry-run") || local;
    let format = format(flags)?;
    let rules = Rules { need_name: true, local, flatten_errors: true };
    let (infos, mut errors) = infos(ctx, flags, &resources, &rules)?;
    for mut info in infos {
        let now: Vec<(String, String)> = info
            .object
            .strings(&format!("metadata.{field}"))
            .into_iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        if list_only {
            for (k, v) in &now {
                crate::print::out(&format!("{k}={v}\n"))?;
            }
            continue;
        }
        let taken: Vec<(&str, &str)> = changes
            .set
            .iter()
            .filter_map(|(k, _)| now.iter().find(|(n, _)| n == k).map(|(n, v)| (n.as_str(), v.as_str())))
            .collect();
        let conflicting = taken.iter().find(|(k, v)| changes.set.iter().any(|(c, new)| c == k && new != v));
        if !overwrite && conflicting.is_some() {
            errors.push(conflict(what, &taken, conflicting).into());
            continue;
        }
        let mut patch = Map::new();
        for (k, v) in &changes.set {
            if !now.iter().any(|(n, old)| n == k && old == v) {
                patch.insert(k.clone(), json!(v));
            }
        }
        for k in &changes.remove {
            if now.iter().any(|(n, _)| n == k) {
                patch.insert(k.clone(), Value::Null);
            } else if what == "label" {
                crate::print::out(&format!("label \"{k}\" not found.\n"))?;
            }
        }
        let done = match (what, patch.is_empty()) {
            ("label", true) => "not labeled",
            ("label", false) => "labeled",
            _ => "annotated",
        };
        let mut body = json!({"metadata": {field: patch}});
        if !flags.str("resource-version").is_empty() {
            body["metadata"]["resourceVersion"] = flags.str("resource-version").into();
        }
        if dry {
            crate::patch::apply_merge(&mut info.object, &body);
        } else if !patch.is_empty() {
            match ctx.http()?.patch(&info.path(), MERGE, &body) {
                Ok(o) => info.object = o,
                Err(e) => {
                    errors.push(e);
                    continue;
                }
            }
            record(ctx, flags, words, &mut info)?;
        }
        match &format {
            Format::Human if local => {}
            f => emit(f, &mut info, done, dry, false)?,
        }
    }
    Error::collect(errors)
}

fn conflict(what: &str, taken: &[(&str, &str)], first: Option<&(&str, &str)>) -> String {
    if what == "label" {
        let (k, v) = first.copied().unwrap_or_default();
        return format!("'{k}' already has a value ({v}), and --overwrite is false");
    }
    let all: Vec<String> = taken.iter().map(|(k, v)| format!("'{k}' already has a value ({v})")).collect();
    format!("--overwrite is false but found the following declared annotation(s): {}", all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_come_before_changes() {
        let words = ["pod", "x", "a=b", "c-"].map(String::from);
        let (resources, changes) = split(&words, "label").unwrap();
        assert_eq!(resources, ["pod", "x"]);
        assert_eq!(changes, Changes { set: vec![("a".into(), "b".into())], remove: vec!["c".into()] });
        assert!(split(&["a=b", "x"].map(String::from), "label").is_err());
    }
}
