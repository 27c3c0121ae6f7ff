//! Rows of objects in the states that people look for.

use api::Value;
use serde_json::json;

use crate::{Printer, TableOptions, partial_object_metadata, table};

const NOW: &str = "2026-01-01T01:00:00Z";

/// The cells without name and age.
fn cells(group: &str, resource: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = "x".into();
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let printer = Printer::of(group, resource);
    // Through the lean parser: it must not lose what cells need.
    let parsed = printer.parse(object.to_string().as_bytes(), 0..0).unwrap();
    let cells = printer.cells(&parsed, NOW.parse().unwrap());
    if resource != "ipaddresses" {
        assert_eq!(cells.len(), printer.columns().len());
    }
    json!(cells)
}

/// Ready, status, restarts, readiness gates.
fn pod(object: Value) -> [String; 4] {
    let cells = cells("", "pods", object);
    [1, 2, 3, 8].map(|i| cells[i].as_str().unwrap().to_owned())
}

#[test]
fn pod_states() {
    let running = json!({"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}});
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"});
    let with = |status: Value| pod(json!({"spec": spec, "status": status}));
    let expect =
        |ready: &str, status: &str, restarts: &str| [ready, status, restarts, "<none>"].map(str::to_owned);
    assert_eq!(with(json!({"phase": "Pending"})), expect("0/1", "Pending", "0"));
    assert_eq!(
        with(json!({"phase": "Running", "containerStatuses": [running]})),
        expect("1/1", "Running", "0")
    );
    let crash = json!({"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:58:00Z"}}}]});
    assert_eq!(with(crash), expect("0/1", "CrashLoopBackOff", "3 (2m ago)"));
    let done = |reason: &str, code: i32, signal: i32| json!({"name": "c", "restartCount": 0, "state": {"terminated": {"reason": reason, "exitCode": code, "signal": signal}}});
    let ended =
        |phase: &str, container: Value| with(json!({"phase": phase, "containerStatuses": [container]}));
    assert_eq!(ended("Succeeded", done("Completed", 0, 0)), expect("0/1", "Completed", "0"));
    assert_eq!(ended("Failed", done("", 3, 0)), expect("0/1", "ExitCode:3", "0"));
    assert_eq!(ended("Failed", done("", 137, 9)), expect("0/1", "Signal:9", "0"));
    // Completed beside running: the pod is not completed.
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let two = json!([done("Completed", 0, 0), running]);
    assert_eq!(
        with(json!({"phase": "Running", "conditions": ready, "containerStatuses": two})),
        expect("1/1", "Running", "0")
    );
    assert_eq!(with(json!({"phase": "Running", "containerStatuses": two})), expect("1/1", "NotReady", "0"));
    assert_eq!(with(json!({"phase": "Failed", "reason": "Evicted"})), expect("0/1", "Evicted", "0"));
    let gated = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]});
    assert_eq!(with(gated), expect("0/1", "SchedulingGated", "0"));

    let deleted =
        |status: Value| pod(json!({"metadata": {"deletionTimestamp": NOW}, "spec": spec, "status": status}));
    assert_eq!(deleted(json!({"phase": "Running"}))[1], "Terminating");
    assert_eq!(deleted(json!({"phase": "Succeeded"}))[1], "Succeeded");
    assert_eq!(deleted(json!({"phase": "Running", "reason": "NodeLost"}))[1], "Unknown");
}

#[test]
fn pods_with_init_containers_and_gates() {
    let spec = json!({
        "containers": [{"name": "c"}],
        "initContainers": [{"name": "i1"}, {"name": "i2"}],
        "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
    });
    let with = |inits: Value| {
        pod(json!({"spec": spec, "status": {"phase": "Pending", "initContainerStatuses": inits,
            "conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]}}))
    };
    let done = json!({"name": "i1", "restartCount": 1, "state": {"terminated": {"exitCode": 0}}});
    let second = |state: Value| json!({"name": "i2", "restartCount": 2, "state": state});
    let word = |state: Value| with(json!([done, second(state)]))[1].clone();
    assert_eq!(with(json!([done, second(json!({"running": {}}))])), ["0/1", "Init:1/2", "3", "1/2"]);
    assert_eq!(word(json!({"waiting": {"reason": "PodInitializing"}})), "Init:1/2");
    assert_eq!(word(json!({"waiting": {"reason": "ImagePullBackOff"}})), "Init:ImagePullBackOff");
    assert_eq!(word(json!({"terminated": {"exitCode": 2}})), "Init:ExitCode:2");
    assert_eq!(word(json!({"terminated": {"exitCode": 1, "reason": "Error"}})), "Init:Error");

    let sidecar = json!({"spec": {"containers": [{"name": "c"}],
        "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
        "status": {"phase": "Running",
            "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
            "containerStatuses": [{"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}}]}});
    assert_eq!(pod(sidecar), ["2/2", "Running", "1", "<none>"]);
}

#[test]
fn workload_rows() {
    let template = json!({"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}],
        "nodeSelector": {"disk": "ssd"}}});
    let selector = json!({"matchLabels": {"app": "web"}});
    assert_eq!(
        cells(
            "apps",
            "deployments",
            json!({"spec": {"replicas": 3, "template": template, "selector": selector},
            "status": {"readyReplicas": 2, "updatedReplicas": 1}})
        ),
        json!(["x", "2/3", 1, 0, "60m", "a,b", "x:1,y", "app=web"])
    );
    assert_eq!(
        cells(
            "extensions",
            "daemonsets",
            json!({"spec": {"template": template, "selector": selector},
            "status": {"desiredNumberScheduled": 2, "numberReady": 1}})
        ),
        json!(["x", 2, 0, 1, 0, 0, "disk=ssd", "60m", "a,b", "x:1,y", "app=web"])
    );
    let job = json!({"spec": {"completions": 6, "template": template}, "status": {"succeeded": 1,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:17Z",
        "conditions": [{"type": "Complete", "status": "True"}]}});
    assert_eq!(
        cells("batch", "jobs", job),
        json!(["x", "Complete", "1/6", "77s", "60m", "a,b", "x:1,y", "<none>"])
    );
    let cron = json!({"spec": {"schedule": "*/5 * * * *", "suspend": true, "jobTemplate": {"spec": {"template": template}}},
        "status": {"active": [{}], "lastScheduleTime": "2026-01-01T00:55:00Z"}});
    assert_eq!(
        cells("batch", "cronjobs", cron),
        json!(["x", "*/5 * * * *", "<none>", "True", 1, "5m", "60m", "a,b", "x:1,y", "<none>"])
    );
    let resource =
        |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
    let hpa = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 9,
        "metrics": [resource("cpu", json!({"averageUtilization": 60})), resource("memory", json!({"averageValue": "500Mi"})),
            {"type": "Pods"}]},
        "status": {"currentReplicas": 2, "currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 33}}}]}});
    assert_eq!(
        cells("autoscaling", "horizontalpodautoscalers", hpa),
        json!(["x", "Deployment/web", "cpu: 33%/60%, memory: <unknown>/500Mi + 1 more...", "2", 9, 2, "60m"])
    );
    let revision = json!({"revision": 4, "metadata": {"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": true}]}});
    assert_eq!(cells("apps", "controllerrevisions", revision), json!(["x", "statefulset.apps/db", 4, "60m"]));
}

#[test]
fn network_rows() {
    let service = |spec: Value, status: Value| cells("", "services", json!({"spec": spec, "status": status}));
    let ports = json!([{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
    assert_eq!(
        service(
            json!({"type": "NodePort", "clusterIPs": ["10.0.0.9"], "ports": ports, "selector": {"a": "b"}}),
            json!({})
        ),
        json!(["x", "NodePort", "10.0.0.9", "<none>", "80:30080/TCP,53/UDP", "60m", "a=b"])
    );
    let balanced = json!({"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "h.example.com"}]}});
    assert_eq!(
        service(
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.9"], "externalIPs": ["1.1.1.1"]}),
            balanced
        )[3],
        "9.9.9.9,h.example.com,1.1.1.1"
    );
    assert_eq!(service(json!({"type": "LoadBalancer"}), json!({}))[3], "<pending>");
    assert_eq!(
        service(json!({"type": "ExternalName", "externalName": "db.example.com"}), json!({})),
        json!(["x", "ExternalName", "<none>", "db.example.com", "<none>", "60m", "<none>"])
    );
    let subset =
        json!({"addresses": [{"ip": "10.5.0.2"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 443}]});
    assert_eq!(
        cells("", "endpoints", json!({"subsets": [subset]}))[1],
        "10.5.0.2:80,[fd00::1]:80,10.5.0.2:443 + 1 more..."
    );
    assert_eq!(cells("", "endpoints", json!({}))[1], "<none>");
    assert_eq!(cells("", "endpoints", json!({"subsets": [{"notReadyAddresses": []}]}))[1], "");
    let slice = json!({"addressType": "IPv4", "ports": [{"name": "a"}, {"port": 80}], "endpoints": [{"addresses": ["1.2.3.4"]}]});
    assert_eq!(
        cells("discovery.k8s.io", "endpointslices", slice),
        json!(["x", "IPv4", "a,80", "1.2.3.4", "60m"])
    );
    assert_eq!(cells("discovery.k8s.io", "endpointslices", json!({}))[2], "<unset>");
    let hosts =
        json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}], "tls": [{}]}});
    assert_eq!(
        cells("networking.k8s.io", "ingresses", hosts),
        json!(["x", "<none>", "a,b,c + 1 more...", "", "80, 443", "60m"])
    );
}

#[test]
fn node_volume_and_quota_rows() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/master": "", "kubernetes.io/role": "worker", "other": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1.0", "architecture": "amd64"}}});
    assert_eq!(
        cells("", "nodes", node),
        json!([
            "x",
            "Ready,SchedulingDisabled",
            "master,worker",
            "60m",
            "v1.36.0",
            "10.0.0.1",
            "<none>",
            "Debian",
            "6.1.0 (amd64)",
            "<unknown>"
        ])
    );
    let quota = json!({"status": {"hard": {"pods": "10", "limits.memory": "2Gi", "cpu": "1"}, "used": {"pods": "3"}}});
    assert_eq!(
        cells("", "resourcequotas", quota),
        json!(["x", "cpu: 0/1, pods: 3/10", "limits.memory: 0/2Gi", "60m"])
    );
    let claim = json!({"spec": {"volumeName": "pv9", "storageClassName": "fast", "volumeMode": "Filesystem"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}});
    assert_eq!(
        cells("", "persistentvolumeclaims", claim),
        json!(["x", "Bound", "pv9", "1Gi", "RWO,RWX", "fast", "<unset>", "60m", "Filesystem"])
    );
    let class = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"});
    assert_eq!(
        cells("storage.k8s.io", "storageclasses", class),
        json!(["x (default)", "p", "Delete", "Immediate", false, "60m"])
    );
}

#[test]
fn event_and_access_rows() {
    let event = json!({"type": "Normal", "reason": "Started", "message": " Started container \n", "count": 2,
        "firstTimestamp": "2026-01-01T00:30:00Z", "lastTimestamp": "2026-01-01T00:59:00Z",
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "n1"}});
    assert_eq!(
        cells("", "events", event),
        json!([
            "60s",
            "Normal",
            "Started",
            "pod/web",
            "spec.containers{c}",
            "kubelet, n1",
            "Started container",
            "30m",
            2,
            "x"
        ])
    );
    let newer = json!({"eventTime": "2026-01-01T00:30:00.000000Z", "regarding": {"kind": "Pod"}, "note": "n",
        "reportingController": "c"});
    assert_eq!(
        cells("events.k8s.io", "events", newer),
        json!(["30m", "", "", "pod", "", "c", "n", "30m", 1, "x"])
    );
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [
        {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "d", "name": "s"}]});
    assert_eq!(
        cells("rbac.authorization.k8s.io", "rolebindings", binding),
        json!(["x", "ClusterRole/r", "60m", "u", "", "d/s"])
    );
    let request = json!({"spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
        "status": {"certificate": "x", "conditions": [{"type": "Approved"}]}});
    assert_eq!(
        cells("certificates.k8s.io", "certificatesigningrequests", request),
        json!(["x", "60m", "s", "u", "60m", "Approved,Issued"])
    );
    let service = json!({"spec": {"service": {"namespace": "n", "name": "s"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]}});
    assert_eq!(
        cells("apiregistration.k8s.io", "apiservices", service),
        json!(["x", "n/s", "False (Gone)", "60m"])
    );
    assert_eq!(cells("rbac.authorization.k8s.io", "roles", json!({})), json!(["x", "2026-01-01T00:00:00Z"]));
}

#[test]
fn every_kind_fills_its_columns_of_an_empty_object() {
    let mut known = 0;
    for (group, printers) in crate::PRINTERS.iter() {
        for resource in printers.keys() {
            cells(group, resource, json!({}));
            known += 1;
        }
    }
    // Every line of the data has its function.
    let lines = include_str!("../data/columns.tsv").lines().filter(|l| !l.starts_with('#')).count();
    assert_eq!(known, lines);
}

#[test]
fn tables_carry_what_is_asked_for() {
    let pod = json!({"metadata": {"name": "x"}, "status": {"phase": "Succeeded"}});
    let options = TableOptions {
        version: "v1beta1",
        no_headers: false,
        metadata: json!({"resourceVersion": "7"}),
        now: NOW.parse().unwrap(),
    };
    let rows = vec![(pod.clone(), partial_object_metadata(&pod, "v1beta1"))];
    let full = table(Printer::of("", "pods"), rows, &options);
    assert_eq!(
        (&full["apiVersion"], &full["metadata"]["resourceVersion"]),
        (&json!("meta.k8s.io/v1beta1"), &json!("7"))
    );
    assert_eq!(
        full["columnDefinitions"][5],
        json!({"name": "IP", "type": "string", "format": "", "description": "", "priority": 1})
    );
    assert_eq!(full["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(full["rows"][0]["conditions"][0]["reason"], "Succeeded");
    let bare = table(Printer::of("", "pods"), vec![], &TableOptions { no_headers: true, ..options });
    assert_eq!((&bare["columnDefinitions"], &bare["rows"]), (&Value::Null, &json!([])));

    let schema = |name: &str, precedence: i64| {
        (json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}}), Value::Null)
    };
    let flows = Printer::of("flowcontrol.apiserver.k8s.io", "flowschemas");
    let mut list = vec![schema("a", 9), schema("c", 1), schema("b", 1)];
    flows.sort(&mut list, |(hub, _)| hub);
    let names: Vec<_> = list.iter().map(|(o, _)| o["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "c", "a"]);
}
