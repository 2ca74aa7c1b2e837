//! When the next request to a host may begin. Pure: the time is told, as it passed since any start.
//!
//! A token bucket that holds one token spaces the beginnings of requests. What a host that refuses
//! has to bear is halved, and grows again with every answer that is no refusal (additive increase,
//! multiplicative decrease, as TCP shares a line).

use std::time::Duration;

use crate::polite::limits::HostLimits;

/// The least part of the limits that is used, and by how much it grows with a good answer.
const SHARE_MIN: f64 = 1.0 / 64.0;
const SHARE_STEP: f64 = 1.0 / 64.0;
/// The longest wait that is chosen here; a server may ask for more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is under way to one host, and what it has asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pace {
    in_flight: usize,
    /// When the bucket holds a token again.
    next: Duration,
    /// Nothing begins before.
    paused_until: Duration,
    /// The part of the limits that is used, up to 1.
    share: f64,
    /// When the host refused last in a way that counted, and how often in a row it did.
    refused_at: Option<Duration>,
    refusal_count: u32,
}

/// Whether a request may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It begins.
    Now,
    /// Not before this time; then it asks again.
    At(Duration),
    /// When another one has ended.
    AfterAnother,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            in_flight: 0,
            next: Duration::ZERO,
            paused_until: Duration::ZERO,
            share: 1.0,
            refused_at: None,
            refusal_count: 0,
        }
    }
}

impl Pace {
    /// Lets a request begin, if it may; clients with other limits are counted, too.
    pub(super) fn admit(&mut self, now: Duration, limits: &HostLimits) -> Turn {
        if now < self.paused_until {
            return Turn::At(self.paused_until);
        }
        let most = ((limits.most_in_flight() as f64 * self.share) as usize).max(1);
        if self.in_flight >= most {
            return Turn::AfterAnother;
        }
        if now < self.next && limits.interval_us > 0 {
            return Turn::At(self.next);
        }
        self.in_flight += 1;
        let interval = Duration::from_micros(limits.interval_us).div_f64(self.share);
        self.next = self.next.max(now + interval);
        Turn::Now
    }

    /// A request has ended, however it did.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The host has answered a request, and not with a refusal.
    pub(super) fn answered(&mut self) {
        self.share = (self.share + SHARE_STEP).min(1.0);
        self.refusal_count = 0;
    }

    /// The host has refused a request that began at `began`, and wants to be left alone for so long
    /// as it `asked`.
    ///
    /// Of requests that were under way together only the first halves what follows: their refusals
    /// say one thing.
    pub(super) fn refused(
        &mut self,
        began: Duration,
        now: Duration,
        asked: Option<Duration>,
        limits: &HostLimits,
    ) {
        let is_new = self.refused_at.is_none_or(|last| began >= last);
        if is_new {
            self.share = (self.share / 2.0).max(SHARE_MIN);
            self.refusal_count = self.refusal_count.saturating_add(1);
            self.refused_at = Some(now);
        }
        let doublings = self.refusal_count.saturating_sub(1).min(16);
        let chosen = Duration::from_millis(limits.first_wait_ms).saturating_mul(1 << doublings);
        // Whoever waits longer than it is sent again would fail without asking once more.
        let longest = Duration::from_millis(limits.throttle_wait_ms);
        let wait = asked.unwrap_or(chosen.min(LONGEST_WAIT)).min(longest);
        self.paused_until = self.paused_until.max(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn limits(max_in_flight: usize, per_second: f64) -> HostLimits {
        let most = NonZeroUsize::new(max_in_flight).expect("not zero");
        let limits = HostLimits::default().with_max_in_flight(most);
        limits.with_requests_per_second(per_second).expect("a rate")
    }

    #[test]
    fn no_more_are_in_flight_than_may_be() {
        let (mut pace, limits) = (Pace::default(), limits(2, f64::INFINITY));
        let admit = |pace: &mut Pace| pace.admit(ms(0), &limits);
        assert_eq!([admit(&mut pace), admit(&mut pace)], [Turn::Now; 2]);
        assert_eq!(admit(&mut pace), Turn::AfterAnother);
        pace.end();
        assert_eq!(admit(&mut pace), Turn::Now);
    }

    #[test]
    fn requests_begin_no_closer_than_the_rate_says() {
        let (mut pace, limits) = (Pace::default(), limits(100, 10.0));
        let mut began = Vec::new();
        for now in (0..1000).map(ms) {
            if pace.admit(now, &limits) == Turn::Now {
                began.push(now);
            }
        }
        assert_eq!(began.len(), 10);
        assert!(began.windows(2).all(|pair| pair[1] - pair[0] >= ms(100)), "{began:?}");
        assert_eq!(pace.admit(ms(901), &limits), Turn::At(ms(1000)));
        // A long rest saves up no burst.
        assert_eq!(pace.admit(ms(5000), &limits), Turn::Now);
        assert_eq!(pace.admit(ms(5001), &limits), Turn::At(ms(5100)));
    }

    #[test]
    fn nothing_begins_while_the_host_wants_none() {
        let (mut pace, limits) = (Pace::default(), limits(8, f64::INFINITY));
        assert_eq!(pace.admit(ms(0), &limits), Turn::Now);
        pace.refused(ms(0), ms(5), Some(ms(3000)), &limits);
        pace.end();
        assert_eq!(pace.admit(ms(3004), &limits), Turn::At(ms(3005)));
        assert_eq!(pace.admit(ms(3005), &limits), Turn::Now);
    }

    #[test]
    fn a_refusal_halves_what_follows_and_answers_restore_it() {
        let (mut pace, limits) = (Pace::default(), limits(8, f64::INFINITY));
        let most = |pace: &Pace, now| {
            let mut pace = pace.clone();
            (0..20).filter(|_| pace.admit(now, &limits) == Turn::Now).count()
        };
        // Four that were under way together are one refusal.
        for now in 1..5 {
            pace.refused(ms(0), ms(now), Some(ms(0)), &limits);
        }
        assert_eq!(most(&pace, ms(10)), 4);
        pace.refused(ms(10), ms(11), Some(ms(0)), &limits);
        assert_eq!(most(&pace, ms(20)), 2);
        (0..100).for_each(|_| pace.answered());
        assert_eq!(most(&pace, ms(20)), 8);
        (20..60).for_each(|now| pace.refused(ms(now), ms(now), Some(ms(0)), &limits));
        assert_eq!(most(&pace, ms(100)), 1, "one request may always ask");
    }

    #[test]
    fn waits_double_up_to_a_minute_and_never_beyond_patience() {
        let waits = |limits: HostLimits, asked: Option<Duration>| {
            let (mut pace, mut now) = (Pace::default(), ms(0));
            let mut wait = || {
                pace.refused(now, now, asked, &limits);
                let waited = pace.paused_until - now;
                now = pace.paused_until;
                waited.as_millis()
            };
            [wait(), wait(), wait(), wait(), wait(), wait(), wait(), wait()]
        };
        let limits = HostLimits::default();
        let doubled = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(waits(limits, None), doubled);
        assert_eq!(waits(limits, Some(ms(7_200_000))), [600_000; 8]);
        assert_eq!(waits(limits.with_throttle_wait_ms(1500), None)[..3], [1000, 1500, 1500]);
    }
}
