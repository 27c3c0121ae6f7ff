//! `kubectl expose` (upstream v1.10: `pkg/kubectl/cmd/expose.go`).

use http::Method;
use serde_json::{Map, Value, json};

use super::create::{emit, record};
use super::generate::{self, Port};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::apply_merge;
use crate::print::output::format;
use crate::resource::{Info, Rules, infos};
use crate::value::Json;

/// Runs `expose`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let rules = Rules { need_name: true, flatten_errors: true, ..Rules::default() };
    let (infos, mut errors) = infos(ctx, flags, words, &rules)?;
    for info in infos {
        if let Err(e) = one(ctx, flags, words, &info) {
            errors.push(e);
        }
    }
    Error::collect(errors)
}

fn one(ctx: &mut Context, flags: &Flags, words: &[String], info: &Info) -> Result {
    let o = &info.object;
    let kind = info.resource.kind.as_str();
    if !["Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet"].contains(&kind) {
        let group = info.resource.typed_internal();
        let group = group.split_once('.').map_or("", |(_, g)| g);
        return Err(format!("cannot expose a {{{group} {kind}}}").into());
    }
    let map = |path: &str| match o.at(path) {
        Some(Value::Object(m)) => m.clone(),
        _ => Map::new(),
    };
    let selector = match kind {
        _ if !flags.str("selector").is_empty() => generate::labels(flags.str("selector"))?,
        "Pod" => map("metadata.labels"),
        "Service" | "ReplicationController" => map("spec.selector"),
        _ if !o.list("spec.selector.matchExpressions").is_empty() => {
            return Err("couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions".into());
        }
        _ => map("spec.selector.matchLabels"),
    };
    if selector.is_empty() {
        return Err("couldn't retrieve selectors via --selector flag or introspection: no labels to use as a selector".into());
    }
    let containers =
        if kind == "Pod" { o.list("spec.containers") } else { o.list("spec.template.spec.containers") };
    let known: Vec<&Value> = match kind {
        "Service" => o.list("spec.ports").iter().collect(),
        _ => containers.iter().flat_map(|c| c.list("ports")).collect(),
    };
    let number = |p: &Value| if kind == "Service" { p.i("port") } else { p.i("containerPort") };
    let protocol_of = |n: i64| -> String {
        if !flags.str("protocol").is_empty() {
            return flags.str("protocol").to_string();
        }
        known.iter().find(|p| number(p) == n).map_or("TCP", |p| p.s("protocol")).to_string()
    };
    let mut ports = Vec::new();
    if flags.str("port").is_empty() {
        for p in &known {
            ports.push(Port { port: number(p), protocol: protocol_of(number(p)) });
        }
        if ports.is_empty() {
            return Err("couldn't find port via --port flag or introspection".into());
        }
    } else {
        for text in flags.str("port").split(',') {
            let port: i64 =
                text.parse().map_err(|_| format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))?;
            ports.push(Port { port, protocol: protocol_of(port) });
        }
    }
    let labels = match flags.str("labels") {
        "" => map("metadata.labels"),
        text => generate::labels(text)?,
    };
    let mut name = if flags.str("name").is_empty() { info.name.clone() } else { flags.str("name").into() };
    name.truncate(63);
    let mut object = generate::service(&name, &labels, &selector, &ports, flags);
    if flags.str("session-affinity").is_empty() {
        crate::value::remove(&mut object, "spec.sessionAffinity");
    }
    if !flags.str("overrides").is_empty() {
        apply_merge(&mut object, &crate::files::yaml_to_json(flags.str("overrides"))?);
    }
    if flags.bool("save-config") {
        generate::save_config(&mut object);
    }
    let dry = flags.bool("dry-run");
    let resource = ctx.mapper()?.of_kind("v1", "Service")?;
    let mut service =
        Info { resource, namespace: info.namespace.clone(), name, object, source: String::new() };
    if !dry {
        service.object = ctx.http()?.write(
            Method::POST,
            &service.resource.collection(&service.namespace),
            &service.object,
        )?;
        record(ctx, flags, words, &mut service)?;
    } else if ctx.target()?.namespace_given {
        crate::value::set(&mut service.object, "metadata.namespace", json!(service.namespace));
    }
    emit(&format(flags)?, &mut service, "exposed", dry, false)
}
