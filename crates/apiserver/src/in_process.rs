//! A server in this process: no files, no listeners, and by default no etcd. What tests run on, ours and those of people
//! who write operators.

use std::sync::Arc;

use store::{MemoryStore, Store};
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::run::{Error, start};
use crate::server::Server;

/// A running server that has made what every cluster has. It ends with the value.
pub struct InProcess {
    server: Server,
    stop: CancellationToken,
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl InProcess {
    /// Options that touch no file. Without the ServiceAccount plug-in: it refuses pods until a controller has made accounts.
    pub fn options() -> Options {
        Options {
            service_cluster_ip_range: "10.0.0.0/16".into(),
            disable_admission_plugins: vec!["ServiceAccount".into()],
            cert_dir: "/nonexistent".into(),
            ..Options::default()
        }
    }

    /// Starts a server on a memory store of its own.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_on(Arc::new(MemoryStore::new()), options).await
    }

    /// Starts a server on a store and waits until it is seeded.
    pub async fn start_on(store: Arc<dyn Store>, options: Options) -> Result<Self, Error> {
        let (stop, seeded) = (CancellationToken::new(), CancellationToken::new());
        let server = Server::new(options, store, stop.clone())?;
        start(&server, seeded.clone(), &stop);
        seeded.cancelled().await;
        Ok(Self { server, stop })
    }

    /// The tower service.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What ends the server, for what lives as long as it does.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
