//! Talking to the API server: `kube::Client` underneath, Status errors on top.

use std::io::Read as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::config::Target;
use crate::error::{Error, Result};
use crate::value::Json;

/// What most requests accept.
pub(crate) const JSON: &str = "application/json";

/// A connection to one API server.
pub(crate) struct Http {
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    /// The server as it is configured.
    pub(crate) server: String,
    timeout: Option<Duration>,
    verbosity: i64,
}

/// A complete answer.
pub(crate) struct Answer {
    /// The body.
    pub(crate) body: Bytes,
}

impl Http {
    /// Prepares the connection; nothing is sent yet.
    pub(crate) fn connect(target: &Target, timeout_seconds: u64, verbosity: i64) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = target.cluster.s("server").to_string();
        let mut cluster = target.cluster.clone();
        if !server.contains("://") {
            // A bare host is plain HTTP, unless something about TLS is configured.
            let tls = ["certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"]
                .iter()
                .any(|k| target.cluster.has(k))
                || target.user.has("client-certificate");
            let scheme = if tls { "https" } else { "http" };
            cluster["server"] = json!(format!("{scheme}://{server}"));
        }
        let config: Kubeconfig = serde_json::from_value(json!({
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": target.user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }))
        .map_err(|e| e.to_string())?;
        let client = runtime
            .block_on(async {
                let mut config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
                    .await
                    .map_err(|e| chain(&e))?;
                config.connect_timeout = Some(Duration::from_secs(30));
                config.read_timeout = None;
                client::spare_system_roots(&mut config);
                kube::Client::try_from(config).map_err(|e| chain(&e))
            })
            .map_err(Error::Message)?;
        let timeout = (timeout_seconds > 0).then(|| Duration::from_secs(timeout_seconds));
        Ok(Http { runtime, client, server, timeout, verbosity })
    }

    /// The client itself, for upgrades.
    pub(crate) fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Runs a future to its end.
    pub(crate) fn block_on<F: Future>(&self, f: F) -> F::Output {
        self.runtime.block_on(f)
    }

    /// Sends one request and reads the whole answer; an answer ≥ 400 is an error.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer> {
        let work = async {
            let response = self.start(&method, path, accept, Some("gzip"), body).await?;
            let status = response.status().as_u16();
            let packed = response.headers().get(http::header::CONTENT_ENCODING).is_some_and(|e| e == "gzip");
            let mut body = response.into_body().collect_bytes().await.map_err(|e| self.transport(&e))?;
            if packed {
                let mut plain = Vec::new();
                GzDecoder::new(body.as_ref()).read_to_end(&mut plain).map_err(|e| e.to_string())?;
                body = plain.into();
            }
            if status >= 400 { Err(status_error(status, &body)) } else { Ok(Answer { body }) }
        };
        match self.timeout {
            None => self.runtime.block_on(work),
            Some(t) => self.runtime.block_on(async {
                match tokio::time::timeout(t, work).await {
                    Ok(r) => r,
                    Err(_) => Err(Error::Plain(
                        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while \
                         awaiting headers)"
                            .into(),
                    )),
                }
            }),
        }
    }

    async fn start(
        &self,
        method: &Method,
        path: &str,
        accept: &str,
        encoding: Option<&str>,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<http::Response<Body>> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(http::header::ACCEPT, accept)
            .header(http::header::USER_AGENT, user_agent());
        if let Some(encoding) = encoding {
            request = request.header(http::header::ACCEPT_ENCODING, encoding);
        }
        let body = match body {
            None => Vec::new(),
            Some((content_type, bytes)) => {
                request = request.header(http::header::CONTENT_TYPE, content_type);
                bytes
            }
        };
        if self.verbosity >= 8 && !body.is_empty() {
            klog(&format!("Request Body: {}", String::from_utf8_lossy(&body)));
        }
        let request = request.body(Body::from(body)).map_err(|e| e.to_string())?;
        let started = Instant::now();
        let response = self.client.send(request).await.map_err(|e| self.transport(&e))?;
        if self.verbosity >= 6 {
            let ms = started.elapsed().as_millis();
            klog(&format!("{method} {}{path} {} in {ms} milliseconds", self.server, response.status()));
        }
        // v1.10 knew no warnings. What the server says about a write is worth showing; that an API version
        // is old is not, as the old ones are used on purpose.
        for w in response.headers().get_all(http::header::WARNING).iter().filter(|_| *method != Method::GET) {
            let text = w.to_str().ok().and_then(warning_text);
            if let Some(text) = text.filter(|t| !t.contains(" is deprecated in v")) {
                eprintln!("Warning: {text}");
            }
        }
        Ok(response)
    }

    /// GET of a JSON object.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.get_as(path, JSON)
    }

    /// GET of a JSON object in a representation.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Result<Value> {
        let answer = self.send(Method::GET, path, accept, None)?;
        parse(&answer.body)
    }

    /// POST or PUT of an object.
    pub(crate) fn write(&self, method: Method, path: &str, object: &Value) -> Result<Value> {
        let answer = self.send(method, path, JSON, Some((JSON, object.to_string().into_bytes())))?;
        parse(&answer.body)
    }

    /// PATCH with a body of the given type.
    pub(crate) fn patch(&self, path: &str, content_type: &str, patch: &Value) -> Result<Value> {
        let body = Some((content_type, patch.to_string().into_bytes()));
        let answer = self.send(Method::PATCH, path, JSON, body)?;
        parse(&answer.body)
    }

    /// DELETE with options.
    pub(crate) fn delete(&self, path: &str, options: Option<&Value>) -> Result<Value> {
        let body = options.map(|o| (JSON, o.to_string().into_bytes()));
        let answer = self.send(Method::DELETE, path, JSON, body)?;
        parse(&answer.body)
    }

    /// GET of an answer that comes in pieces; `each` returns false to stop.
    pub(crate) fn stream(
        &self,
        path: &str,
        accept: &str,
        mut each: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result {
        self.runtime.block_on(async {
            let response = self.start(&Method::GET, path, accept, None, None).await?;
            let status = response.status().as_u16();
            let mut body = response.into_body();
            if status >= 400 {
                let bytes = body.collect_bytes().await.map_err(|e| self.transport(&e))?;
                return Err(status_error(status, &bytes));
            }
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| self.transport(&e))?;
                if let Some(data) = frame.data_ref()
                    && !each(data)?
                {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Watches a path; each event is (type, object); `each` returns false to stop.
    pub(crate) fn watch(
        &self,
        path: &str,
        accept: &str,
        mut each: impl FnMut(&str, Value) -> Result<bool>,
    ) -> Result {
        let mut buffer: Vec<u8> = Vec::new();
        self.stream(path, accept, |data| {
            buffer.extend_from_slice(data);
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let mut event = parse(&line)?;
                let kind = event.s("type").to_string();
                let object = event.get_mut("object").map(Value::take).unwrap_or_default();
                if kind == "ERROR" {
                    return Err(Error::Status { prefix: String::new(), status: Box::new(object) });
                }
                if !each(&kind, object)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// What went wrong on the way, as v1.10 says it.
    fn transport(&self, e: &dyn std::error::Error) -> Error {
        let text = chain(e);
        if text.to_lowercase().contains("connection refused") {
            let host = self.server.split("://").last().unwrap_or("").split('/').next().unwrap_or("");
            return Error::Plain(format!(
                "The connection to the server {host} was refused - did you specify the right host or port?"
            ));
        }
        let host = self.server.split("://").last().unwrap_or("").split([':', '/']).next().unwrap_or("");
        let text = match text {
            t if t.contains("UnknownIssuer") => "x509: certificate signed by unknown authority".to_string(),
            t if t.contains("failed to lookup") => format!("dial tcp: lookup {host}: no such host"),
            t => t
                .trim_start_matches("ServiceError: ")
                .trim_start_matches("client error (Connect): ")
                .to_string(),
        };
        Error::Plain(format!("Unable to connect to the server: {text}"))
    }
}

fn user_agent() -> String {
    format!("kubectl/{} (linux/{})", component_base::version::GIT_VERSION, std::env::consts::ARCH)
}

/// The text of a `299 - "…"` header.
fn warning_text(header: &str) -> Option<String> {
    let quoted = header.split_once('"')?.1;
    Some(quoted.strip_suffix('"').unwrap_or(quoted).replace("\\\"", "\""))
}

fn klog(line: &str) {
    let now = crate::time::now().to_zoned(jiff::tz::TimeZone::UTC);
    eprintln!("I{} {:>7} http.rs] {line}", now.strftime("%m%d %H:%M:%S%.6f"), std::process::id());
}

/// An error with its causes.
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(s) = source {
        let more = s.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = s.source();
    }
    text
}

fn parse(body: &[u8]) -> Result<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|e| Error::Message(format!("the server's answer is no JSON: {e}")))
}

/// The Status of a failed request; what is no Status is described by its code
/// (upstream: `errors.NewGenericServerResponse`).
pub(crate) fn status_error(code: u16, body: &[u8]) -> Error {
    if let Ok(v) = serde_json::from_slice::<Value>(body)
        && v.s("kind") == "Status"
    {
        return Error::Status { prefix: String::new(), status: Box::new(v) };
    }
    let (reason, message) = match code {
        400 => ("BadRequest", "the server rejected our request for an unknown reason"),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials"),
        403 => ("Forbidden", "the server does not allow access to the requested resource"),
        404 => ("NotFound", "the server could not find the requested resource"),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
        406 => {
            ("NotAcceptable", "the server was unable to respond with a content type that the client supports")
        }
        409 => ("Conflict", "the server reported a conflict"),
        415 => ("UnsupportedMediaType", "the server was unable to process the request"),
        422 => ("Invalid", "the server rejected our request due to an error in our request"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "the server was unable to return a response in the time allotted"),
        500.. => ("InternalError", "an error on the server has prevented the request from succeeding"),
        _ => ("", "the server responded with the status code, but did not return more information"),
    };
    let text = String::from_utf8_lossy(body);
    let message = match text.trim() {
        t if code >= 500 && !t.is_empty() => format!("{message} (\"{t}\")").replace("(\"", "(\""),
        _ => message.to_string(),
    };
    Error::Status {
        prefix: String::new(),
        status: Box::new(json!({"kind": "Status", "code": code, "reason": reason, "message": message})),
    }
}

/// A path with query parameters in Go's order and escaping (`url.Values.Encode`).
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut parameters: Vec<_> = parameters.to_vec();
    parameters.sort();
    let query: Vec<String> = parameters.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect();
    match (query.is_empty(), path.contains('?')) {
        (true, _) => path.to_string(),
        (false, true) => format!("{path}&{}", query.join("&")),
        (false, false) => format!("{path}?{}", query.join("&")),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
