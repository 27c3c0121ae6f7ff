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
use std::process::ExitCode;

use component_base::{flags, multicall, signals};

#[global_allocator]
static ALLOCATOR: apiserver::Allocator = apiserver::Allocator;

fn main() -> ExitCode {
    multicall::main("kube-apiserver, kube-controller-manager, kube-scheduler or kubectl", run, |args| {
        let options: apiserver::Options = flags::parse("server", args);
        daemon(options.v, || all_in_one::run(options, signals::stop_token()))
    })
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

/// Two threads: one request that takes long must not hold up the others.
fn daemon<F, E>(verbosity: u8, program: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    multicall::daemon(2, verbosity, program)
}
