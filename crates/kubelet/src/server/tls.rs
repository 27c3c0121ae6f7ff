//! The server's certificate: given by name, or `kubelet.crt` and `kubelet.key` in the certificate directory, made by the
//! kubelet itself when they are not there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

fn failed(what: &str, path: &Path) -> impl FnOnce(String) -> Error {
    let text = format!("{what} {}", path.display());
    move |why| Error::Server(format!("{text}: {why}"))
}

/// The TLS configuration; HTTP/1.1 only, as upgrades need it.
pub(super) fn config(
    files: Option<&(PathBuf, PathBuf)>,
    cert_dir: &Path,
    names: Vec<String>,
) -> Result<Arc<rustls::ServerConfig>, Error> {
    let (cert, key) = match files {
        Some((cert, key)) => (cert.clone(), key.clone()),
        None => (cert_dir.join("kubelet.crt"), cert_dir.join("kubelet.key")),
    };
    if files.is_none() && !(cert.exists() && key.exists()) {
        make(&cert, &key, cert_dir, names)?;
    }
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(&cert)
        .map_err(|e| failed("read certificate", &cert)(e.to_string()))?
        .collect();
    let chain = chain.map_err(|e| failed("read certificate", &cert)(e.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| failed("read key", &key)(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Server(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| failed("use certificate", &cert)(e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn make(cert: &Path, key: &Path, dir: &Path, names: Vec<String>) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| Error::Server(e.to_string()))?;
    std::fs::create_dir_all(dir).map_err(|e| failed("make", dir)(e.to_string()))?;
    let write = |path: &Path, text: &str, mode: u32| {
        let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
        open.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|e| failed("write", path)(e.to_string()))
    };
    write(key, &made.signing_key.serialize_pem(), 0o600)?;
    write(cert, &made.cert.pem(), 0o644)?;
    tracing::info!("Using self-signed cert {}", cert.display());
    Ok(())
}
