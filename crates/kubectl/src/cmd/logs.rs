//! `kubectl logs` (upstream v1.10: `pkg/kubectl/cmd/logs.go`).

use std::io::Write;

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::http::with_query;
use crate::resource::{Info, Wanted, namespace_for, wanted};
use crate::value::{Json, format_selector, join_labels};

/// Runs `logs`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let selector = flags.str("selector");
    if words.is_empty() && selector.is_empty() && flags.list("filename").is_empty() {
        return Err(flags.usage("expected 'logs (POD | TYPE/NAME) [CONTAINER_NAME]'.\nPOD or TYPE/NAME is a required argument for the logs command"));
    }
    if words.len() > 2 {
        return Err(flags.usage("expected 'logs (POD | TYPE/NAME) [CONTAINER_NAME]'.\nPOD or TYPE/NAME is a required argument for the logs command"));
    }
    if !selector.is_empty() && flags.bool("follow") {
        return Err(flags.usage("only one of follow (-f) or selector (-l) is allowed"));
    }
    if !flags.str("since-time").is_empty() && !flags.str("since").is_empty() && flags.str("since") != "0s" {
        return Err(flags.usage("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    let container = match words.get(1) {
        Some(c) if flags.str("container").is_empty() => c.clone(),
        Some(_) => return Err(flags.usage("only one of -c or an inline [CONTAINER] arg is allowed")),
        None => flags.str("container").to_string(),
    };
    let pods = if selector.is_empty() {
        vec![find_pod(ctx, flags, words.first().map_or("", String::as_str))?]
    } else {
        let ns = ctx.namespace()?;
        let list = ctx
            .http()?
            .get(&with_query(&format!("/api/v1/namespaces/{ns}/pods"), &[("labelSelector", selector)]))?;
        list.list("items").to_vec()
    };
    for pod in &pods {
        let names: Vec<String> = if flags.bool("all-containers") {
            ["spec.initContainers", "spec.containers"]
                .iter()
                .flat_map(|p| pod.list(p))
                .map(|c| c.s("name").to_string())
                .collect()
        } else {
            vec![container.clone()]
        };
        for name in names {
            print(ctx, flags, pod, &name)?;
        }
    }
    Ok(())
}

fn print(ctx: &mut Context, flags: &Flags, pod: &Value, container: &str) -> Result {
    let mut parameters: Vec<(&str, String)> = Vec::new();
    if !container.is_empty() {
        parameters.push(("container", container.into()));
    }
    for (flag, parameter) in [("follow", "follow"), ("previous", "previous"), ("timestamps", "timestamps")] {
        if flags.bool(flag) {
            parameters.push((parameter, "true".into()));
        }
    }
    // Several pods at once show their last lines only, unless told otherwise.
    let tail = if flags.changed("tail") || flags.str("selector").is_empty() { flags.int("tail") } else { 10 };
    if tail >= 0 {
        parameters.push(("tailLines", tail.to_string()));
    }
    if flags.int("limit-bytes") > 0 {
        parameters.push(("limitBytes", flags.int("limit-bytes").to_string()));
    }
    if !flags.str("since-time").is_empty() {
        parameters.push(("sinceTime", flags.str("since-time").into()));
    }
    if flags.millis("since") > 0 {
        parameters.push(("sinceSeconds", ((flags.millis("since") + 999) / 1000).to_string()));
    }
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let path =
        format!("/api/v1/namespaces/{}/pods/{}/log", pod.s("metadata.namespace"), pod.s("metadata.name"));
    let mut out = std::io::stdout();
    ctx.http()?.stream(&with_query(&path, &parameters), "application/json, */*", |data| {
        out.write_all(data)?;
        out.flush()?;
        Ok(true)
    })
}

/// The pod that `POD` or `TYPE/NAME` means; of several, the first one that runs.
pub(crate) fn find_pod(ctx: &mut Context, flags: &Flags, word: &str) -> Result<Value> {
    let http = ctx.http()?;
    let plain = Flags::default();
    let word = if word.contains('/') { word.to_string() } else { format!("pods/{word}") };
    if word.starts_with("pods/") || word.starts_with("pod/") || word.starts_with("po/") {
        let name = word.split_once('/').map_or("", |(_, n)| n);
        let ns = ctx.namespace()?;
        return http.get(&format!("/api/v1/namespaces/{ns}/pods/{name}"));
    }
    let mut found = wanted(ctx, &plain, &[word], true)?;
    let Some(Wanted::One(resource, name)) = found.pop() else { return Err("no pod named".into()) };
    let namespace = namespace_for(ctx, &plain, &resource)?;
    let object = http.get(&resource.path(&namespace, &name))?;
    let info = Info { resource, namespace, name, object, source: String::new() };
    if info.resource.kind == "Pod" {
        return Ok(info.object);
    }
    let selector = pod_selector(&info)?;
    let path = format!("/api/v1/namespaces/{}/pods", info.namespace);
    let list = http.get(&with_query(&path, &[("labelSelector", &selector)]))?;
    let mut pods: Vec<&Value> = list.list("items").iter().collect();
    if pods.is_empty() {
        return Err(Error::Message(format!(
            "no matching pods found for {}/{}",
            info.resource.plural, info.name
        )));
    }
    // Ready ones first, then running ones, then the oldest.
    pods.sort_by_key(|p| {
        let ready =
            p.list("status.conditions").iter().any(|c| c.s("type") == "Ready" && c.s("status") == "True");
        (!ready, p.s("status.phase") != "Running", p.s("metadata.creationTimestamp").to_string())
    });
    if pods.len() > 1 && !flags.path.ends_with("port-forward") {
        eprintln!("Found {} pods, using pod/{}", pods.len(), pods[0].s("metadata.name"));
    }
    Ok(pods[0].clone())
}

fn pod_selector(info: &Info) -> Result<String> {
    let selector = info.object.at("spec.selector");
    Ok(match info.resource.kind.as_str() {
        "Service" | "ReplicationController" => join_labels(&info.object.strings("spec.selector"), ""),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" => format_selector(selector),
        k => return Err(format!("cannot get the logs from {k}").into()),
    })
}
