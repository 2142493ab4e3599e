//! The emulator, with a shell script as the function.

#![allow(clippy::unwrap_used, reason = "failures in tests")]

use lambda_emulator::{Environment, Event, FunctionConfig, InvocationOutcome, NextFault};
use std::{os::unix::fs::symlink, time::Duration};

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/echo");

async fn started() -> Environment {
    Environment::start(FunctionConfig::new(ECHO)).await.unwrap()
}

#[tokio::test]
async fn an_event_gets_the_response_of_the_function() {
    let mut environment = started().await;
    for body in ["one", "two"] {
        let invocation = environment.invoke(Event::new(body)).await.unwrap();
        assert_eq!(invocation.outcome, InvocationOutcome::Response(body.into()));
        assert!(invocation.latency <= invocation.busy);
    }
    assert!(environment.shutdown().await.unwrap().in_time);
}

#[tokio::test]
async fn a_frozen_environment_runs_nothing() {
    for (launch, frozen) in [
        (FunctionConfig::new(ECHO), true),
        (FunctionConfig::new(ECHO).never_frozen(), false),
    ] {
        let environment = Environment::start(launch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = environment.lines().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(environment.lines().len() == before, frozen);
    }
}

#[tokio::test]
async fn the_runtime_polls_again_after_a_failed_poll() {
    let mut environment = started().await;
    environment.fail_next_polls([NextFault::Status(500), NextFault::HangUp]);
    for body in ["one", "two"] {
        assert_eq!(
            environment.invoke(Event::new(body)).await.unwrap().outcome,
            InvocationOutcome::Response(body.into())
        );
    }
    let ended = environment.shutdown().await.unwrap();
    assert_eq!(
        ended
            .lines
            .iter()
            .filter(|line| line.text == "poll failed")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_timeout_and_an_exit_are_different_outcomes() {
    let hang = Event::new("hang").time_limit(Duration::from_millis(600));
    assert_eq!(
        started().await.invoke(hang).await.unwrap().outcome,
        InvocationOutcome::TimedOut
    );
    let ended = started()
        .await
        .invoke(Event::new("exit"))
        .await
        .unwrap()
        .outcome;
    assert_eq!(ended, InvocationOutcome::Exited("exit status: 7".into()));
}

#[tokio::test]
async fn init_fails_if_a_process_exits() {
    for launch in [
        FunctionConfig::new("/bin/false"),
        FunctionConfig::new(ECHO).extension("/bin/false"),
    ] {
        let error = Environment::start(launch).await.unwrap_err().to_string();
        assert!(
            error.starts_with("INIT failed") && error.contains("exited"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_function_does_not_inherit_environment_variables() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/usr/bin/env", folder.path().join("bootstrap")).unwrap();
    let launch = FunctionConfig::new(folder.path().join("bootstrap")).variable("GIVEN", "yes");
    // `env` prints its environment and exits.
    let error = Environment::start(launch).await.unwrap_err().to_string();
    assert!(
        error.contains("GIVEN=yes") && error.contains("AWS_LAMBDA_RUNTIME_API=127.0.0.1:"),
        "{error}"
    );
    assert!(!error.contains("CARGO_MANIFEST_DIR"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn cpu_time_and_memory_of_a_function_can_be_read() {
    let environment = started().await;
    assert!(environment.function().cpu().unwrap() > Duration::ZERO);
    assert!(environment.function().max_resident_bytes().unwrap() > 100_000);
}

/// A busy loop uses all of one CPU, or a tenth of it with a share of 0.1.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_function_gets_at_most_its_cpu_share() {
    let used = async |launch: FunctionConfig| {
        let mut environment = Environment::start(launch).await.unwrap();
        let before = environment.function().cpu().unwrap();
        let _ = environment
            .invoke(Event::new("spin").time_limit(Duration::from_millis(800)))
            .await;
        environment.function().cpu().unwrap() - before
    };
    let (free, held) = (
        used(FunctionConfig::new(ECHO).never_frozen()).await,
        used(FunctionConfig::new(ECHO).cpu_share(0.1)).await,
    );
    assert!(
        held < free / 2 && held < Duration::from_millis(160) && held > Duration::from_millis(20),
        "{held:?} of {free:?}"
    );
}
