//! The values of several collections by key.

use dataflow::prelude::{
    Element, Flatten, GroupByKey, Iterable, PCollection, PCollectionList, PTransform, ParDo,
};

use crate::map::Map;
use crate::tagged::{PutTag, TaggedIterable, TaggedValue};

type Pairs<K, V> = PCollection<(K, V)>;
type Three<K, B, C, D> = (Pairs<K, B>, Pairs<K, C>, Pairs<K, D>);

/// Every key that any of two to four collections has, once, with the values of each of them.
///
/// A collection without a value for a key gives an empty iterable. The values may be more than
/// memory holds, and are in no order; keys are equal if their encodings are.
///
/// ```
/// # use dataflow::prelude::{Create, PCollection, Pipeline};
/// # use basic::{CoGroupByKey, Map, TaggedIterable};
/// let pipeline = Pipeline::new();
/// let mails = pipeline.apply(Create::of([("ann".to_owned(), "ann@example.org".to_owned())]));
/// let phones = pipeline.apply(Create::of([("ann".to_owned(), 123i64), ("bob".to_owned(), 456)]));
/// type Found = (String, (TaggedIterable<String>, TaggedIterable<i64>));
/// let counts = mails.apply(CoGroupByKey::with(&phones)).apply(Map::of(
///     |(name, (mails, phones)): Found| (name, mails.iter().count() + phones.iter().count()),
/// ));
/// ```
///
/// Source: Beam, "CoGroupByKey".
#[derive(Debug, Clone)]
pub struct CoGroupByKey<Others>(Others);

impl<K, B> CoGroupByKey<(Pairs<K, B>,)> {
    /// The collection that it is applied to, and this one.
    pub fn with(second: &Pairs<K, B>) -> Self {
        Self((second.clone(),))
    }

    /// This one too.
    pub fn and<C>(self, third: &Pairs<K, C>) -> CoGroupByKey<(Pairs<K, B>, Pairs<K, C>)> {
        CoGroupByKey((self.0.0, third.clone()))
    }
}

impl<K, B, C> CoGroupByKey<(Pairs<K, B>, Pairs<K, C>)> {
    /// This one too.
    pub fn and<D>(self, fourth: &Pairs<K, D>) -> CoGroupByKey<Three<K, B, C, D>> {
        CoGroupByKey((self.0.0, self.0.1, fourth.clone()))
    }
}

/// A collection of pairs with this tag on every value.
fn tagged<K: Element, V: Element>(
    collection: &PCollection<(K, V)>,
    tag: u8,
) -> PCollection<(K, TaggedValue)> {
    collection.apply_named(&format!("Tag{tag}"), ParDo::of(PutTag::of(tag)))
}

macro_rules! co_group {
    ($($($type:ident $place:tt $tag:literal),+;)+) => {$(
        impl<K: Element, A: Element, $($type: Element),+> PTransform<PCollection<(K, A)>>
            for CoGroupByKey<($(PCollection<(K, $type)>,)+)>
        {
            type Output = PCollection<(K, (TaggedIterable<A>, $(TaggedIterable<$type>),+))>;

            fn expand(self, input: PCollection<(K, A)>) -> Self::Output {
                let others = [$(tagged(&self.0.$place, $tag)),+];
                let all = PCollectionList::of(&tagged(&input, 0), others).apply(Flatten);
                all.apply(GroupByKey).apply(Map::of(
                    |(key, all): (K, Iterable<TaggedValue>)| {
                        let first = TaggedIterable::of(&all, 0);
                        (key, (first, $(TaggedIterable::<$type>::of(&all, $tag)),+))
                    },
                ))
            }
        }
    )+};
}

co_group! {
    B 0 1;
    B 0 1, C 1 2;
    B 0 1, C 1 2, D 2 3;
}
