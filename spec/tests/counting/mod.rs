//! An allocator that counts, for each thread by itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a piece of work asked of the allocator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Bytes held now.
    held: isize,
    /// Most bytes held at once.
    pub(crate) peak_bytes: isize,
    pub(crate) allocations: usize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { held: 0, peak_bytes: 0, allocations: 0 }) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Does the work, and returns what it asked for beyond what was held before.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.set(Counts::default());
    let done = work();
    (done, COUNTS.get())
}

fn count(allocations: usize, bytes: isize) {
    COUNTS.with(|counts| {
        let mut sum = counts.get();
        sum.held += bytes;
        sum.peak_bytes = sum.peak_bytes.max(sum.held);
        sum.allocations += allocations;
        counts.set(sum);
    });
}

// SAFETY: all is left to the system's allocator. Counting neither allocates nor panics: the cell is there from the start.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both are there.
        count(1, size as isize);
        count(0, -(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
