//! Reads no event and calls nobody.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json, value::RawValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let answer = |_: LambdaEvent<Box<RawValue>>| async { Ok::<Value, Error>(json!({ "statusCode": 200, "body": "{}" })) };
    run(service_fn(answer)).await
}
