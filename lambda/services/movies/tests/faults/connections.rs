//! Connections to DynamoDB that hang, are slow, refused or closed.

use super::{Fault, Function, binary, launch};
use lambda_emulator::{Environment, FunctionConfig, Proxy, Server, TestCa, dynamodb};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use testkit::sample::rush_item;

/// Asserts that a request succeeds after one of these faults, and fails with one of `causes` after
/// three. Both take less than `milliseconds`.
async fn assert_retried_then_failed(fault: Fault, causes: &[&str], milliseconds: u64) {
    let mut function = Function::start().await;
    function.proxy.script([fault.clone()]);
    function
        .get()
        .await
        .served()
        .table_requests(2)
        .within(milliseconds);
    function.proxy.set_default_fault(fault);
    let seen = function.get().await;
    let cause = seen.line()["cause"]
        .as_str()
        .unwrap_or_else(|| panic!("{seen:#?}"));
    assert!(causes.contains(&cause), "{seen:#?}");
    seen.failed(503, cause)
        .table_requests(3)
        .within(milliseconds);
    function.assert_recovered().await;
}

/// Fault F06.
#[tokio::test]
async fn table_that_does_not_respond_is_503_before_the_lambda_timeout() {
    assert_retried_then_failed(Fault::Silence, &["unreachable"], 2700).await;
}

/// Fault F07.
#[tokio::test]
async fn response_of_one_byte_a_second_is_503() {
    assert_retried_then_failed(Fault::Drip, &["unreachable"], 2700).await;
}

/// Fault F08.
#[tokio::test]
async fn refused_connection_is_503_at_once() {
    let mut function = Function::start().await;
    function.proxy.close();
    let seen = function.get().await;
    seen.failed(503, "unreachable").within(1000);
    // The log has the innermost error, which is the operating system's.
    assert!(
        seen.errors()[0]["error"]
            .as_str()
            .unwrap()
            .contains("refused"),
        "{seen:#?}"
    );
    function.proxy.reopen().await.unwrap();
    function.assert_recovered().await;
}

/// Fault F09.
#[tokio::test]
async fn reset_before_the_response_is_retried() {
    assert_retried_then_failed(Fault::Reset, &["unreachable"], 1000).await;
}

/// Fault F10.
#[tokio::test]
async fn reset_in_the_middle_of_a_read_is_retried() {
    assert_retried_then_failed(Fault::HalfThenReset, &["garbled"], 1500).await;
    assert_retried_then_failed(Fault::Lost, &["unreachable"], 1000).await;
}

/// Fault F11.
#[tokio::test]
async fn response_shorter_than_its_content_length_is_retried() {
    assert_retried_then_failed(Fault::HalfThenEnd, &["garbled"], 1000).await;
}

/// Fault F12.
#[tokio::test]
async fn connection_closed_while_frozen_is_replaced() {
    let mut function = Function::start().await;
    for _ in 0..5 {
        function.proxy.script([Fault::ThenClose]);
        let closed = function.get().await.served().table_requests[0].client;
        // The proxy closes the connection before this is over, while the process is stopped.
        tokio::time::sleep(Duration::from_millis(300)).await;
        function.proxy.script([]);
        let seen = function.get().await;
        seen.served().within(1000);
        assert_ne!(
            seen.table_requests[0].client, closed,
            "the closed connection was used again"
        );
    }
}

/// Fault F16.
#[tokio::test]
async fn unknown_host_name_and_failed_tls_handshake_are_503() {
    let authority = TestCa::new().unwrap();
    let untrusted = Server::https(&authority, dynamodb::stub(vec![rush_item()]))
        .await
        .unwrap();
    let plain = Proxy::start(dynamodb::stub(vec![rush_item()]))
        .await
        .unwrap();
    for url in [
        "http://table.invalid:8000",
        untrusted.url(),
        &plain.url().replace("http:", "https:"),
    ] {
        let proxy = Proxy::start(dynamodb::stub(vec![])).await.unwrap();
        let mut function =
            Function::launched(launch().variable("AWS_ENDPOINT_URL", url), proxy).await;
        for _ in 0..2 {
            function
                .get()
                .await
                .failed(503, "unreachable")
                .table_requests(0);
        }
    }
}

/// Other sources of credentials would only lengthen cold starts.
#[tokio::test]
async fn in_lambda_credentials_are_read_from_the_environment_alone() {
    let container_requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&container_requests);
    let container = Server::http(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Some(http::Response::new("{}".into())))
    });
    let container = container.await.unwrap();
    let proxy = Proxy::start(dynamodb::stub(vec![rush_item()]))
        .await
        .unwrap();
    let launch = launch()
        .variable("AWS_ENDPOINT_URL", proxy.url())
        .variable("AWS_ACCESS_KEY_ID", "")
        .variable("AWS_SECRET_ACCESS_KEY", "")
        .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url());
    let mut function = Function::launched(launch, proxy).await;
    function
        .get()
        .await
        .failed(503, "credentials")
        .table_requests(0)
        .within(500);
    assert_eq!(container_requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn root_certificates_are_read_from_the_folder_of_ssl_cert_dir() {
    let authority = TestCa::new().unwrap();
    let table = Server::https(&authority, dynamodb::stub(vec![rush_item()]))
        .await
        .unwrap();
    let folder = std::path::PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/roots"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("a-folder-in-it")).unwrap();
    std::fs::copy(authority.file(), folder.join("5ed36f99.0")).unwrap();
    std::fs::write(folder.join("README"), "no certificate").unwrap();
    std::os::unix::fs::symlink("removed.pem", folder.join("link-to-nothing")).unwrap();
    let launch = launch().variable("AWS_ENDPOINT_URL", table.url());
    let launch = launch.variable("SSL_CERT_DIR", folder.display().to_string());
    let proxy = Proxy::start(dynamodb::stub(vec![])).await.unwrap();
    Function::launched(launch, proxy).await.get().await.served();
}

/// Starts a hundred processes at once on the cores of this machine. Each response of the table
/// takes 200 ms.
///
/// Fault F28.
#[tokio::test]
async fn hundred_concurrent_cold_starts_take_less_than_ten_seconds() {
    let proxy = Proxy::start(dynamodb::stub(vec![rush_item()]))
        .await
        .unwrap();
    proxy.set_default_fault(Fault::Delay { milliseconds: 200 });
    let launch = FunctionConfig::new(binary())
        .variable("TABLE_NAME", "movies")
        .variable("AWS_ENDPOINT_URL", proxy.url());
    let begin = Instant::now();
    let starting: Vec<_> = (0..100)
        .map(|_| tokio::spawn(Environment::start(launch.clone())))
        .collect();
    let mut functions = Vec::new();
    for environment in starting {
        let environment = environment.await.unwrap().unwrap();
        let proxy = Proxy::start(dynamodb::stub(vec![])).await.unwrap();
        functions.push(Function {
            environment,
            proxy,
            requests: 0,
            lines: 0,
        });
    }
    println!("100 started in {:?}", begin.elapsed());
    let mut inits: Vec<_> = functions
        .iter()
        .map(|function| function.environment.init())
        .collect();
    let first_requests: Vec<_> = functions
        .into_iter()
        .map(|mut function| {
            tokio::spawn(async move {
                let seen = function.get().await;
                // On few cores a process may be paused until its requests to the table time out.
                // The response is then a 503, also within the time limit.
                assert!(
                    seen.line()["latency"].as_f64().unwrap() <= 3000.0,
                    "{seen:#?}"
                );
                if seen.status == 200 {
                    seen.served()
                } else {
                    seen.failed(503, "unreachable")
                };
                (seen.took, seen.status)
            })
        })
        .collect();
    let mut first = Vec::new();
    for request in first_requests {
        first.push(request.await.unwrap());
    }
    inits.sort();
    first.sort();
    let served = first.iter().filter(|(_, status)| *status == 200).count();
    let first: Vec<_> = first.into_iter().map(|(took, _)| took).collect();
    assert!(served >= 50, "{served} of 100 served");
    println!(
        "{served} served; INIT: median {:?}, longest {:?}; \
         first request: median {:?}, longest {:?}",
        inits[50], inits[99], first[50], first[99]
    );
}
