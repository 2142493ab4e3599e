//! Many requests during intermittent faults and during outages of the table.

use super::{Exchange, Fault, Function, error};
use std::time::{Duration, Instant};

/// Returns the number of requests: `REQUESTS` if it is set, as `make fault-drill` does.
fn requests(default: usize) -> usize {
    std::env::var("REQUESTS")
        .ok()
        .map_or(default, |number| number.parse().unwrap())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[tokio::test]
async fn requests_with_three_percent_throttled_and_two_reset_are_served() {
    let requests = requests(1000);
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut function = Function::start().await;
    let (mut served, mut table_requests, mut most, mut took) = (0, 0, 0, Vec::new());
    for _ in 0..requests {
        let mut fault = || match random.u8(..100) {
            0..3 => error(400, "ThrottlingException"),
            3..5 => Fault::Reset,
            _ => Fault::None,
        };
        let faults = [fault(), fault(), fault()];
        function.proxy.script(faults);
        let seen = function.get().await;
        served += usize::from(seen.status == 200);
        table_requests += seen.table_requests.len();
        most = most.max(seen.table_requests.len());
        took.push(seen.took);
    }
    took.sort();
    let (share, amplification) = (
        served as f64 / requests as f64,
        table_requests as f64 / requests as f64,
    );
    println!(
        "{requests} requests: {:.3} % served, {amplification:.3} table requests each, \
         at most {most}; p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        100.0 * share,
        milliseconds(took[requests / 2]),
        milliseconds(took[requests * 99 / 100]),
        milliseconds(took[requests - 1])
    );
    assert!(share >= 0.999 && amplification <= 1.1 && most <= 3);
}

/// During an outage the retry token bucket is soon empty. Each request then makes one attempt and
/// fails fast. After the outage, requests succeed at once.
#[tokio::test]
async fn outage_is_503_fast_without_retry_amplification_and_ends_at_once() {
    const REQUESTS: usize = 150;
    for refusing in [false, true] {
        let mut function = Function::start().await;
        if refusing {
            function.proxy.close()
        } else {
            function
                .proxy
                .set_default_fault(error(500, "InternalServerError"))
        }
        let mut seen: Vec<Exchange> = Vec::new();
        for _ in 0..REQUESTS {
            seen.push(function.get().await);
        }
        let cause = if refusing { "unreachable" } else { "table" };
        for seen in &seen {
            seen.failed(503, cause).within(500);
        }
        let table_requests: usize = seen.iter().map(|seen| seen.table_requests.len()).sum();
        let mut took: Vec<_> = seen.iter().map(|seen| seen.took).collect();
        took.sort();

        let recovery = Instant::now();
        if refusing {
            function.proxy.reopen().await.unwrap()
        } else {
            function.proxy.set_default_fault(Fault::None)
        }
        function.get().await.served();
        println!(
            "{cause}: {REQUESTS} requests, {:.3} table requests each, p50 {:.1} ms, \
             longest {:.1} ms; served {:.1} ms after the outage",
            table_requests as f64 / REQUESTS as f64,
            milliseconds(took[REQUESTS / 2]),
            milliseconds(took[REQUESTS - 1]),
            milliseconds(recovery.elapsed())
        );
        // A refused connection is not counted as a request.
        assert!(
            table_requests * 10 <= REQUESTS * 11 && recovery.elapsed() < Duration::from_secs(1)
        );
        assert!(
            refusing || table_requests > REQUESTS,
            "the retry token bucket was empty from the start"
        );
    }
}
