//! A client of the API. Checks every response against the contract and every error against the
//! schema of problem documents.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use crate::contract::Contract;
use crate::deadline::Deadline;
use crate::direct_invoke::Version;
use crate::outputs::{Outputs, READ, WRITE};

/// All characters but the unreserved ones of RFC 3986, so that no gateway interprets a title.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct Api {
    transport: Transport,
    contract: Contract,
    url: String,
    token_url: String,
    reader: String,
    writer: Option<String>,
    deadline: Arc<Deadline>,
    /// Rejections that differed from the expected ones since the last call of `ensure_no_mismatch`.
    mismatches: Mutex<Vec<String>>,
}

/// The way in which requests reach the function.
enum Transport {
    Gateway(Agent),
    /// Invokes a version of the function without the gateway. The scope takes the place of a token.
    DirectInvoke(Box<Version>),
}

pub(crate) struct ApiRequest<'a> {
    api: &'a Api,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Option<Vec<u8>>,
    cleanup: bool,
}

pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A request was rejected, as expected, but by API Gateway with another status, code or body. It is
/// reported as a warning: access is as restricted as before, and a rollback would not change it.
#[derive(Debug)]
pub(crate) struct RejectionMismatch(pub(crate) String);

impl std::fmt::Display for RejectionMismatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for RejectionMismatch {}

/// AWS WAF rejected the request. Its list of addresses with a bad reputation holds ranges of cloud
/// providers, hosted runners among them, so this notifies nothing about what is deployed.
#[derive(Debug)]
pub(crate) struct Blocked;

impl std::fmt::Display for Blocked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(
            "AWS WAF blocked the request; its log names the rule (infra/RUNBOOK.md#waf-blocks)",
        )
    }
}

impl std::error::Error for Blocked {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProblemBody {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    code: String,
    pub(crate) detail: String,
    request_id: String,
    pub(crate) documentation: Option<String>,
    #[serde(default)]
    pub(crate) errors: Vec<FieldErrorBody>,
}

impl ProblemBody {
    /// Returns the names of the invalid fields in alphabetical order.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let fields = self.errors.iter().map(|error| error.field.as_str());
        let mut fields: Vec<_> = fields.collect();
        fields.sort_unstable();
        fields
    }

    fn ensure_code(&self, code: &str) -> Result<()> {
        ensure!(
            self.code == code,
            "the code is {:?}, not {code:?}",
            self.code
        );
        Ok(())
    }
}

/// A 4xx response with its problem document.
pub(crate) struct Rejection {
    pub(crate) response: ApiResponse,
    pub(crate) problem: ProblemBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldErrorBody {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Api {
    /// Connects through the gateway, with a token for each scope.
    pub(crate) fn connect(
        outputs: &Outputs,
        read_only: bool,
        deadline: Arc<Deadline>,
    ) -> Result<Self> {
        deadline.remaining(CALL_TIMEOUT, false)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(64)
            .timeout_global(Some(CALL_TIMEOUT))
            // Companies that inspect traffic have their own certificate authority in the system's
            // store.
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            )
            .build()
            .new_agent();
        let reader = token(&agent, outputs, READ)?;
        let writer = if read_only {
            None
        } else {
            Some(token(&agent, outputs, WRITE)?)
        };
        Self::new(Transport::Gateway(agent), outputs, reader, writer, deadline)
    }

    /// Connects by invoking a version of the function. Fails if the version does not start.
    pub(crate) fn of_version(
        version: Version,
        outputs: &Outputs,
        read_only: bool,
        deadline: Arc<Deadline>,
    ) -> Result<Self> {
        let writer = (!read_only).then(|| WRITE.to_owned());
        let api = Self::new(
            Transport::DirectInvoke(Box::new(version)),
            outputs,
            READ.to_owned(),
            writer,
            deadline,
        )?;
        api.get("/health").send()?;
        Ok(api)
    }

    fn new(
        transport: Transport,
        outputs: &Outputs,
        reader: String,
        writer: Option<String>,
        deadline: Arc<Deadline>,
    ) -> Result<Self> {
        Ok(Self {
            transport,
            contract: Contract::embedded()?,
            url: outputs.api_url().to_owned(),
            token_url: outputs.token_url().to_owned(),
            reader,
            writer,
            deadline,
            mismatches: Mutex::default(),
        })
    }

    /// Records a mismatch unless `as_expected` is true.
    pub(crate) fn check_rejection(&self, as_expected: bool, what: impl FnOnce() -> String) {
        if !as_expected {
            self.note_mismatch(what());
        }
    }

    fn note_mismatch(&self, what: String) {
        self.mismatches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    /// # Errors
    /// [`RejectionMismatch`], if any mismatch was recorded since the last call.
    pub(crate) fn ensure_no_mismatch(&self) -> Result<()> {
        let noted = std::mem::take(
            &mut *self
                .mismatches
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        ensure!(noted.is_empty(), RejectionMismatch(noted.join("; ")));
        Ok(())
    }

    /// Creates a request. GET and HEAD use the token with the read scope, other methods the one
    /// with the write scope.
    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> ApiRequest<'_> {
        let reads = method == Method::GET || method == Method::HEAD;
        let token = if reads {
            Some(self.reader.as_str())
        } else {
            self.writer.as_deref()
        };
        ApiRequest {
            api: self,
            method,
            path: path.into(),
            token,
            headers: Vec::new(),
            body: None,
            cleanup: false,
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> ApiRequest<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn reader(&self) -> &str {
        &self.reader
    }

    pub(crate) fn token_url(&self) -> &str {
        &self.token_url
    }

    /// Resolves a `Location` against the URL of its request (RFC 9110, section 10.2.2). Returns the
    /// path below the API's URL.
    pub(crate) fn locate(&self, request_path: &str, location: &str) -> Result<String> {
        let request = Url::parse(&format!("{}{request_path}", self.url))?;
        let absolute = request
            .join(location)
            .with_context(|| format!("Location {location:?} is not a URL reference"))?;
        let path = absolute.as_str().strip_prefix(&self.url);
        path.map(str::to_owned).with_context(|| {
            format!(
                "Location {location:?} leads to {absolute}, outside of {}",
                self.url
            )
        })
    }
}

/// Returns the path of a movie. All of the title is encoded, slashes included.
pub(crate) fn movie_path(year: u16, title: &str) -> String {
    format!("/movies/{year}/{}", encode(title))
}

/// Returns the query form of a movie. It also works for titles that a path cannot contain, because
/// gateways and clients resolve `..` and merge slashes.
pub(crate) fn movie_query(year: u16, title: &str) -> String {
    format!("/movies?year={year}&title={}", encode(title))
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn token(agent: &Agent, outputs: &Outputs, scope: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct TokenBody {
        access_token: String,
    }
    let consumer = outputs.operations(scope)?;
    let mut response = agent
        .post(outputs.token_url())
        .send_form([
            ("grant_type", "client_credentials"),
            ("client_id", &consumer.client_id),
            ("client_secret", &consumer.client_secret),
            ("scope", scope),
        ])
        .with_context(|| {
            format!(
                "no response from {}; is the environment up?",
                outputs.token_url()
            )
        })?;
    let body = response.body_mut().read_to_string()?;
    // The body of a success is the secret itself and is never printed.
    ensure!(
        response.status().is_success(),
        "{} returned no token for {scope}: {} {body}",
        outputs.token_url(),
        response.status()
    );
    let token: TokenBody = serde_json::from_str(&body)
        .ok()
        .context("the token endpoint's response has no access_token")?;
    Ok(token.access_token)
}

impl<'a> ApiRequest<'a> {
    pub(crate) fn token(mut self, token: Option<&'a str>) -> Self {
        self.token = token;
        self
    }

    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(self, body: impl Into<String>) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn body(mut self, content_type: &'a str, body: impl Into<String>) -> Self {
        self.body = Some(body.into().into_bytes());
        self.header("Content-Type", content_type)
    }

    /// Marks the request as cleanup, which continues after the deadline.
    pub(crate) fn cleanup(mut self) -> Self {
        self.cleanup = true;
        self
    }

    pub(crate) fn send(&self) -> Result<ApiResponse> {
        self.check_response(self.exchange()?)
    }

    /// Sends a request under load. Retries throttled and failed requests with a random backoff.
    pub(crate) fn send_with_retries(&self) -> Result<ApiResponse> {
        let mut backoff = Duration::from_millis(100);
        for _ in 0..6 {
            match self.exchange() {
                Ok(response) if !matches!(response.status, 429 | 502..=504) => {
                    return self.check_response(response);
                }
                Err(error) if error.is::<Blocked>() => return Err(error),
                _ => sleep(backoff.mul_f64(fastrand::f64())),
            }
            backoff *= 2;
        }
        self.send()
    }

    fn exchange(&self) -> Result<ApiResponse> {
        let time = self.api.deadline.remaining(CALL_TIMEOUT, self.cleanup)?;
        match &self.api.transport {
            Transport::Gateway(agent) => {
                let response = self.through(agent, time)?;
                ensure!(!response.is_from_waf(), Blocked);
                Ok(response)
            }
            Transport::DirectInvoke(version) => {
                version.invoke(self, time).with_context(|| self.to_string())
            }
        }
    }

    fn through(&self, agent: &Agent, time: Duration) -> Result<ApiResponse> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(format!("{}{}", self.api.url, self.path));
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let sent = match &self.body {
            Some(body) => agent.run(
                agent
                    .configure_request(request.body(body.as_slice())?)
                    .timeout_global(Some(time))
                    .build(),
            ),
            None => agent.run(
                agent
                    .configure_request(request.body(())?)
                    .timeout_global(Some(time))
                    .build(),
            ),
        };
        let mut response = sent.with_context(|| format!("{self}: no response"))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .read_to_string()
            .with_context(|| format!("{self}: the body ended early"))?;
        Ok(ApiResponse {
            status,
            headers: response.headers().clone(),
            body,
        })
    }

    /// Checks what must hold for every response.
    fn check_response(&self, response: ApiResponse) -> Result<ApiResponse> {
        self.api
            .contract
            .check(self.method.as_str(), &self.path, response.status)?;
        if response.status >= 400 && self.method != Method::HEAD {
            response.problem().with_context(|| {
                format!(
                    "{self} returned {} without a valid problem document",
                    response.status
                )
            })?;
        }
        Ok(response)
    }

    pub(crate) fn expect(&self, status: u16) -> Result<ApiResponse> {
        let response = self.send()?;
        response
            .ensure_status(status)
            .with_context(|| self.to_string())?;
        Ok(response)
    }

    /// Expects a rejection that API Gateway or AWS WAF may return instead of the function. If the
    /// request came through the gateway, another 4xx status, code or body is only recorded as a
    /// [`RejectionMismatch`], and `None` is returned.
    pub(crate) fn expect_rejection(&self, status: u16, code: &str) -> Result<Option<Rejection>> {
        let response = self.exchange()?;
        ensure!(
            (400..500).contains(&response.status),
            "{self} returned {}, not {status}: {}",
            response.status,
            response.body
        );
        let rejection = self.check_response(response).and_then(|response| {
            response
                .ensure_status(status)
                .with_context(|| self.to_string())?;
            let problem = response.problem()?;
            problem
                .ensure_code(code)
                .with_context(|| self.to_string())?;
            Ok(Rejection { response, problem })
        });
        self.tolerate(rejection)
    }

    /// Expects 401 or 403. Which one depends on the part of the authorizer that rejects.
    pub(crate) fn expect_unauthorized(&self) -> Result<()> {
        let response = self.exchange()?;
        ensure!(
            matches!(response.status, 401 | 403),
            "{self} returned {}, not 401 or 403: {}",
            response.status,
            response.body
        );
        let checked = self.check_response(response);
        self.tolerate(checked).map(drop)
    }

    /// Records an error of a rejection as a mismatch, if the gateway may have returned it.
    fn tolerate<T>(&self, rejection: Result<T>) -> Result<Option<T>> {
        match rejection {
            Ok(rejection) => Ok(Some(rejection)),
            Err(error) if matches!(self.api.transport, Transport::Gateway(_)) => {
                self.api.note_mismatch(format!("{error:#}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Expects a response of the function with this status and problem code.
    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> Result<ProblemBody> {
        let problem = self.expect(status)?.problem()?;
        problem
            .ensure_code(code)
            .with_context(|| self.to_string())?;
        Ok(problem)
    }

    /// Expects a 400 of the function that names these fields and no others, each with a message.
    pub(crate) fn expect_fields(&self, fields: &[&str]) -> Result<()> {
        let problem = self.expect_problem(400, "invalid_request")?;
        ensure!(
            problem.fields() == fields,
            "{self}: the named fields are {:?}, not {fields:?}",
            problem.fields()
        );
        ensure!(
            problem.errors.iter().all(|error| !error.message.is_empty()),
            "{self}: a field has no message"
        );
        Ok(())
    }
}

impl std::fmt::Display for ApiRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl ApiResponse {
    /// Returns whether a web ACL blocked the request: 403 with the error type `ForbiddenException`.
    /// <https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden>
    fn is_from_waf(&self) -> bool {
        let kind = self
            .headers
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok());
        self.status == 403 && kind.is_some_and(|kind| kind.starts_with("ForbiddenException"))
    }

    pub(crate) fn ensure_status(&self, status: u16) -> Result<()> {
        if self.status != status {
            let beginning: String = self.body.chars().take(300).collect();
            bail!("returned {}, not {status}: {beginning}", self.status);
        }
        Ok(())
    }

    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let value = self
            .headers
            .get(name)
            .with_context(|| format!("the response has no {name}"))?;
        value
            .to_str()
            .with_context(|| format!("{name} is not ASCII"))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let media_type = self.header("Content-Type")?;
        ensure!(
            media_type.starts_with("application/json"),
            "Content-Type is {media_type}, not application/json"
        );
        serde_json::from_str(&self.body)
            .with_context(|| format!("the body does not match the contract: {}", self.body))
    }

    fn problem(&self) -> Result<ProblemBody> {
        let media_type = self.header("Content-Type")?;
        // AWS WAF rejects large bodies and too many requests before the gateway. It can only send
        // application/json and has no request id.
        let by_waf = matches!(self.status, 413 | 429) && media_type.starts_with("application/json");
        ensure!(
            by_waf || media_type.starts_with("application/problem+json"),
            "Content-Type is {media_type}: {}",
            self.body
        );
        let problem: ProblemBody =
            serde_json::from_str(&self.body).with_context(|| self.body.clone())?;
        ensure!(
            problem.status == self.status,
            "the body has the status {}, the status line {}",
            problem.status,
            self.status
        );
        ensure!(problem.kind == "about:blank", "type is {:?}", problem.kind);
        for (name, value) in [
            ("title", &problem.title),
            ("detail", &problem.detail),
            ("request_id", &problem.request_id),
        ] {
            ensure!(
                !value.is_empty() || (by_waf && name == "request_id"),
                "{name} is empty"
            );
        }
        Ok(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Api {
        Api {
            transport: Transport::Gateway(Agent::new_with_defaults()),
            contract: Contract::embedded().unwrap(),
            url: "http://127.0.0.1:4566/_aws/execute-api/abc/v1".to_owned(),
            token_url: String::new(),
            reader: String::new(),
            writer: None,
            deadline: Arc::new(Deadline::none()),
            mismatches: Mutex::default(),
        }
    }

    #[test]
    fn titles_are_completely_encoded_once() {
        assert_eq!(
            movie_path(2100, "a/b?c+d&e#f%25 '\"é"),
            "/movies/2100/a%2Fb%3Fc%2Bd%26e%23f%2525%20%27%22%C3%A9"
        );
    }

    #[test]
    fn relative_and_absolute_locations_are_resolved() {
        let absolute = format!("{}/movies/2100/x", api().url);
        for location in [
            "movies/2100/x",
            "/_aws/execute-api/abc/v1/movies/2100/x",
            &absolute,
        ] {
            assert_eq!(
                api().locate("/movies", location).unwrap(),
                "/movies/2100/x",
                "{location}"
            );
        }
    }

    #[test]
    fn a_location_without_the_stage_is_rejected() {
        let error = api().locate("/movies", "/movies/2100/x").unwrap_err();
        assert!(error.to_string().contains("outside of"), "{error}");
    }

    fn response(status: u16, media_type: &str, body: &str) -> ApiResponse {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", media_type.parse().unwrap());
        ApiResponse {
            status,
            headers,
            body: body.to_owned(),
        }
    }

    #[test]
    fn only_rejections_by_waf_may_be_plain_json_without_a_request_id() {
        let body = |status: u16| {
            format!(
                r#"{{"type":"about:blank","title":"t","status":{status},"code":"payload_too_large","detail":"d","request_id":""}}"#
            )
        };
        for status in [413, 429] {
            assert!(
                response(status, "application/json", &body(status))
                    .problem()
                    .is_ok()
            );
            assert!(
                response(status, "application/problem+json", &body(status))
                    .problem()
                    .is_err()
            );
        }
        assert!(
            response(403, "application/json", &body(403))
                .problem()
                .is_err()
        );
    }

    #[test]
    fn incomplete_problem_documents_are_rejected() {
        let complete = r#"{"type":"about:blank","title":"Not Found","status":404,"code":"movie_not_found","detail":"d","request_id":"r"}"#;
        assert_eq!(
            response(404, "application/problem+json", complete)
                .problem()
                .unwrap()
                .code,
            "movie_not_found"
        );
        for (status, media_type, body) in [
            (404, "application/json", complete.to_owned()),
            (403, "application/problem+json", complete.to_owned()),
            (
                404,
                "application/problem+json",
                complete.replace(r#""r""#, r#""""#),
            ),
            (
                404,
                "application/problem+json",
                complete.replace("\"detail\"", "\"cause\""),
            ),
        ] {
            assert!(
                response(status, media_type, &body).problem().is_err(),
                "{status} {media_type} {body}"
            );
        }
    }
}
