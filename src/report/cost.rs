//! What a run has cost, by prices that somebody has configured.

use crate::report::model::{Cost, CostItem};

const HOUR_MS: f64 = 3_600_000.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// Prices, in whatever currency; what has none is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prices {
    /// Of an hour of one processor.
    pub vcpu_hour: Option<f64>,
    /// Of an hour of one GiB of memory.
    pub gib_hour: Option<f64>,
    /// Of 1000 requests that write or list.
    pub put_1k: Option<f64>,
    /// Of 1000 requests that read.
    pub get_1k: Option<f64>,
}

/// What a run has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spent {
    pub(crate) wall_ms: u64,
    pub(crate) threads: u64,
    pub(crate) memory_bytes: u64,
    /// Objects that were put into a store that counts requests.
    pub(crate) puts: u64,
    /// Requests that read from such a store, as the plan predicted them.
    pub(crate) planned_gets: u64,
}

/// What that has cost; nothing without any price.
pub(crate) fn cost_of(spent: Spent, prices: &Prices) -> Cost {
    let hours = spent.wall_ms as f64 / HOUR_MS;
    let gib_hours = hours * spent.memory_bytes as f64 / GIB;
    let used = [
        ("processors", hours * spent.threads as f64, "vCPU·h", prices.vcpu_hour, "threads by time"),
        ("memory", gib_hours, "GiB·h", prices.gib_hour, "memory limit by time"),
        (
            "writes",
            spent.puts as f64 / 1000.0,
            "1000 PUT",
            prices.put_1k,
            "objects that were committed",
        ),
        ("reads", spent.planned_gets as f64 / 1000.0, "1000 GET", prices.get_1k, "as planned"),
    ];
    let items: Vec<CostItem> = used
        .into_iter()
        .filter_map(|(what, amount, unit, price, basis)| {
            let price = price?;
            Some(CostItem {
                what: what.to_owned(),
                amount,
                unit: unit.to_owned(),
                price,
                cost: amount * price,
                basis: basis.to_owned(),
            })
        })
        .collect();
    let total = items.iter().map(|item| item.cost).sum();
    Cost { items, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_with_a_price_add_up() {
        let spent = Spent {
            wall_ms: 1_800_000,
            threads: 4,
            memory_bytes: 8 << 30,
            puts: 2000,
            planned_gets: 500,
        };
        let prices = Prices { vcpu_hour: Some(0.02), put_1k: Some(0.005), ..Prices::default() };
        let cost = cost_of(spent, &prices);
        let costs: Vec<(&str, f64)> =
            cost.items.iter().map(|item| (item.what.as_str(), item.cost)).collect();
        assert_eq!(costs, [("processors", 0.04), ("writes", 0.01)]);
        assert!((cost.total - 0.05).abs() < 1e-12);
    }
}
