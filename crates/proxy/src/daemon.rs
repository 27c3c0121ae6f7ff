//! kube-proxy from start to stop.

use std::{
    collections::{BTreeSet, HashSet},
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use client::{
    ConnectOptions, ErrorExt, GoError, ObjectKey,
    events::{EventType, Recorder},
    informer::{Event, Informer, InformerOptions},
    queue::Backoff,
};
use component_base::healthz::{self, Check};
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use kube::{Api, Client};
use netfilter::IpTables;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    config::Config,
    conntrack::{self, UdpServices},
    model::{self, Cidr, Endpoint, ServicePort},
    options::Options,
    rules::{Context, ServiceRules, service_rules},
    sync::{self, Source, Syncer},
    sysctl, views,
};

/// Services that somebody else's proxy serves, and headless ones, are not ours (upstream's selectors).
const SERVICE_SELECTOR: &str = "!service.kubernetes.io/service-proxy-name";
const SLICE_SELECTOR: &str = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name";
/// Leader records of old are endpoints that change every second and lead nowhere.
const NO_LEADER_RECORDS: &str = "metadata.name!=kube-scheduler,metadata.name!=kube-controller-manager";

const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Runs kube-proxy until `stop`. The rules stay.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let config = Config::new(&options)?;
    let tables = IpTables::detect().await?;
    if options.cleanup {
        sync::cleanup(&tables).await?;
        tracing::info!("removed all rules of kube-proxy");
        return Ok(());
    }
    let connect = ConnectOptions {
        master: config.master.clone(),
        kubeconfig: config.kubeconfig.clone(),
        user_agent: component_base::version::user_agent("kube-proxy"),
    };
    let client = client::connect(&connect).await?;
    tracing::info!(node = config.node_name, iptables = %tables.mode(), "Using iptables Proxier");
    sysctl::ensure(config.localhost_node_ports);

    let health = Health::default();
    if let Some(addr) = config.healthz {
        let health = health.clone();
        let check = Check::new("iptables", move || health.ask());
        healthz::serve(addr, vec![check], stop.clone()).await?;
    }
    tokio::select! {
        () = work(config, tables, client, health, stop.clone()) => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

async fn work(config: Config, tables: IpTables, client: Client, health: Health, stop: CancellationToken) {
    let has_slices = wait_for_server(&client).await;
    say_start(&client, &config.node_name);
    let cluster = Cluster::follow(&client, has_slices, config.node_name.clone(), &stop);
    cluster.synced().await;

    let context = Context {
        cluster_cidr: config.cluster_cidr,
        masquerade_all: config.masquerade_all,
        masquerade_bit: config.masquerade_bit,
        random_fully: tables.has_random_fully(),
        localhost_node_ports: config.localhost_node_ports,
        node_port_ips: node_port_ips(&config.node_port_addresses),
        conntrack_liberal: config.conntrack_liberal,
        node_ip: node_ip(&client, &config.node_name).await,
    };
    let mut syncer = Syncer::new(tables, context);
    let mut retry = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut look = tokio::time::interval(config.sync_period);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.reset();
    let mut earliest = Instant::now();
    loop {
        let mut again = None;
        let changed = std::mem::take(&mut *cluster.changed.lock());
        // A wake-up may be left from changes that the last sync has seen.
        if !changed.is_empty() || syncer.must_write_all() {
            let started = Instant::now();
            earliest = started + config.min_sync_period;
            match syncer.sync(&cluster, &changed).await {
                Ok(()) => {
                    tracing::debug!(services = changed.len(), "synced in {:?}", started.elapsed());
                    forget_udp_flows(cluster.udp_services(&changed)).await;
                    health.done();
                    retry.reset();
                }
                Err(err) => {
                    let wait = retry.next();
                    tracing::error!("Failed to sync iptables rules, trying again in {wait:?}: {err}");
                    health.failed(&err);
                    again = Some(Instant::now() + wait);
                }
            }
        }
        match again {
            Some(at) => tokio::time::sleep_until(at).await,
            None => tokio::select! {
                () = cluster.wake.notified() => {}
                _ = look.tick() => {
                    syncer.set_node_port_ips(node_port_ips(&config.node_port_addresses));
                    if !syncer.is_intact().await {
                        tracing::info!("iptables rules are missing, writing them again");
                        syncer.forget();
                    }
                }
            },
        }
        // Changes that come close together are written together.
        tokio::time::sleep_until(earliest).await;
    }
}

/// Flows to endpoints that are gone. What fails costs somebody a few lost packets, and is only said.
async fn forget_udp_flows(services: UdpServices) {
    if services.is_empty() {
        return;
    }
    match tokio::task::spawn_blocking(move || conntrack::clean(&services)).await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(count)) => tracing::info!("forgot {count} UDP flows to endpoints that are gone"),
        Ok(Err(err)) => tracing::warn!("cannot clean up UDP flows: {err}"),
    }
}

/// Waits until the API server answers, and says whether it has endpoint slices (it has since 1.21).
async fn wait_for_server(client: &Client) -> bool {
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut said = String::new();
    loop {
        match client.list_api_group_resources("discovery.k8s.io/v1").await {
            Ok(list) => return list.resources.iter().any(|resource| resource.name == "endpointslices"),
            Err(err) if err.is_not_found() => return false,
            Err(err) => {
                let text = GoError(&err).to_string();
                if text != said {
                    tracing::warn!("waiting for the API server: {text}");
                    said = text;
                }
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

fn say_start(client: &Client, node: &str) {
    let about = ObjectReference {
        kind: Some("Node".into()),
        name: Some(node.to_owned()),
        uid: Some(node.to_owned()),
        ..ObjectReference::default()
    };
    Recorder::new(client.clone(), "kube-proxy", node).event_ref(
        &about,
        EventType::Normal,
        "Starting",
        "Starting kube-proxy.",
    );
}

/// The node's address as its Node object tells it; only load balancers with source ranges depend on it.
async fn node_ip(client: &Client, name: &str) -> Option<Ipv4Addr> {
    let node = Api::<Node>::all(client.clone()).get_opt(name).await.ok().flatten()?;
    let addresses = node.status?.addresses?;
    addresses
        .iter()
        .filter(|address| address.type_ == "InternalIP")
        .find_map(|address| address.address.parse().ok())
}

/// The node's addresses inside the networks of --nodeport-addresses; `None` when all count.
fn node_port_ips(networks: &[Cidr]) -> Option<Vec<Ipv4Addr>> {
    if networks.is_empty() || networks.iter().any(|network| network.is_all()) {
        return None;
    }
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    let mut ips: Vec<Ipv4Addr> = interfaces
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .filter(|ip| networks.iter().any(|network| network.contains(*ip)))
        .collect();
    ips.sort();
    ips.dedup();
    Some(ips)
}

/// The cluster's services as the informers see them, and which of them changed since the last look.
struct Cluster {
    node: String,
    services: Informer<views::Service>,
    endpoints: EndpointSource,
    changed: Arc<Mutex<BTreeSet<ObjectKey>>>,
    wake: Arc<Notify>,
}

enum EndpointSource {
    Slices(Informer<views::EndpointSlice>),
    Old(Informer<views::Endpoints>),
}

/// The index of slices by service.
const BY_SERVICE: &str = "service";

fn service_of(slice: &views::EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(views::SERVICE_NAME)?;
    Some(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

impl Cluster {
    fn follow(client: &Client, has_slices: bool, node: String, stop: &CancellationToken) -> Self {
        let changed = Arc::new(Mutex::new(BTreeSet::new()));
        let wake = Arc::new(Notify::new());
        let mark = {
            let (changed, wake) = (changed.clone(), wake.clone());
            move |key: ObjectKey| {
                changed.lock().insert(key);
                wake.notify_one();
            }
        };
        let services = Informer::new(
            client.clone(),
            InformerOptions {
                label_selector: Some(SERVICE_SELECTOR.into()),
                transform: Some(|service: &mut views::Service| views::slim(&mut service.metadata)),
                ..InformerOptions::default()
            },
        );
        let tell = mark.clone();
        services
            .add_handler(move |event: &Event<views::Service>| tell(ObjectKey::of(&event.object().metadata)));
        services.spawn(stop.clone());
        let endpoints = if has_slices {
            let slices = Informer::new(
                client.clone(),
                InformerOptions {
                    label_selector: Some(SLICE_SELECTOR.into()),
                    transform: Some(|slice: &mut views::EndpointSlice| views::slim(&mut slice.metadata)),
                    ..InformerOptions::default()
                },
            );
            slices.store().add_index(BY_SERVICE, |slice| {
                service_of(slice).map(|key| key.to_string()).into_iter().collect()
            });
            slices.add_handler(move |event: &Event<views::EndpointSlice>| {
                if let Event::Updated { old, .. } = event {
                    service_of(old).into_iter().for_each(&mark);
                }
                service_of(event.object()).into_iter().for_each(&mark);
            });
            slices.spawn(stop.clone());
            EndpointSource::Slices(slices)
        } else {
            tracing::info!("the API server has no endpoint slices; following endpoints");
            let endpoints = Informer::new(
                client.clone(),
                InformerOptions {
                    field_selector: Some(NO_LEADER_RECORDS.into()),
                    transform: Some(|endpoints: &mut views::Endpoints| views::slim(&mut endpoints.metadata)),
                    ..InformerOptions::default()
                },
            );
            endpoints.add_handler(move |event: &Event<views::Endpoints>| {
                mark(ObjectKey::of(&event.object().metadata))
            });
            endpoints.spawn(stop.clone());
            EndpointSource::Old(endpoints)
        };
        Self { node, services, endpoints, changed, wake }
    }

    async fn synced(&self) {
        self.services.synced().await;
        match &self.endpoints {
            EndpointSource::Slices(informer) => informer.synced().await,
            EndpointSource::Old(informer) => informer.synced().await,
        }
    }
}

impl Cluster {
    /// The ports of a service with their endpoints.
    fn ports(&self, key: &ObjectKey) -> Vec<(ServicePort, Vec<Endpoint>)> {
        let Some(service) = self.services.store().get(key) else { return Vec::new() };
        let ports = model::service_ports(&service);
        if ports.is_empty() {
            return Vec::new();
        }
        let (slices, old) = match &self.endpoints {
            EndpointSource::Slices(informer) => {
                (informer.store().by_index(BY_SERVICE, &key.to_string()), None)
            }
            EndpointSource::Old(informer) => (Vec::new(), informer.store().get(key)),
        };
        let endpoints = |name: &str, port: &ServicePort| match &old {
            Some(old) => model::old_endpoints(old, name, &port.protocol, &self.node),
            None => {
                model::slice_endpoints(slices.iter().map(AsRef::as_ref), name, &port.protocol, &self.node)
            }
        };
        ports
            .into_iter()
            .map(|(name, port)| {
                let endpoints = endpoints(&name, &port);
                (port, endpoints)
            })
            .collect()
    }

    /// Where the UDP ports among these services lead.
    fn udp_services(&self, keys: &BTreeSet<ObjectKey>) -> UdpServices {
        let mut found = UdpServices::default();
        for (port, endpoints) in keys.iter().flat_map(|key| self.ports(key)) {
            if port.protocol != "udp" {
                continue;
            }
            let endpoints: HashSet<SocketAddrV4> =
                endpoints.iter().map(|endpoint| SocketAddrV4::new(endpoint.ip, endpoint.port)).collect();
            for ip in
                std::iter::once(&port.cluster_ip).chain(&port.external_ips).chain(&port.load_balancer_ips)
            {
                found.by_address.insert(SocketAddrV4::new(*ip, port.port), endpoints.clone());
            }
            if port.node_port != 0 {
                found.by_node_port.insert(port.node_port, endpoints);
            }
        }
        found
    }
}

impl Source for Cluster {
    fn keys(&self) -> Vec<ObjectKey> {
        self.services.store().keys()
    }

    fn rules(&self, key: &ObjectKey, context: &Context) -> ServiceRules {
        let mut all = ServiceRules::default();
        for (port, endpoints) in self.ports(key) {
            let one = service_rules(&port, &endpoints, context);
            all.nat.extend(one.nat);
            all.filter.extend(one.filter);
            all.chains.extend(one.chains);
        }
        all
    }
}

/// Whether the rules are up to date, for the health server.
#[derive(Clone, Default)]
struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    fn done(&self) {
        *self.0.lock() = None;
    }

    fn failed(&self, err: &netfilter::Error) {
        *self.0.lock() = Some(err.to_string());
    }

    fn ask(&self) -> Result<(), String> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}
