//! The files of config map, secret, downward API and projected volumes.

use k8s_openapi::api::core::v1::{ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume};

use super::atomic_writer::{File, Files};
use super::objects::{self, Objects};
use super::token::Tokens;
use crate::labels::PodRef;
use crate::pod::env::{Sources, pod_field, resource_field};
use crate::pod::spec;

/// Why there is no content.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The API server is away: an older content may serve.
    #[error("{0}")]
    Unavailable(String),
    /// The content cannot be made from what there is.
    #[error("{0}")]
    Invalid(String),
}

impl From<objects::Error> for Error {
    fn from(error: objects::Error) -> Self {
        match error {
            objects::Error::NotFound(text) => Error::Invalid(text),
            objects::Error::Unavailable(text) => Error::Unavailable(text),
        }
    }
}

const DEFAULT_MODE: i32 = 0o644;

/// All files of a volume.
pub(super) async fn payload(
    pod: &Pod,
    volume: &Volume,
    objects: &Objects,
    tokens: &Tokens,
    facts: &Sources,
) -> Result<Files, Error> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut files = Files::new();
    if let Some(source) = &volume.config_map {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let optional = source.optional.unwrap_or_default();
        config_map(objects, namespace, &source.name, optional, source.items.as_deref(), mode, &mut files)
            .await?;
    } else if let Some(source) = &volume.secret {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let optional = source.optional.unwrap_or_default();
        secret(objects, namespace, name, optional, source.items.as_deref(), mode, &mut files).await?;
    } else if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        downward(pod, source.items.as_deref().unwrap_or_default(), mode, facts, &mut files)?;
    } else if let Some(source) = &volume.projected {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        for part in source.sources.iter().flatten() {
            if let Some(p) = &part.config_map {
                let optional = p.optional.unwrap_or_default();
                config_map(objects, namespace, &p.name, optional, p.items.as_deref(), mode, &mut files)
                    .await?;
            } else if let Some(p) = &part.secret {
                let optional = p.optional.unwrap_or_default();
                secret(objects, namespace, &p.name, optional, p.items.as_deref(), mode, &mut files).await?;
            } else if let Some(p) = &part.downward_api {
                downward(pod, p.items.as_deref().unwrap_or_default(), mode, facts, &mut files)?;
            } else if let Some(p) = &part.service_account_token {
                let account = spec::of(pod).service_account_name.as_deref().unwrap_or("default");
                let audience = p.audience.as_deref().unwrap_or_default();
                let seconds = p.expiration_seconds.unwrap_or(3600);
                let token = tokens.get(&PodRef::of(pod), account, audience, seconds).await?;
                files.insert(p.path.clone(), file(token.into_bytes(), mode));
            }
        }
    }
    Ok(files)
}

fn file(data: Vec<u8>, mode: i32) -> File {
    File { data, mode: u32::try_from(mode).unwrap_or(0o644) & 0o777 }
}

fn select(
    kind: &str,
    all: Vec<(String, Vec<u8>)>,
    items: Option<&[KeyToPath]>,
    optional: bool,
    mode: i32,
    files: &mut Files,
) -> Result<(), Error> {
    match items.filter(|i| !i.is_empty()) {
        None => files.extend(all.into_iter().map(|(key, data)| (key, file(data, mode)))),
        Some(items) => {
            for item in items {
                match all.iter().find(|(key, _)| *key == item.key) {
                    Some((_, data)) => {
                        files.insert(item.path.clone(), file(data.clone(), item.mode.unwrap_or(mode)));
                    }
                    None if optional => {}
                    None => {
                        return Err(Error::Invalid(format!(
                            "{kind} references non-existent {kind} key: {}",
                            item.key
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

async fn config_map(
    objects: &Objects,
    namespace: &str,
    name: &str,
    optional: bool,
    items: Option<&[KeyToPath]>,
    mode: i32,
    files: &mut Files,
) -> Result<(), Error> {
    let map: ConfigMap = match objects.config_map(namespace, name).await {
        Ok(map) => map,
        Err(objects::Error::NotFound(_)) if optional => return Ok(()),
        Err(objects::Error::NotFound(_)) => {
            return Err(Error::Invalid(format!("configmap {name:?} not found")));
        }
        Err(e) => return Err(e.into()),
    };
    let text = map.data.into_iter().flatten().map(|(k, v)| (k, v.into_bytes()));
    let all = text.chain(map.binary_data.into_iter().flatten().map(|(k, v)| (k, v.0))).collect();
    select("configmap", all, items, optional, mode, files)
}

async fn secret(
    objects: &Objects,
    namespace: &str,
    name: &str,
    optional: bool,
    items: Option<&[KeyToPath]>,
    mode: i32,
    files: &mut Files,
) -> Result<(), Error> {
    let secret: Secret = match objects.secret(namespace, name).await {
        Ok(secret) => secret,
        Err(objects::Error::NotFound(_)) if optional => return Ok(()),
        Err(objects::Error::NotFound(_)) => return Err(Error::Invalid(format!("secret {name:?} not found"))),
        Err(e) => return Err(e.into()),
    };
    let all = secret.data.into_iter().flatten().map(|(k, v)| (k, v.0)).collect();
    select("secret", all, items, optional, mode, files)
}

fn downward(
    pod: &Pod,
    items: &[DownwardAPIVolumeFile],
    mode: i32,
    facts: &Sources,
    files: &mut Files,
) -> Result<(), Error> {
    for item in items {
        let text = if let Some(field) = &item.field_ref {
            pod_field(pod, field, facts)
        } else if let Some(resource) = &item.resource_field_ref {
            resource_field(pod, "", resource, facts)
        } else {
            Ok(String::new())
        };
        let data = text.map_err(Error::Invalid)?.into_bytes();
        files.insert(item.path.clone(), file(data, item.mode.unwrap_or(mode)));
    }
    Ok(())
}
