//! `server`: the whole control plane in one process.
//!
//! Controllers and scheduler are clients of the API server like everyone else; here their requests are calls of its
//! service in memory, without sockets, TLS or a second copy of the bytes.

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

/// Which of the three ended, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server.
    #[error("kube-apiserver: {0}")]
    ApiServer(#[from] apiserver::Error),
    /// The controller manager.
    #[error("kube-controller-manager: {0}")]
    Controllers(#[from] controllers::Error),
    /// The scheduler.
    #[error("kube-scheduler: {0}")]
    Scheduler(#[from] scheduler::Error),
}

/// Runs the three until they are told to stop; when one cannot go on, the others end too. The flags are
/// kube-apiserver's; the other two take from them what they need.
pub(crate) async fn run(options: apiserver::Options, stop: CancellationToken) -> Result<(), Error> {
    let controller_options = controller_options(&options);
    let server = apiserver::prepare(options, stop.clone()).await?;
    tracing::info!(version = component_base::version::GIT_VERSION, "the control plane starts");
    let client = |name| client::in_process_as(server.service(), name);
    let controllers =
        controllers::run_with(client("kube-controller-manager"), controller_options, stop.clone());
    let scheduler_options = scheduler::Options::parse_from(["kube-scheduler"]);
    let scheduler = scheduler::run_with(client("kube-scheduler"), scheduler_options, stop.clone());
    // Whoever fails takes the others along, in order.
    let ended = stop.clone();
    let result = tokio::try_join!(
        async { server.serve(stop.clone()).await.map_err(Error::from) },
        async { controllers.await.map_err(Error::from) },
        async { scheduler.await.map_err(Error::from) },
    );
    ended.cancel();
    result.map(|_| ())
}

/// The API server's own key signs service account tokens, and its certificate is what pods trust, unless flags say
/// otherwise: the tutorial's step 4 in one.
fn controller_options(apiserver: &apiserver::Options) -> controllers::Options {
    let mut options = controllers::Options::parse_from(["kube-controller-manager"]);
    let own = |given: &Option<std::path::PathBuf>, name: &str| {
        given.clone().unwrap_or_else(|| apiserver.cert_dir.join(name))
    };
    options.service_account_private_key_file =
        Some(own(&apiserver.service_account_signing_key_file, "apiserver.key"));
    options.root_ca_file = Some(own(&apiserver.tls_cert_file, "apiserver.crt"));
    options
}
