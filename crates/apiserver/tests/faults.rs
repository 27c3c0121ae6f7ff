//! What clients get when things go wrong under an API server: members of a real etcd die and come back, all of them go
//! away, its history is dropped, the server itself is killed, a client does not read.
//!
//! The tests on etcd say SKIPPED where there is no etcd.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Answer, Cluster};
use load::{Follower, Load};
use process::ApiServer;
use serde_json::{Value, json};
use store::testing::Etcd;
use store::{Change, Expect, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Nothing here takes so long; what never happens must not hang.
const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// An etcd of so many members, or a line that says why not.
async fn etcd(members: usize) -> Option<Etcd> {
    match Etcd::start(members).await {
        Ok(etcd) => Some(etcd),
        Err(why) => {
            println!("SKIPPED on etcd: {why}");
            None
        }
    }
}

async fn on(etcd: &Etcd) -> Arc<Cluster> {
    Arc::new(Cluster::start_on(Arc::new(etcd.store().await.unwrap()), Cluster::options()).await)
}

async fn version(cluster: &Cluster) -> u64 {
    load::version_of(&cluster.get(MAPS).await.json())
}

/// Creates a last object, again until it is there, and compares what the followers saw with what is there.
async fn compare(cluster: &Cluster, followers: Vec<Follower>, written: &[u64]) {
    let end = json!({"metadata": {"name": load::END}});
    let made = async { while !matches!(cluster.post(MAPS, &end).await.code, 201 | 409) {} };
    soon("a write succeeds", made).await;
    let list = cluster.get(MAPS).await.json();
    for follower in followers {
        let seen = soon("a watch tells the end", follower.seen()).await;
        seen.check(&list, written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_loses_no_write_and_no_event() {
    let Some(mut etcd) = etcd(3).await else { return };
    let cluster = on(&etcd).await;
    let begin = version(&cluster).await;
    let followers: Vec<Follower> = (0..4).map(|_| Follower::start(cluster.clone(), MAPS, begin)).collect();
    let load = Load::start(&cluster, MAPS, 0..8);
    soon("writes", load.more(50)).await;
    // The leader, another member, the leader again: requests go on with the others, and with all.
    for step in 0..3 {
        let leader = etcd.leader().await.unwrap();
        let victim = (leader + step % 2) % 3;
        etcd.kill(victim).await;
        soon("writes go on with two members", load.more(50)).await;
        etcd.run(victim).unwrap();
        etcd.ready().await.unwrap();
        soon("writes go on with all", load.more(50)).await;
    }
    let written = load.stop().await;
    compare(&cluster, followers, &written).await;
}

/// A member that hangs keeps its connections: nobody is told that it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stands_still_loses_no_write_and_no_event() {
    let Some(etcd) = etcd(3).await else { return };
    let cluster = on(&etcd).await;
    let begin = version(&cluster).await;
    let followers: Vec<Follower> = (0..2).map(|_| Follower::start(cluster.clone(), MAPS, begin)).collect();
    let load = Load::start(&cluster, MAPS, 0..8);
    soon("writes", load.more(50)).await;
    // The leader, then each of the others: the cache watches through one of them.
    for step in 0..3 {
        let leader = etcd.leader().await.unwrap();
        let victim = (leader + step) % 3;
        etcd.stop(victim).unwrap();
        soon("writes go on with two members", load.more(100)).await;
        let current = async { while cluster.get(MAPS).await.code != 200 {} };
        soon("the cache goes on with two members", current).await;
        etcd.go_on(victim).unwrap();
        etcd.ready().await.unwrap();
        soon("writes go on with all", load.more(50)).await;
    }
    let written = load.stop().await;
    compare(&cluster, followers, &written).await;
}

/// A write that the store cannot take says so as upstream does.
fn refused(answer: &Answer) {
    let body = answer.json();
    let text = body["message"].as_str().unwrap_or_default();
    let known = ["rpc error: code = Unavailable", "etcdserver: ", "Timeout: request did not complete"];
    assert!(matches!(answer.code, 500 | 504) && known.iter().any(|k| text.starts_with(k)), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_memory_answers_and_writes_are_refused() {
    let Some(mut etcd) = etcd(3).await else { return };
    let cluster = on(&etcd).await;
    assert_eq!(cluster.post(MAPS, &json!({"metadata": {"name": "before"}})).await.code, 201);
    let begin = version(&cluster).await;
    let early = Follower::start(cluster.clone(), MAPS, begin);
    let lost = |name: &str| json!({"metadata": {"name": name}});
    // Without a majority, then without anybody.
    for (dead, name) in [(0..2, "minority"), (2..3, "nobody")] {
        for member in dead {
            etcd.kill(member).await;
        }
        refused(&soon("a refusal", cluster.post(MAPS, &lost(name))).await);
    }
    let old = cluster.get(&format!("{MAPS}/before?resourceVersion=0")).await;
    assert_eq!((old.code, &old.json()["metadata"]["name"]), (200, &json!("before")));
    let old = cluster.get(&format!("{MAPS}?resourceVersion=0")).await.json();
    assert_eq!(old["items"][0]["metadata"]["name"], "before");
    assert_eq!(cluster.get(&format!("{MAPS}?resourceVersion={begin}")).await.code, 200, "it was seen before");
    let late = Follower::start(cluster.clone(), MAPS, begin);
    // What must be up to date cannot be.
    refused(&soon("a refusal", cluster.get(MAPS)).await);
    assert_eq!(cluster.get("/readyz").await.code, 500);
    for member in 0..3 {
        etcd.run(member).unwrap();
    }
    etcd.ready().await.unwrap();
    compare(&cluster, vec![early, late], &[]).await;
    assert_eq!(cluster.get("/readyz").await.code, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_watches_go_on_over_a_compaction() {
    let Some(etcd) = etcd(1).await else { return };
    let cluster = on(&etcd).await;
    let begin = version(&cluster).await;
    let current = Follower::start(cluster.clone(), MAPS, begin);
    for n in 0..5 {
        assert_eq!(cluster.post(MAPS, &json!({"metadata": {"name": format!("m{n}")}})).await.code, 201);
    }
    let page = cluster.get(&format!("{MAPS}?limit=2")).await.json();
    let last = cluster.post(MAPS, &json!({"metadata": {"name": "n-last"}})).await.json();
    let revision = load::version_of(&last);
    etcd.store().await.unwrap().compact(i64::try_from(revision).unwrap()).await.unwrap();
    // A server that was not there before has only what etcd still has.
    let other = on(&etcd).await;
    let old = other.get(&format!("{MAPS}?watch=true&resourceVersion={begin}")).await.json();
    assert_eq!((&old["type"], &old["object"]["code"]), (&json!("ERROR"), &json!(410)), "{old}");
    let exact = format!("{MAPS}?resourceVersion={begin}&resourceVersionMatch=Exact");
    assert_eq!(other.get(&exact).await.code, 410);
    let token = page["metadata"]["continue"].as_str().unwrap();
    let expired = other.get(&format!("{MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!(expired["code"], 410, "{expired}");
    let fresh = expired["metadata"]["continue"].as_str().unwrap();
    let rest = other.get(&format!("{MAPS}?limit=10&continue={fresh}")).await.json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(4), "the rest as it is now: {rest}");
    compare(&cluster, vec![current], &[revision]).await;
}

/// What the services of a cluster have.
fn given(services: &Value) -> (Vec<String>, Vec<u64>) {
    let items = services["items"].as_array().unwrap();
    let addresses = items.iter().filter_map(|s| s["spec"]["clusterIP"].as_str().map(str::to_owned)).collect();
    let ports = items.iter().flat_map(|s| s["spec"]["ports"].as_array().into_iter().flatten());
    (addresses, ports.filter_map(|p| p["nodePort"].as_u64()).collect())
}

fn check_unique(services: &Value) {
    let (addresses, ports) = given(services);
    let unique =
        (addresses.iter().collect::<BTreeSet<_>>().len(), ports.iter().collect::<BTreeSet<_>>().len());
    assert_eq!((addresses.len(), ports.len()), unique, "something is given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_given_once_whoever_crashes() {
    let Some(mut etcd) = etcd(3).await else { return };
    let mut api = ApiServer::start(etcd.endpoints()).await;
    let mut clients = process::Services::start(&api, 64);
    soon("services", clients.more(60)).await;
    let leader = etcd.leader().await.unwrap();
    etcd.kill(leader).await;
    soon("services go on without the leader", clients.more(60)).await;
    api.kill().await;
    etcd.run(leader).unwrap();
    api.run().await;
    soon("services go on after the server was killed", clients.more(60)).await;
    // The ranges are lost while nobody looks: the next server makes them anew.
    api.kill().await;
    let store = etcd.store().await.unwrap();
    for range in ["serviceips", "servicenodeports"] {
        let key = format!("/registry/ranges/{range}");
        store.write(&key, Expect::Any, Change::Delete).await.unwrap();
    }
    api.run().await;
    soon("services go on with ranges made anew", clients.more(80)).await;
    let acknowledged = soon("all services", clients.all()).await;
    check_services(&api.get("/api/v1/services").await, &acknowledged);
}

/// Nothing is given twice, and nothing is lost.
fn check_services(services: &Value, acknowledged: &[String]) {
    check_unique(services);
    let names: BTreeSet<&str> =
        services["items"].as_array().unwrap().iter().filter_map(|s| s["metadata"]["name"].as_str()).collect();
    assert!(acknowledged.iter().all(|name| names.contains(name.as_str())), "an acknowledged service is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_give_nothing_twice_whichever_crashes() {
    let Some(etcd) = etcd(1).await else { return };
    let mut one = ApiServer::start(etcd.endpoints()).await;
    let mut two = ApiServer::start(etcd.endpoints()).await;
    let (mut of_one, mut of_two) = (process::Services::start(&one, 32), process::Services::start(&two, 32));
    let both = async |of_one: &mut process::Services, of_two: &mut process::Services| {
        let more = async { tokio::join!(of_one.more(60), of_two.more(60)) };
        soon("services of both", more).await;
    };
    both(&mut of_one, &mut of_two).await;
    one.kill().await;
    soon("services go on with the other", of_two.more(60)).await;
    one.run().await;
    both(&mut of_one, &mut of_two).await;
    two.kill().await;
    two.run().await;
    both(&mut of_one, &mut of_two).await;
    let mut acknowledged = soon("all services", of_one.all()).await;
    acknowledged.extend(soon("all services", of_two.all()).await);
    let (seen_by_one, seen_by_two) = (one.get("/api/v1/services").await, two.get("/api/v1/services").await);
    check_services(&seen_by_one, &acknowledged);
    assert_eq!(seen_by_one["items"], seen_by_two["items"], "their caches agree");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_tell_the_same() {
    let Some(mut etcd) = etcd(3).await else { return };
    let servers = [on(&etcd).await, on(&etcd).await];
    let begin = version(&servers[0]).await;
    let follow = |server: &Arc<Cluster>| Follower::start(server.clone(), MAPS, begin);
    let followers: Vec<Follower> = servers.iter().chain(&servers).map(follow).collect();
    let [one, two] = &servers;
    let loads = [Load::start(one, MAPS, 0..4), Load::start(two, MAPS, 4..8)];
    soon("writes through both", async { tokio::join!(loads[0].more(50), loads[1].more(50)) }).await;
    let leader = etcd.leader().await.unwrap();
    etcd.kill(leader).await;
    soon("writes go on", async { tokio::join!(loads[0].more(50), loads[1].more(50)) }).await;
    etcd.run(leader).unwrap();
    etcd.ready().await.unwrap();
    let mut written = Vec::new();
    for load in loads {
        written.extend(load.stop().await);
    }
    compare(one, followers, &written).await;
    assert_eq!(
        one.get(MAPS).await.json()["items"],
        two.get(MAPS).await.json()["items"],
        "their caches agree"
    );
}

/// So many watches that read what they are told, each on its own connection.
const READERS: usize = 200;
/// More changes than a watch that is not read may be behind, and more than the system's own buffers hold besides.
const FLOOD: usize = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_not_read_is_cut_off_alone() {
    let cluster = Cluster::start_with(Cluster::options()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving =
        tokio::spawn(apiserver::http::listen::serve(cluster.server.clone(), listener, None, stop.clone()));
    let begin = version(&cluster).await;
    let open = |query: &str| {
        let request =
            format!("GET {MAPS}?watch=1&resourceVersion={begin}{query} HTTP/1.1\r\nHost: x\r\n\r\n");
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        }
    };
    let mut slow = open("").await;
    let mut first = [0; 12];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut stream = open("&fieldSelector=metadata.name=seen").await;
        readers.push(tokio::spawn(async move {
            let (mut text, mut piece) = (String::new(), [0; 4096]);
            while !text.contains("\"last\"") {
                let read = stream.read(&mut piece).await.unwrap();
                assert!(read > 0, "the watch ended");
                text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            text.matches("\"type\":\"").count()
        }));
    }
    let maps = cluster.server.registry().builtin("", "configmaps").unwrap();
    let watched = cluster.server.cached(&maps).unwrap();
    let all_open = async {
        while watched.watches() <= READERS {
            tokio::task::yield_now().await;
        }
    };
    soon("all watches are open", all_open).await;
    let padding = "x".repeat(2048);
    let store = &cluster.server.storage().store;
    for n in 0..FLOOD {
        let (name, data) = match n {
            _ if n + 1 == FLOOD => ("seen", "last".to_owned()),
            _ if n % 1000 == 0 => ("seen", n.to_string()),
            _ => ("flood", format!("{n} {padding}")),
        };
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"}, "data": {"n": data},
        });
        let key = format!("/registry/configmaps/default/{name}");
        store.write(&key, Expect::Any, Change::put(Bytes::from(object.to_string()))).await.unwrap();
    }
    for reader in readers {
        assert_eq!(soon("a reader sees the end", reader).await.unwrap(), FLOOD / 1000 + 1);
    }
    // The readers have left or are about to; only those that read are still told.
    let mut rest = Vec::new();
    soon("the end of the slow watch", slow.read_to_end(&mut rest)).await.unwrap();
    stop.cancel();
    serving.await.unwrap();
    let told = String::from_utf8(rest).unwrap().matches("\"type\":\"").count();
    assert!(told > 0 && told < FLOOD, "told {told} of {FLOOD}");
}
