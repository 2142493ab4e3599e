//! The way to X-Ray: OTLP over HTTPS, signed.

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

/// After a failure nothing is tried, and nothing is logged, for this long.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

/// What is read of an answer: of no interest, so not much.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends to one endpoint.
pub(crate) struct Sender {
    url: String,
    region: String,
    /// Made when first needed, so that INIT does not pay for reading a bundle of roots.
    client: Option<Https>,
    failed: Option<SystemTime>,
}

impl Sender {
    /// To X-Ray in `region`, or to `endpoint` unless that is empty.
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
            .is_some_and(|failed| failed.elapsed().is_ok_and(|ago| ago < PAUSE))
    }

    /// Sends all that waits, `within` that time. What cannot be sent now is kept; what is refused for good is dropped.
    pub(crate) async fn send(&mut self, buffer: &Buffer, within: Duration) {
        let Some(batch) = buffer.take() else { return };
        let sent = timeout(within, self.post(batch.document())).await;
        let refused = |status: StatusCode| {
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
            // Sent again, the same would be refused again.
            Ok(Ok(status)) if refused(status) => buffer.count_lost(&batch),
            _ => buffer.put_back(batch),
        }
        let cause = match sent {
            Ok(Ok(status)) => format!("{} answers {status}", self.url),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("{} did not answer within {within:?}", self.url),
        };
        // A connection that hangs is not to be met again.
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
        // A connection whose answer has not been read to its end is not used again.
        let _ = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await;
        Ok(status)
    }

    fn sign(&self, request: &mut Request<String>) -> Result<()> {
        // Lambda gives the function's role to extensions by these, for as long as the environment lives.
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(key), Some(secret)) = (
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        ) else {
            bail!("there are no credentials in the environment");
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
    // Plain HTTP is for an endpoint of one's own. Ring, because the first handshake by AWS-LC costs 24 ms of CPU.
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("no trusted roots")?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
