//! A check is worth what it refuses: the binary against servers that are wrong, each in its own way.

#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

type Answer = (u16, String);

/// Serves on loopback for as long as the test's process lives. `answer` gets the request line's method and path.
fn serve(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || respond(stream.unwrap(), &*answer));
        }
    });
    url
}

fn respond(stream: TcpStream, answer: &dyn Fn(&str, &str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut parts, mut length) = (line.split(' '), 0);
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, body) =
        if path == "/token" { (200, r#"{"access_token":"header.claims.signature"}"#.to_owned()) } else { answer(&method, &path) };
    let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
    let head =
        format!("HTTP/1.1 {status} Any\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let body = if method == "HEAD" { "" } else { &body };
    reader.get_mut().write_all(format!("{head}{body}").as_bytes()).ok()
}

struct Files(PathBuf);

impl Files {
    fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("smoke-test-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let consumer = r#"{"client_id":"c","client_secret":"s","scopes":["movies/read","movies/write"]}"#;
        let outputs = format!(
            r#"{{"api_url":{{"value":"{url}"}},"token_url":{{"value":"{url}/token"}},"consumers":{{"value":{{"all":{consumer}}}}}}}"#
        );
        std::fs::write(folder.join("outputs.json"), outputs).unwrap();
        std::fs::write(folder.join("movies.json"), format!("[{RUSH},{FACE_OFF}]")).unwrap();
        Self(folder)
    }

    fn smoke(&self, options: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_smoke")).current_dir(&self.0).args(["--outputs", "outputs.json"]).args(options).output().unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const RUSH: &str = r#"{"year":2013,"title":"Rush","info":{"rating":8.3}}"#;
const FACE_OFF: &str = r#"{"year":1997,"title":"Face/Off","info":{"genres":["Action"]}}"#;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn catalogue(listed: &'static [&'static str], rush: &'static str) -> Output {
    let calls = AtomicUsize::new(0);
    let url = serve(move |_, path| match path {
        // The first call is turned away, as a throttled one would be.
        _ if calls.fetch_add(1, Ordering::SeqCst) == 0 => {
            let problem =
                r#"{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable","detail":"d","request_id":"r"}"#;
            (503, problem.to_owned())
        }
        "/movies/2013/Rush" => (200, rush.to_owned()),
        "/movies/1997/Face%2FOff" => (200, FACE_OFF.to_owned()),
        _ => (200, format!(r#"{{"movies":[{}],"next":null}}"#, listed.join(","))),
    });
    Files::new(&url).smoke(&["--catalogue", "movies.json"])
}

#[test]
fn no_check_passes_on_a_server_that_says_yes_to_everything() {
    let url = serve(|_, _| (200, "{}".to_owned()));
    let output = Files::new(&url).smoke(&["--attempts", "1"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("\n0 passed, "), "{told}");
    assert!(!told.contains(" 0 failed"), "{told}");
}

#[test]
fn no_check_passes_on_a_server_that_refuses_everything() {
    let url = serve(|_, _| (401, r#"{"message":"Unauthorized"}"#.to_owned()));
    let output = Files::new(&url).smoke(&["--attempts", "1"]);
    assert!(told(&output).contains("\n0 passed, "), "{}", told(&output));
}

#[test]
fn read_only_sends_nothing_but_get_and_head() {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let url = serve(move |method, _| {
        if !matches!(method, "GET" | "HEAD") {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        (200, "{}".to_owned())
    });
    Files::new(&url).smoke(&["--attempts", "1", "--read-only"]);
    assert_eq!(writes.load(Ordering::SeqCst), 0);
}

#[test]
fn checks_behind_the_deadline_are_said_to_be_not_run_and_fail_the_run() {
    let url = serve(|_, _| (200, "{}".to_owned()));
    let output = Files::new(&url).smoke(&["--deadline-seconds", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("0 passed, 0 failed, "), "{}", told(&output));
}

#[test]
fn an_environment_that_does_not_answer_is_told_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Files::new(&format!("http://{nobody}")).smoke(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("is the environment up?"), "{}", told(&output));
}

#[test]
fn a_catalogue_that_is_served_whole_passes_though_one_call_was_turned_away() {
    let output =
        catalogue(&[FACE_OFF, RUSH, r#"{"year":2000,"title":"another"}"#], r#"{"year":2013,"title":"Rush","info":{"rating":8.30}}"#);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("2 of 2 movies read and equal"), "{}", told(&output));
    assert!(told(&output).contains("2 of 2 movies listed once and equal, 1 that the file does not hold"), "{}", told(&output));
}

#[test]
fn a_number_that_went_through_a_float_is_found() {
    let output = catalogue(&[FACE_OFF, RUSH], r#"{"year":2013,"title":"Rush","info":{"rating":8.300000000000001}}"#);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("info.rating is 8.300000000000001, not 8.3"), "{}", told(&output));
}

#[test]
fn a_movie_that_the_list_lacks_or_repeats_is_found() {
    for (listed, finding) in [(&[FACE_OFF][..], "\"Rush\": listed 0 times"), (&[FACE_OFF, RUSH, RUSH][..], "\"Rush\": listed 2 times")] {
        let output = catalogue(listed, RUSH);
        assert_eq!(output.status.code(), Some(1));
        assert!(told(&output).contains(finding), "{}", told(&output));
    }
}
