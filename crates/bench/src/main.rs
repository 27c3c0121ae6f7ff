//! What an API server costs: a load from outside, by URL, with the server process's CPU time beside every figure.
//!
//! | command | what it does |
//! |---|---|
//! | `bench api` | creates, gets, lists, watches, changes and deletes pods ([`api`]) |
//! | `bench etcd` | the same writes straight to etcd ([`etcd`]) |
//! | `bench start` | starts a server and waits until it is ready ([`start`]) |
//!
//! The client shall cost little, because it shares the machine with the server: one kept connection per client, requests
//! encoded beforehand, answers counted and not parsed. Its own CPU time is shown too.

mod api;
mod etcd;
mod http;
mod load;
mod pods;
mod process;
mod report;
mod start;
mod target;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A flag or a file.
    #[error("{0}")]
    Usage(String),
    /// The connection.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What came is not HTTP, or not what was asked for.
    #[error("{0}")]
    Answer(String),
    /// etcd.
    #[error("etcd: {0}")]
    Etcd(#[from] etcd_client::Error),
}

/// Measures a Kubernetes API server.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drives an API server by URL.
    Api(api::Args),
    /// Writes the same bytes straight to etcd.
    Etcd(etcd::Args),
    /// Starts a server and waits until it is ready.
    Start(start::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match args.command {
            Command::Api(args) => api::run(args).await,
            Command::Etcd(args) => etcd::run(args).await,
            Command::Start(args) => start::run(args).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
