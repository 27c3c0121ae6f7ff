//! `kubectl exec` and `kubectl attach`.

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::resource::Info;
use crate::stream::{Session, interactive};
use crate::value::Json;

/// `exec`.
pub(crate) fn exec(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    // `-p POD` is the old form: then all words are the command.
    let (pod, command) = match (flags.str("pod"), words.split_first()) {
        ("", None) => return Err(flags.usage("expected 'exec POD_NAME COMMAND [ARG1] [ARG2] ... [ARGN]'.\nPOD_NAME and COMMAND are required arguments for the exec command")),
        ("", Some((pod, rest))) => (pod.clone(), rest.to_vec()),
        (pod, _) => (pod.to_string(), words.to_vec()),
    };
    if command.is_empty() {
        return Err(flags.usage("you must specify at least one command for the container"));
    }
    let pod = super::logs::find_pod(ctx, flags, &pod)?;
    check_running(&pod, "exec into")?;
    session(ctx, flags, &pod, Some(command))
}

/// `attach`.
pub(crate) fn attach(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let [name] = words else {
        return Err(flags.usage(format!("expected POD or TYPE/NAME, got {} arguments", words.len())));
    };
    let pod = super::logs::find_pod(ctx, flags, name)?;
    check_running(&pod, "attach a container in")?;
    if flags.bool("stdin") {
        eprintln!("If you don't see a command prompt, try pressing enter.");
    }
    session(ctx, flags, &pod, None)
}

fn check_running(pod: &Value, what: &str) -> Result {
    match pod.s("status.phase") {
        p @ ("Succeeded" | "Failed") => {
            Err(format!("cannot {what} a container in a completed pod; current phase is {p}").into())
        }
        _ => Ok(()),
    }
}

fn session(ctx: &mut Context, flags: &Flags, pod: &Value, command: Option<Vec<String>>) -> Result {
    let names: Vec<&str> = pod.list("spec.containers").iter().map(|c| c.s("name")).collect();
    let chosen = flags.str("container");
    let container = if chosen.is_empty() {
        if names.len() > 1 {
            eprintln!("Defaulting container name to {}.", names[0]);
            eprintln!(
                "Use 'kubectl describe pod/{} -n {}' to see all of the containers in this pod.",
                pod.s("metadata.name"),
                pod.s("metadata.namespace")
            );
        }
        names.first().copied()
    } else if names.contains(&chosen) || pod.list("spec.initContainers").iter().any(|c| c.s("name") == chosen)
    {
        Some(chosen)
    } else {
        return Err(Error::Message(format!(
            "container {chosen} is not valid for pod {}",
            pod.s("metadata.name")
        )));
    };
    let mut tty = flags.bool("tty");
    if tty && !rustix::termios::isatty(std::io::stdin()) {
        eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
        tty = false;
    }
    interactive(
        ctx.http()?.as_ref(),
        &Session {
            namespace: pod.s("metadata.namespace"),
            pod: pod.s("metadata.name"),
            container,
            command,
            stdin: flags.bool("stdin"),
            tty,
        },
    )
}

/// Attaches to what `run` has just made, once a pod of it runs.
pub(crate) fn attach_new(ctx: &mut Context, flags: &Flags, made: &Info) -> Result {
    let http = ctx.http()?;
    let timeout = match flags.millis("pod-running-timeout") {
        0 => 60_000,
        t => t,
    };
    let pod = if made.resource.kind == "Pod" {
        made.object.clone()
    } else {
        // The controller needs a moment to make one: watch until it has.
        let selector = crate::value::join_labels(&made.object.strings("spec.template.metadata.labels"), "");
        let path = format!("/api/v1/namespaces/{}/pods", made.namespace);
        let seconds = (timeout / 1000).to_string();
        let mut first = None;
        http.watch(
            &crate::http::with_query(
                &path,
                &[("labelSelector", &selector), ("watch", "true"), ("timeoutSeconds", &seconds)],
            ),
            crate::http::JSON,
            |_, o| {
                first = Some(o);
                Ok(false)
            },
        )?;
        first.ok_or("timed out waiting for the condition")?
    };
    let info = Info {
        resource: ctx.mapper()?.of_kind("v1", "Pod")?,
        namespace: made.namespace.clone(),
        name: pod.s("metadata.name").to_string(),
        object: Value::Null,
        source: String::new(),
    };
    let mut phase = String::new();
    super::wait::until(ctx, &info, timeout, |o| {
        phase = o.map_or(String::new(), |o| o.s("status.phase").to_string());
        Ok(o.is_none() || ["Running", "Succeeded", "Failed"].contains(&phase.as_str()))
    })?;
    let pod = http.get(&info.path())?;
    if phase == "Running" {
        if flags.bool("stdin") && !flags.bool("quiet") {
            eprintln!("If you don't see a command prompt, try pressing enter.");
        }
        return session(ctx, flags, &pod, None);
    }
    // Too late to attach: its log has what it said.
    http.stream(&format!("{}/log", info.path()), "application/json, */*", |data| {
        crate::print::out(&String::from_utf8_lossy(data)).map(|()| true)
    })
}
