//! Large tables on large pages.
//!
//! Tables of megabytes that are read at random places miss the translation cache as often as the
//! data cache, and on a virtual machine that costs as much again. On Linux, memory that is marked
//! before its first use is backed by pages of 2 MiB where the system has them, but only pages that
//! lie in it whole: so a table begins at such a page and has the last one to itself.

use std::ops::{Deref, DerefMut};

const PAGE: usize = 2 << 20;
/// Tables from this size on get pages of their own.
const LEAST: usize = PAGE / 4;

/// A table of fixed length, on large pages if that pays and can be had.
#[derive(Debug)]
pub struct Table<T> {
    items: Vec<T>,
    /// Where the first large page begins.
    start: usize,
}

impl<T: Copy> Table<T> {
    /// A table of `len` items, all the same.
    pub fn filled(len: usize, item: T) -> Table<T> {
        let bytes = len * size_of::<T>();
        if bytes < LEAST || !PAGE.is_multiple_of(size_of::<T>().max(1)) {
            return Table { items: vec![item; len], start: 0 };
        }
        let room = (bytes.next_multiple_of(PAGE) + PAGE) / size_of::<T>();
        let mut items = Vec::with_capacity(room);
        let address = items.as_ptr() as usize;
        let start = (address.next_multiple_of(PAGE) - address) / size_of::<T>();
        mark(&items, start * size_of::<T>(), bytes.next_multiple_of(PAGE));
        items.resize(start + len, item);
        Table { items, start }
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.items[self.start..]
    }
}

impl<T> DerefMut for Table<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[self.start..]
    }
}

#[cfg(target_os = "linux")]
fn mark<T>(items: &Vec<T>, from: usize, bytes: usize) {
    let allocated = items.capacity() * size_of::<T>();
    if from + bytes <= allocated {
        // SAFETY: the range lies inside the vector's own allocation, and the advice changes how
        // memory is backed, not what it holds. A failure changes nothing, so it is not looked at.
        unsafe {
            libc::madvise(items.as_ptr().byte_add(from) as *mut _, bytes, libc::MADV_HUGEPAGE)
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn mark<T>(_items: &Vec<T>, _from: usize, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_is_what_a_vector_is() {
        for len in [0, 1, 1000, 100_000, 300_000, 1_000_000] {
            let mut table = Table::filled(len, 7u64);
            let mut vector = vec![7u64; len];
            assert_eq!(*table, *vector);
            for at in (0..len).step_by(977) {
                table[at] = at as u64;
                vector[at] = at as u64;
            }
            assert_eq!(*table, *vector);
        }
    }
}
