//! What is measured, in which unit it is shown, and what of it mvdb must reach.

use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// What one round of a contestant showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) cold_cpu: Duration,
    pub(crate) cold_total: Duration,
    pub(crate) first_invoke: Duration,
    pub(crate) first_invoke_of_128_mb: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) warm_cpu: Duration,
    pub(crate) resident_bytes: u64,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    ColdCpuMs,
    ColdTotalMs,
    FirstInvokeMs,
    #[serde(rename = "first_invoke_of_128_mb_ms")]
    FirstInvokeOf128MbMs,
    P50Us,
    P99Us,
    WarmCpuUs,
    RequestsPerCpuSecond,
    ResidentMb,
    PackageKb,
}

use Figure::*;

impl Figure {
    pub(crate) const ALL: [Self; 10] = [
        ColdCpuMs,
        ColdTotalMs,
        FirstInvokeMs,
        FirstInvokeOf128MbMs,
        P50Us,
        P99Us,
        WarmCpuUs,
        RequestsPerCpuSecond,
        ResidentMb,
        PackageKb,
    ];

    pub(crate) fn heading(self) -> &'static str {
        match self {
            ColdCpuMs => "cold CPU, ms",
            ColdTotalMs => "cold total, ms",
            FirstInvokeMs => "first invoke, ms",
            FirstInvokeOf128MbMs => "first invoke of 128 MB, ms",
            P50Us => "warm p50, µs",
            P99Us => "warm p99, µs",
            WarmCpuUs => "CPU per warm request, µs",
            RequestsPerCpuSecond => "requests per CPU second",
            ResidentMb => "max RSS, MB",
            PackageKb => "zip, KB",
        }
    }
}

/// Median and quartiles over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) quartiles: [f64; 2],
}

/// What a contestant was found to be.
pub(crate) type Figures = BTreeMap<Figure, Spread>;

pub(crate) fn summarise(rounds: &[Round], package_bytes: u64) -> Figures {
    let spread_of = |value: &dyn Fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        Spread {
            median: quantile(&values, 0.5),
            quartiles: [quantile(&values, 0.25), quantile(&values, 0.75)],
        }
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let figures = Figure::ALL.map(|figure| {
        let spread = spread_of(&|round| match figure {
            ColdCpuMs => ms(round.cold_cpu),
            ColdTotalMs => ms(round.cold_total),
            FirstInvokeMs => ms(round.first_invoke),
            FirstInvokeOf128MbMs => ms(round.first_invoke_of_128_mb),
            P50Us => us(round.p50),
            P99Us => us(round.p99),
            WarmCpuUs => us(round.warm_cpu),
            RequestsPerCpuSecond => 1.0 / round.warm_cpu.as_secs_f64(),
            ResidentMb => round.resident_bytes as f64 / 1e6,
            PackageKb => package_bytes as f64 / 1e3,
        });
        (figure, spread)
    });
    figures.into()
}

/// Between the values of a sorted list, by their distance.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * sorted.len().saturating_sub(1) as f64;
    let value = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    value(at.floor()) + (value(at.ceil()) - value(at.floor())) * at.fract()
}

/// What mvdb must reach: a figure of one contestant as a part of the same of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) who: &'static str,
    pub(crate) figure: Figure,
    /// Beside whom; nobody, and `at_most` is the figure itself.
    pub(crate) beside: Option<&'static str>,
    pub(crate) at_most: f64,
    /// What one aims at is said, and fails nothing.
    pub(crate) aim: bool,
}

const fn must(figure: Figure, beside: &'static str, at_most: f64) -> Goal {
    Goal {
        who: "mvdb",
        figure,
        beside: Some(beside),
        at_most,
        aim: false,
    }
}

pub(crate) const GOALS: [Goal; 11] = [
    must(ColdCpuMs, "naive", 0.12),
    must(ColdCpuMs, "flask", 1.0 / 80.0),
    must(ColdCpuMs, "limit", 2.5),
    must(ColdTotalMs, "naive", 0.17),
    must(FirstInvokeOf128MbMs, "naive", 0.01),
    must(WarmCpuUs, "naive", 0.40),
    must(WarmCpuUs, "flask", 0.1),
    must(ResidentMb, "naive", 0.5),
    must(PackageKb, "naive", 0.35),
    Goal {
        who: "mvdb",
        figure: PackageKb,
        beside: None,
        at_most: 2800.0,
        aim: false,
    },
    Goal {
        who: "mvdb",
        figure: WarmCpuUs,
        beside: Some("naive"),
        at_most: 0.27,
        aim: true,
    },
];

impl Goal {
    /// How far it is, or `None` if one of the two was not measured.
    pub(crate) fn reached(&self, results: &BTreeMap<&str, Figures>) -> Option<f64> {
        let median = |name: &str| Some(results.get(name)?.get(&self.figure)?.median);
        Some(median(self.who)? / self.beside.map_or(Some(1.0), median)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(warm_cpu: u64) -> Round {
        let time = Duration::from_millis(3);
        let warm_cpu = Duration::from_micros(warm_cpu);
        Round {
            cold_cpu: time,
            cold_total: time,
            first_invoke: time,
            first_invoke_of_128_mb: time,
            p50: time,
            p99: time,
            warm_cpu,
            resident_bytes: 5,
        }
    }

    #[test]
    fn one_bad_round_does_not_move_the_median() {
        let figures = summarise(
            &[round(100), round(9000), round(80), round(90), round(110)],
            2_000_000,
        );
        let warm = figures[&WarmCpuUs];
        assert_eq!((warm.median, warm.quartiles), (100.0, [90.0, 110.0]));
        assert_eq!(figures[&PackageKb].median, 2000.0);
        assert_eq!(figures[&RequestsPerCpuSecond].median, 10_000.0);
    }

    #[test]
    fn a_goal_is_a_part_of_what_another_needs() {
        let results = BTreeMap::from([
            ("mvdb", summarise(&[round(30)], 1)),
            ("naive", summarise(&[round(100)], 1)),
        ]);
        assert_eq!(must(WarmCpuUs, "naive", 0.4).reached(&results), Some(0.3));
        assert_eq!(
            must(WarmCpuUs, "flask", 0.4).reached(&results),
            None,
            "it was not measured"
        );
    }
}
