//! Hostile input in large quantities, sent to the binary through the Runtime API. Every response is
//! declared in the contract and below 500, and repeats input only as inert text. The next request
//! succeeds, nothing panics, and memory stays bounded. (Other tests assert the exact responses.)

use super::{contract, logs};
use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_emulator::{Environment, Event, FunctionConfig, InvocationOutcome, Server, dynamodb};
use movies::domain::{Title, Year};
use naughty_strings::BLNS;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use testkit::{
    RequestBuilder, Response, assert_contract,
    sample::{path_of, rush, rush_item},
};

/// Maximum memory of the process. The function has 256 MB.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
const SEED: &[u8; 32] = b"the same input in every run, ok?";

/// Maximum time for a response. A debug build on a busy machine is slow, and these tests do not
/// measure time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A function with a table of two movies.
struct Function {
    environment: Environment,
    _table: Server,
    /// The response to a valid request.
    valid: Response,
    /// Number of hostile requests after which a valid one is sent.
    check_interval: usize,
    checks: usize,
    sent: usize,
}

impl Function {
    async fn start() -> Self {
        let mut second = rush_item();
        second["title"] = json!({ "S": "Rushed" });
        let table = Server::http(dynamodb::stub(vec![rush_item(), second]))
            .await
            .unwrap();
        let launch = FunctionConfig::new(env!("CARGO_BIN_EXE_movies"))
            .variable("AWS_ENDPOINT_URL", table.url())
            .variable("TABLE_NAME", "movies");
        let mut environment = Environment::start(launch.never_frozen()).await.unwrap();
        let valid = invoke(
            &mut environment,
            RequestBuilder::new("GET", "/movies/2013/Rush").event(),
            0,
        )
        .await;
        assert_eq!(
            (valid.status, &valid.json()["title"]),
            (200, &json!("Rush"))
        );
        Self {
            environment,
            _table: table,
            valid,
            check_interval: 1,
            checks: 1,
            sent: 0,
        }
    }

    /// Starts a function for many requests, with a valid request after every twenty.
    async fn start_with_few_checks() -> Self {
        Self {
            check_interval: 20,
            ..Self::start().await
        }
    }

    async fn send(&mut self, request: &RequestBuilder) -> Response {
        self.deliver(request.event()).await
    }

    /// Sends an event and, at the interval, a valid request.
    async fn deliver(&mut self, event: Value) -> Response {
        self.sent += 1;
        let response = invoke(&mut self.environment, event.clone(), self.sent).await;
        if self.sent.is_multiple_of(self.check_interval) {
            self.checks += 1;
            let next = invoke(
                &mut self.environment,
                RequestBuilder::new("GET", "/movies/2013/Rush").event(),
                0,
            )
            .await;
            assert_eq!(
                (next.status, &next.text),
                (self.valid.status, &self.valid.text),
                "after {}",
                cut(&event.to_string())
            );
        }
        response
    }

    /// Checks the log and the memory, and returns the number of hostile requests.
    async fn end(self) -> usize {
        let memory = self.environment.function().max_resident_bytes().unwrap();
        assert!(memory <= MEMORY_BYTES, "{memory} bytes");
        let lines = self.environment.shutdown().await.unwrap().lines;
        let served = lines
            .iter()
            .map(|line| logs::fields(&line.text))
            .filter(|line| line["message"] == "request")
            .count();
        // An event that is not a request logs a warning as well.
        let warnings = lines
            .iter()
            .filter(|line| line.text.contains("the event is not a request"))
            .count();
        assert_eq!(
            served,
            self.sent + self.checks,
            "every request has a line in the access log"
        );
        assert_eq!(lines.len(), served + warnings, "{lines:#?}");
        println!(
            "{} hostile requests, at most {} MiB",
            self.sent,
            memory >> 20
        );
        self.sent
    }
}

async fn invoke(environment: &mut Environment, mut event: Value, number: usize) -> Response {
    let id = format!("request-{number}");
    if let Some(given) = event
        .pointer_mut("/requestContext/requestId")
        .filter(|given| **given == "request-1")
    {
        *given = json!(id);
    }
    let text = event.to_string();
    let invocation = environment
        .invoke(Event::new(text.clone()).time_limit(TIMEOUT))
        .await
        .unwrap();
    let InvocationOutcome::Response(response) = invocation.outcome else {
        panic!("{:?} to {}", invocation.outcome, cut(&text))
    };
    let seen = Response::from_proxy(&serde_json::from_slice(&response).unwrap());
    let part = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    assert!(seen.status < 500, "{seen:?} to {}", cut(&text));
    let given = event
        .pointer("/requestContext/requestId")
        .and_then(Value::as_str);
    if seen.header("x-request-id") == Some(&*invocation.id) {
        // An event that is not a request has no operation, and an invalid id is not used.
        let (method, path) = if seen.status == 400 {
            Default::default()
        } else {
            (part("httpMethod"), part("path"))
        };
        assert_contract(contract(), &method, &path, None, &seen);
    } else {
        assert_eq!(seen.header("x-request-id"), given, "{}", cut(&text));
        assert_contract(contract(), &part("httpMethod"), &part("path"), None, &seen);
    }
    assert_harmless(&seen);
    seen
}

/// Asserts that the response is inert text for browsers, terminals and proxies.
#[track_caller]
fn assert_harmless(response: &Response) {
    // Headers that no operation declares. `Allow` belongs to 405.
    const GENERAL: [&str; 5] = [
        "allow",
        "cache-control",
        "content-type",
        "www-authenticate",
        "x-content-type-options",
    ];
    let declared = contract().response_headers();
    for (name, value) in response.headers.as_object().unwrap() {
        let value = value.as_str().unwrap();
        let path = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%/?&=".contains(&byte))
        };
        let good = match name.as_str() {
            "location" => path(value),
            "link" => value
                .strip_prefix('<')
                .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
                .is_some_and(path),
            name => {
                (GENERAL.contains(&name) || declared.contains(name))
                    && value
                        .bytes()
                        .all(|byte| matches!(byte, b' '..=b'~') && !b"<>".contains(&byte))
            }
        };
        assert!(good, "{name}: {value:?}");
    }
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    if response.status >= 400 {
        assert!(
            response
                .text
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && !b"<>&".contains(&byte)),
            "{response:?}"
        );
    }
}

fn cut(text: &str) -> String {
    text.chars().take(2_000).collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Returns a request with a path that is not encoded.
fn raw(method: &str, path: impl Into<String>) -> RequestBuilder {
    RequestBuilder::new(method, "").path(path)
}

fn query(pairs: &[(&str, &str)]) -> RequestBuilder {
    pairs.iter().fold(
        RequestBuilder::new("GET", "/movies"),
        |request, (name, value)| request.parameter(name, value),
    )
}

fn of(method: &str, title: &str) -> RequestBuilder {
    RequestBuilder::new(method, "/movies")
        .parameter("year", "2013")
        .parameter("title", title)
}

/// A part of a request that a caller controls: its name, and the request with a text in this part.
type Position = (String, Box<dyn Fn(&str) -> RequestBuilder>);

fn positions() -> Vec<Position> {
    fn at(name: impl Into<String>, request: impl Fn(&str) -> RequestBuilder + 'static) -> Position {
        (name.into(), Box::new(request))
    }
    let mut positions = vec![
        // aws_lambda_events reads an empty method as GET. The gateway sends none.
        at("method", |text| {
            raw(if text.is_empty() { "-" } else { text }, "/movies")
        }),
        at("path", |text| raw("GET", text)),
        at("path below the root", |text| raw("GET", format!("/{text}"))),
        at("year", |text| raw("GET", format!("/movies/{text}/Rush"))),
        at("year, encoded", |text| {
            raw("GET", format!("/movies/{}/Rush", encoded(text)))
        }),
        at("title", |text| raw("GET", format!("/movies/2013/{text}"))),
        at("title, encoded", |text| raw("GET", path_of(2013, text))),
        at("title, encoded twice", |text| {
            raw("GET", path_of(2013, &encoded(text)))
        }),
        at("title of PUT", |text| {
            raw("PUT", path_of(2013, text)).json(&json!({}))
        }),
        at("title of PATCH", |text| {
            raw("PATCH", path_of(2013, text)).json(&json!({ "info": {} }))
        }),
        at("title of DELETE", |text| raw("DELETE", path_of(2013, text))),
        at("title of PUT, query form", |text| {
            of("PUT", text).json(&json!({}))
        }),
        at("title of PATCH, query form", |text| {
            of("PATCH", text).json(&json!({ "info": {} }))
        }),
        at("title of DELETE, query form", |text| of("DELETE", text)),
        at("parameter year", |text| query(&[("year", text)])),
        at("parameter title", |text| {
            query(&[("year", "2013"), ("title", text)])
        }),
        at("parameter title_prefix", |text| {
            query(&[("year", "2013"), ("title_prefix", text)])
        }),
        at("parameter sort", |text| {
            query(&[("year", "2013"), ("sort", text)])
        }),
        at("parameter limit", |text| query(&[("limit", text)])),
        at("parameter cursor", |text| {
            query(&[("year", "2013"), ("cursor", text)])
        }),
        at("name of a parameter", |text| query(&[(text, "1")])),
        at("name of a header", |text| {
            RequestBuilder::new("GET", "/movies/2013/Rush").header(text, "1")
        }),
        at("body", |text| {
            RequestBuilder::new("POST", "/movies").body("application/json", text)
        }),
        at("patch", |text| {
            RequestBuilder::new("PATCH", "/movies/2013/Rush")
                .body("application/merge-patch+json", text)
        }),
        at("member", |text| {
            RequestBuilder::new("POST", "/movies").json(&json!({ text: 1 }))
        }),
        at("member of info", |text| {
            RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { text: 1 } }))
        }),
        at("year in the body", |text| {
            RequestBuilder::new("POST", "/movies").json(&json!({ "year": text, "title": "Rush" }))
        }),
        at("year in the body, not encoded", |text| {
            RequestBuilder::new("POST", "/movies").body(
                "application/json",
                &format!(r#"{{"year":{text},"title":"Rush"}}"#),
            )
        }),
        at("title in the body", |text| {
            RequestBuilder::new("POST", "/movies").json(&json!({ "year": 2013, "title": text }))
        }),
        at("title in the body, not encoded", |text| {
            RequestBuilder::new("POST", "/movies").body(
                "application/json",
                &format!(r#"{{"year":2013,"title":"{text}"}}"#),
            )
        }),
    ];
    for name in [
        "If-None-Match",
        "Cache-Control",
        "Origin",
        "Authorization",
        "Cookie",
        "Host",
        "X-Forwarded-For",
        "X-HTTP-Method-Override",
        "Accept",
        "X-Request-Id",
    ] {
        positions.push(at(format!("{name} of a read"), move |text| {
            RequestBuilder::new("GET", "/movies/2013/Rush").header(name, text)
        }));
    }
    for name in ["If-Match", "If-None-Match"] {
        positions.push(at(format!("{name} of a patch"), move |text| {
            RequestBuilder::new("PATCH", "/movies/2013/Rush")
                .json(&json!({}))
                .header(name, text)
        }));
        positions.push(at(format!("{name} of a delete"), move |text| {
            RequestBuilder::new("DELETE", "/movies/2013/Rush").header(name, text)
        }));
        positions.push(at(format!("{name} of a list"), move |text| {
            RequestBuilder::new("GET", "/movies").header(name, text)
        }));
    }
    for name in [
        "If-Match",
        "If-None-Match",
        "Content-Encoding",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let put = || RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({}));
        positions.push(at(format!("{name} of a write"), move |text| {
            put().header(name, text)
        }));
    }
    positions.push(at("Content-Type", |text| {
        RequestBuilder::new("PUT", "/movies/2013/Rush").body(text, "{}")
    }));
    for (name, schema) in contract().properties(contract().schema("Info")) {
        let is_list = schema["type"] == "array";
        positions.push(at(format!("info.{name}"), move |text| {
            let value = if is_list { json!([text]) } else { json!(text) };
            let body = json!({ "info": { name.clone(): value } });
            RequestBuilder::new("PUT", "/movies/2013/Rush").json(&body)
        }));
    }
    positions
}

/// `make hostile` combines all strings with all positions. `make test` sends a tenth of this, which
/// includes every string and every position.
#[tokio::test]
async fn every_naughty_string_in_every_position_gets_a_declared_response() {
    let all = std::env::var_os("HOSTILE").is_some();
    let mut function = Function::start_with_few_checks().await;
    for (number, (name, request)) in positions().into_iter().enumerate() {
        for text in BLNS
            .iter()
            .skip(if all { 0 } else { number % 10 })
            .step_by(if all { 1 } else { 10 })
        {
            let response = function.send(&request(text)).await;
            if name == "title, encoded" {
                // No such movie, or rejected as a title. Without a title the path is no route.
                let is_not_found = text.is_empty() || text.parse::<Title>().is_ok();
                assert_eq!(
                    response.status,
                    if is_not_found { 404 } else { 400 },
                    "{text:?}"
                );
            }
        }
    }
    assert!(function.end().await >= if all { 20_000 } else { 2_000 });
}

/// Generates values from a fixed seed.
struct Generator(TestRunner);

impl Generator {
    fn new() -> Self {
        Self(TestRunner::new_with_rng(
            Config::default(),
            TestRng::from_seed(RngAlgorithm::ChaCha, SEED),
        ))
    }

    fn one<S: Strategy>(&mut self, of: &S) -> S::Value {
        of.new_tree(&mut self.0).unwrap().current()
    }
}

/// Returns the names of the members of a movie and of its fields.
fn members() -> Vec<String> {
    let schemas = ["Movie", "Info"].map(|name| contract().schema(name));
    schemas
        .iter()
        .flat_map(|schema| contract().properties(schema).into_keys())
        .collect()
}

/// Returns every path of the contract.
fn paths() -> Vec<String> {
    let paths = contract().document["paths"].as_object().unwrap().keys();
    paths.map(|template| contract().path(template)).collect()
}

/// Returns the names of the contract's parameters in `query` or `header`.
fn parameter_names(place: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    for (method, template) in contract().operations() {
        let parameters = contract().parameters(&method, &template, place);
        names.extend(
            parameters
                .iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
    }
    names.into_iter().collect()
}

/// Generates JSON that is similar to a movie, or arbitrary.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (1880u16..2110).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(rush()["info"].clone()),
    ];
    let name = prop_oneof![
        8 => prop::sample::select(members()),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect())
        ]
    })
}

fn request() -> impl Strategy<Value = RequestBuilder> {
    let method = prop::sample::select(vec![
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
    ]);
    let path = prop_oneof![
        prop::sample::select(paths()),
        "/movies/(18|19|20|21)[0-9]{2}/([a-z]|%[0-9a-fA-F]{2}|[ -~é😀]){0,12}",
        (prop::sample::select(paths()), "[ -~]{0,20}").prop_map(|(path, rest)| path + &rest),
        any::<String>(),
    ];
    let name = prop::sample::select(parameter_names("query"));
    let value = prop_oneof![
        Just("2013".to_owned()),
        "-?[0-9]{1,4}",
        "-?title",
        any::<String>()
    ];
    let name = prop_oneof![6 => name, 1 => any::<String>()];
    let parameters = prop_oneof![2 => Just(Vec::new()), 1 => vec((name, value), 0..5)];
    let mut names = parameter_names("header");
    names.extend(["Content-Encoding", "content-type", "Origin"].map(String::from));
    let name = prop::sample::select(names);
    let value = prop_oneof![
        Just("*".to_owned()),
        "(W/)?\"[0-9a-f]{0,32}\"(, ?\"x\"){0,2}",
        "no-cache",
        "[ -~]{0,40}",
        any::<String>()
    ];
    let headers = vec((name, value), 0..3);
    let body = prop_oneof![
        Just(None),
        document().prop_map(|body| Some(body.to_string())),
        any::<String>().prop_map(Some)
    ];
    (method, path, parameters, headers, body).prop_map(|(method, path, query, headers, body)| {
        let request = query
            .iter()
            .fold(raw(method, path), |request, (name, value)| {
                request.parameter(name, value)
            });
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        match body {
            Some(text) => request.body("application/json", &text),
            None => request,
        }
    })
}

#[tokio::test]
async fn random_requests_get_a_declared_response() {
    let (mut function, mut generator) = (Function::start_with_few_checks().await, Generator::new());
    let request = request();
    for number in 0..3_000 {
        let mut event = generator.one(&request).event();
        if number % 10 == 0 {
            event["isBase64Encoded"] = json!(true);
            let bytes = generator.one(&vec(any::<u8>(), 0..60));
            event["body"] = if number % 20 == 0 {
                json!(STANDARD.encode(bytes))
            } else {
                generator.one(&document())
            };
        }
        function.deliver(event).await;
    }
    function.end().await;
}

/// Sends every byte as an escape, invalid UTF-8 sequences, and invalid escapes. The expected title
/// is that of another UTF-8 decoder.
#[tokio::test]
async fn every_percent_escape_is_decoded_once_or_400() {
    let mut function = Function::start_with_few_checks().await;
    let mut parts: Vec<String> = (0..=255u8)
        .flat_map(|byte| {
            [
                format!("%{byte:02X}"),
                format!("a%{byte:02x}b"),
                format!("%25{byte:02x}"),
            ]
        })
        .collect();
    for lead in [
        0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5,
        0xf8, 0xfe, 0xff,
    ] {
        for next in [0x00, 0x2f, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0] {
            parts.push(format!("%{lead:02x}%{next:02x}"));
            parts.push(format!("%{lead:02x}%{next:02x}%80"));
            parts.push(format!("%{lead:02x}%{next:02x}%80%80"));
        }
    }
    for part in [
        "%",
        "%%",
        "%2",
        "%zz",
        "%u0041",
        "%+1",
        "%-1",
        "% 1",
        "%é",
        "%٣٣",
        "+",
        "%2e%2e%2f",
        "%2E%2E/%2e",
        "..;/",
        "%252e",
        "%c0%af",
        "%E2%80%AE",
        "a?b",
        "a#b",
    ] {
        parts.push(part.to_owned());
    }
    for part in &parts {
        let is_escape = |rest: &str| {
            let digits = rest.as_bytes().iter().take(2);
            digits.filter(|digit| digit.is_ascii_hexdigit()).count() == 2
        };
        let escapes = part.split('%').skip(1).all(is_escape);
        let title = percent_decode_str(part)
            .decode_utf8()
            .ok()
            .filter(|_| escapes)
            .and_then(|title| title.parse::<Title>().ok());
        let response = function
            .send(&raw("PUT", format!("/movies/2013/{part}")).json(&json!({})))
            .await;
        match title {
            Some(title) => assert_eq!(
                (response.status / 100, response.json()["title"].as_str()),
                (2, Some(title.as_str())),
                "{part}"
            ),
            None => assert_eq!(
                response.assert_problem(400, "invalid_request"),
                ["title"],
                "{part}"
            ),
        }
        let response = function
            .send(&raw("GET", format!("/movies/{part}/Rush")))
            .await;
        assert_eq!(response.status, 400, "{part}");
    }
    function.end().await;
}

#[tokio::test]
async fn numbers_of_every_size_keep_their_value_or_are_400() {
    let (mut function, mut generator) = (Function::start_with_few_checks().await, Generator::new());
    let number = "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,12})?";
    let mut numbers: Vec<String> = (0..150).map(|_| generator.one(&number)).collect();
    for bits in [7, 8, 15, 16, 31, 32, 52, 53, 63, 64, 127, 128] {
        let power = if bits == 128 {
            "340282366920938463463374607431768211456".to_owned()
        } else {
            (1u128 << bits).to_string()
        };
        numbers.extend([
            format!("-{power}"),
            power.clone(),
            format!("{power}.0"),
            format!("{power}e0"),
        ]);
    }
    let digits = "1".repeat(10_000);
    let zeros = format!("2013.{}", "0".repeat(10_000));
    for text in [
        "1e400",
        "-1e400",
        "1e-400",
        "1e2147483648",
        "1e-9223372036854775809",
        "0e99999999999999999999",
        "-0",
        "2.013e3",
        "2001.0",
        "20130e-1",
        "٢٠١٣",
        "２０１３",
        "0x7dd",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e",
        ".5",
        "5.",
        "+1",
        "00",
        "01",
        &digits,
        &zeros,
    ] {
        numbers.push(text.to_owned());
    }
    let is_number = |schema: &Value| {
        ["integer", "number"]
            .iter()
            .any(|kind| schema["type"] == *kind)
    };
    let fields = contract().properties(contract().schema("Info")).into_iter();
    let number_fields: Vec<String> = fields
        .filter(|(_, schema)| is_number(schema))
        .map(|(name, _)| name)
        .collect();
    assert!(!number_fields.is_empty());
    for number in &numbers {
        for request in [
            raw("GET", format!("/movies/{number}/Rush")),
            query(&[("year", number)]),
        ] {
            let response = function.send(&request).await;
            assert_eq!(
                response.status == 400,
                number.parse::<Year>().is_err(),
                "{number}: {response:?}"
            );
        }
        function.send(&query(&[("limit", number)])).await;
        function
            .send(&RequestBuilder::new("POST", "/movies").body(
                "application/json",
                &format!(r#"{{"year":{number},"title":"a"}}"#),
            ))
            .await;
        for field in &number_fields {
            let body = format!(r#"{{"info":{{"{field}":{number}}}}}"#);
            let response = function
                .send(
                    &RequestBuilder::new("PUT", "/movies/2013/Rush")
                        .body("application/json", &body),
                )
                .await;
            if response.status < 400 {
                let (sent, returned): (f64, f64) = (
                    number.parse().unwrap(),
                    response.json()["info"][field].as_f64().unwrap(),
                );
                assert!(
                    (sent - returned).abs() <= sent.abs() * f64::EPSILON,
                    "{field}: {number} became {returned}"
                );
            } else {
                response.assert_problem(400, "invalid_request");
            }
        }
    }
    function.end().await;
}

/// Sends the longest and deepest bodies that fit into an event of 6 MB, which is Lambda's maximum.
#[tokio::test]
async fn oversized_and_nested_input_is_rejected_in_64_mib() {
    let mut function = Function::start().await;
    const MOST: usize = 6 * 1024 * 1024 - 2_048;
    let movie = |info: String| format!(r#"{{"year":2013,"title":"a","info":{info}}}"#);
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let bodies = [
        "[".repeat(60_000),
        "[".repeat(MOST),
        deep(10_000),
        deep(100_000),
        movie(deep(10_000)),
        movie("[".repeat(60_000)),
        movie(format!(
            "{{\"plot\":{}1{}}}",
            "[".repeat(30_000),
            "]".repeat(30_000)
        )),
        format!(
            "{{{}\"year\":2013}}",
            (0..5_000)
                .map(|n| format!("\"k{n}\":1,"))
                .collect::<String>()
        ),
        format!("{{{}\"year\":2013}}", "\"year\":2013,".repeat(5_000)),
        format!(
            "{{{}\"year\":2013}}",
            (0..400_000)
                .map(|n| format!("\"k{n}\":1,"))
                .collect::<String>()
        ),
        movie(format!("{{\"plot\":\"{}\"}}", "\\ud800".repeat(10_000))),
        movie(format!("{{\"plot\":\"{}\"}}", "\\u0041".repeat(10_000))),
        movie(format!("{{\"actors\":[{}\"\"]}}", "\"\",".repeat(15_000))),
        "\"".repeat(MOST / 2),
        "\u{feff}{}".to_owned(),
        "\0".repeat(60_000),
    ];
    for text in &bodies {
        let response = function
            .send(&RequestBuilder::new("POST", "/movies").body("application/json", text))
            .await;
        assert!(
            matches!(response.status, 400 | 413),
            "{}: {response:?}",
            cut(text)
        );
        assert!(
            response.text.len() < 64 * 1024,
            "{} bytes to {}",
            response.text.len(),
            cut(text)
        );
    }
    let encoded = [
        STANDARD.encode(vec![b'['; 3 * MOST / 4]),
        "A".repeat(MOST),
        "=".repeat(MOST),
        STANDARD.encode([0xff; 60_000]),
        STANDARD.encode([0x1f, 0x8b, 8, 0]),
    ];
    for body in encoded {
        let mut event = RequestBuilder::new("POST", "/movies")
            .body("application/json", &body)
            .event();
        event["isBase64Encoded"] = json!(true);
        let response = function.deliver(event).await;
        assert!(matches!(response.status, 400 | 413), "{response:?}");
    }
    for encoding in [
        "gzip",
        "br",
        "deflate",
        "zstd",
        "gzip, gzip",
        "identity, gzip",
    ] {
        let packed = RequestBuilder::new("PUT", "/movies/2013/Rush")
            .body("application/json", "\u{1f}")
            .header("Content-Encoding", encoding);
        function
            .send(&packed)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    let get = || RequestBuilder::new("GET", "/movies/2013/Rush");
    let headers = |count, value: &str| {
        (0..count).fold(get(), |request, n| request.header(&format!("X-{n}"), value))
    };
    assert_eq!(
        function
            .send(&headers(100, &"x".repeat(8 * 1024)))
            .await
            .status,
        200
    );
    function.send(&headers(40_000, "x")).await;
    let tags = get().header("If-None-Match", &"\"a\",".repeat(500_000));
    assert_eq!(function.send(&tags).await.status, 200);
    let long = "x".repeat(MOST / 4);
    function
        .send(&query(&[("year", "2013"), ("cursor", &long)]))
        .await
        .assert_problem(400, "invalid_request");
    function
        .send(&query(&[(&long, &long)]))
        .await
        .assert_problem(400, "invalid_request");
    let parameters = (0..50_000).fold(query(&[]), |request, n| {
        request.parameter(&format!("p{n}"), "")
    });
    function
        .send(&parameters)
        .await
        .assert_problem(400, "invalid_request");
    function
        .send(&raw(
            "GET",
            format!("/movies/2013/{}", "%41".repeat(500_000)),
        ))
        .await
        .assert_problem(400, "invalid_request");
    function
        .send(&raw("GET", "/".repeat(MOST / 2)))
        .await
        .assert_problem(404, "route_not_found");
    function.send(&raw(&"X".repeat(MOST / 2), "/movies")).await;
    function.end().await;
}

/// Clients that can invoke the function directly can send any event.
#[tokio::test]
async fn malformed_events_get_a_declared_response() {
    let (mut function, mut generator) = (Function::start().await, Generator::new());
    let (document, text) = (document(), any::<String>());
    let valid = RequestBuilder::new("PUT", "/movies/2013/Rush")
        .json(&json!({}))
        .event();
    let members: Vec<_> = valid.as_object().unwrap().keys().cloned().collect();
    let deep =
        serde_json::from_str::<Value>(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap();
    for _ in 0..60 {
        function.deliver(generator.one(&document)).await;
        for member in &members {
            let mut event = valid.clone();
            event[member] = generator.one(&document);
            function.deliver(event.clone()).await;
            event[member] = deep.clone();
            function.deliver(event).await;
        }
        for member in ["requestId", "authorizer"] {
            let mut event = valid.clone();
            event["requestContext"][member] = generator.one(&document);
            function.deliver(event).await;
        }
        for id in [
            generator.one(&text),
            String::new(),
            "a\r\nSet-Cookie: b=c".to_owned(),
            "x".repeat(9_000),
        ] {
            let mut event = valid.clone();
            event["requestContext"]["requestId"] = json!(id);
            function.deliver(event).await;
        }
    }
    function.end().await;
}

#[tokio::test]
async fn changed_cursor_is_400() {
    let mut function = Function::start().await;
    let of = |cursor: &str| query(&[("year", "2013"), ("limit", "1"), ("cursor", cursor)]);
    let first = function
        .send(&query(&[("year", "2013"), ("limit", "1")]))
        .await;
    let cursor = first.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(function.send(&of(&cursor)).await.status, 200);
    let mut changed_cursors: Vec<String> = (0..cursor.len())
        .map(|length| cursor[..length].to_owned())
        .collect();
    for place in 0..cursor.len() {
        for other in ["A", "B", "_", "-", "=", "+", "/", " ", "%", "é", "\0"] {
            let changed = format!("{}{other}{}", &cursor[..place], &cursor[place + 1..]);
            changed_cursors.extend([
                changed,
                format!("{}{other}{}", &cursor[..place], &cursor[place..]),
            ]);
        }
    }
    changed_cursors.extend([
        format!("{cursor}="),
        format!("{cursor}{cursor}"),
        encoded(&format!("{cursor}/")),
        cursor.to_lowercase(),
        cursor.repeat(1_000),
    ]);
    for cursor in changed_cursors.iter().filter(|text| **text != cursor) {
        assert_eq!(
            function
                .send(&of(cursor))
                .await
                .assert_problem(400, "invalid_request"),
            ["cursor"],
            "{cursor}"
        );
    }
    for query in [
        query(&[("year", "2014"), ("cursor", &cursor)]),
        query(&[("year", "2013"), ("sort", "-title"), ("cursor", &cursor)]),
        query(&[("year", "2013"), ("title_prefix", "R"), ("cursor", &cursor)]),
        query(&[("cursor", &cursor)]),
    ] {
        assert_eq!(
            function
                .send(&query)
                .await
                .assert_problem(400, "invalid_request"),
            ["cursor"]
        );
    }
    function.end().await;
}
