//! `fetch URL`: one HTTP GET, its body on standard output. The image has no curl, and the demo looks through the
//! eyes of a host or a pod.

use std::io::Write as _;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The arguments of `fetch`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Options {
    /// How long the whole request may take, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// What to fetch: http://host[:port]/path.
    url: hyper::Uri,
}

/// `2`, `2s` and `0.5` as a duration.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.trim_end_matches('s').parse().map_err(|e| format!("{e}: seconds, please"))?;
    Duration::try_from_secs_f64(number).map_err(|e| e.to_string())
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection, or it broke.
    #[error("{url}: {source}")]
    Client { url: hyper::Uri, source: hyper_util::client::legacy::Error },
    /// The answer broke off.
    #[error("{url}: {source}")]
    Body { url: hyper::Uri, source: hyper::Error },
    /// The server refused.
    #[error("{url}: {status}")]
    Status { url: hyper::Uri, status: hyper::StatusCode },
    /// Nothing came back in time.
    #[error("{url}: no answer within {timeout:?}")]
    Timeout { url: hyper::Uri, timeout: Duration },
    /// Standard output is closed.
    #[error("cannot write the body: {0}")]
    Output(#[from] std::io::Error),
}

/// Fetches and prints.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let Options { timeout, url } = options;
    let body = match tokio::time::timeout(timeout, get(&url)).await {
        Ok(body) => body?,
        Err(_) => return Err(Error::Timeout { url, timeout }),
    };
    std::io::stdout().write_all(&body)?;
    Ok(())
}

async fn get(url: &hyper::Uri) -> Result<Bytes, Error> {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer =
        client.get(url.clone()).await.map_err(|source| Error::Client { url: url.clone(), source })?;
    if !answer.status().is_success() {
        return Err(Error::Status { url: url.clone(), status: answer.status() });
    }
    let body = answer.into_body().collect().await;
    Ok(body.map_err(|source| Error::Body { url: url.clone(), source })?.to_bytes())
}
