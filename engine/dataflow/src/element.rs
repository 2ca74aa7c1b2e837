//! What may flow through a pipeline.
//!
//! An [`Element`] is a value that can be cloned, sent between threads and encoded. Its type names
//! its coder, so that a pipeline never has to. Read [`crate::coder`] next.

use bytes::Bytes;

use crate::coder::{
    BoolCoder, BytesCoder, Coder, DoubleCoder, IterableCoder, KvCoder, NullableCoder, OpaqueCoder,
    SmallIntCoder, TupleCoder, UnitCoder, Utf8Coder, VarIntCoder,
};

/// A value that can flow through a pipeline.
///
/// Primitives, strings, byte vectors, options, vectors and tuples are elements. Types of your own
/// become elements with `#[derive(Element)]`, which encodes them as CBOR through serde; foreign
/// serde types through [`crate::coder::Cbor`].
///
/// ```
/// use dataflow::coder::{Coder, Context};
/// use dataflow::element::Element;
///
/// let mut bytes = Vec::new();
/// <(String, i64)>::coder().encode(&("ab".to_owned(), 300), Context::Nested, &mut bytes)?;
/// assert_eq!(bytes, [2, b'a', b'b', 0xac, 0x02]);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot flow through a pipeline: it is no `Element`",
    label = "this type has no coder",
    note = "put `#[derive(Clone, Serialize, Deserialize, Element)]` on your own type",
    note = "wrap a serde type of another crate in `Cbor<T>`; bytes are `Vec<u8>` or `Bytes`"
)]
pub trait Element: Clone + Send + Sync + Sized + 'static {
    /// The type of the coder.
    type Coder: Coder<Self>;

    /// The coder of every collection of this type.
    fn coder() -> Self::Coder;

    /// Bytes that this value owns outside of itself: they bound batches and are accounted.
    ///
    /// An estimate suffices; too little makes batches larger than meant.
    fn heap_bytes(&self) -> usize {
        0
    }
}

macro_rules! elements {
    ($($type:ty => $coder:ident;)+) => {$(
        impl Element for $type {
            type Coder = $coder;

            fn coder() -> Self::Coder {
                $coder
            }
        }
    )+};
}

elements! {
    () => UnitCoder;
    bool => BoolCoder;
    i8 => SmallIntCoder;
    i16 => SmallIntCoder;
    i32 => SmallIntCoder;
    i64 => VarIntCoder;
    u16 => SmallIntCoder;
    u32 => SmallIntCoder;
    u64 => OpaqueCoder;
    usize => OpaqueCoder;
    f32 => OpaqueCoder;
    f64 => DoubleCoder;
}

impl Element for String {
    type Coder = Utf8Coder;

    fn coder() -> Self::Coder {
        Utf8Coder
    }

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Element for Vec<u8> {
    type Coder = BytesCoder;

    fn coder() -> Self::Coder {
        BytesCoder
    }

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Element for Bytes {
    type Coder = BytesCoder;

    fn coder() -> Self::Coder {
        BytesCoder
    }

    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

impl<T: Element> Element for Option<T> {
    type Coder = NullableCoder<T::Coder>;

    fn coder() -> Self::Coder {
        NullableCoder(T::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, Element::heap_bytes)
    }
}

impl<T: Element> Element for Vec<T> {
    type Coder = IterableCoder<T::Coder>;

    fn coder() -> Self::Coder {
        IterableCoder(T::coder())
    }

    fn heap_bytes(&self) -> usize {
        let held = self.capacity() * size_of::<T>();
        self.iter().fold(held, |sum, value| sum + value.heap_bytes())
    }
}

impl<K: Element, V: Element> Element for (K, V) {
    type Coder = KvCoder<K::Coder, V::Coder>;

    fn coder() -> Self::Coder {
        KvCoder(K::coder(), V::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

impl<A: Element, B: Element, C: Element> Element for (A, B, C) {
    type Coder = TupleCoder<(A::Coder, B::Coder, C::Coder)>;

    fn coder() -> Self::Coder {
        TupleCoder((A::coder(), B::coder(), C::coder()))
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes() + self.2.heap_bytes()
    }
}

impl<A: Element, B: Element, C: Element, D: Element> Element for (A, B, C, D) {
    type Coder = TupleCoder<(A::Coder, B::Coder, C::Coder, D::Coder)>;

    fn coder() -> Self::Coder {
        TupleCoder((A::coder(), B::coder(), C::coder(), D::coder()))
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes() + self.2.heap_bytes() + self.3.heap_bytes()
    }
}
