//! The same writes without an API server: what etcd itself gives, with the transaction that API servers use.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use etcd_client::{Client, Compare, CompareOp, DeleteOptions, GetOptions, Txn, TxnOp};

use crate::load::micros;
use crate::process::Process;
use crate::report::{Report, Row};
use crate::{Error, pods};

/// Where the keys go; they are removed afterwards.
const PREFIX: &str = "/bench/";

/// What `bench etcd` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where etcd is.
    #[arg(long, default_value = "http://127.0.0.1:2379", value_delimiter = ',')]
    endpoints: Vec<String>,
    /// How many keys are written.
    #[arg(long, default_value_t = 5000)]
    pods: usize,
    /// How many writes at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Write what this key holds, instead of a pod as a client sends it.
    #[arg(long)]
    like: Option<String>,
    /// Results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let mut report = Report::default();
    report.begin();
    for row in writes(&args.endpoints, args.like.as_deref(), args.clients, args.pods).await? {
        report.add(row);
    }
    report.write(args.json.as_deref())
}

/// Creates and replaces keys, as an API server does it.
pub(crate) async fn writes(
    endpoints: &[String],
    like: Option<&str>,
    clients: usize,
    count: usize,
) -> Result<Vec<Row>, Error> {
    let mut client = Client::connect(endpoints, None).await?;
    let value = match like {
        None => pods::pod("bench", 0).to_string().into_bytes(),
        Some(key) => {
            let got = client.get(key, None).await?;
            let first = got.kvs().first().map(|kv| kv.value().to_vec());
            first.ok_or_else(|| Error::Usage(format!("etcd has no key {key}")))?
        }
    };
    let value = Arc::new(value);
    // The port of the first endpoint says which process it is, if it is one of this machine.
    let port = endpoints.first().and_then(|e| e.trim_end_matches('/').rsplit_once(':')?.1.parse().ok());
    let server = port.and_then(Process::listening);
    let mut rows = Vec::new();
    for (name, create) in [("etcd: create", true), ("etcd: update", false)] {
        let next = Arc::new(AtomicUsize::new(0));
        let (cpu, own) = (server.map(Process::cpu), Process::own().cpu());
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let (mut client, next, value) = (client.clone(), next.clone(), value.clone());
            tasks.push(tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok::<_, Error>(latencies);
                    }
                    let key = format!("{PREFIX}{}", pods::name(number));
                    let how = if create { CompareOp::Equal } else { CompareOp::Greater };
                    let txn = Txn::new()
                        .when([Compare::mod_revision(key.as_str(), how, 0)])
                        .and_then([TxnOp::put(key.as_str(), value.as_slice(), None)])
                        .or_else([TxnOp::get(key.as_str(), None)]);
                    let began = Instant::now();
                    if !client.txn(txn).await?.succeeded() {
                        return Err(Error::Usage(format!("etcd has {PREFIX} keys of another run")));
                    }
                    latencies.push(micros(began.elapsed()));
                }
            }));
        }
        let mut row = Row { name: name.into(), ops: count, clients, ..Row::default() };
        for task in tasks {
            row.latencies.extend(task.await.map_err(|e| Error::Usage(e.to_string()))??);
        }
        row.wall = began.elapsed();
        row.latencies.sort_unstable();
        row.server_cpu = server.zip(cpu).map(|(p, then)| p.cpu().saturating_sub(then));
        row.client_cpu = Process::own().cpu().saturating_sub(own);
        row.rss = server.map(Process::rss);
        row.more.push(("valueBytes", value.len().into()));
        rows.push(row);
    }
    client.delete(PREFIX, Some(DeleteOptions::new().with_prefix())).await?;
    Ok(rows)
}

/// A key below this prefix, for [`writes`] to do alike.
pub(crate) async fn any_key(endpoints: &[String], prefix: &str) -> Result<Option<String>, Error> {
    let mut client = Client::connect(endpoints, None).await?;
    let options = GetOptions::new().with_prefix().with_keys_only().with_limit(1);
    let got = client.get(prefix, Some(options)).await?;
    Ok(got.kvs().first().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()))
}
