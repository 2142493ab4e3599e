//! A function that uses the DynamoDB emulator, which implements conditions and client tokens.

use super::{Fault, Function, launch};
use lambda_emulator::{FunctionConfig, Proxy, proxy::forward};
use testkit::Tables;

/// The injected faults: the request does not reach the table, or its response does not reach the
/// function.
fn faults() -> [Fault; 7] {
    [
        super::error(400, "ThrottlingException"),
        super::error(500, "InternalServerError"),
        Fault::Reset,
        Fault::Lost,
        Fault::HalfThenReset,
        Fault::HalfThenEnd,
        Fault::Half,
    ]
}

/// Returns a fault with this probability for each of `table_requests` requests to the table.
pub(super) fn at_random(
    random: &mut fastrand::Rng,
    probability: f64,
    table_requests: usize,
) -> Vec<Fault> {
    (0..table_requests)
        .map(|_| {
            if random.f64() < probability {
                random.choice(faults()).unwrap()
            } else {
                Fault::None
            }
        })
        .collect()
}

impl Function {
    /// Starts a function that uses tables of the emulator.
    pub(super) async fn emulated(tables: &Tables) -> Self {
        let proxy = Proxy::start(forward(&std::env::var("AWS_ENDPOINT_URL").unwrap()))
            .await
            .unwrap();
        Self::launched(on(tables).variable("AWS_ENDPOINT_URL", proxy.url()), proxy).await
    }
}

pub(super) fn on(tables: &Tables) -> FunctionConfig {
    launch()
        .variable("TABLE_NAME", tables.name("movies"))
        .variable("CREATIONS_TABLE_NAME", tables.name("creations"))
        .variable("AWS_ACCESS_KEY_ID", "test")
}
