//! Large tables on large pages.
//!
//! Tables of megabytes that are read at random places miss the translation cache as often as the
//! data cache, and on a virtual machine that costs as much again. On Linux, memory that is marked
//! before its first use is backed by pages of 2 MiB where the system has them, but only pages that
//! lie in it whole: so a table begins at such a page and has the last one to itself.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

const PAGE: usize = 2 << 20;
/// Smaller ones begin at a cache line.
const LINE: usize = 64;
/// Tables from this size on get pages of their own.
const LEAST: usize = PAGE / 4;

/// A table on large pages if that pays and can be had. It has the length that it was made with, or
/// grows within the room that was set aside for it, which takes no memory until then.
pub struct Table<T> {
    items: NonNull<T>,
    len: usize,
    layout: Layout,
}

// SAFETY: the table owns its items, as a vector does, and gives them out by the rules of borrowing.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: as above; through a shared table there are only shared items.
unsafe impl<T: Sync> Sync for Table<T> {}

impl<T: Copy> Table<T> {
    /// A table of `len` items, all the same.
    pub fn filled(len: usize, item: T) -> Table<T> {
        Table::within(layout::<T>(len, LEAST), len, item)
    }

    /// A table of `len` items, all the same, which may grow to `most`. One that has no need of a whole
    /// large page gets none.
    pub fn growing(len: usize, most: usize, item: T) -> Table<T> {
        Table::within(layout::<T>(most, PAGE), len, item)
    }

    fn within(layout: Layout, len: usize, item: T) -> Table<T> {
        let mut table = Table { items: NonNull::dangling(), len: 0, layout };
        if layout.size() > 0 {
            // SAFETY: the size is not zero.
            let Some(items) = NonNull::new(unsafe { alloc(layout) }) else {
                handle_alloc_error(layout)
            };
            if layout.align() == PAGE {
                mark(items, layout.size());
            }
            table.items = items.cast();
        }
        table.grow(len, item);
        table
    }

    /// How many items there is room for.
    pub fn room(&self) -> usize {
        self.layout.size() / size_of::<T>().max(1)
    }

    /// Makes the table `len` items long; those that are new are `item`.
    ///
    /// # Panics
    /// Where there is no room for so many.
    pub fn grow(&mut self, len: usize, item: T) {
        assert!(len <= self.room(), "{len} items, and room for {}", self.room());
        for at in self.len..len {
            // SAFETY: `layout` has room for `len` items, properly aligned.
            unsafe { self.items.add(at).write(item) }
        }
        self.len = self.len.max(len);
    }
}

/// Room for `len` items: whole large pages, from `least` bytes on.
fn layout<T>(len: usize, least: usize) -> Layout {
    let plain = Layout::array::<T>(len).expect("a table is smaller than the address space");
    let align = if plain.size() < least { LINE } else { PAGE };
    let aligned = plain.align_to(align).expect("a power of two, and a size far from the largest");
    if align == PAGE { aligned.pad_to_align() } else { aligned }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            if self.layout.align() == PAGE {
                give_back(self.items.cast(), self.layout.size());
            }
            // SAFETY: allocated in `within` with this layout; the items are `Copy`, so nothing else
            // is to be done for them.
            unsafe { dealloc(self.items.cast().as_ptr(), self.layout) }
        }
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `grow` has written `len` items there, and they live as long as the table.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Table<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the table is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.items.as_ptr(), self.len) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(target_os = "linux")]
fn mark(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the range is a whole allocation, and the advice changes how memory is backed, not what
    // it holds. A failure changes nothing, so it is not looked at.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn mark(_start: NonNull<u8>, _bytes: usize) {}

/// Gives the memory of a table that is about to be freed back to the system. The allocator of the
/// GNU library keeps what is freed at the end of a heap, up to twice the largest block so far and up
/// to 64 MiB, for each thread: more than a budget of memory has to spare.
#[cfg(target_os = "linux")]
fn give_back(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the range is a whole allocation in whole pages, nobody looks at it any more, and what
    // it holds is of no matter to the allocator. A failure changes nothing, so it is not looked at.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
}

#[cfg(not(target_os = "linux"))]
fn give_back(_start: NonNull<u8>, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_grows_to_its_room() {
        for room in [0, 1, 100, 100_000, 700_000] {
            let (mut table, mut vector) = (Table::growing(0, room, 1u64), Vec::new());
            assert!(table.room() >= room);
            for (item, part) in (0..).zip([0, 3, 3, 2, 1]) {
                let len = room.checked_div(part).unwrap_or(0);
                table.grow(len, item);
                vector.resize(len.max(vector.len()), item);
                assert_eq!(*table, *vector);
            }
        }
    }

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
