//! The compiled binary as an HTTP server (`--listen`): clients that disconnect, stall or send half
//! a request, logs that cannot be written, tokens, readiness, shutdown. The other modules test the
//! behaviour that both entry points share.

use super::{app, contract, logs::fields};
use bytes::Bytes;
use http::{Request, Response as HttpResponse};
use lambda_emulator::{Server, dynamodb};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Read, pipe},
    net::Shutdown,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::{
    HttpServer, Issuer, RequestBuilder, Response, TestApp, assert_contract, sample::rush_item,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

const ORIGIN: &str = "https://app.example.org";

/// A fake table on loopback that counts write transactions.
struct Table {
    server: Server,
    writes: Arc<AtomicUsize>,
}

impl Table {
    async fn start() -> Self {
        Self::slow(Duration::ZERO).await
    }

    /// Starts a table whose writes take this long.
    async fn slow(write: Duration) -> Self {
        let writes = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&writes);
        let server = Server::http(move |request: Request<Bytes>| {
            let counter = Arc::clone(&counter);
            async move {
                if dynamodb::operation(&request) == "TransactWriteItems" {
                    counter.fetch_add(1, Ordering::Relaxed);
                    sleep(write).await;
                }
                let found =
                    dynamodb::operation(&request) == "GetItem" && !request.body().is_empty();
                let item = if found {
                    json!({ "Item": rush_item() })
                } else {
                    json!({})
                };
                Some(dynamodb::success(&item))
            }
        });
        Self {
            server: server.await.unwrap(),
            writes,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(self.server.url(), arguments)
    }

    fn server(&self, arguments: &[&str]) -> HttpServer {
        HttpServer::start(self.command(arguments))
    }
}

fn command(table: &str, arguments: &[&str]) -> Command {
    let mut command = app::server();
    command.args(arguments).envs([
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL", table),
        ("CORS_ORIGINS", ORIGIN),
    ]);
    command
}

/// Returns the same as [`command`], with this address instead of a free port.
fn command_on(address: &str, table: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_movies"));
    let from = self::command(table, &[]);
    let variables = from
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command
        .args(["--listen", address])
        .env_clear()
        .envs(variables);
    command
}

/// Returns the lines of the access log.
fn requests(log: &[String]) -> Vec<Value> {
    let lines = log.iter().map(|line| fields(line));
    lines.filter(|line| line["message"] == "request").collect()
}

/// Waits until the access log has `count` lines, and returns them.
async fn logged(server: &HttpServer, count: usize) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let lines = requests(&server.log());
        if lines.len() >= count || begin.elapsed() > Duration::from_secs(5) {
            assert_eq!(lines.len(), count, "{lines:#?}");
            return lines;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn put() -> RequestBuilder {
    RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } }))
}

/// Sends bytes without closing the connection, and checks the response against the contract.
async fn send(server: &HttpServer, method: &str, path: &str, request: &str) -> Response {
    let response = Response::from_http1(&server.send_bytes(request.as_bytes()).await);
    assert_contract(contract(), method, path, None, &response);
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_is_finished_and_logged_after_its_client_disconnects() {
    let table = Table::slow(Duration::from_millis(500)).await;
    let server = table.server(&[]);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&put().http1()).await.unwrap();
    sleep(Duration::from_millis(150)).await;
    drop(stream);
    let lines = logged(&server, 1).await;
    assert_eq!(
        (&lines[0]["method"], &lines[0]["status"]),
        (&json!("PUT"), &json!(200))
    );
    assert_eq!(table.writes.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_of_a_disconnected_client_is_finished_before_shutdown() {
    let table = Table::slow(Duration::from_millis(500)).await;
    let server = table.server(&[]);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&put().http1()).await.unwrap();
    sleep(Duration::from_millis(150)).await;
    drop(stream);
    sleep(Duration::from_millis(50)).await;
    let (status, log, _) = server.stop();
    assert!(status.success(), "{status}");
    assert_eq!(requests(&log).len(), 1, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_closed_client_gets_its_response() {
    let table = Table::slow(Duration::from_millis(200)).await;
    let server = table.server(&[]);
    let stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    stream.write_all(&put().http1()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(Response::from_http1(&text).status, 200);
    assert_eq!(logged(&server, 1).await[0]["status"], 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_upload_is_logged_and_writes_nothing() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let request = put().http1();
    for shutdown in [Shutdown::Write, Shutdown::Both] {
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        std::io::Write::write_all(&mut stream, &request[..request.len() - 5]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stream.shutdown(shutdown).unwrap();
    }
    for line in logged(&server, 2).await {
        assert_eq!(
            (&line["method"], &line["status"]),
            (&json!("PUT"), &json!(400))
        );
    }
    assert_eq!(table.writes.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_and_malformed_requests_are_logged() {
    let issuer = issuer("logged");
    let table = Table::start().await;
    let server = table.server(&issuer.arguments());
    let bearer = bearer(&issuer.token(&json!({})));
    let close = "Host: x\r\nConnection: close\r\n";
    for (request, status, method, route) in [
        (
            format!("GET /movies/2013/Rush HTTP/1.1\r\n{close}\r\n"),
            401,
            "GET",
            "/movies/{year}/{title}",
        ),
        (
            format!("GET /movies?year=%zz HTTP/1.1\r\n{close}{bearer}\r\n"),
            400,
            "GET",
            "/movies",
        ),
        (
            format!("GET /nothing HTTP/1.1\r\n{close}{bearer}\r\n"),
            404,
            "GET",
            "none",
        ),
        (
            format!("PUT /health HTTP/1.1\r\n{close}{bearer}\r\n"),
            405,
            "PUT",
            "/health",
        ),
        (
            format!("OPTIONS /movies HTTP/1.1\r\n{close}Origin: {ORIGIN}\r\n\r\n"),
            204,
            "OPTIONS",
            "/movies",
        ),
        ("NONSENSE\r\n\r\n".to_owned(), 400, "other", "none"),
        (
            format!("GET /health HTTP/1.1\r\n{close}{bearer}\r\n"),
            200,
            "GET",
            "/health",
        ),
    ] {
        let before = requests(&server.log()).len();
        let text = server.send_bytes(request.as_bytes()).await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {text}"
        );
        let lines = logged(&server, before + 1).await;
        let line = lines.last().unwrap();
        assert_eq!(
            (&line["status"], &line["method"], &line["route"]),
            (&json!(status), &json!(method), &json!(route)),
            "{request}"
        );
    }
}

/// Starts a server with this standard output and asserts that it serves a hundred requests.
async fn serves_with_output(table: &Table, output: impl Into<Stdio>) -> HttpServer {
    let mut command = table.command(&[]);
    command.stdout(output);
    let server = HttpServer::start_with_own_output(command);
    for number in 0..100 {
        let request = if number % 2 == 0 {
            RequestBuilder::new("GET", "/health")
        } else {
            put()
        };
        assert_eq!(server.send(&request).await.status, 200, "request {number}");
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_server_serves_though_its_log_cannot_be_written() {
    let table = Table::start().await;
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    serves_with_output(&table, full).await;
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    serves_with_output(&table, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_server_serves_though_nobody_reads_its_log() {
    let table = Table::start().await;
    let (mut reader, writer) = pipe().unwrap();
    let server = serves_with_output(&table, writer).await;
    // The pipe has room for some 200 lines.
    for number in 0..1000 {
        let request = RequestBuilder::new("GET", "/health");
        let response = timeout(Duration::from_secs(5), server.send(&request)).await;
        assert_eq!(
            response
                .unwrap_or_else(|_| panic!("request {number} hangs"))
                .status,
            200
        );
    }
    // Lines that were not read are queued, so none is lost.
    let begin = Instant::now();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    let (status, ..) = server.stop();
    assert!(
        status.success() && begin.elapsed() < Duration::from_secs(5),
        "{status}"
    );
    let lines: Vec<_> = reading.join().unwrap().lines().map(str::to_owned).collect();
    assert_eq!(requests(&lines).len(), 1100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_does_not_wait_for_a_log_that_nobody_reads() {
    let table = Table::start().await;
    let (_reader, writer) = pipe().unwrap();
    let server = serves_with_output(&table, writer).await;
    for _ in 0..300 {
        server.send(&RequestBuilder::new("GET", "/health")).await;
    }
    let begin = Instant::now();
    let (status, ..) = server.stop();
    assert!(
        status.success() && begin.elapsed() < Duration::from_secs(5),
        "{status} after {:?}",
        begin.elapsed()
    );
}

/// With `movies --listen … 2>/dev/full`, only the lines that are printed at the start are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_server_serves_though_standard_error_cannot_be_written() {
    let table = Table::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = command_on(&format!("127.0.0.1:{port}"), table.server.url());
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = command.stdout(full()).stderr(full()).spawn().unwrap();
    let begin = Instant::now();
    let connected = loop {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break true;
        }
        if begin.elapsed() > Duration::from_secs(5) {
            break false;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(connected && ended.is_none(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_server_rejections_have_cors_headers() {
    let issuer = issuer("cors");
    let table = Table::start().await;
    let server = table.server(&issuer.arguments());
    let bearer = bearer(&issuer.token(&json!({})));
    let origin = format!("Host: x\r\nConnection: close\r\nOrigin: {ORIGIN}\r\n");
    for (path, headers, status) in [
        ("/movies/2013/Rush", "", 401),
        ("/movies?year=%ff", bearer.as_str(), 400),
        ("/movies?year=%zz", bearer.as_str(), 400),
        ("/nothing", bearer.as_str(), 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\n{origin}{headers}\r\n");
        let response = send(&server, "GET", path.split('?').next().unwrap(), &request).await;
        let allowed = response.header("access-control-allow-origin");
        assert_eq!((response.status, allowed), (status, Some(ORIGIN)), "{path}");
        assert_eq!(response.header("vary"), Some("Origin"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_body_is_awaited_only_if_the_response_depends_on_it() {
    let issuer = issuer("body");
    let table = Table::start().await;
    let server = table.server(&issuer.arguments());
    let write = bearer(&issuer.token(&json!({})));
    let read = bearer(&issuer.token(&json!({ "scope": "movies/read" })));
    let begin = Instant::now();
    for (method, path, headers, status) in [
        ("GET", "/movies/2013/Rush", write.as_str(), 200),
        ("PUT", "/nothing", write.as_str(), 404),
        ("PUT", "/health", write.as_str(), 405),
        ("PUT", "/movies/2013/Rush", read.as_str(), 403),
        ("PUT", "/movies/2013/Rush", "", 401),
        ("PUT", "/movies/2013/Rush?a=b", write.as_str(), 400),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 10\r\n{headers}\r\n"
        );
        let response = send(&server, method, path.split('?').next().unwrap(), &request).await;
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_upload_is_408() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let request = put().http1();
    let begin = Instant::now();
    let text = String::from_utf8(request[..request.len() - 5].to_vec()).unwrap();
    let response = send(&server, "PUT", "/movies/2013/Rush", &text).await;
    response.assert_problem(408, "request_timeout");
    assert!(
        (9..15).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(logged(&server, 1).await[0]["status"], 408);
}

/// If the maximum number of connections is open, a further one waits until one of them ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait() {
    const LIMIT: usize = 512;
    let table = Table::start().await;
    let server = table.server(&[]);
    let mut open = Vec::new();
    for _ in 0..LIMIT {
        open.push(TcpStream::connect(server.address()).await.unwrap());
    }
    sleep(Duration::from_millis(200)).await;
    let request = RequestBuilder::new("GET", "/health");
    let waiting = timeout(Duration::from_secs(1), server.send(&request)).await;
    assert!(waiting.is_err(), "a connection beyond the limit is served");
    open.truncate(LIMIT / 2);
    assert_eq!(
        timeout(Duration::from_secs(5), server.send(&request))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_listens_on_a_host_name() {
    let table = Table::start().await;
    let server = HttpServer::start(command_on("localhost:0", table.server.url()));
    assert!(server.address().ip().is_loopback());
    assert_eq!(
        server
            .send(&RequestBuilder::new("GET", "/health"))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_table_is_503_without_internal_details() {
    let table = Table::start().await;
    let app = TestApp::server(contract(), table.command(&[])).await;
    drop(table);
    let response = app.ask("GET", "/movies/2013/Rush").await;
    response.assert_problem(503, "unavailable");
    assert!(
        response.header("retry-after") == Some("1") && !response.text.contains("127.0.0.1"),
        "{response:?}"
    );
    assert_eq!(app.ask("GET", "/health").await.status, 200);
    let (status, ..) = app.into_http_server().stop();
    assert!(status.success(), "{status}");
}

/// The socket opens after the first successful read, so that load balancers send no requests
/// before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_listens_after_its_first_successful_read() {
    let failures = Arc::new(AtomicUsize::new(2));
    let begin = Instant::now();
    let table = Server::http(move |request: Request<Bytes>| {
        assert_eq!(dynamodb::operation(&request), "GetItem");
        let fails = begin.elapsed() < Duration::from_secs(2);
        failures.fetch_add(1, Ordering::Relaxed);
        let response = if fails {
            dynamodb::failure(500, "InternalServerError")
        } else {
            dynamodb::success(&json!({}))
        };
        std::future::ready(Some::<HttpResponse<Bytes>>(response))
    });
    let table = table.await.unwrap();
    let command = command(table.url(), &[]);
    let server = tokio::task::spawn_blocking(|| HttpServer::start(command))
        .await
        .unwrap();
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "the server listens before the table can be read"
    );
    let warned = server
        .log()
        .iter()
        .filter(|line| fields(line)["level"] == "WARN")
        .count();
    assert!(warned > 0, "no warning says why the server does not listen");
    assert_eq!(
        server
            .send(&RequestBuilder::new("GET", "/health"))
            .await
            .status,
        200
    );
}

#[test]
fn sigterm_while_waiting_for_the_table_ends_the_server() {
    let mut child = command("http://127.0.0.1:9", &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut warning = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut warning)
        .unwrap();
    assert!(
        warning.contains("the socket is not open yet") && child.try_wait().unwrap().is_none(),
        "{warning}"
    );
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    let begin = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && begin.elapsed() < Duration::from_secs(2),
        "{output:?}"
    );
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("listening"),
        "{output:?}"
    );
}

/// Returns an issuer whose keys are in a file of this name.
fn issuer(name: &str) -> Issuer {
    Issuer::new(format!("{}/jwks-{name}.json", env!("CARGO_TARGET_TMPDIR")))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Returns the status of a read with this Authorization header.
async fn status_with(app: &TestApp, authorization: &str) -> u16 {
    let request = RequestBuilder::new("GET", "/movies/2013/Rush");
    app.send(request.header("Authorization", authorization))
        .await
        .status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_with_an_invalid_time_or_issuer_is_401() {
    let (issuer, table) = (issuer("claims"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    let status =
        async |claims: &Value| status_with(&app, &format!("Bearer {}", issuer.token(claims))).await;
    let now = Issuer::now();
    for claims in [json!({}), json!({ "nbf": now - 10 })] {
        assert_eq!(status(&claims).await, 200, "{claims}");
    }
    for claims in [
        json!({ "nbf": now + 86_400 }),
        json!({ "exp": now - 7_200 }),
        json!({ "exp": null }),
        json!({ "iss": "https://other.example" }),
        json!({ "iss": null }),
    ] {
        assert_eq!(status(&claims).await, 401, "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_needs_a_scope_of_the_operation() {
    let (issuer, table) = (issuer("scopes"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    for (scope, status) in [("movies/read", 200), ("movies/write", 200), ("other", 403)] {
        let token = issuer.token(&json!({ "scope": scope }));
        assert_eq!(
            status_with(&app, &format!("Bearer {token}")).await,
            status,
            "{scope}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_or_foreign_token_is_401() {
    let (issuer, table) = (issuer("signatures"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    let stranger = self::issuer("stranger");
    let header = |algorithm: &str, key: &str| json!({ "alg": algorithm, "kid": key });
    for (token, what) in [
        (stranger.token(&json!({})), "signed by another issuer"),
        (
            issuer.sign(&header("RS256", "2"), &json!({})),
            "of an unknown key",
        ),
        (
            issuer.sign(&json!({ "alg": "RS256" }), &json!({})),
            "without a key id",
        ),
        (
            issuer.sign(&header("RS384", "1"), &json!({})),
            "of another algorithm",
        ),
        (issuer.token(&json!({ "token_use": "id" })), "an id token"),
        (Issuer::unsigned(&json!({})), "unsigned"),
        ("x.y.z".to_owned(), "not a token"),
        (String::new(), "empty"),
    ] {
        assert_eq!(
            status_with(&app, &format!("Bearer {token}")).await,
            401,
            "{what}"
        );
    }
    for authorization in ["Basic x", "Bearer", "x"] {
        assert_eq!(
            status_with(&app, authorization).await,
            401,
            "{authorization}"
        );
    }
}

/// RFC 9110, section 11.4 allows any case of the scheme, and one or more spaces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bearer_scheme_is_case_insensitive_and_followed_by_any_number_of_spaces() {
    let (issuer, table) = (issuer("scheme"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    for scheme in ["Bearer  ", "bearer   ", "BEARER "] {
        let authorization = format!("{scheme}{}", issuer.token(&json!({})));
        assert_eq!(status_with(&app, &authorization).await, 200, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_without_a_token_is_401_with_a_challenge_and_a_link() {
    let (issuer, table) = (issuer("challenge"), Table::start().await);
    let documentation = "https://docs.example.org/movies";
    let mut command = table.command(&issuer.arguments());
    command.env("DOCUMENTATION_URL", documentation);
    let app = TestApp::server(contract(), command).await;
    let response = app.ask("GET", "/health").await;
    response.assert_problem(401, "unauthorized");
    assert_eq!(
        response.header("www-authenticate"),
        Some(r#"Bearer realm="movies""#)
    );
    assert_eq!(response.json()["documentation"], documentation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_path_or_method_needs_no_token() {
    let (issuer, table) = (issuer("unknown"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    for authorization in [None, Some("Bearer x.y.z")] {
        let send = async |method: &str, path: &str| {
            let request = RequestBuilder::new(method, path);
            app.send(authorization.into_iter().fold(request, |request, value| {
                request.header("Authorization", value)
            }))
            .await
        };
        send("GET", "/nothing")
            .await
            .assert_problem(404, "route_not_found");
        send("POST", "/health")
            .await
            .assert_problem(405, "method_not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_key_id_reloads_the_jwks_file() {
    let (issuer, table) = (issuer("rotation"), Table::start().await);
    let app = TestApp::server(contract(), table.command(&issuer.arguments())).await;
    let get = async |key_id: &str| {
        let token = issuer.sign(&json!({ "alg": "RS256", "kid": key_id }), &json!({}));
        status_with(&app, &format!("Bearer {token}")).await
    };
    assert_eq!((get("1").await, get("2").await), (200, 401));
    issuer.publish("2");
    assert_eq!(
        (get("2").await, get("1").await),
        (200, 401),
        "the removed key is not accepted"
    );
    // While the file is half written, the known keys stay in use.
    std::fs::write(issuer.file(), "{").unwrap();
    assert_eq!((get("3").await, get("2").await), (401, 200));
}

#[test]
fn start_fails_with_a_jwks_file_without_an_rs256_key() {
    let issuer = issuer("unusable");
    let other = issuer.jwks("1").to_string().replace("RS256", "RS384");
    for document in ["", "{}", r#"{"keys":[]}"#, &other] {
        std::fs::write(issuer.file(), document).unwrap();
        let output = command("http://127.0.0.1:9", &issuer.arguments())
            .output()
            .unwrap();
        let printed = format!("{output:?}");
        assert!(
            !output.status.success() && printed.contains("jwks-unusable.json"),
            "{printed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_and_sigint_let_open_requests_finish() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let table = Table::start().await;
        let server = table.server(&[]);
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = put().http1();
        let (head, rest) = request.split_at(request.len() - 5);
        stream.write_all(head).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        server.signal(signal);
        sleep(Duration::from_millis(100)).await;
        let refused = TcpStream::connect(server.address()).await.is_err();
        assert!(refused, "a new connection is accepted after {signal}");
        stream.write_all(rest).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(Response::from_http1(&text).status, 200, "{signal}");
        let (status, log, _) = server.wait();
        assert!(
            status.success() && requests(&log).len() == 1,
            "{signal}: {status} {log:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_closes_idle_connections_at_once() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut response = [0; 12];
    idle.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 200");
    let begin = Instant::now();
    let (status, ..) = server.stop();
    assert!(
        status.success() && begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

/// A request that is still open ten seconds after the signal is aborted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_waits_at_most_ten_seconds_for_open_requests() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = put().http1();
    stream
        .write_all(&request[..request.len() - 5])
        .await
        .unwrap();
    sleep(Duration::from_millis(100)).await;
    let begin = Instant::now();
    let (status, ..) = server.stop();
    let elapsed = begin.elapsed();
    assert!(
        status.success() && elapsed < Duration::from_secs(13),
        "{status} {elapsed:?}"
    );
}

/// A client that sends half of its headers gets a response, or a closed connection, after ten
/// seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_headers_end_the_connection() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let begin = Instant::now();
    let text = server
        .send_bytes(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        .await;
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 408 "),
        "{text}"
    );
    assert!(
        (9..15).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_get_responses_in_their_order() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let pipelined = ["/health", "/version", "/nothing"]
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .concat();
    let last = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = server.send_bytes((pipelined + last).as_bytes()).await;
    let statuses: Vec<_> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect();
    assert_eq!(statuses, ["200", "200", "404", "200"], "{text}");
    assert_eq!(logged(&server, 4).await[1]["route"], "/version");
}

/// Each write takes 200 ms, so 64 sequential writes would take 13 seconds. (On a busy machine a
/// write may be retried, so the table may count more.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_are_served_in_parallel() {
    const CLIENTS: usize = 64;
    let table = Table::slow(Duration::from_millis(200)).await;
    let server = Arc::new(table.server(&[]));
    let begin = Instant::now();
    let clients = (0..CLIENTS).map(|number| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let path = format!("/movies/2013/{number}");
            let put = RequestBuilder::new("PUT", &path).json(&json!({}));
            let response = server.send(&put).await;
            assert_eq!(
                (response.status / 100, &response.json()["title"]),
                (2, &json!(number.to_string()))
            );
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(logged(&server, CLIENTS).await.len(), CLIENTS);
    assert!(table.writes.load(Ordering::Relaxed) >= CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_that_is_not_utf_8_is_400() {
    let table = Table::start().await;
    let server = table.server(&[]);
    let head = "PUT /movies/2013/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 13\r\n\r\n";
    let request = [head.as_bytes(), b"{\"title\":\"\xff\"}"].concat();
    let response = Response::from_http1(&server.send_bytes(&request).await);
    assert_eq!(response.assert_problem(400, "invalid_request"), ["body"]);
}

/// Credentials that expire are renewed from the container endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_renewed_from_the_container_endpoint() {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&given);
    let endpoint = Server::http(move |_| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let expiration = time_in(Duration::from_secs(if number == 0 { 1 } else { 3600 }));
        let credentials = json!({
            "AccessKeyId": format!("KEY{number}"),
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": expiration,
        });
        std::future::ready(Some(HttpResponse::new(Bytes::from(
            credentials.to_string(),
        ))))
    });
    let (endpoint, table) = (endpoint.await.unwrap(), Table::start().await);
    let mut command = table.command(&[]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url());
    let server = HttpServer::start(command);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        server
            .send(&RequestBuilder::new("GET", "/movies/2013/Rush"))
            .await
            .status,
        200
    );
    assert!(
        given.load(Ordering::Relaxed) >= 2,
        "the credentials that expired were not renewed"
    );
}

/// Pods in EKS have a token of the cluster, which STS exchanges for credentials.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_exchanged_for_a_web_identity_token() {
    let exchanges = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&exchanges);
    let sts = Server::http(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        let response = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>KEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>{}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
            time_in(Duration::from_secs(3600))
        );
        std::future::ready(Some(HttpResponse::new(Bytes::from(response))))
    });
    let (sts, table) = (sts.await.unwrap(), Table::start().await);
    let token = concat!(env!("CARGO_TARGET_TMPDIR"), "/web-identity-token");
    std::fs::write(token, "token").unwrap();
    let mut command = table.command(&[]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/movies")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ENDPOINT_URL_STS", sts.url());
    let server = HttpServer::start(command);
    let get = RequestBuilder::new("GET", "/movies/2013/Rush");
    assert_eq!(server.send(&get).await.status, 200);
    assert_eq!(exchanges.load(Ordering::Relaxed), 1);
}

/// Returns the time after `span`, as RFC 3339.
fn time_in(span: Duration) -> String {
    let time = time::OffsetDateTime::now_utc() + span;
    let (date, clock) = (time.date(), time.time());
    format!(
        "{date}T{:02}:{:02}:{:02}Z",
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
