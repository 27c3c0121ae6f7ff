//! A hollow node on tokio's paused clock: minutes of back-off pass in no time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use common::Api;
use kubelet::hollow::{self, HollowNode};
use kubelet::network::subnet::Subnet;
use kubelet::runtime::fake::FakeRuntime;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn phase(pod: Option<&Value>) -> &str {
    pod.and_then(|p| p["status"]["phase"].as_str()).unwrap_or_default()
}

fn container(pod: Option<&Value>) -> Value {
    pod.map(|p| p["status"]["containerStatuses"][0].clone()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_hollow_node_runs_restarts_and_ends_pods() {
    let root = tempfile::tempdir().unwrap();
    let api = Api::new();
    let runtime = FakeRuntime::default();
    let stop = CancellationToken::new();
    let hollow = HollowNode {
        name: "hollow".into(),
        ip: Ipv4Addr::new(192, 0, 2, 1),
        subnet: Subnet { gateway: Ipv4Addr::new(10, 1, 0, 1), prefix: 24, mtu: 0 },
        root_dir: root.path().to_owned(),
        cpus: 4,
        memory: 8 << 30,
        labels: BTreeMap::new(),
    };
    let node = tokio::spawn(hollow::run(api.client(), hollow, runtime.clone(), stop.clone()));
    let spec = json!({"nodeName": "hollow", "terminationGracePeriodSeconds": 30, "containers": [{"name": "a", "image": "nginx"}]});
    api.create("web", spec.clone());
    api.until("web", "running", |p| phase(p) == "Running").await;
    assert_eq!(api.pod("web").unwrap()["status"]["podIP"], "10.1.0.2");
    assert!(api.object_at("/api/v1/nodes/hollow").is_some());

    for restarts in 1..4 {
        let running = runtime.containers().into_iter().rfind(|c| c.image == "nginx").unwrap();
        runtime.exit(&running.id, 1);
        api.until("web", "restarted", |p| {
            container(p)["restartCount"] == restarts && !container(p)["state"]["running"].is_null()
        })
        .await;
    }
    assert!(
        api.events()
            .iter()
            .any(|e| e.starts_with("BackOff Back-off restarting failed container a in pod web_default("))
    );

    // A container that ignores SIGTERM is killed at the end of its grace period, an image that is missing waits.
    runtime.stubborn();
    runtime.without_image("gone:1");
    api.create("gone", json!({"nodeName": "hollow", "containers": [{"name": "a", "image": "gone:1"}]}));
    api.until("gone", "backing off", |p| container(p)["state"]["waiting"]["reason"] == "ImagePullBackOff")
        .await;
    let before = tokio::time::Instant::now();
    api.delete("web", 30);
    api.until("web", "gone", |p| p.is_none()).await;
    assert!(before.elapsed().as_secs() >= 30);
    api.delete("gone", 30);
    api.until("gone", "gone", |p| p.is_none()).await;
    assert!(runtime.containers().is_empty());
    stop.cancel();
    node.await.unwrap().unwrap();
}
