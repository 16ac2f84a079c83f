//! Batches: every item of one that opens can be read, and its items built again are read the same.
//!
//! The first four bytes are the item count of the message header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::batch::{Batch, BatchBuilder, batch_len};

/// Items may overlap in a payload, so that building them again could take any amount of memory.
const BUDGET_BYTES: u32 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((count, payload)) = data.split_first_chunk::<4>() else { return };
    let count = u32::from_le_bytes(*count);
    let Ok(batch) = Batch::decode(payload, count) else { return };
    assert_eq!(batch.len(), count as usize);
    assert!(batch.len() * 8 <= payload.len());
    let Some(needed) = batch_len(batch.iter().map(<[u8]>::len)) else { return };

    let mut buffer = Vec::new();
    let built = BatchBuilder::new(&mut buffer, count, BUDGET_BYTES).and_then(|mut builder| {
        batch.iter().try_for_each(|item| builder.push(item))?;
        builder.finish()
    });
    assert_eq!(built.is_ok(), needed <= BUDGET_BYTES);
    let Ok(built) = built else { return };
    assert_eq!(built.len(), needed as usize);
    let again = Batch::decode(built, count).expect("built by us");
    assert!(again.iter().eq(batch.iter()));
    for index in 0..batch.len() {
        assert_eq!(again.get(index), batch.get(index));
    }
});
