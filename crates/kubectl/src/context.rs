//! What a command works with: the flags for all commands, and the connection once it is needed.

use std::rc::Rc;

use serde_json::{Map, json};

use crate::cli::Flags;
use crate::config::{Files, Kubeconfig, Overrides, Target, choose};
use crate::discovery::Mapper;
use crate::error::Result;
use crate::http::Http;
use crate::openapi::Document;

/// Where a pod finds its credentials.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The surroundings of one command.
pub(crate) struct Context {
    /// The kubeconfig files.
    pub(crate) files: Files,
    overrides: Overrides,
    verbosity: i64,
    timeout: String,
    target: Option<Target>,
    http: Option<Rc<Http>>,
    mapper: Option<Rc<Mapper>>,
    openapi: Option<Option<Rc<Document>>>,
}

impl Context {
    /// Reads the flags; nothing is opened yet.
    pub(crate) fn new(flags: &Flags) -> Result<Self> {
        let (mut cluster_fields, mut user_fields) = (Map::new(), Map::new());
        if flags.changed("insecure-skip-tls-verify") {
            cluster_fields
                .insert("insecure-skip-tls-verify".into(), json!(flags.bool("insecure-skip-tls-verify")));
        }
        for (name, key) in
            [("certificate-authority", "certificate-authority"), ("tls-server-name", "tls-server-name")]
        {
            if !flags.global(name).is_empty() {
                cluster_fields.insert(key.into(), json!(flags.global(name)));
            }
        }
        for key in ["client-certificate", "client-key", "token", "username", "password", "as"] {
            if !flags.global(key).is_empty() {
                user_fields.insert(key.into(), json!(flags.global(key)));
            }
        }
        if flags.changed("as-group") {
            user_fields.insert("as-groups".into(), json!(flags.list("as-group")));
        }
        Ok(Context {
            files: Files::find(flags.global("kubeconfig")),
            overrides: Overrides {
                context: flags.global("context").into(),
                cluster: flags.global("cluster").into(),
                user: flags.global("user").into(),
                namespace: flags.global("namespace").into(),
                server: flags.global("server").into(),
                cluster_fields,
                user_fields,
            },
            verbosity: flags.int("v"),
            timeout: flags.global("request-timeout").into(),
            target: None,
            http: None,
            mapper: None,
            openapi: None,
        })
    }

    /// Cluster, user and namespace.
    pub(crate) fn target(&mut self) -> Result<&Target> {
        if self.target.is_none() {
            let mut config = self.files.load()?;
            if config == Kubeconfig::default()
                && self.overrides.server.is_empty()
                && let Some(c) = crate::config::in_cluster(std::path::Path::new(SERVICE_ACCOUNT))
            {
                config = c;
            }
            self.target = Some(choose(&config, &self.overrides)?);
        }
        self.target.as_ref().ok_or_else(|| "no configuration".into())
    }

    /// The namespace of this command.
    pub(crate) fn namespace(&mut self) -> Result<String> {
        Ok(self.target()?.namespace.clone())
    }

    /// The connection.
    pub(crate) fn http(&mut self) -> Result<Rc<Http>> {
        if let Some(h) = &self.http {
            return Ok(h.clone());
        }
        let seconds = timeout_seconds(&self.timeout)?;
        let verbosity = self.verbosity;
        let target = self.target()?;
        let http = Rc::new(Http::connect(target, seconds, verbosity)?);
        self.http = Some(http.clone());
        Ok(http)
    }

    /// The server's OpenAPI document, if it has one.
    pub(crate) fn openapi(&mut self) -> Option<Rc<Document>> {
        if self.openapi.is_none() {
            self.openapi = Some(Document::fetch(self).ok().map(Rc::new));
        }
        self.openapi.clone().flatten()
    }

    /// The server's resources.
    pub(crate) fn mapper(&mut self) -> Result<Rc<Mapper>> {
        if let Some(m) = &self.mapper {
            return Ok(m.clone());
        }
        let http = self.http()?;
        let mapper = Rc::new(Mapper::discover(&http)?);
        self.mapper = Some(mapper.clone());
        Ok(mapper)
    }
}

/// `--request-timeout` in seconds; 0 is none (upstream: `clientcmd.ParseTimeout`).
fn timeout_seconds(text: &str) -> Result<u64> {
    let seconds = match text.parse::<i64>() {
        Ok(n) => Some(n),
        Err(_) => crate::time::go_duration_ms(text).map(|ms| ms / 1000),
    };
    match seconds {
        Some(n) => Ok(n.max(0).unsigned_abs()),
        None if text.is_empty() => Ok(0),
        None => Err("Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a \
                     corresponding time unit (e.g. 1s | 2m | 3h)"
            .into()),
    }
}
