//! `kubectl run` (upstream v1.10: `pkg/kubectl/cmd/run.go`): without `--restart` it makes a deployment.

use http::Method;
use serde_json::{Map, Value};

use super::create::{known, record, resource_for};
use super::generate::{self, Port, Workload};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::patch::apply_merge;
use crate::print::output::{Format, format};
use crate::print::{out, tabwriter};
use crate::resource::Info;
use crate::value::Json;

/// Runs `run`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = match (words.first(), flags.dash) {
        (Some(n), dash) if dash != Some(0) => n,
        _ => return Err(flags.usage("NAME is required for run")),
    };
    let interactive = flags.bool("stdin") || flags.bool("tty");
    let attach = if flags.changed("attach") { flags.bool("attach") } else { interactive };
    if flags.bool("tty") && !flags.bool("stdin") {
        return Err(flags.usage("-i/--stdin is required for containers with -t/--tty=true"));
    }
    if flags.bool("rm") && !attach {
        return Err(flags.usage("--rm should only be used for attached containers"));
    }
    let what = workload(flags)?;
    let image = flags.str("image");
    if image.is_empty() || image.contains(' ') || image.contains("//") {
        return Err(format!("Invalid image name \"{image}\": invalid reference format").into());
    }
    let mut object = generate::run(what, name, &words[1..], flags)?;
    if !flags.str("overrides").is_empty() {
        let patch = crate::files::yaml_to_json(flags.str("overrides"))?;
        apply_merge(&mut object, &patch);
    }
    let dry = flags.bool("dry-run");
    let format = format(flags)?;
    let mut infos = vec![send(ctx, flags, words, object)?];
    if flags.bool("expose") {
        infos.push(expose(ctx, flags, words, name, &infos[0])?);
    }
    if attach && !dry {
        let code = super::exec::attach_new(ctx, flags, &infos[0]);
        if flags.bool("rm") {
            for i in &infos {
                super::delete::remove(ctx, i, "Background", None)?;
                i.say_internal("deleted", false, false)?;
            }
        }
        return code;
    }
    // v1.10 names the service before the workload.
    for i in infos.iter_mut().rev() {
        match &format {
            Format::Human if dry => {
                out(&tabwriter::table(&format!("NAME\tAGE\n{}\t<unknown>\n", i.name)))?;
            }
            format => super::create::emit(format, i, "created", dry, true)?,
        }
    }
    Ok(())
}

fn workload(flags: &Flags) -> Result<Workload> {
    let restart = match flags.str("restart") {
        "" => "Always",
        r @ ("Always" | "OnFailure" | "Never") => r,
        other => return Err(flags.usage(format!("invalid restart policy: {other}"))),
    };
    Ok(match flags.str("generator") {
        "" if !flags.str("schedule").is_empty() => Workload::CronJob("batch/v1beta1"),
        "" => match restart {
            "Always" => Workload::Deployment("extensions/v1beta1"),
            "OnFailure" => Workload::Job,
            _ => Workload::Pod,
        },
        "deployment/v1beta1" => Workload::Deployment("extensions/v1beta1"),
        "deployment/apps.v1beta1" => Workload::Deployment("apps/v1beta1"),
        "job/v1" => Workload::Job,
        "run-pod/v1" => Workload::Pod,
        "run/v1" => Workload::Controller,
        "cronjob/v1beta1" => Workload::CronJob("batch/v1beta1"),
        "cronjob/v2alpha1" => Workload::CronJob("batch/v2alpha1"),
        other => return Err(flags.usage(format!("generator \"{other}\" not found"))),
    })
}

fn send(ctx: &mut Context, flags: &Flags, words: &[String], mut object: Value) -> Result<Info> {
    let dry = flags.bool("dry-run");
    let resource = match known(&object) {
        Some(r) if dry => std::rc::Rc::new(r),
        _ => resource_for(ctx, &mut object)?,
    };
    let namespace = ctx.namespace()?;
    let name = object.s("metadata.name").to_string();
    let mut info = Info { resource, namespace, name, object, source: String::new() };
    if dry {
        return Ok(info);
    }
    info.object =
        ctx.http()?.write(Method::POST, &info.resource.collection(&info.namespace), &info.object)?;
    record(ctx, flags, words, &mut info)?;
    Ok(info)
}

fn expose(ctx: &mut Context, flags: &Flags, words: &[String], name: &str, of: &Info) -> Result<Info> {
    if flags.int("port") <= 0 {
        return Err("--port must be set when exposing a service".into());
    }
    let selector = match of.object.at("metadata.labels") {
        Some(Value::Object(m)) => m.clone(),
        _ => Map::new(),
    };
    let ports = [Port { port: flags.int("port"), protocol: "TCP".into() }];
    let mut service = generate::service(name, &Map::new(), &selector, &ports, flags);
    if !flags.str("service-overrides").is_empty() {
        apply_merge(&mut service, &crate::files::yaml_to_json(flags.str("service-overrides"))?);
    }
    send(ctx, flags, words, service)
}
