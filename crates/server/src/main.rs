//! The server image's one binary. The name that it is called by picks the program, as busybox does:
//!
//! | name | program |
//! |---|---|
//! | `server` | API server, controller manager and scheduler in one process ([`all_in_one`]) |
//! | `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, `kubectl` | upstream's programs, with upstream's flags |
//!
//! `server NAME …` is the same as `NAME …`.

mod all_in_one;

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use component_base::{flags, logs, signals};

// glibc's allocator keeps what a burst of requests took; the whole control plane has a budget of 25 MB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let called = Path::new(&called).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut args: Vec<OsString> = args.collect();
    if let Some(code) = run(&called, &args) {
        return code;
    }
    // `server kube-scheduler --x`: the first argument is the name.
    let first = args.first().map(|a| a.to_string_lossy().into_owned()).filter(|a| !a.starts_with('-'));
    if let Some(name) = first {
        args.remove(0);
        return run(&name, &args).unwrap_or_else(|| {
            eprintln!(
                "Error: unknown program {name:?}: kube-apiserver, kube-controller-manager, kube-scheduler or kubectl"
            );
            ExitCode::FAILURE
        });
    }
    let options: apiserver::Options = flags::parse("server", args);
    daemon(options.v, || all_in_one::run(options, signals::stop_token()))
}

/// Runs the program of that name; `None` when there is none.
fn run(name: &str, args: &[OsString]) -> Option<ExitCode> {
    let args = args.to_vec();
    Some(match name {
        "kube-apiserver" => {
            let options: apiserver::Options = flags::parse(name, args);
            daemon(options.v, || apiserver::run(options, signals::stop_token()))
        }
        "kube-controller-manager" => {
            let options: controllers::Options = flags::parse(name, args);
            daemon(options.common.v, || controllers::run(options, signals::stop_token()))
        }
        "kube-scheduler" => {
            let options: scheduler::Options = flags::parse(name, args);
            daemon(options.common.v, || scheduler::run(options, signals::stop_token()))
        }
        "kubectl" => kubectl::main(args),
        _ => return None,
    })
}

/// Runs a daemon to its end. Two threads: one request that takes long must not hold up the others.
fn daemon<F, E>(verbosity: u8, program: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    logs::init(verbosity);
    // Both of rustls' providers could be linked in: say which one is meant.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!("cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(async { program().await }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::FAILURE
        }
    }
}
