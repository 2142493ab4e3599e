//! The imitation, with a function that is nothing but a shell script.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lambda_emulator::{Environment, Event, Launch, NextFault, Outcome};
use std::{os::unix::fs::symlink, time::Duration};

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/echo");

async fn started() -> Environment {
    Environment::start(Launch::new(ECHO)).await.unwrap()
}

#[tokio::test]
async fn an_event_is_answered_by_the_function() {
    let mut environment = started().await;
    for body in ["one", "two"] {
        let answer = environment.invoke(Event::new(body)).await.unwrap();
        assert_eq!(answer.outcome, Outcome::Response(body.into()));
        assert!(answer.latency <= answer.busy);
    }
    assert!(environment.shutdown().await.unwrap().in_time);
}

#[tokio::test]
async fn a_frozen_environment_does_nothing() {
    for (launch, frozen) in [
        (Launch::new(ECHO), true),
        (Launch::new(ECHO).never_frozen(), false),
    ] {
        let environment = Environment::start(launch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = environment.lines().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(environment.lines().len() == before, frozen);
    }
}

#[tokio::test]
async fn a_spoiled_question_is_followed_by_another() {
    let mut environment = started().await;
    environment.spoil_next([NextFault::Status(500), NextFault::HangUp]);
    for body in ["one", "two"] {
        assert_eq!(
            environment.invoke(Event::new(body)).await.unwrap().outcome,
            Outcome::Response(body.into())
        );
    }
    let ended = environment.shutdown().await.unwrap();
    assert_eq!(
        ended
            .lines
            .iter()
            .filter(|line| line.text == "refused")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_function_that_hangs_or_ends_is_told_apart() {
    let hang = Event::new("hang").time_limit(Duration::from_millis(600));
    assert_eq!(
        started().await.invoke(hang).await.unwrap().outcome,
        Outcome::TimedOut
    );
    let ended = started()
        .await
        .invoke(Event::new("exit"))
        .await
        .unwrap()
        .outcome;
    assert_eq!(ended, Outcome::Exited("exit status: 7".into()));
}

#[tokio::test]
async fn whoever_ends_makes_init_fail() {
    for launch in [
        Launch::new("/bin/false"),
        Launch::new(ECHO).extension("/bin/false"),
    ] {
        let error = Environment::start(launch).await.unwrap_err().to_string();
        assert!(
            error.starts_with("INIT failed") && error.contains("ended"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_caller_s_variables_do_not_reach_the_function() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/usr/bin/env", folder.path().join("bootstrap")).unwrap();
    let launch = Launch::new(folder.path().join("bootstrap")).variable("GIVEN", "yes");
    // It prints its environment and ends.
    let error = Environment::start(launch).await.unwrap_err().to_string();
    assert!(
        error.contains("GIVEN=yes") && error.contains("AWS_LAMBDA_RUNTIME_API=127.0.0.1:"),
        "{error}"
    );
    assert!(!error.contains("CARGO_MANIFEST_DIR"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_function_uses_can_be_read() {
    let environment = started().await;
    assert!(environment.function().cpu().unwrap() > Duration::ZERO);
    assert!(environment.function().max_resident_bytes().unwrap() > 100_000);
}

/// A shell that counts as fast as it can: in one CPU's second it uses a second, with a tenth of it a tenth.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_function_gets_no_more_than_its_share() {
    let used = async |launch: Launch| {
        let mut environment = Environment::start(launch).await.unwrap();
        let before = environment.function().cpu().unwrap();
        let _ = environment
            .invoke(Event::new("spin").time_limit(Duration::from_millis(800)))
            .await;
        environment.function().cpu().unwrap() - before
    };
    let (free, held) = (
        used(Launch::new(ECHO).never_frozen()).await,
        used(Launch::new(ECHO).cpu_share(0.1)).await,
    );
    assert!(
        held < free / 2 && held < Duration::from_millis(160) && held > Duration::from_millis(20),
        "{held:?} of {free:?}"
    );
}
