//! A pod's volumes: directories under the root directory, which Docker binds into containers under the same path, and
//! Docker's own memory-backed volumes.
//!
//! Layout as upstream's: `pods/<uid>/volumes/kubernetes.io~configmap/<name>`. Secrets go to `secrets/<uid>/…` instead when
//! that directory is a tmpfs, so that they never reach a disk.

pub mod atomic_writer;
pub mod mounts;
pub mod objects;
mod payload;
pub mod token;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Volume};

use crate::labels::PodRef;
use crate::pod::env::Sources;
use crate::pod::spec;
use crate::quantity;
use crate::runtime::Runtime;
use objects::Objects;
use token::Tokens;

/// Why a volume is not there.
#[derive(Debug, thiserror::Error, Clone)]
pub enum Error {
    /// Upstream's event text.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {why}")]
    SetUp {
        /// The volume's name.
        volume: String,
        /// What went wrong.
        why: String,
    },
}

/// Where a volume is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A directory of the kubelet's.
    Directory(PathBuf),
    /// A path of the host's.
    Host(String),
    /// A Docker volume.
    Docker(String),
}

/// A pod's volumes by name.
pub type Places = BTreeMap<String, Place>;

/// Makes and removes volumes.
pub struct Volumes {
    root: PathBuf,
    secrets: Option<PathBuf>,
    objects: Arc<Objects>,
    tokens: Tokens,
    runtime: Arc<dyn Runtime>,
}

/// Volumes whose content changes while the pod lives.
pub fn refreshes(pod: &Pod) -> bool {
    spec::of(pod).volumes.iter().flatten().any(|v| {
        v.config_map.is_some() || v.secret.is_some() || v.projected.is_some() || v.downward_api.is_some()
    })
}

impl Volumes {
    /// Volumes under `root`.
    pub fn new(root: &Path, objects: Arc<Objects>, runtime: Arc<dyn Runtime>) -> Self {
        let secrets = root.join("secrets");
        let on_tmpfs = nix::sys::statfs::statfs(&secrets)
            .is_ok_and(|s| s.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC);
        Self {
            root: root.to_owned(),
            secrets: on_tmpfs.then_some(secrets),
            tokens: Tokens::new(objects.client()),
            objects,
            runtime,
        }
    }

    /// The pod's directory.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    fn volume_dir(&self, uid: &str, plugin: &str, name: &str, is_secret: bool) -> PathBuf {
        match &self.secrets {
            Some(secrets) if is_secret => secrets.join(uid).join(plugin).join(name),
            _ => self.pod_dir(uid).join("volumes").join(plugin).join(name),
        }
    }

    /// Makes or refreshes all volumes of a pod. A volume that is there already and cannot be refreshed now (the API
    /// server is away) stays as it is.
    pub async fn set_up(&self, pod: &Pod, facts: &Sources) -> Result<Places, Error> {
        let mut places = Places::new();
        for volume in spec::of(pod).volumes.iter().flatten() {
            let place = self
                .one(pod, volume, facts)
                .await
                .map_err(|why| Error::SetUp { volume: volume.name.clone(), why })?;
            places.insert(volume.name.clone(), place);
        }
        Ok(places)
    }

    async fn one(&self, pod: &Pod, volume: &Volume, facts: &Sources) -> Result<Place, String> {
        let uid = PodRef::of(pod).uid;
        let name = volume.name.as_str();
        if let Some(host) = &volume.host_path {
            return Ok(Place::Host(host.path.clone()));
        }
        if let Some(empty) = &volume.empty_dir {
            return self.empty_dir(pod, &uid, name, empty).await;
        }
        let (plugin, is_secret) = match volume {
            v if v.config_map.is_some() => ("kubernetes.io~configmap", false),
            v if v.secret.is_some() => ("kubernetes.io~secret", true),
            v if v.projected.is_some() => ("kubernetes.io~projected", true),
            v if v.downward_api.is_some() => ("kubernetes.io~downward-api", false),
            _ => return Err("no volume plugin matched".into()),
        };
        let dir = self.volume_dir(&uid, plugin, name, is_secret);
        match payload::payload(pod, volume, &self.objects, &self.tokens, facts).await {
            Ok(mut files) => {
                let group = spec::of(pod).security_context.as_ref().and_then(|c| c.fs_group);
                if group.is_some() {
                    files.values_mut().for_each(|f| f.mode |= 0o440);
                }
                atomic_writer::write(&dir, &files, group).map_err(|e| e.to_string())?;
            }
            Err(payload::Error::Unavailable(why)) if atomic_writer::is_written(&dir) => {
                tracing::debug!(volume = name, "not refreshed: {why}");
            }
            Err(e) => return Err(e.to_string()),
        }
        Ok(Place::Directory(dir))
    }

    async fn empty_dir(
        &self,
        pod: &Pod,
        uid: &str,
        name: &str,
        empty: &k8s_openapi::api::core::v1::EmptyDirVolumeSource,
    ) -> Result<Place, String> {
        if empty.medium.as_deref() == Some("Memory") {
            let volume = memory_volume_name(uid, name);
            let size = empty.size_limit.as_ref().and_then(quantity::value).filter(|s| *s > 0);
            self.runtime.create_memory_volume(&volume, size).await.map_err(|e| e.to_string())?;
            return Ok(Place::Docker(volume));
        }
        let dir = self.volume_dir(uid, "kubernetes.io~empty-dir", name, false);
        if !dir.is_dir() {
            std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
            let mut mode = 0o777;
            if let Some(group) = spec::of(pod).security_context.as_ref().and_then(|c| c.fs_group) {
                let group = u32::try_from(group).map_err(|e| e.to_string())?;
                std::os::unix::fs::chown(&dir, None, Some(group)).map_err(|e| e.to_string())?;
                mode |= 0o2000;
            }
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode))
                .map_err(|e| e.to_string())?;
        }
        Ok(Place::Directory(dir))
    }

    /// Removes everything of a pod.
    pub async fn tear_down(&self, uid: &str, pod: Option<&Pod>) -> std::io::Result<()> {
        for volume in pod.into_iter().flat_map(|p| spec::of(p).volumes.iter().flatten()) {
            if volume.empty_dir.as_ref().is_some_and(|e| e.medium.as_deref() == Some("Memory"))
                && let Err(e) = self.runtime.remove_volume(&memory_volume_name(uid, &volume.name)).await
            {
                tracing::warn!(volume = volume.name, "{e}");
            }
        }
        self.tokens.forget(uid);
        let secrets = self.secrets.as_ref().map(|s| s.join(uid));
        for dir in secrets.into_iter().chain([self.pod_dir(uid)]) {
            match std::fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes directories of pods that are not there any more.
    pub fn clean(&self, alive: impl Fn(&str) -> bool) {
        let places = self.secrets.iter().cloned().chain([self.root.join("pods")]);
        for entry in places.flat_map(|p| std::fs::read_dir(p).into_iter().flatten().flatten()) {
            let uid = entry.file_name();
            if !uid.to_str().is_some_and(&alive) {
                tracing::info!(uid = %uid.display(), "Cleaned up orphaned pod volumes dir");
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn memory_volume_name(uid: &str, name: &str) -> String {
    format!("k8s_{uid}_{name}")
}
