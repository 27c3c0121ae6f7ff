//! Containers of pods and pod templates.

use serde_json::Value;

use super::{Writer, bool_text, or_none};
use crate::time::rfc1123z;
use crate::value::{Json, plain};

/// Where containers stand: in a pod (with statuses) or in a template (indented).
pub(super) struct Place<'a> {
    /// "" in a pod, two spaces in a template.
    pub(super) indent: &'a str,
    /// The pod, for values of fields.
    pub(super) pod: Option<&'a Value>,
}

/// Writes one list of containers.
pub(super) fn write(
    w: &mut Writer,
    title: &str,
    containers: &[Value],
    statuses: &[Value],
    place: &Place<'_>,
) {
    let none = if containers.is_empty() { " <none>" } else { "" };
    w.line(0, &format!("{}{title}:{none}", place.indent));
    let name_indent = if place.indent.is_empty() { "" } else { " " };
    for c in containers {
        let status = statuses.iter().find(|s| s.s("name") == c.s("name"));
        w.line(1, &format!("{name_indent}{}:", c.s("name")));
        if let Some(s) = status {
            w.line(2, &format!("Container ID:\t{}", s.s("containerID")));
        }
        w.line(2, &format!("Image:\t{}", c.s("image")));
        if let Some(s) = status {
            w.line(2, &format!("Image ID:\t{}", s.s("imageID")));
        }
        ports(w, "Port", c, "containerPort");
        ports(w, "Host Port", c, "hostPort");
        words(w, "Command", c.list("command"));
        words(w, "Args", c.list("args"));
        if let Some(s) = status {
            state(w, "State", s.at("state"));
            if s.has("lastState.terminated") {
                state(w, "Last State", s.at("lastState"));
            }
            w.line(2, &format!("Ready:\t{}", bool_text(s.b("ready"))));
            w.line(2, &format!("Restart Count:\t{}", s.i("restartCount")));
        }
        for (title, path) in [("Limits", "resources.limits"), ("Requests", "resources.requests")] {
            let amounts = c.pairs(path);
            if !amounts.is_empty() {
                w.line(2, &format!("{title}:"));
            }
            for (k, v) in amounts {
                w.line(3, &format!("{k}:\t{}", plain(v)));
            }
        }
        for (title, path) in [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe")] {
            if let Some(p) = c.at(path).filter(|p| !p.is_null()) {
                w.line(2, &format!("{title}:\t{}", probe(p)));
            }
        }
        environment(w, c, place.pod);
        mounts(w, c);
    }
}

fn ports(w: &mut Writer, title: &str, c: &Value, field: &str) {
    let texts: Vec<String> =
        c.list("ports").iter().map(|p| format!("{}/{}", p.i(field), protocol(p))).collect();
    let text = texts.join(", ");
    let plural = if texts.len() > 1 { "s" } else { "" };
    w.line(2, &format!("{title}{plural}:\t{}", or_none(&text)));
}

fn protocol(p: &Value) -> &str {
    // The server fills it in; a template on its way to it may lack it.
    p.s("protocol")
}

fn words(w: &mut Writer, title: &str, words: &[Value]) {
    if words.is_empty() {
        return;
    }
    w.line(2, &format!("{title}:"));
    for word in words.iter().filter_map(Value::as_str) {
        for line in word.split('\n') {
            w.line(3, line);
        }
    }
}

fn state(w: &mut Writer, title: &str, state: Option<&Value>) {
    let state = state.unwrap_or(&Value::Null);
    if let Some(r) = state.at("running").filter(|r| !r.is_null()) {
        w.line(2, &format!("{title}:\tRunning"));
        w.line(3, &format!("Started:\t{}", rfc1123z(r.s("startedAt"))));
    } else if let Some(t) = state.at("terminated").filter(|t| !t.is_null()) {
        w.line(2, &format!("{title}:\tTerminated"));
        for (title, key) in [("Reason", "reason"), ("Message", "message")] {
            if !t.s(key).is_empty() {
                w.line(3, &format!("{title}:\t{}", t.s(key)));
            }
        }
        w.line(3, &format!("Exit Code:\t{}", t.i("exitCode")));
        if t.i("signal") > 0 {
            w.line(3, &format!("Signal:\t{}", t.i("signal")));
        }
        w.line(3, &format!("Started:\t{}", rfc1123z(t.s("startedAt"))));
        w.line(3, &format!("Finished:\t{}", rfc1123z(t.s("finishedAt"))));
    } else {
        w.line(2, &format!("{title}:\tWaiting"));
        if !state.s("waiting.reason").is_empty() {
            w.line(3, &format!("Reason:\t{}", state.s("waiting.reason")));
        }
    }
}

/// One probe on one line (upstream: `DescribeProbe`).
pub(super) fn probe(p: &Value) -> String {
    let numbers = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        p.i("initialDelaySeconds"),
        p.i("timeoutSeconds"),
        p.i("periodSeconds"),
        p.i("successThreshold"),
        p.i("failureThreshold")
    );
    let port = |path: &str| p.at(path).map(plain).unwrap_or_default();
    if p.has("exec") {
        let words: Vec<&str> = p.list("exec.command").iter().filter_map(Value::as_str).collect();
        format!("exec [{}] {numbers}", words.join(" "))
    } else if p.has("httpGet") {
        let path = p.s("httpGet.path");
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        format!(
            "http-get {}://{}:{}{slash}{path} {numbers}",
            p.s("httpGet.scheme").to_lowercase(),
            p.s("httpGet.host"),
            port("httpGet.port"),
        )
    } else if p.has("tcpSocket") {
        format!("tcp-socket {}:{} {numbers}", p.s("tcpSocket.host"), port("tcpSocket.port"))
    } else {
        format!("unknown {numbers}")
    }
}

fn environment(w: &mut Writer, c: &Value, pod: Option<&Value>) {
    let from = c.list("envFrom");
    if !from.is_empty() {
        w.line(2, "Environment Variables from:");
    }
    for e in from {
        let (kind, source) = match e.at("configMapRef").filter(|r| !r.is_null()) {
            Some(r) => ("ConfigMap", r),
            None => ("Secret", e.at("secretRef").unwrap_or(&Value::Null)),
        };
        let prefix = match e.s("prefix") {
            "" => String::new(),
            p => format!(" with prefix '{p}'"),
        };
        w.line(3, &format!("{}\t{kind}{prefix}\tOptional: {}", source.s("name"), source.b("optional")));
    }
    let env = c.list("env");
    w.line(2, if env.is_empty() { "Environment:\t<none>" } else { "Environment:" });
    for e in env {
        let name = e.s("name");
        let line = if let Some(f) = e.at("valueFrom.fieldRef") {
            let value = pod.map(|p| field_value(p, f.s("fieldPath"))).unwrap_or_default();
            format!("{name}:\t{value} ({}:{})", f.s("apiVersion"), f.s("fieldPath"))
        } else if let Some(r) = e.at("valueFrom.resourceFieldRef") {
            let resource = r.s("resource");
            let value = c.at(&format!("resources.{resource}")).map(plain);
            let value = value.unwrap_or_else(|| match resource.starts_with("limits") {
                true => "node allocatable".into(),
                false => "0".into(),
            });
            format!("{name}:\t{value} ({resource})")
        } else if let Some(s) = e.at("valueFrom.secretKeyRef") {
            format!(
                "{name}:\t<set to the key '{}' in secret '{}'>\tOptional: {}",
                s.s("key"),
                s.s("name"),
                s.b("optional")
            )
        } else if let Some(s) = e.at("valueFrom.configMapKeyRef") {
            format!(
                "{name}:\t<set to the key '{}' of config map '{}'>\tOptional: {}",
                s.s("key"),
                s.s("name"),
                s.b("optional")
            )
        } else {
            for (i, line) in e.s("value").split('\n').enumerate() {
                let title = if i == 0 { format!("{name}:") } else { String::new() };
                w.line(3, &format!("{title}\t{line}"));
            }
            continue;
        };
        w.line(3, &line);
    }
}

/// The value of a pod's field for the downward API.
fn field_value(pod: &Value, path: &str) -> String {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        return pod.at(map).and_then(|m| m.get(key)).map(plain).unwrap_or_default();
    }
    match pod.at(path) {
        Some(Value::Object(m)) => {
            m.iter().map(|(k, v)| format!("{k}=\"{}\"", plain(v))).collect::<Vec<_>>().join("\n")
        }
        Some(v) => plain(v),
        None => String::new(),
    }
}

fn mounts(w: &mut Writer, c: &Value) {
    let mut mounts: Vec<&Value> = c.list("volumeMounts").iter().collect();
    mounts.sort_by_key(|m| m.s("mountPath"));
    w.line(2, if mounts.is_empty() { "Mounts:\t<none>" } else { "Mounts:" });
    for m in mounts {
        let mut flags = vec![if m.b("readOnly") { "ro".to_string() } else { "rw".to_string() }];
        if !m.s("subPath").is_empty() {
            flags.push(format!("path=\"{}\"", m.s("subPath")));
        }
        w.line(3, &format!("{} from {} ({})", m.s("mountPath"), m.s("name"), flags.join(",")));
    }
    let devices = c.list("volumeDevices");
    if !devices.is_empty() {
        w.line(2, "Devices:");
    }
    for d in devices {
        w.line(3, &format!("{} from {}", d.s("devicePath"), d.s("name")));
    }
}
