//! Two flannelds in two network namespaces with a real etcd: see `two_hosts.sh`.

use std::process::Command;

#[test]
#[ignore = "needs root, etcd and ip: cargo test -p flannel -- --ignored"]
fn two_hosts_reach_each_other() {
    for backend in ["vxlan", "host-gw"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/two_hosts.sh");
        let status = Command::new("bash")
            .arg(script)
            .arg(env!("CARGO_BIN_EXE_flanneld"))
            .arg(backend)
            .status()
            .unwrap();
        match status.code() {
            Some(0) => {}
            Some(77) => eprintln!("SKIPPED: {backend}: see the reason above"),
            code => panic!("{backend}: {code:?}"),
        }
    }
}
