//! Sends spans to X-Ray: OTLP over HTTPS, signed with SigV4.

use crate::{buffer::Buffer, warn};
use anyhow::{Context, Result, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// Time after a failure during which nothing is sent and nothing is logged.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of bytes that are read of a response. The content is not used.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends batches of spans to an OTLP endpoint.
pub(crate) struct Sender {
    url: String,
    region: String,
    /// Created on first use, so that INIT does not read the root certificates.
    client: Option<Https>,
    failed: Option<SystemTime>,
}

impl Sender {
    /// Creates a sender for X-Ray in `region`, or for `endpoint` unless that is empty.
    pub(crate) fn new(region: &str, endpoint: &str) -> Self {
        let endpoint = if endpoint.is_empty() {
            format!("https://xray.{region}.amazonaws.com")
        } else {
            endpoint.to_owned()
        };
        Self {
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            region: region.to_owned(),
            client: None,
            failed: None,
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.failed
            .is_some_and(|failed| failed.elapsed().is_ok_and(|ago| ago < RETRY_INTERVAL))
    }

    /// Sends all pending spans within the time limit. Spans that cannot be sent now are put back;
    /// spans that the endpoint rejects are dropped.
    pub(crate) async fn send(&mut self, buffer: &Buffer, within: Duration) {
        let Some(batch) = buffer.take() else { return };
        let sent = timeout(within, self.post(batch.document())).await;
        let is_rejected = |status: StatusCode| {
            status.is_client_error()
                && !matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                )
        };
        match sent {
            Ok(Ok(status)) if status.is_success() => {
                self.failed = None;
                return;
            }
            // A retry would be rejected again.
            Ok(Ok(status)) if is_rejected(status) => buffer.count_lost(&batch),
            _ => buffer.put_back(batch),
        }
        let cause = match sent {
            Ok(Ok(status)) => format!("{} responded with {status}", self.url),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("{} did not respond within {within:?}", self.url),
        };
        // A hanging connection must not be reused.
        self.client = None;
        if !self.is_paused() {
            warn(
                "traces could not be sent",
                &format!(
                    "{cause}; {} spans were dropped since the last warning",
                    buffer.take_dropped()
                ),
            );
        }
        self.failed = Some(SystemTime::now());
    }

    async fn post(&mut self, document: String) -> Result<StatusCode> {
        let mut request = Request::post(&self.url)
            .header("content-type", "application/json")
            .body(document)?;
        self.sign(&mut request)?;
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client()?),
        };
        let response = client
            .request(request.map(Full::from))
            .await
            .with_context(|| format!("{} cannot be reached", self.url))?;
        let status = response.status();
        // The connection can be reused only if the response was read to its end.
        let _ = Limited::new(response.into_body(), MAX_RESPONSE_BYTES)
            .collect()
            .await;
        Ok(status)
    }

    fn sign(&self, request: &mut Request<String>) -> Result<()> {
        // Lambda passes the function's credentials to extensions in these variables. They are valid
        // as long as the environment lives.
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(key), Some(secret)) = (
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        ) else {
            bail!("the environment has no AWS credentials");
        };
        let identity = Credentials::new(
            key,
            secret,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        )
        .into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("xray")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let uri = request.uri().to_string();
        let headers = [("content-type", "application/json")];
        let signable = SignableRequest::new(
            "POST",
            &uri,
            headers.into_iter(),
            SignableBody::Bytes(request.body().as_bytes()),
        )?;
        sign(signable, &parameters.into())?
            .into_parts()
            .0
            .apply_to_request_http1x(request);
        Ok(())
    }
}

fn client() -> Result<Https> {
    // Plain HTTP is allowed for custom endpoints. Ring, because the first handshake with AWS-LC
    // costs 24 ms of CPU.
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("no trusted root certificates were found")?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
