use super::*;

fn context() -> Context {
    Context {
        cluster_cidr: Some("10.244.0.0/16".parse().unwrap()),
        masquerade_all: false,
        masquerade_bit: 14,
        random_fully: true,
        localhost_node_ports: true,
        node_port_ips: None,
        conntrack_liberal: false,
        node_ip: Some(Ipv4Addr::new(192, 168, 0, 1)),
    }
}

fn service() -> ServicePort {
    ServicePort {
        name: "default/example-service:".into(),
        protocol: "tcp".into(),
        cluster_ip: Ipv4Addr::new(10, 0, 75, 93),
        port: 80,
        node_port: 0,
        external_ips: vec![],
        load_balancer_ips: vec![],
        source_ranges: vec![],
        affinity_seconds: None,
        external_local: false,
        internal_local: false,
        health_check_node_port: 0,
    }
}

fn endpoint(last: u8, local: bool) -> Endpoint {
    Endpoint {
        ip: Ipv4Addr::new(10, 244, 0, last),
        port: 80,
        local,
        ready: true,
        serving: true,
        terminating: false,
    }
}

fn text(rules: &ServiceRules) -> String {
    let mut lines = rules.filter.clone();
    lines.extend(rules.nat.iter().cloned());
    lines.extend(rules.chains.iter().flat_map(|chain| chain.rules.iter().cloned()));
    // Hashes are tested elsewhere; here they only hide the shape.
    let names = Names::of(&service().name, "tcp");
    let hash = names.cluster.trim_start_matches("KUBE-SVC-");
    let mut text = lines.join("\n").replace(hash, "*");
    for last in 1..10 {
        let full = chains::endpoint(&service().name, "tcp", &format!("10.244.0.{last}:80"));
        text = text.replace(&full, &format!("KUBE-SEP-{last}"));
    }
    text
}

#[test]
fn node_port_with_two_endpoints() {
    let service = ServicePort { node_port: 31137, ..service() };
    let rules = service_rules(&service, &[endpoint(2, true), endpoint(3, false)], &context());
    assert_eq!(
        text(&rules),
        r#"-A KUBE-SERVICES -m comment --comment "default/example-service: cluster IP" -m tcp -p tcp -d 10.0.75.93 --dport 80 -j KUBE-SVC-*
-A KUBE-NODEPORTS -m comment --comment "default/example-service:" -m tcp -p tcp --dport 31137 -j KUBE-EXT-*
-A KUBE-EXT-* -m comment --comment "masquerade traffic for default/example-service: external destinations" -j KUBE-MARK-MASQ
-A KUBE-EXT-* -j KUBE-SVC-*
-A KUBE-SVC-* -m comment --comment "default/example-service: cluster IP" -m tcp -p tcp -d 10.0.75.93 --dport 80 ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ
-A KUBE-SVC-* -m comment --comment "default/example-service: -> 10.244.0.2:80" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-2
-A KUBE-SVC-* -m comment --comment "default/example-service: -> 10.244.0.3:80" -j KUBE-SEP-3
-A KUBE-SEP-2 -m comment --comment "default/example-service:" -s 10.244.0.2 -j KUBE-MARK-MASQ
-A KUBE-SEP-2 -m comment --comment "default/example-service:" -m tcp -p tcp -j DNAT --to-destination 10.244.0.2:80
-A KUBE-SEP-3 -m comment --comment "default/example-service:" -s 10.244.0.3 -j KUBE-MARK-MASQ
-A KUBE-SEP-3 -m comment --comment "default/example-service:" -m tcp -p tcp -j DNAT --to-destination 10.244.0.3:80"#
    );
}

#[test]
fn without_endpoints_connections_are_rejected() {
    let service =
        ServicePort { node_port: 31137, external_ips: vec![Ipv4Addr::new(1, 2, 3, 4)], ..service() };
    let rules = service_rules(&service, &[], &context());
    assert_eq!(
        text(&rules),
        r#"-A KUBE-SERVICES -m comment --comment "default/example-service: has no endpoints" -m tcp -p tcp -d 10.0.75.93 --dport 80 -j REJECT
-A KUBE-EXTERNAL-SERVICES -m comment --comment "default/example-service: has no endpoints" -m tcp -p tcp -d 1.2.3.4 --dport 80 -j REJECT
-A KUBE-EXTERNAL-SERVICES -m comment --comment "default/example-service: has no endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 31137 -j REJECT"#
    );
}

#[test]
fn session_affinity() {
    let service = ServicePort { affinity_seconds: Some(10800), ..service() };
    let text = text(&service_rules(&service, &[endpoint(2, true)], &context()));
    assert!(
        text.contains("-m recent --name KUBE-SEP-2 --rcheck --seconds 10800 --reap -j KUBE-SEP-2"),
        "{text}"
    );
    assert!(text.contains("-m recent --name KUBE-SEP-2 --set -m tcp -p tcp -j DNAT"), "{text}");
}

#[test]
fn external_policy_local() {
    let local = ServicePort { node_port: 31137, external_local: true, ..service() };
    let rules = text(&service_rules(&local, &[endpoint(2, true), endpoint(3, false)], &context()));
    assert!(rules.contains("-A KUBE-EXT-* -j KUBE-SVL-*"), "{rules}");
    assert!(rules.contains(
        "pod traffic for default/example-service: external destinations\" -s 10.244.0.0/16 -j KUBE-SVC-*"
    ));
    assert!(rules.contains(
        "-A KUBE-SVL-* -m comment --comment \"default/example-service: -> 10.244.0.2:80\" -j KUBE-SEP-2"
    ));
    // Endpoints only elsewhere: pods and the node still get through, the outside gets silence.
    let rules = text(&service_rules(&local, &[endpoint(3, false)], &context()));
    assert!(rules.contains(
        "has no local endpoints\" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 31137 -j DROP"
    ));
    assert!(!rules.contains("KUBE-SVL-") && rules.contains("route LOCAL traffic"), "{rules}");
}

#[test]
fn internal_policy_local_without_local_endpoints() {
    let service = ServicePort { internal_local: true, ..service() };
    let rules = service_rules(&service, &[endpoint(3, false)], &context());
    assert_eq!(
        text(&rules),
        r#"-A KUBE-SERVICES -m comment --comment "default/example-service: has no local endpoints" -m tcp -p tcp -d 10.0.75.93 --dport 80 -j DROP"#
    );
}

#[test]
fn load_balancer_source_ranges() {
    let service = ServicePort {
        load_balancer_ips: vec![Ipv4Addr::new(5, 6, 7, 8)],
        source_ranges: vec!["192.168.0.0/24".parse().unwrap()],
        ..service()
    };
    let rules = text(&service_rules(&service, &[endpoint(2, true)], &context()));
    for wanted in [
        "-A KUBE-PROXY-FIREWALL -m comment --comment \"default/example-service: traffic not accepted by KUBE-FW-*\" -m tcp -p tcp -d 5.6.7.8 --dport 80 -j DROP",
        "-A KUBE-SERVICES -m comment --comment \"default/example-service: loadbalancer IP\" -m tcp -p tcp -d 5.6.7.8 --dport 80 -j KUBE-FW-*",
        "-A KUBE-FW-* -m comment --comment \"default/example-service: loadbalancer IP\" -s 192.168.0.0/24 -j KUBE-EXT-*",
        "-A KUBE-FW-* -m comment --comment \"default/example-service: loadbalancer IP\" -s 5.6.7.8 -j KUBE-EXT-*",
    ] {
        assert!(rules.contains(wanted), "{wanted}\nnot in\n{rules}");
    }
}

#[test]
fn terminating_endpoints_serve_when_nothing_else_does() {
    let leaving = Endpoint { ready: false, terminating: true, ..endpoint(2, true) };
    let both = text(&service_rules(&service(), &[leaving.clone(), endpoint(3, true)], &context()));
    assert!(!both.contains("10.244.0.2:80"));
    assert!(text(&service_rules(&service(), &[leaving], &context())).contains("10.244.0.2:80"));
}

#[test]
fn fixed_rules() {
    let all = rules([], &context());
    assert_eq!(
        all.nat.join("\n"),
        r#"-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-MARK-DROP -j MARK --or-mark 0x8000
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"#
    );
    assert!(all.filter.iter().any(|rule| rule.contains("--ctstate INVALID -j DROP")));
    let closed = Context { localhost_node_ports: false, ..context() };
    assert!(rules([], &closed).nat.last().unwrap().contains("! -d 127.0.0.0/8"));
    let some = Context { node_port_ips: Some(vec![Ipv4Addr::new(192, 168, 0, 1)]), ..context() };
    assert!(rules([], &some).nat.last().unwrap().contains("-d 192.168.0.1 -j KUBE-NODEPORTS"));
}
