use std::sync::Arc;

use super::*;
use crate::{
    preempt::preempt,
    views::{Node, Pod},
};

fn pod(name: &str, json: serde_json::Value) -> Arc<PodInfo> {
    let mut pod: Pod = serde_json::from_value(json).unwrap();
    pod.metadata.name = Some(name.into());
    pod.metadata.namespace = Some("default".into());
    pod.metadata.uid = Some(format!("uid-{name}"));
    Arc::new(PodInfo::new(Arc::new(pod)))
}

fn wants(name: &str, cpu: &str) -> Arc<PodInfo> {
    let spec = serde_json::json!({"containers": [{"image": "x", "resources": {"requests": {"cpu": cpu}}}]});
    pod(name, serde_json::json!({"metadata": {}, "spec": spec}))
}

fn node(cluster: &mut Cluster, name: &str, json: serde_json::Value) {
    let mut value = serde_json::json!({
        "metadata": {"labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"}},
    });
    merge(&mut value, json);
    let mut node: Node = serde_json::from_value(value).unwrap();
    node.metadata.name = Some(name.into());
    cluster.set_node(&node);
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn plain(count: usize) -> Cluster {
    let mut cluster = Cluster::default();
    for i in 1..=count {
        node(&mut cluster, &format!("n{i}"), serde_json::json!({}));
    }
    cluster
}

fn place(pod: &PodInfo, cluster: &Cluster) -> String {
    schedule(pod, cluster, Chance::default()).unwrap().node
}

fn message(pod: &PodInfo, cluster: &Cluster) -> String {
    let reasons = schedule(pod, cluster, Chance::default()).unwrap_err();
    let told = preempt(pod, cluster, &reasons).map(|plan| format!("{plan:?}"));
    reasons.message(&told.err().map(|none| none.told).unwrap_or_default())
}

#[test]
fn the_emptier_node_wins() {
    let mut cluster = plain(2);
    cluster.add_pod("n1", wants("a", "1"));
    assert_eq!(place(&wants("b", "100m"), &cluster), "n2");
}

#[test]
fn siblings_are_spread() {
    let mut cluster = plain(3);
    let sibling = |name: &str| {
        pod(
            name,
            serde_json::json!({
                "metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true}]},
                "spec": {"containers": [{"image": "x"}]},
            }),
        )
    };
    let mut used = Vec::new();
    for i in 0..3 {
        let sibling = sibling(&format!("p{i}"));
        let node = place(&sibling, &cluster);
        cluster.add_pod(&node, sibling);
        used.push(node);
    }
    used.sort();
    assert_eq!(used, ["n1", "n2", "n3"]);
}

#[test]
fn reasons_are_upstreams_to_the_word() {
    let mut cluster = Cluster::default();
    assert_eq!(message(&wants("a", "1"), &cluster), "no nodes available to schedule pods");
    node(&mut cluster, "n1", serde_json::json!({}));
    node(&mut cluster, "n2", serde_json::json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}));
    node(&mut cluster, "n3", serde_json::json!({"spec": {"unschedulable": true}}));
    assert_eq!(
        message(&wants("a", "3"), &cluster),
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. \
         no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    cluster.add_pod("n1", wants("b", "1500m"));
    assert_eq!(
        message(&wants("a", "1"), &cluster),
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. \
         no new claims to deallocate, preemption: 0/3 nodes are available: \
         1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    );
    let selective = pod("s", serde_json::json!({"metadata": {}, "spec": {"nodeSelector": {"disk": "ssd"}}}));
    let reasons = schedule(&selective, &plain(1), Chance::default()).unwrap_err();
    assert_eq!(
        reasons.message(""),
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    );
}

#[test]
fn a_missing_claim_rules_out_all_nodes() {
    let claiming = pod(
        "c",
        serde_json::json!({"metadata": {}, "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}}),
    );
    assert_eq!(
        message(&claiming, &plain(2)),
        "0/2 nodes are available: persistentvolumeclaim \"data\" not found. no new claims to deallocate, \
         preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    );
}

#[test]
fn host_ports_and_pod_count() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "n1", serde_json::json!({"status": {"allocatable": {"pods": "1"}}}));
    let port = |name: &str| {
        let ports = serde_json::json!([{"containerPort": 80, "hostPort": 8080}]);
        pod(name, serde_json::json!({"metadata": {}, "spec": {"containers": [{"ports": ports}]}}))
    };
    cluster.add_pod("n1", port("a"));
    let reasons = |pod: &PodInfo| schedule(pod, &cluster, Chance::default()).unwrap_err().message("");
    assert_eq!(
        reasons(&port("b")),
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    );
    assert_eq!(reasons(&wants("c", "1m")), "0/1 nodes are available: 1 Too many pods.");
}

#[test]
fn pod_affinity_and_anti_affinity() {
    let mut cluster = plain(2);
    let term = serde_json::json!([{"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}]);
    let near = |name: &str, app: &str| {
        pod(
            name,
            serde_json::json!({
                "metadata": {"labels": {"app": app}},
                "spec": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}},
            }),
        )
    };
    let far = |name: &str| {
        pod(
            name,
            serde_json::json!({
                "metadata": {"labels": {"app": "db"}},
                "spec": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}},
            }),
        )
    };
    let alone = schedule(&near("web", "web"), &cluster, Chance::default()).unwrap_err();
    assert_eq!(alone.message(""), "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
    assert!(
        schedule(&near("db", "db"), &cluster, Chance::default()).is_ok(),
        "the first of a group may go anywhere"
    );
    cluster.add_pod("n2", far("db0"));
    assert_eq!(place(&near("web", "web"), &cluster), "n2");
    assert_eq!(place(&far("db1"), &cluster), "n1");
    cluster.add_pod("n1", far("db1"));
    let full = schedule(&far("db2"), &cluster, Chance::default()).unwrap_err();
    assert_eq!(full.message(""), "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.");
    let plain_db = pod("db3", serde_json::json!({"metadata": {"labels": {"app": "db"}}, "spec": {}}));
    let kept_away = schedule(&plain_db, &cluster, Chance::default()).unwrap_err();
    assert_eq!(
        kept_away.message(""),
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    );
}

#[test]
fn hard_topology_spread() {
    let mut cluster = Cluster::default();
    for (name, zone) in [("n1", "a"), ("n2", "b")] {
        node(
            &mut cluster,
            name,
            serde_json::json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}}),
        );
    }
    node(&mut cluster, "n3", serde_json::json!({}));
    let spread = |name: &str| {
        pod(
            name,
            serde_json::json!({
                "metadata": {"labels": {"app": "web"}},
                "spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]},
            }),
        )
    };
    cluster.add_pod("n1", spread("w1"));
    assert_eq!(place(&spread("w2"), &cluster), "n2");
    node(
        &mut cluster,
        "n2",
        serde_json::json!({"spec": {"unschedulable": true}, "metadata": {"labels": {"topology.kubernetes.io/zone": "b"}}}),
    );
    let reasons = schedule(&spread("w2"), &cluster, Chance::default()).unwrap_err();
    assert_eq!(
        reasons.message(""),
        "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, \
         1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) were unschedulable."
    );
}

fn with(name: &str, cpu: &str, priority: i32) -> Arc<PodInfo> {
    let spec =
        serde_json::json!({"priority": priority, "containers": [{"resources": {"requests": {"cpu": cpu}}}]});
    pod(name, serde_json::json!({"metadata": {}, "spec": spec}))
}

/// As the conformance test "runs ReplicaSets to verify preemption running path" has it: controllers make the victims
/// anew at once.
#[test]
fn room_that_was_made_for_a_pod_is_kept_for_it() {
    let mut cluster = plain(1);
    for (name, cpu, priority) in [("one", "400m", 1), ("two", "600m", 2), ("three", "900m", 3)] {
        cluster.add_pod("n1", with(name, cpu, priority));
    }
    let urgent = with("urgent", "1", 4);
    let reasons = schedule(&urgent, &cluster, Chance::default()).unwrap_err();
    let plan = preempt(&urgent, &cluster, &reasons).unwrap();
    let victims: Vec<&str> = plan.victims.iter().map(|victim| victim.pod.uid()).collect();
    assert_eq!(victims, ["uid-two", "uid-one"]);
    cluster.nominated.add(urgent.clone(), &plan.node);
    for victim in victims {
        cluster.remove_pod("n1", victim);
    }

    assert_eq!(
        message(&with("again", "400m", 1), &cluster),
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: \
         0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    assert_eq!(
        place(&with("more-urgent", "1", 5), &cluster),
        "n1",
        "it need not wait for less important ones"
    );
    assert_eq!(place(&urgent, &cluster), "n1");
    assert!(cluster.nominated.remove("uid-urgent"));
    assert_eq!(place(&with("again", "400m", 1), &cluster), "n1");
}

#[test]
fn the_node_that_was_cleared_is_taken_before_emptier_ones() {
    let mut cluster = plain(3);
    cluster.add_pod("n2", with("other", "1", 0));
    let urgent = with("urgent", "1", 4);
    assert_ne!(place(&urgent, &cluster), "n2");
    cluster.nominated.add(urgent.clone(), "n2");
    assert_eq!(place(&urgent, &cluster), "n2");
}

#[test]
fn a_guest_that_wants_no_neighbours_keeps_them_away() {
    let mut cluster = plain(1);
    let guest = serde_json::json!({"metadata": {}, "spec": {"priority": 9, "affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}]}}}});
    cluster.nominated.add(pod("guest", guest), "n1");
    let web = pod("web", serde_json::json!({"metadata": {"labels": {"app": "web"}}}));
    let reasons = schedule(&web, &cluster, Chance::default()).unwrap_err();
    assert_eq!(
        reasons.message(""),
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
    );
}

#[test]
fn a_nomination_stays_until_the_api_server_has_told_it_and_takes_it_back() {
    let told =
        |node: &str| pod("p", serde_json::json!({"metadata": {}, "status": {"nominatedNodeName": node}}));
    let mut nominated = crate::nominated::Nominated::default();
    nominated.add(told(""), "n1");
    nominated.seen(&told(""));
    assert_eq!(nominated.node_of(&told("")), Some("n1"), "our decision is not known there yet");
    nominated.seen(&told("n1"));
    assert_eq!(nominated.on("n1").len(), 1);
    nominated.seen(&told(""));
    assert_eq!(nominated.node_of(&told("")), None);
    assert!(nominated.on("n1").is_empty());
}

#[test]
fn preemption_takes_as_little_as_it_needs() {
    let mut cluster = plain(2);
    cluster.add_pod("n1", with("low", "1", 1));
    cluster.add_pod("n1", with("lower", "1", 0));
    cluster.add_pod("n2", with("high", "2", 100));
    let urgent = with("urgent", "500m", 50);
    let reasons = schedule(&urgent, &cluster, Chance::default()).unwrap_err();
    let plan = preempt(&urgent, &cluster, &reasons).unwrap();
    let victims: Vec<&str> = plan.victims.iter().map(|victim| victim.pod.uid()).collect();
    assert_eq!((plan.node.as_str(), victims), ("n1", vec!["uid-lower"]));
}

#[test]
fn a_thousand_nodes_take_turns() {
    let mut cluster = plain(1000);
    let mut start = 0;
    let begun = std::time::Instant::now();
    for i in 0..300 {
        let pod = wants(&format!("p{i}"), "10m");
        let placement = schedule(&pod, &cluster, Chance { start, random: i }).unwrap();
        start = (start + placement.evaluated) % 1000;
        cluster.add_pod(&placement.node, pod);
    }
    assert_eq!(cluster.nodes.iter().map(|node| node.pods.len()).max(), Some(1), "all on different nodes");
    eprintln!("{:?} per pod at 1,000 nodes", begun.elapsed() / 300);
}
