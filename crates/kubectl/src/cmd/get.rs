//! `kubectl get` (upstream v1.10: `pkg/kubectl/cmd/resource/get.go`).

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::discovery::Resource;
use crate::error::{Error, Result};
use crate::http::{JSON, with_query};
use crate::print::columns::{self, Row, Settings, TABLE, Table};
use crate::print::output::{Format, format, hide_managed_fields};
use crate::print::{jsonpath, out, tabwriter};
use crate::resource::{Wanted, from_document, namespace_for, wanted};
use crate::time::now;
use crate::value::{Json, plain, set};

/// The resource types that v1.10 names when none is given.
pub(crate) const TYPES: &str = "\n\n  * all  \n  * certificatesigningrequests (aka 'csr')  \n  * clusterrolebindings  \n  * clusterroles  \n  * componentstatuses (aka 'cs')  \n  * configmaps (aka 'cm')  \n  * controllerrevisions  \n  * cronjobs  \n  * customresourcedefinition (aka 'crd')  \n  * daemonsets (aka 'ds')  \n  * deployments (aka 'deploy')  \n  * endpoints (aka 'ep')  \n  * events (aka 'ev')  \n  * horizontalpodautoscalers (aka 'hpa')  \n  * ingresses (aka 'ing')  \n  * jobs  \n  * limitranges (aka 'limits')  \n  * namespaces (aka 'ns')  \n  * networkpolicies (aka 'netpol')  \n  * nodes (aka 'no')  \n  * persistentvolumeclaims (aka 'pvc')  \n  * persistentvolumes (aka 'pv')  \n  * poddisruptionbudgets (aka 'pdb')  \n  * podpreset  \n  * pods (aka 'po')  \n  * podsecuritypolicies (aka 'psp')  \n  * podtemplates  \n  * replicasets (aka 'rs')  \n  * replicationcontrollers (aka 'rc')  \n  * resourcequotas (aka 'quota')  \n  * rolebindings  \n  * roles  \n  * secrets  \n  * serviceaccounts (aka 'sa')  \n  * services (aka 'svc')  \n  * statefulsets (aka 'sts')  \n  * storageclasses (aka 'sc')";

/// One table of the answer: rows of one resource that stand together.
struct Group {
    resource: Rc<Resource>,
    table: Table,
    /// Was it asked for as a whole list?
    list: bool,
}

/// Runs `get`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if !flags.str("raw").is_empty() {
        let answer = ctx.http()?.send(http::Method::GET, flags.str("raw"), "application/json, */*", None)?;
        return out(&String::from_utf8_lossy(&answer.body));
    }
    if words.is_empty() && flags.list("filename").is_empty() {
        eprint!("You must specify the type of resource to get. Valid resource types include: {TYPES}");
        return Err(flags.usage(
            "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).",
        ));
    }
    let format = format(flags)?;
    let wanted = wanted(ctx, flags, words, false)?;
    let settings = Settings {
        wide: matches!(format, Format::Wide),
        no_headers: flags.bool("no-headers"),
        with_namespace: flags.bool("all-namespaces"),
        with_kind: flags.bool("show-kind") || several_kinds(&wanted) || words.iter().any(|w| w == "all"),
        show_labels: flags.bool("show-labels"),
        label_columns: flags.list("label-columns").to_vec(),
    };
    if flags.bool("watch") || flags.bool("watch-only") {
        return watch(ctx, flags, wanted, &format, settings);
    }
    let (mut groups, errors) = fetch_all(ctx, flags, wanted, format.is_human())?;
    if !flags.str("sort-by").is_empty() {
        sort(&mut groups, flags.str("sort-by"))?;
    }
    if format.is_human() {
        print_tables(&groups, &settings)?;
    } else if errors.is_empty() || groups.iter().any(|g| !g.table.rows.is_empty()) {
        print_objects(&groups, &format, flags, words)?;
    }
    let nothing = groups.iter().all(|g| g.table.rows.is_empty());
    if nothing && errors.is_empty() && format.is_human() && !flags.bool("ignore-not-found") {
        eprintln!("No resources found.");
    }
    Error::collect(errors)
}

fn resource_of(w: &Wanted) -> Result<&Rc<Resource>> {
    match w {
        Wanted::One(r, _) | Wanted::Many(r) | Wanted::Doc(r, _) => Ok(r),
        Wanted::Failed(e) => Err(e.clone()),
    }
}

fn several_kinds(wanted: &[Wanted]) -> bool {
    wanted.windows(2).any(|w| resource_of(&w[0]).ok() != resource_of(&w[1]).ok())
}

/// Fetches everything; rows of the same resource that follow each other share a table.
fn fetch_all(
    ctx: &mut Context,
    flags: &Flags,
    wanted: Vec<Wanted>,
    human: bool,
) -> Result<(Vec<Group>, Vec<Error>)> {
    let accept = if human { TABLE } else { JSON };
    let mut groups: Vec<Group> = Vec::new();
    let mut errors = Vec::new();
    for w in wanted {
        let resource = resource_of(&w)?.clone();
        let list = matches!(w, Wanted::Many(_));
        match fetch(ctx, flags, w, accept) {
            Ok(table) => match groups.last_mut() {
                Some(g) if g.resource == resource && !list && !g.list => g.table.rows.extend(table.rows),
                _ => groups.push(Group { resource, table, list }),
            },
            Err(e) if e.is_not_found() && flags.bool("ignore-not-found") => {}
            Err(e @ Error::Status { .. }) if !e.is_reason("Unauthorized") => errors.push(e),
            Err(e) => return Err(e),
        }
    }
    for row in groups.iter_mut().flat_map(|g| &mut g.table.rows) {
        if !flags.bool("show-managed-fields") {
            hide_managed_fields(&mut row.object);
        }
    }
    Ok((groups, errors))
}

fn fetch(ctx: &mut Context, flags: &Flags, w: Wanted, accept: &str) -> Result<Table> {
    let http = ctx.http()?;
    let named = |path: String| with_query(&path, &include_object(accept));
    match w {
        Wanted::Failed(e) => Err(e),
        Wanted::One(r, name) => {
            let namespace = namespace_for(ctx, flags, &r)?;
            Ok(Table::from_answer(http.get_as(&named(r.path(&namespace, &name)), accept)?))
        }
        Wanted::Doc(r, d) => {
            let info = from_document(ctx, r, d)?;
            Ok(Table::from_answer(http.get_as(&named(info.path()), accept)?))
        }
        Wanted::Many(r) => {
            let namespace = namespace_for(ctx, flags, &r)?;
            let path = r.collection(&namespace);
            let mut parameters = selectors(flags);
            parameters.extend(include_object(accept));
            let limit = flags.str("chunk-size").to_string();
            if limit != "0" {
                parameters.push(("limit", &limit));
            }
            let mut table = Table::from_answer(http.get_as(&with_query(&path, &parameters), accept)?);
            while !table.next.is_empty() {
                let token = std::mem::take(&mut table.next);
                let mut more = parameters.clone();
                more.push(("continue", &token));
                let page = Table::from_answer(http.get_as(&with_query(&path, &more), accept)?);
                table.rows.extend(page.rows);
                table.next = page.next;
            }
            Ok(table)
        }
    }
}

fn selectors(flags: &Flags) -> Vec<(&'static str, &str)> {
    let mut parameters = Vec::new();
    for (flag, parameter) in [("selector", "labelSelector"), ("field-selector", "fieldSelector")] {
        if !flags.str(flag).is_empty() {
            parameters.push((parameter, flags.str(flag)));
        }
    }
    parameters
}

/// Tables carry whole objects when they are asked to.
fn include_object(accept: &str) -> Vec<(&'static str, &'static str)> {
    if accept == TABLE { vec![("includeObject", "Object")] } else { Vec::new() }
}

fn print_tables(groups: &[Group], settings: &Settings) -> Result {
    let mut first = true;
    for g in groups.iter().filter(|g| !g.table.rows.is_empty()) {
        if !std::mem::take(&mut first) {
            // v1.10 separates tables on standard error.
            eprintln!();
        }
        out(&tabwriter::table(&columns::render(&g.resource, &g.table, settings, now())))?;
    }
    Ok(())
}

fn print_objects(groups: &[Group], format: &Format, flags: &Flags, words: &[String]) -> Result {
    if let Format::Name = format {
        for g in groups {
            for row in &g.table.rows {
                out(&format!("{}/{}\n", g.resource.typed(), row.object.s("metadata.name")))?;
            }
        }
        return Ok(());
    }
    let list = groups.iter().any(|g| g.list);
    let mut objects = Vec::new();
    for g in groups {
        for row in &g.table.rows {
            let mut object = row.object.clone();
            // v1.10 wrote an empty namespace into the items of cluster-wide lists.
            if list && !g.resource.namespaced && !object.has("metadata.namespace") {
                set(&mut object, "metadata.namespace", "".into());
            }
            objects.push(object);
        }
    }
    if objects.is_empty() && !list {
        return Ok(());
    }
    let references: Vec<&Value> = objects.iter().collect();
    let single = !list && words.len() <= 2 && objects.len() == 1;
    format.print_objects(&references, !single, !flags.bool("no-headers"))
}

/// Sorts the rows of each table by a JSONPath (upstream: `kubectl.SortObjects`).
fn sort(groups: &mut [Group], by: &str) -> Result {
    let path = jsonpath::relaxed(by)?;
    let template = jsonpath::parse(&path)?;
    for g in groups.iter_mut().filter(|g| !g.table.rows.is_empty()) {
        let mut keyed: Vec<(Option<Value>, Row)> = std::mem::take(&mut g.table.rows)
            .into_iter()
            .map(|r| (template.find(&r.object).ok().and_then(|f| f.first().map(|v| (*v).clone())), r))
            .collect();
        if keyed.iter().all(|(k, _)| k.is_none()) {
            return Err(format!("couldn't find any field with path \"{path}\" in the list of objects").into());
        }
        keyed.sort_by(|a, b| compare(a.0.as_ref(), b.0.as_ref()));
        g.table.rows = keyed.into_iter().map(|(_, r)| r).collect();
    }
    Ok(())
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(a), Some(b)) => natural(&plain(a), &plain(b)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Text with numbers in it by their value: `x2` before `x25` (upstream: `sortorder.NaturalLess`).
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let run = |s: &[u8], from: usize| {
                let zeros = s[from..].iter().take_while(|c| **c == b'0').count();
                let digits = s[from + zeros..].iter().take_while(|c| c.is_ascii_digit()).count();
                (from + zeros, from + zeros + digits)
            };
            let ((s, e), (t, f)) = (run(a, i), run(b, j));
            let order = (e - s).cmp(&(f - t)).then_with(|| a[s..e].cmp(&b[t..f])).then((s - i).cmp(&(t - j)));
            if order != Ordering::Equal {
                return order;
            }
            (i, j) = (e, f);
        } else {
            if a[i] != b[j] {
                return a[i].cmp(&b[j]);
            }
            (i, j) = (i + 1, j + 1);
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}

/// Prints what is there, then what changes.
fn watch(
    ctx: &mut Context,
    flags: &Flags,
    mut wanted: Vec<Wanted>,
    format: &Format,
    mut settings: Settings,
) -> Result {
    if wanted.len() != 1 {
        return Err(format!("watch is only supported on individual resources and resource collections - {} resources were found", wanted.len()).into());
    }
    let w = wanted.remove(0);
    let resource = resource_of(&w)?.clone();
    let namespace = match &w {
        Wanted::Doc(_, d) if resource.namespaced && !d.object.s("metadata.namespace").is_empty() => {
            d.object.s("metadata.namespace").to_string()
        }
        _ => namespace_for(ctx, flags, &resource)?,
    };
    let name = match &w {
        Wanted::One(_, n) => Some(n.clone()),
        Wanted::Doc(_, d) => Some(d.object.s("metadata.name").to_string()),
        Wanted::Many(_) | Wanted::Failed(_) => None,
    };
    let accept = if format.is_human() { TABLE } else { JSON };
    let first = fetch(ctx, flags, w, accept)?;
    let mut version = first.resource_version.clone();
    if version.is_empty() || version == "0" {
        version =
            first.rows.first().map_or(String::new(), |r| r.object.s("metadata.resourceVersion").to_string());
    }
    let columns = first.columns.clone();
    let mut print = |mut table: Table| -> Result {
        if table.columns.is_empty() {
            table.columns.clone_from(&columns);
        }
        if format.is_human() {
            out(&tabwriter::table(&columns::render(&resource, &table, &settings, now())))?;
            settings.no_headers = true;
            return Ok(());
        }
        for row in &mut table.rows {
            hide_managed_fields(&mut row.object);
            format.print(&resource, &row.object, String::new)?;
        }
        Ok(())
    };
    if !flags.bool("watch-only") && !first.rows.is_empty() {
        print(first)?;
    }
    let mut parameters = selectors(flags);
    let by_name;
    if let Some(n) = &name {
        by_name = format!("metadata.name={n}");
        parameters = vec![("fieldSelector", &by_name)];
    }
    parameters.extend(include_object(accept));
    parameters.extend([("resourceVersion", version.as_str()), ("watch", "true")]);
    let path = with_query(&resource.collection(&namespace), &parameters);
    ctx.http()?.watch(&path, accept, |kind, object| {
        if kind != "BOOKMARK" {
            print(Table::from_answer(object))?;
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = vec!["web-86f7546dc8-25dpm", "web-86f7546dc8-2wwlc", "db-0", "db-10", "db-9"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["db-0", "db-9", "db-10", "web-86f7546dc8-2wwlc", "web-86f7546dc8-25dpm"]);
    }
}
