//! A check is worth what it refuses: the binary against servers that are wrong, each in its own way.

#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Answer = (u16, String);

/// What API Gateway answers for AWS WAF; `respond` sends its header with it.
const WAF: &str = r#"{"message":"Forbidden"}"#;

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
    let (status, body) = if path == "/token" {
        (
            200,
            r#"{"access_token":"header.claims.signature"}"#.to_owned(),
        )
    } else {
        answer(&method, &path)
    };
    let media_type = if status < 400 {
        "application/json"
    } else {
        "application/problem+json"
    };
    let waf = if body == WAF {
        "x-amzn-ErrorType: ForbiddenException\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status} Any\r\n{waf}Content-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { "" } else { &body };
    reader
        .get_mut()
        .write_all(format!("{head}{body}").as_bytes())
        .ok()
}

struct Files(PathBuf, String);

impl Files {
    fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("smoke-test-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let consumer =
            r#"{"client_id":"c","client_secret":"s","scopes":["movies/read","movies/write"]}"#;
        let caller = format!(
            r#""api_url":{{"value":"{url}"}},"token_url":{{"value":"{url}/token"}},"consumers":{{"value":{{"operations":{consumer}}}}}"#
        );
        let outputs = format!("{{{caller},{DEPLOYED}}}");
        std::fs::write(folder.join("outputs.json"), outputs).unwrap();
        std::fs::write(folder.join("movies.json"), format!("[{RUSH},{FACE_OFF}]")).unwrap();
        Self(folder, url.to_owned())
    }

    fn smoke(&self, options: &[&str]) -> Output {
        self.command(options).output().unwrap()
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smoke"));
        command
            .current_dir(&self.0)
            .args(["--outputs", "outputs.json"])
            .args(options);
        for (name, value) in [
            ("ACCESS_KEY_ID", "test"),
            ("SECRET_ACCESS_KEY", "test"),
            ("EC2_METADATA_DISABLED", "true"),
            ("MAX_ATTEMPTS", "1"),
        ] {
            command.env(format!("AWS_{name}"), value);
        }
        // The same server is all of AWS.
        command
            .env("AWS_ENDPOINT_URL", &self.1)
            .env_remove("AWS_PROFILE");
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All that AWS is compared with; this environment lacks one thing, and says why.
const DEPLOYED: &str = r#"
    "region": {"value": "eu-west-1"}, "function_name": {"value": "f"}, "function_version": {"value": "7"}, "alias_name": {"value": "live"},
    "table_name": {"value": "t"}, "rest_api_id": {"value": "a"}, "stage_name": {"value": "v1"}, "web_acl_arn": {"value": "acl"},
    "switch": {"value": {"id": "set", "name": "set"}},
    "topics": {"value": {"page": "topic"}}, "alarms": {"value": {"one": {"severity": "page", "tells": "direct"}}},
    "infrastructure": {"value": {
        "stage": {"arn": "stage", "throttles": {"stage": {"requests_per_second": 5, "burst_requests": 9}, "routes": {}}, "client_certificate_id": "c1"},
        "table": {"key_arn": "key", "deletion_protection": true, "recovery_days": 35},
        "logs": {"groups": ["log"], "masked_groups": ["log"], "retention_days": 400, "key_arn": "key"},
        "code_signing_config_arn": "config", "layer_arns": [], "tags": {"product": "mvdb"},
        "absent": {"layers": "this place mounts no layers"}}}"#;

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
            let problem = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable","detail":"d","request_id":"r"}"#;
            (503, problem.to_owned())
        }
        "/movies/2013/Rush" => (200, rush.to_owned()),
        "/movies/1997/Face%2FOff" => (200, FACE_OFF.to_owned()),
        _ => (
            200,
            format!(r#"{{"movies":[{}],"next":null}}"#, listed.join(",")),
        ),
    });
    Files::new(&url).smoke(&["--catalogue", "movies.json"])
}

#[test]
fn no_check_passes_on_a_server_that_says_yes_to_everything() {
    let url = serve(|_, _| (200, "{}".to_owned()));
    let output = Files::new(&url).smoke(&["--only", "api", "--attempts", "1"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    // The tokens are given: that is how it is asked at all.
    assert!(told.contains("\n1 passed, 31 failed, "), "{told}");
}

#[test]
fn no_check_passes_on_a_server_that_refuses_everything() {
    let url = serve(|_, _| (401, r#"{"message":"Unauthorized"}"#.to_owned()));
    let output = Files::new(&url).smoke(&["--only", "api", "--attempts", "1"]);
    // Rejected in other words than expected: that alone takes no release back.
    assert!(
        told(&output).contains("\n1 passed, 24 failed, 0 not run, 0 skipped, 7 with a warning"),
        "{}",
        told(&output)
    );
}

/// A real gateway answers an unknown path with 403 when its Authorization header is no AWS signature:
/// <https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden>
#[test]
fn another_wording_of_a_rejection_is_a_warning_and_fails_nothing() {
    let problem = |status: u16, code: &str| {
        let body = format!(
            r#"{{"type":"about:blank","title":"T","status":{status},"code":"{code}","detail":"d","request_id":"r"}}"#
        );
        (status, body)
    };
    let url = serve(move |_, path| {
        match path {
        "/health" => (200, r#"{"status":"ok"}"#.to_owned()),
        "/version" => (200, r#"{"revision":"r","build":"b"}"#.to_owned()),
        "/movies?limit=3" => (200, r#"{"movies":[],"next":null}"#.to_owned()),
        path if path.starts_with("/movies/2100/") => problem(404, "movie_not_found"),
        "/no-such-route" | "/movies/2013" => {
            (403, r#"{"message":"not a valid key=value pair (missing equal-sign) in Authorization header"}"#.to_owned())
        }
        _ => problem(400, "invalid_request"),
    }
    });
    let output = Files::new(&url).smoke(&["--only", "api", "--read-only", "--attempts", "1"]);
    let told = told(&output);
    let row = told
        .lines()
        .find(|row| row.starts_with("unknown paths get 404"))
        .unwrap();
    assert!(row.contains("WARNING") && row.contains("403"), "{told}");
    let row = told
        .lines()
        .find(|row| row.starts_with("forged tokens"))
        .unwrap();
    assert!(
        row.contains("FAILED"),
        "a token that nobody signed was taken: {told}"
    );
}

/// AWSManagedRulesAmazonIpReputationList holds addresses of cloud providers, perhaps the runner's.
#[test]
fn what_waf_blocks_is_no_verdict_on_the_release() {
    let url = serve(|_, _| (403, WAF.to_owned()));
    let output = Files::new(&url).smoke(&["--only", "api", "--attempts", "1"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("\n1 passed, 0 failed, 0 not run, 0 skipped, 0 with a warning, 31 blocked"),
        "{told}"
    );
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
    Files::new(&url).smoke(&["--only", "api", "--attempts", "1", "--read-only"]);
    assert_eq!(writes.load(Ordering::SeqCst), 0);
}

#[test]
fn checks_behind_the_deadline_are_said_to_be_not_run_and_fail_the_run() {
    let url = serve(|_, _| (200, "{}".to_owned()));
    let output = Files::new(&url).smoke(&["--only", "api", "--deadline-seconds", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("0 passed, 0 failed, "),
        "{}",
        told(&output)
    );
}

#[test]
fn no_infrastructure_check_passes_on_an_aws_that_says_nothing() {
    for status in [200, 403] {
        let url = serve(move |_, _| (status, "{}".to_owned()));
        let told = told(&Files::new(&url).smoke(&["--only", "infrastructure", "--attempts", "1"]));
        assert!(
            told.contains("\n0 passed, 15 failed, 0 not run, 1 skipped"),
            "{told}"
        );
    }
}

#[test]
fn what_an_environment_does_not_hold_is_skipped_and_the_reason_is_told() {
    let url = serve(|_, _| (200, "{}".to_owned()));
    let told = told(&Files::new(&url).smoke(&["--only", "infrastructure", "--attempts", "1"]));
    let row = told
        .lines()
        .find(|row| row.starts_with("the published version has its layers"))
        .unwrap();
    assert!(
        row.contains("skipped") && row.ends_with("this place mounts no layers"),
        "{row}"
    );
}

/// The checks that no emulator can hold: on an AWS that says it right, and on one that says another thing.
#[test]
fn what_only_aws_can_say_is_believed_only_if_it_is_right() {
    for (check, asked, right, wrong) in [
        (
            "Lambda accepts only signed packages",
            "/2020-06-30/functions/f/code-signing-config",
            r#"{"CodeSigningConfigArn":"config","FunctionName":"f"}"#,
            r#"{"CodeSigningConfigArn":"another","FunctionName":"f"}"#,
        ),
        (
            "the stage has a client certificate",
            "/restapis/a/stages/v1",
            r#"{"clientCertificateId":"c1"}"#,
            r#"{"clientCertificateId":"c2"}"#,
        ),
        (
            "the published version has its layers",
            "/2015-03-31/functions/f/configuration?Qualifier=7",
            r#"{"Layers":[{"Arn":"layer:3"}]}"#,
            r#"{"Layers":[{"Arn":"layer:2"}]}"#,
        ),
        (
            "sensitive log data is masked",
            "/",
            r#"{"policyDocument":"{\"Statement\":[{\"Operation\":{\"Deidentify\":{}}}]}"}"#,
            r#"{"policyDocument":"{\"Statement\":[{\"Operation\":{\"Audit\":{}}}]}"}"#,
        ),
    ] {
        for (answer, result) in [(right, "passed"), (wrong, "FAILED")] {
            let url = serve(move |_, path| {
                (
                    200,
                    if path == asked {
                        answer.to_owned()
                    } else {
                        "{}".to_owned()
                    },
                )
            });
            let files = Files::new(&url);
            let outputs = std::fs::read_to_string(files.0.join("outputs.json")).unwrap();
            let outputs = outputs
                .replace(r#""layer_arns": []"#, r#""layer_arns": ["layer:3"]"#)
                .replace(r#"{"layers": "#, r#"{"nothing": "#);
            std::fs::write(files.0.join("outputs.json"), outputs).unwrap();
            let told = told(&files.smoke(&["--only", "infrastructure", "--attempts", "1"]));
            let row = told.lines().find(|row| row.starts_with(check)).unwrap();
            assert!(row.contains(result), "{row}");
        }
    }
}

#[test]
fn a_version_that_gives_no_answer_is_told_at_once_and_asked_nothing_more() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let url = serve(move |_, path| {
        assert_eq!(path, "/2015-03-31/functions/f/invocations?Qualifier=7");
        counted.fetch_add(1, Ordering::SeqCst);
        (
            200,
            r#"{"errorType":"Runtime.ExitError","errorMessage":"exit status 101"}"#.to_owned(),
        )
    });
    let output = Files::new(&url).smoke(&["--version", "7", "--attempts", "1"]);
    assert_eq!(
        (output.status.code(), calls.load(Ordering::SeqCst)),
        (Some(1), 1),
        "{}",
        told(&output)
    );
    assert!(
        told(&output).contains("exit status 101"),
        "{}",
        told(&output)
    );
}

#[test]
fn no_check_passes_on_a_version_that_says_yes_to_everything_but_that_it_answers() {
    let url = serve(|_, _| {
        (200, r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{}","isBase64Encoded":false}"#.to_owned())
    });
    let output = Files::new(&url).smoke(&["--version", "7", "--attempts", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("\n1 passed, ") && told(&output).contains(" 3 skipped"),
        "{}",
        told(&output)
    );
}

#[test]
fn the_first_signal_ends_the_checks_and_what_was_made_is_deleted() {
    let (posted, deleted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&posted), Arc::clone(&deleted));
    let url = serve(move |method, _| {
        match method {
            // Long enough to be told while it lasts.
            "POST" if counted.0.fetch_add(1, Ordering::SeqCst) == 0 => {
                thread::sleep(Duration::from_secs(2))
            }
            "DELETE" => _ = counted.1.fetch_add(1, Ordering::SeqCst),
            _ => {}
        }
        (200, "{}".to_owned())
    });
    let files = Files::new(&url);
    let mut command = files.command(&["--only", "api", "--attempts", "2", "--junit", "smoke.xml"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while posted.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(
        (
            posted.load(Ordering::SeqCst),
            deleted.load(Ordering::SeqCst)
        ),
        (1, 1),
        "{told}"
    );
    assert!(told.contains("interrupted"), "{told}");
    let xml = std::fs::read_to_string(files.0.join("smoke.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert!(report.errors > 10 && report.failures > 0, "{xml}");
    assert!(xml.contains("interrupted"), "{xml}");
}

#[test]
fn a_call_that_hangs_ends_at_the_deadline() {
    let url = serve(|_, _| {
        thread::sleep(Duration::from_secs(60));
        (200, "{}".to_owned())
    });
    let began = Instant::now();
    let output =
        Files::new(&url).smoke(&["--only", "api", "--read-only", "--deadline-seconds", "2"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{}",
        told(&output)
    );
}

#[test]
fn an_environment_that_does_not_answer_is_told_at_once() {
    let output = Files::new("http://127.0.0.1:1").smoke(&["--only", "api", "--attempts", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("is the environment up?"),
        "{}",
        told(&output)
    );
}

#[test]
fn a_catalogue_that_is_served_whole_passes_though_one_call_was_turned_away() {
    let output = catalogue(
        &[FACE_OFF, RUSH, r#"{"year":2000,"title":"another"}"#],
        r#"{"year":2013,"title":"Rush","info":{"rating":8.30}}"#,
    );
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        told(&output).contains("2 of 2 movies read and equal"),
        "{}",
        told(&output)
    );
    assert!(
        told(&output)
            .contains("2 of 2 movies listed once and equal, 1 that the file does not hold"),
        "{}",
        told(&output)
    );
}

#[test]
fn a_number_that_went_through_a_float_is_found() {
    let output = catalogue(
        &[FACE_OFF, RUSH],
        r#"{"year":2013,"title":"Rush","info":{"rating":8.300000000000001}}"#,
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("info.rating is 8.300000000000001, not 8.3"),
        "{}",
        told(&output)
    );
}

#[test]
fn a_movie_that_the_list_lacks_or_repeats_is_found() {
    for (listed, finding) in [
        (&[FACE_OFF][..], "\"Rush\": listed 0 times"),
        (&[FACE_OFF, RUSH, RUSH][..], "\"Rush\": listed 2 times"),
    ] {
        let output = catalogue(listed, RUSH);
        assert_eq!(output.status.code(), Some(1));
        assert!(told(&output).contains(finding), "{}", told(&output));
    }
}
