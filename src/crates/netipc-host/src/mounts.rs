//! Where the cgroup v2 tree is mounted, out of `/proc/self/mountinfo`.
//!
//! A host with v2 alone has it at /sys/fs/cgroup, a hybrid one at /sys/fs/cgroup/unified; the file
//! system's type decides, not the place. Not here: whether the mount can be opened.

use std::path::PathBuf;

use crate::files::name_of;

/// One mount of the cgroup v2 file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// Path of the cgroup that is mounted there; empty for the root of the (visible) hierarchy.
    pub(crate) prefix: Vec<u8>,
}

/// All cgroup v2 mounts, those of the whole hierarchy first: the others are parts of it that were
/// bound somewhere, and serve only where there is nothing better (a container without a cgroup
/// namespace).
pub(crate) fn unified_mounts(mountinfo: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = mountinfo.split(|b| *b == b'\n').filter_map(parse).collect();
    mounts.sort_by_key(|mount| !mount.prefix.is_empty());
    mounts
}

/// `31 23 0:28 ROOT POINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS`; see proc_pid_mountinfo(5).
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    if kind != b"cgroup2" {
        return None;
    }
    let prefix = if root == b"/" { Vec::new() } else { unescape(root) };
    Some(Mount { point: PathBuf::from(name_of(unescape(point))), prefix })
}

/// Blanks, tabs, line ends and backslashes are written as `\` and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match (first, octal(after)) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.get(..3)?;
    let value = digits.iter().try_fold(0_u16, |value, digit| {
        matches!(digit, b'0'..=b'7').then(|| value * 8 + u16::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, prefix: &str) -> Mount {
        Mount { point: point.into(), prefix: prefix.as_bytes().to_vec() }
    }

    #[test]
    fn pure_and_hybrid_hosts_are_told_by_the_type() {
        let pure =
            b"29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(unified_mounts(pure), [mount("/sys/fs/cgroup", "")]);

        let hybrid = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(unified_mounts(hybrid), [mount("/sys/fs/cgroup/unified", "")]);

        let v1 = b"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(unified_mounts(v1), []);
    }

    #[test]
    fn the_whole_hierarchy_comes_before_a_bound_part_of_it() {
        let table = b"1 2 0:26 /docker/ab /mnt/part rw - cgroup2 cgroup2 rw\n\
            3 2 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let expected = [mount("/sys/fs/cgroup", ""), mount("/mnt/part", "/docker/ab")];
        assert_eq!(unified_mounts(table), expected);
    }

    #[test]
    fn escaped_mount_points_are_decoded() {
        let table = br"1 2 0:26 / /mnt/a\040b\134c\9 rw - cgroup2 none rw";
        assert_eq!(unified_mounts(table), [mount(r"/mnt/a b\c\9", "")]);
    }

    #[test]
    fn garbage_lines_are_passed_over() {
        for line in ["", "1 2 3", "1 2 0:26 / /x rw cgroup2 cgroup2 rw", "a b c d e f -", "\\777"] {
            assert_eq!(unified_mounts(line.as_bytes()), [], "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            unified_mounts(&bytes);
            unescape(&bytes);
        }
    }
}
