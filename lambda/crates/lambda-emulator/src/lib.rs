//! An imitation, on loopback, of what surrounds a Lambda function: the Runtime, Extensions and Telemetry APIs
//! ([`Environment`]), and the services it calls, by HTTP or HTTPS ([`Server`], [`dynamodb`]), with a way to them that
//! misbehaves as told ([`proxy`]). One for all that want to watch a shipped binary: the tests of the layer, of faults, and the benchmark. Nothing that ships depends on it.
//!
//! The binaries run as processes of their own, with Lambda's environment variables and none of the caller's. As in Lambda an
//! environment is ready for its next event only when the function *and every extension* have asked for it; from then until
//! that event comes it is frozen (`SIGSTOP`), so that work left for later really does not happen.
//!
//! ```no_run
//! # use lambda_emulator::{Environment, Event, Launch, Server, dynamodb};
//! # async fn example() -> anyhow::Result<()> {
//! let table = Server::http(dynamodb::canned(vec![serde_json::json!({ "year": { "N": "2013" }, "title": { "S": "Rush" } })])).await?;
//! let launch = Launch::new("target/debug/movies").variable("AWS_ENDPOINT_URL", table.url()).variable("TABLE_NAME", "movies");
//! let mut environment = Environment::start(launch).await?;
//! let answer = environment.invoke(Event::new(r#"{ "httpMethod": "GET" }"#)).await?;
//! println!("{:?} after {:?}", answer.outcome, answer.latency);
//! environment.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What it leaves out: memory limits, response streaming, SnapStart, managed instances. It leaves Lambda's own
//! checks of names, sizes and schemas to Lambda.

pub mod dynamodb;
mod environment;
mod platform;
mod process;
pub mod proxy;
mod quota;
mod server;

pub use environment::{Answer, Ended, Environment, Event, Launch};
pub use platform::{NextFault, Outcome};
pub use process::{Line, Process};
pub use proxy::Proxy;
pub use server::{Authority, Server};
