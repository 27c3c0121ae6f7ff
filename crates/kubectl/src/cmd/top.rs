//! `kubectl top`: asks heapster, as v1.10 did; there is none in today's clusters, and that is the answer.

use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::http::with_query;
use crate::print::{out, tabwriter};
use crate::value::{Json, plain};

const HEAPSTER: &str = "/api/v1/namespaces/kube-system/services/http:heapster:/proxy/apis/metrics/v1alpha1";

/// `top node`.
pub(crate) fn node(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let path = match words.first() {
        Some(n) => format!("{HEAPSTER}/nodes/{n}"),
        None => format!("{HEAPSTER}/nodes"),
    };
    show(ctx, flags, &path, "NAME\tCPU(cores)\tMEMORY(bytes)\n")
}

/// `top pod`.
pub(crate) fn pod(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let namespace = if flags.bool("all-namespaces") {
        String::new()
    } else {
        format!("/namespaces/{}", ctx.namespace()?)
    };
    let name = words.first().map(|n| format!("/{n}")).unwrap_or_default();
    show(ctx, flags, &format!("{HEAPSTER}{namespace}/pods{name}"), "NAME\tCPU(cores)\tMEMORY(bytes)\n")
}

fn show(ctx: &mut Context, flags: &Flags, path: &str, header: &str) -> Result {
    let answer = ctx.http()?.get(&with_query(path, &[("labelSelector", flags.str("selector"))])).map_err(|e| {
        if e.is_not_found() {
            crate::error::Error::Plain(
                "Error from server (NotFound): the server could not find the requested resource (get services http:heapster:)".into(),
            )
        } else {
            e
        }
    })?;
    let mut text = header.to_string();
    let one = [answer.clone()];
    for m in if answer.get("items").is_some() { answer.list("items") } else { &one[..] } {
        let usage = |k: &str| m.at(&format!("usage.{k}")).map(plain).unwrap_or_default();
        text.push_str(&format!("{}\t{}\t{}\n", m.s("metadata.name"), usage("cpu"), usage("memory")));
    }
    out(&tabwriter::table(&text))
}
