//! `kubectl delete` (upstream v1.10: `pkg/kubectl/cmd/delete.go`).
//!
//! v1.10 had reapers: it scaled workloads down itself before it deleted them. Servers do that now, so
//! deletion here asks for propagation and then waits, as v1.10 did, until nothing of the workload is left
//! but pods that are about to end; what is printed is the same.

use serde_json::{Value, json};

use super::wait::until_none;
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::out;
use crate::resource::{Info, Wanted, from_document, list, namespace_for, wanted};
use crate::value::Json;

/// Runs `delete`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let mut grace = flags.int("grace-period");
    if flags.bool("now") {
        if grace != -1 {
            return Err("--now and --grace-period cannot be specified together".into());
        }
        grace = 1;
    }
    let force = flags.bool("force");
    if grace == 0 && !force {
        // Without --force, 0 would leave containers running unseen: v1.10 makes it 1.
        grace = 1;
    }
    if force && grace < 0 {
        grace = 0;
    }
    let ignore = flags.bool("ignore-not-found") || (flags.bool("all") && !flags.changed("ignore-not-found"));
    let wanted = wanted(ctx, flags, words, true)?;
    if grace == 0 {
        eprintln!(
            "warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely."
        );
    }
    let propagation = if flags.bool("cascade") { "Background" } else { "Orphan" };
    let mut errors = Vec::new();
    let mut found = 0;
    for w in wanted {
        let infos = match locate(ctx, flags, w) {
            Ok(i) => i,
            Err(e) => {
                errors.push(e);
                continue;
            }
        };
        for info in infos {
            found += 1;
            let grace = (grace >= 0).then_some(grace);
            match remove(ctx, &info, propagation, grace) {
                Err(e) if e.is_not_found() && ignore => continue,
                Err(e) if !info.source.is_empty() => {
                    errors.push(e.during(&format!("error when deleting \"{}\"", info.source)));
                    continue;
                }
                Err(e) => {
                    errors.push(e);
                    continue;
                }
                Ok(answer) if propagation == "Background" => await_dependents(ctx, &info, &answer)?,
                Ok(_) => {}
            }
            if flags.str("output") == "name" {
                out(&format!("{}/{}\n", info.resource.typed(), info.name))?;
            } else {
                out(&format!("{} \"{}\" deleted\n", info.resource.typed(), info.name))?;
            }
        }
    }
    if found == 0 && errors.is_empty() {
        out("No resources found\n")?;
    }
    Error::collect(errors)
}

/// What is to be deleted; single objects are not fetched first.
fn locate(ctx: &mut Context, flags: &Flags, w: Wanted) -> Result<Vec<Info>> {
    Ok(match w {
        Wanted::Failed(e) => return Err(e),
        Wanted::Doc(r, d) => vec![from_document(ctx, r, d)?],
        Wanted::One(resource, name) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            vec![Info { resource, namespace, name, object: Value::Null, source: String::new() }]
        }
        Wanted::Many(resource) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            list(ctx, &resource, &namespace, flags.str("selector"), flags.str("field-selector"))?
        }
    })
}

/// How long the garbage collector gets; without one there is nothing to wait for.
const DEPENDENTS_MS: i64 = 10_000;

/// Waits until what a workload owned is gone, pods at least on their way.
fn await_dependents(ctx: &mut Context, info: &Info, answer: &Value) -> Result {
    if !["Deployment", "ReplicaSet", "ReplicationController", "DaemonSet", "StatefulSet", "Job"]
        .contains(&info.resource.kind.as_str())
    {
        return Ok(());
    }
    let uid =
        [answer.s("details.uid"), answer.s("metadata.uid")].into_iter().find(|u| !u.is_empty()).unwrap_or("");
    let http = ctx.http()?;
    let mut owners = vec![uid.to_string()];
    let owned = |o: &Value, owners: &[String]| {
        o.list("metadata.ownerReferences").iter().any(|r| owners.iter().any(|u| u == r.s("uid")))
    };
    let namespace = &info.namespace;
    if info.resource.kind == "Deployment" {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/replicasets");
        let done = until_none(&http, &path, DEPENDENTS_MS, |o| {
            let is = owned(o, &owners[..1]);
            if is {
                owners.push(o.s("metadata.uid").to_string());
            }
            is
        })?;
        if !done {
            return Ok(());
        }
    }
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    until_none(&http, &path, DEPENDENTS_MS, |o| owned(o, &owners) && !o.has("metadata.deletionTimestamp"))?;
    Ok(())
}

/// Deletes one object.
pub(crate) fn remove(ctx: &mut Context, info: &Info, propagation: &str, grace: Option<i64>) -> Result<Value> {
    let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation});
    if let Some(g) = grace {
        options["gracePeriodSeconds"] = g.into();
    }
    ctx.http()?.delete(&info.path(), Some(&options))
}
