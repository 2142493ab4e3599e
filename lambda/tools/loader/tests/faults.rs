//! The loader against a DynamoDB that leaves items unprocessed, throttles, drops connections and
//! rejects requests.

#![allow(clippy::unwrap_used, reason = "failures in tests")]

use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use http::Request;
use lambda_emulator::{Server, dynamodb};
use serde_json::{Value, json};
use tokio::process::Command;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample.json");
const TABLE: &str = "movies";

enum Reply {
    /// Writes this many items and returns the others as unprocessed.
    Writes(usize),
    Error(u16, &'static str),
    ClosesConnection,
}

/// Starts a server that replies to the nth request by `script(n)`. Also returns the titles of the
/// items that it has written, by request.
async fn dynamodb(
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Server, Receiver<Vec<String>>) {
    let (written, received) = channel();
    let count = AtomicUsize::new(0);
    let server = Server::http(move |request: Request<Bytes>| {
        let response = match script(count.fetch_add(1, Ordering::SeqCst)) {
            Reply::ClosesConnection => None,
            Reply::Error(status, code) => Some(dynamodb::failure(status, code)),
            Reply::Writes(count) => {
                let mut puts = puts(&request);
                let rest = puts.split_off(count.min(puts.len()));
                let title = |put: &Value| {
                    put["PutRequest"]["Item"]["title"]["S"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                };
                written.send(puts.iter().map(title).collect()).unwrap();
                let unprocessed = if rest.is_empty() {
                    json!({})
                } else {
                    json!({ TABLE: rest })
                };
                Some(dynamodb::success(&json!({
                    "UnprocessedItems": unprocessed,
                    "ConsumedCapacity": [{"TableName": TABLE, "CapacityUnits": puts.len()}],
                })))
            }
        };
        std::future::ready(response)
    });
    (server.await.unwrap(), received)
}

/// Returns the put requests of a BatchWriteItem.
fn puts(request: &Request<Bytes>) -> Vec<Value> {
    assert_eq!(dynamodb::operation(request), "BatchWriteItem");
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    body["RequestItems"][TABLE].as_array().unwrap().clone()
}

async fn load(url: &str, concurrency: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--table", TABLE, "--concurrency", concurrency, SAMPLE])
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env_remove("AWS_PROFILE")
        .output()
        .await
        .unwrap()
}

fn titles() -> Vec<String> {
    let movies: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(SAMPLE).unwrap()).unwrap();
    movies
        .iter()
        .map(|movie| movie["title"].as_str().unwrap().to_owned())
        .collect()
}

fn assert_all_written_once(written: &Receiver<Vec<String>>, output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (mut written, mut expected): (Vec<_>, _) =
        (written.try_iter().flatten().collect(), titles());
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
    let (count, summary) = (expected.len(), String::from_utf8_lossy(&output.stdout));
    assert!(
        summary.starts_with(&format!("{count} written")),
        "{summary}"
    );
    assert!(
        summary.contains(&format!(" items/s, {count} write capacity units)")),
        "{summary}"
    );
}

/// Fault F27.
#[tokio::test]
async fn unprocessed_items_are_sent_again_until_all_are_written() {
    let script = |request| Reply::Writes(if request % 3 == 2 { 25 } else { 8 });
    let (server, written) = dynamodb(script).await;
    assert_all_written_once(&written, &load(server.url(), "1").await);
}

#[tokio::test]
async fn throttled_and_dropped_requests_are_repeated() {
    let (server, written) = dynamodb(|request| match request {
        0 => Reply::Error(400, "ProvisionedThroughputExceededException"),
        1 => Reply::Error(400, "ThrottlingException"),
        3 => Reply::ClosesConnection,
        4 => Reply::Error(500, "InternalServerError"),
        _ => Reply::Writes(25),
    })
    .await;
    assert_all_written_once(&written, &load(server.url(), "1").await);
}

#[tokio::test]
async fn a_rejected_request_aborts_the_run_and_is_reported() {
    let (server, written) = dynamodb(|request| match request {
        0 => Reply::Writes(25),
        _ => Reply::Error(400, "AccessDeniedException"),
    })
    .await;
    let output = load(server.url(), "1").await;
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr);
    let expected = "not written: BatchWriteItem on movies: AccessDeniedException: injected fault\n";
    assert!(reported.contains(expected), "{reported}");
    let summary = String::from_utf8_lossy(&output.stdout);
    assert!(summary.starts_with("25 written"), "{summary}");
    assert_eq!(written.try_iter().flatten().count(), 25);
}

#[tokio::test]
async fn an_unreachable_table_is_reported_once_and_without_a_debug_dump() {
    let output = load("http://127.0.0.1:1", "8").await;
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(reported.contains("Connection refused"), "{reported}");
    assert_eq!(reported.matches("not written: ").count(), 1, "{reported}");
    let has_dump = reported.contains("{ ") || reported.contains("Error(");
    assert!(!has_dump && reported.len() < 600, "{reported}");
}

/// Fault F27.
#[tokio::test]
async fn a_table_without_write_capacity_aborts_the_run() {
    let (server, _written) = dynamodb(|_| Reply::Writes(0)).await;
    let output = load(server.url(), "1").await;
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(
        reported.contains("write capacity is exhausted"),
        "{reported}"
    );
}
