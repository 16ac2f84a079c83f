//! Who may open what this process makes: its own user, SYSTEM, and administrators (spec section 8). And
//! which users processes belong to.
#![allow(unsafe_code)]

use std::os::windows::io::OwnedHandle;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
    TokenUser,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::handle::{last_error, owned, raw, refused, wide};
use crate::SysError;

/// The number of a user that could not be found out.
pub(super) const UNKNOWN_UID: u32 = u32::MAX;
/// Room for what a token says of its user: a structure and the longest identifier (68 bytes).
const TOKEN_USER_BYTES: usize = 128;

/// The number of this process's user: the last part of its security identifier, which tells users of one
/// machine or domain apart. What a peer sees as [`PeerIdentity::uid`](crate::PeerIdentity::uid).
#[must_use]
pub fn own_uid() -> u32 {
    static OWN: OnceLock<u32> = OnceLock::new();
    *OWN.get_or_init(|| own_sid().map_or(UNKNOWN_UID, |sid| last_part(&sid)))
}

/// The number of the user of a process, if this one may know.
pub(super) fn uid_of_process(pid: u32) -> u32 {
    // SAFETY: takes numbers; what is returned is nobody else's.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    // SAFETY: just opened, or none.
    let Ok(process) = (unsafe { owned(process) }) else { return UNKNOWN_UID };
    sid_of_process(raw(&process)).map_or(UNKNOWN_UID, |sid| last_part(&sid))
}

/// `S-1-5-21-…-1001`: the number is the last part.
fn last_part(sid: &str) -> u32 {
    sid.rsplit('-').next().and_then(|part| part.parse().ok()).unwrap_or(UNKNOWN_UID)
}

fn own_sid() -> Result<String, u32> {
    // SAFETY: returns a constant.
    let process = unsafe { GetCurrentProcess() };
    sid_of_process(process)
}

/// The user's security identifier as text. `process` is open for queries.
fn sid_of_process(process: HANDLE) -> Result<String, u32> {
    let mut token = null_mut();
    // SAFETY: the handle is open, as demanded; the token's is written into a local.
    let opened = unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) };
    if opened == 0 {
        return Err(last_error());
    }
    // SAFETY: just opened, and nobody else's.
    let token: OwnedHandle = unsafe { owned(token) }?;
    // Aligned for the structure at its front.
    let mut user = [0_u64; TOKEN_USER_BYTES / size_of::<u64>()];
    let mut len = 0;
    // SAFETY: the token is open; at most as many bytes are written as the local has.
    let told = unsafe {
        GetTokenInformation(
            raw(&token),
            TokenUser,
            user.as_mut_ptr().cast(),
            TOKEN_USER_BYTES as u32,
            &raw mut len,
        )
    };
    if told == 0 {
        return Err(last_error());
    }
    // SAFETY: the call has put the structure there, which is aligned and shorter than the local.
    let sid = unsafe { (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid };
    let mut text = null_mut();
    // SAFETY: the identifier lies in `user`, whole; where the text is, is written into a local.
    let converted = unsafe { ConvertSidToStringSidW(sid, &raw mut text) };
    if converted == 0 {
        return Err(last_error());
    }
    let text = LocalMemory(text.cast());
    Ok(text_at(text.0.cast()))
}

/// Text of the system's, up to its NUL.
fn text_at(start: *const u16) -> String {
    let mut units = Vec::new();
    loop {
        let at = start.wrapping_add(units.len());
        // SAFETY: the text has a NUL at its end, and none of its units behind that is read.
        match unsafe { at.read() } {
            0 => return String::from_utf16_lossy(&units),
            unit => units.push(unit),
        }
    }
}

/// Memory that the system has lent.
#[derive(Debug)]
struct LocalMemory(*mut core::ffi::c_void);

impl Drop for LocalMemory {
    fn drop(&mut self) {
        // SAFETY: it came from a call whose result is freed so, once.
        unsafe { LocalFree(self.0) };
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Security(LocalMemory);

// SAFETY: the descriptor is never written to after it was made, and may be freed by any thread.
unsafe impl Send for Security {}
// SAFETY: as above.
unsafe impl Sync for Security {}

impl Security {
    pub(super) fn new() -> Result<Self, SysError> {
        let failed = refused("say who may connect");
        let user = own_sid().map_err(failed)?;
        // Protected from what would be inherited: all rights to SYSTEM, administrators, the own user.
        let text = format!("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{user})");
        let text = wide(&text).unwrap_or_default();
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text has a NUL at its end; where the descriptor is, is written into a local.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if made == 0 {
            return Err(failed(last_error()));
        }
        Ok(Self(LocalMemory(descriptor)))
    }

    /// To be given to a call while `self` lives. What it makes is not inherited by children.
    pub(super) const fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0.0,
            bInheritHandle: 0,
        }
    }
}
