//! `kubectl apply` and its subcommands (upstream v1.10: `pkg/kubectl/cmd/apply.go`).

use http::Method;
use serde_json::{Value, json};

use super::create::{emit, prepare, record};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::{MERGE, STRATEGIC, is_empty, is_strategic, three_way, three_way_json};
use crate::print::output::format;
use crate::print::{json, out, yaml};
use crate::resource::{Info, Wanted, from_document, list, wanted};
use crate::value::{Json, set};

/// Where the object as it was applied is kept.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object as one line of JSON, without that annotation itself.
pub(crate) fn last_applied_text(object: &Value) -> String {
    let mut o = object.clone();
    let mut annotations = match o.at("metadata.annotations") {
        Some(Value::Object(m)) => m.clone(),
        _ => serde_json::Map::new(),
    };
    annotations.remove(LAST_APPLIED);
    set(&mut o, "metadata.annotations", Value::Object(annotations));
    format!("{}\n", json::compact(&o))
}

/// The object with the annotation.
fn with_last_applied(object: &Value) -> Value {
    let mut o = object.clone();
    let text = last_applied_text(object);
    let mut annotations = match o.at("metadata.annotations") {
        Some(Value::Object(m)) => m.clone(),
        _ => serde_json::Map::new(),
    };
    annotations.insert(LAST_APPLIED.into(), text.into());
    set(&mut o, "metadata.annotations", Value::Object(annotations));
    o
}

fn last_applied(object: &Value) -> Option<Value> {
    let text = object.at("metadata.annotations")?.get(LAST_APPLIED)?.as_str()?;
    serde_json::from_str(text).ok()
}

/// The patch and its type; empty when nothing changes.
fn patch_for(modified: &Value, current: &Value) -> (Value, &'static str) {
    let original = last_applied(current).unwrap_or_else(|| json!({}));
    if is_strategic(modified) {
        (three_way(&original, modified, current), STRATEGIC)
    } else {
        (three_way_json(&original, modified, current), MERGE)
    }
}

/// Runs `apply`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if !words.is_empty() {
        return Err(flags.usage(format!("Unexpected args: [{}]", words.join(" "))));
    }
    if flags.bool("prune") && flags.str("selector").is_empty() && !flags.bool("all") {
        return Err("all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector.".into());
    }
    let format = format(flags)?;
    let dry = flags.bool("dry-run");
    let mut errors = Vec::new();
    let mut applied: Vec<Info> = Vec::new();
    for w in wanted(ctx, flags, &[], false)? {
        let mut info = match prepare(ctx, flags, w) {
            None => continue,
            Some(Ok(info)) => info,
            Some(Err(e)) => {
                errors.push(e);
                continue;
            }
        };
        match one(ctx, flags, words, &mut info) {
            Ok(done) => {
                emit(&format, &mut info, done, dry, false)?;
                applied.push(info);
            }
            Err(e) => errors.push(e),
        }
    }
    if applied.is_empty() && errors.is_empty() {
        return Err("no objects passed to apply".into());
    }
    if flags.bool("prune") && errors.is_empty() {
        prune(ctx, flags, &applied)?;
    }
    Error::collect(errors)
}

fn one(ctx: &mut Context, flags: &Flags, words: &[String], info: &mut Info) -> Result<&'static str> {
    let http = ctx.http()?;
    let dry = flags.bool("dry-run");
    let modified = with_last_applied(&info.object);
    let source = info.source.clone();
    let current = match http.get(&info.path()) {
        Ok(o) => o,
        Err(e) if e.is_not_found() => {
            if !dry {
                info.object = http
                    .write(Method::POST, &info.resource.collection(&info.namespace), &modified)
                    .map_err(|e| e.during(&format!("error when creating \"{source}\"")))?;
                if flags.bool("record") {
                    record(ctx, flags, words, info)?;
                }
            }
            return Ok("created");
        }
        Err(e) => return Err(e.during("error when retrieving current configuration")),
    };
    if last_applied(&current).is_none() && flags.str("output") != "name" {
        eprintln!(
            "Warning: kubectl apply should be used on resource created by either kubectl create --save-config or kubectl apply"
        );
    }
    if dry {
        info.object = current;
        return Ok("configured");
    }
    let (patch, kind) = patch_for(&modified, &current);
    if is_empty(&patch) {
        info.object = current;
        return Ok("unchanged");
    }
    match http.patch(&info.path(), kind, &patch) {
        Ok(o) => info.object = o,
        Err(e) if flags.bool("force") && (e.is_reason("Conflict") || e.is_reason("Invalid")) => {
            super::delete::remove(ctx, info, "Background", Some(flags.int("grace-period").max(0)))?;
            super::wait::until(ctx, info, 300_000, |o| Ok(o.is_none()))?;
            info.object = http.write(Method::POST, &info.resource.collection(&info.namespace), &modified)?;
        }
        Err(e) => {
            return Err(e.during(&format!(
                "error when applying patch:\n{}\nto:\nResource: \"{}/{}, Resource={}\", GroupVersionKind: \"{}, Kind={}\"\nName: \"{}\", Namespace: \"{}\"\nfor: \"{source}\"",
                json::compact(&patch),
                info.resource.group,
                info.resource.version,
                info.resource.plural,
                info.resource.api_version(),
                info.resource.kind,
                info.name,
                info.namespace
            )));
        }
    }
    if flags.bool("record") {
        record(ctx, flags, words, info)?;
    }
    Ok("configured")
}

/// The kinds that `--prune` looks at (upstream: `getRESTMappings`).
const PRUNED: &[(&str, &str)] = &[
    ("configmaps", ""),
    ("endpoints", ""),
    ("namespaces", ""),
    ("persistentvolumeclaims", ""),
    ("persistentvolumes", ""),
    ("pods", ""),
    ("replicationcontrollers", ""),
    ("secrets", ""),
    ("services", ""),
    ("jobs", "batch"),
    ("cronjobs", "batch"),
    ("daemonsets", "apps"),
    ("deployments", "apps"),
    ("replicasets", "apps"),
    ("statefulsets", "apps"),
    ("ingresses", "networking.k8s.io"),
];

/// Deletes what was applied before and is not among the files any more.
fn prune(ctx: &mut Context, flags: &Flags, applied: &[Info]) -> Result {
    let mut namespaces: Vec<String> =
        applied.iter().map(|i| i.namespace.clone()).filter(|n| !n.is_empty()).collect();
    namespaces.sort();
    namespaces.dedup();
    let uids: Vec<&str> = applied.iter().map(|i| i.object.s("metadata.uid")).collect();
    let mapper = ctx.mapper()?;
    for r in PRUNED.iter().filter_map(|(p, g)| mapper.in_group(p, g)) {
        let everywhere = [String::new()];
        for ns in if r.namespaced { &namespaces[..] } else { &everywhere[..] } {
            for found in list(ctx, &r, ns, flags.str("selector"), "")? {
                if last_applied(&found.object).is_none() || uids.contains(&found.object.s("metadata.uid")) {
                    continue;
                }
                if !flags.bool("dry-run") {
                    super::delete::remove(ctx, &found, "Background", None)?;
                }
                found.say("pruned", flags.str("output") == "name", flags.bool("dry-run"))?;
            }
        }
    }
    Ok(())
}

/// `apply view-last-applied`.
pub(crate) fn view_last_applied(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    for info in crate::resource::all(ctx, flags, words, true)? {
        let o = last_applied(&info.object).ok_or_else(|| {
            format!("no last-applied-configuration annotation found on resource: {}", info.name)
        })?;
        out(&if flags.str("output") == "json" { json::to_string(&o) } else { yaml::to_string(&o) })?;
    }
    Ok(())
}

/// `apply set-last-applied`.
pub(crate) fn set_last_applied(ctx: &mut Context, flags: &Flags, _: &[String]) -> Result {
    for w in wanted(ctx, flags, &[], false)? {
        let Wanted::Doc(resource, document) = w else { continue };
        let info = from_document(ctx, resource, document)?;
        let current = ctx.http()?.get(&info.path())?;
        if last_applied(&current).is_none() && !flags.bool("create-annotation") {
            return Err(format!("no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation", info.name).into());
        }
        let text = format!("{}\n", json::compact(&info.object));
        let patch = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
        let dry = flags.bool("dry-run");
        if !dry {
            ctx.http()?.patch(&info.path(), MERGE, &patch)?;
        }
        info.say("configured", flags.str("output") == "name", dry)?;
    }
    Ok(())
}

/// `apply edit-last-applied`.
pub(crate) fn edit_last_applied(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    for info in crate::resource::all(ctx, flags, words, true)? {
        let before = last_applied(&info.object).ok_or_else(|| {
            format!("no last-applied-configuration annotation found on resource: {}", info.name)
        })?;
        let Some(after) = super::edit::in_editor(&before)? else {
            eprintln!("Edit cancelled, no changes made.");
            continue;
        };
        let text = format!("{}\n", json::compact(&after));
        let patch = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
        ctx.http()?.patch(&info.path(), MERGE, &patch)?;
        info.say("edited", false, false)?;
    }
    Ok(())
}
