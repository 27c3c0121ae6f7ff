//! The `kube` crate against our API server: what programs written with it do, over its own in-process transport.

// A test may panic; clippy knows that of the tests themselves, not of what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use apiserver::InProcess;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, EvictParams, ListParams, ObjectMeta, Patch, PatchParams,
    PostParams, Preconditions, WatchEvent, WatchParams,
};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::discovery::{self, Discovery, Scope, verbs};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::wait::{await_condition, conditions, delete::delete_and_finalize};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Error, ResourceExt};
use serde_json::json;

/// A server, and a client of it.
struct Cluster {
    client: Client,
    _running: InProcess,
}

impl Cluster {
    async fn start() -> Self {
        let running = InProcess::start(InProcess::options()).await.unwrap();
        Self { client: client::in_process_as(running.server().clone(), "kube-test"), _running: running }
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.client.clone())
    }
}

/// Nothing here takes long; a stream that never tells must not hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it takes too long")
}

fn code(error: &Error) -> u16 {
    match error {
        Error::Api(status) => status.code,
        other => panic!("no answer of the API: {other}"),
    }
}

fn map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([("of".into(), "test".into())])),
            ..Default::default()
        },
        data: Some(BTreeMap::from([("k".into(), value.into())])),
        ..Default::default()
    }
}

fn deployment(name: &str) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }))
    .unwrap()
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    )
    .unwrap()
}

#[tokio::test]
async fn objects_live_and_end() {
    let c = Cluster::start().await;
    let maps = c.maps();
    let made = maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    assert_eq!(code(&maps.create(&PostParams::default(), &map("a", "1")).await.unwrap_err()), 409);
    let mut wanted = maps.get("a").await.unwrap();
    assert_eq!(wanted, made);
    wanted.data.as_mut().unwrap().insert("k".into(), "2".into());
    let replaced = maps.replace("a", &PostParams::default(), &wanted).await.unwrap();
    assert_ne!(replaced.resource_version(), made.resource_version());
    let stale = maps.replace("a", &PostParams::default(), &wanted).await.unwrap_err();
    assert_eq!(code(&stale), 409);
    let meta = maps.get_metadata("a").await.unwrap();
    assert_eq!(meta.metadata.uid, made.metadata.uid);
    let other = Preconditions { uid: Some("other".into()), resource_version: None };
    let refused = maps.delete("a", &DeleteParams::default().preconditions(other)).await.unwrap_err();
    assert_eq!(code(&refused), 409);
    let status = maps.delete("a", &DeleteParams::default()).await.unwrap().right().unwrap();
    assert!(status.is_success());
    assert_eq!(maps.get_opt("a").await.unwrap(), None);
    maps.create(&PostParams { dry_run: true, ..Default::default() }, &map("dry", "1")).await.unwrap();
    assert_eq!(maps.get_opt("dry").await.unwrap(), None);
}

#[tokio::test]
async fn lists_come_in_pages_and_by_selector() {
    let c = Cluster::start().await;
    let maps = c.maps();
    for n in 0..7 {
        maps.create(&PostParams::default(), &map(&format!("m{n}"), "1")).await.unwrap();
    }
    let mut params = ListParams::default().labels("of=test").limit(3);
    let mut names = Vec::new();
    loop {
        let page = maps.list(&params).await.unwrap();
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, (0..7).map(|n| format!("m{n}")).collect::<Vec<_>>());
    let one = maps.list(&ListParams::default().fields("metadata.name=m3")).await.unwrap();
    assert_eq!(one.items.len(), 1);
    let metas = maps.list_metadata(&ListParams::default().labels("of in (test)")).await.unwrap();
    assert_eq!(metas.items.len(), 7);
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("of=test")).await.unwrap();
    assert!(maps.list(&ListParams::default().labels("of=test")).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn patches_change_what_they_say() {
    let c = Cluster::start().await;
    let api: Api<Deployment> = Api::default_namespaced(c.client.clone());
    api.create(&PostParams::default(), &deployment("web")).await.unwrap();
    let params = PatchParams::default();
    let images = |d: &Deployment| {
        let pod = d.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.containers.iter().map(|c| c.name.clone()).collect::<Vec<_>>()
    };
    let second = json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}});
    let patched = api.patch("web", &params, &Patch::Strategic(second.clone())).await.unwrap();
    assert_eq!(images(&patched), ["d", "c"], "lists of containers merge by name");
    let patched = api.patch("web", &params, &Patch::Merge(second)).await.unwrap();
    assert_eq!(images(&patched), ["d"], "and are replaced by a merge patch");
    let scaled =
        api.patch_scale("web", &params, &Patch::Merge(json!({"spec": {"replicas": 3}}))).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(3));
    let strategic = Patch::Strategic(json!({"spec": {"replicas": 4}}));
    assert_eq!(api.patch_scale("web", &params, &strategic).await.unwrap().spec.unwrap().replicas, Some(4));
    let mut scale = api.get_scale("web").await.unwrap();
    scale.spec.as_mut().unwrap().replicas = Some(5);
    api.replace_scale("web", &PostParams::default(), &scale).await.unwrap();
    assert_eq!(api.get("web").await.unwrap().spec.unwrap().replicas, Some(5));
    let status = Patch::Merge(json!({"status": {"replicas": 5, "observedGeneration": 1}}));
    api.patch_status("web", &params, &status).await.unwrap();
    assert_eq!(api.get_status("web").await.unwrap().status.unwrap().replicas, Some(5));
    let restarted = api.restart("web").await.unwrap();
    let annotations = restarted.spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert!(annotations.keys().any(|k| k.ends_with("restartedAt")));
}

#[tokio::test]
async fn apply_owns_fields() {
    let c = Cluster::start().await;
    let maps = c.maps();
    let body = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
    let made = maps.patch("a", &PatchParams::apply("one"), &Patch::Apply(body("1"))).await.unwrap();
    let owners = made.metadata.managed_fields.unwrap();
    assert_eq!(owners.iter().map(|o| o.manager.as_deref()).collect::<Vec<_>>(), [Some("one")]);
    let again = maps.patch("a", &PatchParams::apply("one"), &Patch::Apply(body("1"))).await.unwrap();
    assert_eq!(again.metadata.resource_version, made.metadata.resource_version, "nothing changed");
    let refused = maps.patch("a", &PatchParams::apply("two"), &Patch::Apply(body("2"))).await.unwrap_err();
    assert_eq!(code(&refused), 409);
    assert!(refused.to_string().contains("conflict with \"one\""), "{refused}");
    let forced = PatchParams::apply("two").force();
    let forced = maps.patch("a", &forced, &Patch::Apply(body("2"))).await.unwrap();
    assert_eq!(forced.data.unwrap()["k"], "2");
}

#[tokio::test]
async fn a_watch_tells_every_change_in_order() {
    let c = Cluster::start().await;
    let maps = c.maps();
    let begin = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let watch = maps.watch(&WatchParams::default().labels("of=test").timeout(5), &begin).await.unwrap();
    let told: Vec<_> = soon(
        watch.try_filter(|e| std::future::ready(!matches!(e, WatchEvent::Bookmark(_)))).take(3).try_collect(),
    )
    .await
    .unwrap();
    assert!(
        matches!(&told[..], [WatchEvent::Added(_), WatchEvent::Modified(_), WatchEvent::Deleted(_)]),
        "{told:?}"
    );
}

/// A reflector's memory becomes what the server has, whatever way it asks.
async fn reflects(config: watcher::Config) {
    let c = Cluster::start().await;
    let maps = c.maps();
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name, "1")).await.unwrap();
    }
    let (memory, writer) = reflector::store::<ConfigMap>();
    let stream = reflector::reflector(writer, watcher(maps.clone(), config.labels("of=test")));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(stream.touched_objects().for_each(move |object| {
        // Nobody listens any more when the test is over.
        let _ = tell.send(object);
        std::future::ready(())
    }));
    soon(memory.wait_until_ready()).await.unwrap();
    assert_eq!(memory.len(), 3);
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    maps.delete("b", &DeleteParams::default()).await.unwrap();
    maps.create(&PostParams::default(), &map("d", "1")).await.unwrap();
    let key = |name: &str| ObjectRef::<ConfigMap>::new(name).within("default");
    while memory.get(&key("d")).is_none() {
        soon(told.recv()).await.unwrap().unwrap();
    }
    assert_eq!(memory.get(&key("a")).unwrap().data.as_ref().unwrap()["k"], "2");
    assert!(memory.get(&key("b")).is_none());
    assert_eq!(memory.len(), 3);
}

#[tokio::test]
async fn a_reflector_follows_by_list_and_watch() {
    reflects(watcher::Config::default().page_size(2)).await;
}

#[tokio::test]
async fn a_reflector_follows_by_streamed_lists() {
    reflects(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn a_metadata_watcher_sees_only_metadata() {
    let c = Cluster::start().await;
    let maps = c.maps();
    maps.create(&PostParams::default(), &map("a", "1")).await.unwrap();
    let config = watcher::Config::default().labels("of=test");
    let metas: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(c.client.clone());
    let mut seen = watcher(metas, config).applied_objects().boxed();
    let first = soon(seen.try_next()).await.unwrap().unwrap();
    assert_eq!(first.name_any(), "a");
    assert_eq!(first.types.unwrap().kind, "PartialObjectMetadata");
}

#[tokio::test]
async fn discovery_finds_kinds_in_both_forms() {
    let c = Cluster::start().await;
    for found in [
        Discovery::new(c.client.clone()).run().await.unwrap(),
        Discovery::new(c.client.clone()).run_aggregated().await.unwrap(),
    ] {
        let kind = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (resource, can) = found.resolve_gvk(&kind).unwrap();
        assert_eq!((resource.plural.as_str(), can.scope), ("deployments", Scope::Namespaced));
        assert!(can.subresources.iter().any(|(r, _)| r.plural == "scale"), "{:?}", can.subresources);
        let apps = found.get("apps").unwrap();
        assert_eq!(apps.preferred_version_or_latest(), "v1");
        // Everything that can be listed can be listed by a program that knows nothing else.
        for group in found.groups() {
            for (resource, can) in group.recommended_resources() {
                if can.supports_operation(verbs::LIST) {
                    let api: Api<DynamicObject> = Api::all_with(c.client.clone(), &resource);
                    api.list(&ListParams::default()).await.unwrap_or_else(|e| panic!("{resource:?}: {e}"));
                }
            }
        }
    }
    let old = GroupVersionKind::gvk("extensions", "v1beta1", "Deployment");
    let (resource, _) = discovery::pinned_kind(&c.client, &old).await.unwrap();
    assert_eq!(resource.api_version, "extensions/v1beta1");
}

#[tokio::test]
async fn custom_resources_are_established_and_used() {
    let c = Cluster::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(c.client.clone());
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 3}}},
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    }});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}],
        },
    });
    definitions
        .patch("things.example.com", &PatchParams::apply("test"), &Patch::Apply(definition))
        .await
        .unwrap();
    let established =
        await_condition(definitions.clone(), "things.example.com", conditions::is_crd_established());
    soon(established).await.unwrap();
    let kind = GroupVersionKind::gvk("example.com", "v1", "Thing");
    let (resource, can) = discovery::pinned_kind(&c.client, &kind).await.unwrap();
    assert!(can.supports_operation(verbs::WATCH));
    let things: Api<DynamicObject> = Api::default_namespaced_with(c.client.clone(), &resource);
    let thing = |name: &str| DynamicObject::new(name, &resource).data(json!({"spec": {}}));
    let made = things.create(&PostParams::default(), &thing("a")).await.unwrap();
    assert_eq!(made.data["spec"]["size"], 3);
    let refused =
        things.patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": 0}}))).await;
    assert_eq!(code(&refused.unwrap_err()), 422);
    let strategic = things.patch("a", &PatchParams::default(), &Patch::Strategic(json!({}))).await;
    assert_eq!(code(&strategic.unwrap_err()), 415);
    let status = Patch::Merge(json!({"status": {"ready": true}, "spec": {"size": 9}}));
    let seen = things.patch_status("a", &PatchParams::default(), &status).await.unwrap();
    assert_eq!((&seen.data["status"]["ready"], &seen.data["spec"]["size"]), (&json!(true), &json!(3)));
    let mut watched = watcher(things.clone(), watcher::Config::default()).applied_objects().boxed();
    assert_eq!(soon(watched.try_next()).await.unwrap().unwrap().name_any(), "a");
    let uid = seen.uid().unwrap();
    soon(delete_and_finalize(things.clone(), "a", &DeleteParams::default())).await.unwrap();
    soon(await_condition(things.clone(), "a", conditions::is_deleted(&uid))).await.unwrap();
    soon(delete_and_finalize(definitions, "things.example.com", &DeleteParams::default())).await.unwrap();
    assert_eq!(code(&things.list(&ListParams::default()).await.unwrap_err()), 404);
}

#[tokio::test]
async fn an_object_with_a_finalizer_waits_for_it() {
    let c = Cluster::start().await;
    let maps = c.maps();
    let mut held = map("held", "1");
    held.metadata.finalizers = Some(vec!["example.com/held".into()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    let ending = maps.delete("held", &DeleteParams::foreground()).await.unwrap().left().unwrap();
    assert!(ending.metadata.deletion_timestamp.is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &free).await.unwrap();
    assert_eq!(maps.get_opt("held").await.unwrap(), None);
}

#[tokio::test]
async fn pods_are_evicted_nodes_cordoned() {
    let c = Cluster::start().await;
    let pods: Api<Pod> = Api::default_namespaced(c.client.clone());
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    assert!(pods.evict("p", &EvictParams::default()).await.unwrap().is_success());
    assert_eq!(pods.get_opt("p").await.unwrap(), None);
    let nodes: Api<Node> = Api::all(c.client.clone());
    let node =
        Node { metadata: ObjectMeta { name: Some("n".into()), ..Default::default() }, ..Default::default() };
    nodes.create(&PostParams::default(), &node).await.unwrap();
    nodes.cordon("n").await.unwrap();
    assert_eq!(nodes.get("n").await.unwrap().spec.unwrap().unschedulable, Some(true));
    nodes.uncordon("n").await.unwrap();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(c.client.clone());
    let none = accounts.get("nobody").await.unwrap_err();
    assert_eq!(code(&none), 404);
}

#[tokio::test]
async fn an_entry_is_changed_where_it_is() {
    let c = Cluster::start().await;
    let maps = c.maps();
    let mut entry = maps.entry("a").await.unwrap().or_insert(|| map("a", "1"));
    entry.commit(&PostParams::default()).await.unwrap();
    entry.get_mut().data.get_or_insert_default().insert("l".into(), "2".into());
    entry.commit(&PostParams::default()).await.unwrap();
    assert_eq!(maps.get("a").await.unwrap().data.unwrap().len(), 2);
    let resource = ApiResource::erase::<ConfigMap>(&());
    let untyped: Api<DynamicObject> = Api::default_namespaced_with(c.client.clone(), &resource);
    assert_eq!(untyped.get("a").await.unwrap().data["data"]["l"], "2");
}
