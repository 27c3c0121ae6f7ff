//! `/containerLogs`.

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::body::{streamed, text};
use super::{Reply, Server, flag, pods, query};
use crate::pod::spec;
use crate::runtime::{Channel, LogOptions};

/// A container's log.
pub(super) async fn logs(
    server: &Server,
    namespace: &str,
    name: &str,
    container: &str,
    request: &Request<Incoming>,
) -> Reply {
    let query = query(request.uri());
    let get =
        |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty());
    let Some(pod) = server.pods.find(namespace, name, None) else {
        return text(StatusCode::NOT_FOUND, format!("pod {name:?} does not exist"));
    };
    if spec::container(&pod, container).is_none() {
        return text(StatusCode::NOT_FOUND, format!("container {container:?} not found in pod {name:?}"));
    }
    // The container may have started a moment ago: Docker knows before the object does.
    let id = match which(&pod, name, container, flag(&query, &["previous"])) {
        Ok(id) => id,
        Err(why) => match server.running_container(&pod, container).await {
            Ok(id) if !flag(&query, &["previous"]) => id,
            _ => return text(StatusCode::BAD_REQUEST, why),
        },
    };
    let number = |key: &str| get(key).map(str::parse::<i64>);
    let (tail, since, limit) = match (
        number("tailLines").transpose(),
        number("sinceSeconds").transpose(),
        number("limitBytes").transpose(),
    ) {
        (Ok(tail), Ok(since), Ok(limit)) => (tail, since, limit),
        _ => return text(StatusCode::BAD_REQUEST, "{\"message\": \"Unable to decode query.\"}"),
    };
    let since_time = match get("sinceTime").map(str::parse::<Timestamp>).transpose() {
        Ok(time) => time.map(Timestamp::as_second),
        Err(_) => return text(StatusCode::BAD_REQUEST, "{\"message\": \"Unable to decode query.\"}"),
    };
    let options = LogOptions {
        follow: flag(&query, &["follow"]),
        tail,
        since: since.map(|s| Timestamp::now().as_second() - s).or(since_time),
        timestamps: flag(&query, &["timestamps"]),
        stream: match get("stream") {
            None | Some("All") => None,
            Some("Stdout") => Some(Channel::Stdout),
            Some("Stderr") => Some(Channel::Stderr),
            Some(other) => return text(StatusCode::BAD_REQUEST, format!("invalid stream type {other:?}")),
        },
    };
    match server.context.runtime.logs(&id, &options).await {
        Err(e) => text(StatusCode::BAD_REQUEST, e.to_string()),
        Ok(output) => {
            let bytes = output.map(|item| item.map(|(_, bytes)| bytes));
            match limit.and_then(|l| usize::try_from(l).ok()) {
                None => streamed(bytes),
                Some(limit) => streamed(bytes.scan(limit, |left, item| {
                    let next = match item {
                        Ok(_) if *left == 0 => None,
                        Ok(bytes) => {
                            let cut: Bytes = bytes.slice(..bytes.len().min(*left));
                            *left -= cut.len();
                            Some(Ok(cut))
                        }
                        Err(e) => Some(Err(e)),
                    };
                    futures::future::ready(next)
                })),
            }
        }
    }
}

/// Which container's log is meant (upstream's `validateContainerLogStatus`).
fn which(pod: &Pod, name: &str, container: &str, previous: bool) -> Result<String, String> {
    let status = pods::status(pod, container)
        .ok_or_else(|| format!("container {container:?} in pod {name:?} is not available"))?;
    let (state, last) =
        (status.state.clone().unwrap_or_default(), status.last_state.clone().unwrap_or_default());
    let bare = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let last_id = last.terminated.and_then(|t| t.container_id).filter(|id| !id.is_empty());
    if previous {
        let missing = || format!("previous terminated container {container:?} in pod {name:?} not found");
        return last_id.map(|id| bare(&id)).ok_or_else(missing);
    }
    if state.running.is_some() {
        return Ok(bare(status.container_id.as_deref().unwrap_or_default()));
    }
    let own = state.terminated.as_ref().and_then(|t| t.container_id.clone()).filter(|id| !id.is_empty());
    if let Some(id) = own.or(last_id) {
        return Ok(bare(&id));
    }
    if state.terminated.is_some() {
        return Err(format!("container {container:?} in pod {name:?} is terminated"));
    }
    let why = match state.waiting.and_then(|w| w.reason).as_deref() {
        Some("ErrImagePull") => ": image can't be pulled".to_owned(),
        Some("ImagePullBackOff") => ": trying and failing to pull image".to_owned(),
        Some(reason) => format!(": {reason}"),
        None => " - no logs yet".to_owned(),
    };
    Err(format!("container {container:?} in pod {name:?} is waiting to start{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_right_log_is_found() {
        let with = |state: serde_json::Value| -> Pod {
            serde_json::from_value(
                json!({"status": {"containerStatuses": [{"name": "a", "ready": false, "image": "",
                "imageID": "", "restartCount": 0, "containerID": "docker://now", "state": state,
                "lastState": {"terminated": {"exitCode": 1, "containerID": "docker://before"}}}]}}),
            )
            .unwrap()
        };
        let running = with(json!({"running": {}}));
        assert_eq!(which(&running, "p", "a", false).unwrap(), "now");
        assert_eq!(which(&running, "p", "a", true).unwrap(), "before");
        assert_eq!(
            which(&with(json!({"waiting": {"reason": "CrashLoopBackOff"}})), "p", "a", false).unwrap(),
            "before"
        );
        assert!(which(&running, "p", "b", false).is_err());
    }
}
