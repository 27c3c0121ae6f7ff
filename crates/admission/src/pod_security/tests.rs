use serde_json::json;

use super::*;

fn level(level: Level, version: Version) -> LevelVersion {
    LevelVersion { level, version }
}

fn found(of: LevelVersion, spec: Value) -> String {
    detail(&evaluate(of, &json!({"metadata": {}, "spec": spec})))
}

const BASELINE: LevelVersion = LevelVersion { level: Level::Baseline, version: Version::Latest };
const RESTRICTED: LevelVersion = LevelVersion { level: Level::Restricted, version: Version::Latest };

#[test]
fn a_plain_pod_is_baseline_and_not_restricted() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(found(BASELINE, spec.clone()), "");
    assert_eq!(
        found(RESTRICTED, spec),
        "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set \
         securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"a\", \"b\" must set \
         securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"a\", \"b\" must set \
         securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"a\", \"b\" must set \
         securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    let tight = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}]});
    assert_eq!(found(RESTRICTED, tight), "");
}

#[test]
fn each_rule_says_who_breaks_it() {
    let spec = json!({
        "hostNetwork": true, "hostIPC": true,
        "securityContext": {"seLinuxOptions": {"type": "x", "user": "u"}, "sysctls": [{"name": "kernel.x"}],
            "windowsOptions": {"hostProcess": true}, "appArmorProfile": {"type": "Unconfined"}},
        "initContainers": [{"name": "i", "securityContext": {"privileged": true, "procMount": "Unmasked",
            "capabilities": {"add": ["SYS_ADMIN", "NET_RAW", "CHOWN"]}, "seccompProfile": {"type": "Unconfined"}}}],
        "containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 443}],
            "livenessProbe": {"httpGet": {"host": "h"}}}],
        "volumes": [{"name": "v", "hostPath": {}}, {"name": "n", "nfs": {}}, {"name": "e", "emptyDir": {}}]});
    assert_eq!(
        found(BASELINE, spec.clone()),
        "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\"), non-default capabilities \
         (container \"i\" must not include \"NET_RAW\", \"SYS_ADMIN\" in securityContext.capabilities.add), host \
         namespaces (hostNetwork=true, hostIPC=true), hostPath volumes (volume \"v\"), hostPort (container \"c\" uses \
         hostPorts 443, 80), probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\"), privileged \
         (container \"i\" must not set securityContext.privileged=true), procMount (container \"i\" must not set \
         securityContext.procMount to \"Unmasked\"), seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: \
         type \"x\"; user may not be set), seccompProfile (container \"i\" must not set \
         securityContext.seccompProfile.type to \"Unconfined\"), forbidden sysctls (kernel.x), hostProcess (pod must not \
         set securityContext.windowsOptions.hostProcess=true)"
    );
    let volumes = found(RESTRICTED, spec);
    assert!(volumes.contains(
        "restricted volume types (volumes \"v\", \"n\" use restricted volume types \"hostPath\", \"nfs\")"
    ));
    assert!(!volumes.contains("hostPath volumes"));
}

#[test]
fn rules_are_those_of_their_release() {
    let keep_alive = json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time"}]}});
    assert_eq!(found(level(Level::Baseline, Version::Minor(29)), keep_alive.clone()), "");
    assert_ne!(found(level(Level::Baseline, Version::Minor(28)), keep_alive), "");
    let windows = json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]});
    assert!(!found(RESTRICTED, windows.clone()).contains("capabilities"));
    assert!(found(level(Level::Restricted, Version::Minor(24)), windows).contains("capabilities"));
    let own_users = json!({"hostUsers": false, "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}]});
    assert_eq!(found(BASELINE, own_users.clone()), "");
    assert!(found(RESTRICTED, own_users.clone()).contains("procMount"));
    assert!(found(level(Level::Baseline, Version::Minor(34)), own_users).contains("procMount"));
}

#[test]
fn labels_choose_and_warnings_follow_what_is_enforced() {
    let of = |labels: &[(&str, &'static str)]| {
        let labels = labels.to_vec();
        Policy::of(move |key: &str| {
            let key = key.strip_prefix("pod-security.kubernetes.io/").unwrap();
            labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
        })
    };
    assert!(of(&[]).is_open());
    let both = of(&[("enforce", "baseline"), ("enforce-version", "v1.20")]);
    assert_eq!((both.enforce.to_string(), both.warn), ("baseline:v1.20".to_owned(), both.enforce));
    assert_eq!(of(&[("enforce", "baseline"), ("warn", "privileged")]).warn.level, Level::Privileged);
    assert_eq!(of(&[("enforce", "nonsense")]).enforce.level, Level::Restricted);
    assert_eq!(of(&[("warn", "nonsense")]).warn.level, Level::Privileged);
    assert!(both.tightens(&of(&[])) && !of(&[]).tightens(&both));
}

#[test]
fn pods_that_are_there_are_named_once_for_each_fault() {
    let pod = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let host = || json!({"hostNetwork": true});
    let pods = [
        pod("b", host()),
        pod("a", host()),
        pod("c", json!({"hostPID": true, "volumes": [{"name": "v", "hostPath": {}}]})),
        pod("d", json!({})),
    ];
    assert_eq!(
        namespace::warnings("n", &pods, BASELINE),
        [
            "existing pods in namespace \"n\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 1 other pod): host namespaces",
            "c: host namespaces, hostPath volumes"
        ]
    );
}
