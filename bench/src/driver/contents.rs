//! What providers know and clients expect: made from an index, so that both ends have it without
//! asking. README.md says it in words, for drivers of other languages.

use std::net::Ipv4Addr;

use crate::work::Mix;

/// Every answer carries it, unless another one is asked for.
pub(super) const GENERATION: u64 = 42;
/// Labels of a known item.
pub(super) const LABELS: [(&str, &str); 2] =
    [("key-0001", "value-0123456789"), ("key-0002", "value-9876543210")];
/// A pid that is known is this one plus the item's index; an unknown one comes after all of those.
pub(super) const FIRST_PID: u32 = 1_000;
const FIRST_UNKNOWN_PID: u32 = 10_000_000;
/// The same of addresses: the networks 10.0.0.0/8 and 11.0.0.0/8.
const FIRST_IP: u32 = 10 << 24;
const FIRST_UNKNOWN_IP: u32 = 11 << 24;
/// Where all known addresses are.
pub(super) const COUNTRY: &str = "GR";
/// Knuth's multiplicative hash: spreads indices over 32 bits.
const HASH_FACTOR: u32 = 2_654_435_761;

/// An item of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) hash: u32,
    pub(super) options: u32,
    pub(super) enabled: u32,
    pub(super) name: String,
    pub(super) path: String,
}

/// The items of a snapshot.
pub(super) fn groups(count: usize) -> Vec<Group> {
    (0..count)
        .map(|index| Group {
            hash: (index as u32).wrapping_mul(HASH_FACTOR),
            options: index as u32 % 7,
            enabled: index as u32 % 2,
            name: format!("docker-{index:06}"),
            path: format!("/sys/fs/cgroup/system.slice/docker-{index:06}.scope"),
        })
        .collect()
}

/// Something that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thing {
    /// 27 bytes.
    pub(super) path: String,
    /// 10 bytes, but for a long one.
    pub(super) name: String,
    /// 15 bytes at most.
    pub(super) comm: String,
    pub(super) pid: u32,
    pub(super) ip: String,
    pub(super) is_known: bool,
}

/// What a lookup asks for. With [`Mix::Long`] the first one's name has so many bytes.
pub(super) fn things(count: usize, mix: Mix, bytes: usize) -> Vec<Thing> {
    (0..count)
        .map(|index| {
            let is_known = match mix {
                Mix::Known | Mix::Plain | Mix::Long => true,
                Mix::Unknown => false,
                Mix::Mixed => index % 2 == 0,
            };
            let kind = if is_known { "docker" } else { "absent" };
            Thing {
                path: format!("/system.slice/{kind}-{index:06}"),
                name: match mix {
                    Mix::Long if index == 0 => long_name(bytes),
                    _ => format!("name-{index:05}"),
                },
                comm: format!("comm-{index:05}"),
                pid: index as u32 + if is_known { FIRST_PID } else { FIRST_UNKNOWN_PID },
                ip: Ipv4Addr::from(
                    index as u32 + if is_known { FIRST_IP } else { FIRST_UNKNOWN_IP },
                )
                .to_string(),
                is_known,
            }
        })
        .collect()
}

/// The alphabet, again and again.
fn long_name(bytes: usize) -> String {
    ('a'..='z').cycle().take(bytes).collect()
}

/// Labels of the known items of a lookup.
pub(super) const fn labels(mix: Mix) -> &'static [(&'static str, &'static str)] {
    match mix {
        Mix::Plain => &[],
        Mix::Known | Mix::Unknown | Mix::Mixed | Mix::Long => &LABELS,
    }
}

/// Which item a path asks for, by its last six digits: a provider's table, at its cheapest.
pub(super) fn index_of_path(path: &[u8]) -> Option<usize> {
    const KNOWN: &[u8] = b"/system.slice/docker-";
    let digits = path.strip_prefix(KNOWN)?;
    digits.iter().try_fold(0_usize, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + usize::from(digit - b'0'))
    })
}

/// Which item a pid asks for.
pub(super) fn index_of_pid(pid: u32) -> Option<usize> {
    (FIRST_PID..FIRST_UNKNOWN_PID).contains(&pid).then(|| (pid - FIRST_PID) as usize)
}

/// Which item an address asks for.
pub(super) fn index_of_ip(ip: &[u8]) -> Option<usize> {
    let ip: Ipv4Addr = str::from_utf8(ip).ok()?.parse().ok()?;
    let ip = u32::from(ip);
    (FIRST_IP..FIRST_UNKNOWN_IP).contains(&ip).then(|| (ip - FIRST_IP) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_finds_what_is_known_and_nothing_else() {
        for (index, thing) in things(300, Mix::Mixed, 0).iter().enumerate() {
            let found = thing.is_known.then_some(index);
            assert_eq!(index_of_path(thing.path.as_bytes()), found);
            assert_eq!(index_of_pid(thing.pid), found);
            assert_eq!(index_of_ip(thing.ip.as_bytes()), found);
            assert_eq!((thing.path.len(), thing.name.len()), (27, 10));
            assert!(thing.comm.len() <= 15);
        }
        assert_eq!(index_of_path(b"/system.slice/docker-00000x"), None);
    }

    #[test]
    fn items_of_a_snapshot_have_identities_of_their_own() {
        let groups = groups(10_000);
        let mut hashes: Vec<_> = groups.iter().map(|group| group.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), groups.len());
    }
}
