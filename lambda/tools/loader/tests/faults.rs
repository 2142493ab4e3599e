//! The loader against a socket that misbehaves as DynamoDB may: parts left undone, throttling, hang-ups, refusals.

#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample.json");
const TABLE: &str = "movies";

enum Reply {
    /// The first so many items are taken, the rest handed back.
    Takes(usize),
    Error(u16, &'static str),
    HangsUp,
}

/// Plays DynamoDB on loopback: `script` answers the nth call. Gives the URL, and the titles of each call's items as they were taken.
fn misbehaving(
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (taken, received) = channel();
    // Lives as long as the test's process; one connection at a time keeps the order of calls certain.
    thread::spawn(move || {
        for (call, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let Some(mut puts) = request(&mut stream) else {
                continue;
            };
            let (status, body) = match script(call) {
                Reply::HangsUp => continue,
                Reply::Error(status, code) => (
                    status,
                    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "m"}),
                ),
                Reply::Takes(count) => {
                    let rest = puts.split_off(count.min(puts.len()));
                    let titles = puts
                        .iter()
                        .map(|put| {
                            put["PutRequest"]["Item"]["title"]["S"]
                                .as_str()
                                .unwrap()
                                .to_owned()
                        })
                        .collect();
                    taken.send(titles).unwrap();
                    let unprocessed = if rest.is_empty() {
                        json!({})
                    } else {
                        json!({TABLE: rest})
                    };
                    let consumed = json!([{"TableName": TABLE, "CapacityUnits": puts.len()}]);
                    (
                        200,
                        json!({"UnprocessedItems": unprocessed, "ConsumedCapacity": consumed}),
                    )
                }
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} Any\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (url, received)
}

/// The put requests of one BatchWriteItem.
fn request(stream: &mut TcpStream) -> Option<Vec<Value>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    Some(body["RequestItems"][TABLE].as_array()?.clone())
}

fn load(url: &str) -> Output {
    load_by(url, "1")
}

fn load_by(url: &str, concurrency: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--table", TABLE, "--concurrency", concurrency, SAMPLE])
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env_remove("AWS_PROFILE")
        .output()
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

fn assert_all_taken_once(taken: &Receiver<Vec<String>>, output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (mut taken, mut expected): (Vec<_>, _) = (taken.try_iter().flatten().collect(), titles());
    taken.sort();
    expected.sort();
    assert_eq!(taken, expected);
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        summary.starts_with(&format!("{} written", expected.len())),
        "{summary}"
    );
    assert!(
        summary.contains(&format!(
            " items/s, {} write capacity units)",
            expected.len()
        )),
        "{summary}"
    );
}

#[test]
fn f27_items_left_unprocessed_are_sent_again_until_all_are_taken() {
    let (url, taken) = misbehaving(|call| Reply::Takes(if call % 3 == 2 { 25 } else { 8 }));
    assert_all_taken_once(&taken, &load(&url));
}

#[test]
fn throttled_and_dropped_calls_are_made_again() {
    let (url, taken) = misbehaving(|call| match call {
        0 => Reply::Error(400, "ProvisionedThroughputExceededException"),
        1 => Reply::Error(400, "ThrottlingException"),
        3 => Reply::HangsUp,
        4 => Reply::Error(500, "InternalServerError"),
        _ => Reply::Takes(25),
    });
    assert_all_taken_once(&taken, &load(&url));
}

#[test]
fn a_refusal_ends_the_run_at_once_and_is_told() {
    let (url, taken) = misbehaving(|call| {
        if call == 0 {
            Reply::Takes(25)
        } else {
            Reply::Error(400, "AccessDeniedException")
        }
    });
    let output = load(&url);
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(
        reported.contains("not written: BatchWriteItem on movies: AccessDeniedException: m\n"),
        "{reported}"
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).starts_with("25 written"),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(taken.try_iter().flatten().count(), 25);
}

#[test]
fn an_unreachable_table_is_reported_once_and_without_a_debug_dump() {
    let output = load_by("http://127.0.0.1:1", "8");
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(reported.contains("Connection refused"), "{reported}");
    assert_eq!(reported.matches("not written: ").count(), 1, "{reported}");
    assert!(
        !reported.contains("{ ") && !reported.contains("Error(") && reported.len() < 600,
        "{reported}"
    );
}

#[test]
fn f27_a_table_that_takes_nothing_is_given_up_on() {
    let (url, _taken) = misbehaving(|_| Reply::Takes(0));
    let output = load(&url);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("write capacity is spent"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
