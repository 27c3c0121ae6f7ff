//! etcd v3.
//!
//! The connection is made when it is needed and made again when it breaks; several endpoints are used in turn. Reads
//! are tried again, with back-off, until the request's time is over. A write is tried again only when it surely did not
//! leave this machine (nobody listened): else it might happen twice.

mod error;
mod watch;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, GetOptions, Identity, KeyValue,
    KvClient, LeaseClient, PutOptions, TlsOptions, Txn, TxnOp, TxnOpResponse, WatchClient,
};

use crate::{
    Change, Entry, Error, Expect, Got, LeaseId, Range, RangeRequest, Revision, Store, Watch, WatchRequest,
    Written,
};
use error::{Cause, classify};

/// Pings, and how long an answer may take. A member that hangs keeps its connections, and what the cache is told may come
/// through it: upstream (`dialKeepaliveTime`, `dialKeepaliveTimeout`) notices after 40 seconds. etcd refuses pings that
/// come every five seconds or more often.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The first and the longest pause before something is tried again.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The key that [`Store::revision`] reads: any would do, it need not exist.
const PROBE_KEY: &str = "/registry/health";

/// TLS towards etcd, all PEM.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Who signs etcd's certificate (`--etcd-cafile`); the built-in roots when absent.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and key (`--etcd-certfile`, `--etcd-keyfile`).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// `--etcd-servers`: `http://host:2379` or `https://…`.
    pub endpoints: Vec<String>,
    /// How long one request may take, its repetitions included.
    pub request_timeout: Duration,
    /// Needed when an endpoint is `https://`.
    pub tls: Option<Tls>,
}

impl EtcdOptions {
    /// These endpoints, five seconds, no TLS.
    pub fn new<S: Into<String>>(endpoints: impl IntoIterator<Item = S>) -> EtcdOptions {
        EtcdOptions {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            request_timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct EtcdStore {
    kv: KvClient,
    lease: LeaseClient,
    watch: WatchClient,
    request_timeout: Duration,
    /// For messages.
    endpoints: String,
}

/// A pause that doubles.
#[derive(Clone, Copy)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff(BACKOFF_FIRST)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(BACKOFF_MAX);
        pause
    }
}

/// Whether doing it twice is harmless.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Always,
    IfNotSent,
}

impl EtcdStore {
    /// Prepares a client. Nothing is sent yet: only options that make no sense are refused here.
    pub async fn connect(options: EtcdOptions) -> Result<EtcdStore, Error> {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT)
            // A member without a leader says so instead of serving an old state.
            .with_require_leader(true);
        if let Some(tls) = &options.tls {
            let mut t = TlsOptions::new();
            if let Some(ca) = &tls.ca {
                t = t.ca_certificate(Certificate::from_pem(ca));
            }
            if let Some((certificate, key)) = &tls.identity {
                t = t.identity(Identity::from_pem(certificate, key));
            }
            connect = connect.with_tls(t);
        }
        let client = Client::connect(&options.endpoints, Some(connect))
            .await
            .map_err(|e| Error::Other(format!("etcd endpoints {}: {e}", options.endpoints.join(","))))?;
        Ok(EtcdStore {
            kv: client.kv_client().max_decoding_message_size(usize::MAX),
            lease: client.lease_client(),
            watch: client.watch_client().max_decoding_message_size(usize::MAX),
            request_timeout: options.request_timeout,
            endpoints: options.endpoints.join(","),
        })
    }

    /// Runs one request within the time limit, again where that is right.
    async fn request<T, F>(&self, repeat: Repeat, mut send: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut backoff = Backoff::new();
        let mut last: Option<String> = None;
        let attempts = async {
            loop {
                let error = match send().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                match classify(&error) {
                    Cause::Refused(error) => return Err(error),
                    Cause::NotSent(why) => last = Some(why),
                    Cause::Unavailable(why) if repeat == Repeat::Always => last = Some(why),
                    Cause::Unavailable(why) => return Err(self.unavailable(&why)),
                }
                tokio::time::sleep(backoff.next()).await;
            }
        };
        let result = tokio::time::timeout(self.request_timeout, attempts).await;
        match result {
            Ok(done) => done,
            Err(_) => match last {
                Some(why) => Err(self.unavailable(&why)),
                None => Err(Error::Timeout(self.request_timeout)),
            },
        }
    }

    /// etcd's own words as they are, those of the connection with where it led.
    fn unavailable(&self, why: &str) -> Error {
        match why.starts_with("etcdserver:") {
            true => Error::Unavailable(why.to_owned()),
            false => Error::Unavailable(format!("etcd at {}: {why}", self.endpoints)),
        }
    }
}

fn entry(kv: KeyValue) -> Result<Entry, Error> {
    let (create_revision, mod_revision, lease) = (kv.create_revision(), kv.mod_revision(), kv.lease());
    let (key, value) = kv.into_key_value();
    let key = String::from_utf8(key).map_err(|e| Error::Other(format!("a key is not UTF-8: {e}")))?;
    Ok(Entry { key, value: Bytes::from(value), create_revision, mod_revision, lease })
}

/// The first key behind all keys with this prefix.
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

fn header(header: Option<&etcd_client::ResponseHeader>) -> Revision {
    header.map_or(0, etcd_client::ResponseHeader::revision)
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str) -> Result<Got, Error> {
        let mut answer = self
            .request(Repeat::Always, || {
                let mut kv = self.kv.clone();
                async move { kv.get(key, None).await }
            })
            .await?;
        let revision = header(answer.header());
        let entry = answer.take_kvs().pop().map(entry).transpose()?;
        Ok(Got { entry, revision })
    }

    async fn range(&self, request: RangeRequest<'_>) -> Result<Range, Error> {
        let first = match request.start {
            Some(start) if start > request.prefix => start,
            // etcd refuses an empty key: the first one possible stands for it.
            _ if request.prefix.is_empty() => "\0",
            _ => request.prefix,
        };
        let limit = i64::try_from(request.limit).unwrap_or(0);
        let mut options = GetOptions::new()
            .with_range(prefix_end(request.prefix))
            .with_limit(limit)
            .with_revision(request.revision);
        if request.keys_only {
            options = options.with_keys_only();
        }
        let mut answer = self
            .request(Repeat::Always, || {
                let (mut kv, options) = (self.kv.clone(), options.clone());
                async move { kv.get(first, Some(options)).await }
            })
            .await?;
        let revision = if request.revision > 0 { request.revision } else { header(answer.header()) };
        Ok(Range {
            more: answer.more(),
            count: usize::try_from(answer.count()).unwrap_or(0),
            revision,
            entries: answer.take_kvs().into_iter().map(entry).collect::<Result<_, _>>()?,
        })
    }

    async fn write(&self, key: &str, expect: Expect, change: Change) -> Result<Written, Error> {
        let compares = match expect {
            Expect::Any => vec![],
            Expect::Absent => vec![Compare::mod_revision(key, CompareOp::Equal, 0)],
            Expect::At(revision) => vec![Compare::mod_revision(key, CompareOp::Equal, revision)],
        };
        let answer = self
            .request(Repeat::IfNotSent, || {
                let operation = match &change {
                    Change::Put { value, lease: 0 } => TxnOp::put(key, value.as_ref(), None),
                    Change::Put { value, lease } => {
                        TxnOp::put(key, value.as_ref(), Some(PutOptions::new().with_lease(*lease)))
                    }
                    Change::Delete => TxnOp::delete(key, Some(DeleteOptions::new())),
                };
                let txn = Txn::new()
                    .when(compares.clone())
                    .and_then(vec![operation])
                    .or_else(vec![TxnOp::get(key, None)]);
                let mut kv = self.kv.clone();
                async move { kv.txn(txn).await }
            })
            .await?;
        if answer.succeeded() {
            return Ok(Written::Done(header(answer.header())));
        }
        let current = match answer.op_responses().pop() {
            Some(TxnOpResponse::Get(mut got)) => got.take_kvs().pop().map(entry).transpose()?,
            _ => None,
        };
        Ok(Written::Conflict(current))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let answer = self
            .request(Repeat::Always, || {
                let mut lease = self.lease.clone();
                async move { lease.grant(seconds, None).await }
            })
            .await?;
        Ok(answer.id())
    }

    async fn watch(&self, request: WatchRequest<'_>) -> Result<Watch, Error> {
        let after = if request.after > 0 { request.after } else { self.revision().await? };
        Ok(watch::stream(self.clone(), request.prefix, after, request.previous))
    }

    async fn revision(&self) -> Result<Revision, Error> {
        let answer = self
            .request(Repeat::Always, || {
                let mut kv = self.kv.clone();
                async move { kv.get(PROBE_KEY, Some(GetOptions::new().with_count_only())).await }
            })
            .await?;
        Ok(header(answer.header()))
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.request(Repeat::Always, || {
            let mut kv = self.kv.clone();
            async move { kv.compact(revision, None).await }
        })
        .await?;
        Ok(())
    }
}
