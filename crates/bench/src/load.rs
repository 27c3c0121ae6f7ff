//! Many clients at once, each with one connection and one request at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use crate::Error;
use crate::process::Process;
use crate::report::Row;
use crate::target::Target;

/// Writes the request with that number into an empty buffer.
pub(crate) type MakeRequest = Arc<dyn Fn(usize, &mut Vec<u8>) + Send + Sync>;

/// What is measured, and on whom.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) target: Arc<Target>,
    pub(crate) server: Option<Process>,
}

#[derive(Default)]
struct Client {
    latencies: Vec<u32>,
    errors: usize,
    bytes: u64,
    /// The first refusal, for people.
    example: Option<String>,
}

/// Microseconds, as latencies are kept.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl Load {
    /// Runs `ops` requests by `clients` clients; the clock starts when all are connected.
    pub(crate) async fn run(
        &self,
        name: &str,
        clients: usize,
        ops: usize,
        make: MakeRequest,
    ) -> Result<Row, Error> {
        let clients = clients.clamp(1, ops.max(1));
        let next = Arc::new(AtomicUsize::new(0));
        let ready = Arc::new(Barrier::new(clients + 1));
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let mut connection = self.target.connect().await?;
            let (target, next, ready, make) =
                (self.target.clone(), next.clone(), ready.clone(), make.clone());
            tasks.push(tokio::spawn(async move {
                let mut did = Client::default();
                let mut request = Vec::new();
                ready.wait().await;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ops {
                        return did;
                    }
                    request.clear();
                    make(number, &mut request);
                    let began = Instant::now();
                    let failed = match connection.send(&request).await {
                        Ok((200..=299, body)) => {
                            did.bytes += body.len() as u64;
                            did.latencies.push(micros(began.elapsed()));
                            continue;
                        }
                        Ok((code, body)) => format!("{code} {}", String::from_utf8_lossy(body)),
                        Err(error) => {
                            if let Ok(again) = target.connect().await {
                                connection = again;
                            }
                            error.to_string()
                        }
                    };
                    did.errors += 1;
                    did.example.get_or_insert(failed);
                }
            }));
        }
        let before = self.usage();
        ready.wait().await;
        let began = Instant::now();
        let mut row = Row { name: name.to_owned(), ops, clients, ..Row::default() };
        for task in tasks {
            let did = task.await.map_err(|e| Error::Usage(e.to_string()))?;
            row.latencies.extend(did.latencies);
            row.errors += did.errors;
            row.bytes += did.bytes;
            if let Some(example) = did.example {
                eprintln!("bench: {name}: {}", example.chars().take(300).collect::<String>());
            }
        }
        row.wall = began.elapsed();
        row.latencies.sort_unstable();
        self.used(&mut row, before);
        Ok(row)
    }

    /// CPU time of the server and of ourselves up to now.
    pub(crate) fn usage(&self) -> (Option<Duration>, Duration) {
        (self.server.map(Process::cpu), Process::own().cpu())
    }

    /// Notes what was used since.
    pub(crate) fn used(&self, row: &mut Row, (server, client): (Option<Duration>, Duration)) {
        let (server_now, client_now) = self.usage();
        row.server_cpu = server_now.zip(server).map(|(now, then)| now.saturating_sub(then));
        row.client_cpu = client_now.saturating_sub(client);
        row.rss = self.server.map(Process::rss);
    }
}
