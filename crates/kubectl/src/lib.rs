//! kubectl: prints what upstream's v1.10 prints, to the byte, against servers of any age.
//!
//! - [`cli`] parses arguments by the flag tables in [`commands`], with pflag's and cobra's error texts.
//!   clap is not used here: its errors, its help and its rules for `--flag` without a value differ
//!   from what v1.10 prints, and one table of our own is smaller than mapping them.
//! - [`config`] finds the cluster, [`http`] talks to it, [`discovery`] maps words to resources.
//! - [`resource`] turns arguments and files into objects; `cmd` has one file per command.
//! - `print` formats (tab writer, YAML, JSON, JSONPath, column sets), `describe` has one file per kind.
//!
//! Everything is synchronous: a command is a plain function, and the HTTP layer drives a
//! current-thread runtime. Cores (parsers, printers, generators, patches) are pure.

mod cli;
mod cmd;
mod commands;
mod config;
mod context;
mod describe;
mod discovery;
mod error;
mod files;
mod http;
mod openapi;
mod patch;
mod print;
mod quantity;
mod resource;
mod stream;
mod time;
mod value;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one kubectl command line (without the program's name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<String> = args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    match cli::run(&commands::ROOT, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => ExitCode::from(e.report(&mut std::io::stderr())),
    }
}
