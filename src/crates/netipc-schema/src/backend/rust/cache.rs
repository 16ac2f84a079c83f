//! The cache of a snapshot: the engine's, with items found by the fields of their identity.

use proc_macro2::TokenStream;
use quote::quote;

use super::bodies::{Body, Role};
use super::fields::{ident, string, value_type};

pub(super) fn declare(bodies: &[Body<'_>]) -> TokenStream {
    let Some(item) = bodies.iter().find(|body| matches!(body.role, Role::Item)) else {
        return quote!();
    };
    let get = get(item);
    quote! {
        /// A local copy of all items, refreshed by its owner and read without waiting.
        #[derive(Debug)]
        pub struct Cache(netipc::cache::Cache<Service>);

        impl Cache {
            /// An empty cache that has not connected yet: a refresh does.
            #[must_use]
            pub fn new(endpoint: netipc::Endpoint, config: netipc::client::ClientConfig) -> Self {
                Self(netipc::cache::Cache::new(endpoint, config))
            }

            /// What the cache holds now. Neither waits nor allocates, but for a thread's first time.
            #[must_use]
            pub fn load(&self) -> Snapshot { Snapshot(self.0.load()) }

            /// For other threads, to read while this one refreshes.
            #[must_use]
            pub fn reader(&self) -> Reader { Reader(self.0.reader()) }
        }

        impl core::ops::Deref for Cache {
            type Target = netipc::cache::Cache<Service>;

            fn deref(&self) -> &Self::Target { &self.0 }
        }

        impl core::ops::DerefMut for Cache {
            fn deref_mut(&mut self) -> &mut Self::Target { &mut self.0 }
        }

        /// Reads a [`Cache`], from any thread, while its owner refreshes it.
        #[derive(Clone, Debug)]
        pub struct Reader(netipc::cache::Reader<Service>);

        impl Reader {
            /// What the cache holds now. Neither waits nor allocates, but for a thread's first time.
            #[must_use]
            pub fn load(&self) -> Snapshot { Snapshot(self.0.load()) }
        }

        /// What a cache held at one moment. It stays as it is while held.
        #[derive(Debug)]
        pub struct Snapshot(netipc::cache::Held<Service>);

        impl Snapshot { #get }

        impl core::ops::Deref for Snapshot {
            type Target = netipc::cache::Held<Service>;

            fn deref(&self) -> &Self::Target { &self.0 }
        }
    }
}

/// `snapshot.get(hash, name)`.
fn get(item: &Body<'_>) -> TokenStream {
    let view = item.view();
    let identity = item.record.identity.iter().map(|id| item.record.field(*id));
    let parameters = identity.clone().map(|field| {
        let name = ident(field);
        match string(field) {
            Some(_) => quote!(#name: &(impl AsRef<[u8]> + ?Sized)),
            None => {
                let ty = value_type(item, field);
                quote!(#name: #ty)
            }
        }
    });
    let values = identity.map(|field| {
        let name = ident(field);
        match string(field) {
            Some(_) => quote!(codec::BStr::new(#name)),
            None => quote!(#name),
        }
    });
    quote! {
        /// The item with that identity.
        #[inline]
        #[must_use]
        pub fn get(&self, #(#parameters),*) -> Option<#view<'_>> {
            self.0.get(&(#(#values,)*))
        }
    }
}
