//! Files that change all at once (upstream's `volume/util/atomic_writer.go`): the visible names link into `..data`,
//! which links to a directory with a time stamp; a new content is a new directory and one rename of `..data`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path};

/// A file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Content.
    pub data: Vec<u8>,
    /// Permissions.
    pub mode: u32,
}

/// Files by relative path.
pub type Files = BTreeMap<String, File>;

const DATA: &str = "..data";

/// Has the directory been written once?
pub fn is_written(dir: &Path) -> bool {
    dir.join(DATA).exists()
}

/// Makes `dir` show exactly `files`. Does nothing when it already does.
pub fn write(dir: &Path, files: &Files, group: Option<i64>) -> io::Result<()> {
    for path in files.keys() {
        let sound = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
            && !path.starts_with("..");
        if !sound || path.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("invalid path: {path:?}")));
        }
    }
    if is_written(dir) && shows(dir, files) {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777))?;
    let fresh = OsString::from(jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.%f").to_string());
    let fresh_dir = dir.join(&fresh);
    fs::create_dir(&fresh_dir)?;
    fs::set_permissions(&fresh_dir, fs::Permissions::from_mode(0o755))?;
    let group = group.and_then(|g| u32::try_from(g).ok());
    for (path, file) in files {
        let target = fresh_dir.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.data)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(file.mode))?;
        if group.is_some() {
            chown(&target, None, group)?;
        }
    }
    let old = fs::read_link(dir.join(DATA)).ok();
    let link = dir.join("..data_tmp");
    let _ = fs::remove_file(&link);
    symlink(&fresh, &link)?;
    fs::rename(&link, dir.join(DATA))?;
    let wanted = top_names(files);
    for name in &wanted {
        let visible = dir.join(name);
        if fs::symlink_metadata(&visible).is_err() {
            symlink(Path::new(DATA).join(name), &visible)?;
        }
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b"..");
        if !hidden && !wanted.iter().any(|w| *w == name) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old.filter(|old| old.as_os_str() != fresh) {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(())
}

fn top_names(files: &Files) -> Vec<&str> {
    let mut names: Vec<&str> = files.keys().filter_map(|p| p.split('/').next()).collect();
    names.dedup();
    names
}

/// Is the present content the wanted one? A missing link of a killed kubelet counts as different.
fn shows(dir: &Path, files: &Files) -> bool {
    let data = dir.join(DATA);
    let same = files.iter().all(|(path, file)| {
        let target = data.join(path);
        fs::read(&target).is_ok_and(|now| now == file.data)
            && fs::metadata(&target).is_ok_and(|m| m.permissions().mode() & 0o7777 == file.mode)
    });
    let links = top_names(files).iter().all(|name| dir.join(name).exists());
    same && links && count(&data) == files.len()
}

fn count(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(p, d)| ((*p).to_owned(), File { data: d.as_bytes().to_vec(), mode: 0o644 }))
            .collect()
    }

    #[test]
    fn content_is_swapped_and_stale_names_go() {
        let root = std::env::temp_dir().join(format!("kubelet-atomic-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        write(&root, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(fs::read(root.join("d/b")).unwrap(), b"2");
        let first = fs::read_link(root.join(DATA)).unwrap();
        write(&root, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(fs::read_link(root.join(DATA)).unwrap(), first, "unchanged content is not written again");
        write(&root, &files(&[("a", "3")]), None).unwrap();
        assert_eq!(fs::read(root.join("a")).unwrap(), b"3");
        assert!(!root.join("d").exists() && !root.join(first).exists());
        assert!(write(&root, &files(&[("../x", "")]), None).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
