//! Service account tokens for pods (upstream's `pkg/kubelet/token`): asked for once, and again when a fifth of their life
//! is left.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::objects::{self, Error};
use crate::labels::PodRef;

#[derive(Clone)]
struct Cached {
    token: String,
    refresh_at: Timestamp,
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    pod: PodRef,
    account: String,
    audience: String,
    seconds: i64,
}

/// Tokens of this node's pods.
pub struct Tokens {
    client: Client,
    cache: Mutex<HashMap<Key, Cached>>,
}

impl Tokens {
    /// Through this client.
    pub fn new(client: Client) -> Self {
        Self { client, cache: Mutex::default() }
    }

    /// A token that is good for a while.
    pub async fn get(
        &self,
        pod: &PodRef,
        account: &str,
        audience: &str,
        seconds: i64,
    ) -> Result<String, Error> {
        let key = Key { pod: pod.clone(), account: account.into(), audience: audience.into(), seconds };
        let now = client::clock::now();
        let cached = self.cache.lock().get(&key).cloned();
        if let Some(cached) = cached
            && now < cached.refresh_at
        {
            return Ok(cached.token);
        }
        let audiences: Vec<&str> = if audience.is_empty() { vec![] } else { vec![audience] };
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {
                "audiences": audiences, "expirationSeconds": seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
            }
        });
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", pod.namespace);
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        let answer: Value = self.client.request(request).await.map_err(objects::error)?;
        let token = answer["status"]["token"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(Error::Unavailable("the API server sent an empty token".into()));
        }
        let expires: Option<Timestamp> =
            answer["status"]["expirationTimestamp"].as_str().and_then(|t| t.parse().ok());
        let life = expires.map_or(SignedDuration::from_secs(seconds), |end| end.duration_since(now));
        let cached = Cached { token: token.clone(), refresh_at: now + life * 4 / 5 };
        self.cache.lock().insert(key, cached);
        Ok(token)
    }

    /// Drops a pod's tokens.
    pub fn forget(&self, uid: &str) {
        self.cache.lock().retain(|key, _| key.pod.uid != uid);
    }
}
