//! How fast AWS is asked: one bucket for all calls, slower when it asks for that.

use std::time::{Duration, Instant};

/// The slowest rate, in requests a second.
const SLOWEST: f64 = 0.2;
/// The rate grows by a tenth for each so many seconds without a refusal.
const GROWS_EVERY: Duration = Duration::from_secs(10);
const GROWTH: f64 = 1.1;

/// A bucket of tokens; it is told the time, and knows no clock.
#[derive(Debug)]
pub(super) struct Pace {
    limit: f64,
    rate: f64,
    tokens: f64,
    filled: Instant,
    grown: Instant,
}

impl Pace {
    /// Of so many requests a second.
    pub(super) fn new(limit: f64, now: Instant) -> Self {
        let limit = limit.max(SLOWEST);
        Self { limit, rate: limit, tokens: limit.max(1.0), filled: now, grown: now }
    }

    /// Takes a token, and says how long to wait before it may be used.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-self.tokens / self.rate)
    }

    /// Halves the rate: a request was refused because there were too many.
    pub(super) fn refused(&mut self, now: Instant) {
        self.fill(now);
        self.rate = (self.rate / 2.0).max(SLOWEST);
        self.tokens = self.tokens.min(0.0);
        self.grown = now;
    }

    fn fill(&mut self, now: Instant) {
        let steps = now.saturating_duration_since(self.grown).as_secs() / GROWS_EVERY.as_secs();
        if steps > 0 {
            let steps_now = i32::try_from(steps).unwrap_or(i32::MAX);
            self.rate = (self.rate * GROWTH.powi(steps_now)).min(self.limit);
            self.grown = now;
        }
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.limit.max(1.0));
        self.filled = now;
    }
}

/// A wait of at most `most`, drawn evenly: callers that were refused together come back apart.
pub(super) fn full_jitter(attempt: u32, first: Duration, most: Duration, draw: u64) -> Duration {
    let ceiling = first.saturating_mul(1 << attempt.min(16)).min(most);
    ceiling.mul_f64((draw >> 11) as f64 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn requests_beyond_the_rate_wait_their_turn() {
        let start = Instant::now();
        let mut pace = Pace::new(5.0, start);
        let waits: Vec<u128> = (0..8).map(|_| pace.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400, 600]);
        assert_eq!(pace.take(after(start, 1000)), Duration::ZERO);
    }

    #[test]
    fn a_refusal_halves_the_rate_and_patience_brings_it_back() {
        let start = Instant::now();
        let mut pace = Pace::new(5.0, start);
        for _ in 0..10 {
            pace.refused(start);
        }
        assert!((pace.rate - SLOWEST).abs() < 1e-9, "{}", pace.rate);
        assert_eq!(pace.take(start).as_secs(), 5);
        pace.fill(after(start, 10_000));
        assert!((pace.rate - 0.22).abs() < 1e-9, "{}", pace.rate);
        pace.fill(after(start, 1_000_000));
        assert!((pace.rate - 5.0).abs() < 1e-9, "{}", pace.rate);
    }

    #[test]
    fn waits_grow_and_have_a_limit() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(full_jitter(0, first, most, 0), Duration::ZERO);
        assert!(full_jitter(0, first, most, u64::MAX) <= first);
        assert!(full_jitter(3, first, most, u64::MAX) > Duration::from_secs(7));
        assert!(full_jitter(40, first, most, u64::MAX) <= most);
    }
}
