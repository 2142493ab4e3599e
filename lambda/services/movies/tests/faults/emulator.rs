//! A function on an emulator of DynamoDB, where conditions and tokens are real.

use super::{Fault, Function, launch};
use lambda_emulator::{Launch, Proxy, proxy::forward};
use testkit::Tables;

/// What may befall a call: it does not reach the table, or its answer does not reach the function.
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

/// With this probability a fault, for each of so many calls.
pub(super) fn at_random(random: &mut fastrand::Rng, probability: f64, calls: usize) -> Vec<Fault> {
    (0..calls)
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
    /// On tables of the emulator.
    pub(super) async fn emulated(tables: &Tables) -> Self {
        let proxy = Proxy::start(forward(&std::env::var("AWS_ENDPOINT_URL").unwrap()))
            .await
            .unwrap();
        Self::launched(on(tables).variable("AWS_ENDPOINT_URL", proxy.url()), proxy).await
    }
}

pub(super) fn on(tables: &Tables) -> Launch {
    launch()
        .variable("TABLE_NAME", tables.name("movies"))
        .variable("CREATIONS_TABLE_NAME", tables.name("creations"))
        .variable("AWS_ACCESS_KEY_ID", "test")
}
