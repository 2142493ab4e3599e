//! Emulates, on loopback, what surrounds a Lambda function: the Runtime, Extensions and Telemetry
//! APIs ([`Environment`]), HTTP and HTTPS services that the function calls ([`Server`],
//! [`dynamodb`]), and a proxy that injects faults between the function and its table ([`proxy`]).
//! Tests and benchmarks share it, so that Lambda is emulated once. Nothing that ships depends on
//! it.
//!
//! Functions and extensions run as processes of their own. They get Lambda's environment variables
//! and none of the caller's. As in Lambda, an environment is ready for the next event only when the
//! function and every extension have polled for it. Until that event arrives, all processes are
//! frozen (`SIGSTOP`), so that background work does not run.
//!
//! ```no_run
//! # use lambda_emulator::{Environment, Event, FunctionConfig, Server, dynamodb};
//! # async fn example() -> anyhow::Result<()> {
//! let rush = serde_json::json!({ "year": { "N": "2013" }, "title": { "S": "Rush" } });
//! let table = Server::http(dynamodb::stub(vec![rush])).await?;
//! let function = FunctionConfig::new("target/debug/movies")
//!     .variable("AWS_ENDPOINT_URL", table.url())
//!     .variable("TABLE_NAME", "movies");
//! let mut environment = Environment::start(function).await?;
//! let invocation = environment.invoke(Event::new(r#"{ "httpMethod": "GET" }"#)).await?;
//! println!("{:?} after {:?}", invocation.outcome, invocation.latency);
//! environment.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Not emulated: memory limits, response streaming, SnapStart, managed instances, and Lambda's
//! checks of names, sizes and schemas.

pub mod dynamodb;
mod environment;
mod platform;
mod process;
pub mod proxy;
mod quota;
mod server;

pub use environment::{Environment, Event, FunctionConfig, Invocation, ShutdownReport};
pub use platform::{InvocationOutcome, NextFault};
pub use process::{Line, Process};
pub use proxy::Proxy;
pub use server::{Server, TestCa};
