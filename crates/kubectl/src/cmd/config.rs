//! `kubectl config` (upstream v1.10: `pkg/kubectl/cmd/config`).

use base64::Engine as _;
use serde_json::{Value, json};

use crate::cli::Flags;
use crate::config::{Kubeconfig, absolute};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::{json, out, tabwriter, yaml};
use crate::value::{Json, remove, set};

/// Changes the file that holds what `has` finds, or the default one.
fn modify(
    ctx: &Context,
    has: impl Fn(&Kubeconfig) -> bool,
    change: impl FnOnce(&mut Kubeconfig) -> Result,
) -> Result {
    let path = ctx.files.target(has);
    let mut config = Kubeconfig::read(&path)?;
    change(&mut config)?;
    config.relativize_paths(&path);
    config.write(&path)
}

fn one_name<'a>(flags: &Flags, words: &'a [String]) -> Result<&'a str> {
    match words {
        [name] => Ok(name),
        _ => Err(flags.usage(format!("Unexpected args: [{}]", words.join(" ")))),
    }
}

/// A file's content in base64, or its absolute path.
fn file(flags: &Flags, flag: &str, embed: bool, what: &str) -> Result<(String, String)> {
    let path = flags.str(flag);
    if !embed {
        return Ok((
            flag_key(flag).to_string(),
            absolute(std::path::Path::new(path)).to_string_lossy().into_owned(),
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("Could not read {what} data from {path}: {e}"))?;
    Ok((format!("{}-data", flag_key(flag)), base64::engine::general_purpose::STANDARD.encode(bytes)))
}

fn flag_key(flag: &str) -> &str {
    flag
}

/// `config set-cluster`.
pub(crate) fn set_cluster(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let embed = flags.bool("embed-certs");
    let authority = flags.str("certificate-authority");
    if flags.bool("insecure-skip-tls-verify") && !authority.is_empty() {
        return Err("you cannot specify a certificate authority and insecure mode at the same time".into());
    }
    if embed && authority.is_empty() {
        return Err("you must specify a --certificate-authority to embed".into());
    }
    modify(
        ctx,
        |k| k.clusters.contains_key(name),
        |k| {
            let c = k.clusters.entry(name.into()).or_insert_with(|| json!({}));
            if flags.changed("server") {
                set(c, "server", json!(flags.str("server")));
            }
            if flags.changed("api-version") {
                remove(c, "api-version");
            }
            if flags.changed("insecure-skip-tls-verify") {
                set(c, "insecure-skip-tls-verify", json!(flags.bool("insecure-skip-tls-verify")));
                if flags.bool("insecure-skip-tls-verify") {
                    remove(c, "certificate-authority");
                    remove(c, "certificate-authority-data");
                }
            }
            if flags.changed("certificate-authority") {
                for key in ["certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"]
                {
                    remove(c, key);
                }
                if !authority.is_empty() {
                    let (key, value) = file(flags, "certificate-authority", embed, "certificate-authority")?;
                    set(c, &key, json!(value));
                }
            }
            Ok(())
        },
    )?;
    out(&format!("Cluster \"{name}\" set.\n"))
}

/// `config set-credentials`.
pub(crate) fn set_credentials(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let embed = flags.bool("embed-certs");
    let mut methods = Vec::new();
    if !flags.str("token").is_empty() {
        methods.push("--token");
    }
    if !flags.str("username").is_empty() || !flags.str("password").is_empty() {
        methods.push("--username/--password");
    }
    if methods.len() > 1 {
        return Err(format!(
            "you cannot specify more than one authentication method at the same time: {}",
            methods.join(", ")
        )
        .into());
    }
    if embed && flags.str("client-certificate").is_empty() && flags.str("client-key").is_empty() {
        return Err("you must specify a --client-certificate or --client-key to embed".into());
    }
    modify(
        ctx,
        |k| k.users.contains_key(name),
        |k| {
            let u = k.users.entry(name.into()).or_insert_with(|| json!({}));
            for flag in ["client-certificate", "client-key"] {
                if flags.changed(flag) {
                    remove(u, flag);
                    remove(u, &format!("{flag}-data"));
                    if !flags.str(flag).is_empty() {
                        let (key, value) = file(flags, flag, embed, flag)?;
                        set(u, &key, json!(value));
                    }
                }
            }
            if flags.changed("token") {
                set(u, "token", json!(flags.str("token")));
                if !flags.str("token").is_empty() {
                    remove(u, "username");
                    remove(u, "password");
                }
            }
            for key in ["username", "password"] {
                if flags.changed(key) {
                    set(u, key, json!(flags.str(key)));
                    if !flags.str(key).is_empty() {
                        remove(u, "token");
                    }
                }
            }
            if flags.changed("auth-provider") {
                set(u, "auth-provider", json!({"name": flags.str("auth-provider"), "config": null}));
            }
            for pair in flags.list("auth-provider-arg") {
                let (key, value) =
                    pair.trim_end_matches('-').split_once('=').unwrap_or((pair.trim_end_matches('-'), ""));
                match pair.ends_with('-') {
                    true => drop(remove(u, &format!("auth-provider.config.{key}"))),
                    false => set(u, &format!("auth-provider.config.{key}"), json!(value)),
                }
            }
            Ok(())
        },
    )?;
    out(&format!("User \"{name}\" set.\n"))
}

/// `config set-context`.
pub(crate) fn set_context(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let current;
    let name = if flags.bool("current") && words.is_empty() {
        current = ctx.files.load_raw()?.current;
        if current.is_empty() {
            return Err("no current context is set".into());
        }
        current.as_str()
    } else {
        one_name(flags, words)?
    };
    let mut existed = false;
    modify(
        ctx,
        |k| k.contexts.contains_key(name),
        |k| {
            existed = k.contexts.contains_key(name);
            let c = k.contexts.entry(name.into()).or_insert_with(|| json!({}));
            for (flag, key) in [("cluster", "cluster"), ("user", "user"), ("namespace", "namespace")] {
                if flags.changed(flag) {
                    set(c, key, json!(flags.str(flag)));
                }
            }
            Ok(())
        },
    )?;
    out(&format!("Context \"{name}\" {}.\n", if existed { "modified" } else { "created" }))
}

/// `config use-context`.
pub(crate) fn use_context(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    if !ctx.files.load_raw()?.contexts.contains_key(name) {
        return Err(format!("no context exists with the name: \"{name}\".").into());
    }
    modify(
        ctx,
        |k| !k.current.is_empty(),
        |k| {
            k.current = name.into();
            Ok(())
        },
    )?;
    out(&format!("Switched to context \"{name}\".\n"))
}

/// `config current-context`.
pub(crate) fn current_context(ctx: &mut Context, _: &Flags, _: &[String]) -> Result {
    match ctx.files.load_raw()?.current.as_str() {
        "" => Err("current-context is not set".into()),
        c => out(&format!("{c}\n")),
    }
}

/// `config rename-context`.
pub(crate) fn rename_context(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let [old, new] = words else {
        return Err(flags.usage(format!("Unexpected args: [{}]", words.join(" "))));
    };
    let path = ctx.files.target(|k| k.contexts.contains_key(old));
    modify(
        ctx,
        |k| k.contexts.contains_key(old),
        |k| {
            if k.contexts.contains_key(new) {
                return Err(format!(
                    "cannot rename the context \"{old}\", the context \"{new}\" already exists in {}",
                    path.display()
                )
                .into());
            }
            let c = k.contexts.remove(old).ok_or_else(|| {
                format!("cannot rename the context \"{old}\", it's not in {}", path.display())
            })?;
            k.contexts.insert(new.clone(), c);
            if k.current == *old {
                k.current.clone_from(new);
            }
            Ok(())
        },
    )?;
    out(&format!("Context \"{old}\" renamed to \"{new}\".\n"))
}

/// `config delete-context`.
pub(crate) fn delete_context(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let path = ctx.files.target(|k| k.contexts.contains_key(name));
    modify(
        ctx,
        |k| k.contexts.contains_key(name),
        |k| {
            if k.current == name {
                eprintln!(
                    "warning: this removed your active context, use \"kubectl config use-context\" to select a different one"
                );
            }
            k.contexts
                .remove(name)
                .map(|_| ())
                .ok_or_else(|| format!("cannot delete context {name}, not in {}", path.display()).into())
        },
    )?;
    out(&format!("deleted context {name} from {}\n", path.display()))
}

/// `config delete-cluster`.
pub(crate) fn delete_cluster(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let path = ctx.files.target(|k| k.clusters.contains_key(name));
    modify(
        ctx,
        |k| k.clusters.contains_key(name),
        |k| {
            k.clusters
                .remove(name)
                .map(|_| ())
                .ok_or_else(|| format!("cannot delete cluster {name}, not in {}", path.display()).into())
        },
    )?;
    out(&format!("deleted cluster {name} from {}\n", path.display()))
}

/// `config get-clusters`.
pub(crate) fn get_clusters(ctx: &mut Context, _: &Flags, _: &[String]) -> Result {
    let mut text = "NAME\n".to_string();
    for name in ctx.files.load_raw()?.clusters.keys() {
        text.push_str(&format!("{name}\n"));
    }
    out(&text)
}

/// `config get-contexts`.
pub(crate) fn get_contexts(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let format = flags.str("output");
    if !["", "name"].contains(&format) {
        return Err(format!("output must be one of '' or 'name': {format}").into());
    }
    let config = ctx.files.load_raw()?;
    let mut errors = Vec::new();
    let mut text = String::new();
    if format.is_empty() && !flags.bool("no-headers") {
        text.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    let names: Vec<String> =
        if words.is_empty() { config.contexts.keys().cloned().collect() } else { words.to_vec() };
    for name in names {
        let Some(c) = config.contexts.get(&name) else {
            errors.push(Error::Message(format!("context {name} not found")));
            continue;
        };
        if format == "name" {
            text.push_str(&format!("{name}\n"));
        } else {
            let star = if name == config.current { "*" } else { " " };
            text.push_str(&format!(
                "{star}\t{name}\t{}\t{}\t{}\n",
                c.s("cluster"),
                c.s("user"),
                c.s("namespace")
            ));
        }
    }
    out(&if format == "name" { text } else { tabwriter::table(&text) })?;
    Error::collect(errors)
}

/// `config view`.
pub(crate) fn view(ctx: &mut Context, flags: &Flags, _: &[String]) -> Result {
    let flatten = flags.bool("flatten");
    let mut config = if flatten { ctx.files.load()? } else { ctx.files.load_raw()? };
    if flags.bool("minify") {
        minify(&mut config, flags)?;
    }
    if flatten {
        embed(&mut config)?;
    } else if !flags.bool("raw") {
        for v in config.clusters.values_mut().chain(config.users.values_mut()) {
            for key in ["certificate-authority-data", "client-certificate-data", "client-key-data"] {
                if v.get(key).is_some() {
                    v[key] = "REDACTED".into();
                }
            }
        }
    }
    let value = config.to_value();
    match flags.str("output") {
        "json" => out(&json::to_string(&value)),
        "" | "yaml" => out(&yaml::to_string(&value)),
        _ => crate::print::output::format(flags)?.print_objects(&[&value], false, true),
    }
}

/// Keeps what the current context needs.
fn minify(config: &mut Kubeconfig, flags: &Flags) -> Result {
    let name =
        if flags.str("context").is_empty() { config.current.clone() } else { flags.str("context").into() };
    let context = match config.contexts.get(&name) {
        Some(c) => c.clone(),
        None if name.is_empty() => return Err("current-context must exist in order to minify".into()),
        None => return Err(format!("cannot locate context {name}").into()),
    };
    config.contexts.retain(|k, _| *k == name);
    config.clusters.retain(|k, _| k == context.s("cluster"));
    config.users.retain(|k, _| k == context.s("user"));
    config.current = name;
    Ok(())
}

/// Replaces paths of files by their content.
fn embed(config: &mut Kubeconfig) -> Result {
    for v in config.clusters.values_mut().chain(config.users.values_mut()) {
        for key in ["certificate-authority", "client-certificate", "client-key"] {
            let path = v.s(key).to_string();
            if path.is_empty() {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|e| format!("open {path}: {e}"))?;
            remove(v, key);
            set(v, &format!("{key}-data"), json!(base64::engine::general_purpose::STANDARD.encode(bytes)));
        }
    }
    Ok(())
}

/// A property's place: which map, which entry, which field.
enum Place {
    Current,
    Preference(String),
    Entry(&'static str, String, String),
}

/// Reads `clusters.k.server`; names may have dots in them, fields do not.
fn place(config: &Kubeconfig, path: &str) -> Result<Place> {
    if path == "current-context" {
        return Ok(Place::Current);
    }
    let bad = || Error::Message(format!("unable to parse {path} after {path}"));
    let (map, rest) = path.split_once('.').ok_or_else(bad)?;
    let (map, known) = match map {
        "clusters" => ("clusters", &config.clusters),
        "contexts" => ("contexts", &config.contexts),
        "users" => ("users", &config.users),
        "preferences" => return Ok(Place::Preference(rest.into())),
        _ => return Err(bad()),
    };
    let own = known
        .keys()
        .filter(|k| rest == k.as_str() || rest.strip_prefix(k.as_str()).is_some_and(|r| r.starts_with('.')));
    if let Some(k) = own.max_by_key(|k| k.len()) {
        let field = rest[k.len()..].trim_start_matches('.');
        return Ok(Place::Entry(map, k.clone(), field.into()));
    }
    match rest.rsplit_once('.') {
        Some((name, field)) => Ok(Place::Entry(map, name.into(), field.into())),
        None => Ok(Place::Entry(map, rest.into(), String::new())),
    }
}

fn entries<'a>(k: &'a mut Kubeconfig, map: &str) -> &'a mut std::collections::BTreeMap<String, Value> {
    match map {
        "clusters" => &mut k.clusters,
        "contexts" => &mut k.contexts,
        _ => &mut k.users,
    }
}

/// `config set`.
pub(crate) fn set_property(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let [path, text] = words else {
        return Err(flags.usage(format!("Unexpected args: [{}]", words.join(" "))));
    };
    modify(
        ctx,
        |_| false,
        |k| {
            match place(k, path)? {
                Place::Current => k.current.clone_from(text),
                Place::Preference(f) => {
                    k.preferences.insert(f, parse_bool(text).map_or(json!(text), |b| json!(b)));
                }
                Place::Entry(map, name, field) => {
                    let value = match field.as_str() {
                        "" => return Err(format!("can't set a map to a value: {path}").into()),
                        "insecure-skip-tls-verify" => json!(parse_bool(text).ok_or_else(|| format!(
                            "strconv.ParseBool: parsing \"{text}\": invalid syntax"
                        ))?),
                        f if f.ends_with("-data") && !flags.bool("set-raw-bytes") => json!(text),
                        f if f.ends_with("-data") => {
                            json!(base64::engine::general_purpose::STANDARD.encode(text))
                        }
                        _ => json!(text),
                    };
                    let entry = entries(k, map).entry(name).or_insert_with(|| json!({}));
                    set(entry, &field, value);
                }
            }
            Ok(())
        },
    )?;
    out(&format!("Property \"{path}\" set.\n"))
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `config unset`.
pub(crate) fn unset_property(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let path = one_name(flags, words)?;
    modify(
        ctx,
        |_| false,
        |k| {
            match path {
                "clusters" => k.clusters.clear(),
                "contexts" => k.contexts.clear(),
                "users" => k.users.clear(),
                "preferences" => k.preferences.clear(),
                _ => match place(k, path)? {
                    Place::Current => k.current.clear(),
                    Place::Preference(f) => drop(k.preferences.remove(&f)),
                    Place::Entry(map, name, field) if field.is_empty() => {
                        entries(k, map)
                            .remove(&name)
                            .map(|_| ())
                            .ok_or("current map key `".to_string() + &name + "` is invalid")?;
                    }
                    Place::Entry(map, name, field) => {
                        if let Some(e) = entries(k, map).get_mut(&name) {
                            remove(e, &field);
                        }
                    }
                },
            }
            Ok(())
        },
    )?;
    out(&format!("Property \"{path}\" unset.\n"))
}
