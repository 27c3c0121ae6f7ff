//! Controllers, API server and hollow nodes in one process, on the memory store and tokio's paused clock: hours pass in
//! moments, and faults are put between any two parts.

#![expect(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so; the harness is one too"
)]

#[path = "cluster/harness.rs"]
mod harness;

use std::time::Duration;

use harness::{Cluster, Faults};
use serde_json::{Value, json};

fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    })
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_out_over_back_and_away() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    cluster.post(DEPLOYMENTS, deployment("web", 3, "one")).await;
    cluster.ready("web", 3).await;
    let service =
        json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    cluster.post("/api/v1/namespaces/default/services", service).await;
    let endpoints = "/api/v1/namespaces/default/endpoints/web";
    cluster.until(endpoints, |e| e["subsets"][0]["addresses"].as_array().is_some_and(|a| a.len() == 3)).await;

    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    cluster.patch(&format!("{DEPLOYMENTS}/web"), image("two")).await;
    cluster.ready("web", 3).await;
    let sets = cluster.list(SETS).await;
    assert_eq!(sets.len(), 2);
    let total =
        |sets: &[Value]| sets.iter().map(|set| set["spec"]["replicas"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(total(&sets).iter().sum::<i64>(), 3, "the old set is empty");
    cluster.patch(&format!("{DEPLOYMENTS}/web"), image("one")).await;
    cluster.ready("web", 3).await;
    assert_eq!(cluster.list(SETS).await.len(), 2, "the first set is used again");
    let web = cluster.get(&format!("{DEPLOYMENTS}/web")).await;
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(web["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable");

    cluster.delete(&format!("{DEPLOYMENTS}/web"), "Background").await;
    cluster.until(PODS, harness::is_empty).await;
    cluster.until(SETS, harness::is_empty).await;
    cluster.until(endpoints, |e| e["subsets"].is_null()).await;
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_goes_from_the_leaves_and_orphans_stay() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    for name in ["fore", "orphan"] {
        cluster.post(DEPLOYMENTS, deployment(name, 2, "x")).await;
        cluster.ready(name, 2).await;
    }
    cluster.delete(&format!("{DEPLOYMENTS}/fore"), "Foreground").await;
    cluster.gone(&format!("{DEPLOYMENTS}/fore")).await;
    assert!(cluster.list(PODS).await.iter().all(|pod| pod["metadata"]["labels"]["app"] == "orphan"));
    cluster.delete(&format!("{DEPLOYMENTS}/orphan"), "Orphan").await;
    cluster.gone(&format!("{DEPLOYMENTS}/orphan")).await;
    let sets = cluster.list(SETS).await;
    assert_eq!(sets.len(), 1);
    assert!(sets[0]["metadata"]["ownerReferences"].is_null());
    assert_eq!(cluster.list(PODS).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_emptied_and_goes() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "team"}})).await;
    let accounts = "/api/v1/namespaces/team/serviceaccounts/default";
    cluster.until(accounts, |account| account["metadata"]["name"] == "default").await;
    cluster.post("/apis/apps/v1/namespaces/team/deployments", deployment("web", 2, "x")).await;
    cluster.post("/api/v1/namespaces/team/configmaps", json!({"metadata": {"name": "c"}})).await;
    cluster.until("/api/v1/namespaces/team/pods", |pods| harness::items(pods).len() == 2).await;
    cluster.delete("/api/v1/namespaces/team", "Background").await;
    cluster.gone("/api/v1/namespaces/team").await;
    assert!(cluster.list("/api/v1/pods").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_namespace_go_first() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "team"}})).await;
    let held = json!({
        "metadata": {"name": "held", "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    cluster.post("/api/v1/namespaces/team/pods", held).await;
    cluster.post("/api/v1/namespaces/team/configmaps", json!({"metadata": {"name": "c"}})).await;
    cluster.delete("/api/v1/namespaces/team", "Background").await;
    let told = |namespace: &Value| {
        let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().filter(|c| c["status"] == "False").count() == 5
    };
    cluster.until("/api/v1/namespaces/team", told).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let pod = "/api/v1/namespaces/team/pods/held";
    assert!(cluster.get(pod).await["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(cluster.get("/api/v1/namespaces/team/configmaps/c").await["metadata"]["name"], "c");
    // The last pod tells that it went: by the clock alone it is looked at every eight seconds by now.
    let before = tokio::time::Instant::now();
    cluster
        .patch(pod, json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/hold"]}}))
        .await;
    cluster.gone("/api/v1/namespaces/team").await;
    assert!(before.elapsed() < Duration::from_secs(1), "{:?} of simulated time", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_claim_stays_as_long_as_a_pod_uses_it() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    }});
    cluster.post(claims, claim).await;
    let pod = json!({"metadata": {"name": "user"}, "spec": {
        "nodeName": "n1", "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
    }});
    cluster.post(PODS, pod).await;
    let claim = format!("{claims}/data");
    cluster.delete(&claim, "Background").await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    assert_eq!(cluster.get(&claim).await["metadata"]["finalizers"][0], "kubernetes.io/pvc-protection");
    cluster.delete(&format!("{PODS}/user"), "Background").await;
    cluster.gone(&claim).await;

    let volume = json!({"metadata": {"name": "disk"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp"},
    }});
    cluster.post("/api/v1/persistentvolumes", volume).await;
    cluster.delete("/api/v1/persistentvolumes/disk", "Background").await;
    cluster.gone("/api/v1/persistentvolumes/disk").await;

    let classes = "/apis/storage.k8s.io/v1/volumeattributesclasses";
    let class = json!({"metadata": {"name": "gold"}, "driverName": "d", "parameters": {"iops": "1"}});
    cluster.post(classes, class).await;
    cluster.delete(&format!("{classes}/gold"), "Background").await;
    cluster.gone(&format!("{classes}/gold")).await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_makes_room_in_a_quota() {
    let cluster = Cluster::start(Faults::None).await;
    let names = ["configmaps", "count/deployments.apps", "persistentvolumeclaims", "requests.storage"];
    let gold = "gold.storageclass.storage.k8s.io/persistentvolumeclaims";
    let hard: serde_json::Map<String, Value> =
        names.into_iter().chain([gold]).map(|name| (name.to_owned(), "10Gi".into())).collect();
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    cluster.post(quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    let quota = format!("{quotas}/q");
    let used = |wanted: [&str; 5]| {
        let names: Vec<&str> = names.into_iter().chain([gold]).collect();
        let wanted = wanted.map(str::to_owned);
        move |quota: &Value| {
            names.iter().zip(&wanted).all(|(name, amount)| quota["status"]["used"][name] == **amount)
        }
    };
    cluster.until(&quota, used(["0"; 5])).await;
    let claim = json!({"metadata": {"name": "c"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}},
    }});
    cluster.post("/api/v1/namespaces/default/persistentvolumeclaims", claim).await;
    cluster.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "c"}})).await;
    cluster.post(DEPLOYMENTS, deployment("web", 0, "x")).await;
    cluster.until(&quota, used(["1", "1", "1", "1Gi", "1"])).await;
    let started = tokio::time::Instant::now();
    cluster.delete("/api/v1/namespaces/default/persistentvolumeclaims/c", "Background").await;
    cluster.delete("/api/v1/namespaces/default/configmaps/c", "Background").await;
    cluster.delete(&format!("{DEPLOYMENTS}/web"), "Background").await;
    cluster.until(&quota, used(["0"; 5])).await;
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pods_leave_a_silent_node_after_five_minutes() {
    let cluster = Cluster::start(Faults::None).await;
    let lost = cluster.node("lost").await;
    cluster.post(DEPLOYMENTS, deployment("web", 2, "x")).await;
    cluster.ready("web", 2).await;
    lost.die();
    let started = tokio::time::Instant::now();
    let unknown = |node: &Value| {
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "Unknown")
    };
    cluster.until("/api/v1/nodes/lost", unknown).await;
    assert!((40..65).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    cluster.node("other").await;
    cluster
        .until(PODS, |pods| {
            harness::items(pods)
                .iter()
                .filter(|pod| pod["spec"]["nodeName"] == "other" && pod["status"]["phase"] == "Running")
                .count()
                == 2
        })
        .await;
    assert!((330..400).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_works_for_an_hour_and_cleans_up() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    let cron = json!({
        "metadata": {"name": "tick"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": {"completions": 2, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "x", "command": ["true"]}]}}}}},
    });
    cluster.post("/apis/batch/v1/namespaces/default/cronjobs", cron).await;
    tokio::time::sleep(std::time::Duration::from_secs(3700)).await;
    let jobs = cluster.list("/apis/batch/v1/namespaces/default/jobs").await;
    assert_eq!(jobs.len(), 3, "successfulJobsHistoryLimit");
    for job in &jobs {
        assert_eq!(job["status"]["succeeded"], 2, "{}", job["status"]);
    }
    assert_eq!(cluster.list(PODS).await.len(), 6, "pods go with their jobs");
    let cron = cluster.get("/apis/batch/v1/namespaces/default/cronjobs/tick").await;
    assert!(cron["status"]["active"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_and_a_daemon_set() {
    let cluster = Cluster::start(Faults::None).await;
    cluster.node("n1").await;
    let template = |app: &str| json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let set = json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 3,
        "selector": {"matchLabels": {"app": "db"}}, "template": template("db")}});
    cluster.post("/apis/apps/v1/namespaces/default/statefulsets", set).await;
    let path = "/apis/apps/v1/namespaces/default/statefulsets/db";
    cluster.until(path, |set| set["status"]["readyReplicas"] == 3).await;
    let daemons = json!({"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent")}});
    cluster.post("/apis/apps/v1/namespaces/default/daemonsets", daemons).await;
    let agent = "/apis/apps/v1/namespaces/default/daemonsets/agent";
    cluster.until(agent, |set| set["status"]["numberReady"] == 1).await;
    cluster.node("n2").await;
    cluster.until(agent, |set| set["status"]["numberReady"] == 2).await;
    cluster
        .patch(path, json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "y"}]}}}}))
        .await;
    cluster
        .until(path, |set| set["status"]["updatedReplicas"] == 3 && set["status"]["readyReplicas"] == 3)
        .await;
    cluster.patch(path, json!({"spec": {"replicas": 1}})).await;
    cluster.until(path, |set| set["status"]["replicas"] == 1).await;
    let names = |pods: &[Value]| {
        pods.iter()
            .filter(|p| p["metadata"]["labels"]["app"] == "db")
            .map(|p| p["metadata"]["name"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&cluster.list(PODS).await), ["\"db-0\""]);
}

#[tokio::test(start_paused = true)]
async fn every_third_request_fails_and_all_comes_right() {
    let cluster = Cluster::start(Faults::EveryThird).await;
    cluster.node("n1").await;
    cluster.post(DEPLOYMENTS, deployment("web", 4, "one")).await;
    cluster.ready("web", 4).await;
    cluster.patch(&format!("{DEPLOYMENTS}/web"), json!({"spec": {"replicas": 2}})).await;
    cluster.ready("web", 2).await;
    cluster.until(PODS, |pods| harness::items(pods).len() == 2).await;
    cluster.delete(&format!("{DEPLOYMENTS}/web"), "Background").await;
    cluster.until(PODS, harness::is_empty).await;
    cluster.until(SETS, harness::is_empty).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_written_by_hand_are_mirrored() {
    let cluster = Cluster::start(Faults::None).await;
    let endpoints = "/api/v1/namespaces/default/endpoints";
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Ddb";
    let service = json!({"metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}]}});
    cluster.post("/api/v1/namespaces/default/services", service).await;
    let written = json!({"metadata": {"name": "db"}, "subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}]});
    cluster.post(endpoints, written).await;
    let addresses = |list: &Value| match harness::items(list) {
        [slice] => slice["endpoints"].as_array().map_or(0, Vec::len),
        other => other.len() + 100,
    };
    cluster.until(slices, |list| addresses(list) == 1).await;
    let slice = &cluster.list(slices).await[0];
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    let more = json!({"subsets": [{"addresses": [{"ip": "192.0.2.7"}, {"ip": "192.0.2.8"}], "ports": [{"port": 5433}]}]});
    cluster.patch(&format!("{endpoints}/db"), more).await;
    cluster.until(slices, |list| addresses(list) == 2).await;
    let changed = &cluster.list(slices).await[0];
    assert_eq!(changed["metadata"]["name"], slice["metadata"]["name"], "the slice is used again");
    assert_eq!(changed["ports"][0]["port"], 5433);
    let own = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dkubernetes";
    let names: Vec<_> =
        cluster.list(own).await.iter().map(|slice| slice["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["kubernetes"], "the API server makes the slice of its own service itself");
    cluster.delete(&format!("{endpoints}/db"), "Background").await;
    cluster.until(slices, harness::is_empty).await;
}
