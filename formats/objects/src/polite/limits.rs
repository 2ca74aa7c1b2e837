//! How much is asked of one host, as users say it.

use std::num::NonZeroUsize;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// Requests in flight to one host where nothing is said: a web server is somebody's machine, a
/// cloud is made for crowds.
const WEB_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
const CLOUD_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// The most that one host is asked for, by all clients of the process together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Requests in flight at once; a request is in flight until its answer is read. Without one, 16
    /// to a web server and 64 to a cloud.
    pub max_in_flight: Option<NonZeroUsize>,
    /// Microseconds between the beginnings of two requests; 0 for no limit.
    pub interval_us: u64,
    /// Milliseconds for which a request that is refused with 429 or 503 is sent again; no run fails
    /// for throttling before.
    pub throttle_wait_ms: u64,
    /// Milliseconds until the first repetition where the server does not say how many, doubled with
    /// each further refusal up to a minute.
    pub first_wait_ms: u64,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self { max_in_flight: None, interval_us: 0, throttle_wait_ms: 600_000, first_wait_ms: 1000 }
    }
}

impl HostLimits {
    /// Sets the number of requests in flight at once.
    #[must_use]
    pub fn with_max_in_flight(mut self, count: NonZeroUsize) -> Self {
        self.max_in_flight = Some(count);
        self
    }

    /// Sets how many requests begin in a second; less than one is allowed.
    ///
    /// In any span of T seconds at most `rate` x T + 1 requests begin.
    ///
    /// # Errors
    /// A rate that is no positive number, or less than one request in a day.
    pub fn with_requests_per_second(mut self, rate: f64) -> Result<Self> {
        const DAY_US: f64 = 86_400e6;
        let interval = 1e6 / rate;
        if rate.is_nan() || rate <= 0.0 || interval > DAY_US {
            let message = format!("{rate} is no number of requests in a second");
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
            return Err(error.mend("give a positive number, such as 5 or 0.5"));
        }
        self.interval_us = interval.ceil() as u64;
        Ok(self)
    }

    /// Sets for how many milliseconds throttled requests are sent again.
    #[must_use]
    pub fn with_throttle_wait_ms(mut self, wait_ms: u64) -> Self {
        self.throttle_wait_ms = wait_ms;
        self
    }

    /// Sets the milliseconds until the first repetition, where the server does not say how many.
    #[must_use]
    pub fn with_first_wait_ms(mut self, wait_ms: u64) -> Self {
        self.first_wait_ms = wait_ms;
        self
    }

    /// The same, for one kind of host where nothing is said.
    pub(crate) fn of_host(mut self, is_cloud: bool) -> Self {
        let most = if is_cloud { CLOUD_IN_FLIGHT } else { WEB_IN_FLIGHT };
        self.max_in_flight.get_or_insert(most);
        self
    }

    /// Requests in flight at once.
    pub(super) fn most_in_flight(&self) -> usize {
        self.max_in_flight.unwrap_or(WEB_IN_FLIGHT).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_intervals() {
        let interval = |rate| HostLimits::default().with_requests_per_second(rate);
        assert_eq!(interval(4.0).map(|it| it.interval_us), Ok(250_000));
        assert_eq!(interval(0.5).map(|it| it.interval_us), Ok(2_000_000));
        for rate in [0.0, -1.0, f64::NAN, 1e-9] {
            let error = interval(rate).expect_err("no rate");
            assert!(error.to_string().contains("positive"), "{error}");
        }
        assert_eq!(interval(f64::INFINITY).map(|it| it.interval_us), Ok(0));
    }
}
