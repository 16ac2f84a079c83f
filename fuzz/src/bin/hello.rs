//! The payload of HELLO: what decodes is encoded to the same bytes, and has no zero limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::hello::Hello;

fuzz_target!(|data: &[u8]| {
    let Ok(hello) = Hello::decode(data) else { return };
    assert_eq!(hello.encode(), data);
    for limits in [hello.request, hello.response_hint] {
        assert!(limits.payload_bytes != 0 && limits.batch_items != 0);
    }
});
