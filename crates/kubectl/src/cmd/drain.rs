//! `kubectl cordon`, `uncordon` and `drain` (upstream v1.10: `pkg/kubectl/cmd/drain.go`).

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::http::with_query;
use crate::patch::STRATEGIC;
use crate::resource::{Info, Rules, infos, list};
use crate::value::Json;

fn nodes(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result<Vec<Info>> {
    let resource = ctx.mapper()?.of_kind("v1", "Node")?;
    if words.is_empty() {
        return list(ctx, &resource, "", flags.str("selector"), "");
    }
    let mut all = vec!["nodes".to_string()];
    all.extend(
        words.iter().map(|w| w.strip_prefix("node/").or(w.strip_prefix("nodes/")).unwrap_or(w).to_string()),
    );
    let rules = Rules { need_name: true, ..Rules::default() };
    let (found, _) = infos(ctx, &Flags::default(), &all, &rules)?;
    Ok(found)
}

fn check(flags: &Flags, words: &[String], usage: &str) -> Result {
    match (words.is_empty(), flags.str("selector").is_empty()) {
        (true, true) => Err(flags.usage(format!("USAGE: {usage} [flags]"))),
        (false, false) => Err(flags.usage("error: cannot specify both a node name and a --selector option")),
        _ => Ok(()),
    }
}

/// Makes a node (un)schedulable and says so.
fn set_schedulable(ctx: &mut Context, info: &Info, cordon: bool, dry: bool) -> Result {
    let word = if cordon { "cordoned" } else { "uncordoned" };
    if info.object.b("spec.unschedulable") == cordon {
        return info.say(&format!("already {word}"), false, dry);
    }
    if !dry {
        let value = if cordon { json!(true) } else { Value::Null };
        ctx.http()?.patch(&info.path(), STRATEGIC, &json!({"spec": {"unschedulable": value}}))?;
    }
    info.say(word, false, dry)
}

/// `cordon`.
pub(crate) fn cordon(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    check(flags, words, "cordon NODE")?;
    for n in nodes(ctx, flags, words)? {
        set_schedulable(ctx, &n, true, flags.bool("dry-run"))?;
    }
    Ok(())
}

/// `uncordon`.
pub(crate) fn uncordon(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    check(flags, words, "uncordon NODE")?;
    for n in nodes(ctx, flags, words)? {
        set_schedulable(ctx, &n, false, flags.bool("dry-run"))?;
    }
    Ok(())
}

/// `drain`.
pub(crate) fn drain(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    check(flags, words, "drain NODE")?;
    let dry = flags.bool("dry-run");
    let all = nodes(ctx, flags, words)?;
    for (i, n) in all.iter().enumerate() {
        set_schedulable(ctx, n, true, dry)?;
        if !dry && let Err(e) = drain_one(ctx, flags, n) {
            eprintln!("error: unable to drain node \"{}\", aborting command...\n", n.name);
            eprintln!("There are pending nodes to be drained:");
            for left in &all[i..] {
                eprintln!(" {}", left.name);
            }
            return Err(e);
        }
        n.say("drained", false, dry)?;
    }
    Ok(())
}

/// Which pods go, and what is to be said about the others.
#[derive(Default)]
struct Plan {
    go: Vec<Value>,
    warnings: Vec<(String, Vec<String>)>,
    errors: Vec<(String, Vec<String>)>,
}

impl Plan {
    fn note(list: &mut Vec<(String, Vec<String>)>, why: &str, pod: &Value) {
        let name = pod.s("metadata.name").to_string();
        match list.iter_mut().find(|(w, _)| w == why) {
            Some((_, names)) => names.push(name),
            None => list.push((why.into(), vec![name])),
        }
    }

    fn text(list: &[(String, Vec<String>)]) -> String {
        list.iter().map(|(w, names)| format!("{w}: {}", names.join(", "))).collect::<Vec<_>>().join("; ")
    }
}

/// Decides about each pod (upstream: `getPodsForDeletion`); `daemon_exists` asks for its daemon set.
fn plan(pods: Vec<Value>, flags: &Flags, mut daemon_exists: impl FnMut(&Value) -> bool) -> Plan {
    let mut p = Plan::default();
    for pod in pods {
        let mirror =
            pod.at("metadata.annotations").is_some_and(|a| a.get("kubernetes.io/config.mirror").is_some());
        if mirror {
            continue;
        }
        let controller = pod.list("metadata.ownerReferences").iter().find(|o| o.b("controller"));
        let finished = ["Succeeded", "Failed"].contains(&pod.s("status.phase"));
        if !finished && pod.list("spec.volumes").iter().any(|v| v.has("emptyDir")) {
            if flags.bool("delete-local-data") {
                Plan::note(&mut p.warnings, "Deleting pods with local storage", &pod);
            } else {
                Plan::note(
                    &mut p.errors,
                    "pods with local storage (use --delete-local-data to override)",
                    &pod,
                );
                continue;
            }
        }
        match controller {
            Some(c) if c.s("kind") == "DaemonSet" && daemon_exists(&pod) => {
                if flags.bool("ignore-daemonsets") {
                    Plan::note(&mut p.warnings, "Ignoring DaemonSet-managed pods", &pod);
                } else {
                    Plan::note(
                        &mut p.errors,
                        "DaemonSet-managed pods (use --ignore-daemonsets to ignore)",
                        &pod,
                    );
                }
                continue;
            }
            None if !finished => {
                if flags.bool("force") {
                    Plan::note(
                        &mut p.warnings,
                        "Deleting pods not managed by ReplicationController, ReplicaSet, Job, DaemonSet or StatefulSet",
                        &pod,
                    );
                } else {
                    Plan::note(
                        &mut p.errors,
                        "pods not managed by ReplicationController, ReplicaSet, Job, DaemonSet or StatefulSet (use --force to override)",
                        &pod,
                    );
                    continue;
                }
            }
            _ => {}
        }
        p.go.push(pod);
    }
    p
}

fn drain_one(ctx: &mut Context, flags: &Flags, node: &Info) -> Result {
    let http = ctx.http()?;
    let selector = format!("spec.nodeName={}", node.name);
    let pods = http.get(&with_query("/api/v1/pods", &[("fieldSelector", &selector)]))?;
    let p = plan(pods.list("items").to_vec(), flags, |pod| {
        let owner = pod.list("metadata.ownerReferences").iter().find(|o| o.b("controller"));
        let path = format!(
            "/apis/apps/v1/namespaces/{}/daemonsets/{}",
            pod.s("metadata.namespace"),
            owner.map_or("", |o| o.s("name"))
        );
        http.get(&path).is_ok()
    });
    if !p.errors.is_empty() {
        return Err(Plan::text(&p.errors).into());
    }
    if !p.warnings.is_empty() {
        eprintln!("WARNING: {}", Plan::text(&p.warnings));
    }
    evict(ctx, flags, p.go, &node.name)
}

/// Evicts the pods and waits until they are gone; a budget that says no is asked again.
fn evict(ctx: &mut Context, flags: &Flags, pods: Vec<Value>, node: &str) -> Result {
    let http = ctx.http()?;
    let timeout = flags.millis("timeout");
    let deadline = (timeout > 0).then(|| Instant::now() + Duration::from_millis(timeout.unsigned_abs()));
    let mut waiting = pods;
    let mut asked: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let mut left = Vec::new();
        for pod in waiting {
            let (ns, name, uid) =
                (pod.s("metadata.namespace"), pod.s("metadata.name"), pod.s("metadata.uid"));
            let path = format!("/api/v1/namespaces/{ns}/pods/{name}");
            if !asked.iter().any(|a| a == uid) {
                let mut options = json!({});
                if flags.int("grace-period") >= 0 {
                    options["gracePeriodSeconds"] = flags.int("grace-period").into();
                }
                let body = json!({"kind": "Eviction", "apiVersion": "policy/v1beta1",
                    "metadata": {"name": name, "namespace": ns, "creationTimestamp": null}, "deleteOptions": options});
                match http.write(Method::POST, &format!("{path}/eviction"), &body) {
                    Ok(_) => asked.push(uid.to_string()),
                    Err(e) if e.is_not_found() => continue,
                    Err(e) if e.is_reason("TooManyRequests") => {
                        left.push(pod);
                        continue;
                    }
                    Err(e) => return Err(format!("error when evicting pod \"{name}\": {e}").into()),
                }
            }
            match http.get(&path) {
                Ok(now) if now.s("metadata.uid") == uid => left.push(pod),
                Err(e) if !e.is_not_found() => return Err(e),
                _ => crate::print::out(&format!("pod \"{name}\" evicted\n"))?,
            }
        }
        if deadline.is_some_and(|d| Instant::now() > d) && !left.is_empty() {
            let late = format!("Drain did not complete within {}", crate::time::go_duration(timeout));
            eprintln!("There are pending pods in node \"{node}\" when an error occurred: {late}");
            for pod in &left {
                eprintln!("pod/{}", pod.s("metadata.name"));
            }
            return Err(Error::Message(late));
        }
        waiting = left;
        if !waiting.is_empty() {
            // The server has no event for "a budget allows it now": ask again at v1.10's pace.
            http.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_nobody_makes_again_stop_a_drain() {
        let pod = |name: &str, kind: &str, volume: bool| {
            let mut p =
                json!({"metadata": {"name": name}, "spec": {"volumes": []}, "status": {"phase": "Running"}});
            if !kind.is_empty() {
                p["metadata"]["ownerReferences"] = json!([{"controller": true, "kind": kind}]);
            }
            if volume {
                p["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
            }
            p
        };
        let pods =
            vec![pod("agent", "DaemonSet", false), pod("solo", "", true), pod("web", "ReplicaSet", false)];
        let p = plan(pods, &Flags::default(), |_| true);
        assert_eq!(
            Plan::text(&p.errors),
            "DaemonSet-managed pods (use --ignore-daemonsets to ignore): agent; pods with local storage (use --delete-local-data to override): solo"
        );
        assert_eq!(p.go.len(), 1);
    }
}
