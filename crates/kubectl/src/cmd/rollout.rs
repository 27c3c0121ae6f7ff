//! `kubectl rollout` (upstream v1.10: `pkg/kubectl/rollout_status.go`, `history.go`, `rollback.go`).

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::create::record;
use crate::cli::Flags;
use crate::context::Context;
use crate::describe::{Writer, template};
use crate::error::{Error, Result};
use crate::http::{JSON, with_query};
use crate::patch::{JSON_PATCH, STRATEGIC};
use crate::print::{out, tabwriter};
use crate::resource::{Info, Rules, infos};
use crate::value::{Json, format_selector, remove};

const REVISION: &str = "deployment.kubernetes.io/revision";

fn targets(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result<(Vec<Info>, Vec<Error>)> {
    if words.is_empty() && flags.list("filename").is_empty() {
        return Err(flags.usage("Required resource not specified."));
    }
    infos(ctx, flags, words, &Rules { need_name: true, flatten_errors: true, ..Rules::default() })
}

fn annotation<'a>(o: &'a Value, key: &str) -> &'a str {
    o.at("metadata.annotations").and_then(|a| a.get(key)).and_then(Value::as_str).unwrap_or("")
}

/// Those of the objects that have this controller.
pub(crate) fn owned_by(objects: Vec<Value>, uid: &str) -> Vec<Value> {
    let owned =
        |o: &Value| o.list("metadata.ownerReferences").iter().any(|r| r.b("controller") && r.s("uid") == uid);
    objects.into_iter().filter(owned).collect()
}

/// `{apps StatefulSet}`: how v1.10 names a kind in errors.
fn group_kind(info: &Info) -> String {
    format!("{{{} {}}}", info.resource.group, info.resource.kind)
}

// ---- status ----

/// `rollout status`.
pub(crate) fn status(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let (infos, errors) = targets(ctx, flags, words)?;
    Error::collect(errors)?;
    let [info] = infos.as_slice() else {
        return Err(format!("rollout status is only supported on individual resources and resource collections - {} resources were found", infos.len()).into());
    };
    let revision = flags.int("revision");
    let (text, done) = progress(info, &info.object, revision)?;
    out(&text)?;
    if done || !flags.bool("watch") {
        return Ok(());
    }
    let selector = format!("metadata.name={}", info.name);
    let mut version = info.object.s("metadata.resourceVersion").to_string();
    let timeout = u64::try_from(flags.millis("timeout")).unwrap_or(0);
    let begun = Instant::now();
    loop {
        let left = Duration::from_millis(timeout).saturating_sub(begun.elapsed());
        if timeout > 0 && left.is_zero() {
            return Err("timed out waiting for the condition".into());
        }
        let seconds = left.as_millis().div_ceil(1000).to_string();
        let mut query = vec![
            ("fieldSelector", selector.as_str()),
            ("resourceVersion", version.as_str()),
            ("watch", "true"),
        ];
        if timeout > 0 {
            query.push(("timeoutSeconds", seconds.as_str()));
        }
        let path = with_query(&info.resource.collection(&info.namespace), &query);
        let mut finished = false;
        ctx.http()?.watch(&path, JSON, |kind, o| {
            version = o.s("metadata.resourceVersion").to_string();
            match kind {
                "DELETED" => return Err("object has been deleted".into()),
                "ADDED" | "MODIFIED" => {}
                _ => return Ok(true),
            }
            let (text, done) = progress(info, &o, revision)?;
            out(&text)?;
            finished = done;
            Ok(!done)
        })?;
        if finished {
            return Ok(());
        }
        // The server ends watches after a while: go on where it ended.
    }
}

/// The text of one look at a rollout, and whether it is over.
fn progress(info: &Info, o: &Value, revision: i64) -> Result<(String, bool)> {
    let name = o.s("metadata.name");
    let observed = o.i("metadata.generation") <= o.i("status.observedGeneration");
    match info.resource.kind.as_str() {
        "Deployment" => {
            if revision > 0 && annotation(o, REVISION).parse::<i64>().is_ok_and(|r| r != revision) {
                return Err(format!(
                    "desired revision ({revision}) is different from the running revision ({})",
                    annotation(o, REVISION)
                )
                .into());
            }
            if !observed {
                return Ok(("Waiting for deployment spec update to be observed...\n".into(), false));
            }
            let late = o
                .list("status.conditions")
                .iter()
                .any(|c| c.s("type") == "Progressing" && c.s("reason") == "ProgressDeadlineExceeded");
            if late {
                return Err(format!("deployment \"{name}\" exceeded its progress deadline").into());
            }
            let (wanted, updated) = (o.i_or("spec.replicas", 1), o.i("status.updatedReplicas"));
            let (total, available) = (o.i("status.replicas"), o.i("status.availableReplicas"));
            Ok(if updated < wanted {
                (
                    format!(
                        "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated...\n"
                    ),
                    false,
                )
            } else if total > updated {
                (
                    format!(
                        "Waiting for rollout to finish: {} old replicas are pending termination...\n",
                        total - updated
                    ),
                    false,
                )
            } else if available < updated {
                (
                    format!(
                        "Waiting for rollout to finish: {available} of {updated} updated replicas are available...\n"
                    ),
                    false,
                )
            } else {
                (format!("deployment \"{name}\" successfully rolled out\n"), true)
            })
        }
        "DaemonSet" => {
            if o.s("spec.updateStrategy.type") == "OnDelete" {
                return Err("Status is available only for RollingUpdate strategy type".into());
            }
            if !observed {
                return Ok(("Waiting for daemon set spec update to be observed...\n".into(), false));
            }
            let wanted = o.i("status.desiredNumberScheduled");
            let (updated, available) = (o.i("status.updatedNumberScheduled"), o.i("status.numberAvailable"));
            Ok(if updated < wanted {
                (
                    format!(
                        "Waiting for rollout to finish: {updated} out of {wanted} new pods have been updated...\n"
                    ),
                    false,
                )
            } else if available < wanted {
                (
                    format!(
                        "Waiting for rollout to finish: {available} of {wanted} updated pods are available...\n"
                    ),
                    false,
                )
            } else {
                (format!("daemon set \"{name}\" successfully rolled out\n"), true)
            })
        }
        "StatefulSet" => {
            if o.s("spec.updateStrategy.type") == "OnDelete" {
                return Err("Status is available only for RollingUpdate strategy type".into());
            }
            if !observed {
                return Ok(("Waiting for statefulset spec update to be observed...\n".into(), false));
            }
            let (wanted, ready) = (o.i_or("spec.replicas", 1), o.i("status.readyReplicas"));
            let (updated, partition) =
                (o.i("status.updatedReplicas"), o.i("spec.updateStrategy.rollingUpdate.partition"));
            Ok(if ready < wanted {
                (format!("Waiting for {} pods to be ready...\n", wanted - ready), false)
            } else if partition > 0 {
                if updated < wanted - partition {
                    (
                        format!(
                            "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...\n",
                            wanted - partition
                        ),
                        false,
                    )
                } else {
                    (
                        format!("partitioned roll out complete: {updated} new pods have been updated...\n"),
                        true,
                    )
                }
            } else if o.s("status.updateRevision") != o.s("status.currentRevision") {
                (
                    format!(
                        "waiting for statefulset rolling update to complete {updated} pods at revision {}...\n",
                        o.s("status.updateRevision")
                    ),
                    false,
                )
            } else {
                (
                    format!(
                        "statefulset rolling update complete {} pods at revision {}...\n",
                        o.i("status.currentReplicas"),
                        o.s("status.currentRevision")
                    ),
                    true,
                )
            })
        }
        _ => Err(format!("no status viewer has been implemented for {}", group_kind(info)).into()),
    }
}

// ---- history ----

/// One revision: number, cause, pod template.
struct Revision {
    number: i64,
    cause: String,
    template: Value,
}

/// The revisions of a deployment, a daemon set or a stateful set, oldest first.
fn revisions(ctx: &mut Context, info: &Info) -> Result<Vec<Revision>> {
    let http = ctx.http()?;
    let selector = format_selector(info.object.at("spec.selector"));
    let uid = info.object.s("metadata.uid");
    let mut all: Vec<Revision> = if info.resource.kind == "Deployment" {
        let path = info.resource.collection(&info.namespace).replace("/deployments", "/replicasets");
        let list = http.get(&with_query(&path, &[("labelSelector", &selector)]))?;
        owned_by(list.list("items").to_vec(), uid)
            .into_iter()
            .filter_map(|rs| {
                Some(Revision {
                    number: annotation(&rs, REVISION).parse().ok()?,
                    cause: annotation(&rs, "kubernetes.io/change-cause").to_string(),
                    template: rs.at("spec.template").cloned()?,
                })
            })
            .collect()
    } else {
        let path = format!("/apis/apps/v1/namespaces/{}/controllerrevisions", info.namespace);
        let list = http.get(&with_query(&path, &[("labelSelector", &selector)]))?;
        owned_by(list.list("items").to_vec(), uid)
            .into_iter()
            .map(|r| {
                let mut template = r.at("data.spec.template").cloned().unwrap_or_default();
                remove(&mut template, "$patch");
                Revision {
                    number: r.i("revision"),
                    cause: annotation(&r, "kubernetes.io/change-cause").to_string(),
                    template,
                }
            })
            .collect()
    };
    all.sort_by_key(|r| r.number);
    Ok(all)
}

fn template_text(t: &Value) -> String {
    let mut w = Writer::default();
    template::write(&mut w, Some(t));
    w.finish()
}

/// `rollout history`.
pub(crate) fn history(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let wanted = flags.int("revision");
    if wanted < 0 {
        return Err("revision must be a positive integer: ".to_string().into());
    }
    let (infos, mut errors) = targets(ctx, flags, words)?;
    for info in infos {
        if !["Deployment", "DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str()) {
            errors.push(format!("no history viewer has been implemented for {}", group_kind(&info)).into());
            continue;
        }
        let all = revisions(ctx, &info)?;
        let (plural, name) = (&info.resource.plural, &info.name);
        if wanted > 0 {
            let Some(r) = all.iter().find(|r| r.number == wanted) else {
                return Err("unable to find the specified revision".into());
            };
            out(&format!("{plural} \"{name}\" with revision #{wanted}\n{}\n", template_text(&r.template)))?;
            continue;
        }
        let mut text = "REVISION\tCHANGE-CAUSE\n".to_string();
        for r in &all {
            let cause = if r.cause.is_empty() { "<none>" } else { &r.cause };
            text.push_str(&format!("{}\t{cause}\n", r.number));
        }
        let text = if all.is_empty() {
            "No rollout history found.\n".to_string()
        } else {
            tabwriter::describe(&text)
        };
        out(&format!("{plural} \"{name}\"\n{text}\n"))?;
    }
    Error::collect(errors)
}

// ---- undo ----

/// `rollout undo`.
pub(crate) fn undo(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let to = flags.int("to-revision");
    let (infos, mut errors) = targets(ctx, flags, words)?;
    for info in infos {
        if let Err(e) = undo_one(ctx, flags, &info, to) {
            errors.push(e);
        }
    }
    Error::collect(errors)
}

fn undo_one(ctx: &mut Context, flags: &Flags, info: &Info, to: i64) -> Result {
    let kind = info.resource.kind.as_str();
    if !["Deployment", "DaemonSet", "StatefulSet"].contains(&kind) {
        return Err(format!("no rollbacker has been implemented for {}", group_kind(info)).into());
    }
    if info.object.b("spec.paused") {
        return Err(format!("you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume deployment/{}' and try again", info.name).into());
    }
    let all = revisions(ctx, info)?;
    let target = match to {
        0 if all.len() < 2 => return Err("no last revision to roll back to".into()),
        0 => &all[all.len() - 2],
        n => all
            .iter()
            .find(|r| r.number == n)
            .ok_or_else(|| format!("unable to find specified revision {n} in history"))?,
    };
    let typed = info.resource.typed_internal();
    if flags.bool("dry-run") {
        return out(&format!("{typed} \"{}\" \n{}\n", info.name, template_text(&target.template)));
    }
    let mut template = target.template.clone();
    remove(&mut template, "metadata.labels.pod-template-hash");
    let mut now = info.object.at("spec.template").cloned().unwrap_or_default();
    remove(&mut now, "metadata.labels.pod-template-hash");
    if template == now {
        return out(&format!(
            "{typed} \"{}\" skipped rollback (current template already matches revision {})\n",
            info.name, target.number
        ));
    }
    if !ask_for_rollback(ctx, info, to)? {
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
        ctx.http()?.patch(&info.path(), JSON_PATCH, &patch)?;
    }
    // v1.10 prints what its rollback answered, which is nothing.
    out(&format!("{typed} \"{}\" \n", info.name))
}

/// Lets the deployment controller roll back, as v1.10 did; false when the server cannot pass that on.
fn ask_for_rollback(ctx: &mut Context, info: &Info, to: i64) -> Result<bool> {
    if info.resource.group != "extensions" || info.resource.kind != "Deployment" {
        return Ok(false);
    }
    let body = json!({"kind": "DeploymentRollback", "apiVersion": "extensions/v1beta1", "name": info.name,
        "rollbackTo": {"revision": to}});
    match ctx.http()?.write(Method::POST, &format!("{}/rollback", info.path()), &body) {
        Ok(_) => {}
        Err(e) if e.is_not_found() || e.is_reason("MethodNotAllowed") => return Ok(false),
        Err(e) => return Err(e),
    }
    // v1.10 waited for the controller's event; the request is gone from the object at the same time.
    super::wait::until(ctx, info, 10_000, |o| Ok(o.is_none_or(|o| !o.has("spec.rollbackTo"))))?;
    Ok(true)
}

// ---- pause, resume, restart ----

/// `rollout pause`.
pub(crate) fn pause(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    change(ctx, flags, words, "pausing", |info| match info.object.b("spec.paused") {
        true => Err("is already paused".into()),
        false => Ok((json!({"spec": {"paused": true}}), "paused")),
    })
}

/// `rollout resume`.
pub(crate) fn resume(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    change(ctx, flags, words, "resuming", |info| match info.object.b("spec.paused") {
        false => Err("is not paused".into()),
        true => Ok((json!({"spec": {"paused": null}}), "resumed")),
    })
}

/// `rollout restart` (newer than v1.10).
pub(crate) fn restart(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    change(ctx, flags, words, "restarting", |info| {
        if info.object.b("spec.paused") {
            return Err("can't restart paused deployment (run rollout resume first)".into());
        }
        let now = crate::time::now().to_string();
        let now = now.split('.').next().unwrap_or(&now).trim_end_matches('Z').to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": format!("{now}Z")});
        Ok((json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}), "restarted"))
    })
}

fn change(
    ctx: &mut Context,
    flags: &Flags,
    words: &[String],
    doing: &str,
    patch: impl Fn(&Info) -> std::result::Result<(Value, &'static str), String>,
) -> Result {
    let (infos, mut errors) = targets(ctx, flags, words)?;
    for mut info in infos {
        let restartable =
            doing == "restarting" && ["DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str());
        if info.resource.kind != "Deployment" && !restartable {
            errors
                .push(format!("{} \"{}\" {doing} is not supported", info.resource.plural, info.name).into());
            continue;
        }
        match patch(&info) {
            Err(why) => errors.push(format!("{} \"{}\" {why}", info.resource.plural, info.name).into()),
            Ok((patch, done)) => {
                info.object = ctx.http()?.patch(&info.path(), STRATEGIC, &patch)?;
                if flags.bool("record") {
                    record(ctx, flags, words, &mut info)?;
                }
                info.say_internal(done, flags.str("output") == "name", false)?;
            }
        }
    }
    Error::collect(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployments_rollout_goes_through_its_stages() {
        let info = Info {
            resource: crate::discovery::tests::mapper().resolve("deploy").unwrap(),
            namespace: "default".into(),
            name: "nginx".into(),
            object: Value::Null,
            source: String::new(),
        };
        let go = |status: Value| {
            let o = json!({"metadata": {"name": "nginx", "generation": 2}, "spec": {"replicas": 3}, "status": status});
            progress(&info, &o, 0).unwrap()
        };
        assert_eq!(
            go(json!({"observedGeneration": 1})).0,
            "Waiting for deployment spec update to be observed...\n"
        );
        assert_eq!(
            go(json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 4})).0,
            "Waiting for rollout to finish: 2 out of 3 new replicas have been updated...\n"
        );
        assert_eq!(
            go(json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 4})).0,
            "Waiting for rollout to finish: 1 old replicas are pending termination...\n"
        );
        assert_eq!(
            go(json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}))
                .0,
            "Waiting for rollout to finish: 2 of 3 updated replicas are available...\n"
        );
        assert_eq!(
            go(json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3})),
            ("deployment \"nginx\" successfully rolled out\n".to_string(), true)
        );
    }
}
