//! The two doors: AWS Lambda and a plain HTTP server. Each turns what arrives into a [`Request`]; both go through [`Door`].
//! But for traces, this is the only place where a clock is read.

pub mod lambda;
mod line;
pub mod server;
mod signature;

use crate::{
    config::Function,
    http::{Api, Damaged, Request, route_template},
    store::{Cause, policy},
    trace,
};
use http::{Method, Response};
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
    /// Whether a request has been served by this process.
    warm: AtomicBool,
}

impl Door {
    /// A door to `api`.
    #[must_use]
    pub fn new(api: Api, function: Option<Function>) -> Self {
        Self { api: Arc::new(api), function, warm: AtomicBool::new(false) }
    }

    /// Answers a request, before `deadline` if there is one, and leaves one line of it: a log entry, and in Lambda
    /// CloudWatch's metrics too.
    async fn pass(&self, request: Request, deadline: Option<SystemTime>) -> Response<String> {
        let begin = Instant::now();
        let until = |deadline: SystemTime| deadline.duration_since(request.time).unwrap_or_default().saturating_sub(policy::RESERVE);
        let left = deadline.map_or(Duration::MAX, until).min(policy::BUDGET);
        let (id, method, client_id) = (request.id.clone(), method_name(&request.method), request.caller.client_id.clone());
        let route = route_template(&request.path);
        let response = self.api.answer(request, left).await;
        trace::served(&id, method, route, response.status().as_u16());
        let line = Line {
            time: SystemTime::now(),
            function: self.function.as_ref(),
            request_id: &id,
            method,
            route,
            client_id: client_id.as_deref(),
            consumer: self.api.consumer(client_id.as_deref()).map(|consumer| consumer.name.as_str()),
            status: response.status().as_u16(),
            cause: response.extensions().get().map(|cause: &Cause| cause.as_str()),
            damaged_rows: response.extensions().get().map_or(0, |Damaged(rows)| *rows),
            latency: begin.elapsed(),
            cold: !self.warm.swap(true, Ordering::Relaxed),
        };
        if tracing::enabled!(tracing::Level::INFO) {
            println!("{}", line.to_json());
        }
        response
    }
}

/// A method's name for the log: one that the caller made up has no place there.
fn method_name(method: &Method) -> &'static str {
    const NAMES: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    NAMES.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}
