//! An external Lambda extension that receives the function's traces on loopback, as OTLP, and sends
//! them to X-Ray's OTLP endpoint. The function itself neither signs nor sends them, and needs no
//! agent's SDK.
//!
//! **It does not delay responses.** The extension sleeps while a request is served. When spans are
//! due, it waits until Lambda reports that the response was sent (`platform.runtimeDone`), sends
//! the spans, and only then requests the next event. Otherwise Lambda could freeze the environment
//! during a TLS exchange, and the connection would be dead afterwards. Sending keeps this one
//! environment busy for at most [`SEND_TIMEOUT`] every [`buffer::FLUSH_AFTER`]. While the endpoint
//! does not respond, it does so for at most [`SEND_TIMEOUT`] every [`sender::RETRY_INTERVAL`].
//!
//! **It does not fail requests.** Lambda fails INIT if an extension exits or reports an error, and
//! fails the invocation if it exits later. The extension therefore does neither before SHUTDOWN. A
//! port in use, a rejected subscription or an unreachable endpoint costs traces, never a request.
//!
//! **Its memory is bounded.** The buffer limits bytes and spans and drops the oldest spans first.
//! The next warning reports how many spans were dropped, including those that the endpoint
//! rejected and those that could not be sent before SHUTDOWN.
//!
//! The price: spans wait for the next request or for SHUTDOWN. The spans of an environment that
//! becomes idle arrive minutes late, and those of an environment that is killed are lost.
//!
//! Requirements: Transaction Search is enabled in the account (otherwise X-Ray's endpoint rejects
//! spans), the function's role allows [`REQUIRED_ACTIONS`], and the function has
//! `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod buffer;
mod lambda;
mod listener;
mod sender;

use buffer::Buffer;
use lambda::{Event, Extension};
use sender::Sender;
use std::{
    io::Write,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::watch, task::LocalSet, time::timeout};

/// IAM actions that X-Ray's OTLP endpoint requires. A test of prod's plan compares the function's
/// role with them.
const REQUIRED_ACTIONS: [&str; 2] = ["xray:PutSpans", "xray:PutSpansForIndexing"];
/// Time limit for sending a batch between two invocations.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// Part of the time before SHUTDOWN's deadline that is reserved for the process to exit.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(200);

/// Prints a line for CloudWatch Logs. Write errors are ignored: a panic would end the extension,
/// and with it the function's environment.
fn warn(message: &str, cause: &dyn std::fmt::Display) {
    let line = serde_json::json!({
        "level": "WARN",
        "service": "telemetry",
        "message": message,
        "cause": cause.to_string(),
    });
    let _ = writeln!(std::io::stdout(), "{line}");
}

// One thread is enough: the extension does one thing at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().len() > 1 {
        let _ = writeln!(
            std::io::stdout(),
            "telemetry-extension is an external AWS Lambda extension. Lambda starts it from a \
             layer's extensions/ folder, without arguments.\nThe function's role needs {}.",
            REQUIRED_ACTIONS.join(" and ")
        );
        return;
    }
    // INVOKE wakes the function and the extension. On a single CPU the function runs first.
    let _ = rustix::process::nice(19);
    LocalSet::new().run_until(run()).await;
}

async fn run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let buffer = Rc::new(Buffer::default());
    let finished = Rc::new(watch::Sender::new(String::new()));

    // The function sends its spans to the address in the same variable.
    let endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    let address = endpoint
        .strip_prefix("http://")
        .unwrap_or("127.0.0.1:4318")
        .trim_end_matches('/');
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let buffer = Rc::clone(&buffer);
            listener::listen(listener, move |request| {
                listener::take_spans(&buffer, &request)
            });
        }
        Err(cause) => warn(
            "no traces are received: the address cannot be bound",
            &format!("{address}: {cause}"),
        ),
    }

    let mut extension = Extension::register(&variable("AWS_LAMBDA_RUNTIME_API")).await;
    // Lambda delivers to a non-loopback address of the environment, which cannot be reached from
    // outside.
    let mut subscribed = match TcpListener::bind("0.0.0.0:0").await {
        Ok(listener) => match extension.subscribe(&listener).await {
            Ok(()) => {
                let finished = Rc::clone(&finished);
                listener::listen(listener, move |request| {
                    listener::take_events(&finished, &request)
                });
                true
            }
            Err(cause) => {
                warn(
                    "traces are sent only at shutdown: the subscription was rejected",
                    &cause,
                );
                false
            }
        },
        Err(cause) => {
            warn(
                "traces are sent only at shutdown: no port can be bound",
                &cause,
            );
            false
        }
    };

    let mut sender = Sender::new(&variable("AWS_REGION"), &variable("AWS_ENDPOINT_URL_XRAY"));
    loop {
        match extension.next().await {
            Event::Invoke {
                request_id,
                deadline_ms,
            } => {
                if subscribed && buffer.is_due() && !sender.is_paused() {
                    let done = async {
                        finished
                            .subscribe()
                            .wait_for(|id| *id == request_id)
                            .await
                            .is_ok()
                    };
                    // Without this event the request is held until its deadline. After the first
                    // time the extension does not wait for it again.
                    subscribed = timeout(until(deadline_ms), done).await.unwrap_or(false);
                    if subscribed {
                        sender.send(&buffer, SEND_TIMEOUT).await;
                    } else {
                        warn(
                            "traces are sent only at shutdown",
                            &"Lambda sent no platform.runtimeDone before the deadline",
                        );
                    }
                }
            }
            Event::Shutdown { deadline_ms } => {
                sender
                    .send(&buffer, until(deadline_ms).saturating_sub(SHUTDOWN_MARGIN))
                    .await;
                let lost = buffer.take().map_or(0, |batch| batch.spans()) + buffer.take_dropped();
                if lost > 0 {
                    warn(
                        "traces were lost at shutdown",
                        &format!("{lost} spans were lost"),
                    );
                }
                return;
            }
        }
    }
}

fn until(deadline_ms: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_millis(deadline_ms).saturating_sub(now)
}
