//! Sources that cannot be copied as they are.
