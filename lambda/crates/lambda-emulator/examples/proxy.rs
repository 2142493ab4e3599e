//! A way to DynamoDB that misbehaves as told: `cargo run -p lambda-emulator --example proxy -- URL [SCRIPT.json]` passes requests on
//! to the DynamoDB at URL, such as an emulator's, and prints what befalls each. The script is a list of faults, one for each
//! request, then none: `["none", "reset", { "delay": { "milliseconds": 900 } }, { "error": { "status": 400, "code": "ThrottlingException" } }]`.

use anyhow::Result;
use lambda_emulator::proxy::{Proxy, forward};
use std::{env, fs, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    let Some(url) = arguments.next() else {
        println!("Usage: proxy URL [SCRIPT.json]");
        return Ok(());
    };
    let proxy = Proxy::start(forward(&url)).await?;
    if let Some(script) = arguments.next() {
        proxy.script(serde_json::from_str::<Vec<_>>(&fs::read_to_string(
            script,
        )?)?);
    }
    println!("AWS_ENDPOINT_URL={}", proxy.url());
    loop {
        for call in proxy.calls() {
            println!("{} {:?}", call.operation, call.fault);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
