//! From arguments and files to objects (upstream: `pkg/kubectl/resource`, the Builder and its messages).

use std::rc::Rc;

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::discovery::{ALL, Mapper, Resource};
use crate::error::{Error, Result};
use crate::files::{self, Document};
use crate::http::with_query;
use crate::print::output::hide_managed_fields;
use crate::value::{Json, set};

/// One object that a command works on.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Its resource.
    pub(crate) resource: Rc<Resource>,
    /// Its namespace, "" when it has none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The object: the server's, or the file's.
    pub(crate) object: Value,
    /// The file that it came from, "" for arguments.
    pub(crate) source: String,
}

impl Info {
    /// The path of the object.
    pub(crate) fn path(&self) -> String {
        self.resource.path(&self.namespace, &self.name)
    }

    /// `deployment.apps "x" created`, or its short form with `-o name`.
    pub(crate) fn say(&self, done: &str, name_only: bool, dry_run: bool) -> Result {
        say(&self.resource.typed(), &self.name, done, name_only, dry_run)
    }

    /// The same with the kind's home group (commands that knew internal types only).
    pub(crate) fn say_internal(&self, done: &str, name_only: bool, dry_run: bool) -> Result {
        say(&self.resource.typed_internal(), &self.name, done, name_only, dry_run)
    }
}

/// Prints what was done (upstream: `PrintSuccess`).
pub(crate) fn say(typed: &str, name: &str, done: &str, name_only: bool, dry_run: bool) -> Result {
    if name_only {
        return crate::print::out(&format!("{typed}/{name}\n"));
    }
    let dry = if dry_run { " (dry run)" } else { "" };
    crate::print::out(&format!("{typed} \"{name}\" {done}{dry}\n"))
}

/// What the arguments name.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// One object by name.
    One(Rc<Resource>, String),
    /// All objects of a resource, or those that the selectors choose.
    Many(Rc<Resource>),
    /// An object in a file.
    Doc(Rc<Resource>, Document),
    /// An object in a file that the server has no resource for; the others go on.
    Failed(Error),
}

/// How a command reads its arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// A type alone is not enough: a name, a selector or `--all` is needed.
    pub(crate) need_name: bool,
    /// Files hold the whole truth: do not ask the server for their objects.
    pub(crate) local: bool,
    /// Several errors are collected; the rest goes on.
    pub(crate) flatten_errors: bool,
}

/// The message when nothing is named.
pub(crate) const NOTHING: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// Reads arguments and files.
pub(crate) fn wanted(
    ctx: &mut Context,
    flags: &Flags,
    words: &[String],
    need_name: bool,
) -> Result<Vec<Wanted>> {
    let names = flags.list("filename");
    if !names.is_empty() {
        if !words.is_empty() {
            return Err("when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well".into());
        }
        let documents = files::read_all(names, flags.bool("recursive"))?;
        let mapper = ctx.mapper()?;
        return Ok(documents
            .into_iter()
            .map(|d| match recognize(&mapper, &d) {
                Ok(r) => Wanted::Doc(r, d),
                Err(e) => Wanted::Failed(e),
            })
            .collect());
    }
    if words.is_empty() {
        return Err(NOTHING.into());
    }
    let selected = !flags.str("selector").is_empty();
    let slashes = words.iter().filter(|w| w.contains('/')).count();
    if slashes > 0 {
        if slashes < words.len() {
            return Err("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'".into());
        }
        if flags.bool("all-namespaces") {
            return Err("a resource cannot be retrieved by name across all namespaces".into());
        }
        if selected {
            return Err("name cannot be provided when a selector is specified".into());
        }
        let mut all = Vec::new();
        for w in words {
            let parts: Vec<&str> = w.split('/').collect();
            let [kind, name] = parts.as_slice() else {
                return Err("arguments in resource/name form may not have more than one slash".into());
            };
            if kind.is_empty() || name.is_empty() {
                return Err("arguments in resource/name form must have a single resource and name".into());
            }
            all.push(Wanted::One(ctx.mapper()?.resolve(kind)?, name.to_string()));
        }
        return Ok(all);
    }
    if words.len() > 1 && flags.bool("all-namespaces") {
        return Err("a resource cannot be retrieved by name across all namespaces".into());
    }
    if words.len() > 1 && selected {
        return Err("name cannot be provided when a selector is specified".into());
    }
    let mapper = ctx.mapper()?;
    let resources = types(&mapper, &words[0])?;
    if words.len() == 1 {
        if need_name && !selected && !flags.bool("all") {
            return Err(
                "resource(s) were provided, but no name, label selector, or --all flag specified".into()
            );
        }
        return Ok(resources.into_iter().map(Wanted::Many).collect());
    }
    let mut all = Vec::new();
    for r in resources {
        all.extend(words[1..].iter().map(|n| Wanted::One(r.clone(), n.clone())));
    }
    Ok(all)
}

/// `pods,svc`, `all`.
fn types(mapper: &Mapper, word: &str) -> Result<Vec<Rc<Resource>>> {
    let mut resources: Vec<Rc<Resource>> = Vec::new();
    for part in word.split(',').filter(|p| !p.is_empty()) {
        if part == "all" {
            resources.extend(ALL.iter().filter_map(|(plural, group)| mapper.in_group(plural, group)));
            continue;
        }
        match mapper.resolve(part) {
            Ok(r) => resources.push(r),
            Err(e) => {
                let mut of: Vec<Rc<Resource>> = Vec::new();
                for r in mapper.resources.iter().filter(|r| r.categories.iter().any(|c| c == part)) {
                    if !of.iter().any(|o| o.plural == r.plural && o.group == r.group) {
                        of.push(r.clone());
                    }
                }
                if of.is_empty() {
                    return Err(e);
                }
                resources.extend(of);
            }
        }
    }
    Ok(resources)
}

/// The resource of a file's object.
fn recognize(mapper: &Mapper, d: &Document) -> Result<Rc<Resource>> {
    if d.object.s("kind").is_empty() {
        let text = crate::print::json::compact(&d.object);
        return Err(format!("unable to decode \"{}\": Object 'Kind' is missing in '{text}'", d.source).into());
    }
    mapper
        .of_kind(d.object.s("apiVersion"), d.object.s("kind"))
        .map_err(|e| format!("unable to recognize \"{}\": {e}", d.source).into())
}

/// Makes one file's object ready: its namespace is checked or filled in.
pub(crate) fn from_document(ctx: &mut Context, resource: Rc<Resource>, d: Document) -> Result<Info> {
    let mut object = d.object;
    let mut namespace = String::new();
    if resource.namespaced {
        let target = ctx.target()?;
        let own = object.s("metadata.namespace").to_string();
        if !own.is_empty() && target.namespace_given && own != target.namespace {
            return Err(format!(
                "the namespace from the provided object \"{own}\" does not match the namespace \"{0}\". You must pass '--namespace={own}' to perform this operation.",
                target.namespace
            )
            .into());
        }
        namespace = if own.is_empty() { target.namespace.clone() } else { own };
        set(&mut object, "metadata.namespace", namespace.clone().into());
    }
    let name = object.s("metadata.name").to_string();
    if name.is_empty() && object.s("metadata.generateName").is_empty() {
        return Err("resource name may not be empty".into());
    }
    Ok(Info { resource, namespace, name, object, source: d.source })
}

/// Fetches what the arguments name. With files, `local` keeps the files' objects.
pub(crate) fn infos(
    ctx: &mut Context,
    flags: &Flags,
    words: &[String],
    rules: &Rules,
) -> Result<(Vec<Info>, Vec<Error>)> {
    let wanted = wanted(ctx, flags, words, rules.need_name)?;
    let mut infos = Vec::new();
    let mut errors = Vec::new();
    for w in wanted {
        match fetch(ctx, flags, w, rules.local) {
            Ok(found) => infos.extend(found),
            Err(e) if rules.flatten_errors => errors.push(e),
            Err(e) => return Err(e),
        }
    }
    Ok((infos, errors))
}

/// The same when any error is the end.
pub(crate) fn all(ctx: &mut Context, flags: &Flags, words: &[String], need_name: bool) -> Result<Vec<Info>> {
    let rules = Rules { need_name, ..Rules::default() };
    infos(ctx, flags, words, &rules).map(|(i, _)| i)
}

/// The namespace that a request for a resource goes to.
pub(crate) fn namespace_for(ctx: &mut Context, flags: &Flags, r: &Resource) -> Result<String> {
    if !r.namespaced || flags.bool("all-namespaces") {
        return Ok(String::new());
    }
    ctx.namespace()
}

fn fetch(ctx: &mut Context, flags: &Flags, w: Wanted, local: bool) -> Result<Vec<Info>> {
    let http = ctx.http()?;
    Ok(match w {
        Wanted::Failed(e) => return Err(e),
        Wanted::Doc(r, d) => {
            let mut info = from_document(ctx, r, d)?;
            if !local {
                info.object = http.get(&info.path())?;
                hide_managed_fields(&mut info.object);
            }
            vec![info]
        }
        Wanted::One(resource, name) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            let mut info = Info { resource, namespace, name, object: Value::Null, source: String::new() };
            info.object = http.get(&info.path())?;
            hide_managed_fields(&mut info.object);
            vec![info]
        }
        Wanted::Many(resource) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            list(ctx, &resource, &namespace, flags.str("selector"), flags.str("field-selector"))?
        }
    })
}

/// Lists the objects of one resource.
pub(crate) fn list(
    ctx: &mut Context,
    resource: &Rc<Resource>,
    namespace: &str,
    selector: &str,
    field_selector: &str,
) -> Result<Vec<Info>> {
    let mut parameters = Vec::new();
    if !selector.is_empty() {
        parameters.push(("labelSelector", selector));
    }
    if !field_selector.is_empty() {
        parameters.push(("fieldSelector", field_selector));
    }
    let answer = ctx.http()?.get(&with_query(&resource.collection(namespace), &parameters))?;
    Ok(answer
        .list("items")
        .iter()
        .map(|o| {
            let mut object = o.clone();
            hide_managed_fields(&mut object);
            if let Value::Object(m) = &mut object {
                m.insert("apiVersion".into(), resource.api_version().into());
                m.insert("kind".into(), resource.kind.clone().into());
            }
            Info {
                resource: resource.clone(),
                namespace: object.s("metadata.namespace").to_string(),
                name: object.s("metadata.name").to_string(),
                object,
                source: String::new(),
            }
        })
        .collect())
}
