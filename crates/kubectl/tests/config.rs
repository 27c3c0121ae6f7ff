//! `kubectl config`: what it prints and the bytes of the file it writes.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

fn kubectl(dir: &Path, arguments: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl"))
        .current_dir(dir)
        .args(arguments.split(' '))
        .arg("--kubeconfig=scratch.config")
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_kubeconfig_is_written_as_v1_10_wrote_it() {
    let dir = std::env::temp_dir().join(format!("kubectl-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("file.txt"), "hello\n").unwrap();
    let ok = |arguments: &str, stdout: &str| {
        assert_eq!(kubectl(&dir, arguments), (stdout.to_string(), String::new()), "{arguments}");
    };
    let fails = |arguments: &str, stderr: &str| {
        assert_eq!(kubectl(&dir, arguments), (String::new(), stderr.to_string()), "{arguments}");
    };
    ok(
        "config set-cluster k --server=https://1.2.3.4:6443 --insecure-skip-tls-verify=true",
        "Cluster \"k\" set.\n",
    );
    assert_eq!(
        std::fs::read_to_string(dir.join("scratch.config")).unwrap(),
        "apiVersion: v1\nclusters:\n- cluster:\n    insecure-skip-tls-verify: true\n    server: https://1.2.3.4:6443\n  \
         name: k\ncontexts: []\ncurrent-context: \"\"\nkind: Config\npreferences: {}\nusers: []\n"
    );
    ok(
        "config set-cluster k2 --certificate-authority=file.txt --embed-certs=true --server=http://a",
        "Cluster \"k2\" set.\n",
    );
    ok("config set-credentials c --client-certificate=file.txt --client-key=file.txt", "User \"c\" set.\n");
    ok("config set-credentials b --username=x --password=y", "User \"b\" set.\n");
    fails(
        "config set-credentials d --token=a --username=b",
        "error: you cannot specify more than one authentication method at the same time: --token, --username/--password\n",
    );
    ok("config set-context ctx --cluster=k --user=u --namespace=ns", "Context \"ctx\" created.\n");
    ok("config set-context ctx --namespace=other", "Context \"ctx\" modified.\n");
    fails("config current-context", "error: current-context is not set\n");
    ok("config use-context ctx", "Switched to context \"ctx\".\n");
    fails("config use-context nope", "error: no context exists with the name: \"nope\".\n");
    ok(
        "config set clusters.k.insecure-skip-tls-verify false",
        "Property \"clusters.k.insecure-skip-tls-verify\" set.\n",
    );
    assert_eq!(
        std::fs::read_to_string(dir.join("scratch.config")).unwrap(),
        "apiVersion: v1\nclusters:\n- cluster:\n    server: https://1.2.3.4:6443\n  name: k\n- cluster:\n    \
         certificate-authority-data: aGVsbG8K\n    server: http://a\n  name: k2\ncontexts:\n- context:\n    cluster: k\n    \
         namespace: other\n    user: u\n  name: ctx\ncurrent-context: ctx\nkind: Config\npreferences: {}\nusers:\n- name: b\n  \
         user:\n    password: \"y\"\n    username: x\n- name: c\n  user:\n    client-certificate: file.txt\n    \
         client-key: file.txt\n"
    );
    ok("config get-clusters", "NAME\nk\nk2\n");
    ok("config get-contexts -o name", "ctx\n");
    ok(
        "config get-contexts",
        "CURRENT   NAME      CLUSTER   AUTHINFO   NAMESPACE\n*         ctx       k         u          other\n",
    );
    let (view, _) = kubectl(&dir, "config view --flatten");
    assert!(view.contains("client-certificate-data: aGVsbG8K\n    client-key-data: aGVsbG8K\n"), "{view}");
    let (view, _) = kubectl(&dir, "config view");
    assert!(view.contains("certificate-authority-data: REDACTED\n"), "{view}");
    ok("config unset users.b", "Property \"users.b\" unset.\n");
    fails("config delete-context ctx2", "error: cannot delete context ctx2, not in scratch.config\n");
    std::fs::remove_dir_all(&dir).unwrap();
}
