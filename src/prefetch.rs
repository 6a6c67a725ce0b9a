//! A hint to the memory system, safe on any address.
//!
//! Gain, measured with `perf/run stages` on a million cold flows: resolving without it costs more than twice as much.
#![allow(unsafe_code)]

/// Asks for the cache line at `address`; does nothing where the machine has no such hint.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults and reads nothing into the program, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance::<i8>(address)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = address;
    }
}

/// Asks for all lines of a value.
#[inline(always)]
pub(crate) fn prefetch_all<T: ?Sized>(value: &T) {
    let address = std::ptr::from_ref(value).addr();
    (0..size_of_val(value)).step_by(64).for_each(|line| prefetch(address.wrapping_add(line)));
}

/// Asks for the line that holds the `index`th of `rows`, which need not exist.
#[inline(always)]
pub(crate) fn prefetch_row<T>(rows: &[T], index: usize) {
    prefetch((rows.as_ptr() as usize).wrapping_add(index.wrapping_mul(size_of::<T>())));
}
