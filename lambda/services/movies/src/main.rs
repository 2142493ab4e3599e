//! The binary: in Lambda it serves the Runtime API; elsewhere, HTTP on a socket.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use axum::Router;
use inbound::{Service, StartError, documents::Documents};
use movies::{
    api::{self, Api},
    config::{Config, variable},
    store::Store,
};
use std::process::ExitCode;

const MOVIES: Service = inbound::service!(
    "
    TABLE_NAME           the table of movies (required)
    CREATIONS_TABLE_NAME the table of idempotency keys (default: TABLE_NAME with -creations)
    REGION               the AWS region (default: AWS_REGION, AWS_DEFAULT_REGION; optional with an
                         endpoint)
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
                         credentials. Without them a web identity token (EKS) or the container
                         endpoint (ECS, EKS Pod Identity) provides and renews them. To use a
                         profile: eval \"$(aws configure export-credentials --format env)\"
    AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB
                         the endpoint of DynamoDB, if it is not the region's
    SSL_CERT_FILE, SSL_CERT_DIR
                         root certificates (PEM) to trust instead of Mozilla's, which are compiled
                         in"
);

// Lambda sends one request at a time, so a second thread would only add synchronization.
#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    inbound::run(MOVIES, variable, start).await
}

/// The router on the table, and the check that the table can be read.
async fn start(
    documents: Documents,
) -> Result<(Router, impl AsyncFn() -> Result<(), String>), StartError> {
    let config = Config::from_environment()?;
    let aws = outbound::aws::config(config.aws)?;
    let store = Store::new(config.table_name, config.creations_table_name, &aws);
    let router = api::router(Api::new(store.clone()), documents);
    let is_ready = async move || {
        store
            .prewarm_connection()
            .await
            .map_err(|error| error.report())
    };
    Ok((router, is_ready))
}
