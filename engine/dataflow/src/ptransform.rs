//! What can be applied: primitives, and composites of them.

/// Something that turns an input (a pipeline, a collection, a list of collections) into outputs.
///
/// ```
/// use dataflow::prelude::{CombinePerKey, PCollection, PTransform};
/// # use dataflow::combine::CombineFn;
/// # #[derive(Clone)] struct Sum;
/// # impl CombineFn for Sum {
/// #     type In = i64; type Acc = i64; type Out = i64;
/// #     fn create(&self) -> i64 { 0 }
/// #     fn add(&self, accumulator: &mut i64, value: i64) { *accumulator += value; }
/// #     fn merge(&self, accumulator: &mut i64, other: i64) { *accumulator += other; }
/// #     fn extract(&self, accumulator: i64) -> i64 { accumulator }
/// # }
/// /// Adds up the sales of each shop.
/// struct SalesByShop;
///
/// impl PTransform<PCollection<(String, i64)>> for SalesByShop {
///     type Output = PCollection<(String, i64)>;
///
///     fn expand(self, sales: PCollection<(String, i64)>) -> Self::Output {
///         sales.apply(CombinePerKey::of(Sum))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be applied to `{Input}`",
    note = "look at the input type in its `impl PTransform<...>`; it must be this very type"
)]
pub trait PTransform<Input>: Sized {
    /// What comes out: a collection, several, or nothing.
    type Output;

    /// The name under which it appears when none is given; the type's own by default.
    fn name(&self) -> String {
        short_type_name::<Self>()
    }

    /// Applies it: called once, during construction.
    fn expand(self, input: Input) -> Self::Output;
}

/// The name of a type without path and parameters.
pub fn short_type_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain).to_owned()
}
