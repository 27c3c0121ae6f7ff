//! iSCSI volumes.

use api::Value;
use api::field::{ErrorList, Path};

use super::volume::{About, need};
use crate::errs::Errs;
use crate::names;
use crate::value::Get;

pub(super) const ISCSI_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
const ISCSI_FORMAT: &str = "must be valid format";
const ISCSI_START: &str = "must be valid format starting with iqn, eui, or naa";

/// What is wrong with an iSCSI name; `start` is the text for a name of no known kind.
fn iscsi_name(name: &str, start: &'static str) -> Option<&'static str> {
    let alnum = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_alphanumeric());
    let good = if name.starts_with("iqn") {
        is_iqn(name)
    } else if name.starts_with("eui") || name.starts_with("naa") {
        let digits = if name.starts_with("eui") { 16 } else { 32 };
        let mut rest = name.get(3..).unwrap_or("").chars();
        rest.next().is_some() && alnum(rest.as_str(), digits)
    } else {
        return Some(start);
    };
    (!good).then_some(ISCSI_FORMAT)
}

/// `iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`
fn is_iqn(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("iqn.") else { return false };
    let bytes = rest.as_bytes();
    let date = bytes.len() > 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5..7].iter().all(u8::is_ascii_digit)
        && bytes[7] == b'.';
    date && rest.get(8..).and_then(|r| r.split_once(':')).is_some_and(|(authority, id)| {
        !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && !id.is_empty()
            && !id.chars().any(|c| ",;*&$|".contains(c) || c.is_ascii_whitespace())
    })
}

fn iscsi_common(v: &Value, path: &Path<'_>, start: &'static str, persistent: bool, errs: &mut ErrorList) {
    let iqn = v.str("iqn");
    if iqn.is_empty() {
        errs.required(&path.child("iqn"), "");
    } else if let Some(message) = iscsi_name(iqn, start) {
        errs.invalid(&path.child("iqn"), iqn, message);
    }
    let lun = v.int("lun");
    if !(0..=255).contains(&lun) {
        errs.invalid(&path.child("lun"), lun, names::between(0, 255));
    }
    if (v.flag("chapAuthDiscovery") || v.flag("chapAuthSession")) && v.at("secretRef").is_none() {
        errs.required(&path.child("secretRef"), "");
    }
    if persistent && v.at("secretRef").is_some_and(|s| s.str("name").is_empty()) {
        errs.required(&path.child("secretRef").child("name"), "");
    }
    if let Some(initiator) = v.opt_str("initiatorName")
        && let Some(message) = iscsi_name(initiator, start)
    {
        errs.invalid(&path.child("initiatorname"), initiator, message);
    }
}

pub(super) fn iscsi(v: &Value, path: &Path<'_>, _: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["targetPortal"], errs);
    iscsi_common(v, path, ISCSI_START, false, errs);
}

pub(super) fn iscsi_pv(v: &Value, path: &Path<'_>, about: &About<'_>, errs: &mut ErrorList) {
    need(v, path, &["targetPortal"], errs);
    let portal = v.str("targetPortal");
    if v.at("initiatorName").is_some() && about.owner_name.len() + 1 + portal.len() > 64 {
        errs.invalid(&path.child("targetportal"), portal, ISCSI_TOO_LONG);
    }
    iscsi_common(v, path, ISCSI_FORMAT, true, errs);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iscsi_names() {
        assert_eq!(iscsi_name("iqn.2001-04.com.example:storage", ""), None);
        assert_eq!(iscsi_name("iqn.bad", ""), Some(ISCSI_FORMAT));
        assert_eq!(iscsi_name("eui.0123456789abcdef", ""), None);
        assert_eq!(iscsi_name("bad", ISCSI_START), Some(ISCSI_START));
    }
}
