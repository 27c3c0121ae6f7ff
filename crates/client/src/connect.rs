//! From flags to a client.

use std::path::PathBuf;

use http::{HeaderValue, Request, Response, Uri, header};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceExt};

/// Where the API server is and who we are (upstream's `--master` and `--kubeconfig`).
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Address of the API server; overrides the kubeconfig's. `host:port` means plain HTTP, as upstream reads it.
    pub master: Option<String>,
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// The component's name, or a whole `User-Agent` when it holds a slash.
    pub user_agent: String,
}

/// Why there is no client. The server is not asked: it may come up later.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// `--master` is no URL.
    #[error("invalid API server address {0:?}: {1}")]
    Master(String, String),
    /// The kubeconfig cannot be read or makes no sense.
    #[error("error loading config file {0:?}: {1}")]
    Kubeconfig(PathBuf, kube::config::KubeconfigError),
    /// Neither flag was given, and this is no pod.
    #[error(
        "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable"
    )]
    NoConfiguration,
    /// The certificates or tokens cannot be used.
    #[error("cannot use the client configuration: {0}")]
    Client(#[from] kube::Error),
    /// The user agent has characters that no header can hold.
    #[error("invalid user agent {0:?}")]
    UserAgent(String),
}

/// Makes a client from a kubeconfig file (clusters, users, contexts; certificates, tokens, `insecure-skip-tls-verify`),
/// from `master` alone, or from a pod's service account when neither is given. Call it inside a tokio runtime.
pub async fn connect(options: &ConnectOptions) -> Result<Client, ConnectError> {
    let mut config = load(options).await?;
    spare_system_roots(&mut config);
    // Only the first caller in a process sets the provider; that another did is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    config.headers.push((header::USER_AGENT, user_agent(&options.user_agent)?));
    // Our callers retry by themselves, with their own back-off.
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.build())
}

/// Keeps the client from reading the system's certificate authorities where nobody is checked against them: over plain
/// HTTP, or when the user says not to verify. Our images have none, and kube refuses to start without.
pub fn spare_system_roots(config: &mut Config) {
    let unchecked = config.cluster_url.scheme_str() == Some("http") || config.accept_invalid_certs;
    if unchecked && config.root_cert.is_none() {
        config.root_cert = Some(Vec::new());
    }
}

async fn load(options: &ConnectOptions) -> Result<Config, ConnectError> {
    let master = options.master.as_deref().filter(|text| !text.is_empty()).map(address).transpose()?;
    let path = options.kubeconfig.as_ref().filter(|path| !path.as_os_str().is_empty());
    let Some(path) = path else {
        return match master {
            Some(uri) => Ok(Config::new(uri)),
            None => Config::incluster().map_err(|_| ConnectError::NoConfiguration),
        };
    };
    let fail = |err| ConnectError::Kubeconfig(path.clone(), err);
    let file = Kubeconfig::read_from(path).map_err(fail)?;
    let mut config =
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(fail)?;
    if let Some(uri) = master {
        config.cluster_url = uri;
    }
    Ok(config)
}

/// `10.0.0.1:8080` → `http://10.0.0.1:8080/` (upstream's `rest.DefaultServerURL`).
fn address(text: &str) -> Result<Uri, ConnectError> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = whole
        .parse()
        .map_err(|err: http::uri::InvalidUri| ConnectError::Master(text.into(), err.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => Ok(uri),
        _ => Err(ConnectError::Master(text.into(), "http or https and a host are needed".into())),
    }
}

fn user_agent(text: &str) -> Result<HeaderValue, ConnectError> {
    let whole = if text.contains('/') { text.to_owned() } else { component_base::version::user_agent(text) };
    HeaderValue::from_str(&whole).map_err(|_| ConnectError::UserAgent(whole))
}

/// A client whose requests are calls of `service` in this process: no sockets, no TLS.
/// Request URIs are the path and query only.
pub fn in_process<S, B>(service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Client::new(service, "default")
}

/// [`in_process`] with the `User-Agent` of a component.
pub fn in_process_as<S, B>(service: S, component: &str) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let agent = user_agent(component).unwrap_or(HeaderValue::from_static("skiff"));
    let service = service.map_request(move |mut request: Request<Body>| {
        request.headers_mut().insert(header::USER_AGENT, agent.clone());
        request
    });
    Client::new(service, "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Our images have no certificate authorities: a node could not reach its server over plain HTTP.
    #[test]
    fn plain_http_needs_no_certificate_authorities() {
        let mut plain = Config::new(Uri::from_static("http://10.0.0.1:8080"));
        spare_system_roots(&mut plain);
        assert_eq!(plain.root_cert, Some(Vec::new()));
        let mut checked = Config::new(Uri::from_static("https://10.0.0.1:6443"));
        spare_system_roots(&mut checked);
        assert_eq!(checked.root_cert, None);
    }

    #[test]
    fn a_bare_master_is_plain_http() {
        assert_eq!(address("127.0.0.1:18080").unwrap().to_string(), "http://127.0.0.1:18080/");
        assert_eq!(address("https://h:6443").unwrap().to_string(), "https://h:6443/");
        assert!(address("ftp://h").is_err() && address("http://").is_err());
    }

    #[tokio::test]
    async fn nothing_given_is_refused_and_a_bad_file_is_named() {
        let Err(err) = connect(&ConnectOptions::default()).await else { unreachable!() };
        assert!(err.to_string().starts_with("invalid configuration: no configuration"));
        let options = ConnectOptions { kubeconfig: Some("/nonexistent/config".into()), ..Default::default() };
        let Err(err) = connect(&options).await else { unreachable!() };
        assert!(err.to_string().contains("/nonexistent/config"), "{err}");
    }

    #[tokio::test]
    async fn kubeconfig_with_token_and_skipped_verification() {
        let dir = std::env::temp_dir().join(format!("skiff-connect-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("config");
        std::fs::write(
            &path,
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster:\n    server: https://127.0.0.1:1\n    insecure-skip-tls-verify: true\ncontexts:\n- name: c\n  context: {cluster: k, user: u}\nusers:\n- name: u\n  user: {token: abc}\n",
        )
        .unwrap();
        let options =
            ConnectOptions { kubeconfig: Some(path), user_agent: "kubelet".into(), ..Default::default() };
        assert!(load(&options).await.unwrap().accept_invalid_certs);
        assert!(connect(&options).await.is_ok());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
