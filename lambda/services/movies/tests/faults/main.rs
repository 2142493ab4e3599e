//! Tests of the faults in `lambda/RELIABILITY.md`. They start the compiled binary on an emulated
//! Runtime API, with a table behind a proxy that injects faults. The doc comment of a test names
//! its fault.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot continue has failed"
)]

mod answers;
mod connections;
mod emulator;
mod input;
mod load;
mod reliability;
mod rows;
mod runtime;
mod writes;

use lambda_emulator::{
    Environment, Event, FunctionConfig, InvocationOutcome, Proxy, dynamodb,
    proxy::{Fault, ReceivedRequest},
};
use serde_json::{Value, json};
use std::{
    ops::Deref,
    time::{Duration, Instant},
};
use testkit::{Contract, RequestBuilder, Response, sample::rush_item};

const TABLES: &str = include_str!("../../tables.json");

fn contract() -> &'static Contract {
    &testkit::service!().contract
}

/// Returns the binary of the variable `BOOTSTRAP`, such as that of a package, or the one that Cargo
/// built for the tests.
fn binary() -> String {
    std::env::var("BOOTSTRAP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_movies").to_owned())
}

/// A function in its environment, and the proxy in front of its table.
struct Function {
    environment: Environment,
    proxy: Proxy,
    requests: usize,
    /// Number of log lines that were already read.
    lines: usize,
}

impl Function {
    /// Starts a function whose table has one movie.
    async fn start() -> Self {
        Self::on(
            Proxy::start(dynamodb::stub(vec![rush_item()]))
                .await
                .unwrap(),
        )
        .await
    }

    async fn on(proxy: Proxy) -> Self {
        let launch = launch().variable("AWS_ENDPOINT_URL", proxy.url());
        Self::launched(launch, proxy).await
    }

    async fn launched(launch: FunctionConfig, proxy: Proxy) -> Self {
        let environment = Environment::start(launch).await.unwrap();
        let _ = proxy.take_requests(); // the start's own
        Self {
            environment,
            proxy,
            requests: 0,
            lines: 0,
        }
    }

    async fn get(&mut self) -> Exchange {
        self.ask("GET", "/movies/2013/Rush").await
    }

    async fn ask(&mut self, method: &str, target: &str) -> Exchange {
        self.send(RequestBuilder::new(method, target)).await
    }

    async fn send(&mut self, request: RequestBuilder) -> Exchange {
        let seen = self.deliver(request.event(), request.limit()).await;
        request.assert_contract(contract(), &seen);
        seen
    }

    /// Invokes the function with an event. Only the request id is replaced.
    async fn deliver(&mut self, mut event: Value, time_limit: Duration) -> Exchange {
        self.requests += 1;
        let id = format!("request-{}", self.requests);
        event["requestContext"]["requestId"] = json!(id);
        let _ = self.proxy.take_requests();
        let invocation = self
            .environment
            .invoke(Event::new(event.to_string()).time_limit(time_limit))
            .await
            .unwrap();
        let InvocationOutcome::Response(response) = &invocation.outcome else {
            panic!("{invocation:?}: {:#?}", self.environment.lines())
        };
        let response = Response::from_proxy(&serde_json::from_slice(response).unwrap());
        let lines = self.lines_of(&id).await;
        Exchange {
            id,
            response,
            took: invocation.latency,
            table_requests: self.proxy.take_requests(),
            lines,
        }
    }

    /// Returns the log lines of a request. The last one is its line of the access log.
    async fn lines_of(&mut self, id: &str) -> Vec<Value> {
        let begin = Instant::now();
        loop {
            let new = self.environment.lines_after(self.lines);
            let lines = new
                .iter()
                .filter(|line| line.text.contains(&format!("\"{id}\"")));
            let lines: Vec<Value> = lines
                .map(|line| serde_json::from_str(&line.text).unwrap())
                .collect();
            if lines.iter().any(|line| line["message"] == "request") {
                self.lines += new.len();
                return lines;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(2),
                "no line of {id} in the access log: {:#?}",
                self.environment.lines()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asserts that the next request succeeds at the first attempt.
    async fn assert_recovered(&mut self) {
        self.proxy.script([]);
        self.proxy.set_default_fault(Fault::None);
        self.get().await.served().table_requests(1);
    }
}

/// Returns a function with its variables, except the endpoint of its table.
fn launch() -> FunctionConfig {
    FunctionConfig::new(binary())
        .variable("TABLE_NAME", "movies")
        .variable("AWS_SESSION_TOKEN", SESSION_TOKEN)
}

const SESSION_TOKEN: &str = "a-session-token-that-no-log-may-hold";

fn error(status: u16, code: &str) -> Fault {
    Fault::Error {
        status,
        code: code.into(),
    }
}

/// Returns DynamoDB's response for a cancelled transaction, with one reason for each write.
fn cancelled(reasons: &[&str]) -> Fault {
    let reasons: Vec<_> = reasons
        .iter()
        .map(|code| json!({ "Code": code, "Message": "as scripted" }))
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "as scripted",
        "CancellationReasons": reasons,
    });
    Fault::Response {
        status: 400,
        content_type: "application/x-amz-json-1.0".into(),
        body: body.to_string(),
    }
}

/// A response with the requests to the table and the log lines that it caused.
#[derive(Debug)]
struct Exchange {
    id: String,
    response: Response,
    took: Duration,
    table_requests: Vec<ReceivedRequest>,
    lines: Vec<Value>,
}

impl Deref for Exchange {
    type Target = Response;

    fn deref(&self) -> &Response {
        &self.response
    }
}

impl Exchange {
    fn line(&self) -> &Value {
        self.lines
            .iter()
            .find(|line| line["message"] == "request")
            .unwrap()
    }

    fn errors(&self) -> Vec<&Value> {
        self.lines
            .iter()
            .filter(|line| line["level"] == "ERROR")
            .collect()
    }

    /// Prints the measurement for `lambda/RELIABILITY.md`; visible with `--nocapture`.
    fn print(&self) -> &Self {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let cause = self.line()["cause"].as_str().unwrap_or("no fault");
        println!(
            "{test}: {} after {:.0} ms, {} table requests, {cause}",
            self.status,
            self.took.as_secs_f64() * 1e3,
            self.table_requests.len()
        );
        self
    }

    /// Asserts a 200 with the movie, without an error in the log.
    #[track_caller]
    fn served(&self) -> &Self {
        assert_eq!(
            (self.status, self.json()["title"].as_str()),
            (200, Some("Rush")),
            "{self:#?}"
        );
        self.no_fault()
    }

    #[track_caller]
    fn no_fault(&self) -> &Self {
        assert!(
            self.errors().is_empty()
                && self.line()["faults"] == 0
                && self.line().get("cause").is_none(),
            "{self:#?}"
        );
        self
    }

    /// Asserts a 4xx problem document, without an error in the log.
    #[track_caller]
    fn rejected(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, self.json()["code"].as_str()),
            (status, Some(code)),
            "{self:#?}"
        );
        self.problem().no_fault()
    }

    /// Asserts a 5xx problem document within the time limit, one ERROR line, and a metric with
    /// `cause`.
    #[track_caller]
    fn failed(&self, status: u16, cause: &str) -> &Self {
        let code = if status == 503 {
            "unavailable"
        } else {
            "internal_error"
        };
        assert_eq!(
            (self.status, self.json()["code"].as_str()),
            (status, Some(code)),
            "{self:#?}"
        );
        assert_eq!(
            self.headers["retry-after"].as_str(),
            (status == 503).then_some("1"),
            "{self:#?}"
        );
        let errors = self.errors();
        assert!(
            errors.len() == 1 && errors[0]["cause"] == cause,
            "{self:#?}"
        );
        assert!(
            errors[0]["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{self:#?}"
        );
        let line = self.line();
        assert_eq!(
            (&line["faults"], &line["cause"]),
            (&json!(1), &json!(cause)),
            "{self:#?}"
        );
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert!(
            directives
                .iter()
                .any(|directive| directive["Dimensions"] == json!([["function", "cause"]])),
            "{line:#}"
        );
        assert!(
            !format!("{:?}", self.lines).contains(SESSION_TOKEN),
            "{self:#?}"
        );
        self.print().problem().within(3000)
    }

    /// Asserts a problem document without internal details.
    #[track_caller]
    fn problem(&self) -> &Self {
        let body = self.json();
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:#?}"
        );
        assert_eq!(
            (&body["request_id"], &self.headers["x-request-id"]),
            (&json!(self.id), &json!(self.id)),
            "{self:#?}"
        );
        for detail in [
            "amazon",
            "dynamodb",
            "127.0.0.1",
            "arn:",
            "Exception",
            SESSION_TOKEN,
        ] {
            assert!(
                !self.text.to_lowercase().contains(detail),
                "{detail}: {}",
                self.text
            );
        }
        self
    }

    #[track_caller]
    fn within(&self, milliseconds: u64) -> &Self {
        assert!(
            self.took < Duration::from_millis(milliseconds),
            "{:?}: {self:#?}",
            self.took
        );
        self
    }

    #[track_caller]
    fn table_requests(&self, count: usize) -> &Self {
        assert_eq!(self.table_requests.len(), count, "{self:#?}");
        self
    }
}
