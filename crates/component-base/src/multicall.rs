//! One binary with several names: the name that it is called by picks the program, as busybox does.

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::{logs, panics};

/// By then a daemon has done what it does once.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Runs the program that the process was called as. `BINARY NAME …` is the same as `NAME …`.
///
/// `run` runs the program of a name and returns `None` when there is none; `own` is the program of the binary's own name, for
/// arguments that begin with a flag or with nothing. `programs` lists the names for people who asked for another one.
pub fn main(
    programs: &str,
    run: impl Fn(&str, &[OsString]) -> Option<ExitCode>,
    own: impl FnOnce(Vec<OsString>) -> ExitCode,
) -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let called = Path::new(&called).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut args: Vec<OsString> = args.collect();
    if let Some(code) = run(&called, &args) {
        return code;
    }
    let first = args.first().map(|a| a.to_string_lossy().into_owned()).filter(|a| !a.starts_with('-'));
    let Some(name) = first else { return own(args) };
    args.remove(0);
    run(&name, &args).unwrap_or_else(|| {
        eprintln!("Error: unknown program {name:?}: {programs}");
        ExitCode::FAILURE
    })
}

/// Runs a daemon to its end, on so many threads; what it failed with goes to the log.
pub fn daemon<F, E>(threads: usize, verbosity: u8, program: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    logs::init(verbosity);
    panics::end_the_process();
    // Both of rustls' providers could be linked in: say which one is meant.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match builder.worker_threads(threads.max(1)).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!("cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let run = async {
        tokio::spawn(async {
            tokio::time::sleep(SETTLED_AFTER).await;
            pages::release();
        });
        program().await
    };
    match runtime.block_on(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::FAILURE
        }
    }
}
