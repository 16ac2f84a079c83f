//! Building blocks of payloads, used by generated codecs (spec section 10).
