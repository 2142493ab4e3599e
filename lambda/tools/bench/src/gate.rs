//! The gate: nothing that can be told apart from the machine's mood may have grown. Instructions are counted by callgrind, which gives
//! nearly the same number everywhere; CPU time is taken beside the naive contestant's in the same run; sizes are sizes.

use crate::{
    compare::measure,
    contestant::{Contestant, Roots, World},
    figures::Figure,
    machine,
};
use anyhow::{Context, Result, ensure};
use lambda_emulator::{Environment, InvocationOutcome};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Warm requests that are counted.
const REQUESTS: u64 = 200;
/// Cold starts that are counted; the least counts.
const COLD_STARTS: usize = 3;
/// Functions that a budget lists, the most expensive ones.
const LISTED: usize = 60;
/// Under callgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(120);
const SHORT: (usize, usize) = (11, 400);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The committed budgets
    #[arg(long)]
    budgets: PathBuf,
    /// The same function with its symbols, for callgrind to name
    #[arg(long)]
    twin: PathBuf,
    /// Make what is measured now the budgets
    #[arg(long)]
    update: bool,
}

/// What may be used. Bytes and instructions of the build for this machine's architecture, x86_64.
#[derive(Debug, Serialize, Deserialize)]
struct Budgets {
    /// How much more than its budget a count may be, as a part of it.
    tolerance: f64,
    /// The same for CPU time, which the machine has its part in.
    cpu_tolerance: f64,
    binary_bytes: u64,
    /// CPU time as a part of the naive contestant's.
    cpu_beside_naive: Cpu,
    /// Instructions from the start to the first answer.
    cold: Instructions,
    /// Instructions of one further request.
    warm: Instructions,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cpu {
    cold: f64,
    warm: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Instructions {
    total: u64,
    functions: BTreeMap<String, u64>,
}

pub(crate) async fn run(folder: &Path, options: &Options) -> Result<bool> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    ensure!(
        valgrind.is_ok_and(|found| found.status.success()),
        "valgrind is missing; install it (Debian, Ubuntu: sudo apt install valgrind)"
    );
    machine::pin()?;
    let budgets: Budgets = serde_json::from_str(&fs::read_to_string(&options.budgets)?)
        .context("the budgets cannot be read")?;

    let mut cold = count(&options.twin, 0).await?;
    // Where the machine was busy, the slowed-down start took longer than an attempt may, and made a second one.
    for _ in 1..COLD_STARTS {
        let again = count(&options.twin, 0).await?;
        if again.total < cold.total {
            cold = again;
        }
    }
    let warm = count(&options.twin, REQUESTS)
        .await?
        .minus(&cold)
        .each_of(REQUESTS);
    let cpu = cpu_beside_naive(folder).await?;
    let found = Budgets {
        binary_bytes: fs::metadata(folder.join("movies/bootstrap"))?.len(),
        cpu_beside_naive: cpu,
        cold,
        warm,
        tolerance: budgets.tolerance,
        cpu_tolerance: budgets.cpu_tolerance,
    };
    if options.update {
        let listed = Budgets {
            cold: found.cold.listed(),
            warm: found.warm.listed(),
            ..found
        };
        fs::write(
            &options.budgets,
            serde_json::to_string_pretty(&listed)? + "\n",
        )?;
        println!("{} is what was measured now", options.budgets.display());
        return Ok(true);
    }

    let mut held = true;
    let mut judge = |what: &str, budget: f64, is: f64, tolerance: f64| {
        let fits = is <= budget * (1.0 + tolerance);
        held &= fits;
        let verdict = if fits { "" } else { "  TOO MUCH" };
        println!(
            "{what:<38} {is:>14.3}  budget {budget:>14.3}  {:>+7.1} %{verdict}",
            (is / budget - 1.0) * 100.0
        );
        fits
    };
    judge(
        "CPU time, cold, beside naive",
        budgets.cpu_beside_naive.cold,
        found.cpu_beside_naive.cold,
        budgets.cpu_tolerance,
    );
    judge(
        "CPU time, warm, beside naive",
        budgets.cpu_beside_naive.warm,
        found.cpu_beside_naive.warm,
        budgets.cpu_tolerance,
    );
    judge(
        "bytes of the binary",
        budgets.binary_bytes as f64,
        found.binary_bytes as f64,
        budgets.tolerance,
    );
    for (what, budget, is) in [
        ("cold", &budgets.cold, &found.cold),
        ("warm", &budgets.warm, &found.warm),
    ] {
        if !judge(
            &format!("instructions, {what}"),
            budget.total as f64,
            is.total as f64,
            budgets.tolerance,
        ) {
            for (function, more, before) in is.grown(budget).into_iter().take(5) {
                println!("    {more:>+10} in {function} (was {before})");
            }
        }
    }
    Ok(held)
}

async fn cpu_beside_naive(folder: &Path) -> Result<Cpu> {
    let contestants = Contestant::of(&["mvdb".into(), "naive".into()])?;
    let results = measure(folder, &contestants, SHORT.0, SHORT.1).await?;
    // The lower quartile: what else the machine does makes a round slower, never quicker.
    let low = |contestant: &str, figure| results[contestant][&figure].quartiles[0];
    let ratio = |figure: Figure| low("mvdb", figure) / low("naive", figure);
    Ok(Cpu {
        cold: ratio(Figure::ColdCpuMs),
        warm: ratio(Figure::WarmCpuUs),
    })
}

/// The instructions of a cold start, its first answer and so many further ones.
async fn count(twin: &Path, requests: u64) -> Result<Instructions> {
    let folder = tempfile::tempdir()?;
    let (bootstrap, out) = (folder.path().join("bootstrap"), folder.path().join("out"));
    let tool = format!(
        "valgrind --tool=callgrind --callgrind-out-file={}",
        out.display()
    );
    fs::write(
        &bootstrap,
        format!(
            "#!/bin/sh\nexec {tool} {}\n",
            fs::canonicalize(twin)?.display()
        ),
    )?;
    fs::set_permissions(&bootstrap, Permissions::from_mode(0o755))?;

    let world = World::new().await?;
    let mut environment = Environment::start(
        world
            .launch(&bootstrap, Roots::CompiledIn)
            .init_limit(PATIENCE),
    )
    .await?;
    for _ in 0..=requests {
        let answer = environment
            .invoke(world.event().clone().time_limit(PATIENCE))
            .await?;
        ensure!(
            matches!(answer.outcome, InvocationOutcome::Response(_)),
            "{:?}; it wrote {:#?}",
            answer.outcome,
            environment.lines()
        );
    }
    environment.end(PATIENCE).await?;
    Instructions::read(&fs::read_to_string(out)?)
}

impl Instructions {
    /// Reads callgrind's output: what each function did itself. (`fn=(7) name`, later `fn=(7)`, begins a function, which may have been
    /// named as a callee, `cfn=`; a line of costs begins with a position; the one after `calls=` is the callee's.)
    fn read(text: &str) -> Result<Self> {
        let (mut names, mut functions, mut current) = (
            BTreeMap::new(),
            BTreeMap::<String, u64>::new(),
            String::new(),
        );
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some((kind @ ("fn" | "cfn"), function)) = line.split_once('=') {
                let (id, name) = function.split_once(' ').unwrap_or((function, ""));
                let known = names.entry(id).or_insert_with(|| plain(name));
                if kind == "fn" {
                    current.clone_from(known);
                }
            } else if line.starts_with("calls=") {
                lines.next();
            } else if line
                .starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            {
                let cost = line
                    .split(' ')
                    .nth(1)
                    .and_then(|cost| cost.parse::<u64>().ok())
                    .with_context(|| format!("'{line}' is no cost"))?;
                *functions.entry(current.clone()).or_default() += cost;
            }
        }
        let total = functions.values().sum();
        ensure!(total > 0, "callgrind counted nothing");
        Ok(Self { total, functions })
    }

    fn minus(mut self, other: &Self) -> Self {
        self.total -= other.total.min(self.total);
        for (name, count) in &mut self.functions {
            *count = count.saturating_sub(other.functions.get(name).copied().unwrap_or_default());
        }
        self
    }

    fn each_of(mut self, requests: u64) -> Self {
        self.total /= requests;
        self.functions
            .values_mut()
            .for_each(|count| *count /= requests);
        self
    }

    fn listed(&self) -> Self {
        let mut functions: Vec<_> = self.functions.iter().collect();
        functions.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let functions = functions
            .into_iter()
            .take(LISTED)
            .map(|(name, count)| (name.clone(), *count))
            .collect();
        Self {
            total: self.total,
            functions,
        }
    }

    /// Who needs more than in `budget`, by how much, and what it was. Who is not listed there may have had as much as the least of those.
    fn grown<'a>(&'a self, budget: &Self) -> Vec<(&'a str, u64, u64)> {
        let least = budget.functions.values().min().copied().unwrap_or_default();
        let before = |name: &str| budget.functions.get(name).copied().unwrap_or(least);
        let mut grown: Vec<_> = self
            .functions
            .iter()
            .filter(|(name, count)| **count > before(name))
            .map(|(name, count)| (name.as_str(), count - before(name), before(name)))
            .collect();
        grown.sort_by_key(|(_, more, _)| std::cmp::Reverse(*more));
        grown
    }
}

/// A function's name without what differs from build to build: the hash, and callgrind's count of recursions.
fn plain(name: &str) -> String {
    let name = name.split('\'').next().unwrap_or(name);
    let hash = |part: &str| {
        part.len() == 17
            && part.starts_with('h')
            && part[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    name.rsplit_once("::")
        .filter(|(_, last)| hash(last))
        .map_or(name, |(name, _)| name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "events: Ir\nfl=(1) ???\nfn=(7) a::b::h0123456789abcdef\n0 100\n+3 5\ncfn=(8) c\ncalls=2 0\n* 1000\n\nfn=(8)\n0 50\nfn=(7)\n0 1\n";

    #[test]
    fn a_function_is_charged_with_what_it_does_itself() {
        let counted = Instructions::read(OUT).unwrap();
        assert_eq!(
            counted.functions,
            BTreeMap::from([("a::b".into(), 106), ("c".into(), 50)])
        );
        assert_eq!(counted.total, 156);
        assert!(Instructions::read("events: Ir\n").is_err());
    }

    #[test]
    fn who_grew_is_named_first() {
        let instructions = |counts: &[(&str, u64)]| Instructions {
            total: counts.iter().map(|(_, count)| count).sum(),
            functions: counts
                .iter()
                .map(|(name, count)| ((*name).into(), *count))
                .collect(),
        };
        let budget = instructions(&[("a", 100), ("b", 50), ("c", 10)]);
        let is = instructions(&[("a", 101), ("b", 150), ("c", 9), ("new", 60), ("small", 8)]);
        assert_eq!(
            is.grown(&budget),
            [("b", 100, 50), ("new", 50, 10), ("a", 1, 100)]
        );
    }
}
