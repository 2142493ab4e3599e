//! The comparison: rounds, table, goals.

use crate::{
    contestant::{Contestant, World},
    figures::{Figure, Figures, GOALS, summarise},
    machine, plot,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path, path::PathBuf};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Cold starts of each contestant
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Warm requests of each contestant in each round
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Measure these alone, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write medians and quartiles to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Replace what stands between the marks of this README, and the plot beside it
    #[arg(long)]
    write: Option<PathBuf>,
}

pub(crate) async fn run(folder: &Path, options: &Options) -> Result<bool> {
    machine::pin()?;
    let contestants = Contestant::of(&options.only)?;
    let before = machine::load();
    let results = measure(folder, &contestants, options.rounds, options.requests).await?;

    let mut report = format!(
        "{}; load {before} before and {} after; {} rounds of {} requests, all on one CPU.\n\n",
        machine::describe(),
        machine::load(),
        options.rounds,
        options.requests
    );
    report += &table(&contestants, &results)?;
    let (goals, held) = goals(&results)?;
    report += &goals;
    println!("{report}");

    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", json!(results)))?;
    }
    if let Some(file) = &options.write {
        replace(file, &report)?;
        fs::write(
            file.with_file_name("plot.svg"),
            plot::svg(&contestants, &results),
        )?;
    }
    Ok(held)
}

/// Each round begins with another contestant.
pub(crate) async fn measure(
    folder: &Path,
    contestants: &[Contestant],
    rounds: usize,
    requests: usize,
) -> Result<BTreeMap<&'static str, Figures>> {
    let world = World::new().await?;
    contestants
        .iter()
        .try_for_each(|contestant| contestant.refresh(folder))?;
    let mut measured = vec![Vec::new(); contestants.len()];
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            measured[at].push(contestants[at].round(&world, folder, requests).await?);
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    let figures = contestants.iter().zip(measured);
    figures
        .map(|(contestant, rounds)| {
            Ok((
                contestant.name,
                summarise(&rounds, contestant.package_bytes(folder)?),
            ))
        })
        .collect()
}

fn table(contestants: &[Contestant], results: &BTreeMap<&str, Figures>) -> Result<String> {
    let mut table = String::from("| |");
    Figure::ALL
        .iter()
        .try_for_each(|figure| write!(table, " {} |", figure.heading()))?;
    write!(table, "\n|---|{}", "--:|".repeat(Figure::ALL.len()))?;
    for contestant in contestants {
        write!(table, "\n| {} |", contestant.title)?;
        for spread in results[contestant.name].values() {
            let [low, high] = spread.quartiles.map(rounded);
            let median = rounded(spread.median);
            if low == high {
                write!(table, " {median} |")?
            } else {
                write!(table, " {median} <sub>{low}–{high}</sub> |")?
            }
        }
    }
    Ok(table + "\n\nMedians; small, the quartiles over the rounds.\n")
}

/// Three digits, which is more than the machine holds.
fn rounded(value: f64) -> String {
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 4.0);
    format!("{value:.0$}", digits as usize)
}

/// The goals as a table, and whether every one that must be reached is.
fn goals(results: &BTreeMap<&str, Figures>) -> Result<(String, bool)> {
    let (mut table, mut held) = (
        String::from("\n| mvdb | at most | is | |\n|---|--:|--:|---|\n"),
        true,
    );
    for goal in GOALS {
        let Some(reached) = goal.reached(results) else {
            continue;
        };
        let reaches = reached <= goal.at_most;
        held &= reaches || goal.aim;
        let verdict = match (reaches, goal.aim) {
            (true, _) => "reached",
            (false, true) => "aimed at, not reached",
            (false, false) => "**MISSED**",
        };
        let (who, heading) = (goal.who.replace("mvdb-", "mvdb, "), goal.figure.heading());
        let (beside, unit) = goal.beside.map_or((String::new(), ""), |other| {
            (format!(" beside {other}"), "×")
        });
        writeln!(
            table,
            "| {who}: {heading}{beside} | {}{unit} | {}{unit} | {verdict} |",
            rounded(goal.at_most),
            rounded(reached)
        )?;
    }
    Ok((table, held))
}

/// Puts `report` between the marks.
fn replace(file: &Path, report: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- measured -->\n", "<!-- /measured -->\n"];
    let text = fs::read_to_string(file)?;
    let parts = text
        .split_once(MARKS[0])
        .and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) =
        parts.with_context(|| format!("{} lacks the marks {MARKS:?}", file.display()))?;
    Ok(fs::write(
        file,
        [before, MARKS[0], report, MARKS[1], after].concat(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            ["0.0125", "2.53", "27.6", "330", "8048"],
            [0.0125, 2.534, 27.61, 330.4, 8048.2]
                .map(rounded)
                .each_ref()
                .map(String::as_str)
        );
    }
}
