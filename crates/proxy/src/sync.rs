//! From wanted rules to the kernel: only what differs from what we put there last.
//!
//! ```text
//!           ┌──────── restore fails, rules found missing ────────┐
//!           ▼                                                    │
//!  start ─► full: every chain, stale ones removed, jumps ─► per change: chains of changed services,
//!                                                           fixed chains only when their rules change
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use client::ObjectKey;
use netfilter::IpTables;

use crate::{
    chains::{
        CANARY, FILTER_CHAINS, FIREWALL, JUMPS, Jump, MARK_DROP, NAT_CHAINS, POSTROUTING, is_service_chain,
    },
    rules::{Chain, Context, ServiceRules, filter_tail, nat_head, nat_tail},
};

/// Where wanted rules come from.
pub(crate) trait Source {
    /// All services.
    fn keys(&self) -> Vec<ObjectKey>;
    /// The rules of one; empty when it is gone.
    fn rules(&self, key: &ObjectKey, context: &Context) -> ServiceRules;
}

/// What the kernel holds of one service: hashes, since the text can be made again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Applied {
    fixed: u64,
    chains: Vec<(String, u64)>,
}

impl Applied {
    fn of(rules: &ServiceRules) -> Self {
        Self {
            fixed: hash(&(&rules.nat, &rules.filter)),
            chains: rules.chains.iter().map(|chain| (chain.name.clone(), hash(chain))).collect(),
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Puts rules into the kernel.
pub(crate) struct Syncer {
    tables: IpTables,
    context: Context,
    applied: BTreeMap<ObjectKey, Applied>,
    /// We do not know what the kernel holds.
    full: bool,
}

impl Syncer {
    pub(crate) fn new(tables: IpTables, context: Context) -> Self {
        Self { tables, context, applied: BTreeMap::new(), full: true }
    }

    /// Whether the next sync writes everything, changed or not.
    pub(crate) fn must_write_all(&self) -> bool {
        self.full
    }

    /// Everything again at the next sync.
    pub(crate) fn forget(&mut self) {
        self.full = true;
    }

    /// Which of the node's addresses node ports answer on; a change needs a full sync.
    pub(crate) fn set_node_port_ips(&mut self, ips: Option<Vec<std::net::Ipv4Addr>>) {
        if self.context.node_port_ips != ips {
            self.context.node_port_ips = ips;
            self.full = true;
        }
    }

    /// Brings the kernel up to date with `source`, `changed` being the services that may differ.
    pub(crate) async fn sync(
        &mut self,
        source: &impl Source,
        changed: &BTreeSet<ObjectKey>,
    ) -> Result<(), netfilter::Error> {
        let (text, applied, gone) = if self.full {
            let existing = self.tables.save("nat").await?;
            let (text, applied) = full(source, &self.context, &existing, &self.missing_jumps().await);
            (text, applied, self.applied.keys().cloned().collect())
        } else {
            partial(source, &self.context, changed, &self.applied)
        };
        if !text.is_empty() {
            tracing::trace!("iptables-restore:\n{text}");
            let whole = self.full;
            // If this fails, or if we are stopped in the middle, nobody knows what the kernel holds.
            self.full = true;
            self.tables.restore(&text).await?;
            tracing::debug!(full = whole, bytes = text.len(), "rules written");
        }
        self.full = false;
        for key in &gone {
            self.applied.remove(key);
        }
        self.applied.extend(applied);
        Ok(())
    }

    /// Whether the rules are still there, by a few that everything depends on.
    pub(crate) async fn is_intact(&self) -> bool {
        if self.tables.list("mangle", CANARY).await.is_none() {
            return false;
        }
        let post = self.tables.list("nat", POSTROUTING).await.unwrap_or_default();
        post.iter().filter(|line| line.starts_with("-A ")).count() >= 3
            && self.missing_jumps().await.is_empty()
    }

    async fn missing_jumps(&self) -> Vec<&'static Jump> {
        let mut missing = Vec::new();
        let (mut at, mut listing) = (("", ""), Vec::new());
        for jump in &JUMPS {
            // Jumps of one parent chain stand together, so this asks about once per parent.
            if at != (jump.table, jump.parent) {
                at = (jump.table, jump.parent);
                listing = self.tables.list(jump.table, jump.parent).await.unwrap_or_default();
            }
            let target = format!("-j {}", jump.chain);
            if !listing.iter().any(|line: &String| line.trim_end().ends_with(&target)) {
                missing.push(jump);
            }
        }
        missing
    }
}

/// All chains, whatever the kernel holds. `existing` is what `iptables-save -t nat` prints.
fn full(
    source: &impl Source,
    context: &Context,
    existing: &str,
    missing_jumps: &[&Jump],
) -> (String, BTreeMap<ObjectKey, Applied>) {
    let mut applied = BTreeMap::new();
    let mut restore = Restore::default();
    let mut fixed = Fixed::default();
    let mut wanted = BTreeSet::new();
    for key in source.keys() {
        let rules = source.rules(&key, context);
        applied.insert(key, Applied::of(&rules));
        for chain in rules.chains {
            wanted.insert(chain.name.clone());
            restore.write(&chain);
        }
        fixed.nat.extend(rules.nat);
        fixed.filter.extend(rules.filter);
    }
    let stale = chain_names(existing).filter(|chain| is_service_chain(chain) && !wanted.contains(*chain));
    stale.for_each(|chain| restore.remove(chain));
    restore.fixed(fixed, context);
    (restore.text(missing_jumps, true), applied)
}

type Partial = (String, BTreeMap<ObjectKey, Applied>, Vec<ObjectKey>);

/// Only what differs for the changed services. The text is empty when nothing does.
fn partial(
    source: &impl Source,
    context: &Context,
    changed: &BTreeSet<ObjectKey>,
    before: &BTreeMap<ObjectKey, Applied>,
) -> Partial {
    let none = Applied::default();
    let (mut applied, mut gone) = (BTreeMap::new(), Vec::new());
    let mut restore = Restore::default();
    let mut fixed_changed = false;
    for key in changed {
        let rules = source.rules(key, context);
        let now = Applied::of(&rules);
        let old = before.get(key).unwrap_or(&none);
        let nothing = rules.nat.is_empty() && rules.filter.is_empty();
        fixed_changed |= if before.contains_key(key) { old.fixed != now.fixed } else { !nothing };
        for (chain, (_, hash)) in rules.chains.iter().zip(&now.chains) {
            if !old.chains.iter().any(|(name, before)| *name == chain.name && before == hash) {
                restore.write(chain);
            }
        }
        for (name, _) in &old.chains {
            if !now.chains.iter().any(|(wanted, _)| wanted == name) {
                restore.remove(name);
            }
        }
        if nothing { gone.push(key.clone()) } else { drop(applied.insert(key.clone(), now)) }
    }
    if fixed_changed {
        let mut fixed = Fixed::default();
        for key in source.keys() {
            let rules = source.rules(&key, context);
            fixed.nat.extend(rules.nat);
            fixed.filter.extend(rules.filter);
        }
        restore.fixed(fixed, context);
    }
    (restore.text(&[], false), applied, gone)
}

/// Rules of services in the fixed chains.
#[derive(Default)]
struct Fixed {
    nat: Vec<String>,
    filter: Vec<String>,
}

/// The input of one iptables-restore, under construction.
#[derive(Default)]
struct Restore {
    filter: String,
    nat_chains: Vec<String>,
    nat_rules: String,
    nat_removed: String,
}

impl Restore {
    /// Naming a chain empties it, or makes it.
    fn write(&mut self, chain: &Chain) {
        self.nat_chains.push(chain.name.clone());
        chain.rules.iter().for_each(|rule| push(&mut self.nat_rules, &[rule]));
    }

    fn remove(&mut self, chain: &str) {
        self.nat_chains.push(chain.to_owned());
        push(&mut self.nat_removed, &["-X ", chain]);
    }

    fn fixed(&mut self, fixed: Fixed, context: &Context) {
        for chain in FILTER_CHAINS {
            push(&mut self.filter, &[":", chain, " - [0:0]"]);
        }
        let filter = fixed.filter.into_iter().chain(filter_tail(context));
        filter.for_each(|rule| push(&mut self.filter, &[&rule]));
        self.nat_chains.extend(NAT_CHAINS.map(str::to_owned));
        let nat = nat_head(context).into_iter().chain(fixed.nat).chain(nat_tail(context));
        nat.for_each(|rule| push(&mut self.nat_rules, &[&rule]));
    }

    fn text(mut self, jumps: &[&Jump], canary: bool) -> String {
        let mut text = String::new();
        // iptables-nft keeps chains in a sorted list that it searches from the front. With 10,000 services the last
        // name first takes 7 seconds, any order 72.
        self.nat_chains.sort_unstable_by(|a, b| b.cmp(a));
        let mut nat_chains = String::new();
        self.nat_chains.iter().for_each(|chain| push(&mut nat_chains, &[":", chain, " - [0:0]"]));
        let jumps = |table: &str| {
            let mut lines = String::new();
            // Each goes to the top: the last one of a parent chain ends up first.
            for jump in jumps.iter().filter(|jump| jump.table == table) {
                push(&mut lines, &["-I ", jump.parent, " 1 ", &jump.rule()]);
            }
            lines
        };
        let nat = [nat_chains, self.nat_rules, self.nat_removed, jumps("nat")].concat();
        let filter = [self.filter, jumps("filter")].concat();
        let mangle = if canary { format!(":{CANARY} - [0:0]\n") } else { String::new() };
        for (table, lines) in [("mangle", mangle), ("filter", filter), ("nat", nat)] {
            if !lines.is_empty() {
                text.push_str(&format!("*{table}\n{lines}COMMIT\n"));
            }
        }
        text
    }
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

/// The chains in what `iptables-save` prints.
fn chain_names(saved: &str) -> impl Iterator<Item = &str> {
    saved.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next())
}

/// Removes everything of ours (`--cleanup`). Chains that a kubelet shares stay while one is there.
pub(crate) async fn cleanup(tables: &IpTables) -> Result<(), netfilter::Error> {
    for table in ["mangle", "filter", "nat"] {
        let saved = tables.save(table).await?;
        if let Some(text) = cleanup_text(table, &saved) {
            tables.restore(&text).await?;
        }
    }
    Ok(())
}

fn cleanup_text(table: &str, saved: &str) -> Option<String> {
    let kubelet = chain_names(saved).any(|chain| chain == "KUBE-KUBELET-CANARY");
    let fixed: &[&str] = match table {
        "mangle" => &[CANARY],
        "filter" => &FILTER_CHAINS,
        _ => &NAT_CHAINS,
    };
    let ours = |chain: &str| {
        let shared = chain == FIREWALL || chain == MARK_DROP;
        is_service_chain(chain) || (fixed.contains(&chain) && !(shared && kubelet))
    };
    let chains: Vec<&str> = chain_names(saved).filter(|chain| ours(chain)).collect();
    if chains.is_empty() {
        return None;
    }
    let mut text = format!("*{table}\n");
    chains.iter().for_each(|chain| push(&mut text, &[":", chain, " - [0:0]"]));
    for line in saved.lines() {
        let Some(rule) = line.strip_prefix("-A ") else { continue };
        let from = rule.split(' ').next().unwrap_or_default();
        let target = rule.rsplit(" -j ").next().unwrap_or_default().trim();
        if !ours(from) && ours(target) {
            push(&mut text, &["-D ", rule]);
        }
    }
    chains.iter().for_each(|chain| push(&mut text, &["-X ", chain]));
    text.push_str("COMMIT\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, ServicePort};

    struct Fake(BTreeMap<ObjectKey, (ServicePort, Vec<Endpoint>)>);

    impl Source for Fake {
        fn keys(&self) -> Vec<ObjectKey> {
            self.0.keys().cloned().collect()
        }

        fn rules(&self, key: &ObjectKey, context: &Context) -> ServiceRules {
            self.0
                .get(key)
                .map(|(port, endpoints)| crate::rules::service_rules(port, endpoints, context))
                .unwrap_or_default()
        }
    }

    fn context() -> Context {
        Context {
            cluster_cidr: None,
            masquerade_all: false,
            masquerade_bit: 14,
            random_fully: true,
            localhost_node_ports: true,
            node_port_ips: None,
            conntrack_liberal: false,
            node_ip: None,
        }
    }

    fn endpoint(last: u8) -> Endpoint {
        let ip = std::net::Ipv4Addr::new(10, 5, 1, last);
        Endpoint { ip, port: 80, local: true, ready: true, serving: true, terminating: false }
    }

    fn fake(count: u8) -> Fake {
        Fake(
            (1..=count)
                .map(|i| {
                    let key = ObjectKey::new("default", format!("s{i}"));
                    let port = ServicePort {
                        name: format!("{key}:"),
                        protocol: "tcp".into(),
                        cluster_ip: std::net::Ipv4Addr::new(10, 0, 0, i),
                        port: 80,
                        node_port: 0,
                        external_ips: vec![],
                        load_balancer_ips: vec![],
                        source_ranges: vec![],
                        affinity_seconds: None,
                        external_local: false,
                        internal_local: false,
                        health_check_node_port: 0,
                    };
                    (key, (port, vec![endpoint(i)]))
                })
                .collect(),
        )
    }

    const PREROUTING: usize = 12;

    #[test]
    fn full_removes_stale_chains_and_adds_missing_jumps() {
        let existing = ":PREROUTING ACCEPT [0:0]\n:KUBE-SVC-OLD - [0:0]\n:CNI-HOSTPORT - [0:0]\n";
        let (text, applied) = full(&fake(1), &context(), existing, &[&JUMPS[PREROUTING]]);
        assert_eq!(applied.len(), 1);
        for wanted in [
            "*mangle\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n",
            "\n-X KUBE-SVC-OLD\n",
            "\n-I PREROUTING 1 -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n",
            "\n:KUBE-FORWARD - [0:0]\n",
        ] {
            assert!(text.contains(wanted), "{wanted} not in\n{text}");
        }
        assert!(!text.contains("CNI-HOSTPORT") && !text.contains("KUBE-SVC-OLD - [0:0]\n-A"));
    }

    #[test]
    fn a_changed_endpoint_touches_only_its_service() {
        let mut source = fake(3);
        let (_, before) = full(&source, &context(), "", &[]);
        let key = ObjectKey::new("default", "s2");
        let changed = BTreeSet::from([key.clone()]);
        assert_eq!(partial(&source, &context(), &changed, &before).0, "", "nothing changed, nothing written");
        source.0.get_mut(&key).unwrap().1.push(endpoint(9));
        let (text, applied, gone) = partial(&source, &context(), &changed, &before);
        assert!(gone.is_empty() && applied.contains_key(&key));
        assert!(text.starts_with("*nat\n") && !text.contains("KUBE-SERVICES"), "{text}");
        // The new endpoint's chain and the chain that leads to it; the old endpoint's chain stays as it is.
        assert_eq!(text.matches(" - [0:0]").count(), 2, "{text}");
    }

    #[test]
    fn a_deleted_service_takes_its_chains_along() {
        let mut source = fake(2);
        let (_, before) = full(&source, &context(), "", &[]);
        let key = ObjectKey::new("default", "s1");
        source.0.remove(&key);
        let (text, _, gone) = partial(&source, &context(), &BTreeSet::from([key.clone()]), &before);
        assert_eq!(gone, [key]);
        assert_eq!(text.matches("-X KUBE-").count(), 2, "{text}");
        assert!(
            text.contains("*filter")
                && text.contains("default/s2: cluster IP")
                && !text.contains("default/s1")
        );
    }

    #[test]
    fn cleanup_leaves_others_alone() {
        let saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n\
                     -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
                     -A PREROUTING -j DOCKER\n-A KUBE-SERVICES -j KUBE-SVC-A\nCOMMIT\n";
        assert_eq!(
            cleanup_text("nat", saved).unwrap(),
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n\
             -D PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -X KUBE-SERVICES\n-X KUBE-SVC-A\nCOMMIT\n"
        );
        assert_eq!(cleanup_text("filter", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), None);
    }
}
