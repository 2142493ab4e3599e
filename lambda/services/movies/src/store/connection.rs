//! How DynamoDB is reached: HTTP/1.1 over TLS 1.3, by rustls on ring.
//!
//! The SDK's own arrangement of the same client brings HTTP/2, which DynamoDB does not speak, proxies and TLS 1.2: a sixth of the
//! package. Its AWS-LC gathers entropy from the CPU's jitter at the first handshake: ten times the CPU time of the rest of a cold start.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[derive(Debug)]
struct Https {
    client: Client<HttpsConnector<connect::HttpConnector>, SdkBody>,
    read_timeout: Option<Duration>,
}

/// Connections that are kept for the next request, under the timeouts of the SDK's configuration.
/// Trusted are the roots in these files and folders, or the system's.
///
/// # Errors
/// There are no such roots.
pub(super) fn https(roots: &[PathBuf]) -> io::Result<SharedHttpClient> {
    let tls = tls(roots)?;
    // The SDK asks for each attempt; the settings are most often the same.
    let connectors = Mutex::new(HashMap::new());
    Ok(http_client_fn(move |settings, _| {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = connectors.lock().unwrap_or_else(PoisonError::into_inner);
        connectors
            .entry(timeouts)
            .or_insert_with(|| SharedHttpConnector::new(Https::new(tls.clone(), timeouts)))
            .clone()
    }))
}

impl Https {
    fn new(
        tls: ClientConfig,
        (connect_timeout, read_timeout): (Option<Duration>, Option<Duration>),
    ) -> Self {
        let mut tcp = connect::HttpConnector::new();
        tcp.set_connect_timeout(connect_timeout);
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connector),
            read_timeout,
        }
    }
}

fn tls(roots: &[PathBuf]) -> io::Result<ClientConfig> {
    let system = || openssl_probe::probe().cert_file.map(|file| vec![file]);
    let places = if roots.is_empty() {
        system()
    } else {
        Some(roots.to_vec())
    };
    let places = places.ok_or_else(|| no_roots("the system has none; set SSL_CERT_FILE"))?;
    let mut roots = RootCertStore::empty();
    for place in &places {
        let bundle = bundle(place)
            .map_err(|error| no_roots(format_args!("{}: {error}", place.display())))?;
        roots.add_parsable_certificates(certificates(&bundle));
    }
    if roots.is_empty() {
        let places: Vec<_> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        return Err(no_roots(format_args!(
            "{} holds no certificate",
            places.join(", ")
        )));
    }
    let versions = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions();
    Ok(versions
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Reads a file, or all files of a folder: OpenSSL's folders have one certificate in each file.
fn bundle(place: &Path) -> io::Result<Vec<u8>> {
    if !place.is_dir() {
        return fs::read(place);
    }
    let mut bundle = Vec::new();
    for entry in fs::read_dir(place)? {
        let file = entry?.path();
        // Links to certificates that were removed are common there.
        if file.is_file() {
            bundle.extend(fs::read(&file)?);
            bundle.push(b'\n');
        }
    }
    Ok(bundle)
}

fn no_roots(why: impl Display) -> io::Error {
    io::Error::other(format!("no root certificates: {why}"))
}

/// The certificates of a PEM file; what is not to be read as one is left out. A cold start has a third less to do by this than by
/// rustls-pki-types, and a third of what it has by pem: they look at each byte of a bundle's 200 KB by itself.
fn certificates(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    // Between certificates there may be comments, in any encoding.
    let text =
        str::from_utf8(bundle).map_or_else(|_| String::from_utf8_lossy(bundle), Cow::Borrowed);
    let parts = text
        .split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|rest| rest.split_once("-----END CERTIFICATE-----"));
    let decoded = parts.map(|(base64, _)| {
        BASE64_STANDARD.decode(base64.lines().map(str::trim).collect::<String>())
    });
    decoded
        .filter_map(|certificate| certificate.ok().map(CertificateDer::from))
        .collect()
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        // A connection that DynamoDB answered on that it failed is not used again: by this the SDK gets hold of it.
        let captured = connect::capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                let captured = captured.clone();
                let poison = move || {
                    if let Some(connection) = captured.connection_metadata().as_ref() {
                        connection.poison();
                    }
                };
                Some(
                    ConnectionMetadata::builder()
                        .proxied(false)
                        .poison_fn(poison)
                        .build(),
                )
            });
        }
        let (answering, read_timeout) = (self.client.request(request), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let answered = match read_timeout {
                Some(limit) => tokio::time::timeout(limit, answering)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
                None => answering.await,
            };
            // What went wrong on the way may go well the next time: the SDK tries again.
            let response = answered.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::{config::timeout::TimeoutConfig, types::AttributeValue};

    /// A client of a server that accepts connections and never answers, and of one that does not
    /// even accept.
    async fn fails_within(timeouts: TimeoutConfig, url: &str) -> std::time::Duration {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("eu-west-1"))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new(
                "AKIA", "secret", None, None, "test",
            ))
            .http_client(https(&[]).unwrap())
            .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
            .timeout_config(timeouts)
            .endpoint_url(url);
        let begin = std::time::Instant::now();
        let request = aws_sdk_dynamodb::Client::from_conf(config.build())
            .get_item()
            .table_name("t");
        let ended = tokio::time::timeout(
            Duration::from_secs(5),
            request.key("a", AttributeValue::Null(true)).send(),
        )
        .await;
        assert!(
            ended.is_ok_and(|result| result.is_err()),
            "no timeout took effect"
        );
        begin.elapsed()
    }

    #[tokio::test]
    async fn the_read_timeout_of_the_configuration_takes_effect() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let timeouts = TimeoutConfig::builder()
            .read_timeout(Duration::from_millis(100))
            .build();
        assert!(fails_within(timeouts, &url).await < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn the_connect_timeout_of_the_configuration_takes_effect() {
        // Once its backlog is full, Linux leaves further connections without an answer.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            waiting.push(
                tokio::time::timeout(
                    Duration::from_millis(50),
                    tokio::net::TcpStream::connect(address),
                )
                .await,
            );
        }
        assert!(
            waiting.iter().any(Result::is_err),
            "the backlog is not full"
        );
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(100))
            .build();
        assert!(
            fails_within(timeouts, &format!("http://{address}")).await < Duration::from_secs(2)
        );
    }

    #[test]
    fn certificates_are_read_whatever_stands_between_them() {
        let bundle =
            b"# Caf\xe9 Root\n-----BEGIN CERTIFICATE-----\nAQID\nBAU=\n-----END CERTIFICATE-----\n\
            -----BEGIN TRUSTED CERTIFICATE-----\nBwc=\n-----END TRUSTED CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\nno base64\n-----END CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\r\nBgcI \r\n-----END CERTIFICATE-----\r\n\
            -----BEGIN CERTIFICATE-----\nCQ==\n";
        assert_eq!(
            certificates(bundle),
            [
                CertificateDer::from(vec![1, 2, 3, 4, 5]),
                CertificateDer::from(vec![6, 7, 8])
            ]
        );
        assert!(certificates(b"").is_empty());
    }
}
