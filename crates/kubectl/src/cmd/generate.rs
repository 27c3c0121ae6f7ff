//! What `run`, `expose` and `create` make out of their flags (upstream: `pkg/kubectl/generate`): pure.
//!
//! Empty fields that Go's types carry (`status: {}`, `creationTimestamp: null`) are part of what v1.10
//! shows with `--dry-run -o yaml`, so they are here too.

use serde_json::{Map, Value, json};

use crate::cli::Flags;
use crate::error::Result;
use crate::value::{Json, set};

/// `a=1,b=2` as a map.
pub(crate) fn labels(text: &str) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for pair in text.split(',').filter(|p| !p.is_empty()) {
        let (k, v) = pair
            .split_once('=')
            .filter(|(k, v)| !k.is_empty() && !v.contains('='))
            .ok_or_else(|| format!("unexpected label spec: {pair}"))?;
        map.insert(k.into(), v.into());
    }
    Ok(map)
}

/// `cpu=1,memory=2` as a map.
pub(crate) fn resource_list(text: &str) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for pair in text.split(',').filter(|p| !p.is_empty()) {
        let (k, v) = pair
            .split_once('=')
            .ok_or_else(|| format!("Invalid argument syntax {pair}, expected <resource>=<value>"))?;
        map.insert(k.into(), v.into());
    }
    Ok(map)
}

/// `metadata` as Go's types print it.
pub(crate) fn metadata(name: &str, labels: Option<&Map<String, Value>>) -> Value {
    let mut m = json!({"name": name, "creationTimestamp": null});
    if let Some(l) = labels.filter(|l| !l.is_empty()) {
        m["labels"] = Value::Object(l.clone());
    }
    m
}

/// What `run` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Workload {
    /// A deployment in the given API version.
    Deployment(&'static str),
    /// A job.
    Job,
    /// A cron job in the given API version.
    CronJob(&'static str),
    /// A bare pod.
    Pod,
    /// A replication controller.
    Controller,
}

/// The workload of `kubectl run`.
pub(crate) fn run(what: Workload, name: &str, arguments: &[String], flags: &Flags) -> Result<Value> {
    let labels = match flags.str("labels") {
        "" => Map::from_iter([("run".to_string(), json!(name))]),
        text => labels(text)?,
    };
    let mut container = json!({"name": name, "image": flags.str("image"), "resources": {}});
    if !arguments.is_empty() {
        let key = if flags.bool("command") { "command" } else { "args" };
        container[key] = json!(arguments);
    }
    for (flag, key) in [("limits", "limits"), ("requests", "requests")] {
        let list = resource_list(flags.str(flag))?;
        if !list.is_empty() {
            container["resources"][key] = Value::Object(list);
        }
    }
    let mut env = Vec::new();
    for e in flags.list("env") {
        let (k, v) =
            e.split_once('=').filter(|(k, _)| !k.is_empty()).ok_or_else(|| format!("invalid env: {e}"))?;
        env.push(json!({"name": k, "value": v}));
    }
    if !env.is_empty() {
        container["env"] = env.into();
    }
    if flags.int("port") > 0 {
        let mut port = json!({"containerPort": flags.int("port")});
        if flags.int("hostport") > 0 {
            port["hostPort"] = flags.int("hostport").into();
        }
        container["ports"] = json!([port]);
    } else if flags.int("hostport") > 0 {
        return Err("--hostport requires --port to be specified".into());
    }
    if !flags.str("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = flags.str("image-pull-policy").into();
    } else if what == Workload::Pod {
        container["imagePullPolicy"] = "IfNotPresent".into();
    }
    if flags.bool("stdin") {
        container["stdin"] = true.into();
        if !flags.bool("leave-stdin-open") {
            container["stdinOnce"] = true.into();
        }
    }
    if flags.bool("tty") {
        container["tty"] = true.into();
    }
    let mut spec = json!({"containers": [container]});
    if !flags.str("serviceaccount").is_empty() {
        spec["serviceAccountName"] = flags.str("serviceaccount").into();
    }
    let restart = flags.str("restart");
    let template =
        |spec: &Value| json!({"metadata": {"creationTimestamp": null, "labels": labels}, "spec": spec});
    let meta = metadata(name, Some(&labels));
    let replicas = flags.int("replicas");
    Ok(match what {
        Workload::Deployment(version) => json!({
            "apiVersion": version, "kind": "Deployment", "metadata": meta,
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "strategy": {}, "template": template(&spec)},
            "status": {},
        }),
        Workload::Controller => json!({
            "apiVersion": "v1", "kind": "ReplicationController", "metadata": meta,
            "spec": {"replicas": replicas, "selector": labels, "template": template(&spec)},
            "status": {"replicas": 0},
        }),
        Workload::Job => {
            spec["restartPolicy"] = if restart.is_empty() { "OnFailure" } else { restart }.into();
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta,
                "spec": {"template": template(&spec)}, "status": {}})
        }
        Workload::CronJob(version) => {
            spec["restartPolicy"] = if restart.is_empty() { "OnFailure" } else { restart }.into();
            json!({"apiVersion": version, "kind": "CronJob", "metadata": meta,
                "spec": {"concurrencyPolicy": "Allow", "schedule": flags.str("schedule"),
                    "jobTemplate": {"metadata": {"creationTimestamp": null}, "spec": {"template": template(&spec)}}},
                "status": {}})
        }
        Workload::Pod => {
            spec["restartPolicy"] = if restart.is_empty() { "Always" } else { restart }.into();
            spec["dnsPolicy"] = "ClusterFirst".into();
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}})
        }
    })
}

/// One port of a service.
pub(crate) struct Port {
    /// Its number.
    pub(crate) port: i64,
    /// Its protocol.
    pub(crate) protocol: String,
}

/// The service of `kubectl expose` and `run --expose`.
pub(crate) fn service(
    name: &str,
    labels: &Map<String, Value>,
    selector: &Map<String, Value>,
    ports: &[Port],
    flags: &Flags,
) -> Value {
    let target = flags.str("target-port");
    let many = ports.len() > 1;
    let ports: Vec<Value> = ports
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let mut v = json!({"port": p.port, "protocol": p.protocol});
            if many {
                v["name"] = format!("port-{}", i + 1).into();
            }
            v["targetPort"] = match target.parse::<i64>() {
                _ if target.is_empty() => p.port.into(),
                Ok(n) => n.into(),
                Err(_) => target.into(),
            };
            v
        })
        .collect();
    let mut o = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(name, Some(labels)),
        "spec": {"selector": selector}, "status": {"loadBalancer": {}},
    });
    if !ports.is_empty() {
        o["spec"]["ports"] = ports.into();
    }
    for (flag, key) in [
        ("type", "type"),
        ("session-affinity", "sessionAffinity"),
        ("cluster-ip", "clusterIP"),
        ("load-balancer-ip", "loadBalancerIP"),
    ] {
        if !flags.str(flag).is_empty() {
            o["spec"][key] = flags.str(flag).into();
        }
    }
    if !flags.str("external-ip").is_empty() {
        o["spec"]["externalIPs"] = json!([flags.str("external-ip")]);
    }
    o
}

/// `kubectl create deployment`.
pub(crate) fn deployment(name: &str, images: &[String]) -> Value {
    let labels = Map::from_iter([("app".to_string(), json!(name))]);
    let containers: Vec<Value> = images
        .iter()
        .map(|image| {
            let base = image.rsplit('/').next().unwrap_or(image);
            let base = base.split([':', '@']).next().unwrap_or(base);
            json!({"image": image, "name": base, "resources": {}})
        })
        .collect();
    json!({
        "apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": metadata(name, Some(&labels)),
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels}, "strategy": {},
            "template": {"metadata": {"creationTimestamp": null, "labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    })
}

/// `kubectl create service TYPE`.
pub(crate) fn create_service(name: &str, kind: &str, flags: &Flags) -> Result<Value> {
    let labels = Map::from_iter([("app".to_string(), json!(name))]);
    let mut ports = Vec::new();
    for text in flags.list("tcp") {
        let (port, target) = text.split_once(':').unwrap_or((text, text));
        let port: i64 =
            port.parse().map_err(|_| format!("invalid port format: {text}, expected <port>:<targetPort>"))?;
        let target_port = target.parse::<i64>().map_or(json!(target), |n| json!(n));
        let name = match text.split_once(':') {
            Some((p, t)) => format!("{p}-{t}"),
            None => text.clone(),
        };
        let mut p = json!({"name": name, "port": port, "protocol": "TCP", "targetPort": target_port});
        if flags.int("node-port") != 0 {
            p["nodePort"] = flags.int("node-port").into();
        }
        ports.push(p);
    }
    let headless = flags.str("clusterip") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        return Err("at least one tcp port specifier must be provided".into());
    }
    let mut o = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(name, Some(&labels)),
        "spec": {"selector": labels, "type": kind}, "status": {"loadBalancer": {}},
    });
    if !ports.is_empty() {
        o["spec"]["ports"] = ports.into();
    }
    if !flags.str("clusterip").is_empty() {
        o["spec"]["clusterIP"] = flags.str("clusterip").into();
    }
    if !flags.str("external-name").is_empty() {
        o["spec"]["externalName"] = flags.str("external-name").into();
    }
    Ok(o)
}

/// Key and bytes of each `--from-literal`, `--from-file` and `--from-env-file`.
pub(crate) fn data(flags: &Flags) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for literal in flags.list("from-literal") {
        let (k, v) = literal
            .split_once('=')
            .filter(|(k, _)| !k.is_empty())
            .ok_or_else(|| format!("invalid literal source {literal}, expected key=value"))?;
        let v = v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v);
        all.push((k.into(), v.into()));
    }
    for source in flags.list("from-file") {
        let (key, path) = match source.split_once('=') {
            Some((k, p)) if !k.is_empty() && !p.is_empty() => (Some(k.to_string()), p),
            Some(_) => return Err(format!("key name or file path for file path missing in {source}").into()),
            None => (None, source.as_str()),
        };
        let path = std::path::Path::new(path);
        let read = |p: &std::path::Path| {
            std::fs::read(p).map_err(|_| {
                crate::error::Error::Message(format!(
                    "error reading {}: no such file or directory",
                    p.display()
                ))
            })
        };
        if path.is_dir() {
            if key.is_some() {
                return Err("cannot give a key name for a directory path.".into());
            }
            let mut files: Vec<_> =
                std::fs::read_dir(path)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
            files.sort();
            for f in files.iter().filter(|f| f.is_file()) {
                all.push((file_name(f), read(f)?));
            }
        } else {
            all.push((key.unwrap_or_else(|| file_name(path)), read(path)?));
        }
    }
    if !flags.str("from-env-file").is_empty() {
        if !all.is_empty() {
            return Err("from-env-file cannot be combined with from-file or from-literal".into());
        }
        let text = std::fs::read_to_string(flags.str("from-env-file"))?;
        for line in text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (k, v) = match line.split_once('=') {
                Some((k, v)) => (k.to_string(), v.to_string()),
                None => (line.to_string(), std::env::var(line).unwrap_or_default()),
            };
            all.push((k, v.into_bytes()));
        }
    }
    for (i, (k, _)) in all.iter().enumerate() {
        if all[..i].iter().any(|(other, _)| other == k) {
            return Err(format!("cannot add key {k}, another key by that name already exists").into());
        }
    }
    Ok(all)
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Adds the annotation of `--save-config`.
pub(crate) fn save_config(object: &mut Value) {
    let text = super::apply::last_applied_text(object);
    if !object.at("metadata.annotations").is_some_and(Value::is_object) {
        set(object, "metadata.annotations", json!({}));
    }
    if let Some(Value::Object(a)) = object.at("metadata.annotations").cloned() {
        let mut a = a;
        a.insert(super::apply::LAST_APPLIED.into(), text.into());
        set(object, "metadata.annotations", Value::Object(a));
    }
}
