//! Starts a proxy to a DynamoDB that injects faults, and prints the fault of each request:
//! `cargo run -p lambda-emulator --example proxy -- URL [SCRIPT.json]`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use lambda_emulator::proxy::{Proxy, forward};

/// Forwards requests to a DynamoDB and injects faults.
///
/// Prints the URL of the proxy, then the operation and the fault of each request.
#[derive(Parser)]
#[command(after_help = "Example of a script: [\"none\", \"reset\", \
    {\"delay\": {\"milliseconds\": 900}}, \
    {\"error\": {\"status\": 400, \"code\": \"ThrottlingException\"}}]")]
struct Arguments {
    /// The URL of the DynamoDB, such as an emulator's
    url: String,
    /// A JSON list of faults, one for each request; later requests get no fault
    script: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let proxy = Proxy::start(forward(&arguments.url)).await?;
    if let Some(script) = arguments.script {
        proxy.script(serde_json::from_str::<Vec<_>>(&fs::read_to_string(
            script,
        )?)?);
    }
    println!("AWS_ENDPOINT_URL={}", proxy.url());
    loop {
        for request in proxy.take_requests() {
            println!("{} {:?}", request.operation, request.fault);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
