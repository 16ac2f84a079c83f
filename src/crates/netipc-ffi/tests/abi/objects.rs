//! Objects without a peer: live, moved, refused, closed; and the errors' words.

use std::ffi::{CStr, c_char, c_void};

use netipc_ffi::client::{
    nipc_client_abort, nipc_client_abort_clear, nipc_client_close, nipc_client_init,
    nipc_client_ready, nipc_client_status,
};
use netipc_ffi::config::nipc_token_from_session_uuid;
use netipc_ffi::status::nipc_client_status_t;
use netipc_ffi::text::nipc_str_t;

use crate::c::*;

#[repr(C)]
struct Guard {
    opaque: Words<4>,
    table: *const c_void,
}

unsafe extern "C" {
    fn nipc_cgroups_cache_init(
        cache: *mut Object,
        run_dir: *const c_char,
        service_name: *const c_char,
        config: *const c_void,
    ) -> i32;
    fn nipc_cgroups_cache_read_lock(cache: *const Object, guard: *mut Guard) -> i32;
    fn nipc_cgroups_cache_find(
        guard: *const Guard,
        hash: u32,
        name: nipc_str_t,
        record: *mut *const c_void,
    ) -> i32;
    fn nipc_cgroups_cache_read_unlock(guard: *mut Guard) -> i32;
    fn nipc_cgroups_cache_close(cache: *mut Object) -> i32;
}

/// Where nobody serves anything.
const NOWHERE: &CStr = c"/nonexistent";

#[test]
fn what_a_guard_holds_outlasts_its_cache() {
    let mut cache = Object::CLOSED;
    let cache = &raw mut cache;
    let name = c"cgroups-snapshot".as_ptr();
    assert_eq!(
        c!(nipc_cgroups_cache_init(cache, NOWHERE.as_ptr(), name, std::ptr::null())),
        OK,
        "{}",
        why()
    );
    let mut guard = Guard { opaque: blank_words(), table: std::ptr::null() };
    assert_eq!(c!(nipc_cgroups_cache_read_lock(cache, &mut guard)), OK, "{}", why());
    assert_eq!(c!(nipc_cgroups_cache_read_lock(cache, &mut guard)), ALREADY);
    assert_eq!(c!(nipc_cgroups_cache_close(cache)), OK, "{}", why());
    assert_eq!(c!(nipc_cgroups_cache_close(cache)), NOT_INITIALIZED);
    // Moved, as C may.
    let mut guard = Guard { opaque: guard.opaque, table: guard.table };
    // What the headers read of the table: the generation and the count.
    // SAFETY: the guard holds it.
    assert_eq!(unsafe { guard.table.cast::<[u64; 2]>().read() }, [0; 2]);
    let mut record = std::ptr::null();
    assert_eq!(c!(nipc_cgroups_cache_find(&guard, 7, text("user.slice"), &mut record)), NOT_FOUND);
    assert!(record.is_null());
    assert_eq!(c!(nipc_cgroups_cache_read_unlock(&mut guard)), OK);
    assert_eq!(c!(nipc_cgroups_cache_read_unlock(&mut guard)), NOT_INITIALIZED);
    assert!(guard.table.is_null());
}

#[test]
fn a_client_lives_from_its_making_to_its_closing() {
    let mut client = Object::CLOSED;
    let at = (&raw mut client).cast();
    assert!(!c!(nipc_client_ready(at)));
    assert_eq!(c!(nipc_client_close(at)), NOT_INITIALIZED);
    let init =
        |name: &CStr| c!(nipc_client_init(at, NOWHERE.as_ptr(), name.as_ptr(), std::ptr::null()));
    assert_eq!(init(c"nothing-known"), INVALID);
    assert_eq!(init(c"increment"), OK, "{}", why());
    assert_eq!(init(c"increment"), ALREADY);
    // SAFETY: numbers.
    let mut status: nipc_client_status_t = unsafe { zeroed() };
    assert_eq!(c!(nipc_client_status(at, &mut status)), OK, "{}", why());
    assert_eq!((c!(nipc_client_abort(at)), c!(nipc_client_abort_clear(at))), (OK, OK));
    assert_eq!(c!(nipc_client_close(at)), OK);
    assert!(!c!(nipc_client_ready(at)));
}

#[test]
fn what_is_null_misaligned_or_nonsense_is_refused_in_words() {
    let mut token = [0_u64; 2];
    let uuid = c"0123456789abcdef0123456789abcdef".as_ptr();
    assert_eq!(c!(nipc_token_from_session_uuid(uuid, token.as_mut_ptr())), OK);
    assert_ne!(token[0], 0);
    let odd = token.as_mut_ptr().wrapping_byte_add(1);
    for (uuid, place) in [
        (std::ptr::null(), token.as_mut_ptr()),
        (uuid, std::ptr::null_mut()),
        (uuid, odd),
        (c"no uuid".as_ptr(), token.as_mut_ptr()),
    ] {
        assert_eq!(c!(nipc_token_from_session_uuid(uuid, place)), INVALID);
        assert!(why().contains("at fault: the caller"), "{}", why());
    }
    assert_eq!(token[1], 0);
}
