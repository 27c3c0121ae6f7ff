//! Kubeconfig files: where they are, how they merge, how they are written
//! (upstream: `client-go/tools/clientcmd`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::value::Json;

/// One kubeconfig, lists turned into maps by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kubeconfig {
    /// `clusters`: name → cluster.
    pub(crate) clusters: BTreeMap<String, Value>,
    /// `users`: name → user.
    pub(crate) users: BTreeMap<String, Value>,
    /// `contexts`: name → context.
    pub(crate) contexts: BTreeMap<String, Value>,
    /// `current-context`.
    pub(crate) current: String,
    /// `preferences`.
    pub(crate) preferences: Map<String, Value>,
}

/// Keys that hold paths; relative ones are relative to their file.
const CLUSTER_PATHS: &[&str] = &["certificate-authority"];
const USER_PATHS: &[&str] = &["client-certificate", "client-key", "tokenFile"];

impl Kubeconfig {
    /// Reads the file's form.
    pub(crate) fn from_value(v: &Value) -> Self {
        let named = |list: &str, key: &str| {
            v.list(list)
                .iter()
                .map(|e| {
                    let inner = e.get(key).filter(|i| i.is_object()).cloned();
                    (e.s("name").to_string(), inner.unwrap_or_else(|| json!({})))
                })
                .collect()
        };
        Kubeconfig {
            clusters: named("clusters", "cluster"),
            users: named("users", "user"),
            contexts: named("contexts", "context"),
            current: v.s("current-context").to_string(),
            preferences: v.get("preferences").and_then(Value::as_object).cloned().unwrap_or_default(),
        }
    }

    /// The file's form. Empty fields are left out, apart from those that v1.10 always writes.
    pub(crate) fn to_value(&self) -> Value {
        let list = |map: &BTreeMap<String, Value>, key: &str, always: &[&str]| -> Vec<Value> {
            map.iter()
                .map(|(name, inner)| {
                    let mut clean = Map::new();
                    for (k, v) in inner.as_object().into_iter().flatten() {
                        let empty = match v {
                            Value::Null | Value::Bool(false) => true,
                            Value::String(s) => s.is_empty(),
                            Value::Array(a) => a.is_empty(),
                            Value::Object(o) => o.is_empty(),
                            _ => false,
                        };
                        if !empty {
                            clean.insert(k.clone(), v.clone());
                        }
                    }
                    for a in always {
                        clean.entry(a.to_string()).or_insert_with(|| json!(""));
                    }
                    json!({ key: clean, "name": name })
                })
                .collect()
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": list(&self.clusters, "cluster", &["server"]),
            "contexts": list(&self.contexts, "context", &["cluster", "user"]),
            "users": list(&self.users, "user", &[]),
            "current-context": self.current,
            "preferences": self.preferences,
        })
    }

    /// Reads a file; a missing one is empty.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(t) => t,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(format!("Error loading config file \"{}\": {e}", path.display()).into()),
        };
        let value = crate::files::yaml_to_json(&text)
            .map_err(|e| format!("Error loading config file \"{}\": {e}", path.display()))?;
        Ok(Self::from_value(&value))
    }

    /// Writes the file, its folder first.
    pub(crate) fn write(&self, path: &Path) -> Result {
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir)?;
        }
        let text = crate::print::yaml::to_string(&self.to_value());
        let exists = path.exists();
        std::fs::write(path, text)?;
        if !exists {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(())
    }

    /// Makes relative paths relative to the working folder instead of the file's.
    fn resolve_paths(&mut self, file: &Path) {
        let base = absolute(file).parent().map(Path::to_path_buf).unwrap_or_default();
        self.each_path(|p| {
            if !p.is_empty() && !Path::new(&*p).is_absolute() {
                *p = base.join(&*p).to_string_lossy().into_owned();
            }
        });
    }

    /// Makes absolute paths below the file's folder relative to it.
    pub(crate) fn relativize_paths(&mut self, file: &Path) {
        let base = absolute(file).parent().map(Path::to_path_buf).unwrap_or_default();
        self.each_path(|p| {
            if let Ok(rest) = Path::new(&*p).strip_prefix(&base) {
                *p = rest.to_string_lossy().into_owned();
            }
        });
    }

    fn each_path(&mut self, mut f: impl FnMut(&mut String)) {
        for (map, keys) in [(&mut self.clusters, CLUSTER_PATHS), (&mut self.users, USER_PATHS)] {
            for inner in map.values_mut() {
                for key in keys {
                    if let Some(Value::String(p)) = inner.get_mut(*key) {
                        f(p);
                    }
                }
            }
        }
    }

    /// What is missing here is taken from the other one.
    fn merge(&mut self, other: Kubeconfig) {
        for (mine, theirs) in [
            (&mut self.clusters, other.clusters),
            (&mut self.users, other.users),
            (&mut self.contexts, other.contexts),
        ] {
            for (k, v) in theirs {
                mine.entry(k).or_insert(v);
            }
        }
        if self.current.is_empty() {
            self.current = other.current;
        }
        for (k, v) in other.preferences {
            self.preferences.entry(k).or_insert(v);
        }
    }
}

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// `--kubeconfig`.
    pub(crate) explicit: Option<PathBuf>,
    /// `$KUBECONFIG` or the home folder's file.
    pub(crate) precedence: Vec<PathBuf>,
}

impl Files {
    /// By flag and environment.
    pub(crate) fn find(explicit: &str) -> Self {
        let precedence = match std::env::var("KUBECONFIG") {
            Ok(v) if !v.is_empty() => v.split(':').filter(|p| !p.is_empty()).map(PathBuf::from).collect(),
            _ => {
                let home = std::env::var("HOME").unwrap_or_default();
                vec![Path::new(&home).join(".kube/config")]
            }
        };
        let explicit = (!explicit.is_empty()).then(|| PathBuf::from(explicit));
        Files { explicit, precedence }
    }

    /// All files merged, as they are written (`config view`).
    pub(crate) fn load_raw(&self) -> Result<Kubeconfig> {
        self.load_with(|_, _| ())
    }

    /// All files merged, paths made usable from here.
    pub(crate) fn load(&self) -> Result<Kubeconfig> {
        if let Some(e) = &self.explicit
            && !e.exists()
        {
            return Err(format!("stat {}: no such file or directory", e.display()).into());
        }
        self.load_with(Kubeconfig::resolve_paths)
    }

    fn load_with(&self, f: impl Fn(&mut Kubeconfig, &Path)) -> Result<Kubeconfig> {
        let mut all = Kubeconfig::default();
        let files = match &self.explicit {
            Some(e) => std::slice::from_ref(e),
            None => &self.precedence,
        };
        for file in files {
            let mut one = Kubeconfig::read(file)?;
            f(&mut one, file);
            all.merge(one);
        }
        Ok(all)
    }

    /// The file that an entry is written to: where it is already, or the default one.
    pub(crate) fn target(&self, has: impl Fn(&Kubeconfig) -> bool) -> PathBuf {
        if let Some(e) = &self.explicit {
            return e.clone();
        }
        let holder = self
            .precedence
            .iter()
            .find(|p| Kubeconfig::read(p).is_ok_and(|k| has(&k)))
            .or_else(|| self.precedence.iter().find(|p| p.exists()))
            .or_else(|| self.precedence.last());
        holder.cloned().unwrap_or_default()
    }
}

/// The configuration of a process in a pod: the server by environment, token and CA from files.
pub(crate) fn in_cluster(account: &Path) -> Option<Kubeconfig> {
    let (host, port) =
        (std::env::var("KUBERNETES_SERVICE_HOST").ok()?, std::env::var("KUBERNETES_SERVICE_PORT").ok()?);
    let token = account.join("token");
    if host.is_empty() || !token.exists() {
        return None;
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let namespace = std::fs::read_to_string(account.join("namespace")).unwrap_or_default();
    let one = |v: Value| BTreeMap::from([("in-cluster".to_string(), v)]);
    Some(Kubeconfig {
        clusters: one(
            json!({"server": format!("https://{host}:{port}"), "certificate-authority": account.join("ca.crt")}),
        ),
        users: one(json!({"tokenFile": token})),
        contexts: one(json!({"cluster": "in-cluster", "user": "in-cluster", "namespace": namespace.trim()})),
        current: "in-cluster".into(),
        preferences: Map::new(),
    })
}

/// The path from the root, without looking at the disk.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The flags that choose or replace parts of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--context`.
    pub(crate) context: String,
    /// `--cluster`.
    pub(crate) cluster: String,
    /// `--user`.
    pub(crate) user: String,
    /// `--namespace`.
    pub(crate) namespace: String,
    /// `--server`.
    pub(crate) server: String,
    /// Fields that replace the cluster's.
    pub(crate) cluster_fields: Map<String, Value>,
    /// Fields that replace the user's.
    pub(crate) user_fields: Map<String, Value>,
}

/// What the client needs.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The cluster with its overrides; `server` is set.
    pub(crate) cluster: Value,
    /// The user with its overrides.
    pub(crate) user: Value,
    /// The namespace, and whether a flag said so.
    pub(crate) namespace: String,
    /// Did `--namespace` name it?
    pub(crate) namespace_given: bool,
}

/// Chooses cluster, user and namespace (upstream: `DirectClientConfig.ClientConfig`).
pub(crate) fn choose(config: &Kubeconfig, o: &Overrides) -> Result<Target> {
    let bad = |what: String| Error::Plain(format!("Error in configuration: {what}"));
    let name = if o.context.is_empty() { &config.current } else { &o.context };
    let context = match config.contexts.get(name) {
        Some(c) => c.clone(),
        None if name.is_empty() => json!({}),
        None if o.context.is_empty() && !o.server.is_empty() => json!({}),
        None => {
            return Err(bad(format!("context was not found for specified context: {name}")));
        }
    };
    let pick = |over: &str, key: &str| {
        if over.is_empty() { context.s(key).to_string() } else { over.to_string() }
    };
    let (cluster_name, user_name) = (pick(&o.cluster, "cluster"), pick(&o.user, "user"));
    let find = |map: &BTreeMap<String, Value>, name: &str, what: &str| match map.get(name) {
        Some(v) => Ok(v.clone()),
        None if name.is_empty() => Ok(json!({})),
        None => Err(bad(format!("{what} \"{name}\" does not exist"))),
    };
    let mut cluster = match find(&config.clusters, &cluster_name, "cluster") {
        Err(_) if !o.server.is_empty() => json!({}),
        found => found?,
    };
    let mut user = find(&config.users, &user_name, "auth info")?;
    if let Value::Object(c) = &mut cluster {
        for (k, v) in &o.cluster_fields {
            if k == "insecure-skip-tls-verify" && v == &json!(true) {
                c.remove("certificate-authority");
                c.remove("certificate-authority-data");
            }
            if k == "certificate-authority" {
                c.remove("certificate-authority-data");
            }
            c.insert(k.clone(), v.clone());
        }
        if !o.server.is_empty() {
            c.insert("server".into(), json!(o.server));
        }
        if c.get("server").and_then(Value::as_str).unwrap_or("").is_empty() {
            c.insert("server".into(), json!("localhost:8080"));
        }
    }
    if let Value::Object(u) = &mut user {
        for (k, v) in &o.user_fields {
            // A token given by flag wins over whatever else would log in.
            if k == "token" {
                for other in [
                    "tokenFile",
                    "username",
                    "password",
                    "client-certificate",
                    "client-certificate-data",
                    "client-key",
                    "client-key-data",
                    "exec",
                    "auth-provider",
                ] {
                    u.remove(other);
                }
            }
            u.insert(k.clone(), v.clone());
        }
    }
    let given = !o.namespace.is_empty();
    let namespace = match (given, context.s("namespace")) {
        (true, _) => o.namespace.clone(),
        (false, "") => "default".into(),
        (false, n) => n.to_string(),
    };
    Ok(Target { cluster, user, namespace, namespace_given: given })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_config_writes_its_skeleton() {
        assert_eq!(
            crate::print::yaml::to_string(&Kubeconfig::default().to_value()),
            "apiVersion: v1\nclusters: []\ncontexts: []\ncurrent-context: \"\"\nkind: Config\npreferences: {}\nusers: []\n"
        );
    }

    #[test]
    fn flags_win_over_the_context() {
        let mut k = Kubeconfig { current: "c".into(), ..Default::default() };
        k.contexts.insert("c".into(), json!({"cluster": "k", "user": "", "namespace": "ns"}));
        k.clusters.insert("k".into(), json!({"server": "http://a"}));
        let t = choose(&k, &Overrides::default()).unwrap();
        assert_eq!(
            (t.cluster.s("server"), t.namespace.as_str(), t.namespace_given),
            ("http://a", "ns", false)
        );
        let o = Overrides { server: "http://b".into(), namespace: "x".into(), ..Default::default() };
        let t = choose(&k, &o).unwrap();
        assert_eq!((t.cluster.s("server"), t.namespace.as_str(), t.namespace_given), ("http://b", "x", true));
        let e = choose(&k, &Overrides { context: "nope".into(), ..Default::default() }).unwrap_err();
        assert_eq!(e.text(), "Error in configuration: context was not found for specified context: nope");
    }
}
