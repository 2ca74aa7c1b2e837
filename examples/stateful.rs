//! How does a function remember what came before for each key, in the order of time?
//!
//! `cargo run --example stateful`

use std::time::Duration;

use levain::prelude::*;

const BALANCE: ValueState<i64> = ValueState::new("balance");
const OVERDUE: TimerFamily = TimerFamily::new("overdue");

/// Follows accounts: puts out every balance below zero, and a reminder if it stays there for a day.
#[derive(Clone)]
struct Accounts;

impl StatefulDoFn for Accounts {
    type Key = String;
    type Value = i64;
    type Out = String;

    fn process(
        &mut self,
        account: &String,
        amount: i64,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        let balance = ctx.value(&BALANCE)?.unwrap_or(0) + amount;
        ctx.set_value(&BALANCE, balance)?;
        if balance >= 0 {
            ctx.clear_timer(OVERDUE);
            return Ok(());
        }
        ctx.set_timer(OVERDUE, ctx.timestamp() + Duration::from_secs(24 * 3600))?;
        ctx.output(format!("{account}: {balance}"))
    }

    fn on_timer(
        &mut self,
        account: &String,
        _: &Timer,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        let balance = ctx.value(&BALANCE)?.unwrap_or(0);
        ctx.output(format!("{account}: still {balance} after a day"))
    }
}

/// The messages, sorted.
pub(crate) fn run() -> Result<Vec<String>> {
    // Account, hour, amount; in no order.
    let payments = [("ann", 30, 5), ("ann", 1, -20), ("bob", 2, -7), ("ann", 0, 10), ("bob", 9, 7)];
    let payments = payments.map(|(account, hour, amount)| (account.to_owned(), (hour, amount)));
    let pipeline = Pipeline::new();
    let payments: PCollection<(String, (i64, i64))> = pipeline.apply(Create::of(payments));
    let timed = payments.apply(WithTimestamps::of(|payment: &(String, (i64, i64))| {
        Timestamp::from_millis(payment.1.0 * 3_600_000)
    }));
    let amounts =
        timed.apply(Map::of(|(account, (_, amount)): (String, (i64, i64))| (account, amount)));
    let messages = amounts.apply(StatefulParDo::by_time(Accounts)).collect();

    let report = pipeline.run(&DirectRunner::new())?;
    let mut messages: Vec<String> = report.get(&messages)?.iter().collect();
    messages.sort();
    Ok(messages)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    println!("{}", run()?.join("\n"));
    Ok(())
}
