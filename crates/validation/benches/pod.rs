//! What the steps of a write cost, on an ordinary pod of 3 KB: `scripts/bench micro`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot run shall end")]

use api::decode::{FieldValidation, Target, decode};
use api::kinds::{Era, Resource, builtin};
use api::selector::LabelSelector;
use api::{Value, defaults};
use divan::{Bencher, black_box};
use validation::{Context, validate_create, validate_update};

const NEW: &[u8] = include_bytes!("../../bench/data/new-pod.json");
const STORED: &[u8] = include_bytes!("../../bench/data/stored-pod.json");

fn main() {
    divan::main();
}

fn pods() -> &'static Resource {
    builtin().lookup("", "v1", "pods").unwrap()
}

fn decoded(body: &[u8]) -> Value {
    let target = Target::of(pods()).unwrap();
    decode(&target, body, FieldValidation::Strict).unwrap().object
}

fn context() -> Context<'static> {
    Context { group: "", version: "v1", era: Era::Now, allow_privileged: true }
}

#[divan::bench]
fn decode_a_new_pod() -> Value {
    decoded(black_box(NEW))
}

#[divan::bench]
fn decode_a_stored_pod() -> Value {
    decoded(black_box(STORED))
}

#[divan::bench]
fn default(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| decoded(NEW)).bench_refs(|pod| defaults::apply(pods(), pod));
}

#[divan::bench]
fn validate_a_new_pod(bencher: Bencher<'_, '_>) {
    let pod = decoded(STORED);
    bencher.bench(|| validate_create("", "Pod", black_box(&pod), &context()));
}

#[divan::bench]
fn validate_a_changed_pod(bencher: Bencher<'_, '_>) {
    let old = decoded(STORED);
    let mut new = old.clone();
    new["metadata"]["labels"]["app"] = "other".into();
    bencher.bench(|| validate_update("", "Pod", black_box(&new), black_box(&old), &context()));
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let pod = decoded(STORED);
    bencher.bench(|| api::json::to_vec(black_box(&pod)));
}

#[divan::bench]
fn copy(bencher: Bencher<'_, '_>) {
    let pod = decoded(STORED);
    bencher.bench(|| black_box(&pod).clone());
}

#[divan::bench]
fn match_labels(bencher: Bencher<'_, '_>) {
    let pod = decoded(STORED);
    let selector = LabelSelector::parse("app=app-01,tier in (frontend, backend),!canary").unwrap();
    bencher.bench(|| selector.matches(black_box(&pod)["metadata"]["labels"].as_object()));
}
