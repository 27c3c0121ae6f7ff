//! Why the kubelet did not start or had to end.

/// Errors that end the process. Anything that can pass (API server or Docker away) is retried instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or a field of the configuration file is wrong; the text names it.
    #[error("{0}")]
    Config(String),
    /// Docker and the configuration disagree.
    #[error(
        "failed to run Kubelet: misconfiguration: kubelet cgroup driver: {kubelet:?} is different from docker cgroup driver: {docker:?}"
    )]
    CgroupDriver {
        /// The configured one.
        kubelet: String,
        /// The engine's.
        docker: String,
    },
    /// How the API server is reached is not known.
    #[error("{0}")]
    Client(String),
    /// A port or a certificate of the server.
    #[error("{0}")]
    Server(String),
}
