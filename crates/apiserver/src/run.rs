//! The daemon: store, listeners, and the tasks beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use store::etcd::{EtcdOptions, Tls};
use store::{EtcdStore, MemoryStore, Store};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bootstrap::{self, Advertised};
use crate::http::cert::{self, CertError};
use crate::http::listen;
use crate::options::{Options, parse_duration};
use crate::server::Server;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag's value is wrong.
    #[error("invalid value for --{0}: {1}")]
    Flag(String, String),
    /// The certificate.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// A port that cannot be listened on.
    #[error("failed to listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The store.
    #[error("{0}")]
    Store(#[from] store::Error),
}

/// The address of this host that others see: the one that packets to the outside leave from. Nothing is sent.
fn own_address() -> IpAddr {
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |a| a.ip())
}

/// Where the server says that it is.
pub(crate) fn advertised(options: &Options) -> Advertised {
    let bound = Some(options.bind_address).filter(|a| !a.is_unspecified());
    let address = options.advertise_address.or(bound).unwrap_or_else(own_address);
    Advertised { address, port: options.secure_port }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|n| !n.is_empty())
}

fn read(flag: &str, path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| Error::Flag(flag.to_owned(), format!("{}: {e}", path.display())))
}

async fn open_store(options: &Options) -> Result<Arc<dyn Store>, Error> {
    match options.storage_backend.as_str() {
        "memory" => return Ok(Arc::new(MemoryStore::new())),
        "etcd3" | "" => {}
        other => return Err(Error::Flag("storage-backend".into(), format!("{other:?} is not supported"))),
    }
    if options.etcd_servers.is_empty() {
        return Err(Error::Flag("etcd-servers".into(), "must be specified".into()));
    }
    let mut etcd = EtcdOptions::new(
        options.etcd_servers.iter().map(
            |s| {
                if s.contains("://") { s.clone() } else { format!("http://{s}") }
            },
        ),
    );
    if etcd.endpoints.iter().any(|e| e.starts_with("https://")) {
        let ca = options.etcd_cafile.as_deref().map(|p| read("etcd-cafile", p)).transpose()?;
        let identity = match (&options.etcd_certfile, &options.etcd_keyfile) {
            (Some(cert), Some(key)) => Some((read("etcd-certfile", cert)?, read("etcd-keyfile", key)?)),
            _ => None,
        };
        etcd.tls = Some(Tls { ca, identity });
    }
    Ok(Arc::new(EtcdStore::connect(etcd).await?))
}

/// Runs the server until `stop`.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let store = open_store(&options).await?;
    run_on(options, store, stop).await
}

/// Starts what a server needs beside its listeners: cache, bootstrap, compaction. Tasks end with `stop`.
pub fn start(server: &Server, seeded: CancellationToken, stop: &CancellationToken) -> TaskTracker {
    crate::server::zpages::started();
    let tasks = TaskTracker::new();
    let cache = server.cache().clone();
    let stopping = stop.clone();
    tasks.spawn(async move { cache.run(stopping).await });
    tasks.spawn(crate::crd::run(server.clone(), stop.clone()));
    tasks.spawn(bootstrap::run(server.clone(), advertised(server.options()), seeded, stop.clone()));
    let interval = parse_duration(&server.options().etcd_compaction_interval).unwrap_or(Duration::ZERO);
    if !interval.is_zero() {
        tasks.spawn(store::compactor::run(server.storage().store.clone(), interval, stop.clone()));
    }
    tasks.close();
    tasks
}

/// Runs the server on a store that is at hand, until `stop`.
pub async fn run_on(options: Options, store: Arc<dyn Store>, stop: CancellationToken) -> Result<(), Error> {
    prepare_on(options, store, &stop)?.serve(stop).await
}

/// Opens the store and makes certificates; nothing runs yet.
pub async fn prepare(options: Options, stop: CancellationToken) -> Result<Prepared, Error> {
    let store = open_store(&options).await?;
    prepare_on(options, store, &stop)
}

fn prepare_on(options: Options, store: Arc<dyn Store>, stop: &CancellationToken) -> Result<Prepared, Error> {
    let at = advertised(&options);
    let tls = if options.secure_port == 0 { None } else { Some(tls(&options, at.address)?) };
    Ok(Prepared { server: Server::new(options, store, stop.clone())?, tls })
}

/// A server that is ready to run. Its service can be called at once: requests wait for the store, not for listeners.
pub struct Prepared {
    server: Server,
    tls: Option<TlsAcceptor>,
}

impl Prepared {
    /// The tower service, for callers in this process.
    pub fn service(&self) -> Server {
        self.server.clone()
    }

    /// Listens and serves until `stop`.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Error> {
        let Prepared { server, tls } = self;
        let options = server.options();
        let insecure = match options.insecure_port {
            0 => None,
            port => Some(bind(options.insecure_bind_address, port).await?),
        };
        let secure = match tls {
            Some(tls) => Some((bind(options.bind_address, options.secure_port).await?, tls)),
            None => None,
        };
        let seeded = CancellationToken::new();
        let background = start(&server, seeded.clone(), &stop);
        // What follows is another kind of work than starting was.
        let stopping = stop.clone();
        background.spawn(async move {
            tokio::select! {
                () = seeded.cancelled() => pages::release(),
                () = stopping.cancelled() => {}
            }
        });
        let listeners = TaskTracker::new();
        if let Some(listener) = insecure {
            tracing::info!(address = ?listener.local_addr().ok(), "Serving insecurely");
            listeners.spawn(listen::serve(server.clone(), listener, None, stop.clone()));
        }
        if let Some((listener, tls)) = secure {
            tracing::info!(address = ?listener.local_addr().ok(), "Serving securely");
            listeners.spawn(listen::serve(server.clone(), listener, Some(tls), stop.clone()));
        }
        listeners.close();
        stop.cancelled().await;
        tracing::info!("shutting down");
        listeners.wait().await;
        background.wait().await;
        Ok(())
    }
}

async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, Error> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).await.map_err(|e| Error::Listen(address, e))
}

fn tls(options: &Options, address: IpAddr) -> Result<TlsAcceptor, Error> {
    let pair = match (&options.tls_cert_file, &options.tls_private_key_file) {
        (Some(cert), Some(key)) => cert::load(cert, key)?,
        (Some(_), None) => {
            return Err(Error::Flag(
                "tls-private-key-file".into(),
                "must be given with --tls-cert-file".into(),
            ));
        }
        _ => {
            let mut names: Vec<String> = [
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
            ]
            .map(str::to_owned)
            .to_vec();
            names.extend(host_name().filter(|n| !names.contains(n)));
            let mut addresses = vec![address, IpAddr::V4(Ipv4Addr::LOCALHOST)];
            let range = options.service_cluster_ip_range.split(',').next().unwrap_or_default();
            if let Some(network) = crate::allocator::Network::parse(range) {
                addresses.push(IpAddr::V4(network.nth(1)));
            }
            addresses.extend(Some(options.bind_address).filter(|a| !a.is_unspecified()));
            let mut unique: Vec<IpAddr> = Vec::new();
            for address in addresses {
                if !unique.contains(&address) {
                    unique.push(address);
                }
            }
            cert::load_or_make(&options.cert_dir, &names, &unique)?
        }
    };
    let config = cert::tls(&pair, options.client_ca_file.as_deref())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
