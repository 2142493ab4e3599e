//! Many requests while the table fails now and then, and while it fails for good.

use super::{Fault, Function, Seen, error};
use std::time::{Duration, Instant};

/// How many requests, from the environment: `make fault-drill` asks for more than `make test` does.
fn requests(otherwise: usize) -> usize {
    std::env::var("REQUESTS")
        .ok()
        .map_or(otherwise, |number| number.parse().unwrap())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[tokio::test]
async fn requests_with_three_percent_throttled_and_two_reset_are_served() {
    let requests = requests(1000);
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut function = Function::start().await;
    let (mut served, mut calls, mut most, mut took) = (0, 0, 0, Vec::new());
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
        calls += seen.calls.len();
        most = most.max(seen.calls.len());
        took.push(seen.took);
    }
    took.sort();
    let (share, amplification) = (
        served as f64 / requests as f64,
        calls as f64 / requests as f64,
    );
    println!(
        "{requests} requests: {:.3} % served, {amplification:.3} calls each, {most} at the most; p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        100.0 * share,
        milliseconds(took[requests / 2]),
        milliseconds(took[requests * 99 / 100]),
        milliseconds(took[requests - 1])
    );
    assert!(share >= 0.999 && amplification <= 1.1 && most <= 3);
}

/// In an outage the bucket of retries is soon empty: each request asks once, is told at once, and the table is not hammered. When
/// it is back so are we.
#[tokio::test]
async fn an_outage_is_503_fast_without_retry_amplification_and_ends_at_once() {
    const REQUESTS: usize = 150;
    for refusing in [false, true] {
        let mut function = Function::start().await;
        if refusing {
            function.proxy.close()
        } else {
            function.proxy.otherwise(error(500, "InternalServerError"))
        }
        let mut seen: Vec<Seen> = Vec::new();
        for _ in 0..REQUESTS {
            seen.push(function.get().await);
        }
        let cause = if refusing { "unreachable" } else { "table" };
        for seen in &seen {
            seen.failed(503, cause).within(500);
        }
        let calls: usize = seen.iter().map(|seen| seen.calls.len()).sum();
        let mut took: Vec<_> = seen.iter().map(|seen| seen.took).collect();
        took.sort();

        let back = Instant::now();
        if refusing {
            function.proxy.reopen().await.unwrap()
        } else {
            function.proxy.otherwise(Fault::None)
        }
        function.get().await.served();
        println!(
            "{cause}: {REQUESTS} requests, {:.3} calls each, p50 {:.1} ms, longest {:.1} ms; served {:.1} ms after the table's return",
            calls as f64 / REQUESTS as f64,
            milliseconds(took[REQUESTS / 2]),
            milliseconds(took[REQUESTS - 1]),
            milliseconds(back.elapsed())
        );
        // A refused connection is no call.
        assert!(calls * 10 <= REQUESTS * 11 && back.elapsed() < Duration::from_secs(1));
        assert!(
            refusing || calls > REQUESTS,
            "the retries' bucket was empty from the start"
        );
    }
}
