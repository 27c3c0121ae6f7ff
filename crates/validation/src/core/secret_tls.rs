//! What Go's `tls.X509KeyPair` says of the PEM texts of a `kubernetes.io/tls` secret. The certificates themselves are not
//! looked into.

use api::Value;
use base64::Engine as _;

use crate::value::Get as _;

/// The types of the PEM blocks in a text.
fn blocks(data: &Value, key: &str) -> Vec<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.str(key)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let starts = text.lines().filter_map(|l| l.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"));
    starts.filter(|kind| text.contains(&format!("-----END {kind}-----"))).map(str::to_owned).collect()
}

/// The warning, if any.
pub(crate) fn warning(secret: &Value) -> Option<String> {
    if secret.str("type") != "kubernetes.io/tls" {
        return None;
    }
    let (certificate, key) = (blocks(secret.sub("data"), "tls.crt"), blocks(secret.sub("data"), "tls.key"));
    if !certificate.iter().any(|kind| kind == "CERTIFICATE") {
        return Some(match certificate.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [one] if one.ends_with("PRIVATE KEY") => {
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may \
                 have been switched"
                    .to_owned()
            }
            others => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
                 following types: [{}]",
                others.join(" ")
            ),
        });
    }
    if key.iter().any(|kind| kind == "PRIVATE KEY" || kind.ends_with(" PRIVATE KEY")) {
        return None;
    }
    Some(match key.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        others => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of \
             the following types: [{}]",
            others.join(" ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_without_a_certificate_is_told() {
        let of = |data: Value| warning(&json!({"type": "kubernetes.io/tls", "data": data}));
        assert_eq!(
            of(json!({"tls.crt": "YQ==", "tls.key": "YQ=="})).unwrap(),
            "tls: failed to find any PEM data in certificate input"
        );
        let pem = |kind: &str| {
            let text = format!("-----BEGIN {kind}-----\nYQ==\n-----END {kind}-----\n");
            base64::engine::general_purpose::STANDARD.encode(text)
        };
        assert_eq!(of(json!({"tls.crt": pem("CERTIFICATE"), "tls.key": pem("EC PRIVATE KEY")})), None);
        assert!(of(json!({"tls.crt": pem("RSA PRIVATE KEY"), "tls.key": ""})).unwrap().contains("switched"));
        assert_eq!(warning(&json!({"type": "Opaque"})), None);
    }
}
