//! Tests of the API's behaviour, each run behind both entry points of the compiled binary. Every
//! response is checked against the contract.
//!
//! `make test` starts the DynamoDB emulator. Each test has its own tables, created from
//! `tables.json`, which Terraform deploys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot continue has failed"
)]

#[macro_use]
mod app;

mod binary;
mod catalogue;
mod consumers;
mod contract;
mod events;
mod fields;
mod hostile;
mod http_server;
mod listing;
mod logs;
mod other_writers;
mod preconditions;
mod problems;
mod properties;
mod query_form;
mod reading;
mod rejections;
mod service;
mod writing;

use app::{App, EntryPoint};
use testkit::{Contract, Service};

const READ: &str = "movies/read";
const WRITE: &str = "movies/write";

const TABLES: &str = include_str!("../../tables.json");

fn movies() -> &'static Service {
    testkit::service!()
}

fn contract() -> &'static Contract {
    &movies().contract
}
