//! Requests and errors of a client on real sockets, with DynamoDB as the example.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Credentials, timeout::TimeoutConfig},
    types::AttributeValue,
};
use bytes::Bytes;
use lambda_emulator::Server;
use outbound::{
    Error, ErrorKind,
    aws::{Settings, config},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

fn settings() -> Settings {
    Settings {
        app_name: "mvdb-test-1.2.3",
        region: Some("eu-west-1".to_owned()),
        endpoint_url: None,
        ca_paths: Vec::new(),
        in_lambda: true,
    }
}

/// A client of `url` with fixed credentials.
fn builder(url: &str) -> Builder {
    Builder::from(&config(settings()).unwrap())
        .endpoint_url(url)
        .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
}

async fn get(config: Builder) -> Result<(), Error> {
    let request = Client::from_conf(config.build()).get_item().table_name("t");
    let request = request.key("a", AttributeValue::Null(true));
    request.send().await.map(drop).map_err(Error::from)
}

#[tokio::test]
async fn requests_name_the_application_in_the_user_agent() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let server = Server::http(move |request| {
        seen.lock().unwrap().push(request.headers().clone());
        std::future::ready(Some(http::Response::new("{}".into())))
    });
    let server = server.await.unwrap();
    get(builder(server.url())).await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    for header in ["user-agent", "x-amz-user-agent"] {
        let value = requests[0][header].to_str().unwrap();
        assert!(value.starts_with("aws-sdk-rust/"), "{header}: {value}");
    }
    let agent = requests[0]["x-amz-user-agent"].to_str().unwrap();
    assert!(agent.contains("app/mvdb-test-1.2.3"), "{agent}");
}

/// Sends a request to a server that never responds, and returns how long it took to fail.
async fn time_to_failure(timeouts: TimeoutConfig, url: &str) -> Duration {
    let config = builder(url).timeout_config(timeouts);
    let config = config.retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled());
    let begin = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(5), get(config)).await;
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{}", error.report());
    begin.elapsed()
}

#[tokio::test]
async fn read_timeout_of_the_configuration_takes_effect() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let timeouts = TimeoutConfig::builder()
        .read_timeout(Duration::from_millis(100))
        .build();
    assert!(time_to_failure(timeouts, &url).await < Duration::from_secs(2));
}

#[tokio::test]
async fn connect_timeout_of_the_configuration_takes_effect() {
    // Once its backlog is full, Linux leaves further connections without a response.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let connecting = tokio::net::TcpStream::connect(address);
        waiting.push(tokio::time::timeout(Duration::from_millis(50), connecting).await);
    }
    assert!(
        waiting.iter().any(Result::is_err),
        "the backlog is not full"
    );
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(100))
        .build();
    let url = format!("http://{address}");
    assert!(time_to_failure(timeouts, &url).await < Duration::from_secs(2));
}

/// A page of 4 MiB is read, a longer one is an error.
#[tokio::test]
async fn response_longer_than_4_mib_is_invalid() {
    let server = Server::http(|request| {
        // The partition key of the request is the length of the response.
        let length: usize = request.headers()["x-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut body = b"{}".to_vec();
        body.resize(length, b' ');
        std::future::ready(Some(http::Response::new(Bytes::from(body))))
    });
    let server = server.await.unwrap();
    let get = async |length: usize| {
        let client = Client::from_conf(builder(server.url()).build());
        let request = client.get_item().table_name("t");
        let request = request.key("a", AttributeValue::Null(true)).customize();
        let request = request.mutate_request(move |request| {
            request.headers_mut().insert("x-length", length.to_string());
        });
        request.send().await.map(drop).map_err(Error::from)
    };
    get(4 << 20).await.unwrap();
    let error = get((4 << 20) + 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidResponse);
    let report = error.report();
    assert!(report.contains("length limit exceeded"), "{report}");
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("expired")))
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_loaded_are_reported_as_such() {
    let config = builder("http://127.0.0.1:1");
    let error = get(config.credentials_provider(NoCredentials)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Credentials, "{}", error.report());
    let report = error.report();
    assert!(
        report.contains("set AWS_ACCESS_KEY_ID") && report.contains("expired"),
        "{report}"
    );
}

#[test]
fn missing_or_invalid_region_is_an_error() {
    let error = |region: Option<&str>| {
        let region = region.map(str::to_owned);
        let settings = Settings {
            region,
            ..settings()
        };
        config(settings).unwrap_err().to_string()
    };
    let missing = error(None);
    assert!(missing.contains("set AWS_REGION"), "{missing}");
    for wrong in ["eu west 1", "Ireland!", ""] {
        let message = error(Some(wrong));
        assert!(message.contains("is not an AWS region"), "{message}");
    }
}
