//! Services of each shape, by hand: what the schema compiler is to write over the engines.

use netipc::codec::{
    BStr, BuildError, DecodeError, Element, LookupItem, Overflow, Records, ResponseBudget,
};
use netipc::service::SnapshotItemView;
use netipc::service::{AsKey, Call, KeyView, Lookup, LookupItemView, Service, Snapshot};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};

macro_rules! service {
    ($name:ident, $module:ident) => {
        #[derive(Debug)]
        pub enum $name {}

        impl Service for $name {
            const NAME: &'static str = $module::SERVICE;
            const METHOD: u16 = $module::METHOD;
            type Request<'a> = $module::RequestView<'a>;
            type Response<'a> = $module::ResponseView<'a>;

            fn decode_request(payload: &[u8]) -> Result<Self::Request<'_>, DecodeError> {
                $module::RequestView::decode(payload)
            }

            fn decode_response(payload: &[u8]) -> Result<Self::Response<'_>, DecodeError> {
                $module::ResponseView::decode(payload)
            }
        }
    };
}

macro_rules! call {
    ($name:ident, $module:ident) => {
        service!($name, $module);

        impl Call for $name {
            const BATCHABLE: bool = true;
            type RequestBuilder<'b> = $module::RequestBuilder<'b>;
            type ResponseBuilder<'b> = $module::ResponseBuilder<'b>;

            fn request_builder(out: &mut [u8]) -> Self::RequestBuilder<'_> {
                $module::RequestBuilder::new(out)
            }

            fn response_builder(out: &mut [u8]) -> Self::ResponseBuilder<'_> {
                $module::ResponseBuilder::new(out)
            }
        }
    };
}

call!(Increment, increment);
call!(StringReverse, string_reverse);
service!(CgroupsLookup, cgroups_lookup);
service!(AppsLookup, apps_lookup);
service!(CgroupsSnapshot, cgroups_snapshot);

impl Lookup for CgroupsLookup {
    const REQUEST_HEADER_BYTES: usize = 16;
    const RESPONSE_HEADER_BYTES: usize = 16;
    type Item = cgroups_lookup::Item;
    type RequestBuilder<'b> = cgroups_lookup::RequestBuilder<'b>;
    type ResponseBuilder<'b> = cgroups_lookup::ResponseBuilder<'b>;

    fn key_len(key: &KeyView<'_, Self>) -> usize {
        key.len() + 1
    }

    fn request_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::RequestBuilder<'_>, BuildError> {
        cgroups_lookup::RequestBuilder::new(out, expected)
    }

    fn push_key(
        builder: &mut Self::RequestBuilder<'_>,
        key: &KeyView<'_, Self>,
    ) -> Result<(), BuildError> {
        builder.push(key)
    }

    fn finish_request(builder: Self::RequestBuilder<'_>) -> Result<usize, BuildError> {
        builder.finish()
    }

    fn generation(response: &Self::Response<'_>) -> u64 {
        response.generation()
    }

    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Self::Item> {
        response.items()
    }

    fn echo<'a>(item: &LookupItemView<'a, Self>) -> KeyView<'a, Self> {
        item.path()
    }

    fn overflow(item: &LookupItemView<'_, Self>) -> Option<Overflow> {
        match item.status() {
            cgroups_lookup::Status::PayloadExceeded => Some(Overflow::Retry),
            cgroups_lookup::Status::OversizedItem => Some(Overflow::Oversized),
            _ => None,
        }
    }

    fn response_builder<'b>(
        request: &Self::Request<'b>,
        budget: ResponseBudget<'b>,
    ) -> Result<Self::ResponseBuilder<'b>, BuildError> {
        cgroups_lookup::ResponseBuilder::new(request, budget)
    }

    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError> {
        builder.finish()
    }
}

/// A process id to ask for. (Generated code lets a plain `u32` be one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub u32);

impl AsKey<apps_lookup::Key> for Pid {
    fn as_key(&self) -> <apps_lookup::Key as Element>::View<'_> {
        self.0
    }
}

impl Lookup for AppsLookup {
    const REQUEST_HEADER_BYTES: usize = 16;
    const RESPONSE_HEADER_BYTES: usize = 16;
    type Item = apps_lookup::Item;
    type RequestBuilder<'b> = apps_lookup::RequestBuilder<'b>;
    type ResponseBuilder<'b> = apps_lookup::ResponseBuilder<'b>;

    fn key_len(_: &KeyView<'_, Self>) -> usize {
        8
    }

    fn request_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::RequestBuilder<'_>, BuildError> {
        apps_lookup::RequestBuilder::new(out, expected)
    }

    fn push_key(
        builder: &mut Self::RequestBuilder<'_>,
        key: &KeyView<'_, Self>,
    ) -> Result<(), BuildError> {
        builder.push(*key)
    }

    fn finish_request(builder: Self::RequestBuilder<'_>) -> Result<usize, BuildError> {
        builder.finish()
    }

    fn generation(response: &Self::Response<'_>) -> u64 {
        response.generation()
    }

    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Self::Item> {
        response.items()
    }

    fn echo<'a>(item: &LookupItemView<'a, Self>) -> KeyView<'a, Self> {
        item.pid()
    }

    fn overflow(item: &LookupItemView<'_, Self>) -> Option<Overflow> {
        match item.status() {
            apps_lookup::Status::PayloadExceeded => Some(Overflow::Retry),
            apps_lookup::Status::OversizedItem => Some(Overflow::Oversized),
            _ => None,
        }
    }

    fn response_builder<'b>(
        request: &Self::Request<'b>,
        budget: ResponseBudget<'b>,
    ) -> Result<Self::ResponseBuilder<'b>, BuildError> {
        apps_lookup::ResponseBuilder::new(request, budget)
    }

    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError> {
        builder.finish()
    }
}

impl Snapshot for CgroupsSnapshot {
    type Item = cgroups_snapshot::Item;
    type Identity<'a> = (u32, &'a BStr);
    type ResponseBuilder<'b> = cgroups_snapshot::ResponseBuilder<'b>;

    fn write_request(out: &mut [u8]) -> Result<usize, BuildError> {
        cgroups_snapshot::RequestBuilder::new(out).finish()
    }

    fn generation(response: &Self::Response<'_>) -> u64 {
        response.generation()
    }

    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Self::Item> {
        response.items()
    }

    fn identity<'a>(item: &SnapshotItemView<'a, Self>) -> Self::Identity<'a> {
        (item.hash(), item.name())
    }

    fn is(item: &SnapshotItemView<'_, Self>, wanted: &Self::Identity<'_>) -> bool {
        (item.hash(), item.name()) == *wanted
    }

    fn response_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::ResponseBuilder<'_>, BuildError> {
        cgroups_snapshot::ResponseBuilder::new(out, expected)
    }

    fn item_count(builder: &Self::ResponseBuilder<'_>) -> usize {
        builder.len()
    }

    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError> {
        builder.finish()
    }
}

/// What makes all of the above compile for whoever reads it as an example.
pub fn smallest_len<S: Lookup>(key: &KeyView<'_, S>) -> usize {
    S::Item::smallest_len(key)
}
