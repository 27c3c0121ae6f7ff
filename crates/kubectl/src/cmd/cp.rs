//! `kubectl cp`: a tar stream through `exec`, as v1.10 did; the container needs `tar`.

use std::path::{Path, PathBuf};

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::stream::{Session, run as session};

/// `[[namespace/]pod:]path`.
#[derive(Debug, PartialEq)]
struct Spec {
    namespace: Option<String>,
    pod: String,
    path: String,
}

fn parse(text: &str) -> Result<Spec> {
    let Some((pod, path)) = text.split_once(':') else {
        return Ok(Spec { namespace: None, pod: String::new(), path: text.into() });
    };
    let parts: Vec<&str> = pod.split('/').collect();
    match parts.as_slice() {
        [pod] if !pod.is_empty() => Ok(Spec { namespace: None, pod: pod.to_string(), path: path.into() }),
        [ns, pod] => Ok(Spec { namespace: Some(ns.to_string()), pod: pod.to_string(), path: path.into() }),
        _ => Err("Filespec must match the canonical format: [[namespace/]pod:]file/path".into()),
    }
}

/// Runs `cp`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let [from, to] = words else {
        return Err(flags.usage("cp <file-spec-src> <file-spec-dest> [-c container]"));
    };
    let (from, to) = (parse(from)?, parse(to)?);
    match (from.pod.is_empty(), to.pod.is_empty()) {
        (false, true) => download(ctx, flags, &from, Path::new(&to.path)),
        (true, false) => upload(ctx, flags, Path::new(&from.path), &to),
        (false, false) => Err("one of src or dest must be a remote file specification".into()),
        (true, true) => Err(flags.usage("One of src or dest must be a remote file specification.")),
    }
}

fn remote(
    ctx: &mut Context,
    flags: &Flags,
    at: &Spec,
    command: &[&str],
    input: Option<Vec<u8>>,
) -> Result<Vec<u8>> {
    let namespace = match &at.namespace {
        Some(n) => n.clone(),
        None => ctx.namespace()?,
    };
    let http = ctx.http()?;
    let container = (!flags.str("container").is_empty()).then(|| flags.str("container"));
    let s = Session {
        namespace: &namespace,
        pod: &at.pod,
        container,
        command: Some(command.iter().map(ToString::to_string).collect()),
        stdin: input.is_some(),
        tty: false,
    };
    session(&http, &s, input)
}

fn upload(ctx: &mut Context, flags: &Flags, from: &Path, to: &Spec) -> Result {
    if !from.exists() {
        return Err(Error::Message(format!("{} doesn't exist in local filesystem", from.display())));
    }
    let dest = to.path.trim_end_matches('/');
    let (dir, name) = dest.rsplit_once('/').unwrap_or((".", dest));
    let dir = if dir.is_empty() { "/" } else { dir };
    // Into an existing folder, or under a new name?
    let is_dir =
        remote(ctx, flags, to, &["test", "-d", if dest.is_empty() { "/" } else { dest }], None).is_ok();
    let own = from.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let (dir, name) =
        if is_dir { (if dest.is_empty() { "/" } else { dest }, own.as_str()) } else { (dir, name) };
    let mut tar = Vec::new();
    add(&mut tar, from, name)?;
    tar.extend([0; 1024]);
    remote(ctx, flags, to, &["tar", "xf", "-", "-C", dir], Some(tar)).map(|_| ())
}

fn download(ctx: &mut Context, flags: &Flags, from: &Spec, to: &Path) -> Result {
    let namespace = match &from.namespace {
        Some(n) => n.clone(),
        None => ctx.namespace()?,
    };
    let http = ctx.http()?;
    http.get(&format!("/api/v1/namespaces/{namespace}/pods/{}", from.pod))?;
    let tar = remote(ctx, flags, from, &["tar", "cf", "-", &from.path], None)?;
    let prefix = from.path.trim_start_matches('/').trim_end_matches('/').to_string();
    let base = Path::new(&prefix).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let root = if to.is_dir() { to.join(base) } else { to.to_path_buf() };
    extract(&tar, &prefix, &root)
}

/// One ustar entry.
fn header(name: &str, size: u64, mode: u32, folder: bool) -> Result<[u8; 512]> {
    if name.len() > 100 {
        return Err(Error::Message(format!("{name}: names longer than 100 bytes are not supported")));
    }
    let mut h = [0u8; 512];
    let mut put = |at: usize, text: &str| h[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, if folder { "5" } else { "0" });
    put(257, "ustar\u{0}00");
    let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
    h[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    h[154] = 0;
    Ok(h)
}

fn add(tar: &mut Vec<u8>, path: &Path, name: &str) -> Result {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path)?;
    let mode = meta.permissions().mode() & 0o777;
    if meta.is_dir() {
        tar.extend(header(&format!("{name}/"), 0, mode, true)?);
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
        entries.sort();
        for e in entries {
            let own = e.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
            add(tar, &e, &format!("{name}/{own}"))?;
        }
        return Ok(());
    }
    let bytes = std::fs::read(path)?;
    tar.extend(header(name, bytes.len() as u64, mode, false)?);
    tar.extend(&bytes);
    tar.resize(tar.len().next_multiple_of(512), 0);
    Ok(())
}

/// Unpacks files and folders below `root`; what would land outside is refused.
fn extract(tar: &[u8], prefix: &str, root: &Path) -> Result {
    let text =
        |b: &[u8]| String::from_utf8_lossy(b.split(|c| *c == 0).next().unwrap_or(b)).trim().to_string();
    let mut at = 0;
    while at + 512 <= tar.len() && tar[at] != 0 {
        let h = &tar[at..at + 512];
        let mut name = text(&h[..100]);
        if &h[257..262] == b"ustar" && h[345] != 0 {
            name = format!("{}/{name}", text(&h[345..500]));
        }
        let size = usize::from_str_radix(&text(&h[124..136]), 8)
            .map_err(|_| Error::Message("broken tar stream".into()))?;
        let end = at + 512 + size;
        if end > tar.len() {
            return Err("unexpected EOF".into());
        }
        let rest = name.trim_start_matches('/').strip_prefix(prefix).unwrap_or(&name).trim_matches('/');
        if Path::new(rest).components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
            return Err(Error::Message(format!("{name}: file name points outside of the destination")));
        }
        let target = if rest.is_empty() { root.to_path_buf() } else { root.join(rest) };
        match h[156] {
            b'5' => std::fs::create_dir_all(&target)?,
            b'0' | 0 => {
                if let Some(dir) = target.parent() {
                    std::fs::create_dir_all(dir)?;
                }
                std::fs::write(&target, &tar[at + 512..end])?;
            }
            _ => eprintln!("warning: skipping {name}: neither a file nor a folder"),
        }
        at = at + 512 + size.next_multiple_of(512);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        let dir = std::env::temp_dir().join(format!("kubectl-cp-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/f"), b"hello").unwrap();
        let mut tar = Vec::new();
        add(&mut tar, &dir.join("a"), "srv/a").unwrap();
        tar.extend([0; 1024]);
        extract(&tar, "srv/a", &dir.join("c")).unwrap();
        assert_eq!(std::fs::read(dir.join("c/b/f")).unwrap(), b"hello");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn nothing_lands_outside() {
        let mut tar = header("../x", 0, 0o644, false).unwrap().to_vec();
        tar.extend([0; 1024]);
        assert!(extract(&tar, "srv", Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn specs() {
        assert_eq!(
            parse("ns/p:/x").unwrap(),
            Spec { namespace: Some("ns".into()), pod: "p".into(), path: "/x".into() }
        );
        assert!(parse("a/b/c:/x").is_err());
    }
}
