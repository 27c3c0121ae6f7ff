//! Image names, as far as pull policies depend on them (`parsers.ParseImageName`).

/// `Always` for the tag `latest` (said or meant), else `IfNotPresent`, also for names that are none.
pub(super) fn pull_policy(image: &str) -> &'static str {
    if tag(image).is_some_and(|tag| tag == "latest") { "Always" } else { "IfNotPresent" }
}

/// The tag; `latest` when there is neither tag nor digest, empty with only a digest, `None` for a malformed name.
fn tag(image: &str) -> Option<&str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let after_slash = rest.rfind('/').map_or(0, |i| i + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(at) => (&rest[..after_slash + at], Some(&rest[after_slash + at + 1..])),
        None => (rest, None),
    };
    let hex64 = |s: &str| s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex64(image) || !is_name(name) || !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return None;
    }
    Some(match (tag, digest) {
        (Some(tag), _) => tag,
        (None, Some(_)) => "",
        (None, None) => "latest",
    })
}

/// The longest path of a name, behind its registry.
const PATH_MAX_BYTES: usize = 255;
/// What stands before names of one part.
const OFFICIAL: &str = "library/";

fn is_name(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split('/').collect();
    let domain = |part: &str| {
        part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|b| b.is_ascii_uppercase())
    };
    if parts.len() > 1 && domain(parts[0]) {
        let host = parts.remove(0);
        let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
        let label = |l: &str| {
            !l.is_empty()
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let v6 = host.starts_with('[') && host.ends_with(']');
        if !port.bytes().all(|b| b.is_ascii_digit()) || !(v6 || host.split('.').all(label)) {
            return false;
        }
    }
    let path = parts.iter().map(|p| p.len() + 1).sum::<usize>().saturating_sub(1);
    let path = if name.contains('/') { path } else { OFFICIAL.len() + path };
    path <= PATH_MAX_BYTES && parts.iter().all(|p| is_component(p))
}

/// Lower case letters and digits, joined by one of `.`, `_`, `__` or any number of `-`.
fn is_component(part: &str) -> bool {
    let mut rest = part.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    loop {
        let run = rest.iter().take_while(|b| plain(b)).count();
        if run == 0 {
            return false;
        }
        rest = &rest[run..];
        let separator = rest.iter().take_while(|b| !plain(b)).count();
        match &rest[..separator] {
            [] => return rest.is_empty(),
            b"." | b"_" | b"__" => {}
            dashes if dashes.iter().all(|b| *b == b'-') => {}
            _ => return false,
        }
        rest = &rest[separator..];
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.bytes().next().is_some_and(word)
        && tag.len() <= 128
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_latest_is_always_pulled() {
        for image in ["nginx", "nginx:latest", "a.io:5000/x/y", "localhost/x"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        let digest = format!("nginx@sha256:{}", "a".repeat(64));
        let long = "a".repeat(254);
        for image in ["nginx:1.13", "a.io:5000/x:v1", &digest, "", "Bad", "a b", "x:", &long] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
        // Names of one part are officially longer than they look; a registry does not count.
        assert_eq!(pull_policy(&"a".repeat(247)), "Always");
        assert_eq!(pull_policy(&format!("a.io/{long}")), "Always");
    }
}
