//! `kubectl autoscale` (upstream v1.10: `pkg/kubectl/cmd/autoscale.go`).

use http::Method;
use serde_json::json;

use super::create::{emit, record};
use super::generate::{metadata, save_config};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::output::format;
use crate::resource::{Info, Rules, infos};

/// Runs `autoscale`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let (min, max) = (flags.int("min"), flags.int("max"));
    if max < 1 {
        return Err(flags.usage(format!("--max=MAXPODS is required and must be at least 1, max: {max}")));
    }
    if max < min {
        return Err(flags.usage(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        )));
    }
    let rules = Rules { need_name: true, flatten_errors: true, ..Rules::default() };
    let (infos, mut errors) = infos(ctx, flags, words, &rules)?;
    for of in infos {
        if let Err(e) = one(ctx, flags, words, &of) {
            errors.push(e);
        }
    }
    Error::collect(errors)
}

fn one(ctx: &mut Context, flags: &Flags, words: &[String], of: &Info) -> Result {
    let kind = of.resource.kind.as_str();
    if !["ReplicationController", "Deployment", "ReplicaSet", "StatefulSet"].contains(&kind) {
        return Err(format!("cannot autoscale a {kind}: not a scalable resource").into());
    }
    let name = if flags.str("name").is_empty() { of.name.clone() } else { flags.str("name").into() };
    let mut spec = json!({
        "scaleTargetRef": {"kind": kind, "name": of.name, "apiVersion": of.resource.api_version()},
        "maxReplicas": flags.int("max"),
    });
    if flags.int("min") > 0 {
        spec["minReplicas"] = flags.int("min").into();
    }
    if flags.int("cpu-percent") >= 0 {
        spec["targetCPUUtilizationPercentage"] = flags.int("cpu-percent").into();
    }
    let mut object = json!({
        "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1", "metadata": metadata(&name, None),
        "spec": spec, "status": {"currentReplicas": 0, "desiredReplicas": 0},
    });
    if flags.bool("save-config") {
        save_config(&mut object);
    }
    let dry = flags.bool("dry-run");
    let resource = ctx.mapper()?.of_kind("autoscaling/v1", "HorizontalPodAutoscaler")?;
    let mut info = Info { resource, namespace: of.namespace.clone(), name, object, source: String::new() };
    if !dry {
        info.object =
            ctx.http()?.write(Method::POST, &info.resource.collection(&info.namespace), &info.object)?;
        record(ctx, flags, words, &mut info)?;
    }
    let format = format(flags)?;
    if format.is_human() {
        // v1.10 names what is scaled, not the autoscaler.
        return of.say_internal("autoscaled", false, dry);
    }
    emit(&format, &mut info, "autoscaled", dry, false)
}
