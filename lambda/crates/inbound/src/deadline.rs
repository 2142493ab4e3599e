//! Time limits of a request. This file has every one of them.
//!
//! ```text
//! the caller waits        REQUEST_TIMEOUT 3 s, or until SHUTDOWN_MARGIN before Lambda's timeout
//!   to send its headers   HEADER_TIMEOUT 10 s (HTTP server)
//!   to send its body      BODY_TIMEOUT 10 s (HTTP server); REQUEST_TIMEOUT begins after it
//! a stopping server       DRAIN_TIMEOUT 10 s for open requests
//! ```

use crate::{Failure, RequestContext};
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Maximum time for a response.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Time between the last possible response and Lambda's own timeout. At that timeout, Lambda ends
/// the process and the caller gets an error of the gateway.
pub const SHUTDOWN_MARGIN: Duration = Duration::from_millis(200);
/// Minimum remaining time to begin: with less, the caller gets 503 at once.
pub const MIN_REMAINING: Duration = Duration::from_millis(100);
/// Maximum time for a client to send its headers.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for a client to send its body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for open requests after a signal to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The deadline of a response.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// Lambda's deadline, less the margin.
    limit: Option<Instant>,
    /// `None` while the body is received: that has a limit of its own.
    due: Mutex<Option<Instant>>,
}

impl Deadline {
    pub(crate) fn new(begin: Instant, remaining: Option<Duration>) -> Self {
        let limit = remaining.map(|remaining| begin + remaining.saturating_sub(SHUTDOWN_MARGIN));
        let deadline = Self {
            limit,
            due: Mutex::default(),
        };
        deadline.restart(begin);
        deadline
    }

    /// Stops the clock while the body is received.
    pub(crate) fn pause(&self) {
        if self.limit.is_none() {
            self.set(None);
        }
    }

    /// Starts the request's time limit, at most Lambda's deadline.
    pub(crate) fn restart(&self, now: Instant) {
        let due = now + REQUEST_TIMEOUT;
        self.set(Some(self.limit.map_or(due, |limit| limit.min(due))));
    }

    fn set(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    fn due(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves at the deadline.
    async fn passed(&self) {
        loop {
            let due = self.due();
            let wake = due.unwrap_or_else(|| Instant::now() + BODY_TIMEOUT);
            tokio::time::sleep_until(wake.into()).await;
            if due.is_some() && self.due() == due {
                return;
            }
        }
    }
}

/// The layer that responds 503 if too little time remains or the deadline passes.
pub(crate) async fn layer(context: RequestContext, request: Request, next: Next) -> Response {
    let deadline = context.deadline();
    let remaining = deadline.due().map_or(REQUEST_TIMEOUT, |due| {
        due.saturating_duration_since(Instant::now())
    });
    if remaining < MIN_REMAINING {
        let detail = format!("{remaining:?} left is not worth a try");
        return Failure::deadline(detail).into_response();
    }
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = deadline.passed() => {
            Failure::deadline(format!("no response in {remaining:?}")).into_response()
        }
    }
}
