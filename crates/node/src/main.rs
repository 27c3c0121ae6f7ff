//! The node image's one binary. The name that it is called by picks the program, as busybox does:
//!
//! | name | program |
//! |---|---|
//! | `node` | kubelet and kube-proxy in one process ([`both`]) |
//! | `kubelet`, `kube-proxy`, `flanneld`, `kubectl` | upstream's programs, with upstream's flags |
//! | `node fetch`, `node lab-keeper`, `node lab-clean` | what the lab needs besides ([`lab`], [`fetch`]) |
//!
//! `node NAME …` is the same as `NAME …`.

mod both;
mod fetch;
mod lab;

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use component_base::{flags, logs, signals};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let called = Path::new(&called).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut args: Vec<OsString> = args.collect();
    if let Some(code) = run(&called, &args) {
        return code;
    }
    // `node kubelet --x`: the first argument is the name.
    let first = args.first().map(|a| a.to_string_lossy().into_owned()).filter(|a| !a.starts_with('-'));
    if let Some(name) = first {
        args.remove(0);
        return run(&name, &args).unwrap_or_else(|| {
            eprintln!("Error: unknown program {name:?}: kubelet, kube-proxy, flanneld, kubectl, fetch, lab-keeper or lab-clean");
            ExitCode::FAILURE
        });
    }
    let options: kubelet::Options = flags::parse("node", both::with_environment(args));
    kubelet::privileges::drop_all_others();
    daemon(options.common.v, || both::run(options, signals::stop_token()))
}

/// Runs the program of that name; `None` when there is none.
fn run(name: &str, args: &[OsString]) -> Option<ExitCode> {
    let args = args.to_vec();
    Some(match name {
        "kubelet" => {
            let options: kubelet::Options = flags::parse(name, args);
            // Capabilities belong to threads: before there is a second one.
            kubelet::privileges::drop_all_others();
            daemon(options.common.v, || kubelet::run(options, signals::stop_token()))
        }
        "kube-proxy" => {
            let options: proxy::Options = flags::parse(name, args);
            daemon(options.common.v, || proxy::run(options, signals::stop_token()))
        }
        "flanneld" => {
            let options = flannel::Options::parse_or_exit(args);
            daemon(options.common.v, || flannel::run(options, signals::stop_token()))
        }
        "kubectl" => kubectl::main(args),
        "fetch" => {
            let options: fetch::Options = flags::parse(name, args);
            daemon(0, || fetch::run(options))
        }
        "lab-keeper" => {
            let options: lab::keeper::Options = flags::parse(name, args);
            daemon(0, || lab::keeper::run(options, signals::stop_token()))
        }
        "lab-clean" => {
            let options: lab::clean::Options = flags::parse(name, args);
            daemon(0, || lab::clean::run(options))
        }
        _ => return None,
    })
}

/// Runs a program to its end: one thread, since each further one costs memory and none of them computes much.
fn daemon<F, E>(verbosity: u8, program: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    logs::init(verbosity);
    // Both of rustls' providers could be linked in: say which one is meant.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
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
