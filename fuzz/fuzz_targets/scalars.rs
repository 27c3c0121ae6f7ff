//! Quantities, times, durations, names, numbers: what is printed reads as itself.
#![no_main]

use api::quantity::Quantity;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(quantity) = Quantity::parse(text) {
        let printed = quantity.to_string();
        let again =
            Quantity::parse(&printed).unwrap_or_else(|e| panic!("{text:?} printed as {printed:?}: {e}"));
        assert_eq!(again, quantity, "{text:?} printed as {printed:?}");
        assert_eq!(again.to_string(), printed, "{text:?}");
        let mut sum = quantity.clone();
        sum.add(&quantity);
        sum.sub(&again);
        sum.mul(i64::MAX);
        sum.round_up_to_milli();
        let _ = (sum.value(), sum.milli_value(), sum.sign(), sum.is_whole(), sum.to_string());
    }
    if let Ok(time) = api::time::parse(text) {
        assert_eq!(api::time::parse(&time.to_rfc3339()).map(|t| t.seconds), Ok(time.seconds), "{text:?}");
    }
    if let Ok(time) = api::time::parse_micro(text) {
        let printed = time.to_rfc3339_micro();
        assert_eq!(api::time::parse_micro(&printed), Ok(time), "{text:?} printed as {printed:?}");
    }
    if let Some(nanos) = api::decode::parse_duration(text) {
        let printed = api::decode::format_duration(nanos);
        assert_eq!(api::decode::parse_duration(&printed), Some(nanos), "{text:?} printed as {printed:?}");
    }
    let _ = apiserver::options::parse_duration(text);
    let _ = apiserver::request::query::parse_int(text);
    let _ = apiserver::request::query::parse_uint(text);
    for check in [
        api::names::dns1123_label,
        api::names::dns1123_subdomain,
        api::names::dns1035_label,
        api::names::wildcard_dns1123_subdomain,
        api::names::qualified_name,
        api::names::label_value,
        api::names::c_identifier,
        api::names::port_name,
        api::names::percent,
        api::names::http_header_name,
        api::names::env_var_name,
        api::names::relaxed_env_var_name,
        api::names::config_map_key,
        api::names::path_segment,
    ] {
        let _ = check(text);
    }
    let _ = api::kinds::version_rank(text);
    let _ = api::field::go_quote(text);
});
