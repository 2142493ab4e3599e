//! The routes: the operations of `openapi.yaml`, each with its handler. GET serves HEAD as well. A
//! title is all that follows the year, slashes included.

use super::{
    Api,
    handlers::{create, delete, get, list, patch, put},
};
use axum::{Router, routing};
use inbound::documents::Documents;

/// The router of the service, without its layers.
pub fn router(api: Api, documents: Documents) -> Router {
    Router::new()
        .route(
            "/movies",
            routing::get(list)
                .post(create)
                .put(put)
                .patch(patch)
                .delete(delete),
        )
        .route(
            "/movies/{year}/{*title}",
            routing::get(get).put(put).patch(patch).delete(delete),
        )
        .with_state(api)
        .merge(documents.router())
}
