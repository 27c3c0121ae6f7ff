//! A token secret for every service account, as v1.10 made them (upstream's `tokens_controller.go`).
//!
//! Two kinds of keys share one queue: an account needs a referenced token; a token secret needs its account and its
//! values. A key names the account; the secrets of an account are found by index.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::controller::Outcome;
use client::informer::{Event, Informer};
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use kube::Client;
use serde_json::{Value, json};

use super::jwt::{KeyError, Signer};
use crate::api;
use crate::context::{Context, synced};
use crate::views::{Secret, ServiceAccount};

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// What is put into tokens.
#[derive(Clone)]
pub struct TokenOptions {
    /// Signs.
    pub signer: Signer,
    /// The certificate that pods trust, PEM; `None` leaves it out.
    pub root_ca: Option<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", client::GoError(.0))]
    Api(#[from] kube::Error),
    #[error("failed to sign a token: {0}")]
    Sign(#[from] KeyError),
}

/// An account, or one secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(ObjectKey),
    Secret(ObjectKey),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Account(key) => write!(f, "service account {key}"),
            Key::Secret(key) => write!(f, "secret {key}"),
        }
    }
}

/// Runs the controller until stopped.
pub async fn run(context: Context, options: TokenOptions) {
    let accounts = context.informers.of::<ServiceAccount>();
    let secrets = context.informers.of::<Secret>();
    let queue = WorkQueue::<Key>::new();
    let q = queue.clone();
    accounts.add_handler(move |event| q.add(Key::Account(ObjectKey::of(&event.object().metadata))));
    let q = queue.clone();
    secrets.add_handler(move |event| {
        let secret = event.object();
        let Some(account) = account_of(secret) else { return };
        match event {
            Event::Deleted(_) => q.add(Key::Account(account)),
            _ => q.add(Key::Secret(ObjectKey::of(&secret.metadata))),
        }
    });
    if !synced(&context.stop, &[&accounts, &secrets]).await {
        return;
    }
    let controller = Arc::new(Controller { client: context.client.clone(), accounts, secrets, options });
    client::controller::run("tokens-controller", queue, 5, context.stop, move |key| {
        let controller = controller.clone();
        async move {
            match key {
                Key::Account(key) => controller.sync_account(&key).await,
                Key::Secret(key) => controller.sync_secret(&key).await,
            }
        }
    })
    .await;
}

/// The account that a token secret names.
fn account_of(secret: &Secret) -> Option<ObjectKey> {
    if secret.type_.as_deref() != Some(TYPE) {
        return None;
    }
    let name = secret.metadata.annotations.as_ref()?.get(ACCOUNT_NAME)?;
    Some(ObjectKey::new(secret.metadata.namespace.clone()?, name.clone()))
}

/// Whether the secret is a token of exactly this account.
fn is_token_of(secret: &Secret, account: &ServiceAccount) -> bool {
    let uid = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ACCOUNT_UID));
    account_of(secret) == Some(ObjectKey::of(&account.metadata))
        && uid.is_none_or(|uid| uid.is_empty() || Some(uid) == account.metadata.uid.as_ref())
}

/// The values that the secret lacks, as base64 (upstream's `generateTokenIfNeeded`).
fn missing_data(
    secret: &Secret,
    account: &ServiceAccount,
    options: &TokenOptions,
) -> Result<BTreeMap<&'static str, String>, KeyError> {
    let mut missing = BTreeMap::new();
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(ca) = &options.root_ca {
        let ca = STANDARD.encode(ca);
        if secret.data.get("ca.crt") != Some(&ca) {
            missing.insert("ca.crt", ca);
        }
    }
    let present = |key: &str| secret.data.get(key).is_some_and(|value| !value.is_empty());
    if !present("namespace") {
        missing.insert("namespace", STANDARD.encode(namespace));
    }
    if !present("token") {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let token = options.signer.token(
            namespace,
            &text(&account.metadata.name),
            &text(&account.metadata.uid),
            &text(&secret.metadata.name),
        )?;
        missing.insert("token", STANDARD.encode(token));
    }
    Ok(missing)
}

struct Controller {
    client: Client,
    accounts: Informer<ServiceAccount>,
    secrets: Informer<Secret>,
    options: TokenOptions,
}

impl Controller {
    async fn sync_account(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(account) = self.accounts.store().get(key) else {
            // Its tokens must not outlive it.
            for secret in self.secrets.store().in_namespace(&key.namespace) {
                if account_of(&secret).as_ref() == Some(key) {
                    api::delete::<Secret>(&self.client, &secret.metadata).await?;
                }
            }
            return Ok(Outcome::Done);
        };
        let referenced = |account: &ServiceAccount| {
            account.secrets.iter().filter_map(|reference| reference.name.clone()).find_map(|name| {
                let secret = self.secrets.store().get(&ObjectKey::new(&*key.namespace, name))?;
                is_token_of(&secret, account).then_some(())
            })
        };
        if account.metadata.deletion_timestamp.is_some() || referenced(&account).is_some() {
            return Ok(Outcome::Done);
        }
        // The cache may be late: ask before making another secret.
        let Some(live) = api::get::<ServiceAccount>(&self.client, Some(&key.namespace), &key.name).await?
        else {
            return Ok(Outcome::Done);
        };
        if live.metadata.uid != account.metadata.uid || live.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Done);
        }
        for reference in &live.secrets {
            let name = reference.name.as_deref().unwrap_or_default();
            let secret = api::get::<Secret>(&self.client, Some(&key.namespace), name).await?;
            if secret.is_some_and(|secret| is_token_of(&secret, &live)) {
                return Ok(Outcome::Done);
            }
        }
        self.create(&live).await
    }

    async fn create(&self, account: &ServiceAccount) -> Result<Outcome, Error> {
        let account_name = account.metadata.name.clone().unwrap_or_default();
        let namespace = account.metadata.namespace.clone();
        let name = format!("{account_name}-token-{}", component_base::rand::suffix(5));
        let mut draft = Secret { type_: Some(TYPE.into()), ..Secret::default() };
        draft.metadata.name = Some(name.clone());
        draft.metadata.namespace.clone_from(&namespace);
        let data = missing_data(&draft, account, &self.options)?;
        let object = json!({
            "metadata": {
                "name": name,
                "namespace": namespace,
                "annotations": { ACCOUNT_NAME: account_name, ACCOUNT_UID: account.metadata.uid },
            },
            "type": TYPE,
            "data": data,
        });
        let secret = match api::create::<Secret>(&self.client, namespace.as_deref(), object).await {
            Ok(secret) => secret,
            Err(err) if err.is_namespace_terminating() => return Ok(Outcome::Done),
            Err(err) => return Err(err.into()),
        };
        let mut references: Vec<Value> = account.secrets.iter().map(|reference| json!(reference)).collect();
        references.push(json!({ "name": name }));
        let change = json!({ "secrets": references });
        if let Err(err) = api::patch::<ServiceAccount>(&self.client, &account.metadata, change).await {
            // Nobody will find this secret; another try makes another.
            api::delete::<Secret>(&self.client, &secret.metadata).await?;
            if err.is_not_found() {
                return Ok(Outcome::Done);
            }
            return Err(err.into());
        }
        Ok(Outcome::Done)
    }

    async fn sync_secret(&self, key: &ObjectKey) -> Result<Outcome, Error> {
        let Some(secret) = self.secrets.store().get(key) else { return Ok(Outcome::Done) };
        let Some(account_key) = account_of(&secret) else { return Ok(Outcome::Done) };
        let cached = self.accounts.store().get(&account_key).filter(|account| is_token_of(&secret, account));
        let account = match cached {
            Some(account) => Some(account),
            None => api::get::<ServiceAccount>(&self.client, Some(&key.namespace), &account_key.name)
                .await?
                .filter(|account| is_token_of(&secret, account))
                .map(Arc::new),
        };
        let Some(account) = account else {
            tracing::info!("deleting secret {key} because service account {account_key} does not exist");
            api::delete::<Secret>(&self.client, &secret.metadata).await?;
            return Ok(Outcome::Done);
        };
        let data = missing_data(&secret, &account, &self.options)?;
        let named = secret.metadata.annotations.as_ref().and_then(|a| a.get(ACCOUNT_UID))
            == account.metadata.uid.as_ref();
        if data.is_empty() && named {
            return Ok(Outcome::Done);
        }
        let change =
            json!({ "metadata": { "annotations": { ACCOUNT_UID: account.metadata.uid } }, "data": data });
        match api::patch::<Secret>(&self.client, &secret.metadata, change).await {
            Ok(_) => Ok(Outcome::Done),
            Err(err) if err.is_not_found() => Ok(Outcome::Done),
            Err(err) => Err(err.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_belong_to_one_account_and_are_completed() {
        let signer = Signer::from_pem(include_bytes!("testdata/ec-pkcs8.pem")).unwrap();
        let options = TokenOptions { signer, root_ca: Some(b"CA".to_vec()) };
        let account: ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "n", "uid": "u"}}))
                .unwrap();
        let secret = |uid: &str, data: Value| -> Secret {
            serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n",
                "annotations": {ACCOUNT_NAME: "default", ACCOUNT_UID: uid}}, "type": TYPE, "data": data}))
            .unwrap()
        };
        assert!(is_token_of(&secret("u", json!({})), &account));
        assert!(!is_token_of(&secret("other", json!({})), &account));
        let missing = missing_data(&secret("u", json!({"token": "eA=="})), &account, &options).unwrap();
        assert_eq!(missing.keys().copied().collect::<Vec<_>>(), ["ca.crt", "namespace"]);
        assert_eq!(missing["namespace"], STANDARD.encode("n"));
        let full = json!({"token": "eA==", "namespace": "bg==", "ca.crt": STANDARD.encode("CA")});
        assert!(missing_data(&secret("u", full), &account, &options).unwrap().is_empty());
    }
}
