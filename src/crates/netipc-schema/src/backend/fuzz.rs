//! The fuzz backend: a libFuzzer target a service, over both of its decoders.

use super::{Output, marker};
use crate::ir::{Service, Shape};

pub(super) fn generate(services: &[Service]) -> Vec<Output> {
    services.iter().map(target).collect()
}

/// Decodes any bytes as a request and as a response. What is accepted must copy out, encode into
/// exactly the bytes it promises, and decode to the same again. Nor may it grow by that: the parts
/// of a payload share no bytes, and encoders leave no gaps. Only items of a snapshot may overlap
/// (spec section 10.7).
fn target(service: &Service) -> Output {
    let module = service.name.snake();
    let no_longer = match service.shape {
        Shape::Snapshot => "",
        _ => "\n            assert!(out.len() <= $payload.len());",
    };
    let text = format!(
        r#"// {marker}

#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_services::{module}::{{RequestView, ResponseView}};

macro_rules! round_trip {{
    ($view:ident, $payload:expr) => {{
        if let Ok(view) = $view::decode($payload) {{
            let owned = view.to_owned();
            let mut out = vec![0xAA; owned.encoded_len()];{no_longer}
            assert_eq!(owned.encode(&mut out), Ok(out.len()));
            let again = $view::decode(&out).expect("what was encoded decodes");
            assert_eq!(again.to_owned(), owned);
        }}
    }};
}}

fuzz_target!(|payload: &[u8]| {{
    round_trip!(RequestView, payload);
    round_trip!(ResponseView, payload);
}});
"#,
        marker = marker(service),
    );
    Output { file_name: format!("{module}.rs"), text }
}
