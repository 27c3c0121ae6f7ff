//! What a lab needs beside the daemons: see `compose/lab.yaml`.

pub(crate) mod clean;
pub(crate) mod keeper;

/// Why a lab command ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The engine does not answer or refuses.
    #[error("Docker: {0}")]
    Docker(#[from] bollard::errors::Error),
    /// A file or directory could not be removed.
    #[error("cannot remove {path}: {source}")]
    Remove { path: std::path::PathBuf, source: std::io::Error },
}

/// The label with which compose marks the containers of a project.
const PROJECT_LABEL: &str = "com.docker.compose.project";
