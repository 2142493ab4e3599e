//! Starting the binary: invalid arguments and variables, and their error messages.

use std::process::{Command, Output};

fn movies(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_movies"));
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_REGION", "eu-west-1"),
    ];
    command
        .args(arguments)
        .env_clear()
        .envs(credentials)
        .envs(variables.iter().copied());
    command
}

fn output_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn assert_start_fails(arguments: &[&str], variables: &[(&str, &str)], word: &str) {
    let output = movies(arguments, variables).output().unwrap();
    assert!(
        !output.status.success() && output_text(&output).contains(word),
        "{output:?}"
    );
}

#[test]
fn start_fails_and_names_a_missing_or_invalid_variable() {
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
        ("AWS_LAMBDA_FUNCTION_NAME", "mvdb-test-movies"),
    ];
    assert_start_fails(&[], &lambda, "TABLE_NAME");
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "")],
        "TABLE_NAME",
    );
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("REGION", "Ireland!")],
        "REGION",
    );
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("AWS_SECRET_ACCESS_KEY", "")],
        "AWS_SECRET_ACCESS_KEY",
    );
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("SSL_CERT_FILE", "/nowhere.pem")],
        "/nowhere.pem: No such file",
    );
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("SSL_CERT_FILE", "/dev/null")],
        "/dev/null holds no root certificate",
    );
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("SSL_CERT_DIR", "/nowhere")],
        "/nowhere: No such file",
    );
    let empty = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-roots");
    std::fs::create_dir_all(empty).unwrap();
    assert_start_fails(
        &["--listen", "127.0.0.1:0"],
        &[("TABLE_NAME", "t"), ("SSL_CERT_DIR", empty)],
        "no-roots holds no root certificate",
    );
    for (name, value) in [
        ("AWS_REGION", ""),
        ("CORS_ORIGINS", "*"),
        ("AWS_LAMBDA_LOG_LEVEL", "VERBOSE"),
    ] {
        assert_start_fails(
            &["--listen", "127.0.0.1:0"],
            &[("TABLE_NAME", "t"), (name, value)],
            name,
        );
    }
}

#[test]
fn listening_beyond_loopback_needs_jwks() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        assert_start_fails(&["--listen", address], &[("TABLE_NAME", "t")], "--jwks");
    }
    assert_start_fails(
        &[
            "--listen",
            "0.0.0.0:0",
            "--jwks",
            "/nowhere.json",
            "--issuer",
            "https://issuer.example",
        ],
        &[
            ("TABLE_NAME", "t"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ],
        "/nowhere.json",
    );
}

#[test]
fn invalid_arguments_are_rejected_with_a_hint() {
    assert_start_fails(&[], &[("TABLE_NAME", "t")], "--listen");
    for listen in [
        "8080",
        "127.0.0.1",
        "127.0.0.1:http",
        "127.0.0.1:70000",
        "no-such-host.invalid:8080",
    ] {
        assert_start_fails(
            &["--listen", listen],
            &[("TABLE_NAME", "t")],
            "it must be HOST:PORT, such as 127.0.0.1:8080",
        );
    }
    assert_start_fails(
        &["--listen", "127.0.0.1:0", "--jwks", "keys.json"],
        &[("TABLE_NAME", "t")],
        "--issuer",
    );
    assert_start_fails(
        &[
            "--listen",
            "127.0.0.1:0",
            "--issuer",
            "https://issuer.example",
        ],
        &[("TABLE_NAME", "t")],
        "--jwks",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_start_fails(
        &["--listen", &address],
        &[("TABLE_NAME", "t")],
        "Address already in use",
    );
    assert_start_fails(&["--port", "8080"], &[("TABLE_NAME", "t")], "--port");
    let help = movies(&["--help"], &[]).output().unwrap();
    assert!(help.status.success() && output_text(&help).contains("--jwks FILE"));
}

/// The server waits for a table that does not respond. A signal ends it without waiting.
#[tokio::test]
async fn sigterm_and_sigint_during_start_end_the_server_successfully() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for signal in ["TERM", "INT"] {
        let mut child = movies(
            &["--listen", "127.0.0.1:0"],
            &[("TABLE_NAME", "t"), ("AWS_ENDPOINT_URL", &url)],
        )
        .spawn()
        .unwrap();
        let _waiting = silent.accept().unwrap();
        // It has connected to the table, so the signal handlers are installed.
        let begin = std::time::Instant::now();
        let killed = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let status = child.wait().unwrap();
        assert!(
            status.success() && begin.elapsed() < std::time::Duration::from_millis(500),
            "{signal}: {status} {:?}",
            begin.elapsed()
        );
    }
}
