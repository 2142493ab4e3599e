//! A page of 100 movies: what one of them costs.

use crate::{
    contestant::{Roots, World},
    machine,
};
use anyhow::{Result, ensure};
use lambda_emulator::{Environment, InvocationOutcome};
use serde_json::{Value, json};
use std::path::Path;

const MOVIES: usize = 100;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pages that are read
    #[arg(long, default_value_t = 500)]
    requests: u32,
}

pub(crate) async fn run(folder: &Path, options: &Options) -> Result<bool> {
    machine::pin()?;
    let mut event: Value = serde_json::from_str(include_str!("../event.json"))?;
    event["path"] = json!("/movies");
    let query = json!({ "year": "2013", "limit": MOVIES.to_string() });
    event["queryStringParameters"] = query;
    event["multiValueQueryStringParameters"] =
        json!({ "year": ["2013"], "limit": [MOVIES.to_string()] });
    let item: Value = serde_json::from_str(include_str!("../item.json"))?;
    let items = (0..=MOVIES).map(|n| {
        let mut item = item.clone();
        item["title"] = json!({ "S": format!("Rush {n:03}") });
        item
    });
    let world = World::with(&event.to_string(), items.collect()).await?;

    let mut environment =
        Environment::start(world.launch(&folder.join("movies/bootstrap"), Roots::CompiledIn))
            .await?;
    let mut ask = async || -> Result<std::time::Duration> {
        let answer = environment.invoke(world.event().clone()).await?;
        let InvocationOutcome::Response(body) = &answer.outcome else {
            anyhow::bail!("{:?}", answer.outcome)
        };
        let found = String::from_utf8_lossy(body).matches("Rush ").count();
        ensure!(
            found >= MOVIES,
            "a page of {found} movies: {}",
            String::from_utf8_lossy(body)
        );
        environment.function().cpu()
    };
    for _ in 0..20 {
        ask().await?;
    }
    let before = ask().await?;
    let mut after = before;
    for _ in 0..options.requests {
        after = ask().await?;
    }
    let page = (after - before) / options.requests;
    println!("{}; load {}", machine::describe(), machine::load());
    println!(
        "a page of {MOVIES} movies: {:.0} µs of CPU, {:.2} µs for each movie",
        page.as_secs_f64() * 1e6,
        page.as_secs_f64() * 1e6 / MOVIES as f64
    );
    Ok(true)
}
