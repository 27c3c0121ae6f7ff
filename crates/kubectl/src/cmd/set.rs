//! `kubectl set image|env|resources|serviceaccount|selector|subject`.

use serde_json::{Map, Value, json};

use super::create::record;
use super::generate;
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::{STRATEGIC, two_way};
use crate::print::output::{Format, format};
use crate::resource::{Info, Rules, infos};
use crate::value::{Json, set};

/// Where the pod template's spec is in an object of this kind.
fn pod_spec_path(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some("spec"),
        "Deployment" | "ReplicaSet" | "ReplicationController" | "DaemonSet" | "StatefulSet" | "Job" => {
            Some("spec.template.spec")
        }
        "CronJob" => Some("spec.jobTemplate.spec.template.spec"),
        _ => None,
    }
}

/// Splits `deploy/x a=b c-` into resources and changes.
fn split_changes(words: &[String]) -> (Vec<String>, Vec<String>) {
    let is_change = |w: &String| w.contains('=') || w.ends_with('-');
    let (changes, resources): (Vec<String>, Vec<String>) = words.iter().cloned().partition(is_change);
    (resources, changes)
}

/// Fetches, changes and patches each object; `change` says whether it found something to do it to.
fn each(
    ctx: &mut Context,
    flags: &Flags,
    words: &[String],
    resources: &[String],
    done: &str,
    mut change: impl FnMut(&Info, &mut Value) -> Result,
) -> Result {
    let format = format(flags)?;
    let local = flags.bool("local");
    let dry = flags.bool("dry-run") || local;
    let rules = Rules { need_name: true, local, flatten_errors: true };
    let (infos, mut errors) = infos(ctx, flags, resources, &rules)?;
    for mut info in infos {
        let before = info.object.clone();
        let mut after = before.clone();
        if let Err(e) = change(&info, &mut after) {
            errors.push(e);
            continue;
        }
        let patch = two_way(&before, &after);
        info.object = after;
        if crate::patch::is_empty(&patch) && !dry {
            continue;
        }
        if !dry {
            match ctx.http()?.patch(&info.path(), STRATEGIC, &patch) {
                Ok(o) => info.object = o,
                Err(e) => {
                    errors
                        .push(Error::Message(format!("failed to patch {done} update to pod template: {e}")));
                    continue;
                }
            }
            record(ctx, flags, words, &mut info)?;
        }
        match &format {
            Format::Human | Format::Name => {
                info.say_internal(&format!("{done} updated"), matches!(format, Format::Name), dry)?
            }
            f => f.print(&info.resource, &info.object, String::new)?,
        }
    }
    Error::collect(errors)
}

/// The containers of an object's pod template.
fn pod_spec<'a>(info: &Info, o: &'a mut Value) -> Result<&'a mut Value> {
    let none = || {
        Error::Message(format!(
            "error: {}/{} the object is not a pod or does not have a pod template\n",
            info.resource.plural, info.name
        ))
    };
    let path = pod_spec_path(&info.resource.kind).ok_or_else(none)?;
    let mut v = o;
    for part in path.split('.') {
        v = v.get_mut(part).ok_or_else(none)?;
    }
    Ok(v)
}

/// Changes each container whose name matches; says how many did.
fn containers(spec: &mut Value, name: &str, mut f: impl FnMut(&mut Value)) -> usize {
    let mut found = 0;
    for list in ["initContainers", "containers"] {
        if let Some(Value::Array(all)) = spec.get_mut(list) {
            for c in all.iter_mut().filter(|c| name == "*" || c.s("name") == name) {
                found += 1;
                f(c);
            }
        }
    }
    found
}

/// `set image`.
pub(crate) fn image(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let (resources, changes) = split_changes(words);
    if changes.is_empty() {
        return Err("at least one image update is required".into());
    }
    each(ctx, flags, words, &resources, "image", |info, o| {
        let spec = pod_spec(info, o)?;
        let mut missing = Vec::new();
        for c in &changes {
            let (name, image) = c.split_once('=').ok_or("at least one image update is required")?;
            if containers(spec, name, |c| c["image"] = image.into()) == 0 {
                missing.push(Error::Message(format!("error: unable to find container named \"{name}\"")));
            }
        }
        Error::collect(missing)
    })
}

/// `set env`.
pub(crate) fn env(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let (resources, changes) = split_changes(words);
    if flags.bool("list") {
        return list_env(ctx, flags, &resources);
    }
    let only = match flags.str("containers") {
        "" => "*".to_string(),
        c => c.to_string(),
    };
    let mut from = Vec::new();
    if !flags.str("from").is_empty() {
        from = env_from(ctx, flags)?;
    }
    if changes.is_empty() && from.is_empty() && flags.list("env").is_empty() {
        return Err("at least one environment variable must be provided".into());
    }
    let overwrite = flags.bool("overwrite");
    each(ctx, flags, words, &resources, "env", |info, o| {
        let spec = pod_spec(info, o)?;
        let mut conflict = None;
        let found = containers(spec, &only, |c| {
            let mut list: Vec<Value> = c.list("env").to_vec();
            let mut put = |new: Value| match list.iter_mut().find(|e| e.s("name") == new.s("name")) {
                Some(old) if old.s("value") != new.s("value") && !overwrite => {
                    conflict = Some(format!(
                        "'{}' already has a value ({}), and --overwrite is false",
                        new.s("name"),
                        old.s("value")
                    ));
                }
                Some(old) => *old = new,
                None => list.push(new),
            };
            from.iter().for_each(|e| put(e.clone()));
            for change in changes.iter().chain(flags.list("env")) {
                if let Some((k, v)) = change.split_once('=') {
                    put(json!({"name": k, "value": v}));
                }
            }
            for name in changes.iter().filter(|c| !c.contains('=')).filter_map(|c| c.strip_suffix('-')) {
                list.retain(|e| e.s("name") != name);
            }
            if list.is_empty() {
                crate::value::remove(c, "env");
            } else {
                c["env"] = list.into();
            }
        });
        match conflict {
            Some(c) => Err(c.into()),
            None if found == 0 => Err(format!(
                "{}/{} does not have any containers matching \"{only}\"",
                info.resource.plural, info.name
            )
            .into()),
            None => Ok(()),
        }
    })
}

fn list_env(ctx: &mut Context, flags: &Flags, resources: &[String]) -> Result {
    for mut info in crate::resource::all(ctx, flags, resources, true)? {
        let mut object = info.object.take();
        for c in pod_spec(&info, &mut object)?.list("containers") {
            let mut text = format!("# {} {}, container {}\n", info.resource.plural, info.name, c.s("name"));
            for e in c.list("env") {
                let line = match e.at("valueFrom") {
                    None => format!("{}={}", e.s("name"), e.s("value")),
                    Some(v) => format!("# {} from {}", e.s("name"), describe_source(v)),
                };
                text.push_str(&line);
                text.push('\n');
            }
            crate::print::out(&text)?;
        }
    }
    Ok(())
}

fn describe_source(v: &Value) -> String {
    if let Some(s) = v.get("secretKeyRef") {
        return format!("secret {}, key {}", s.s("name"), s.s("key"));
    }
    if let Some(s) = v.get("configMapKeyRef") {
        return format!("configmap {}, key {}", s.s("name"), s.s("key"));
    }
    format!("field path {}", v.s("fieldRef.fieldPath"))
}

/// References to each key of a config map or a secret.
fn env_from(ctx: &mut Context, flags: &Flags) -> Result<Vec<Value>> {
    let word = [flags.str("from").to_string()];
    let mut all = Vec::new();
    let empty = Flags::default();
    for info in crate::resource::all(ctx, &empty, &word, true)? {
        let reference = match info.resource.kind.as_str() {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            k => return Err(format!("unsupported resource specified in --from: {k}").into()),
        };
        for (key, _) in info.object.pairs("data") {
            let name: String = key
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect();
            let name = format!("{}{name}", flags.str("prefix"));
            all.push(json!({"name": name, "valueFrom": {reference: {"name": info.name, "key": key}}}));
        }
    }
    Ok(all)
}

/// `set resources`.
pub(crate) fn resources(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if flags.str("limits").is_empty() && flags.str("requests").is_empty() {
        return Err(
            "you must specify an update to requests or limits (in the form of --requests/--limits)".into()
        );
    }
    let only = if flags.str("containers").is_empty() { "*" } else { flags.str("containers") };
    let (limits, requests) =
        (generate::resource_list(flags.str("limits"))?, generate::resource_list(flags.str("requests"))?);
    each(ctx, flags, words, words, "resource requirements", |info, o| {
        let spec = pod_spec(info, o)?;
        containers(spec, only, |c| {
            for (key, list) in [("limits", &limits), ("requests", &requests)] {
                for (k, v) in list {
                    if !c.get("resources").is_some_and(Value::is_object) {
                        c["resources"] = json!({});
                    }
                    if !c["resources"].get(key).is_some_and(Value::is_object) {
                        c["resources"][key] = json!({});
                    }
                    c["resources"][key][k] = v.clone();
                }
            }
        });
        Ok(())
    })
}

/// `set serviceaccount`.
pub(crate) fn service_account(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let Some((name, resources)) = words.split_last() else {
        return Err("serviceaccount is required".into());
    };
    each(ctx, flags, words, resources, "serviceaccount", |info, o| {
        let spec = pod_spec(info, o)?;
        spec["serviceAccountName"] = name.as_str().into();
        Ok(())
    })
}

/// `set selector`.
pub(crate) fn selector(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let (resources, changes) = split_changes(words);
    let labels = generate::labels(&changes.join(","))?;
    each(ctx, flags, words, &resources, "selector", |info, o| {
        if info.resource.kind != "Service" {
            return Err("setting a selector is only supported for Services".into());
        }
        set(o, "spec.selector", Value::Object(labels.clone()));
        Ok(())
    })
}

/// `set subject`.
pub(crate) fn subject(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let mut new: Vec<Value> = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        new.extend(
            flags
                .list(flag)
                .iter()
                .map(|n| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": n})),
        );
    }
    for sa in flags.list("serviceaccount") {
        let (ns, name) = sa.split_once(':').ok_or("serviceaccount must be <namespace>:<name>")?;
        new.push(json!({"kind": "ServiceAccount", "name": name, "namespace": ns}));
    }
    if new.is_empty() {
        return Err("you must specify at least one value of user, group or serviceaccount".into());
    }
    each(ctx, flags, words, words, "subjects", |_, o| {
        let mut all: Vec<Value> = o.list("subjects").to_vec();
        for n in &new {
            let same = |s: &Value| ["kind", "name", "namespace"].iter().all(|k| s.s(k) == n.s(k));
            if !all.iter().any(same) {
                all.push(n.clone());
            }
        }
        if let Value::Object(m) = o {
            let m: &mut Map<String, Value> = m;
            m.insert("subjects".into(), all.into());
        }
        Ok(())
    })
}
