//! `describe`: one file per kind (upstream v1.10: `pkg/printers/internalversion/describe.go`).
//!
//! A describer writes lines whose cells end with tabs; the tab writer aligns the whole text. What is
//! described is an object as the server sends it; kinds without a describer print all their fields.

mod autoscaling;
mod binding;
mod config;
mod container;
mod daemonset;
mod deployment;
mod endpoints;
mod events;
mod generic;
mod ingress;
mod job;
mod namespace;
mod network_policy;
mod node;
mod pod;
mod policy;
mod quota;
mod rbac;
mod replicaset;
mod service;
mod service_account;
mod statefulset;
mod storage;
pub(crate) mod template;
mod volumes;

use serde_json::Value;

use crate::context::Context;
use crate::discovery::Resource;
use crate::error::Result;
use crate::http::with_query;
use crate::print::tabwriter;
use crate::value::Json;

/// Where a describer writes to.
#[derive(Default)]
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    /// A line, indented by two spaces per level.
    pub(crate) fn line(&mut self, level: usize, text: &str) {
        for _ in 0..level {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// `title:<tab>value`.
    pub(crate) fn field(&mut self, title: &str, value: &str) {
        self.line(0, &format!("{title}:\t{value}"));
    }

    /// The text so far, cells ending with tabs.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// What a describer can ask for besides the object.
pub(crate) struct Describer<'a> {
    ctx: &'a mut Context,
    resource: &'a Resource,
    events: bool,
}

/// Describes an object.
pub(crate) fn describe(
    ctx: &mut Context,
    resource: &Resource,
    object: &Value,
    events: bool,
) -> Result<String> {
    let mut d = Describer { ctx, resource, events };
    let mut w = Writer::default();
    let built_in = crate::discovery::is_built_in(&resource.group);
    match (built_in, resource.kind.as_str()) {
        (true, "Pod") => pod::describe(&mut d, &mut w, object)?,
        (true, "ReplicaSet" | "ReplicationController") => replicaset::describe(&mut d, &mut w, object)?,
        (true, "Deployment") => deployment::describe(&mut d, &mut w, object)?,
        (true, "DaemonSet") => daemonset::describe(&mut d, &mut w, object)?,
        (true, "StatefulSet") => statefulset::describe(&mut d, &mut w, object)?,
        (true, "Job") => job::describe(&mut d, &mut w, object)?,
        (true, "CronJob") => job::describe_cron(&mut d, &mut w, object)?,
        (true, "Service") => service::describe(&mut d, &mut w, object)?,
        (true, "Endpoints") => endpoints::describe(&mut d, &mut w, object)?,
        (true, "Node") => node::describe(&mut d, &mut w, object)?,
        (true, "Namespace") => namespace::describe(&mut d, &mut w, object)?,
        (true, "Secret") => config::describe_secret(&mut w, object),
        (true, "ConfigMap") => config::describe_config_map(&mut d, &mut w, object)?,
        (true, "ServiceAccount") => service_account::describe(&mut d, &mut w, object)?,
        (true, "PersistentVolume") => storage::describe_volume(&mut d, &mut w, object)?,
        (true, "PersistentVolumeClaim") => storage::describe_claim(&mut d, &mut w, object)?,
        (true, "StorageClass") => storage::describe_class(&mut d, &mut w, object)?,
        (true, "Ingress") => ingress::describe(&mut d, &mut w, object)?,
        (true, "ResourceQuota") => quota::describe_quota(&mut w, object),
        (true, "LimitRange") => quota::describe_limits(&mut w, object),
        (true, "Role" | "ClusterRole") => rbac::describe(&mut w, object),
        (true, "RoleBinding" | "ClusterRoleBinding") => binding::describe(&mut w, object),
        (true, "NetworkPolicy") => network_policy::describe(&mut w, object),
        (true, "PodDisruptionBudget") => policy::describe(&mut d, &mut w, object)?,
        (true, "HorizontalPodAutoscaler")
            if object.has("spec.targetCPUUtilizationPercentage")
                || object.s("apiVersion") == "autoscaling/v1" =>
        {
            autoscaling::describe(&mut d, &mut w, object)?;
        }
        _ => generic::describe(&mut d, &mut w, object)?,
    }
    Ok(tabwriter::describe(&w.finish()))
}

impl Describer<'_> {
    /// The events of an object, oldest first; none when they are not wanted.
    fn events(&mut self, w: &mut Writer, object: &Value) -> Result {
        self.events_with_uid(w, object, object.s("metadata.uid"))
    }

    /// The same with another uid (a node's events name the node instead).
    fn events_with_uid(&mut self, w: &mut Writer, object: &Value, uid: &str) -> Result {
        if !self.events {
            return Ok(());
        }
        let namespace = object.s("metadata.namespace");
        let selector = format!(
            "involvedObject.kind={},involvedObject.name={},involvedObject.namespace={namespace},involvedObject.uid={uid}",
            self.resource.kind,
            object.s("metadata.name"),
        );
        let path = match namespace {
            "" => "/api/v1/events".to_string(),
            ns => format!("/api/v1/namespaces/{ns}/events"),
        };
        let list = self.ctx.http()?.get(&with_query(&path, &[("fieldSelector", &selector)]))?;
        events::write(w, list.list("items"), crate::time::now());
        Ok(())
    }

    /// Objects of a core resource in a namespace, chosen by labels or fields.
    fn list(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let answer = self.ctx.http()?.get(&with_query(path, parameters))?;
        Ok(answer.list("items").to_vec())
    }

    /// `2 Running / 0 Waiting / 0 Succeeded / 0 Failed` of the pods that a controller owns.
    fn pods_status(&mut self, object: &Value, selector: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{}/pods", object.s("metadata.namespace"));
        let uid = object.s("metadata.uid");
        let pods = match self.list(&path, &[("labelSelector", selector)]) {
            Ok(p) => p,
            Err(e) => return Ok(format!("error in fetching pods: {}", e.text())),
        };
        let mut counts = [0; 4];
        for p in &pods {
            let owned =
                p.list("metadata.ownerReferences").iter().any(|o| o.b("controller") && o.s("uid") == uid);
            if !owned && object.s("kind") != "ReplicationController" {
                continue;
            }
            match p.s("status.phase") {
                "Running" => counts[0] += 1,
                "Pending" => counts[1] += 1,
                "Succeeded" => counts[2] += 1,
                "Failed" => counts[3] += 1,
                _ => {}
            }
        }
        let [r, p, s, f] = counts;
        Ok(format!("{r} Running / {p} Waiting / {s} Succeeded / {f} Failed"))
    }
}

/// `Name:` and, unless it is empty, `Namespace:`.
fn head(w: &mut Writer, object: &Value) {
    w.field("Name", object.s("metadata.name"));
    w.field("Namespace", object.s("metadata.namespace"));
}

/// `a=1` per line below each other.
fn labels(w: &mut Writer, title: &str, pairs: &[(&str, &str)]) {
    labels_at(w, "", title, pairs);
}

fn labels_at(w: &mut Writer, indent: &str, title: &str, pairs: &[(&str, &str)]) {
    if pairs.is_empty() {
        w.line(0, &format!("{indent}{title}:\t<none>"));
    }
    for (i, (k, v)) in pairs.iter().enumerate() {
        let title = if i == 0 { format!("{title}:") } else { String::new() };
        w.line(0, &format!("{indent}{title}\t{k}={v}"));
    }
}

/// Annotations, long ones cut; what `apply` keeps for itself only where v1.10 showed it.
fn annotations(w: &mut Writer, object: &Value) {
    annotations_at(w, "", &object.strings("metadata.annotations"));
}

fn annotations_at(w: &mut Writer, indent: &str, pairs: &[(&str, &str)]) {
    let cut: Vec<(&str, String)> = pairs
        .iter()
        .map(|(k, v)| {
            let room = 200usize.saturating_sub(k.len() + 1);
            if k.len() + 1 + v.len() > 200 {
                let end = (0..=room.min(v.len())).rev().find(|i| v.is_char_boundary(*i)).unwrap_or(0);
                (*k, format!("{}...", &v[..end]))
            } else {
                (*k, v.to_string())
            }
        })
        .collect();
    let pairs: Vec<(&str, &str)> = cut.iter().map(|(k, v)| (*k, v.as_str())).collect();
    labels_at(w, indent, "Annotations", &pairs);
}

/// Annotations without what `apply` keeps there.
fn annotations_for_people(w: &mut Writer, object: &Value) {
    let pairs: Vec<(&str, &str)> = object
        .strings("metadata.annotations")
        .into_iter()
        .filter(|(k, _)| *k != crate::cmd::apply::LAST_APPLIED)
        .collect();
    annotations_at(w, "", &pairs);
}

/// `Deployment/web`: the controller of an object, or "".
fn controlled_by(object: &Value) -> String {
    object
        .list("metadata.ownerReferences")
        .iter()
        .find(|o| o.b("controller"))
        .map(|o| format!("{}/{}", o.s("kind"), o.s("name")))
        .unwrap_or_default()
}

/// `True` or `False`.
fn bool_text(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}

/// The text, or `<none>`.
fn or_none(s: &str) -> &str {
    if s.is_empty() { "<none>" } else { s }
}
