//! What ends a call that waits, where no object is there yet that could be aborted.

use std::ffi::c_void;

use netipc::Abort;

use crate::boundary::boundary;
use crate::error::nipc_error_t;
use crate::object::object;

/// Ends calls that wait, from another thread. Zeroed (`= NIPC_ABORT_INIT`) it is closed. May be moved, must not
/// be copied. All but init and close is for any thread.
#[repr(C)]
pub struct nipc_abort_t {
    tag_: u64,
    inner_: *mut c_void,
}

object!(nipc_abort_t, "abort", b"NIPCabrt", Abort);

/// Makes an abort, which ends nothing yet. NIPC_ERR_SYSTEM where there is no descriptor for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_abort_init(abort: *mut nipc_abort_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            caller.vacant(abort)?.fill(Abort::new()?);
            Ok(())
        })
    }
}

/// Ends the calls that wait with it, within 50 ms, and refuses later ones with NIPC_ERR_ABORTED until it is
/// cleared. Not for signal handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_abort_trigger(abort: *const nipc_abort_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(abort).map(Abort::trigger)) }
}

/// Lets calls wait again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_abort_clear(abort: *const nipc_abort_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(abort).map(Abort::clear)) }
}

/// Frees it; a call that waits with it goes on without. NIPC_ERR_NOT_INITIALIZED for one that is closed or
/// zeroed, which is harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_abort_close(abort: *mut nipc_abort_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.close(abort).map(drop)) }
}
