//! The walk over one resource of one version.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::common::events::Events;
use crate::common::{Answer, Cluster};
use crate::discovery::{Entry, Sub};

const BODIES: &str = include_str!("bodies.json");

/// Subresources that pass a request on to a node: what they answer without one is theirs.
const RELAYED: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// The kinds of patches, as content types name them.
const PATCHES: [&str; 4] = ["json-patch", "merge-patch", "strategic-merge-patch", "apply-patch"];

/// Walks over one resource.
pub(crate) struct Walker {
    cluster: Arc<Cluster>,
    all: Arc<Vec<Entry>>,
    entry: Entry,
    number: usize,
    namespace: String,
}

/// Ends a walk with what is wrong.
macro_rules! check {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The answer's object, when the code is as it must be.
fn expect(what: &str, code: u16, answer: &Answer) -> Result<Value, String> {
    let body = answer.json();
    if answer.code == code {
        Ok(body)
    } else {
        Err(format!("{what}: {} instead of {code}: {body}", answer.code))
    }
}

impl Walker {
    /// A walker for the entry with this number.
    pub(crate) fn new(cluster: Arc<Cluster>, all: Arc<Vec<Entry>>, number: usize) -> Walker {
        let entry = all[number].clone();
        Walker { cluster, all, entry, number, namespace: format!("walk-{number}") }
    }

    /// Walks, and tells everything that is wrong.
    pub(crate) async fn walk(&self) -> Vec<String> {
        let namespace = json!({"metadata": {"name": self.namespace}});
        self.cluster.post("/api/v1/namespaces", &namespace).await;
        let mut wrong = vec![self.refusals().await, self.life().await, self.collection().await];
        wrong.push(self.other_versions().await);
        for sub in &self.entry.subs {
            wrong.push(self.subresource(sub).await.map_err(|e| format!("/{}: {e}", sub.name)));
        }
        let name = format!("{} {}", self.entry.group_version, self.entry.name);
        wrong.into_iter().filter_map(Result::err).map(|e| format!("{name}: {e}")).collect()
    }

    fn item(&self, name: &str) -> String {
        format!("{}/{name}", self.entry.collection(&self.namespace))
    }

    /// The smallest valid body of a kind. Names of different walks differ: not all live in namespaces.
    async fn body(&self, group_version: &str, kind: &str, name: &str) -> Result<Value, String> {
        let bodies: Value = serde_json::from_str(BODIES).map_err(|e| e.to_string())?;
        let own = &bodies[format!("{group_version} {kind}")];
        let body = if own.is_null() { &bodies[kind] } else { own };
        check!(body.is_object(), "no body of {kind} in bodies.json");
        let mut text = body.to_string();
        if text.contains("\"POD\"") {
            let pod = json!({"metadata": {"generateName": "pod-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
            let pods = format!("/api/v1/namespaces/{}/pods", self.namespace);
            let made = expect("a pod", 201, &self.cluster.post(&pods, &pod).await)?;
            text = text.replace("POD", made["metadata"]["name"].as_str().unwrap_or_default());
        }
        // Names of addresses differ by the resource and by the object.
        let last: usize = name.bytes().map(usize::from).sum();
        let address = format!("10.{}.{}.{}", 200 + self.number / 250, self.number % 250, last % 250 + 1);
        let text =
            text.replace("NAMESPACE", &self.namespace).replace("NAME", name).replace("ADDRESS", &address);
        let mut body: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        body["apiVersion"] = group_version.into();
        body["kind"] = kind.into();
        if body["metadata"]["name"].is_null() && !name.is_empty() {
            body["metadata"]["name"] = name.into();
        }
        Ok(body)
    }

    /// Makes an object; gives it as it was answered, and its path.
    async fn create(&self, entry: &Entry, name: &str) -> Result<(Value, String), String> {
        let name = format!("{name}-{}", self.number);
        let mut body = self.body(&entry.group_version, &entry.kind, &name).await?;
        body["metadata"]["labels"]["of"] = self.namespace.clone().into();
        let collection = entry.collection(&self.namespace);
        let made = expect("create", 201, &self.cluster.post(&collection, &body).await)?;
        check!(
            made["kind"] == entry.kind.as_str() && made["apiVersion"] == entry.group_version.as_str(),
            "create: answers {} {}",
            made["apiVersion"],
            made["kind"]
        );
        let path = format!("{collection}/{}", made["metadata"]["name"].as_str().unwrap_or_default());
        Ok((made, path))
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.cluster.send(method, path, &[], body).await
    }

    async fn get(&self, what: &str, path: &str) -> Result<Value, String> {
        expect(what, 200, &self.cluster.get(path).await)
    }

    /// Sends a patch that sets the label `walk` to its own name; apply is told by the object.
    async fn patch(&self, path: &str, patch: &str, object: &Value) -> Answer {
        let label = json!({"metadata": {"labels": {"walk": patch}}});
        let body = match patch {
            "json-patch" => json!([{"op": "add", "path": "/metadata/labels/walk", "value": patch}]),
            "apply-patch" => json!({
                "apiVersion": object["apiVersion"], "kind": object["kind"],
                "metadata": {"name": object["metadata"]["name"], "labels": {"walk": patch}},
            }),
            _ => label,
        };
        let (suffix, query) =
            if patch == "apply-patch" { ("yaml", "?fieldManager=walk&force=true") } else { ("json", "") };
        let content_type = format!("application/{patch}+{suffix}");
        let headers = [("content-type", content_type.as_str())];
        self.cluster.send(Method::PATCH, &format!("{path}{query}"), &headers, &body).await
    }

    /// Custom resources have no strategic merge.
    fn takes(&self, patch: &str) -> bool {
        patch != "strategic-merge-patch" || self.entry.kind != "Walker"
    }

    /// A collection or object refuses what discovery does not promise.
    async fn refusals(&self) -> Result<(), String> {
        let collection = self.entry.collection(&self.namespace);
        let item = self.item("absent");
        // A resource without verbs on single objects has no path for them.
        let has_items = ["get", "update", "patch", "delete"].iter().any(|v| self.entry.can(v));
        let nowhere = if has_items { 405 } else { 404 };
        let nothing = if self.entry.verbs.is_empty() { 404 } else { 405 };
        let requests = [
            (Method::POST, &collection, Some("create"), nothing),
            (Method::GET, &collection, Some("list"), nothing),
            (Method::DELETE, &collection, Some("deletecollection"), nothing),
            (Method::PUT, &collection, None, nothing),
            (Method::PATCH, &collection, None, nothing),
            (Method::GET, &item, Some("get"), nowhere),
            (Method::PUT, &item, Some("update"), nowhere),
            (Method::PATCH, &item, Some("patch"), nowhere),
            (Method::DELETE, &item, Some("delete"), nowhere),
            (Method::POST, &item, None, nowhere),
        ];
        for (method, path, verb, code) in requests {
            if verb.is_some_and(|v| self.entry.can(v)) {
                continue;
            }
            let answer = self.send(method.clone(), path, &Value::Null).await;
            expect(&format!("{method} {path} is not promised"), code, &answer)?;
        }
        if self.entry.namespaced && self.entry.can("list") {
            let everywhere = format!("{}/{}", self.entry.root, self.entry.name);
            for method in [Method::POST, Method::DELETE] {
                let answer = self.send(method.clone(), &everywhere, &Value::Null).await;
                expect(&format!("{method} over all namespaces"), 405, &answer)?;
            }
        }
        Ok(())
    }

    async fn watch(&self, after: u64) -> Result<Events, String> {
        let path = format!(
            "{}?watch=true&resourceVersion={after}&labelSelector=of={}&timeoutSeconds=60",
            self.entry.collection(&self.namespace),
            self.namespace
        );
        let answer = self.cluster.open(Method::GET, &path, &[], Bytes::new()).await;
        check!(answer.status() == 200, "watch: {}", answer.status());
        Ok(Events::new(answer.into_body()))
    }

    /// One object, from its creation to its end.
    async fn life(&self) -> Result<(), String> {
        let entry = &self.entry;
        if entry.verbs.iter().any(|v| v == "list") {
            let listed = self.get("list", &entry.collection(&self.namespace)).await?;
            check!(listed["kind"] == format!("{}List", entry.kind), "list: its kind is {}", listed["kind"]);
            check!(listed["apiVersion"] == entry.group_version.as_str(), "list: {}", listed["apiVersion"]);
        }
        if !entry.can("create") {
            return Ok(());
        }
        if !entry.can("get") {
            // Asked, not stored: no name.
            let body = self.body(&entry.group_version, &entry.kind, "").await?;
            let answer = self.cluster.post(&entry.collection(&self.namespace), &body).await;
            return expect("create", 201, &answer).map(|_| ());
        }
        let begin = self.get("list", &entry.collection(&self.namespace)).await?;
        let mut watch = self.watch(version_of(&begin)).await?;
        let mut body = self.body(&entry.group_version, &entry.kind, &format!("life-{}", self.number)).await?;
        body["metadata"]["labels"]["of"] = "dry".into();
        let dry = format!("{}?dryRun=All", entry.collection(&self.namespace));
        expect("create as a dry run", 201, &self.cluster.post(&dry, &body).await)?;
        let (made, path) = self.create(entry, "life").await?;
        let mut written = vec![version_of(&made)];
        let seen = self.get("get", &path).await?;
        check!(seen["metadata"]["uid"] == made["metadata"]["uid"], "get: another object: {seen}");
        for patch in PATCHES {
            let answer = self.patch(&path, patch, &made).await;
            if !self.takes(patch) {
                expect(patch, 415, &answer)?;
                continue;
            }
            let patched = expect(patch, 200, &answer)?;
            check!(patched["metadata"]["labels"]["walk"] == patch, "{patch}: changes nothing: {patched}");
            check!(patched["kind"] == made["kind"], "{patch}: answers {}", patched["kind"]);
            written.push(version_of(&patched));
        }
        written.push(self.update(&path).await?);
        for form in ["Table", "PartialObjectMetadata"] {
            let accept = format!("application/json;as={form};v=v1;g=meta.k8s.io");
            let answer = self.cluster.send(Method::GET, &path, &[("accept", &accept)], &Value::Null).await;
            let shown = expect(form, 200, &answer)?;
            check!(shown["kind"] == form, "as {form}: {}", shown["kind"]);
        }
        self.delete(&path).await?;
        self.told(&mut watch, &made, &written).await?;
        expect("get after the end", 404, &self.cluster.get(&path).await)?;
        Ok(())
    }

    /// Replaces the object by itself with another label. A controller in the server may be faster: then again.
    async fn update(&self, path: &str) -> Result<u64, String> {
        for _ in 0..10 {
            let mut object = self.get("get", path).await?;
            object["metadata"]["labels"]["walk"] = "update".into();
            let answer = self.send(Method::PUT, path, &object).await;
            if answer.code != 409 {
                let updated = expect("update", 200, &answer)?;
                check!(updated["metadata"]["labels"]["walk"] == "update", "update: changes nothing");
                return Ok(version_of(&updated));
            }
        }
        Err("update: always a conflict".into())
    }

    /// Deletes an object, and does what keeps it from ending.
    async fn delete(&self, path: &str) -> Result<(), String> {
        expect("delete", 200, &self.send(Method::DELETE, path, &Value::Null).await)?;
        self.finish(path).await
    }

    async fn finish(&self, path: &str) -> Result<(), String> {
        let answer = self.cluster.get(path).await;
        let mut left = answer.json();
        if answer.code == 404 {
            return Ok(());
        }
        check!(left["metadata"]["deletionTimestamp"].is_string(), "delete: still there: {left}");
        if left["spec"]["finalizers"].is_array() {
            left["spec"]["finalizers"] = json!([]);
            expect("finalize", 200, &self.send(Method::PUT, &format!("{path}/finalize"), &left).await)?;
        } else if left["metadata"]["finalizers"].as_array().is_some_and(|f| {
            // This one is the server's own work.
            !f.contains(&json!("customresourcecleanup.apiextensions.k8s.io"))
        }) {
            let headers = [("content-type", "application/merge-patch+json")];
            let none = json!({"metadata": {"finalizers": null}});
            let answer = self.cluster.send(Method::PATCH, path, &headers, &none).await;
            check!(matches!(answer.code, 200 | 404), "removing finalizers: {}", answer.json());
        }
        Ok(())
    }

    /// The watch tells the creation, every write in order, and the end.
    async fn told(&self, watch: &mut Events, made: &Value, written: &[u64]) -> Result<(), String> {
        let (mut last, mut seen) = (0, Vec::new());
        loop {
            let event = watch.next().await.map_err(|e| format!("{e} after {seen:?} of {written:?}"))?;
            let object = &event["object"];
            check!(object["metadata"]["uid"] == made["metadata"]["uid"], "watch: another object: {event}");
            check!(
                object["kind"] == made["kind"] && object["apiVersion"] == made["apiVersion"],
                "watch: shows {} {}",
                object["apiVersion"],
                object["kind"]
            );
            let version = version_of(object);
            check!(version > last, "watch: {version} after {last}");
            last = version;
            let kind = event["type"].as_str().unwrap_or_default();
            check!((kind == "ADDED") == seen.is_empty(), "watch: {kind} as event {}", seen.len());
            seen.push(version);
            if kind == "DELETED" {
                break;
            }
        }
        check!(written.iter().all(|v| seen.contains(v)), "watch: tells {seen:?}, written were {written:?}");
        Ok(())
    }

    /// Several objects, deleted at once.
    async fn collection(&self) -> Result<(), String> {
        let entry = &self.entry;
        if !entry.can("deletecollection") {
            return Ok(());
        }
        let selected = format!("{}?labelSelector=of={}", entry.collection(&self.namespace), self.namespace);
        let mut paths = Vec::new();
        for name in ["first", "second"] {
            paths.push(self.create(entry, name).await?.1);
        }
        let everywhere = format!("{}/{}?labelSelector=of={}", entry.root, entry.name, self.namespace);
        for path in [&selected, &everywhere] {
            let listed = self.get("list", path).await?;
            let count = listed["items"].as_array().map_or(0, Vec::len);
            check!(count == 2, "list {path}: {count} instead of 2");
        }
        let page = self.get("list a page", &format!("{selected}&limit=1")).await?;
        let token = page["metadata"]["continue"].as_str().unwrap_or_default();
        let rest = self.get("the next page", &format!("{selected}&limit=1&continue={token}")).await?;
        check!(
            rest["items"][0]["metadata"]["name"] != page["items"][0]["metadata"]["name"],
            "pages: the same"
        );
        let mut watch = self.watch(version_of(&rest)).await?;
        let answer = self.send(Method::DELETE, &selected, &Value::Null).await;
        expect("deletecollection", 200, &answer)?;
        for path in &paths {
            self.finish(path).await?;
        }
        let mut ended = 0;
        while ended < 2 {
            ended += usize::from(watch.next().await?["type"] == "DELETED");
        }
        let left = self.get("list", &selected).await?;
        check!(left["items"] == json!([]), "deletecollection: left {}", left["items"]);
        Ok(())
    }

    /// What is written in this version reads in every other; written back from there, nothing changes.
    async fn other_versions(&self) -> Result<(), String> {
        let entry = &self.entry;
        let same = |e: &&Entry| {
            e.hash == entry.hash
                && !e.hash.is_empty()
                && e.name == entry.name
                && e.group_version != entry.group_version
        };
        let others: Vec<&Entry> = self.all.iter().filter(same).collect();
        if others.is_empty() || !entry.can("create") {
            return Ok(());
        }
        let (made, path) = self.create(entry, "versions").await?;
        let name = made["metadata"]["name"].as_str().unwrap_or_default();
        for other in others {
            let there = format!("{}/{name}", other.collection(&self.namespace));
            let what = format!("in {}", other.group_version);
            for _ in 0..10 {
                let shown = self.get(&what, &there).await?;
                check!(
                    shown["apiVersion"] == other.group_version.as_str(),
                    "{what}: {}",
                    shown["apiVersion"]
                );
                check!(shown["metadata"]["uid"] == made["metadata"]["uid"], "{what}: another object");
                let answer = self.send(Method::PUT, &there, &shown).await;
                if answer.code == 409 {
                    continue;
                }
                let written = expect(&format!("{what} written back"), 200, &answer)?;
                // Events of one group forget who managed them in the other, as upstream's do.
                let group = |gv: &str| gv.split_once('/').map_or("", |(group, _)| group).to_owned();
                let forgets =
                    shown["kind"] == "Event" && group(&entry.group_version) != group(&other.group_version);
                check!(
                    forgets || version_of(&written) == version_of(&shown),
                    "{what} written back changes it: {shown} and {written}"
                );
                break;
            }
        }
        self.delete(&path).await
    }

    /// A subresource of an object of its own.
    async fn subresource(&self, sub: &Sub) -> Result<(), String> {
        // What has no verbs itself hangs on the resource of the same name that can be created.
        let parent = if self.entry.can("create") {
            Some(&self.entry)
        } else {
            self.all.iter().find(|e| e.name == self.entry.name && e.can("create"))
        };
        let parent = parent.ok_or("nothing to hang it on")?;
        let (made, path) = self.create(parent, &format!("sub-{}", sub.name)).await?;
        let name = made["metadata"]["name"].as_str().unwrap_or_default();
        let below = format!("{}/{}", self.item(name), sub.name);
        let verbs = [
            ("create", Method::POST),
            ("get", Method::GET),
            ("update", Method::PUT),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ];
        for (verb, method) in verbs {
            let promised = sub.verbs.iter().any(|v| v == verb);
            if !promised || RELAYED.contains(&sub.name.as_str()) {
                let answer = self.send(method, &below, &Value::Null).await;
                let refused = answer.code == 405;
                let nowhere = answer.json()["message"] == "the server could not find the requested resource";
                check!(refused != promised && !nowhere, "{verb}: {} {}", answer.code, answer.json());
                continue;
            }
            match verb {
                "create" => {
                    let mut body = self.body(&sub.group_version, &sub.kind, name).await?;
                    body["metadata"]["name"] = name.into();
                    let answer = self.cluster.post(&below, &body).await;
                    check!(matches!(answer.code, 200 | 201), "create: {} {}", answer.code, answer.json());
                }
                "get" => self.shows(sub, &self.get(verb, &below).await?)?,
                "update" => {
                    let from = if sub.verbs.iter().any(|v| v == "get") { &below } else { &path };
                    for attempt in 0..10 {
                        let shown = self.get(verb, from).await?;
                        let answer = self.send(Method::PUT, &below, &shown).await;
                        if answer.code != 409 || attempt == 9 {
                            self.shows(sub, &expect(verb, 200, &answer)?)?;
                            break;
                        }
                    }
                }
                "patch" => {
                    let shown = self.get(verb, &below).await?;
                    for patch in PATCHES.iter().filter(|p| self.takes(p)) {
                        self.shows(
                            sub,
                            &expect(patch, 200, &self.patch_empty(&below, patch, &shown).await)?,
                        )?;
                    }
                }
                _ => return Err(format!("{verb}: the walk does not know how to ask this")),
            }
        }
        let gone = self.send(Method::DELETE, &path, &Value::Null).await;
        check!(matches!(gone.code, 200 | 404), "delete: {}", gone.json());
        self.finish(&path).await
    }

    /// A patch that changes nothing: what may change differs by subresource.
    async fn patch_empty(&self, path: &str, patch: &str, shown: &Value) -> Answer {
        let body = match patch {
            "json-patch" => json!([]),
            "apply-patch" => json!({
                "apiVersion": shown["apiVersion"], "kind": shown["kind"],
                "metadata": {"name": shown["metadata"]["name"]},
            }),
            _ => json!({}),
        };
        let (suffix, query) =
            if patch == "apply-patch" { ("yaml", "?fieldManager=walk&force=true") } else { ("json", "") };
        let content_type = format!("application/{patch}+{suffix}");
        let headers = [("content-type", content_type.as_str())];
        self.cluster.send(Method::PATCH, &format!("{path}{query}"), &headers, &body).await
    }

    fn shows(&self, sub: &Sub, object: &Value) -> Result<(), String> {
        check!(
            object["kind"] == sub.kind.as_str() && object["apiVersion"] == sub.group_version.as_str(),
            "answers {} {} instead of {} {}",
            object["apiVersion"],
            object["kind"],
            sub.group_version,
            sub.kind
        );
        Ok(())
    }
}
