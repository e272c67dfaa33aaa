//! A lock in shared memory that survives the death of its holder.
//!
//! Why unsafe: it is a robust, process-shared mutex of the C library living in a mapping. What makes it sound: the bytes are
//! only touched by the pthread functions; a lock that was never prepared is refused by its marker; a guard belongs to the
//! thread that took it (not Send). The kernel itself marks the lock of a dead process (SIGKILL included, recycled pids no
//! trap), and the next one who takes it is told by [`Taken::recovered`] so that it can reset what the lock protects.
//!
//! A holder that is stopped but alive keeps the lock: nobody waits for it longer than the limit he gives.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::map::Plain;

const READY: u64 = 0x6c6d_6c6b;
const SPINS: u32 = 200;

/// The lock: 48 bytes in shared memory. Made usable once by [`RobustLock::prepare`], before others see it.
#[repr(C, align(8))]
pub struct RobustLock {
    ready: AtomicU64,
    raw: UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>,
}

// SAFETY: the mutex synchronises by itself; any bytes are accepted as MaybeUninit, and those not prepared are not used.
unsafe impl Sync for RobustLock {}
// SAFETY: no pointer of ours, no destructor; changes only under pthread calls and atomics.
unsafe impl Plain for RobustLock {}

/// The lock was not to be had: its holder lives and did not let go in time, or nobody prepared it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Held as long as it lives.
pub struct Taken<'l> {
    lock: &'l RobustLock,
    recovered: bool,
    stays: PhantomData<*const ()>,
}

impl RobustLock {
    /// Makes the lock usable. For the one process that makes the mapping, before any other can see it; again is harmless
    /// as long as nobody holds it.
    pub fn prepare(&self) -> std::io::Result<()> {
        let mut attr = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        // SAFETY: attr is room for the attributes, which this call fills.
        check(unsafe { libc::pthread_mutexattr_init(attr.as_mut_ptr()) })?;
        // SAFETY: attr was initialised above.
        check(unsafe {
            libc::pthread_mutexattr_setpshared(attr.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED)
        })?;
        // SAFETY: attr was initialised above.
        check(unsafe { libc::pthread_mutexattr_setrobust(attr.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) })?;
        // SAFETY: the room is ours, of the right size and alignment; nobody uses it before `ready` is set.
        check(unsafe { libc::pthread_mutex_init(self.mutex(), attr.as_ptr()) })?;
        self.ready.store(READY, Ordering::Release);
        Ok(())
    }

    /// Takes the lock, waiting no longer than `limit` for a holder that lives.
    pub fn take(&self, limit: Duration) -> Result<Taken<'_>, Busy> {
        for _ in 0..SPINS {
            if let Ok(taken) = self.try_take() {
                return Ok(taken);
            }
            std::hint::spin_loop();
        }
        if self.ready.load(Ordering::Acquire) != READY || limit.is_zero() {
            return Err(Busy);
        }
        let until = deadline(limit);
        // SAFETY: the mutex is prepared (checked); `until` is a valid time.
        self.taken(unsafe { libc::pthread_mutex_timedlock(self.mutex(), &until) })
    }

    /// Takes the lock if it is free or its holder died.
    pub fn try_take(&self) -> Result<Taken<'_>, Busy> {
        if self.ready.load(Ordering::Acquire) != READY {
            return Err(Busy);
        }
        // SAFETY: the mutex is prepared (checked).
        self.taken(unsafe { libc::pthread_mutex_trylock(self.mutex()) })
    }

    fn taken(&self, code: libc::c_int) -> Result<Taken<'_>, Busy> {
        let recovered = match code {
            0 => false,
            libc::EOWNERDEAD => {
                // SAFETY: the call that returned EOWNERDEAD made this thread the holder.
                unsafe { libc::pthread_mutex_consistent(self.mutex()) };
                true
            }
            _ => return Err(Busy),
        };
        Ok(Taken { lock: self, recovered, stays: PhantomData })
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.raw.get().cast()
    }
}

impl Taken<'_> {
    /// The last holder died inside: what the lock protects may be half-changed and must be reset.
    pub fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread took the mutex when the guard was made, and the guard cannot leave the thread.
        unsafe { libc::pthread_mutex_unlock(self.lock.mutex()) };
    }
}

fn check(code: libc::c_int) -> std::io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(std::io::Error::from_raw_os_error(code))
    }
}

fn deadline(limit: Duration) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is room for one timespec. The mutex measures its limit on this very clock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
    let nanos = now.tv_nsec + libc::c_long::from(limit.subsec_nanos() as i32);
    now.tv_sec =
        now.tv_sec.saturating_add(limit.as_secs().min(1 << 30) as libc::time_t + nanos / 1_000_000_000);
    now.tv_nsec = nanos % 1_000_000_000;
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::fork_alone;
    use crate::map::Region;
    use std::sync::atomic::AtomicU64;

    crate::shm_struct! {
        struct Bucket { lock: RobustLock, a: AtomicU64, b: AtomicU64, inside: AtomicU64 }
    }

    fn bucket() -> Region<Bucket> {
        let region = Region::<Bucket>::alone(1).unwrap();
        region[0].lock.prepare().unwrap();
        region
    }

    #[test]
    fn an_unprepared_lock_is_refused() {
        let region = Region::<Bucket>::alone(1).unwrap();
        assert_eq!(region[0].lock.take(Duration::from_millis(1)).err(), Some(Busy));
    }

    #[test]
    fn a_killed_holder_is_replaced_and_the_next_one_knows() {
        let region = bucket();
        for round in 0..20 {
            let child = fork_alone(|| {
                let _held = region[0].lock.take(Duration::from_secs(5));
                region[0].a.fetch_add(1, Ordering::SeqCst);
                region[0].inside.store(1, Ordering::SeqCst);
                loop {
                    std::thread::park();
                }
            })
            .unwrap();
            while region[0].inside.swap(0, Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert_eq!(region[0].lock.try_take().err(), Some(Busy), "held by a living process");
            assert_eq!(region[0].lock.take(Duration::from_millis(1)).err(), Some(Busy), "bounded wait");
            child.kill(libc::SIGKILL).unwrap();
            let taken = region[0].lock.take(Duration::from_secs(5)).expect("taken over");
            assert!(taken.recovered(), "round {round}");
            assert_eq!(
                region[0].a.load(Ordering::SeqCst),
                region[0].b.load(Ordering::SeqCst) + 1,
                "half-done work"
            );
            region[0].b.fetch_add(1, Ordering::SeqCst);
            drop(taken);
            assert!(!region[0].lock.try_take().expect("free again").recovered());
            child.wait().unwrap();
        }
    }

    #[test]
    fn processes_exclude_each_other() {
        let region = bucket();
        let work = || {
            for _ in 0..20_000 {
                let Ok(_held) = region[0].lock.take(Duration::from_secs(10)) else { return 1 };
                let a = region[0].a.load(Ordering::Relaxed);
                region[0].a.store(a + 1, Ordering::Relaxed);
            }
            0
        };
        let children = [fork_alone(work).unwrap(), fork_alone(work).unwrap(), fork_alone(work).unwrap()];
        for child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(region[0].a.load(Ordering::SeqCst), 60_000);
    }
}
