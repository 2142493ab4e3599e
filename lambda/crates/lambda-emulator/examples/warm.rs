//! Measures the cost of tracing for a warm request:
//! `cargo run --release -p lambda-emulator --example warm -- BOOTSTRAP EXTENSION [REQUESTS]`.
//! Runs the function without traces, sampled without the layer, unsampled with the layer, and
//! sampled with the layer, in rounds. Prints the medians of the CPU time and of the latency.

use anyhow::{Context, Result};
use clap::Parser;
use lambda_emulator::{Environment, Event, FunctionConfig, Server, TestCa, dynamodb};
use serde_json::json;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

const ROUNDS: usize = 7;

/// Measures the cost of tracing for a warm request.
#[derive(Parser)]
struct Arguments {
    /// The function's bootstrap
    function: PathBuf,
    /// The binary of the layer's extension
    extension: PathBuf,
    /// Number of requests in each round
    #[arg(default_value_t = 2_000)]
    requests: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (function, extension) = (
        fs::canonicalize(arguments.function)?,
        fs::canonicalize(arguments.extension)?,
    );

    let ca = TestCa::new()?;
    let plot = "x".repeat(700);
    let item = json!({ "year": { "N": "2013" }, "title": { "S": "Rush" }, "info": { "M": { "plot": { "S": plot } } } });
    let table = Server::https(&ca, dynamodb::stub(vec![item])).await?;
    let sink = Server::https(&ca, |_| std::future::ready(Some(Default::default()))).await?;
    let event = json!({
        "httpMethod": "GET", "path": "/movies/2013/Rush", "headers": { "Accept": "application/json" }, "multiValueHeaders": null,
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "body": null, "isBase64Encoded": false,
        "requestContext": { "httpMethod": "GET", "requestId": "r", "authorizer": { "claims": { "scope": "movies/read", "client_id": "c" } } },
    });
    let unsampled = Event::new(event.to_string());
    let sampled = unsampled
        .clone()
        .trace("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
    let plain = FunctionConfig::new(function)
        .variable("AWS_ENDPOINT_URL_DYNAMODB", table.url())
        .variable("AWS_ENDPOINT_URL_XRAY", sink.url())
        .variable("SSL_CERT_FILE", ca.file())
        .variable("TABLE_NAME", "movies")
        .never_frozen();
    let without_layer = plain
        .clone()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let with_layer = without_layer.clone().extension(extension);
    let cases = [
        ("without", &plain, &unsampled),
        ("no layer, sampled", &without_layer, &sampled),
        ("layer, unsampled", &with_layer, &unsampled),
        ("layer, sampled", &with_layer, &sampled),
    ];

    let mut figures = vec![Vec::new(); cases.len()];
    for round in 0..ROUNDS {
        for turn in 0..cases.len() {
            let case = (round + turn) % cases.len();
            figures[case].push(measure(cases[case].1, cases[case].2, arguments.requests).await?);
        }
    }
    println!(
        "{:18} {:>12} {:>13} {:>11} {:>8} {:>8} {:>9}",
        "", "function µs", "extension µs", "latency µs", "init ms", "MB", "layer MB"
    );
    for ((name, ..), mut rounds) in cases.into_iter().zip(figures) {
        let mut median = |index: usize| {
            rounds.sort_by(|a: &[f64; 6], b| a[index].total_cmp(&b[index]));
            rounds[ROUNDS / 2][index]
        };
        let [function, extension, latency, init, memory, layer] =
            [0, 1, 2, 3, 4, 5].map(&mut median);
        println!(
            "{name:18} {function:12.1} {extension:13.1} {latency:11.1} {init:8.1} {memory:8.1} {layer:9.1}"
        );
    }
    Ok(())
}

async fn measure(launch: &FunctionConfig, event: &Event, requests: u32) -> Result<[f64; 6]> {
    let mut environment = Environment::start(launch.clone()).await?;
    for _ in 0..50 {
        environment.invoke(event.clone()).await?;
    }
    let extension_cpu = |environment: &Environment| {
        environment
            .extensions()
            .first()
            .map_or(Ok(Duration::ZERO), lambda_emulator::Process::cpu)
    };
    let (function, extension) = (environment.function().cpu()?, extension_cpu(&environment)?);
    let (begin, mut latencies) = (Instant::now(), Vec::new());
    for _ in 0..requests {
        latencies.push(environment.invoke(event.clone()).await?.latency);
    }
    anyhow::ensure!(
        begin.elapsed() < Duration::from_secs(60),
        "the machine is too busy to measure anything"
    );
    latencies.sort();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let figures = [
        micros(environment.function().cpu()? - function) / f64::from(requests),
        micros(extension_cpu(&environment)? - extension) / f64::from(requests),
        micros(*latencies.get(latencies.len() / 2).context("no requests")?),
        micros(environment.init()) / 1e3,
        megabytes(environment.function().max_resident_bytes()?),
        environment
            .extensions()
            .first()
            .map_or(Ok(0), lambda_emulator::Process::max_resident_bytes)
            .map(megabytes)?,
    ];
    environment.shutdown().await?;
    Ok(figures)
}
