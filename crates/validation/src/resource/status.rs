//! What is allocated for a claim.

use api::Value;
use api::field::{ErrorList, Path};

use super::claim::{REQUESTS_MAX, Requests, configuration};
use super::{binding_conditions, each, each_text, each_unique, label, pool_name, raw_extension, uid};
use crate::core::pod::affinity;
use crate::core::volume::csi_driver_name;
use crate::errs::{Errs, Shown};
use crate::golang;
use crate::meta;
use crate::net;
use crate::value::Get;

static STATUS: Path<'static> = Path::new("status");

/// One device, or a share of one.
#[derive(PartialEq, Eq, Hash)]
struct DeviceId<'a>([&'a str; 4]);

impl<'a> DeviceId<'a> {
    fn of(v: &'a Value) -> DeviceId<'a> {
        DeviceId([v.str("driver"), v.str("pool"), v.str("device"), v.str("shareID")])
    }
}

impl Shown for DeviceId<'_> {
    fn shown(&self, _: usize) -> String {
        let [driver, pool, device, share] = self.0.map(|text| golang::json(&Value::from(text)));
        format!("{{\"Driver\":{driver},\"Pool\":{pool},\"Device\":{device},\"ShareID\":{share}}}")
    }
}

/// `validateResourceClaimStatusUpdate`.
pub(super) fn claim(v: &Value, old: &Value, deleted: bool, names: &Requests<'_>, errs: &mut ErrorList) {
    let path = STATUS.child("reservedFor");
    let reserved = v.list("reservedFor");
    each_unique(
        reserved.iter(),
        256,
        &path,
        errs,
        |r| r.str("uid"),
        |consumer, path, errs| {
            for field in ["resource", "name", "uid"] {
                if consumer.str(field).is_empty() {
                    errs.required(&path.child(field), "");
                }
            }
        },
    );
    let allocation = v.at("allocation");
    let results = v.sub("allocation").sub("devices").list("results");
    let devices = v.list("devices").iter();
    each_unique(devices, usize::MAX, &STATUS.child("devices"), errs, DeviceId::of, |v, path, errs| {
        device_status(v, results, path, errs);
    });
    if !reserved.is_empty() {
        if allocation.is_none() {
            errs.forbidden(&path, "may not be specified when `allocated` is not set");
        } else if deleted && reserved.iter().any(|r| !old.list("reservedFor").contains(r)) {
            errs.forbidden(
                &path,
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set",
            );
        }
    }
    let path = STATUS.child("allocation");
    match allocation {
        Some(_) if old.at("allocation").is_some() => {
            meta::immutable(v, old, "allocation", "*resource.AllocationResult", &path, errs);
        }
        Some(allocation) => allocated(allocation, names, &path, errs),
        None => {}
    }
}

/// `validateAllocationResult`.
fn allocated(v: &Value, names: &Requests<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let devices = v.sub("devices");
    let list = path.child("devices");
    each(devices.list("results").iter(), 32, &list.child("results"), errs, |result, path, errs| {
        names.reference(result.str("request"), &path.child("request"), errs);
        csi_driver_name(result.str("driver"), &path.child("driver"), errs);
        pool_name(result.str("pool"), &path.child("pool"), errs);
        label(result.str("device"), &path.child("device"), errs);
        binding_conditions(result, path, errs);
        if let Some(share) = result.opt_str("shareID") {
            uid(share, &path.child("shareID"), errs);
        }
    });
    each(devices.list("config").iter(), 64, &list.child("config"), errs, |config, path, errs| {
        match config.str("source") {
            "" => errs.required(&path.child("source"), ""),
            "FromClaim" | "FromClass" => {}
            other => errs.not_supported(&path.child("source"), other, &["FromClaim", "FromClass"]),
        }
        let requests = config.strs("requests");
        each_text(&requests, REQUESTS_MAX, &path.child("requests"), errs, |name, path, errs| {
            names.reference(name, path, errs);
        });
        configuration(config, false, path, errs);
    });
    if let Some(selector) = v.at("nodeSelector") {
        affinity::node_selector(selector, false, &path.child("nodeSelector"), errs);
    }
}

fn device_status(v: &Value, results: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    csi_driver_name(v.str("driver"), &path.child("driver"), errs);
    pool_name(v.str("pool"), &path.child("pool"), errs);
    label(v.str("device"), &path.child("device"), errs);
    if let Some(share) = v.opt_str("shareID") {
        uid(share, &path.child("shareID"), errs);
    }
    let id = DeviceId::of(v);
    if !results.iter().any(|result| DeviceId::of(result) == id) {
        errs.invalid(path, id, "must be an allocated device in the claim");
    }
    let conditions = v.list("conditions");
    if conditions.len() > 8 {
        errs.too_many(&path.child("conditions"), conditions.len(), 8);
    }
    meta::conditions(conditions, &path.child("conditions"), errs);
    if let Some(data) = v.at("data") {
        raw_extension(data, false, &path.child("data"), errs);
    }
    if let Some(network) = v.at("networkData") {
        network_data(network, &path.child("networkData"), errs);
    }
}

fn network_data(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    for (field, max) in [("interfaceName", 256), ("hardwareAddress", 128)] {
        if v.str(field).len() > max {
            errs.too_long(&path.child(field), max);
        }
    }
    each_text(&v.strs("ips"), 16, &path.child("ips"), errs, |address, path, errs| {
        net::interface_address(path, address, errs);
    });
}
