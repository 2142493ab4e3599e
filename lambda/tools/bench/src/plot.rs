//! The comparison as a picture: bars on a logarithmic scale, for the contestants are three orders of magnitude apart.

use crate::{
    contestant::Contestant,
    figures::{Figure, Figures},
};
use std::collections::BTreeMap;

const PANELS: [(Figure, &str); 3] = [
    (
        Figure::ColdCpuMs,
        "CPU time of a cold start and its first answer, ms",
    ),
    (
        Figure::FirstInvokeOf128MbMs,
        "First answer after INIT with the CPU of 128 MB, ms",
    ),
    (Figure::WarmCpuUs, "CPU time of a warm request, µs"),
];
const LABELS: f64 = 330.0;
const BARS: f64 = 480.0;
const ROW: f64 = 24.0;
const TITLE: f64 = 40.0;

/// An SVG that reads on a light and on a dark page: it brings its own ground.
pub(crate) fn svg(contestants: &[Contestant], results: &BTreeMap<&str, Figures>) -> String {
    let panel = TITLE + ROW * contestants.len() as f64;
    let (width, height) = (LABELS + BARS + 80.0, panel * PANELS.len() as f64 + 16.0);
    let mut shapes = String::new();
    for (n, (figure, title)) in PANELS.into_iter().enumerate() {
        let top = panel * n as f64;
        shapes += &format!(
            "<text x=\"16\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>\n",
            top + 28.0
        );
        let values: Vec<f64> = contestants
            .iter()
            .map(|contestant| results[contestant.name][&figure].median.max(1e-3))
            .collect();
        // The shortest bar has a length too.
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min).log10() - 0.25;
        let highest = values.iter().copied().fold(0.0, f64::max).log10();
        for (row, (contestant, value)) in contestants.iter().zip(values).enumerate() {
            let y = top + TITLE + ROW * row as f64;
            let length = BARS * (value.log10() - lowest) / (highest - lowest);
            let colour = if contestant.name.starts_with("mvdb") {
                "#c2410c"
            } else {
                "#64748b"
            };
            let number = if value < 10.0 {
                format!("{value:.2}")
            } else {
                format!("{value:.0}")
            };
            shapes += &format!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n",
                LABELS - 8.0,
                y + 15.0,
                contestant.title
            );
            shapes += &format!(
                "<rect x=\"{LABELS:.0}\" y=\"{y:.0}\" width=\"{length:.0}\" height=\"18\" fill=\"{colour}\"/>\n"
            );
            shapes += &format!(
                "<text x=\"{:.0}\" y=\"{:.0}\">{number}</text>\n",
                LABELS + length + 6.0,
                y + 14.0
            );
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <title>mvdb beside others, on a logarithmic scale</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{shapes}</svg>\n"
    )
}
