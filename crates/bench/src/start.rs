//! From a server's start until it says that it is ready.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::process::Process;
use crate::report::{Report, Row};
use crate::target::{Flags, Target};

/// The pause between two questions.
const POLL: Duration = Duration::from_millis(1);
/// What a server does right after it is ready belongs to its start: memory is looked at then, too.
const SETTLE: Duration = Duration::from_secs(2);

/// What `bench start` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Flags,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// Results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The command that starts the server, after `--`.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let target = Target::new(&args.target)?;
    let began = Instant::now();
    let mut child = tokio::process::Command::new(&args.command[0])
        .args(&args.command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Error::Usage(format!("{}: {e}", args.command[0])))?;
    let server = child.id().map(Process).ok_or_else(|| Error::Usage("the server ended at once".into()))?;
    let question = target.request("GET", "/readyz", "*/*");
    let ready = async {
        loop {
            if let Ok(mut connection) = target.connect().await
                && let Ok((200, _)) = connection.send(&question).await
            {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = ready => {}
        status = child.wait() => return Err(Error::Usage(format!("the server ended: {}", status?))),
        () = tokio::time::sleep(Duration::from_secs(args.timeout)) => {
            return Err(Error::Usage(format!("not ready after {} s", args.timeout)));
        }
    }
    let wall = began.elapsed();
    let mut row = Row { name: "start".into(), ops: 1, clients: 1, wall, ..Row::default() };
    row.latencies.push(crate::load::micros(wall));
    row.server_cpu = Some(server.cpu());
    row.rss = Some(server.rss());
    tokio::time::sleep(SETTLE).await;
    row.more.push(("rssBytesSettled", server.rss().into()));
    let mut report = Report::default();
    report.begin();
    report.add(row);
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    child.wait().await?;
    report.write(args.json.as_deref())
}
