//! The routes: the operations of `openapi.yaml`, each with its handler. GET serves HEAD as well. A
//! title is all that follows the year, slashes included.

use super::{
    Api,
    handlers::{create, delete, get, list, patch, put},
};
use axum::{Router, routing};
use inbound::documents::{contract, health, service, version};

/// The router of the service, without its layers.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/", routing::get(service))
        .route("/openapi.json", routing::get(contract))
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
        .route("/health", routing::get(health))
        .route("/version", routing::get(version))
        .with_state(api)
}
