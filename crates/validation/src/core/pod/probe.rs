//! Probes, lifecycle hooks and their handlers.

use api::Value;
use api::field::{ErrorList, Path};

use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

/// The three probes of a container.
pub(super) fn probes(container: &Value, grace: Option<i64>, path: &Path<'_>, errs: &mut ErrorList) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(v) = container.at(name) else { continue };
        let path = path.child(name);
        probe(v, grace, &path, errs);
        if name == "readinessProbe" {
            if let Some(seconds) = v.opt_int("terminationGracePeriodSeconds") {
                errs.invalid(
                    &path.child("terminationGracePeriodSeconds"),
                    seconds,
                    "must not be set for readinessProbes",
                );
            }
        } else if v.int("successThreshold") != 1 {
            errs.invalid(&path.child("successThreshold"), v.int("successThreshold"), "must be 1");
        }
    }
}

fn probe(v: &Value, grace: Option<i64>, path: &Path<'_>, errs: &mut ErrorList) {
    handler(v, grace, &["exec", "httpGet", "tcpSocket", "grpc"], path, errs);
    const COUNTS: &[&str] =
        &["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    meta::non_negative_fields(v, path, COUNTS, errs);
    if let Some(seconds) = v.opt_int("terminationGracePeriodSeconds")
        && seconds <= 0
    {
        errs.invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

/// `validateHandler`: exactly one of the handlers that are possible here.
fn handler(v: &Value, grace: Option<i64>, kinds: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    let mut found = 0;
    for kind in kinds {
        let Some(action) = v.at(kind) else { continue };
        let path = path.child(kind);
        if found > 0 {
            errs.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        found += 1;
        match *kind {
            "exec" => {
                if action.list("command").is_empty() {
                    errs.required(&path.child("command"), "");
                }
            }
            "httpGet" => http_get(action, &path, errs),
            "tcpSocket" => port_number_or_name(action.sub("port"), &path.child("port"), errs),
            "grpc" => {
                let port = action.int("port");
                for message in names::is_port_number(port) {
                    errs.invalid(&path.child("port"), port, message);
                }
            }
            _ => {
                let seconds = action.int("seconds");
                if let Some(grace) = grace
                    && (seconds < 0 || seconds > grace)
                {
                    errs.invalid(
                        &path,
                        seconds,
                        format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
                    );
                }
            }
        }
    }
    if found == 0 {
        errs.required(path, "must specify a handler type");
    }
}

fn http_get(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if v.str("path").is_empty() {
        errs.required(&path.child("path"), "");
    }
    port_number_or_name(v.sub("port"), &path.child("port"), errs);
    let scheme = v.str("scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errs.not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in v.list("httpHeaders") {
        let name = header.str("name");
        errs.invalid_each(&path.child("httpHeaders"), name, names::is_http_header_name(name));
    }
}

/// `ValidatePortNumOrName`.
pub(crate) fn port_number_or_name(port: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    match port.as_str() {
        Some(name) => errs.invalid_each(path, name, names::is_port_name(name)),
        None => {
            let number = port.as_i64().unwrap_or(0);
            for message in names::is_port_number(number) {
                errs.invalid(path, number, message);
            }
        }
    }
}

/// `validateLifecycle`.
pub(super) fn lifecycle(v: &Value, grace: Option<i64>, os: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for hook in ["postStart", "preStop"] {
        if let Some(h) = v.at(hook) {
            handler(h, grace, &["exec", "httpGet", "tcpSocket", "sleep"], &path.child(hook), errs);
        }
    }
    let Some(signal) = v.opt_str("stopSignal") else { return };
    let path = path.child("stopSignal");
    match (os.is_null(), os.str("name")) {
        (true, _) => errs.forbidden(&path, "may not be set for containers with empty `spec.os.name`"),
        (false, "windows") if !matches!(signal, "SIGKILL" | "SIGTERM") => {
            errs.not_supported(&path, signal, &["SIGKILL", "SIGTERM"]);
        }
        (false, "linux") if !LINUX_SIGNALS.contains(&signal) => {
            errs.not_supported(&path, signal, LINUX_SIGNALS);
        }
        _ => {}
    }
}

const LINUX_SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];
