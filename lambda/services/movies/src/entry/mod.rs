//! The two doors: AWS Lambda and a plain HTTP server. Each turns what arrives into a [`Request`]; both go through [`Door`].
//! But for traces, this is the only place where a clock is read.

pub mod lambda;
mod line;
pub mod server;
mod signature;

use crate::{
    config::Function,
    http::{Api, Damaged, Problem, Request, route_template},
    log::Log,
    store::{Cause, policy},
    trace,
};
use http::{HeaderValue, Method, Response, StatusCode};
use line::Line;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// The API and the record of who went in.
#[derive(Debug)]
pub struct Door {
    api: Arc<Api>,
    /// The Lambda function: what metrics are filed under. Elsewhere there is none, and only a log line is left.
    function: Option<Function>,
    log: Arc<Log>,
    /// Whether a request has been served by this process.
    warm: AtomicBool,
}

/// What the access log contains of a request before its response is known.
#[derive(Clone, Debug)]
struct Seen {
    id: String,
    method: &'static str,
    route: &'static str,
    client_id: Option<String>,
    begin: Instant,
}

impl Seen {
    fn new(id: &str, method: &Method, path: &str) -> Self {
        let (method, route) = (method_name(method), route_template(path));
        Self {
            id: id.to_owned(),
            method,
            route,
            client_id: None,
            begin: Instant::now(),
        }
    }

    /// A request whose method and path could not be read.
    fn unreadable(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            method: UNKNOWN_METHOD,
            route: route_template(""),
            client_id: None,
            begin: Instant::now(),
        }
    }
}

impl Door {
    /// A door to `api`.
    #[must_use]
    pub fn new(api: Api, function: Option<Function>, log: Arc<Log>) -> Self {
        Self {
            api: Arc::new(api),
            function,
            log,
            warm: AtomicBool::new(false),
        }
    }

    /// Answers a request, before `deadline` if there is one, and leaves one line of it: a log entry, and in Lambda
    /// CloudWatch's metrics too.
    async fn pass(&self, request: Request, deadline: Option<SystemTime>) -> Response<String> {
        let seen = Seen {
            client_id: request.caller.client_id.clone(),
            ..Seen::new(&request.id, &request.method, &request.path)
        };
        let until = |deadline: SystemTime| {
            deadline
                .duration_since(request.time)
                .unwrap_or_default()
                .saturating_sub(policy::RESERVE)
        };
        let left = deadline.map_or(Duration::MAX, until).min(policy::BUDGET);
        let response = self.api.answer(request, left).await;
        trace::served(
            &seen.id,
            seen.method,
            seen.route,
            response.status().as_u16(),
        );
        self.record(&seen, &response);
        response
    }

    /// Rejects what never became a [`Request`], and logs it as well.
    fn refuse(
        &self,
        seen: &Seen,
        problem: Problem,
        origin: Option<HeaderValue>,
    ) -> Response<String> {
        let response = self.api.refuse(problem, &seen.id, origin);
        self.record(seen, &response);
        response
    }

    fn record(&self, seen: &Seen, response: &Response<String>) {
        let cause = response
            .extensions()
            .get()
            .map(|cause: &Cause| cause.as_str());
        let damaged_rows = response.extensions().get().map_or(0, |Damaged(rows)| *rows);
        self.write(seen, response.status(), cause, damaged_rows);
    }

    fn write(
        &self,
        seen: &Seen,
        status: StatusCode,
        cause: Option<&'static str>,
        damaged_rows: usize,
    ) {
        let line = Line {
            time: SystemTime::now(),
            function: self.function.as_ref(),
            request_id: &seen.id,
            method: seen.method,
            route: seen.route,
            client_id: seen.client_id.as_deref(),
            consumer: self
                .api
                .consumer(seen.client_id.as_deref())
                .map(|consumer| consumer.name.as_str()),
            status: status.as_u16(),
            cause,
            damaged_rows,
            latency: seen.begin.elapsed(),
            cold: !self.warm.swap(true, Ordering::Relaxed),
        };
        if tracing::enabled!(tracing::Level::INFO) {
            self.log.line((line.to_json() + "\n").as_bytes());
        }
    }
}

/// The log's name for a method that HTTP does not define.
const UNKNOWN_METHOD: &str = "other";

/// A method's name for the log: one that the caller made up has no place there.
fn method_name(method: &Method) -> &'static str {
    const NAMES: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    NAMES
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or(UNKNOWN_METHOD)
}
