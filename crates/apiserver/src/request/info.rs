//! What a path and a method ask for: upstream's `RequestInfo`.

use http::Method;

/// A request for a resource, or not (`resource` is empty then).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The path, without its percent encoding.
    pub path: String,
    /// Whether the path lies below `/api/v1` or `/apis/<group>/<version>`.
    pub is_resource: bool,
    /// get, list, watch, create, update, patch, delete, deletecollection; or the method in lower case.
    pub verb: &'static str,
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The namespace; empty for none.
    pub namespace: String,
    /// Whether the path names a namespace ahead of the resource.
    pub scoped: bool,
    /// The plural resource name.
    pub resource: String,
    /// The object's name; empty for the collection.
    pub name: String,
    /// The subresource.
    pub subresource: String,
    /// What follows the subresource (proxies only).
    pub rest: String,
    /// How many segments there are from the resource on; any but the last may be empty.
    pub depth: usize,
    /// Whether the path is one of the old `/watch/` ones.
    pub watch_path: bool,
    /// Whether the path begins one of the old forms and ends there.
    pub unreadable: bool,
}

const SUB_OF_NAMESPACE: [&str; 2] = ["status", "finalize"];

/// Undoes percent encoding; in queries a plus is a space.
pub fn percent_decode(text: &str, query: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            (b'+', ..) if query => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Info {
    /// Reads path and method. `watch` tells whether the query asks for a watch.
    pub fn parse(method: &Method, path: &str, watch: bool) -> Info {
        let path = percent_decode(path, false);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let verb = method_verb(method);
        let mut info = Info { verb, path: path.clone(), ..Info::default() };
        let mut rest: &[&str] = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.group = (*group).to_owned();
                info.version = (*version).to_owned();
                rest
            }
            _ => return info,
        };
        if matches!(rest, ["watch" | "proxy"]) {
            info.unreadable = true;
            return info;
        }
        info.is_resource = true;
        if rest[0] == "watch" {
            info.watch_path = true;
            rest = &rest[1..];
        }
        if let ["namespaces", namespace, after @ ..] = rest {
            info.namespace = (*namespace).to_owned();
            match after {
                [] => {}
                [sub] if SUB_OF_NAMESPACE.contains(sub) => {}
                _ => {
                    info.scoped = true;
                    rest = after;
                }
            }
        }
        info.depth = rest.len();
        let mut segments = rest.iter();
        let mut next = || segments.next().map(|s| (*s).to_owned()).unwrap_or_default();
        (info.resource, info.name, info.subresource) = (next(), next(), next());
        info.rest = segments.copied().collect::<Vec<_>>().join("/");
        if info.resource == "namespaces" {
            info.namespace = String::new();
        }
        let collection = info.name.is_empty();
        info.verb = match verb {
            "get" if info.watch_path || (watch && collection) => "watch",
            "get" if collection => "list",
            "delete" if collection => "deletecollection",
            other => other,
        };
        info
    }
}

impl Info {
    /// Whether the path begins with the root that its group version has, slash by slash. Upstream asks its router only
    /// then, which does not mind empty segments behind.
    pub fn rooted(&self) -> bool {
        let versions = match self.group.as_str() {
            "" => self.path.strip_prefix("/api/"),
            group => {
                self.path.strip_prefix("/apis/").and_then(|rest| rest.strip_prefix(group)?.strip_prefix('/'))
            }
        };
        let rest = versions.and_then(|rest| rest.strip_prefix(self.version.as_str()));
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Whether two hexadecimal digits follow every percent sign.
pub fn well_escaped(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    escapes.into_iter().all(|s| s.len() >= 2 && s.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// What a method asks of an object.
pub fn method_verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" => "get",
        "HEAD" => "head",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, path: &str) -> Info {
        Info::parse(&method, path, false)
    }

    #[test]
    fn paths() {
        let pod = parse(Method::GET, "/api/v1/namespaces/default/pods/web/log");
        assert_eq!(
            (pod.namespace.as_str(), pod.resource.as_str(), pod.name.as_str(), pod.subresource.as_str()),
            ("default", "pods", "web", "log")
        );
        let deployments = parse(Method::GET, "/apis/apps/v1/deployments");
        assert_eq!((deployments.verb, deployments.group.as_str()), ("list", "apps"));
        let namespace = parse(Method::PUT, "/api/v1/namespaces/x/finalize");
        assert_eq!((namespace.resource.as_str(), namespace.name.as_str()), ("namespaces", "x"));
        assert_eq!(namespace.subresource, "finalize");
        let watch = parse(Method::GET, "/api/v1/watch/namespaces/x/pods");
        assert_eq!((watch.verb, watch.resource.as_str()), ("watch", "pods"));
        // An old way to proxies, which answered with the object itself.
        assert_eq!(parse(Method::GET, "/api/v1/proxy/nodes/n").resource, "proxy");
        assert!(!parse(Method::GET, "/api/v1").is_resource);
        assert!(parse(Method::GET, "/apis/apps/v1/watch/").unreadable);
        let escaped = parse(Method::GET, "/api/v1/namespaces/x/configmaps/a%2Fb");
        assert_eq!((escaped.name.as_str(), escaped.subresource.as_str()), ("a", "b"));
        let unnamed = parse(Method::GET, "/api/v1/namespaces//services/");
        assert_eq!((unnamed.scoped, unnamed.resource.as_str(), unnamed.depth), (true, "services", 1));
        assert_eq!(parse(Method::GET, "/api/v1/namespaces/%2F/pods").depth, 2);
        assert!(parse(Method::GET, "/ap%69/v1/pods").rooted());
        assert!(!parse(Method::GET, "//api/v1/pods").rooted());
        assert!(!parse(Method::GET, "/apis//v1/pods").rooted());
        let nested = parse(Method::GET, "/api/v1/namespaces/x/namespaces/y");
        assert_eq!((nested.scoped, nested.namespace.as_str(), nested.name.as_str()), (true, "", "y"));
        assert_eq!(Info::parse(&Method::GET, "/api/v1/nodes/x", true).verb, "get");
        assert_eq!(parse(Method::DELETE, "/api/v1/namespaces/x/pods").verb, "deletecollection");
    }

    #[test]
    fn percent_encoding() {
        assert_eq!(percent_decode("a%3Db+c", true), "a=b c");
        assert_eq!(percent_decode("100%", false), "100%");
    }
}
