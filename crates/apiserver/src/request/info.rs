//! What a path and a method ask for: upstream's `RequestInfo`.

use http::Method;

/// A request for a resource, or not (`resource` is empty then).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
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
    /// The plural resource name.
    pub resource: String,
    /// The object's name; empty for the collection.
    pub name: String,
    /// The subresource.
    pub subresource: String,
    /// What follows the subresource (proxies only).
    pub rest: String,
    /// Whether the path is one of the old `/watch/` ones.
    pub watch_path: bool,
}

const SUB_OF_NAMESPACE: [&str; 2] = ["status", "finalize"];

fn decode(segment: &str) -> String {
    percent_decode(segment, false)
}

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
        let trimmed = path.strip_prefix('/').unwrap_or(path);
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        let parts: Vec<&str> = trimmed.split('/').collect();
        let verb = method_verb(method);
        let mut info = Info { verb, ..Info::default() };
        let mut rest: &[&str] = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.version = decode(version);
                rest
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.group = decode(group);
                info.version = decode(version);
                rest
            }
            _ => return info,
        };
        info.is_resource = true;
        if rest.first() == Some(&"watch") && rest.len() > 1 {
            info.watch_path = true;
            rest = &rest[1..];
        }
        if let ["namespaces", namespace, after @ ..] = rest
            && !namespace.is_empty()
        {
            info.namespace = decode(namespace);
            match after {
                [] => {}
                [sub] if SUB_OF_NAMESPACE.contains(sub) => {}
                _ => rest = after,
            }
        }
        let mut segments = rest.iter();
        info.resource = segments.next().map(|s| decode(s)).unwrap_or_default();
        info.name = segments.next().map(|s| decode(s)).unwrap_or_default();
        info.subresource = segments.next().map(|s| decode(s)).unwrap_or_default();
        info.rest = segments.copied().collect::<Vec<_>>().join("/");
        if info.resource == "namespaces" {
            info.namespace = String::new();
        }
        let collection = info.name.is_empty();
        info.verb = match verb {
            "get" if watch || info.watch_path => "watch",
            "get" if collection => "list",
            "delete" if collection => "deletecollection",
            other => other,
        };
        info
    }
}

fn method_verb(method: &Method) -> &'static str {
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
        assert_eq!(parse(Method::DELETE, "/api/v1/namespaces/x/pods").verb, "deletecollection");
    }

    #[test]
    fn percent_encoding() {
        assert_eq!(percent_decode("a%3Db+c", true), "a=b c");
        assert_eq!(percent_decode("100%", false), "100%");
    }
}
