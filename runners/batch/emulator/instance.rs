//! What a job can ask its machine: whether it is about to be taken away.
//!
//! Paths are those of the EC2 instance metadata service, version 2, below the place that a job is
//! told, or below `/_emu/imds` for any job that has been given notice.

use crate::world::World;

const TOKEN: &str = "/latest/api/token";
const ACTION: &str = "/latest/meta-data/spot/instance-action";

/// The text that is answered, or nothing for 404.
pub(crate) fn answer(world: &World, path: &str) -> Option<String> {
    let path = path.strip_prefix("/_emu/imds")?;
    if path.ends_with(TOKEN) {
        return Some("emulated".to_owned());
    }
    let task = path.strip_suffix(ACTION)?.trim_start_matches('/');
    let mut noticed = world.jobs.live().filter_map(|job| {
        let is_meant = task.is_empty() || job.attempts.last().is_some_and(|it| it.task_id == task);
        job.run.as_ref().filter(|_| is_meant)?.notice_ms
    });
    let gone_ms = noticed.next()?;
    Some(format!("{{\"action\": \"terminate\", \"time\": \"{}\"}}", utc(gone_ms)))
}

/// A moment as the service writes it: `2026-01-31T12:00:00Z`.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn utc(at_ms: u64) -> String {
    let (days, second) = (at_ms / 86_400_000, at_ms / 1000 % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_798_761_599_000), "2026-12-31T23:59:59Z");
        assert_eq!(utc(1_798_761_600_000), "2027-01-01T00:00:00Z");
    }
}
