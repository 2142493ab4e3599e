//! Tests of an API: build a request, send it through an entry point, check the response.
//!
//! ```no_run
//! # async fn example(contract: &'static testkit::Contract) {
//! use testkit::{RequestBuilder, TestApp, lambda_emulator::FunctionConfig};
//!
//! let launch = FunctionConfig::new("target/debug/movies").variable("TABLE_NAME", "movies");
//! let app = TestApp::lambda(contract, launch).await;
//! let request = RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", "*");
//! assert_eq!(app.send(request).await.status, 304);
//! # }
//! ```
//!
//! [`TestApp::lambda`] and [`TestApp::server_with_tokens`] start the same binary, so that
//! [`behaviours!`] can run one test function behind both entry points. Every response is checked
//! against the OpenAPI contract before the test gets it. A test that stores something creates
//! [`Tables`], and returns at once if there is no emulator:
//!
//! ```no_run
//! # async fn test() {
//! use testkit::Tables;
//!
//! let Some(tables) = Tables::create(include_str!("../../../services/movies/tables.json")).await
//! else {
//!     return;
//! };
//! println!("{}", tables.name("movies"));
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot continue has failed"
)]

mod app;
mod contract;
mod issuer;
mod request;
mod response;
pub mod sample;
mod server;
mod service;
pub mod suite;
mod tables;

pub use app::TestApp;
pub use contract::{Contract, assert_contract};
pub use issuer::Issuer;
pub use lambda_emulator;
pub use request::RequestBuilder;
pub use response::Response;
pub use server::HttpServer;
pub use service::{EntryPoint, Service};
pub use tables::{Tables, emulator};

/// Marks what no log and no trace may contain. Text after it names the place it was put in.
pub const CANARY: &str = "canary";
