//! Ordinary pods, as a deployment makes them: about 3 KB each once stored.

use serde_json::{Value, json};

/// So many pods share a node, and so many an application.
const PER_NODE: usize = 50;
const APPS: usize = 20;

/// The name of a pod.
pub(crate) fn name(number: usize) -> String {
    format!("web-7d4b9c6f5d-{number:05}")
}

/// The node of a pod. There is no such node: whatever controllers run, nobody starts the pod.
pub(crate) fn node(number: usize) -> String {
    format!("bench-node-{:03}", number / PER_NODE)
}

/// A pod's label `app`.
pub(crate) fn app(number: usize) -> String {
    format!("app-{:02}", number % APPS)
}

/// How many of `pods` have the label of the first.
pub(crate) fn with_first_app(pods: usize) -> usize {
    pods.div_ceil(APPS)
}

/// A new pod as a client sends it.
pub(crate) fn pod(namespace: &str, number: usize) -> Value {
    let name = name(number);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": app(number), "tier": "frontend", "pod-template-hash": "7d4b9c6f5d", "release": "stable"},
            "annotations": {
                "example.com/config-hash": "9b74c9897bac770ffc029102a200c5de3f1bb7f09e5e7c3a41b0e7a7d9f3e6c1",
                "prometheus.io/scrape": "true",
            },
        },
        "spec": {
            "nodeName": node(number),
            "containers": [
                {
                    "name": "web",
                    "image": "registry.example.com/shop/web:1.17.3",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "env": [
                        {"name": "LOG_LEVEL", "value": "info"},
                        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}],
                },
            ],
            "volumes": [
                {"name": "config", "configMap": {"name": "web-config"}},
            ],
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "web", "effect": "NoSchedule"}],
            "terminationGracePeriodSeconds": 30,
        },
    })
}
