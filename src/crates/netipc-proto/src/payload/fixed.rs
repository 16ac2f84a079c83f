//! Numbers in the fixed part of a record, in host byte order at any alignment.
//!
//! The place is a constant that is checked when the code is compiled, so none of these can fail.

macro_rules! number {
    ($get:ident, $put:ident, $number:ty) => {
        #[doc = concat!("The `", stringify!($number), "` at byte `AT`.")]
        #[inline(always)]
        #[must_use]
        pub fn $get<const AT: usize, const N: usize>(fixed: &[u8; N]) -> $number {
            const SIZE: usize = size_of::<$number>();
            const { assert!(AT + SIZE <= N) };
            let mut bytes = [0; SIZE];
            bytes.copy_from_slice(&fixed[AT..AT + SIZE]);
            <$number>::from_ne_bytes(bytes)
        }

        #[doc = concat!("Sets the `", stringify!($number), "` at byte `AT`.")]
        #[inline(always)]
        pub fn $put<const AT: usize, const N: usize>(fixed: &mut [u8; N], value: $number) {
            const SIZE: usize = size_of::<$number>();
            const { assert!(AT + SIZE <= N) };
            fixed[AT..AT + SIZE].copy_from_slice(&value.to_ne_bytes());
        }
    };
}

number!(get_u8, put_u8, u8);
number!(get_u16, put_u16, u16);
number!(get_u32, put_u32, u32);
number!(get_u64, put_u64, u64);
number!(get_i32, put_i32, i32);
number!(get_i64, put_i64, i64);
