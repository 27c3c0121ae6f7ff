//! The server under load: its URL, and connections to it.

use std::path::PathBuf;
use std::sync::Arc;

use component_base::tls::AnyCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Error;
use crate::http::Connection;

/// Which server, and who we are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The server's URL: http://host:port or https://host:port.
    #[arg(long)]
    pub(crate) server: String,
    /// A bearer token.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Who signs the server's certificate; without it the certificate is not checked.
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
}

/// A server that can be connected to.
pub(crate) struct Target {
    host: String,
    pub(crate) port: u16,
    tls: Option<TlsConnector>,
    /// The header lines that every request carries.
    pub(crate) headers: String,
}

impl Target {
    /// From the flags.
    pub(crate) fn new(flags: &Flags) -> Result<Target, Error> {
        let bad = || Error::Usage(format!("--server: {:?} is no http:// or https:// URL", flags.server));
        let (scheme, rest) = flags.server.split_once("://").ok_or_else(bad)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(bad()),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        let mut headers = format!("Host: {authority}\r\nUser-Agent: bench\r\nAccept-Encoding: identity\r\n");
        if let Some(token) = &flags.token {
            headers.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        let tls = if secure { Some(tls(flags)?) } else { None };
        Ok(Target { host: host.trim_matches(['[', ']']).to_owned(), port, tls, headers })
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Connection::new(Box::new(stream))) };
        let name = ServerName::try_from(self.host.clone()).map_err(|e| Error::Usage(e.to_string()))?;
        Ok(Connection::new(Box::new(tls.connect(name, stream).await?)))
    }

    /// A request without a body.
    pub(crate) fn request(&self, method: &str, path: &str, accept: &str) -> Vec<u8> {
        format!("{method} {path} HTTP/1.1\r\n{}Accept: {accept}\r\n\r\n", self.headers).into_bytes()
    }

    /// A request with a body.
    pub(crate) fn with_body(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + 512);
        out.extend_from_slice(
            format!(
                "{method} {path} HTTP/1.1\r\n{}Accept: application/json\r\nContent-Type: {content_type}\r\n\
                 Content-Length: {}\r\n\r\n",
                self.headers,
                body.len()
            )
            .as_bytes(),
        );
        out.extend_from_slice(body);
        out
    }
}

fn tls(flags: &Flags) -> Result<TlsConnector, Error> {
    let builder = ClientConfig::builder();
    let mut config = match &flags.certificate_authority {
        Some(path) => {
            let file = |e: String| Error::Usage(format!("--certificate-authority: {}: {e}", path.display()));
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| file(e.to_string()))? {
                let certificate = certificate.map_err(|e| file(e.to_string()))?;
                roots.add(certificate).map_err(|e| file(e.to_string()))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => {
            let provider = builder.crypto_provider().clone();
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth()
        }
    };
    // One connection per client: a server that prefers HTTP/2 must not choose it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
