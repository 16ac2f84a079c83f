//! The names of a record's types and functions in Rust.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

pub(super) use crate::backend::bodies::{Body, Role, of};

impl Body<'_> {
    /// `ItemView`.
    pub(in crate::backend::rust) fn view(&self) -> Ident {
        format_ident!("{}View", self.stem)
    }

    /// `ItemBuilder`.
    pub(in crate::backend::rust) fn builder(&self) -> Ident {
        format_ident!("{}Builder", self.stem)
    }

    /// `Item`.
    pub(in crate::backend::rust) fn owned(&self) -> Ident {
        format_ident!("{}", self.stem)
    }

    /// `ItemFields`.
    pub(in crate::backend::rust) fn fields(&self) -> Ident {
        format_ident!("{}Fields", self.stem)
    }

    /// `check_item`.
    pub(in crate::backend::rust) fn check(&self) -> Ident {
        format_ident!("check_{}", self.snake)
    }

    /// What follows a call of a header's `encode`, which fails where rules can be broken.
    pub(in crate::backend::rust) fn header_error(&self) -> Option<TokenStream> {
        (!self.record.rules.is_empty()).then(|| quote!(?))
    }
}
