//! What holds of every message.

use netipc::codec::BuildError;
use netipc_testkit as testkit;

use super::Message;

/// Methods from here on are this project's own: a directory of vectors from elsewhere need not have
/// them, and then the repository's are read.
const FIRST_EXTENSION_METHOD: u16 = 0x0100;

/// Runs the vectors of a service: `{name}_request.json` and `{name}_response.json`, or
/// `{name}.json` where both directions look alike.
pub(crate) fn vectors<Request: Message, Response: Message>(name: &str, method: u16) {
    let own = method >= FIRST_EXTENSION_METHOD;
    let exists =
        |category: &str| own || testkit::directory().join(format!("{category}.json")).exists();
    if exists(name) && !own {
        direction::<Request>(name, own);
        direction::<Response>(name, own);
        return;
    }
    direction::<Request>(&format!("{name}_request"), own);
    direction::<Response>(&format!("{name}_response"), own);
}

fn direction<M: Message>(category: &str, own: bool) {
    let vectors = match own {
        true => testkit::load_own(category),
        false => testkit::load(category),
    };
    for vector in vectors {
        let name = format!("{category}/{}", vector.name);
        if !vector.valid {
            let rejected = M::decode(&vector.bytes);
            assert!(rejected.is_err(), "{name} must be rejected: {rejected:?}");
            continue;
        }
        let expected = M::from_json(&vector.fields);
        let bytes = expected.to_bytes();
        assert_eq!(M::decode(&bytes).as_ref(), Ok(&expected), "{name} as encoded here");
        if cfg!(target_endian = "big") {
            // The vectors are in little-endian order; their fields were just checked in ours.
            continue;
        }
        let decoded = M::decode(&vector.bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoded, expected, "{name} decodes to its fields");
        if vector.canonical {
            assert_eq!(bytes, vector.bytes, "{name} re-encodes to the same bytes");
        }
    }
}

/// Encoding fits just the buffer that it says it needs, and decoding gives the message back.
pub(crate) fn round_trips<M: Message>(message: &M) {
    let bytes = message.to_bytes();
    assert_eq!(M::decode(&bytes).as_ref(), Ok(message));
    for short in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        if short < bytes.len() {
            let refused = message.encode(&mut vec![0; short]);
            assert_eq!(refused, Err(BuildError::NoSpace), "{short} of {} bytes", bytes.len());
            // Whether a shorter payload is valid is not said here, but reading it must not panic.
            let _ = M::decode(&bytes[..short]);
        }
    }
}

/// A builder writes the very bytes that the owned message encodes to, into any buffer that they
/// fit, whether or not it was told how many elements to expect; into a smaller one, nothing.
pub(crate) fn builds_at_every_budget<M: Message>(message: &M) {
    const MOST_EXPECTED: usize = 3;

    let bytes = message.to_bytes();
    for expected in 0..=MOST_EXPECTED {
        // To expect more than will come is for callers who have room to spare.
        let exact = message.build(&mut vec![0; bytes.len()], expected);
        if expected > 0 && exact == Some(Err(BuildError::NoSpace)) {
            continue;
        }
        for budget in 0..=bytes.len() + 1 {
            let mut out = vec![0xAA; budget];
            match message.build(&mut out, expected) {
                None => return,
                Some(Ok(len)) => assert_eq!(out[..len], bytes, "{budget} of {}", bytes.len()),
                Some(refused) => {
                    assert_eq!(refused, Err(BuildError::NoSpace));
                    assert!(budget < bytes.len(), "refused {budget} of {}", bytes.len());
                }
            }
        }
    }
}

/// Overwritten bytes are rejected, or mean something else that encodes again.
pub(crate) fn mutations_decode_or_err<M: Message>(message: &M, mutations: &[(usize, u8)]) {
    let mut bytes = message.to_bytes();
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    for (place, value) in mutations {
        bytes[place % len] = *value;
    }
    if let Ok(decoded) = M::decode(&bytes) {
        assert_eq!(M::decode(&decoded.to_bytes()), Ok(decoded));
    }
}
