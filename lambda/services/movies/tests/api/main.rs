//! The API's behaviour, asked as API Gateway asks, on a real DynamoDB emulator. Every response is
//! held to the contract.
//!
//! `make test` starts the emulator; each test has tables of its own, created from the schema that is deployed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod binary;
mod catalogue;
mod consumers;
mod contract;
mod entry_points;
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
mod refusals;
mod server;
mod service;
mod writing;

use movies::{
    config::aws_from_environment,
    entry::{Door, lambda},
    http::{Api, Consumers, Links},
    log::Log,
    store::Store,
};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};
use testkit::{Contract, Tables, TestApp};

const READ: &str = "movies/read";
const WRITE: &str = "movies/write";

const TABLES: &str = include_str!("../../tables.json");

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::new(include_str!("../../openapi.yaml")))
}

fn owned(origins: &[&str]) -> Vec<String> {
    origins.iter().map(ToString::to_string).collect()
}

/// The service in this process, on empty tables.
#[derive(Clone)]
struct App {
    app: TestApp,
    door: Arc<Door>,
    tables: Tables,
}

impl Deref for App {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl App {
    async fn new() -> Self {
        Self::with_origins(&[]).await
    }

    async fn with_origins(origins: &[&str]) -> Self {
        Self::with(|store| Api::new(store, owned(origins))).await
    }

    async fn with_links(links: Links) -> Self {
        Self::with(|store| Api::new(store, Vec::new()).with_links(links)).await
    }

    async fn with_consumers(origins: &[&str], consumers: Consumers) -> Self {
        Self::with(|store| Api::new(store, owned(origins)).with_consumers(consumers)).await
    }

    async fn with(api: impl FnOnce(Store) -> Api) -> Self {
        let tables = Tables::create(TABLES).await;
        let [movies, creations] =
            ["movies", "creations"].map(|table| tables.name(table).to_owned());
        let aws = outbound::aws::load(aws_from_environment().unwrap());
        let store = Store::new(movies, creations, &aws.await.unwrap());
        let door = Arc::new(Door::new(
            api(store),
            None,
            Arc::new(Log::direct(std::io::sink())),
        ));
        let handling = Arc::clone(&door);
        let app = TestApp::in_process(contract(), move |event| {
            let door = Arc::clone(&handling);
            async move {
                let response = lambda::invoke(&door, &event, "invocation", None).await;
                serde_json::to_value(response).unwrap()
            }
        });
        Self { app, door, tables }
    }

    /// The table of movies.
    fn table(&self) -> &str {
        self.tables.name("movies")
    }
}
