//! Times as users write them: `90s`, `10m`, `1h30m`.

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("min", 60_000), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Milliseconds of a time of one or more whole numbers, each with its unit; `None` if it is none.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let mut rest = plain.as_str();
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        rest = tail;
    }
    if plain.is_empty() { None } else { Some(sum) }
}

/// A time in the greatest unit of which it is a whole number.
pub(super) fn duration_text(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let whole = units.iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(
        || if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") },
        |(name, unit)| format!("{}{name}", ms / unit),
    )
}
