//! `node`: kubelet and kube-proxy in one process. They share nothing but the process: both are clients of the API server.

use std::ffi::OsString;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

/// Why the node ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kubelet could not start.
    #[error("kubelet: {0}")]
    Kubelet(#[from] kubelet::Error),
    /// The proxy could not start.
    #[error("kube-proxy: {0}")]
    Proxy(#[from] proxy::Error),
}

/// Compose files cannot leave out a flag whose variable is empty: these variables stand in for the flags.
const VARIABLES: [(&str, &str); 2] =
    [("SKIFF_NODE_IP", "--node-ip"), ("SKIFF_NODE_NAME", "--hostname-override")];

/// The arguments, with those that only the environment has.
pub(crate) fn with_environment(mut args: Vec<OsString>) -> Vec<OsString> {
    for (variable, flag) in VARIABLES {
        if let Some(value) = std::env::var_os(variable).filter(|v| !v.is_empty()) {
            let mut arg = OsString::from(flag);
            arg.push("=");
            arg.push(value);
            args.push(arg);
        }
    }
    args
}

/// Runs both until they are told to stop; when one of them cannot go on, the other ends too. The flags are the
/// kubelet's; the proxy takes the API server's address and the node's name from them.
pub(crate) async fn run(options: kubelet::Options, stop: CancellationToken) -> Result<(), Error> {
    let proxy = proxy_options(&options);
    let kubelet = async { kubelet::run(options, stop.clone()).await.map_err(Error::from) };
    let proxy = async { proxy::run(proxy, stop.clone()).await.map_err(Error::from) };
    tokio::try_join!(kubelet, proxy).map(|((), ())| ())
}

fn proxy_options(kubelet: &kubelet::Options) -> proxy::Options {
    let mut options = proxy::Options::parse_from(["kube-proxy"]);
    options.master.clone_from(&kubelet.master);
    options.kubeconfig.clone_from(&kubelet.kubeconfig);
    options.hostname_override = kubelet.hostname_override.clone().unwrap_or_default();
    options
}
