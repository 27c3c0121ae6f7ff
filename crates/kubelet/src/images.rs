//! Making sure that an image is there (upstream's `pkg/kubelet/images`): pull policies, one pull of an image at a time,
//! back-off after failures, upstream's events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::events::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Container;
use parking_lot::Mutex;

use crate::pod::backoff::Backoff;
use crate::runtime::{Image, RegistryAuth, Runtime};

/// Why a container waits for its image: the state's reason and message, and when to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct NoImage {
    /// `ErrImagePull`, `ImagePullBackOff`, `ErrImageNeverPull`, `InvalidImageName`, `ImageInspectError`.
    pub reason: &'static str,
    /// Details.
    pub message: String,
    /// Not before.
    pub retry_at: Timestamp,
}

/// Where events about the container go.
pub type Say<'a> = &'a (dyn Fn(EventType, &str, String) + Sync);

/// Images of this node.
pub struct Images {
    runtime: Arc<dyn Runtime>,
    backoff: Mutex<(Backoff, HashMap<String, String>)>,
    pulls: tokio::sync::Mutex<()>,
}

impl Images {
    /// Of this runtime.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, backoff: Mutex::default(), pulls: tokio::sync::Mutex::default() }
    }

    /// The container's image, pulled when its policy says so.
    pub async fn ensure(
        &self,
        uid: &str,
        container: &Container,
        auth: &[RegistryAuth],
        say: Say<'_>,
    ) -> Result<Image, NoImage> {
        let wanted = container.image.clone().unwrap_or_default();
        let soon = client::clock::now() + SignedDuration::from_secs(10);
        let name = match with_tag(&wanted) {
            Ok(name) => name,
            Err(why) => {
                let message = format!("Failed to apply default image tag {wanted:?}: {why}");
                say(EventType::Warning, "InspectFailed", message.clone());
                return Err(NoImage { reason: "InvalidImageName", message, retry_at: soon });
            }
        };
        let policy = container.image_pull_policy.as_deref().unwrap_or(default_policy(&name));
        if policy != "Always" {
            match self.runtime.image(&name).await {
                Ok(Some(image)) => {
                    let text = format!(
                        "Container image {wanted:?} already present on machine and can be accessed by the pod"
                    );
                    say(EventType::Normal, "Pulled", text);
                    return Ok(image);
                }
                Ok(None) => {}
                Err(e) => {
                    let message = format!("Failed to inspect image {name:?}: {e}");
                    say(EventType::Warning, "InspectFailed", message.clone());
                    return Err(NoImage { reason: "ImageInspectError", message, retry_at: soon });
                }
            }
            if policy == "Never" {
                let message = format!("Container image {wanted:?} is not present with pull policy of Never");
                say(EventType::Warning, "ErrImageNeverPull", message.clone());
                return Err(NoImage { reason: "ErrImageNeverPull", message, retry_at: soon });
            }
        }
        self.pull(uid, &wanted, &name, auth, say).await
    }

    async fn pull(
        &self,
        uid: &str,
        wanted: &str,
        name: &str,
        auth: &[RegistryAuth],
        say: Say<'_>,
    ) -> Result<Image, NoImage> {
        let key = format!("{uid}_{wanted}");
        let held = {
            let backoff = self.backoff.lock();
            let held = backoff.0.holds_since_update(&key, client::clock::now());
            held.map(|(_, end)| (end, backoff.1.get(&key).cloned()))
        };
        if let Some((retry_at, before)) = held {
            let text = format!("Back-off pulling image {wanted:?}");
            say(EventType::Normal, "BackOff", text.clone());
            let message = before.map_or(text.clone(), |before| format!("{text}: {before}"));
            return Err(NoImage { reason: "ImagePullBackOff", message, retry_at });
        }
        say(EventType::Normal, "Pulling", format!("Pulling image {wanted:?}"));
        let asked = Instant::now();
        let turn = self.pulls.lock().await;
        let begun = Instant::now();
        let mut result = Err(crate::runtime::Error::NotFound(String::new()));
        // The first credentials that work; none at all when there are none.
        let tries = auth.iter().map(Some).chain(auth.is_empty().then_some(None));
        for auth in tries {
            result = self.runtime.pull(name, auth).await;
            if result.is_ok() {
                break;
            }
        }
        drop(turn);
        let image = match result {
            Ok(()) => self.runtime.image(name).await.and_then(|image| {
                image.ok_or_else(|| crate::runtime::Error::NotFound(format!("No such image: {name}")))
            }),
            Err(e) => Err(e),
        };
        match image {
            Ok(image) => {
                self.backoff.lock().1.remove(&key);
                let text = format!(
                    "Successfully pulled image {wanted:?} in {} ({} including waiting). Image size: {} bytes.",
                    milliseconds(begun.elapsed()),
                    milliseconds(asked.elapsed()),
                    image.size
                );
                say(EventType::Normal, "Pulled", text);
                Ok(image)
            }
            Err(e) => {
                let message = e.to_string();
                say(EventType::Warning, "Failed", format!("Failed to pull image {wanted:?}: {message}"));
                say(EventType::Warning, "Failed", "Error: ErrImagePull".into());
                let now = client::clock::now();
                let mut backoff = self.backoff.lock();
                backoff.0.next(&key, now);
                backoff.1.insert(key, format!("ErrImagePull: {message}"));
                // The next look finds the back-off, and says so.
                let retry_at = now + SignedDuration::from_secs(2);
                Err(NoImage { reason: "ErrImagePull", message, retry_at })
            }
        }
    }

    /// Forgets a pod.
    pub fn forget(&self, uid: &str) {
        self.backoff.lock().1.retain(|key, _| !key.starts_with(uid));
    }
}

/// Go's `time.Duration.Truncate(time.Millisecond).String()`.
fn milliseconds(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (minutes, seconds) = (ms / 60_000, (ms % 60_000) as f64 / 1000.0);
    if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") }
}

/// `nginx` → `nginx:latest`. Only what Docker would refuse anyway is refused.
fn with_tag(image: &str) -> Result<String, &'static str> {
    let name = image.split('@').next().unwrap_or_default();
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let invalid = |c: char| !(c.is_ascii_alphanumeric() || "._-/:".contains(c));
    // Upper case is allowed in the registry's host only.
    let repository = path.split_once('/').map_or(path, |(first, rest)| {
        if first.contains(['.', ':']) || first == "localhost" { rest } else { path }
    });
    if path.is_empty() || path.contains(invalid) || tag == Some("") || path.ends_with('/') {
        return Err("couldn't parse image name: invalid reference format");
    }
    if repository.contains(|c: char| c.is_ascii_uppercase()) {
        return Err("couldn't parse image name: invalid reference format: repository name must be lowercase");
    }
    let complete = tag.is_some() || image.contains('@');
    Ok(if complete { image.to_owned() } else { format!("{image}:latest") })
}

/// `Always` for `latest`, as the API server sets it.
fn default_policy(name: &str) -> &'static str {
    if name.ends_with(":latest") { "Always" } else { "IfNotPresent" }
}

/// The ImageID of a container's status: `docker-pullable://…` when it came from a registry (dockershim).
pub fn image_ref(image: &Image) -> String {
    match image.repo_digests.first() {
        Some(digest) => format!("docker-pullable://{digest}"),
        None => format!("docker://{}", image.id),
    }
}

/// Credentials for `image` out of a `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg` secret.
pub fn credentials(secret: &k8s_openapi::api::core::v1::Secret, image: &str) -> Vec<RegistryAuth> {
    use base64::Engine;
    let data = secret.data.as_ref();
    let read = |key: &str| -> Option<serde_json::Value> { serde_json::from_slice(&data?.get(key)?.0).ok() };
    let entries = read(".dockerconfigjson").map(|v| v["auths"].clone()).or_else(|| read(".dockercfg"));
    let host = |text: &str| -> String {
        let text = text.trim_start_matches("https://").trim_start_matches("http://");
        text.split('/').next().unwrap_or_default().replace("index.docker.io", "docker.io")
    };
    let first = image.split('/').next().unwrap_or_default();
    let is_host = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let registry = if is_host { host(first) } else { "docker.io".to_owned() };
    let Some(entries) = entries.as_ref().and_then(|e| e.as_object()) else { return Vec::new() };
    let matching = entries.iter().filter(|(server, _)| host(server) == registry);
    matching
        .map(|(server, entry)| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")).unwrap_or_default();
            let decoded = String::from_utf8_lossy(&decoded).into_owned();
            let (user, password) = decoded.split_once(':').unwrap_or_default();
            RegistryAuth {
                username: if user.is_empty() { text("username") } else { user.to_owned() },
                password: if password.is_empty() { text("password") } else { password.to_owned() },
                identity_token: text("identitytoken"),
                server: server.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_completed() {
        assert_eq!(with_tag("nginx").unwrap(), "nginx:latest");
        assert_eq!(with_tag("host:5000/a/b").unwrap(), "host:5000/a/b:latest");
        assert_eq!(with_tag("a@sha256:00").unwrap(), "a@sha256:00");
        assert!(with_tag("Nginx").is_err() && with_tag("").is_err() && with_tag("a b").is_err());
    }

    #[test]
    fn credentials_match_the_registry() {
        let config = serde_json::json!({"auths": {"r.example:5000": {"auth": "dTpw"}, "https://index.docker.io/v1/": {"username": "d"}}});
        let data =
            [(".dockerconfigjson".to_owned(), k8s_openapi::ByteString(config.to_string().into_bytes()))];
        let secret = k8s_openapi::api::core::v1::Secret { data: Some(data.into()), ..Default::default() };
        let found = credentials(&secret, "r.example:5000/a");
        assert_eq!((found[0].username.as_str(), found[0].password.as_str()), ("u", "p"));
        assert_eq!(credentials(&secret, "nginx")[0].username, "d");
        assert!(credentials(&secret, "other.example/a").is_empty());
    }

    #[tokio::test]
    async fn a_failed_pull_backs_off() {
        let runtime = crate::runtime::fake::FakeRuntime::default();
        runtime.without_image("gone:1");
        let images = Images::new(Arc::new(runtime));
        let events = Mutex::new(Vec::new());
        let say = |_: EventType, reason: &str, text: String| events.lock().push(format!("{reason}: {text}"));
        let container = Container { name: "a".into(), image: Some("gone:1".into()), ..Default::default() };
        let first = images.ensure("u", &container, &[], &say).await.unwrap_err();
        assert_eq!(first.reason, "ErrImagePull");
        let second = images.ensure("u", &container, &[], &say).await.unwrap_err();
        assert_eq!(second.reason, "ImagePullBackOff");
        assert!(
            second.message.starts_with("Back-off pulling image \"gone:1\": ErrImagePull: Error response")
        );
        let events = events.into_inner();
        assert_eq!(events[0], "Pulling: Pulling image \"gone:1\"");
        assert!(
            events[1].starts_with(
                "Failed: Failed to pull image \"gone:1\": Error response from daemon: pull access"
            )
        );
        assert_eq!(events[3], "BackOff: Back-off pulling image \"gone:1\"");
    }
}
