//! How does every element see a whole other collection: a value, a table, a list?
//!
//! `cargo run --example side_inputs`

use levain::prelude::*;

/// An item and how many of it were ordered.
type Order = (String, i64);

/// Puts out one line for each order, from three side inputs of three shapes.
#[derive(Clone)]
struct Bill {
    prices: PCollectionView<MapView<String, i64>>,
    ordered: PCollectionView<i64>,
    notes: PCollectionView<Iterable<String>>,
}

impl DoFn for Bill {
    type In = Order;
    type Out = String;

    fn process(&mut self, order: Order, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let (item, count) = order;
        let ordered = *ctx.side(&self.ordered)?;
        let prices = ctx.side(&self.prices)?;
        let price = prices.get(&item)?.map_or("unknown".to_owned(), |cents| {
            format!("{}.{:02}", cents * count / 100, cents * count % 100)
        });
        let notes = ctx.side(&self.notes)?;
        let notes: Vec<String> = notes.iter().filter(|note| note.contains(&item)).collect();
        ctx.output(format!("{count} of {ordered}: {item} {price} {}", notes.join(", ")))
    }
}

/// The lines of the bill, sorted.
pub(crate) fn run() -> Result<Vec<String>> {
    let pipeline = Pipeline::new();
    let orders = [("bread", 2), ("salt", 1), ("leaven", 1)];
    let orders = pipeline.apply(Create::of(orders.map(|(item, count)| (item.to_owned(), count))));
    let prices = [("bread", 450), ("salt", 120)].map(|(item, cents)| (item.to_owned(), cents));
    let prices = pipeline.apply_named("Prices", Create::of(prices)).as_map_view();
    let notes = ["no salt before noon".to_owned()];
    let notes = pipeline.apply_named("Notes", Create::of(notes)).as_iterable_view();
    // A side input may be made of the very collection that reads it: it is complete by then.
    let counts = orders.apply(Map::of(|(_, count): Order| count));
    let ordered = counts.apply(CombineGlobally::of(Sum::<i64>::new())).as_singleton_view();

    let bill = ParDo::of(Bill { prices, ordered, notes });
    let bill = bill.with_side(&prices).with_side(&ordered).with_side(&notes);
    let lines = orders.apply(bill).collect();

    let report = pipeline.run(&DirectRunner::new())?;
    let mut lines: Vec<String> = report.get(&lines)?.iter().collect();
    lines.sort();
    Ok(lines)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    for line in run()? {
        println!("{line}");
    }
    Ok(())
}
