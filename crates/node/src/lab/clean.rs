//! `lab-clean`: takes away what the kubelets of a lab made on the engine, and the lab's state directory.
//!
//! It runs when the kubelets have been stopped, so that nobody starts again what it removes.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
};

use super::Error;

/// The arguments of `lab-clean`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Options {
    /// The lab's name: its kubelets' `--cluster-id`.
    #[arg(long)]
    project: String,
    /// The lab's state directory; it goes as a whole.
    #[arg(long)]
    state: PathBuf,
}

/// Removes the pods' containers, their volumes and the state directory.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let docker = Docker::connect_with_local_defaults()?.negotiate_version().await?;
    let filter = HashMap::from([(
        "label".to_owned(),
        vec![format!("{}={}", kubelet::labels::CLUSTER, options.project)],
    )]);
    let list = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let remove = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    for container in docker.list_containers(Some(list)).await? {
        let Some(id) = container.id else { continue };
        match docker.remove_container(&id, Some(remove.clone())).await {
            // Gone already, or going: 404 and 409 are what we want.
            Ok(()) => {}
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let volumes =
        docker.list_volumes(Some(ListVolumesOptionsBuilder::default().filters(&filter).build())).await?;
    for volume in volumes.volumes.unwrap_or_default() {
        docker.remove_volume(&volume.name, None::<bollard::query_parameters::RemoveVolumeOptions>).await?;
    }
    match std::fs::remove_dir_all(&options.state) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Remove { path: options.state, source })
        }
        _ => Ok(()),
    }
}
