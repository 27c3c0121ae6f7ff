//! Reading manifests: files, folders, URLs are refused, `-` is standard input; YAML and JSON,
//! several documents, lists inside them.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::value::Json;

/// One object and the file that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The file's name as it was given, `STDIN` for `-`.
    pub(crate) source: String,
    /// The object.
    pub(crate) object: Value,
}

/// Reads all objects of the given files and folders.
pub(crate) fn read_all(names: &[String], recursive: bool) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for name in names {
        if name == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            read_text(&text, "STDIN", &mut documents)?;
            continue;
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(format!("unable to read URL \"{name}\", only files are supported").into());
        }
        let path = Path::new(name);
        if !path.exists() {
            return Err(format!("the path \"{name}\" does not exist").into());
        }
        if path.is_dir() {
            for file in files_below(path, recursive)? {
                let text = std::fs::read_to_string(&file)?;
                read_text(&text, &file.to_string_lossy(), &mut documents)?;
            }
        } else {
            let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
            read_text(&text, name, &mut documents)?;
        }
    }
    Ok(documents)
}

fn files_below(dir: &Path, recursive: bool) -> Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    let mut files = Vec::new();
    for e in entries {
        if e.is_dir() {
            if recursive {
                files.extend(files_below(&e, true)?);
            }
        } else if e.extension().is_some_and(|x| x == "json" || x == "yaml" || x == "yml") {
            files.push(e);
        }
    }
    Ok(files)
}

/// Reads the documents of one text; lists are taken apart.
fn read_text(text: &str, source: &str, documents: &mut Vec<Document>) -> Result {
    let mut push = |object: Value| {
        let is_list = object.s("kind").ends_with("List") && object.get("items").is_some_and(Value::is_array);
        if is_list {
            for o in object.list("items") {
                documents.push(Document { source: source.to_string(), object: o.clone() });
            }
        } else {
            documents.push(Document { source: source.to_string(), object });
        }
    };
    if text.trim_start().starts_with('{') {
        for v in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            push(v.map_err(|e| Error::Message(format!("error parsing {source}: {e}")))?);
        }
        return Ok(());
    }
    for part in split_documents(text) {
        match yaml_to_json(&part).map_err(|e| format!("error converting YAML to JSON: {e}"))? {
            Value::Null => {}
            object => push(object),
        }
    }
    Ok(())
}

/// Splits at lines that begin with `---`.
fn split_documents(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        let last = parts.len() - 1;
        if line.starts_with("---") {
            parts.push(String::new());
        } else {
            parts[last].push_str(line);
            parts[last].push('\n');
        }
    }
    parts
}

/// One YAML (or JSON) document as JSON. The error reads `yaml: line 6: …`.
pub(crate) fn yaml_to_json(text: &str) -> std::result::Result<Value, String> {
    if text.trim().is_empty() || text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
    {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str::<Value>(text).map_err(|e| {
        let all = e.to_string();
        let first = all.lines().next().unwrap_or("").trim_start_matches("error: ");
        // `line 6 column 15: unclosed bracket '['`: the place is said once, in Go's words.
        let first = match first.split_once(": ") {
            Some((place, rest)) if place.starts_with("line ") => rest,
            _ => first,
        };
        let first =
            if first.starts_with("unclosed bracket") { "did not find expected node content" } else { first };
        match e.location() {
            Some(l) => format!("yaml: line {}: {first}", l.line()),
            None => format!("yaml: {first}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let mut d = Vec::new();
        let text = "# first\nkind: A\n---\nkind: List\nitems:\n- kind: B\n- kind: C\n---\n";
        read_text(text, "x", &mut d).unwrap();
        assert_eq!(d.iter().map(|d| d.object.s("kind")).collect::<Vec<_>>(), ["A", "B", "C"]);
    }

    #[test]
    fn yaml_words_keep_their_meaning() {
        let v = yaml_to_json("a: true\nb: \"y\"\nc: 80\nd: 2026-11-22T13:45:57Z\ne:\nf: 0.5\n").unwrap();
        assert_eq!(v.to_string(), r#"{"a":true,"b":"y","c":80,"d":"2026-11-22T13:45:57Z","e":null,"f":0.5}"#);
    }
}
