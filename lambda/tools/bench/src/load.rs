//! Loading as many movies as the sample catalogue has: mvdb's loader beside boto3's `batch_writer`, start and end included.

use crate::{contestant::World, machine};
use anyhow::{Result, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

const MOVIES: usize = 4609;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The loader's binary
    #[arg(long)]
    loader: PathBuf,
    /// How often each is run
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) async fn run(folder: &Path, options: &Options) -> Result<bool> {
    machine::pin()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("movies.json");
    std::fs::write(&file, catalogue().to_string())?;
    let world = World::with("{}", Vec::new()).await?;
    let mut ours = Command::new(&options.loader);
    ours.args(["--table", "movies"]).arg(&file);
    // The interpreter of the contestant, by its bootstrap's first line.
    let bootstrap = std::fs::read_to_string(folder.join("flask/bootstrap"))?;
    let mut theirs = Command::new(
        bootstrap
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("#!"),
    );
    theirs.arg(folder.join("flask/batch_writer.py")).arg(&file);

    println!("{}; load {}", machine::describe(), machine::load());
    let mut commands = [
        ("the loader", ours, Vec::new()),
        ("boto3's batch_writer", theirs, Vec::new()),
    ];
    for (_, command, seconds) in &mut commands {
        command
            .env_clear()
            .envs(world.variables())
            .stdout(Stdio::null());
        for _ in 0..options.rounds {
            let before = cpu_of_children()?;
            let status = command.status().await?;
            ensure!(status.success(), "it ended with {status}");
            seconds.push(cpu_of_children()? - before);
        }
        seconds.sort_by(f64::total_cmp);
    }
    for (name, _, seconds) in commands {
        let median = seconds[seconds.len() / 2];
        println!(
            "{name}: {MOVIES} movies in {:.0} ms of CPU, {:.0} for each second of CPU",
            median * 1e3,
            MOVIES as f64 / median
        );
    }
    Ok(true)
}

fn catalogue() -> Value {
    let movie = |n: usize| {
        let names = |of: &str, count| {
            (0..count)
                .map(|k| format!("{of} {n} {k}"))
                .collect::<Vec<_>>()
        };
        json!({ "year": 1920 + n % 99, "title": format!("A film {n}"), "info": {
            "directors": names("Director", 1), "actors": names("Actor", 3), "genres": ["Drama", "Sport"], "rank": n + 1, "rating": 7.5,
            "release_date": "2013-09-02T00:00:00Z", "running_time_secs": 7380, "image_url": format!("https://example.org/posters/{n}.jpg"),
            "plot": "Two drivers come closer to each other than either would admit, over the seven races of one season.",
        } })
    };
    (0..MOVIES).map(movie).collect()
}

/// Seconds of CPU of all children that have ended.
fn cpu_of_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
