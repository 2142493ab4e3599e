//! The binary against servers that are wrong in different ways: no check may pass on any of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "failures in tests")]

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response as HttpResponse};
use lambda_emulator::Server;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

/// Status and body.
type Response = (u16, String);

/// API Gateway's response for a request that AWS WAF blocked.
const BLOCKED: &str = r#"{"message":"Forbidden"}"#;

/// Serves the token endpoint, and everything else by `respond`, which gets method and path.
async fn serve(respond: impl Fn(&str, &str) -> Response + Send + Sync + 'static) -> Server {
    serve_slowly(|_| Duration::ZERO, respond).await
}

/// Like [`serve`], and delays each response by what `delay` returns for the method.
async fn serve_slowly(
    delay: impl Fn(&str) -> Duration + Send + Sync + 'static,
    respond: impl Fn(&str, &str) -> Response + Send + Sync + 'static,
) -> Server {
    let server = Server::http(move |request: Request<Bytes>| {
        let (method, path) = (request.method().as_str(), request.uri().to_string());
        let (time, (status, body)) = if path == "/token" {
            let token = r#"{"access_token":"header.claims.signature"}"#;
            (Duration::ZERO, (200, token.to_owned()))
        } else {
            (delay(method), respond(method, &path))
        };
        async move {
            sleep(time).await;
            let media_type = match status {
                ..400 => "application/json",
                _ => "application/problem+json",
            };
            let mut response = HttpResponse::builder()
                .status(status)
                .header("content-type", media_type);
            if body == BLOCKED {
                response = response.header("x-amzn-errortype", "ForbiddenException");
            }
            response.body(Bytes::from(body)).ok()
        }
    });
    server.await.unwrap()
}

/// A problem document.
fn problem(status: u16, code: &str) -> Response {
    let body = format!(
        r#"{{"type":"about:blank","title":"T","status":{status},"code":"{code}","detail":"d",
            "request_id":"r"}}"#
    );
    (status, body)
}

/// A folder with the outputs of an environment at one URL.
struct Files {
    folder: PathBuf,
    url: String,
}

impl Files {
    fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("smoke-test-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let client =
            r#"{"client_id":"c","client_secret":"s","scopes":["movies/read","movies/write"]}"#;
        let outputs = format!(
            r#"{{"api_url":{{"value":"{url}"}},"token_url":{{"value":"{url}/token"}},
                "consumers":{{"value":{{"operations":{client}}}}},{DEPLOYED}}}"#
        );
        std::fs::write(folder.join("outputs.json"), outputs).unwrap();
        std::fs::write(folder.join("movies.json"), format!("[{RUSH},{FACE_OFF}]")).unwrap();
        Self {
            folder,
            url: url.to_owned(),
        }
    }

    async fn smoke(&self, options: &[&str]) -> Output {
        self.command(options).output().await.unwrap()
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smoke"));
        command
            .current_dir(&self.folder)
            .args(["--outputs", "outputs.json"])
            .args(options)
            // The server is the API and all of AWS.
            .env("AWS_ENDPOINT_URL", &self.url)
            .env_remove("AWS_PROFILE")
            .kill_on_drop(true);
        for (name, value) in [
            ("ACCESS_KEY_ID", "test"),
            ("SECRET_ACCESS_KEY", "test"),
            ("EC2_METADATA_DISABLED", "true"),
            ("MAX_ATTEMPTS", "1"),
        ] {
            command.env(format!("AWS_{name}"), value);
        }
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The names of the checks that these options select.
fn names(options: &[&str]) -> Vec<String> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_smoke"));
    let output = command.arg("--list").args(options).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The line of a check in the report.
#[track_caller]
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("the report has no line for {name:?}:\n{text}"))
}

/// Asserts that the first check (the connection) passed and every other one has one of `results`.
#[track_caller]
fn assert_only_the_connection_passed(text: &str, names: &[String], results: &[&str]) {
    assert!(line(text, &names[0]).contains("passed"), "{text}");
    assert!(names.len() > 5, "{names:?}");
    for name in &names[1..] {
        let line = line(text, name);
        assert!(results.iter().any(|result| line.contains(result)), "{line}");
    }
    assert!(text.contains("\n1 passed, "), "{text}");
}

/// Outputs to compare AWS with. This environment lacks layers, with the reason.
const DEPLOYED: &str = r#"
    "region": {"value": "eu-west-1"},
    "function_name": {"value": "f"}, "function_version": {"value": "7"},
    "alias_name": {"value": "live"},
    "table_name": {"value": "t"}, "rest_api_id": {"value": "a"}, "stage_name": {"value": "v1"},
    "web_acl_arn": {"value": "acl"},
    "switch": {"value": {"id": "set", "name": "set"}},
    "topics": {"value": {"page": "topic"}},
    "alarms": {"value": {"one": {"severity": "page", "tells": "direct"}}},
    "infrastructure": {"value": {
        "stage": {
            "arn": "stage",
            "throttles": {"stage": {"requests_per_second": 5, "burst_requests": 9}, "routes": {}},
            "client_certificate_id": "c1"
        },
        "table": {"key_arn": "key", "deletion_protection": true, "recovery_days": 35},
        "logs": {
            "groups": ["log"], "masked_groups": ["log"], "retention_days": 400, "key_arn": "key"
        },
        "code_signing_config_arn": "config", "layer_arns": [], "tags": {"product": "mvdb"},
        "absent": {"layers": "the emulator mounts no layers"}}}"#;

const RUSH: &str = r#"{"year":2013,"title":"Rush","info":{"rating":8.3}}"#;
const FACE_OFF: &str = r#"{"year":1997,"title":"Face/Off","info":{"genres":["Action"]}}"#;

/// Standard output and standard error.
fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

const API: [&str; 4] = ["--only", "api", "--attempts", "1"];
const INFRASTRUCTURE: [&str; 4] = ["--only", "infrastructure", "--attempts", "1"];

#[tokio::test]
async fn no_check_passes_if_every_response_is_200() {
    let server = serve(|_, _| (200, "{}".to_owned())).await;
    let output = Files::new(server.url()).smoke(&API).await;
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert_only_the_connection_passed(&printed(&output), &names(&API), &["FAILED"]);
}

#[tokio::test]
async fn no_check_passes_if_every_response_is_401() {
    let server = serve(|_, _| (401, r#"{"message":"Unauthorized"}"#.to_owned())).await;
    let output = Files::new(server.url()).smoke(&API).await;
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let results = ["FAILED", "WARNING"];
    assert_only_the_connection_passed(&printed(&output), &names(&API), &results);
}

/// API Gateway returns 403 for an unknown path with an Authorization header that is no signature:
/// <https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden>
#[tokio::test]
async fn a_different_rejection_by_the_gateway_is_a_warning() {
    let server = serve(move |_, path| match path {
        "/health" => (200, r#"{"status":"ok"}"#.to_owned()),
        "/version" => (200, r#"{"revision":"r","build":"b"}"#.to_owned()),
        "/movies?limit=3" => (200, r#"{"movies":[],"next":null}"#.to_owned()),
        path if path.starts_with("/movies/2100/") => problem(404, "movie_not_found"),
        "/no-such-route" | "/movies/2013" => (
            403,
            r#"{"message":"not a valid key=value pair in Authorization header"}"#.to_owned(),
        ),
        _ => problem(400, "invalid_request"),
    })
    .await;
    let options = ["--only", "api", "--read-only", "--attempts", "1"];
    let text = printed(&Files::new(server.url()).smoke(&options).await);
    let unknown_paths = line(&text, "unknown paths get 404");
    assert!(
        unknown_paths.contains("WARNING") && unknown_paths.contains("403"),
        "{unknown_paths}"
    );
    // An accepted token without a valid signature is never a warning.
    assert!(line(&text, "forged tokens").contains("FAILED"), "{text}");
}

/// The function itself names invalid fields, so that a rollback can fix what is missing.
#[tokio::test]
async fn a_rejection_by_the_function_without_the_invalid_fields_fails() {
    for (status, code) in [(400, "invalid_request"), (404, "movie_not_found")] {
        let server = serve(move |_, _| problem(status, code)).await;
        let text = printed(&Files::new(server.url()).smoke(&API).await);
        for name in [
            "an invalid query is rejected",
            "invalid fields are named",
            "a cursor of another query",
        ] {
            assert!(line(&text, name).contains("FAILED"), "{text}");
        }
    }
}

/// AWSManagedRulesAmazonIpReputationList contains addresses of cloud providers, such as runners'.
#[tokio::test]
async fn requests_blocked_by_waf_are_no_failure_of_the_release() {
    let server = serve(|_, _| (403, BLOCKED.to_owned())).await;
    let output = Files::new(server.url()).smoke(&API).await;
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert_only_the_connection_passed(&printed(&output), &names(&API), &["BLOCKED"]);
}

#[tokio::test]
async fn read_only_sends_only_get_and_head() {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let server = serve(move |method, _| {
        if !matches!(method, "GET" | "HEAD") {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        (200, "{}".to_owned())
    })
    .await;
    let options = ["--only", "api", "--attempts", "1", "--read-only"];
    let output = Files::new(server.url()).smoke(&options).await;
    assert_eq!(writes.load(Ordering::SeqCst), 0, "{}", printed(&output));
}

#[tokio::test]
async fn checks_after_the_deadline_are_not_run_and_fail_the_run() {
    let server = serve(|_, _| (200, "{}".to_owned())).await;
    let options = ["--only", "api", "--deadline-seconds", "0"];
    let output = Files::new(server.url()).smoke(&options).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("0 passed, 0 failed, "), "{text}");
}

#[tokio::test]
async fn no_infrastructure_check_passes_on_empty_responses_of_aws() {
    for status in [200, 403] {
        let server = serve(move |_, _| (status, "{}".to_owned())).await;
        let text = printed(&Files::new(server.url()).smoke(&INFRASTRUCTURE).await);
        let names = names(&INFRASTRUCTURE);
        for name in &names {
            let line = line(&text, name);
            assert!(
                line.contains("FAILED") || line.contains("skipped"),
                "{line}"
            );
        }
        // The environment lacks layers.
        let failed = names.len() - 1;
        let summary = format!("\n0 passed, {failed} failed, 0 not run, 1 skipped");
        assert!(text.contains(&summary), "{text}");
    }
}

#[tokio::test]
async fn a_check_of_an_absent_part_is_skipped_with_the_reason() {
    let server = serve(|_, _| (200, "{}".to_owned())).await;
    let text = printed(&Files::new(server.url()).smoke(&INFRASTRUCTURE).await);
    let line = line(&text, "the published version has its layers");
    assert!(
        line.contains("skipped") && line.ends_with("the emulator mounts no layers"),
        "{line}"
    );
}

/// Checks of what the emulator lacks: the check, the path of its request, a response with which it
/// passes and one with which it fails.
const AWS_ONLY: [(&str, &str, &str, &str); 4] = [
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
];

#[tokio::test]
async fn checks_that_only_aws_can_pass_compare_its_responses() {
    for (check, request_path, right, wrong) in AWS_ONLY {
        for (response, result) in [(right, "passed"), (wrong, "FAILED")] {
            let server = serve(move |_, path| {
                let body = if path == request_path { response } else { "{}" };
                (200, body.to_owned())
            })
            .await;
            let files = Files::new(server.url());
            let file = files.folder.join("outputs.json");
            let outputs = std::fs::read_to_string(&file)
                .unwrap()
                .replace(r#""layer_arns": []"#, r#""layer_arns": ["layer:3"]"#)
                .replace(r#"{"layers": "#, r#"{"nothing": "#);
            std::fs::write(file, outputs).unwrap();
            let text = printed(&files.smoke(&INFRASTRUCTURE).await);
            let line = line(&text, check);
            assert!(line.contains(result), "{line}");
        }
    }
}

/// A check that cannot fail is useless. `scripts/smoke-drill` breaks what the emulator has;
/// `AWS_ONLY` covers the rest.
#[test]
fn every_infrastructure_check_is_broken_by_the_drill_or_a_test() {
    let (names, drill) = (names(&INFRASTRUCTURE), names(&["--drill"]));
    for name in &names {
        let in_drill = drill.contains(name);
        let in_tests = AWS_ONLY.iter().any(|(check, ..)| check == name);
        assert!(
            in_drill != in_tests,
            "{name:?} needs a `Break` beside it, or responses in AWS_ONLY if the emulator lacks what \
             it checks"
        );
    }
    for (check, ..) in AWS_ONLY {
        assert!(names.iter().any(|name| name == check), "no check {check:?}");
    }
}

/// The drill changes AWS only if every check passes before.
#[tokio::test]
async fn the_drill_breaks_nothing_in_an_environment_with_failing_checks() {
    let server = serve(|_, _| (200, "{}".to_owned())).await;
    let output = Files::new(server.url()).smoke(&["--drill"]).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("these checks fail before anything was broken"),
        "{text}"
    );
}

#[tokio::test]
async fn the_drill_does_not_run_on_aws() {
    let files = Files::new("http://127.0.0.1:1");
    let mut command = files.command(&["--drill"]);
    let output = command
        .env_remove("AWS_ENDPOINT_URL")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert!(
        printed(&output).contains("only on the emulator"),
        "{}",
        printed(&output)
    );
}

/// A value that the stack does not output would be missed only by a run against an environment.
#[test]
fn every_expected_value_is_an_output_of_the_stack() {
    fn members(value: &Value, found: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            found.push(name.clone());
            // These have members of the environment's own, or are typed by the stack's variables.
            if !matches!(name.as_str(), "absent" | "tags" | "throttles") {
                members(value, found);
            }
        }
    }
    let outputs = include_str!("../../../../infra/stacks/movies/outputs.tf");
    let start = outputs.find("output \"infrastructure\"").unwrap();
    let output = outputs[start..].split("\n}\n").next().unwrap();
    let words: Vec<_> = output.split_whitespace().collect();
    let deployed: Value = serde_json::from_str(&format!("{{{DEPLOYED}}}")).unwrap();
    let mut expected = Vec::new();
    members(&deployed["infrastructure"]["value"], &mut expected);
    for name in expected {
        assert!(
            words.windows(2).any(|pair| pair == [name.as_str(), "="]),
            "infra/stacks/movies/outputs.tf has no {name} in the output \"infrastructure\""
        );
    }
}

#[tokio::test]
async fn a_version_that_does_not_start_is_reported_after_one_request() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let server = serve(move |_, path| {
        assert_eq!(path, "/2015-03-31/functions/f/invocations?Qualifier=7");
        counted.fetch_add(1, Ordering::SeqCst);
        let error = r#"{"errorType":"Runtime.ExitError","errorMessage":"exit status 101"}"#;
        (200, error.to_owned())
    })
    .await;
    let options = ["--version", "7", "--attempts", "1"];
    let output = Files::new(server.url()).smoke(&options).await;
    let text = printed(&output);
    let seen = (output.status.code(), requests.load(Ordering::SeqCst));
    assert_eq!(seen, (Some(1), 1), "{text}");
    assert!(text.contains("exit status 101"), "{text}");
}

#[tokio::test]
async fn no_check_passes_on_a_version_whose_every_response_is_200() {
    let server = serve(|_, _| {
        let response = r#"{"statusCode":200,"headers":{"content-type":"application/json"},
            "body":"{}","isBase64Encoded":false}"#;
        (200, response.to_owned())
    })
    .await;
    let options = ["--version", "7", "--attempts", "1"];
    let output = Files::new(server.url()).smoke(&options).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_only_the_connection_passed(&text, &names(&options), &["FAILED"]);
}

/// Without the gateway the function itself rejects, so that any difference is its own.
#[tokio::test]
async fn a_different_rejection_by_an_invoked_version_fails() {
    let server = serve(|_, _| {
        let problem = r#"{\"type\":\"about:blank\",\"title\":\"T\",\"status\":403,
            \"code\":\"forbidden\",\"detail\":\"d\",\"request_id\":\"r\"}"#
            .replace('\n', "");
        let response = format!(
            r#"{{"statusCode":403,"headers":{{"content-type":"application/problem+json"}},
                "body":"{problem}","isBase64Encoded":false}}"#
        );
        (200, response)
    })
    .await;
    let options = ["--version", "7", "--attempts", "1"];
    let text = printed(&Files::new(server.url()).smoke(&options).await);
    for name in ["unknown paths get 404", "unknown methods get 405"] {
        assert!(line(&text, name).contains("FAILED"), "{text}");
    }
    assert!(text.contains(" 0 with a warning"), "{text}");
}

#[tokio::test]
async fn an_interrupt_ends_the_checks_and_deletes_created_movies() {
    let (posted, deleted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&posted), Arc::clone(&deleted));
    // The first POST takes long enough to be interrupted.
    let slow = |method: &str| match method {
        "POST" => Duration::from_secs(2),
        _ => Duration::ZERO,
    };
    let server = serve_slowly(slow, move |method, _| {
        match method {
            "POST" => _ = counted.0.fetch_add(1, Ordering::SeqCst),
            "DELETE" => _ = counted.1.fetch_add(1, Ordering::SeqCst),
            _ => {}
        }
        (200, "{}".to_owned())
    })
    .await;
    let files = Files::new(server.url());
    let options = ["--only", "api", "--attempts", "2", "--junit", "smoke.xml"];
    let mut command = files.command(&options);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    while posted.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let requests = (
        posted.load(Ordering::SeqCst),
        deleted.load(Ordering::SeqCst),
    );
    assert_eq!(requests, (1, 1), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    let xml = std::fs::read_to_string(files.folder.join("smoke.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert!(report.errors > 10 && report.failures > 0, "{xml}");
    assert!(xml.contains("interrupted"), "{xml}");
}

#[tokio::test]
async fn a_hanging_request_ends_at_the_deadline() {
    let server = serve_slowly(|_| Duration::from_secs(60), |_, _| (200, "{}".to_owned())).await;
    let began = Instant::now();
    let options = ["--only", "api", "--read-only", "--deadline-seconds", "2"];
    let output = Files::new(server.url()).smoke(&options).await;
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert!(began.elapsed() < Duration::from_secs(10), "{output:?}");
}

#[tokio::test]
async fn an_unreachable_environment_is_reported_at_once() {
    let output = Files::new("http://127.0.0.1:1").smoke(&API).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is the environment up?"), "{text}");
}

/// Compares the catalogue of `Files` with a server that lists `listed` and returns `rush`.
async fn catalogue(listed: &'static [&'static str], rush: &'static str) -> Output {
    let requests = AtomicUsize::new(0);
    let server = serve(move |_, path| match path {
        // The first request is rejected, as a throttled one would be.
        _ if requests.fetch_add(1, Ordering::SeqCst) == 0 => problem(503, "unavailable"),
        "/movies/2013/Rush" => (200, rush.to_owned()),
        "/movies/1997/Face%2FOff" => (200, FACE_OFF.to_owned()),
        _ => {
            let page = format!(r#"{{"movies":[{}],"next":null}}"#, listed.join(","));
            (200, page)
        }
    })
    .await;
    let options = ["--catalogue", "movies.json"];
    Files::new(server.url()).smoke(&options).await
}

#[tokio::test]
async fn a_complete_catalogue_passes_after_a_throttled_request() {
    let output = catalogue(
        &[FACE_OFF, RUSH, r#"{"year":2000,"title":"another"}"#],
        r#"{"year":2013,"title":"Rush","info":{"rating":8.30}}"#,
    )
    .await;
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    for expected in [
        "2 of 2 movies read and equal",
        "2 of 2 movies listed once and equal, 1 not in the file",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_number_that_was_converted_to_a_float_is_reported() {
    let output = catalogue(
        &[FACE_OFF, RUSH],
        r#"{"year":2013,"title":"Rush","info":{"rating":8.300000000000001}}"#,
    )
    .await;
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(
        text.contains("info.rating is 8.300000000000001, not 8.3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_movie_missing_or_repeated_in_the_list_is_reported() {
    for (listed, finding) in [
        (&[FACE_OFF][..], "\"Rush\": listed 0 times"),
        (&[FACE_OFF, RUSH, RUSH][..], "\"Rush\": listed 2 times"),
    ] {
        let output = catalogue(listed, RUSH).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(printed(&output).contains(finding), "{}", printed(&output));
    }
}
