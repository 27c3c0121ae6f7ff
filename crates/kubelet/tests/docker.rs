//! The kubelet on a real Docker engine, in a network namespace of its own: the machine's network is not touched.
//! Skipped with a line when there is no Docker, no static busybox or no right to make namespaces.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::Api;
use kubelet::config::Config;
use kubelet::context::Context;
use kubelet::images::Images;
use kubelet::labels::Owner;
use kubelet::manager::{self, Pods};
use kubelet::network::BridgeNetwork;
use kubelet::runtime::Runtime;
use kubelet::runtime::docker::DockerRuntime;
use kubelet::volumes::Volumes;
use kubelet::volumes::objects::Objects;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "skiff-test/busybox:1";
const ENDPOINT: &str = "unix:///var/run/docker.sock";

fn docker(args: &[&str]) -> Option<String> {
    let out = Command::new("docker").args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Why the test cannot run here.
fn prepare() -> Result<(), String> {
    docker(&["version"]).ok_or("no Docker engine")?;
    if docker(&["image", "inspect", IMAGE]).is_some() {
        return Ok(());
    }
    let found = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|p| {
        // A dynamic program names its loader right behind its headers.
        std::fs::read(p).is_ok_and(|b| !b[..b.len().min(4096)].windows(8).any(|w| w == b"ld-linux"))
    });
    let busybox = found.ok_or("no static busybox (Debian: busybox-static)")?;
    let root = tempfile::tempdir().map_err(|e| e.to_string())?;
    let bin = root.path().join("bin");
    std::fs::create_dir_all(&bin).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(root.path().join("tmp")).map_err(|e| e.to_string())?;
    std::fs::copy(busybox, bin.join("busybox")).map_err(|e| e.to_string())?;
    for name in [
        "sh", "sleep", "cat", "ip", "ls", "wget", "httpd", "echo", "true", "false", "nslookup", "trap", "env",
    ] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).map_err(|e| e.to_string())?;
    }
    let tar = root.path().with_extension("tar");
    let dir = root.path().display().to_string();
    let made = Command::new("tar").args(["-C", &dir, "-cf"]).arg(&tar).arg(".").status();
    made.map_err(|e| e.to_string())?;
    let imported = docker(&[
        "import",
        "-c",
        "ENTRYPOINT [\"/bin/sleep\"]",
        "-c",
        "CMD [\"1000000\"]",
        &tar.display().to_string(),
        IMAGE,
    ]);
    let _ = std::fs::remove_file(tar);
    imported.map(|_| ()).ok_or_else(|| "docker import failed".into())
}

struct Node {
    api: Api,
    root: std::path::PathBuf,
    owner: Owner,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    async fn start(name: &str) -> Self {
        let root = std::path::PathBuf::from(format!("/tmp/kubelet-test/{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("pods")).unwrap();
        let text = "FLANNEL_NETWORK=10.97.0.0/16\nFLANNEL_SUBNET=10.97.3.1/24\nFLANNEL_MTU=1450\n";
        std::fs::write(root.join("subnet.env"), text).unwrap();
        let owner = Owner { node: name.into(), cluster: format!("test-{name}-{}", std::process::id()) };
        let mut node = Self { api: Api::new(), root, owner, stop: CancellationToken::new(), task: None };
        node.boot().await;
        node
    }

    async fn boot(&mut self) {
        self.stop = CancellationToken::new();
        let args = ["kubelet", "--fail-swap-on=false"];
        let options = <kubelet::Options as clap::Parser>::try_parse_from(&args[..1]).unwrap();
        let runtime: Arc<dyn Runtime> =
            Arc::new(DockerRuntime::connect(ENDPOINT, self.owner.clone()).await.unwrap());
        let client = self.api.client();
        let objects = Arc::new(Objects::new(client.clone()));
        let network = BridgeNetwork::start("cni0", &self.root.join("subnet.env"), self.stop.clone());
        let context = Arc::new(Context {
            owner: self.owner.clone(),
            config: Config::load(&options).unwrap(),
            infra_image: IMAGE.into(),
            root_dir: self.root.clone(),
            node_ip: Ipv4Addr::new(10, 97, 3, 1).into(),
            host_network: Err("not here".into()),
            runtime: runtime.clone(),
            network,
            images: Images::new(runtime.clone()),
            volumes: Volumes::new(&self.root, objects.clone(), runtime),
            objects,
            recorder: client::events::Recorder::new(client.clone(), "kubelet", &self.owner.node),
            client,
            capacity: kubelet::node::facts::capacity(&self.root),
            oom_refused: AtomicBool::new(false),
        });
        let well = watch::channel(true).0;
        self.task = Some(tokio::spawn(manager::run(
            context,
            Arc::new(Pods::default()),
            well,
            watch::channel(0).1,
            self.stop.clone(),
        )));
    }

    /// As SIGKILL would: everything of the process ends, nothing is cleaned up.
    async fn kill(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }

    fn containers(&self) -> Vec<String> {
        let filter = format!("label=skiff.io/cluster={}", self.owner.cluster);
        let out = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}} {{.State}}"])
            .unwrap_or_default();
        out.lines().map(str::to_owned).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let filter = format!("label=skiff.io/cluster={}", self.owner.cluster);
        for id in docker(&["ps", "-aq", "--filter", &filter]).unwrap_or_default().lines() {
            let _ = docker(&["rm", "-f", id]);
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Runs `test` in a new network namespace; the runtime's threads inherit it.
fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    if let Err(why) = prepare() {
        eprintln!("skipped: {why}");
        return;
    }
    let body = move || {
        if let Err(e) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            eprintln!("skipped: cannot make a network namespace: {e}");
            return;
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test());
    };
    std::thread::spawn(body).join().unwrap();
}

fn phase(pod: Option<&Value>) -> &str {
    pod.and_then(|p| p["status"]["phase"].as_str()).unwrap_or_default()
}

fn ready(pod: Option<&Value>) -> bool {
    let Some(conditions) = pod.and_then(|p| p["status"]["conditions"].as_array()) else { return false };
    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

#[test]
fn a_pod_runs_survives_a_killed_kubelet_and_leaves_nothing() {
    in_namespace(|| async {
        let mut node = Node::start("n1").await;
        node.api.object(
            "/api/v1/namespaces/default/configmaps/settings",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "blue"}}),
        );
        let spec = json!({"nodeName": "n1", "terminationGracePeriodSeconds": 1, "volumes": [
                {"name": "s", "configMap": {"name": "settings"}}, {"name": "e", "emptyDir": {}},
                {"name": "m", "emptyDir": {"medium": "Memory"}}],
            "initContainers": [{"name": "init", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "cat /s/color > /e/copied; echo $(COLOR) > /m/color"],
                "env": [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}],
                "volumeMounts": [{"name": "s", "mountPath": "/s"}, {"name": "e", "mountPath": "/e"}, {"name": "m", "mountPath": "/m"}]}],
            "containers": [{"name": "web", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "cat /m/color > /tmp/color && exec httpd -f -p 80 -h /e"],
                "readinessProbe": {"httpGet": {"path": "/copied", "port": 80}, "periodSeconds": 1},
                "volumeMounts": [{"name": "e", "mountPath": "/e"}, {"name": "m", "mountPath": "/m"}]}]});
        let started = std::time::Instant::now();
        node.api.create("web", spec);
        node.api.until("web", "ready", ready).await;
        eprintln!("ready after {:?}", started.elapsed());
        let pod = node.api.pod("web").unwrap();
        let ip = pod["status"]["podIP"].as_str().unwrap().to_owned();
        assert_eq!(ip, "10.97.3.2");
        let id = pod["status"]["containerStatuses"][0]["containerID"].clone();
        let inside =
            docker(&["exec", &id.as_str().unwrap()[9..], "sh", "-c", "ip route; cat /etc/hosts /tmp/color"])
                .unwrap();
        assert!(
            inside.contains("default via 10.97.3.1")
                && inside.contains("10.97.3.2\tweb")
                && inside.contains("blue"),
            "{inside}"
        );

        node.kill().await;
        node.boot().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let pod = node.api.pod("web").unwrap();
        assert_eq!(pod["status"]["containerStatuses"][0]["containerID"], id, "the container was touched");
        assert!(ready(Some(&pod)));
        node.api.create("second", json!({"nodeName": "n1", "containers": [{"name": "a", "image": IMAGE, "imagePullPolicy": "Never"}],
            "terminationGracePeriodSeconds": 1}));
        node.api.until("second", "running", |p| phase(p) == "Running").await;
        assert_eq!(node.api.pod("second").unwrap()["status"]["podIP"], "10.97.3.3");

        node.api.delete("web", 1);
        node.api.delete("second", 1);
        node.api.until("web", "gone", |p| p.is_none()).await;
        node.api.until("second", "gone", |p| p.is_none()).await;
        assert_eq!(node.containers(), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(node.root.join("pods")).unwrap().count(), 0);
        let events = node.api.events();
        for expected in
            ["Created Container created", "Started Container started", "Killing Stopping container web"]
        {
            assert!(events.iter().any(|e| e == expected), "{expected}: {events:#?}");
        }
        node.kill().await;
    });
}

#[test]
fn failures_are_told_as_upstream_tells_them() {
    in_namespace(|| async {
        let mut node = Node::start("n2").await;
        let pod = |command: &str, policy: &str| {
            json!({"nodeName": "n2", "restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [
                {"name": "a", "image": IMAGE, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", command]}]})
        };
        node.api.create("crash", pod("echo no > /dev/termination-log; exit 3", "Always"));
        node.api.create("job", pod("true", "Never"));
        node.api.create("bad", pod("exit 1", "Never"));
        node.api.create(
            "missing",
            json!({"nodeName": "n2", "containers":
            [{"name": "a", "image": "localhost:1/none:1", "imagePullPolicy": "IfNotPresent"}]}),
        );
        node.api.create(
            "nocmd",
            json!({"nodeName": "n2", "restartPolicy": "Never", "containers":
            [{"name": "a", "image": IMAGE, "imagePullPolicy": "Never", "command": ["/no/such"]}]}),
        );
        let waiting = |p: Option<&Value>| -> String {
            p.map(|p| {
                p["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .unwrap_or_default()
        };
        node.api.until("job", "Succeeded", |p| phase(p) == "Succeeded").await;
        node.api.until("bad", "Failed", |p| phase(p) == "Failed").await;
        node.api.until("crash", "in a crash loop", |p| waiting(p) == "CrashLoopBackOff").await;
        let crash = node.api.pod("crash").unwrap();
        let status = &crash["status"]["containerStatuses"][0];
        assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
        assert_eq!(status["lastState"]["terminated"]["message"], "no\n");
        assert_eq!(status["restartCount"], 1);
        node.api.until("missing", "without its image", |p| waiting(p) == "ImagePullBackOff").await;
        node.api.until("nocmd", "failed", |p| phase(p) == "Failed").await;
        let nocmd = node.api.pod("nocmd").unwrap();
        assert_eq!(
            nocmd["status"]["containerStatuses"][0]["state"]["terminated"]["reason"],
            "ContainerCannotRun"
        );
        let events = node.api.events();
        assert!(
            events.iter().any(
                |e| e.starts_with("BackOff Back-off restarting failed container a in pod crash_default(")
            )
        );
        assert!(
            events.iter().any(|e| e.starts_with("Failed Failed to pull image \"localhost:1/none:1\": ")),
            "{events:#?}"
        );
        for name in ["crash", "job", "bad", "missing", "nocmd"] {
            node.api.delete(name, 1);
        }
        for name in ["crash", "job", "bad", "missing", "nocmd"] {
            node.api.until(name, "gone", |p| p.is_none()).await;
        }
        assert_eq!(node.containers(), Vec::<String>::new());
        node.kill().await;
    });
}
