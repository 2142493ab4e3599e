//! The API of `openapi.yaml`: routes, documents and status codes.

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

/// The state of the handlers. Clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    store: Arc<Store>,
}

impl Api {
    /// Creates the API with a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
}
