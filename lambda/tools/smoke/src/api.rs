//! The API as a caller sees it. Every answer is held against the contract; every error has to be a problem body.

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

use crate::contract::Contract;
use crate::outputs::{Outputs, READ, WRITE};
use crate::version::Version;
use crate::watch::Watch;

/// All but RFC 3986's unreserved characters: what is encoded here means itself to every gateway.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct Api {
    door: Door,
    contract: Contract,
    url: String,
    token_url: String,
    reader: String,
    writer: Option<String>,
    watch: Arc<Watch>,
    /// What was rejected in other words than expected, since it was last asked for.
    wording: Mutex<Vec<String>>,
}

/// Where requests go in.
enum Door {
    Gateway(Agent),
    /// Behind the gateway: the scope that a token would have stands for the token.
    Version(Box<Version>),
}

pub(crate) struct Call<'a> {
    api: &'a Api,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Option<Vec<u8>>,
    cleans_up: bool,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The request was rejected as it should be, but with another status, code or body than expected.
/// It is reported and fails no run: callers are as safe as before, and no older version would
/// answer better.
#[derive(Debug)]
pub(crate) struct Wording(pub(crate) String);

impl std::fmt::Display for Wording {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Wording {}

/// AWS WAF rejected the request. Its list of addresses with a bad reputation holds ranges of cloud
/// providers, hosted runners among them, so this tells nothing about what is deployed.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldErrorBody {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Api {
    /// Through the gateway, with a token for each scope.
    pub(crate) fn connect(outputs: &Outputs, read_only: bool, watch: Arc<Watch>) -> Result<Self> {
        watch.left(CALL_TIMEOUT, false)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(64)
            .timeout_global(Some(CALL_TIMEOUT))
            // A company that inspects its traffic has its own authority in the machine's store.
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
        Self::new(Door::Gateway(agent), outputs, reader, writer, watch)
    }

    /// Past the gateway, by invoking a version. It has to answer: one that cannot start gives no answer at all.
    pub(crate) fn of_version(
        version: Version,
        outputs: &Outputs,
        read_only: bool,
        watch: Arc<Watch>,
    ) -> Result<Self> {
        let writer = (!read_only).then(|| WRITE.to_owned());
        let api = Self::new(
            Door::Version(Box::new(version)),
            outputs,
            READ.to_owned(),
            writer,
            watch,
        )?;
        api.get("/health").send()?;
        Ok(api)
    }

    fn new(
        door: Door,
        outputs: &Outputs,
        reader: String,
        writer: Option<String>,
        watch: Arc<Watch>,
    ) -> Result<Self> {
        Ok(Self {
            door,
            contract: Contract::embedded()?,
            url: outputs.api_url().to_owned(),
            token_url: outputs.token_url().to_owned(),
            reader,
            writer,
            watch,
            wording: Mutex::default(),
        })
    }

    /// Notes what is wrong unless it is as expected.
    pub(crate) fn expect_wording(&self, as_expected: bool, what: impl FnOnce() -> String) {
        if !as_expected {
            self.note_wording(what());
        }
    }

    fn note_wording(&self, what: String) {
        self.wording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    /// # Errors
    /// [`Wording`], of what was noted since the last time.
    pub(crate) fn ensure_wording(&self) -> Result<()> {
        let noted =
            std::mem::take(&mut *self.wording.lock().unwrap_or_else(PoisonError::into_inner));
        ensure!(noted.is_empty(), Wording(noted.join("; ")));
        Ok(())
    }

    /// GET and HEAD go with the token that may read, all else with the one that may write.
    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> Call<'_> {
        let reads = method == Method::GET || method == Method::HEAD;
        let token = if reads {
            Some(self.reader.as_str())
        } else {
            self.writer.as_deref()
        };
        Call {
            api: self,
            method,
            path: path.into(),
            token,
            headers: Vec::new(),
            body: None,
            cleans_up: false,
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn reader(&self) -> &str {
        &self.reader
    }

    pub(crate) fn token_url(&self) -> &str {
        &self.token_url
    }

    /// A `Location` is relative to the request that was answered with it (RFC 9110, 10.2.2); gives the path below the API's URL.
    pub(crate) fn locate(&self, request_path: &str, location: &str) -> Result<String> {
        let origin_end = self.url.find("://").map_or(0, |scheme| scheme + 3);
        let origin_end = self.url[origin_end..]
            .find('/')
            .map_or(self.url.len(), |path| origin_end + path);
        let absolute = if location.contains("://") {
            location.to_owned()
        } else if location.starts_with('/') {
            format!("{}{location}", &self.url[..origin_end])
        } else {
            let request = format!("{}{request_path}", self.url);
            let folder = request
                .rfind('/')
                .map_or(request.as_str(), |slash| &request[..=slash]);
            format!("{folder}{location}")
        };
        let path = absolute.strip_prefix(&self.url).map(str::to_owned);
        path.with_context(|| {
            format!(
                "Location {location:?} leads to {absolute}, outside of {}",
                self.url
            )
        })
    }
}

/// The path of one movie; a slash in the title is encoded like the rest.
pub(crate) fn movie_path(year: u16, title: &str) -> String {
    format!("/movies/{year}/{}", encode(title))
}

/// The query form of one movie, for titles too that a path cannot carry: gateways and clients
/// resolve `..` and fold slashes.
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
    let mut answer = agent
        .post(outputs.token_url())
        .send_form([
            ("grant_type", "client_credentials"),
            ("client_id", &consumer.client_id),
            ("client_secret", &consumer.client_secret),
            ("scope", scope),
        ])
        .with_context(|| {
            format!(
                "no answer from {}; is the environment up?",
                outputs.token_url()
            )
        })?;
    let body = answer.body_mut().read_to_string()?;
    // The body of a success is the secret itself: it is never shown.
    ensure!(
        answer.status().is_success(),
        "{} gave no token for {scope}: {} {body}",
        outputs.token_url(),
        answer.status()
    );
    let token: TokenBody = serde_json::from_str(&body)
        .ok()
        .context("the token endpoint's answer holds no access_token")?;
    Ok(token.access_token)
}

impl<'a> Call<'a> {
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

    /// Goes on when all else has been stopped.
    pub(crate) fn cleans_up(mut self) -> Self {
        self.cleans_up = true;
        self
    }

    pub(crate) fn send(&self) -> Result<Answer> {
        self.judge(self.exchange()?)
    }

    /// For reads under load: what a well-behaved client tries again is tried again.
    pub(crate) fn send_patiently(&self) -> Result<Answer> {
        let mut pause = Duration::from_millis(100);
        for _ in 0..6 {
            match self.exchange() {
                Ok(answer) if !matches!(answer.status, 429 | 502..=504) => {
                    return self.judge(answer);
                }
                Err(error) if error.is::<Blocked>() => return Err(error),
                _ => sleep(pause.mul_f64(fastrand::f64())),
            }
            pause *= 2;
        }
        self.send()
    }

    fn exchange(&self) -> Result<Answer> {
        let time = self.api.watch.left(CALL_TIMEOUT, self.cleans_up)?;
        match &self.api.door {
            Door::Gateway(agent) => {
                let answer = self.through(agent, time)?;
                ensure!(!answer.is_of_waf(), Blocked);
                Ok(answer)
            }
            Door::Version(version) => version.ask(self, time).with_context(|| self.to_string()),
        }
    }

    fn through(&self, agent: &Agent, time: Duration) -> Result<Answer> {
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
        let mut response = sent.with_context(|| format!("{self}: no answer"))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .read_to_string()
            .with_context(|| format!("{self}: the body broke off"))?;
        Ok(Answer {
            status,
            headers: response.headers().clone(),
            body,
        })
    }

    /// What holds of every answer.
    fn judge(&self, answer: Answer) -> Result<Answer> {
        self.api
            .contract
            .check(self.method.as_str(), &self.path, answer.status)?;
        if answer.status >= 400 && self.method != Method::HEAD {
            answer.problem().with_context(|| {
                format!(
                    "{self} returned {} without a valid problem document",
                    answer.status
                )
            })?;
        }
        Ok(answer)
    }

    pub(crate) fn expect(&self, status: u16) -> Result<Answer> {
        let answer = self.send()?;
        answer
            .ensure_status(status)
            .with_context(|| self.to_string())?;
        Ok(answer)
    }

    /// Expects a client error. Another status, code or body than this one is noted as a matter of
    /// [`Wording`], and the check goes on without the body.
    pub(crate) fn expect_refusal(&self, status: u16, code: &str) -> Result<Option<ProblemBody>> {
        let answer = self.exchange()?;
        ensure!(
            (400..500).contains(&answer.status),
            "{self} answered {}, not {status}: {}",
            answer.status,
            answer.body
        );
        let judged = self.judge(answer).and_then(|answer| {
            answer
                .ensure_status(status)
                .with_context(|| self.to_string())?;
            let problem = answer.problem()?;
            ensure!(
                problem.code == code,
                "{self}: the code is {:?}, not {code:?}",
                problem.code
            );
            Ok(problem)
        });
        Ok(judged
            .map_err(|error| self.api.note_wording(format!("{error:#}")))
            .ok())
    }

    /// Expects 401 or 403: which one, AWS decides by the part of the authorizer that refuses.
    pub(crate) fn expect_unauthorized(&self) -> Result<()> {
        let answer = self.exchange()?;
        ensure!(
            matches!(answer.status, 401 | 403),
            "{self} answered {}, not 401 or 403: {}",
            answer.status,
            answer.body
        );
        self.judge(answer)
            .map(drop)
            .unwrap_or_else(|error| self.api.note_wording(format!("{error:#}")));
        Ok(())
    }

    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> Result<ProblemBody> {
        let problem = self.expect(status)?.problem()?;
        ensure!(
            problem.code == code,
            "{self}: the code is {:?}, not {code:?}",
            problem.code
        );
        Ok(problem)
    }
}

impl Call<'_> {
    /// Expects a 400 that names these fields and no others, each with a message; another client error
    /// is a matter of [`Wording`].
    pub(crate) fn expect_fields(&self, fields: &[&str]) -> Result<()> {
        let Some(problem) = self.expect_refusal(400, "invalid_request")? else {
            return Ok(());
        };
        let mut named: Vec<_> = problem
            .errors
            .iter()
            .map(|error| error.field.as_str())
            .collect();
        named.sort_unstable();
        self.api.expect_wording(named == fields, || {
            format!("{self}: the fields named are {named:?}, not {fields:?}")
        });
        let all_explained = problem.errors.iter().all(|error| !error.message.is_empty());
        self.api
            .expect_wording(all_explained, || format!("{self}: a field has no message"));
        Ok(())
    }
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl Answer {
    /// Whether a web ACL filtered the request: 403 with the error type `ForbiddenException`.
    /// <https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden>
    fn is_of_waf(&self) -> bool {
        let kind = self
            .headers
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok());
        self.status == 403 && kind.is_some_and(|kind| kind.starts_with("ForbiddenException"))
    }

    pub(crate) fn ensure_status(&self, status: u16) -> Result<()> {
        if self.status != status {
            let beginning: String = self.body.chars().take(300).collect();
            bail!("answered {}, not {status}: {beginning}", self.status);
        }
        Ok(())
    }

    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let value = self
            .headers
            .get(name)
            .with_context(|| format!("the answer has no {name}"))?;
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
            .with_context(|| format!("not the body that the contract describes: {}", self.body))
    }

    fn problem(&self) -> Result<ProblemBody> {
        let media_type = self.header("Content-Type")?;
        // Large bodies and too many requests are refused by AWS WAF, before any gateway: it can send no type but JSON's and
        // knows no request id.
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
            "the body says {}, the status line {}",
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
            door: Door::Gateway(Agent::new_with_defaults()),
            contract: Contract::embedded().unwrap(),
            url: "http://127.0.0.1:4566/_aws/execute-api/abc/v1".to_owned(),
            token_url: String::new(),
            reader: String::new(),
            writer: None,
            watch: Arc::new(Watch::never()),
            wording: Mutex::default(),
        }
    }

    #[test]
    fn a_title_is_encoded_once_and_wholly() {
        assert_eq!(
            movie_path(2100, "a/b?c+d&e#f%25 '\"é"),
            "/movies/2100/a%2Fb%3Fc%2Bd%26e%23f%2525%20%27%22%C3%A9"
        );
    }

    #[test]
    fn a_location_is_resolved_whichever_form_it_takes() {
        let whole = format!("{}/movies/2100/x", api().url);
        for location in [
            "movies/2100/x",
            "/_aws/execute-api/abc/v1/movies/2100/x",
            &whole,
        ] {
            assert_eq!(
                api().locate("/movies", location).unwrap(),
                "/movies/2100/x",
                "{location}"
            );
        }
    }

    #[test]
    fn a_location_that_loses_the_stage_is_refused() {
        let error = api().locate("/movies", "/movies/2100/x").unwrap_err();
        assert!(error.to_string().contains("outside of"), "{error}");
    }

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", media_type.parse().unwrap());
        Answer {
            status,
            headers,
            body: body.to_owned(),
        }
    }

    #[test]
    fn only_what_the_waf_refused_may_come_as_plain_json_without_a_request_id() {
        let body = |status: u16| {
            format!(
                r#"{{"type":"about:blank","title":"t","status":{status},"code":"payload_too_large","detail":"d","request_id":""}}"#
            )
        };
        for status in [413, 429] {
            assert!(
                answer(status, "application/json", &body(status))
                    .problem()
                    .is_ok()
            );
            assert!(
                answer(status, "application/problem+json", &body(status))
                    .problem()
                    .is_err()
            );
        }
        assert!(
            answer(403, "application/json", &body(403))
                .problem()
                .is_err()
        );
    }

    #[test]
    fn a_problem_has_to_be_whole() {
        let whole = r#"{"type":"about:blank","title":"Not Found","status":404,"code":"movie_not_found","detail":"d","request_id":"r"}"#;
        assert_eq!(
            answer(404, "application/problem+json", whole)
                .problem()
                .unwrap()
                .code,
            "movie_not_found"
        );
        for (status, media_type, body) in [
            (404, "application/json", whole.to_owned()),
            (403, "application/problem+json", whole.to_owned()),
            (
                404,
                "application/problem+json",
                whole.replace(r#""r""#, r#""""#),
            ),
            (
                404,
                "application/problem+json",
                whole.replace("\"detail\"", "\"cause\""),
            ),
        ] {
            assert!(
                answer(status, media_type, &body).problem().is_err(),
                "{status} {media_type} {body}"
            );
        }
    }
}
