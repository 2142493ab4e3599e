//! The API as `openapi.yaml` has it: routes, documents and status codes.

pub mod cursor;
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
use std::sync::Arc;

/// What the handlers work with. Clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    store: Arc<Store>,
}

impl Api {
    /// The API on a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
}
