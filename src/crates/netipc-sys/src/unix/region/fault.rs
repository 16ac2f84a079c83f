//! What happens when a region's file is cut off (`ftruncate`) while it is mapped: the next access
//! behind its new end is a SIGBUS, which ends the process. Whoever may open the file can do that, and
//! no lock, lease or seal that the contract leaves room for keeps him from it.
//!
//! So there is a handler for SIGBUS. When the address lies in a region of ours, it puts a page of
//! zeros in the place of the lost one, notes that the region is lost, and lets the access go on; the
//! channel reports the breach, and the session ends as any broken one. All other faults go to the
//! handler that was there before, or end the process as they would have. It is installed with the
//! first region of a process, and stays. (Wayland's compositors survive their clients in this way.)
//!
//! ```text
//!   table:  slot  slot  slot …  ──▶ more, when all are taken    never freed: a handler may read it
//!           start, end, lost
//! ```
//!
//! What a handler may do is little: it reads atomics and makes one system call. It interrupts nothing
//! but an access to a region, which holds no lock and is in the middle of no call.
//!
//! A program that installs a handler of its own afterwards, without calling the one before it, is not
//! protected; nor is a thread that blocks SIGBUS. Threads of a server's own do not ([`unblock_faults`]), though
//! programs that wait for signals block all of them first, and threads begin with what their maker blocks.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Regions a piece of the table.
const SLOTS: usize = 64;
/// What a slot's start is while nobody has it, and while it is being filled in: no region's.
const FREE: usize = 0;
const CLAIMED: usize = 1;

/// One region's place in memory, from when it is mapped until before it is unmapped.
#[derive(Debug)]
pub(super) struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    /// Counts the regions that have had it.
    holders: AtomicUsize,
    lost: AtomicBool,
}

struct Table {
    slots: [Slot; SLOTS],
    more: OnceLock<Box<Table>>,
}

static TABLE: Table = Table::new();

/// The handler that was there before ours.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Guards the memory from `start` to `end`, which has just been mapped.
pub(super) fn guard(start: usize, end: usize) -> &'static Slot {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(install);
    let slot = TABLE.claim();
    slot.fill_in(start, end);
    slot
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(FREE),
            end: AtomicUsize::new(0),
            holders: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
        }
    }

    fn try_claim(&self) -> bool {
        // Acquire, for the release of who had it.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.start.compare_exchange(FREE, CLAIMED, success, failure).is_ok()
    }

    /// For who has claimed it.
    fn fill_in(&self, start: usize, end: usize) {
        self.lost.store(false, Ordering::Relaxed);
        // Release, for the acquire of `holds`: who reads this count finds no earlier start.
        self.holders.fetch_add(1, Ordering::Release);
        // Release, for the acquire of `holds`: who reads this end finds no earlier count.
        self.end.store(end, Ordering::Release);
        // Release, for the acquire of `holds`: with this start it finds this end, or a later one.
        self.start.store(start, Ordering::Release);
    }

    /// Whether a part of the region is gone: what was read since may be zeros.
    #[inline]
    pub(super) fn is_lost(&self) -> bool {
        // Relaxed: set by this thread, in its handler; or by another, and then seen with its next look.
        self.lost.load(Ordering::Relaxed)
    }

    /// The memory is about to be unmapped; nobody uses it any more.
    pub(super) fn release(&self) {
        // Release, for the acquire of who claims it next.
        self.start.store(FREE, Ordering::Release);
    }

    /// The slot of the region that a faulting access is to does not change meanwhile, because the access
    /// borrows the region. Any other may: a start and an end of two regions are told by the count.
    fn holds(&self, address: usize) -> bool {
        // Acquire, all three, for the releases of `fill_in`.
        let holders = self.holders.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Acquire);
        let end = self.end.load(Ordering::Acquire);
        start > CLAIMED
            && (start..end).contains(&address)
            && self.holders.load(Ordering::Relaxed) == holders
    }
}

impl Table {
    const fn new() -> Self {
        Self { slots: [const { Slot::new() }; SLOTS], more: OnceLock::new() }
    }

    fn claim(&'static self) -> &'static Slot {
        let mut table = self;
        loop {
            match table.slots.iter().find(|slot| slot.try_claim()) {
                Some(slot) => return slot,
                None => table = table.more.get_or_init(|| Box::new(Self::new())),
            }
        }
    }

    fn find(&'static self, address: usize) -> Option<&'static Slot> {
        let mut table = Some(self);
        while let Some(this) = table {
            if let Some(slot) = this.slots.iter().find(|slot| slot.holds(address)) {
                return Some(slot);
            }
            table = this.more.get().map(|more| &**more);
        }
        None
    }
}

/// For a thread's start: faults reach it, whatever the thread that made it blocks. All other signals stay as
/// they are.
pub fn unblock_faults() {
    // SAFETY: a struct of numbers, of which zeros are a value.
    let mut faults: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes a set that is alive, and cannot fail.
    unsafe { libc::sigemptyset(&raw mut faults) };
    // SAFETY: as above, with a signal that there is.
    unsafe { libc::sigaddset(&raw mut faults, libc::SIGBUS) };
    // SAFETY: reads a set that is alive; fails for a wrong way alone.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const faults, std::ptr::null_mut()) };
}

fn install() {
    // Needed in the handler, where it is no time to find it out.
    rustix::param::page_size();
    // SAFETY: a struct of numbers and of a pointer that may be null: zeros are a value of it.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only; the answer goes into a live local.
    if unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) } != 0 {
        return;
    }
    // Before ours is there, which needs it.
    let _first = BEFORE.set(before);
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
    ours.sa_sigaction = handler as usize;
    // On the stack for signals where a thread has one, as others (Go) insist.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler is of the kind that the flags announce, lives as long as the process, and
    // does only what a handler may.
    let _installed =
        unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) };
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler of this kind a record that is valid while it runs.
    let record = unsafe { &*info };
    // SAFETY: for SIGBUS that the kernel sends, the record has an address; in another one these bytes
    // are some number, which is compared and nothing else.
    let address = unsafe { record.si_addr() } as usize;
    // A positive code is the kernel's: others are sent by processes.
    if record.si_code > 0
        && let Some(slot) = TABLE.find(address)
    {
        // Before the zeros are there: another thread may read them without a fault of its own.
        slot.lost.store(true, Ordering::Relaxed);
        if put_zeros(address) {
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Puts a page of zeros at `address`, in a region of ours.
fn put_zeros(address: usize) -> bool {
    let page_bytes = rustix::param::page_size();
    let page = std::ptr::without_provenance_mut(address & !(page_bytes - 1));
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: the page belongs to a region of ours, which is mapped while it is guarded, and whose own
    // page is gone; its users expect any bytes there, at any time.
    unsafe { mmap_anonymous(page, page_bytes, access, flags) }.is_ok()
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get();
    let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
    // SAFETY: as in `on_fault`.
    let is_sent = unsafe { &*info }.si_code <= 0;
    if handler == libc::SIG_IGN && is_sent {
        return;
    }
    // What the kernel sends for a fault cannot be ignored.
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // SAFETY: as in `install`; all zeros is the default action.
        let default: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the default action is always allowed. The fault happens again, and ends the process.
        let _reset = unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
        // SAFETY: for a signal that a process has sent, and that will not happen again by itself.
        let _raised = unsafe { libc::raise(signal) };
        return;
    }
    if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) {
        // SAFETY: the flags say that it is a handler of this kind; it is the one that was installed.
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: as above, of the older kind.
        let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start of one region and the end of the next would span all that is between them.
    #[test]
    fn a_slot_that_changes_hands_holds_nothing_but_its_regions() {
        const ROUNDS: usize = 3_000_000;
        const LEN: usize = 0x1000;
        const STARTS: [usize; 2] = [0x10_0000, 0x50_0000];
        const BETWEEN: usize = 0x30_0000;
        let (slot, is_done) = (Slot::new(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for start in STARTS.iter().cycle().take(ROUNDS) {
                    assert!(slot.try_claim());
                    slot.fill_in(*start, *start + LEN);
                    slot.release();
                }
                is_done.store(true, Ordering::Relaxed);
            });
            while !is_done.load(Ordering::Relaxed) {
                assert!(!slot.holds(BETWEEN), "it holds what is no region's");
            }
        });
        assert!(slot.try_claim());
        slot.fill_in(STARTS[0], STARTS[0] + LEN);
        assert!(slot.holds(STARTS[0]) && slot.holds(STARTS[0] + LEN - 1));
        assert!(!slot.holds(STARTS[0] - 1) && !slot.holds(STARTS[0] + LEN));
    }
}
