//! etcd as flannel uses it: the network's configuration and one key per subnet (upstream's `subnet/etcd/registry.go`).

use std::{error::Error as _, future::Future, time::Duration};

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, GetOptions, Identity, PutOptions, TlsOptions,
    Txn, TxnOp, WatchOptions, WatchStream,
};

use crate::{
    Error,
    lease::{Lease, LeaseAttrs},
    net::Ipv4Net,
    options::Options,
};

/// How long a lease lives without renewal.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(24 * 60 * 60);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// No single request takes longer in a healthy etcd; without a limit one to a dead etcd waits forever.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a silently dead connection is noticed.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Leases and configuration in etcd.
#[derive(Clone)]
pub(crate) struct Registry {
    client: Client,
    endpoints: String,
    prefix: String,
}

impl Registry {
    /// Prepares the connection; with a user name it also logs in.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Error> {
        let endpoints: Vec<&str> =
            options.etcd_endpoints.iter().map(|e| e.trim()).filter(|e| !e.is_empty()).collect();
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some(tls) = tls(options)? {
            connect = connect.with_tls(tls);
        }
        if !options.etcd_username.is_empty() {
            connect = connect.with_user(&options.etcd_username, &options.etcd_password);
        }
        let named = endpoints.join(",");
        let client = limited(&named, Client::connect(&endpoints, Some(connect))).await?;
        Ok(Self { client, endpoints: named, prefix: options.etcd_prefix.trim_end_matches('/').to_owned() })
    }

    /// Where the configuration is.
    pub(crate) fn config_key(&self) -> String {
        format!("{}/config", self.prefix)
    }

    fn subnets_key(&self) -> String {
        format!("{}/subnets/", self.prefix)
    }

    fn subnet_key(&self, subnet: Ipv4Net) -> String {
        format!("{}{}", self.subnets_key(), subnet.key())
    }

    /// The configuration, if there is one, and the revision at which this is so.
    pub(crate) async fn config(&self) -> Result<(Option<Vec<u8>>, i64), Error> {
        let mut client = self.client.clone();
        let mut answer = self.call(client.get(self.config_key(), None)).await?;
        let revision = answer.header().map_or(0, |header| header.revision());
        Ok((answer.take_kvs().into_iter().next().map(|kv| kv.value().to_vec()), revision))
    }

    /// All leases, and the revision at which this is so. Keys that are no leases are reported and left out.
    pub(crate) async fn leases(&self) -> Result<(Vec<Lease>, i64), Error> {
        let mut client = self.client.clone();
        let answer = self.call(client.get(self.subnets_key(), Some(GetOptions::new().with_prefix()))).await?;
        let revision = answer.header().map_or(0, |header| header.revision());
        let leases = answer
            .kvs()
            .iter()
            .filter_map(|kv| {
                Lease::parse(kv.key(), kv.value(), kv.lease())
                    .map_err(|err| tracing::warn!("Ignoring bad subnet node: {err}"))
                    .ok()
            })
            .collect();
        Ok((leases, revision))
    }

    /// Takes `subnet` if nobody has it. False when somebody has.
    pub(crate) async fn create(&self, subnet: Ipv4Net, attrs: &LeaseAttrs) -> Result<bool, Error> {
        let mut client = self.client.clone();
        let key = self.subnet_key(subnet);
        let etcd_lease = self.grant().await?;
        let put = TxnOp::put(key.clone(), value(attrs)?, Some(PutOptions::new().with_lease(etcd_lease)));
        let txn = Txn::new().when([Compare::version(key, CompareOp::Equal, 0)]).and_then([put]);
        let answer = self.call(client.txn(txn)).await;
        if !matches!(&answer, Ok(answer) if answer.succeeded()) {
            self.revoke(etcd_lease).await;
        }
        Ok(answer?.succeeded())
    }

    /// Writes our lease again under a new term. A reservation stays one: without a term.
    pub(crate) async fn renew(&self, lease: &Lease) -> Result<(), Error> {
        let mut client = self.client.clone();
        let key = self.subnet_key(lease.subnet);
        if lease.reserved {
            self.call(client.put(key, value(&lease.attrs)?, None)).await?;
            return Ok(());
        }
        let etcd_lease = self.grant().await?;
        let options = PutOptions::new().with_lease(etcd_lease);
        if let Err(err) = self.call(client.put(key, value(&lease.attrs)?, Some(options))).await {
            self.revoke(etcd_lease).await;
            return Err(err);
        }
        Ok(())
    }

    /// Gives `subnet` back.
    pub(crate) async fn delete(&self, subnet: Ipv4Net) -> Result<(), Error> {
        let mut client = self.client.clone();
        self.call(client.delete(self.subnet_key(subnet), None)).await.map(drop)
    }

    /// Watches the leases from `revision` on.
    pub(crate) async fn watch_leases(&self, revision: i64) -> Result<WatchStream, Error> {
        // Progress notes keep our revision young, so that compaction rarely overtakes it.
        let options = WatchOptions::new().with_prefix().with_start_revision(revision).with_progress_notify();
        self.watch(self.subnets_key(), options).await
    }

    /// Watches the configuration from `revision` on.
    pub(crate) async fn watch_config(&self, revision: i64) -> Result<WatchStream, Error> {
        self.watch(self.config_key(), WatchOptions::new().with_start_revision(revision)).await
    }

    async fn watch(&self, key: String, options: WatchOptions) -> Result<WatchStream, Error> {
        let mut client = self.client.clone();
        self.call(client.watch(key, Some(options))).await
    }

    async fn grant(&self) -> Result<i64, Error> {
        let mut client = self.client.clone();
        let ttl = i64::try_from(LEASE_TTL.as_secs()).unwrap_or(i64::MAX);
        Ok(self.call(client.lease_grant(ttl, None)).await?.id())
    }

    async fn revoke(&self, etcd_lease: i64) {
        let mut client = self.client.clone();
        if let Err(err) = self.call(client.lease_revoke(etcd_lease)).await {
            tracing::error!("cannot revoke the unused etcd lease {etcd_lease:x}: {err}");
        }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, Error> {
        limited(&self.endpoints, call).await
    }
}

async fn limited<T>(
    endpoints: &str,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|err| Error::Etcd(format!("{endpoints}: {}", explain(&err)))),
        Err(_) => Err(Error::Etcd(format!("{endpoints}: no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

/// The innermost cause is the one that tells: the outer ones say "transport error".
pub(crate) fn explain(err: &etcd_client::Error) -> String {
    let outer = match err {
        etcd_client::Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    let mut cause = err.source();
    let mut innermost = None;
    while let Some(source) = cause {
        innermost = Some(source.to_string());
        cause = source.source();
    }
    match innermost {
        Some(inner)
            if !outer.contains(&inner) && !inner.starts_with("status:") && !inner.starts_with("code:") =>
        {
            format!("{outer}: {inner}")
        }
        _ => outer,
    }
}

fn value(attrs: &LeaseAttrs) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(attrs).map_err(|err| Error::Lease(err.to_string()))
}

fn tls(options: &Options) -> Result<Option<TlsOptions>, Error> {
    let read = |flag, path: &str| {
        std::fs::read(path).map_err(|err| Error::Flag { flag, message: format!("cannot read {path}: {err}") })
    };
    let (key, cert, ca) = (&options.etcd_keyfile, &options.etcd_certfile, &options.etcd_cafile);
    if key.is_empty() && cert.is_empty() && ca.is_empty() {
        tracing::warn!("no certificate provided: connecting to etcd with http. This is insecure");
        return Ok(None);
    }
    let mut tls = TlsOptions::new();
    if !ca.is_empty() {
        tls = tls.ca_certificate(Certificate::from_pem(read("etcd-cafile", ca)?));
    }
    match (cert.is_empty(), key.is_empty()) {
        (true, true) => {}
        (false, false) => {
            tls = tls.identity(Identity::from_pem(read("etcd-certfile", cert)?, read("etcd-keyfile", key)?));
        }
        (true, false) => {
            return Err(Error::Flag {
                flag: "etcd-certfile",
                message: "is needed with --etcd-keyfile".into(),
            });
        }
        (false, true) => {
            return Err(Error::Flag {
                flag: "etcd-keyfile",
                message: "is needed with --etcd-certfile".into(),
            });
        }
    }
    Ok(Some(tls))
}
