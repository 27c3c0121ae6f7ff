//! The phases of a run against an API server.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::load::{Load, MakeRequest};
use crate::process::Process;
use crate::report::Report;
use crate::target::{Flags, Target};
use crate::{Error, etcd, pods, watch};

const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// The size of a page, as kubectl asks for.
const PAGE: usize = 500;
/// Lists are asked for by so many clients: each answer is large.
const LIST_CLIENTS: usize = 2;

/// What `bench api` is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Flags,
    /// How many pods.
    #[arg(long, default_value_t = 5000)]
    pods: usize,
    /// How many clients at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many watchers.
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// How many patches the watchers see.
    #[arg(long, default_value_t = 1000)]
    patches: usize,
    /// How often each list is asked for.
    #[arg(long, default_value_t = 100)]
    lists: usize,
    /// Only these phases; pods are always created and deleted.
    #[arg(long, value_delimiter = ',', default_value = "get,list,watch,change")]
    phases: Vec<String>,
    /// The server's process; found by the port when it is on this machine.
    #[arg(long)]
    pid: Option<u32>,
    /// Where the server's etcd is, to write the same straight to it.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    etcd: Vec<String>,
    /// Results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One run.
struct Run {
    args: Args,
    load: Load,
    namespace: String,
    report: Report,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    if args.pods == 0 || args.clients == 0 {
        return Err(Error::Usage("--pods and --clients must be at least 1".into()));
    }
    let target = Arc::new(Target::new(&args.target)?);
    let server = args.pid.map(Process).or_else(|| Process::listening(target.port));
    let mut run = Run {
        load: Load { target, server },
        namespace: format!("bench-{}", std::process::id()),
        report: Report::default(),
        args,
    };
    run.prepare().await?;
    run.report.begin();
    let done = run.phases().await;
    run.clean_up().await?;
    done?;
    run.report.write(run.args.json.as_deref())
}

impl Run {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/pods{rest}", self.namespace)
    }

    /// One request; an error when it is refused.
    async fn ask(&self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let mut connection = self.load.target.connect().await?;
        match connection.send(request).await? {
            (200..=299, body) => Ok(body.to_vec()),
            (code, body) => Err(Error::Answer(format!("{code} {}", String::from_utf8_lossy(body)))),
        }
    }

    /// The namespace and what pods need in it.
    async fn prepare(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let version = self.ask(&target.request("GET", "/version", JSON)).await?;
        let version: Value = serde_json::from_slice(&version).unwrap_or_default();
        let version = version["gitVersion"].clone();
        println!("server {version}, process {:?}", self.load.server.map(|p| p.0));
        self.report.set("serverVersion", version);
        self.report.set("pods", self.args.pods.into());
        if let Some(server) = self.load.server {
            self.report.set("rssBytesBefore", server.rss().into());
        }
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        let body = namespace.to_string();
        self.ask(&target.with_body("POST", "/api/v1/namespaces", JSON, body.as_bytes())).await?;
        // Where no controller makes it, and admission wants it.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let path = format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace);
        let made = self.ask(&target.with_body("POST", &path, JSON, account.to_string().as_bytes())).await;
        match made {
            Err(Error::Answer(text)) if !text.starts_with("409 ") => Err(Error::Answer(text)),
            Err(error @ Error::Io(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes away what a failed run left, and the namespace.
    async fn clean_up(&self) -> Result<(), Error> {
        let path = self.path("?gracePeriodSeconds=0");
        self.ask(&self.load.target.request("DELETE", &path, JSON)).await?;
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.ask(&self.load.target.request("DELETE", &path, JSON)).await.map(|_| ())
    }

    async fn phase(
        &mut self,
        name: &str,
        clients: usize,
        ops: usize,
        make: MakeRequest,
    ) -> Result<(), Error> {
        let row = self.load.run(name, clients, ops, make).await?;
        self.report.add(row);
        Ok(())
    }

    /// A phase whose requests exist before it begins.
    async fn encoded(&mut self, name: &str, requests: Vec<Vec<u8>>) -> Result<(), Error> {
        let (clients, ops) = (self.args.clients, requests.len());
        let make = move |number: usize, out: &mut Vec<u8>| out.extend_from_slice(&requests[number]);
        self.phase(name, clients, ops, Arc::new(make)).await
    }

    /// A phase of one request many times.
    async fn same(&mut self, name: &str, clients: usize, ops: usize, request: Vec<u8>) -> Result<(), Error> {
        self.phase(name, clients, ops, Arc::new(move |_, out: &mut Vec<u8>| out.extend_from_slice(&request)))
            .await
    }

    async fn phases(&mut self) -> Result<(), Error> {
        self.creates().await?;
        let wanted = |name: &str| self.args.phases.iter().any(|p| p == name);
        let (get, list, watch, change) = (wanted("get"), wanted("list"), wanted("watch"), wanted("change"));
        if get {
            self.gets().await?;
        }
        if list {
            self.lists().await?;
        }
        if watch {
            self.watches().await?;
        }
        if change {
            self.changes().await?;
        }
        self.deletes().await
    }

    async fn creates(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let path = self.path("");
        let body = |n| pods::pod(&self.namespace, n).to_string();
        let requests =
            (0..self.args.pods).map(|n| target.with_body("POST", &path, JSON, body(n).as_bytes())).collect();
        self.encoded("create", requests).await?;
        if self.args.etcd.is_empty() {
            return Ok(());
        }
        let prefix = format!("/registry/pods/{}/", self.namespace);
        let like = etcd::any_key(&self.args.etcd, &prefix).await?;
        for row in etcd::writes(&self.args.etcd, like.as_deref(), self.args.clients, self.args.pods).await? {
            self.report.add(row);
        }
        Ok(())
    }

    async fn gets(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let pods = self.args.pods;
        // Not in the order of creation: a prime step visits all.
        let path = |n: usize| self.path(&format!("/{}", pods::name(n * 7919 % pods)));
        let requests = (0..pods * 4).map(|n| target.request("GET", &path(n), JSON)).collect();
        self.encoded("get", requests).await
    }

    async fn lists(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let lists = self.args.lists;
        let few = pods::with_first_app(self.args.pods);
        let (label, field) = (
            format!("?labelSelector=app%3D{}", pods::app(0)),
            format!("?fieldSelector=spec.nodeName%3D{}", pods::node(0)),
        );
        for (name, query, accept) in [
            ("list", "", JSON),
            ("list, version 0", "?resourceVersion=0", JSON),
            ("list as Table", "", TABLE),
            ("list by label", label.as_str(), JSON),
            ("list by field", field.as_str(), JSON),
            ("list by field, no index", "?fieldSelector=status.phase%3DRunning", JSON),
        ] {
            let request = target.request("GET", &self.path(query), accept);
            if accept == JSON {
                self.check_count(name, &request, few).await?;
            }
            // The short ones more often, so that their CPU time can be told from nothing.
            let often = if query.contains("Selector") { lists * 10 } else { lists };
            self.same(name, LIST_CLIENTS, often, request).await?;
        }
        self.pages().await
    }

    /// A list must have what was asked for, or its time means nothing.
    async fn check_count(&self, name: &str, request: &[u8], with_label: usize) -> Result<(), Error> {
        let list: Value = serde_json::from_slice(&self.ask(request).await?).unwrap_or_default();
        let found = list["items"].as_array().map_or(0, Vec::len);
        let wanted = match name {
            "list by label" => with_label,
            "list by field" => (0..self.args.pods).filter(|n| pods::node(*n) == pods::node(0)).count(),
            "list by field, no index" => return Ok(()),
            _ => self.args.pods,
        };
        if found == wanted {
            Ok(())
        } else {
            Err(Error::Answer(format!("{name}: {found} pods instead of {wanted}")))
        }
    }

    /// Whole passes in pages of [`PAGE`]: the tokens are found by a first pass, whose snapshot the others share.
    async fn pages(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let mut requests = Vec::new();
        let mut next = String::new();
        loop {
            let path = self.path(&format!("?limit={PAGE}&continue={next}"));
            let request = target.request("GET", &path, JSON);
            let page: Value = serde_json::from_slice(&self.ask(&request).await?).unwrap_or_default();
            requests.push(request);
            next = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if next.is_empty() {
                break;
            }
        }
        let ops = requests.len() * self.args.lists;
        let make = move |n: usize, out: &mut Vec<u8>| out.extend_from_slice(&requests[n % requests.len()]);
        self.phase("list, one page of 500", LIST_CLIENTS, ops, Arc::new(make)).await
    }

    /// All pods as the server has them, and the list's version.
    async fn all(&self) -> Result<(Vec<Value>, String), Error> {
        let list = self.ask(&self.load.target.request("GET", &self.path(""), JSON)).await?;
        let mut list: Value = serde_json::from_slice(&list).map_err(|e| Error::Answer(e.to_string()))?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        match list["items"].take() {
            Value::Array(items) => Ok((items, version)),
            _ => Err(Error::Answer("the list has no items".into())),
        }
    }

    async fn watches(&mut self) -> Result<(), Error> {
        if self.args.watchers == 0 || self.args.patches == 0 {
            return Ok(());
        }
        let (_, after) = self.all().await?;
        let plan = watch::Plan {
            namespace: self.namespace.clone(),
            pods: self.args.pods,
            watchers: self.args.watchers,
            patches: self.args.patches,
            clients: self.args.clients,
            after,
        };
        let (patches, events) = watch::run(&self.load, &plan).await?;
        self.report.add(patches);
        self.report.add(events);
        Ok(())
    }

    async fn changes(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let pods = self.args.pods;
        let (items, _) = self.all().await?;
        let mut requests = Vec::with_capacity(items.len());
        for mut pod in items {
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["annotations"]["bench/updated"] = "yes".into();
            let path = self.path(&format!("/{}", pod["metadata"]["name"].as_str().unwrap_or_default()));
            requests.push(target.with_body("PUT", &path, JSON, pod.to_string().as_bytes()));
        }
        self.encoded("update", requests).await?;
        let image = "registry.example.com/shop/web:1.17.4";
        let strategic = json!({"spec": {"containers": [{"name": "web", "image": image}]}});
        let merge = json!({"metadata": {"annotations": {"bench/merged": "yes"}}});
        let apply = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"bench": "applied"}}});
        for (name, kind, body, query) in [
            ("patch, strategic", "application/strategic-merge-patch+json", strategic, ""),
            ("patch, merge", "application/merge-patch+json", merge, ""),
            ("apply", "application/apply-patch+yaml", apply, "?fieldManager=bench-apply&force=true"),
        ] {
            let body = body.to_string();
            let path = |n| self.path(&format!("/{}{query}", pods::name(n)));
            let requests =
                (0..pods).map(|n| target.with_body("PATCH", &path(n), kind, body.as_bytes())).collect();
            self.encoded(name, requests).await?;
        }
        Ok(())
    }

    async fn deletes(&mut self) -> Result<(), Error> {
        let target = self.load.target.clone();
        let path = |n| self.path(&format!("/{}?gracePeriodSeconds=0", pods::name(n)));
        let requests = (0..self.args.pods).map(|n| target.request("DELETE", &path(n), JSON)).collect();
        self.encoded("delete", requests).await
    }
}
