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
use std::process::ExitCode;

use component_base::{flags, multicall, signals};

fn main() -> ExitCode {
    let programs = "kubelet, kube-proxy, flanneld, kubectl, fetch, lab-keeper or lab-clean";
    multicall::main(programs, run, |args| {
        let options: kubelet::Options = flags::parse("node", both::with_environment(args));
        kubelet::privileges::drop_all_others();
        daemon(options.common.v, || both::run(options, signals::stop_token()))
    })
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

/// One thread, since each further one costs memory and none of the daemons computes much.
fn daemon<F, E>(verbosity: u8, program: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    multicall::daemon(1, verbosity, program)
}
