//! kube-proxy on a node (a network namespace) with two pods and a client outside: see `node.sh`.

use std::process::Command;

#[test]
#[ignore = "needs root, ip, python3 and curl: cargo test -p proxy -- --ignored"]
fn traffic_reaches_pods() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node.sh");
    for flavour in ["nft", "legacy"] {
        let status = Command::new("bash")
            .arg(script)
            .arg(env!("CARGO_BIN_EXE_kube-proxy"))
            .arg(flavour)
            .status()
            .unwrap();
        match status.code() {
            Some(0) => {}
            Some(77) => eprintln!("SKIPPED: {flavour}: see the reason above"),
            code => panic!("{flavour}: {code:?}"),
        }
    }
}
