//! Serves an [`axum::Router`] behind two entry points, AWS Lambda and an HTTP server, with the same
//! layers around it. This crate has no AWS SDK; the service has its own store.
//!
//! A service is a router and a readiness check. Its package has an `openapi.yaml` and a build
//! script that calls `contract_build::convert_contract`:
//!
//! ```ignore
//! const GREETINGS: inbound::Service = inbound::service!("");
//!
//! #[tokio::main(flavor = "local")]
//! async fn main() -> std::process::ExitCode {
//!     let variable = |name: &str| std::env::var(name).ok();
//!     inbound::run(GREETINGS, variable, async |documents| {
//!         let router = Router::new().route("/greeting", get(async || "hello"));
//!         Ok((router.merge(documents.router()), async || Ok(())))
//!     })
//!     .await
//! }
//! ```
//!
//! [`run`] reads the arguments and serves Lambda's Runtime API or HTTP. [`App`], [`lambda`] and
//! [`server`] are its parts, for a program with other arguments. `services/template` is the
//! smallest complete service; `make new NAME=demo` copies it.
//!
//! The layers, outermost first: [`access_log`], request id and problem documents, [`cors`], catch
//! panic, [`deadline`], body limit, and the router with both of its fallbacks. Each operation is
//! behind [`auth`]. (A layer that responds itself is inside CORS: a page must be able to
//! read that its request took too long.)

#![deny(clippy::print_stdout, clippy::print_stderr, missing_docs)]

pub mod access_log;
mod app;
pub mod arguments;
pub mod auth;
pub mod body;
mod config;
mod consumer;
mod context;
mod cors;
pub mod cursor;
pub mod deadline;
pub mod decimal;
pub mod documents;
pub mod json;
pub mod lambda;
pub mod log;
mod outcome;
pub mod percent;
pub mod precondition;
mod problem;
mod query;
pub mod server;
mod service;
mod shutdown;
pub mod trace;

pub use access_log::Function;
pub use app::{App, Settings};
pub use auth::{Authentication, Principal, Scopes};
pub use config::{Config, ConfigError};
pub use consumer::{Consumer, Consumers};
pub use context::RequestContext;
pub use outcome::{Failure, MalformedItems};
pub use problem::{FieldError, Problem};
pub use query::{NoQuery, Query};
pub use service::{Service, StartError, run};
pub use shutdown::shutdown_signal;
