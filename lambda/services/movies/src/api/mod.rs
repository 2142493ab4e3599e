//! The API as `openapi.yaml` has it: routes, documents and status codes.

pub mod body;
mod error;
mod handlers;
pub mod path;
mod problem;
mod query;
mod response;
mod router;
mod target;

pub use router::router;

use crate::store::Store;
use axum::extract::FromRef;
use inbound::documents::{Build, Documents, Links};
use std::sync::Arc;

/// The name of the service in logs and traces.
pub const SERVICE: &str = "movies";

/// The scopes of its operations.
pub const SCOPES: inbound::Scopes = inbound::scopes!("movies");

/// What was built, and its contract in JSON, from `openapi.yaml` (see `build.rs`). `make build` sets
/// the revision; a build by plain cargo has none.
const BUILD: Build = Build {
    title: env!("CONTRACT_TITLE"),
    version: env!("CONTRACT_VERSION"),
    contract: include_str!(concat!(env!("OUT_DIR"), "/openapi.json")),
    revision: match option_env!("MVDB_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    build: if cfg!(debug_assertions) {
        concat!(env!("CARGO_PKG_VERSION"), " debug")
    } else {
        concat!(env!("CARGO_PKG_VERSION"), " release")
    },
};

/// What the handlers work with. Clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    store: Arc<Store>,
    documents: Documents,
}

impl Api {
    /// The API on a store.
    #[must_use]
    pub fn new(store: Store, links: Links) -> Self {
        Self {
            store: Arc::new(store),
            documents: Documents::new(BUILD, links),
        }
    }
}

impl FromRef<Api> for Documents {
    fn from_ref(api: &Api) -> Self {
        api.documents.clone()
    }
}
