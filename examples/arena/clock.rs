//! The one clock of the program. The crate has none: it is told the time.

#![expect(
    clippy::disallowed_methods,
    reason = "the crate's caller owns the clock, and here is the caller"
)]

use std::time::{Duration, Instant, SystemTime};

/// Now, for deadlines and differences.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, in nanoseconds of CLOCK_MONOTONIC, which every process on the machine shares.
#[cfg(unix)]
pub(crate) fn shared_nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = now
        .tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec);
    u64::try_from(now).unwrap_or_default()
}

/// Now, in nanoseconds since 1970: the nearest to a shared clock that there is.
#[cfg(not(unix))]
pub(crate) fn shared_nanoseconds() -> u64 {
    u64::try_from(since_1970().as_nanos()).unwrap_or_default()
}

/// Now, for the dates in a certificate.
pub(crate) fn since_1970() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
