//! Config maps, secrets and services that pods of this node refer to, fetched one by one: a node must not hold the
//! cluster's secrets.

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

/// Why an object is not there.
#[derive(Debug, thiserror::Error, Clone)]
pub enum Error {
    /// The API server says that there is none.
    #[error("{0}")]
    NotFound(String),
    /// It could not be asked.
    #[error("{0}")]
    Unavailable(String),
}

/// Asks the API server.
pub struct Objects {
    client: Client,
}

impl Objects {
    /// Through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    async fn get<K>(&self, namespace: &str, name: &str) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        api.get(name).await.map_err(error)
    }

    /// One config map.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMap, Error> {
        self.get(namespace, name).await
    }

    /// One secret.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Error> {
        self.get(namespace, name).await
    }

    /// The services that a pod of `namespace` sees in its environment.
    pub async fn services(&self, namespace: &str, links: bool) -> Result<Vec<Service>, Error> {
        let mut found = Vec::new();
        if links {
            let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
            found = api.list(&ListParams::default().match_any()).await.map_err(error)?.items;
        }
        if !links || namespace != "default" {
            match self.get::<Service>("default", "kubernetes").await {
                Ok(service) => found.push(service),
                Err(Error::NotFound(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }
}

/// Kube's error as ours.
pub fn error(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => Error::NotFound(status.message.clone()),
        kube::Error::Api(status) => Error::Unavailable(status.message.clone()),
        other => Error::Unavailable(other.to_string()),
    }
}
