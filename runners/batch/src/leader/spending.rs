//! What a run has cost so far, by its workers' own word.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::options::{BatchOptions, CostLimit};
use crate::store::{Requests, RunStore, WorkerBeat, keys};

const HOUR_MS: f64 = 3_600_000.0;

/// Counts what a run costs, against what it may cost.
#[derive(Debug)]
pub(crate) struct Spending<'a> {
    limit: CostLimit,
    options: &'a BatchOptions,
}

impl<'a> Spending<'a> {
    /// Nothing where no limit is set.
    pub(crate) fn of(options: &'a BatchOptions) -> Option<Self> {
        options.max_cost.map(|limit| Self { limit, options })
    }

    /// Ends a run that has cost more than it may, to be resumed.
    ///
    /// Counted are the time of all workers of the run, from their start to their last heartbeat, whichever
    /// driver has started them, and requests; and what the other runs of its account have cost. Cost: a
    /// list, and a read for each worker.
    ///
    /// # Errors
    /// E506; a store that fails.
    pub(crate) fn check(&self, store: &RunStore) -> Result<()> {
        let mut beats = Vec::new();
        let facts = store.list(keys::HEARTBEATS)?.into_iter();
        let facts: Vec<_> = facts.filter(|it| it.key.contains("/w-")).collect();
        let last = |key: &str| facts.iter().find(|it| it.key == key).map(|it| it.last_modified_ms);
        for (key, beat) in store.read_all::<WorkerBeat>(facts.iter().map(|it| it.key.clone()))? {
            beats.extend(last(&key).map(|at_ms| (beat, at_ms)));
        }
        let own = self.cost(&beats, store.requests());
        let cost = self.options.account.note(&store.root().to_string(), own);
        if cost <= self.limit.most {
            return Ok(());
        }
        let message = format!("the run has cost {cost:.2}, and may cost {:.2}", self.limit.most);
        Err(Error::new(ErrorCode::RUN_LIMIT, ErrorKind::Cancelled, message)
            .at("because", "of limits.max_cost, by the prices of the settings")
            .mend("resume it with a higher limit: what is done is kept"))
    }

    /// The cost of these workers, each with the time of its last heartbeat, and of the driver's requests.
    fn cost(&self, beats: &[(WorkerBeat, i64)], driver: Requests) -> f64 {
        let CostLimit { vcpu_hour, gib_hour, put_1k, get_1k, .. } = self.limit;
        let mut requests = driver;
        let mut cost = 0.0;
        for (beat, last_ms) in beats {
            requests += beat.requests;
            let hours = (last_ms - beat.started_ms).max(0) as f64 / HOUR_MS;
            let gib = self.options.memory_mib(beat.rung) as f64 / 1024.0;
            cost += hours * (self.options.vcpus * vcpu_hour + gib * gib_hour);
        }
        let thousands = |count: u64| count as f64 / 1000.0;
        cost + thousands(requests.puts + requests.lists) * put_1k
            + thousands(requests.gets) * get_1k
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_memory_and_requests_add_up() {
        let limit =
            CostLimit { most: 1.0, vcpu_hour: 0.1, gib_hour: 0.01, put_1k: 0.005, get_1k: 0.0004 };
        let options = BatchOptions {
            max_cost: Some(limit),
            vcpus: 4.0,
            memory_ladder_mib: vec![2048, 8192],
            ..BatchOptions::default()
        };
        let asked = Requests { puts: 1000, lists: 1000, gets: 5000, ..Requests::default() };
        let beat = |rung| WorkerBeat { rung, requests: asked, ..WorkerBeat::default() };
        // An hour with 2 GiB, half an hour with 8 GiB.
        let beats = [(beat(0), 3_600_000), (beat(1), 1_800_000)];
        let spending = Spending::of(&options).expect("a limit");
        let cost = spending.cost(&beats, asked);
        let want = 0.42 + 0.24 + 3.0 * (0.01 + 0.002);
        assert!((cost - want).abs() < 1e-9, "{cost} and not {want}");
    }
}
