//! How are readings summed by hour, and by visit, from the times that they carry?
//!
//! `cargo run --example windows`

use std::time::Duration;

use levain::prelude::*;

/// A sensor, seconds since midnight, and what was counted.
type Reading = (String, i64, i64);

const READINGS: [(&str, i64, i64); 6] = [
    ("door", 600, 2),
    ("door", 900, 3),
    ("gate", 3500, 1),
    ("door", 3700, 4),
    ("gate", 3650, 5),
    ("door", 9000, 1),
];

/// What each sensor has counted in each window.
fn sums(readings: &PCollection<Reading>, windows: WindowInto) -> PCollection<String> {
    let timed = readings.apply(WithTimestamps::of(|reading: &Reading| at_second(reading.1)));
    let counts = timed.apply(Map::of(|(sensor, _, count): Reading| (sensor, count)));
    let sums = counts.apply(windows).apply(CombinePerKey::of(Sum::<i64>::new()));
    let shown = |((sensor, sum), _, window): ((String, i64), Timestamp, Window)| match window {
        Window::Interval { start, end } => {
            format!("{sensor} {sum} from {} to {}", start.millis() / 1000, end.millis() / 1000)
        }
        _ => format!("{sensor} {sum}"),
    };
    sums.apply(ReifyWindows).apply(Map::of(shown))
}

fn at_second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// The sums by hour and by visit, each sorted. A visit ends when nothing comes for ten minutes.
pub(crate) fn run() -> Result<(Vec<String>, Vec<String>)> {
    let pipeline = Pipeline::new();
    let readings = READINGS.map(|(sensor, second, count)| (sensor.to_owned(), second, count));
    let readings = pipeline.apply(Create::of(readings));
    let hours = WindowInto::of(FixedWindows::of(Duration::from_secs(3600)));
    let visits = WindowInto::of(Sessions::with_gap(Duration::from_secs(600)));
    let by_hour = sums(&readings, hours).collect();
    let by_visit = sums(&readings, visits).collect();

    let report = pipeline.run(&DirectRunner::new())?;
    let sorted = |of: &Collected<String>| -> Result<Vec<String>> {
        let mut lines: Vec<String> = report.get(of)?.iter().collect();
        lines.sort();
        Ok(lines)
    };
    Ok((sorted(&by_hour)?, sorted(&by_visit)?))
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    let (by_hour, by_visit) = run()?;
    println!("by hour\n  {}\nby visit\n  {}", by_hour.join("\n  "), by_visit.join("\n  "));
    Ok(())
}
