//! One way to write a test of an API: build a request, send it by an entry point, look at the
//! response.
//!
//! ```no_run
//! # async fn example(contract: &'static testkit::Contract) {
//! use testkit::{RequestBuilder, TestApp, lambda_emulator::Launch};
//!
//! let launch = Launch::new("target/debug/movies").variable("TABLE_NAME", "movies");
//! let app = TestApp::lambda(contract, launch).await;
//! let request = RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", "*");
//! assert_eq!(app.send(request).await.status, 304);
//! # }
//! ```
//!
//! Every response is held to the OpenAPI contract before the test sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot continue has failed"
)]

mod app;
mod contract;
mod request;
mod response;
pub mod sample;
mod server;
mod tables;

pub use app::TestApp;
pub use contract::{Contract, assert_contract};
pub use lambda_emulator;
pub use request::RequestBuilder;
pub use response::Response;
pub use server::HttpServer;
pub use tables::{Tables, create_table};

/// Marks what no log and no trace may contain. Text after it names the place it was put in.
pub const CANARY: &str = "canary";
