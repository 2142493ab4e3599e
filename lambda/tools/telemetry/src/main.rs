//! The layer: an external Lambda extension that takes the function's traces on loopback, as OTLP, and sends them to X-Ray's
//! OTLP endpoint. So the function neither signs nor waits, and needs no agent's SDK.
//!
//! **It cannot delay a response.** While a request is served the extension sleeps. When spans are due, it waits until Lambda
//! says that the response is out (`platform.runtimeDone`), sends, and only then asks for the next event: an environment that
//! has been frozen half-way through a TLS connection would find it dead. That holds this one environment for as long as the
//! sending takes, at most [`SEND`] every [`buffer::DUE`]; while the endpoint does not answer, [`SEND`] every [`sender::PAUSE`].
//!
//! **It cannot fail one.** Lambda fails INIT when an extension ends or reports an error, and an invocation when it ends later;
//! so it does neither. A port that is taken, a subscription that is refused, an endpoint that is down: each costs traces, never
//! a request. It ends after SHUTDOWN alone.
//!
//! **It cannot grow.** What waits is bounded in bytes and spans; the oldest go first, and the next
//! warning counts them, as it counts what was refused for good and what could not be sent before
//! SHUTDOWN.
//!
//! What it costs instead: spans wait for the next request or for SHUTDOWN, so those of an environment that falls idle come
//! minutes late; and those of one that is killed are lost.
//!
//! The account needs Transaction Search (X-Ray's endpoint refuses spans without), the function's role [`RIGHTS`], the function
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

/// What X-Ray's OTLP endpoint asks of whose credentials sign. A test of prod's plan holds the function's role to it.
const RIGHTS: [&str; 2] = ["xray:PutSpans", "xray:PutSpansForIndexing"];
/// How long a batch may take while the function lives.
const SEND: Duration = Duration::from_millis(500);
/// What is left of the time that a SHUTDOWN gives, for the process to end in.
const MARGIN: Duration = Duration::from_millis(200);

/// Prints a line for CloudWatch Logs. One that cannot be written is left out: a panic would end the
/// extension, and with it the function's environment.
fn warn(message: &str, cause: &dyn std::fmt::Display) {
    let line = serde_json::json!({ "level": "WARN", "service": "telemetry", "message": message, "cause": cause.to_string() });
    let _ = writeln!(std::io::stdout(), "{line}");
}

// One thread: there is never anything to do at the same time.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().len() > 1 {
        let _ = writeln!(
            std::io::stdout(),
            "telemetry: an external AWS Lambda extension; Lambda starts it from a layer's extensions/ folder, without arguments.\n\
             The function's role needs {}.",
            RIGHTS.join(" and ")
        );
        return;
    }
    // At an INVOKE both are woken. Where there is one CPU, the function is to have it first.
    let _ = rustix::process::nice(19);
    LocalSet::new().run_until(run()).await;
}

async fn run() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let buffer = Rc::new(Buffer::default());
    let finished = Rc::new(watch::Sender::new(String::new()));

    // The function sends where the same variable tells it to.
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
            "no traces are taken: the address cannot be bound",
            &format!("{address}: {cause}"),
        ),
    }

    let mut extension = Extension::register(&variable("AWS_LAMBDA_RUNTIME_API")).await;
    // Lambda delivers to an address of the environment's that is not loopback. From outside nothing reaches into one.
    let mut hears = match TcpListener::bind("0.0.0.0:0").await {
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
                    "traces are sent at shutdown alone: the subscription was refused",
                    &cause,
                );
                false
            }
        },
        Err(cause) => {
            warn(
                "traces are sent at shutdown alone: no port can be bound",
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
                if hears && buffer.is_due() && !sender.is_paused() {
                    let done = async {
                        finished
                            .subscribe()
                            .wait_for(|id| *id == request_id)
                            .await
                            .is_ok()
                    };
                    // Without that word this request would have been held to its deadline; no second one is.
                    hears = timeout(until(deadline_ms), done).await.unwrap_or(false);
                    if hears {
                        sender.send(&buffer, SEND).await;
                    } else {
                        warn(
                            "traces are sent at shutdown alone",
                            &"Lambda did not say when the function was done",
                        );
                    }
                }
            }
            Event::Shutdown { deadline_ms } => {
                sender
                    .send(&buffer, until(deadline_ms).saturating_sub(MARGIN))
                    .await;
                let lost = buffer.take().map_or(0, |batch| batch.spans()) + buffer.take_dropped();
                if lost > 0 {
                    warn(
                        "traces are lost at shutdown",
                        &format!("{lost} spans are lost"),
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
