//! What is read of a request before its body: path, query, headers, options.
#![no_main]

use apiserver::handlers::options::{DeleteOptions, ListOptions, WriteOptions};
use apiserver::negotiate::{self, Transforms};
use apiserver::request::{Info, Query};
use http::{HeaderMap, HeaderValue, Method, header};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let method = u.choose(&[
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::TRACE,
    ])?;
    let query = query(u)?;
    let query = Query::parse(Some(&query));
    let path = path(u)?;
    let info = Info::parse(method, &path, query.flag("watch"));
    assert!(info.is_resource || info.resource.is_empty());
    let _ = ListOptions::parse(&query, u.arbitrary()?);
    let _ = DeleteOptions::from_query(&query);
    let _ = DeleteOptions::from_body(&fuzz::any(u, 4)?);
    for kind in ["CreateOptions", "UpdateOptions", "PatchOptions"] {
        let _ = WriteOptions::parse(&query, kind, u.arbitrary()?);
    }
    let mut headers = HeaderMap::new();
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::ACCEPT_ENCODING, header::USER_AGENT] {
        let mut value = String::new();
        for _ in 0..u.int_in_range(0..=9u8)? {
            value.push_str(u.choose(&[
                "application/json",
                "application/yaml",
                "application/",
                "*/*",
                "*",
                "/",
                ";",
                ",",
                "as=Table",
                "g=meta.k8s.io",
                "v=v1",
                "q=0.5",
                "q=NaN",
                "q=-1",
                "stream=watch",
                "pretty=1",
                "charset=utf-8",
                "gzip",
                "curl",
                " ",
                "=",
                "as=",
                "application/vnd.kubernetes.protobuf",
                "as=PartialObjectMetadataList",
            ])?);
        }
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
    for transforms in [Transforms::None, Transforms::Objects] {
        let _ = negotiate::negotiate(&headers, query.get("pretty"), transforms);
    }
    let _ = negotiate::content_type(&headers);
    Ok(())
}

fn path(u: &mut Unstructured<'_>) -> Result<String> {
    let mut out = String::new();
    for _ in 0..u.int_in_range(0..=12u8)? {
        out.push('/');
        out.push_str(u.choose(&[
            "api",
            "apis",
            "v1",
            "apps",
            "namespaces",
            "default",
            "pods",
            "a",
            "status",
            "watch",
            "proxy",
            "",
            "%2f",
            "%",
            "%00",
            "..",
        ])?);
    }
    if u.int_in_range(0..=9u8)? == 0 {
        out.push_str(&fuzz::text(u)?);
    }
    Ok(out)
}

fn query(u: &mut Unstructured<'_>) -> Result<String> {
    let mut out = String::new();
    for _ in 0..u.int_in_range(0..=6u8)? {
        out.push_str(u.choose(&[
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "resourceVersionMatch",
            "limit",
            "continue",
            "watch",
            "timeoutSeconds",
            "dryRun",
            "fieldManager",
            "fieldValidation",
            "force",
            "gracePeriodSeconds",
            "propagationPolicy",
            "orphanDependents",
            "sendInitialEvents",
            "pretty",
            "%",
            ";",
        ])?);
        out.push('=');
        out.push_str(&fuzz::text(u)?);
        out.push('&');
    }
    Ok(out)
}
