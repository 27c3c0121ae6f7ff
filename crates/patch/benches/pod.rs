//! What patches and managed fields cost, on an ordinary pod of 3 KB: `scripts/bench micro`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot run shall end")]

use api::schema::{self, Type};
use api::{Object, Value};
use divan::{Bencher, black_box};
use patch::apply::fieldpath::Set;
use patch::apply::manager::{self, Request, Versions};
use patch::schema::Typed;
use patch::strategic;
use serde_json::json;

const STORED: &[u8] = include_bytes!("../../bench/data/stored-pod.json");

fn main() {
    divan::main();
}

fn ty() -> Type {
    Type::Struct(schema::builtin().by_name("io.k8s.api.core.v1.Pod").unwrap())
}

fn stored() -> Object {
    serde_json::from_slice(STORED).unwrap()
}

fn fields(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

/// One version: nothing is converted.
struct One(Type);

impl<'a> Versions for &'a One {
    type Schema = Typed<'a>;

    fn schema(&self, _: &str) -> Option<Typed<'a>> {
        Some(Typed::new(schema::builtin(), &self.0))
    }
    fn convert(&self, object: &Object, _: &str, _: &str) -> Option<Object> {
        Some(object.clone())
    }
}

fn request<'a>(versions: &'a &'a One, empty: &'a Object, reset: &'a Set) -> Request<'a, &'a One> {
    Request {
        versions,
        version: "v1",
        subresource: "",
        manager: "bench",
        reset,
        empty,
        now: "2026-01-01T00:00:00Z",
    }
}

#[divan::bench]
fn strategic_merge(bencher: Bencher<'_, '_>) {
    let (ty, pod) = (ty(), stored());
    let schema = Typed::new(schema::builtin(), &ty);
    let patch = fields(json!({
        "metadata": {"annotations": {"a": "b"}}, "spec": {"containers": [{"name": "web", "image": "web:2"}]},
    }));
    bencher.bench(|| strategic::apply(black_box(&pod).clone(), &mut patch.clone(), &schema));
}

#[divan::bench]
fn managed_fields_of_a_new_pod(bencher: Bencher<'_, '_>) {
    let (one, empty, reset) = (One(ty()), Object::new(), Set::default());
    let mut pod = stored();
    pod["metadata"].as_object_mut().unwrap().remove("managedFields");
    bencher
        .with_inputs(|| pod.clone())
        .bench_refs(|pod| manager::update(&empty, pod, &request(&&one, &empty, &reset)));
}

#[divan::bench]
fn managed_fields_of_a_changed_pod(bencher: Bencher<'_, '_>) {
    let (one, empty, reset, old) = (One(ty()), Object::new(), Set::default(), stored());
    let mut new = old.clone();
    new["metadata"]["annotations"] = json!({"a": "b"});
    bencher
        .with_inputs(|| new.clone())
        .bench_refs(|new| manager::update(&old, new, &request(&&one, &empty, &reset)));
}

#[divan::bench]
fn apply_a_label(bencher: Bencher<'_, '_>) {
    let (one, empty, reset, old) = (One(ty()), Object::new(), Set::default(), stored());
    let config = fields(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"bench": "applied"}},
    }));
    bencher.bench(|| manager::apply(black_box(&old), &config, false, &request(&&one, &empty, &reset)));
}
