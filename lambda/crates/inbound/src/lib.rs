//! What an HTTP service is served by: one [`axum::Router`] behind two entry points, AWS Lambda and
//! a plain HTTP server, with the same layers around it. No AWS SDK: the service brings its store.
//!
//! A service is a router, a configuration and a store:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use inbound::{App, Authentication, Settings, log::Log, server};
//! use std::sync::Arc;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::new().route("/greeting", get(async || "hello"));
//! let log = Arc::new(Log::direct(std::io::stdout()));
//! let app = Arc::new(App::new(router, Settings::new("greetings", inbound::scopes!("greetings"), log)));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! server::run(app, listener, Authentication::Disabled, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! In Lambda the last two lines are `inbound::lambda::run(app, tracer).await`.
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
mod consumer;
mod context;
mod cors;
pub mod deadline;
pub mod documents;
pub mod lambda;
pub mod log;
mod outcome;
pub mod percent;
pub mod precondition;
mod problem;
mod query;
pub mod server;
mod shutdown;
pub mod trace;

pub use access_log::Function;
pub use app::{App, Settings};
pub use auth::{Authentication, Principal, Scopes};
pub use consumer::{Consumer, Consumers};
pub use context::RequestContext;
pub use outcome::{Failure, MalformedItems};
pub use problem::{FieldError, Problem};
pub use query::{NoQuery, Query};
pub use shutdown::shutdown_signal;
