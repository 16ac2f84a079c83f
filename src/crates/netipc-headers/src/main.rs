//! Writes `netipc.h`: what the hand-written modules of netipc-ffi export, as cbindgen reads it off
//! them, between an introduction and what C alone can say.
//!
//! ```text
//! netipc-headers netipc-ffi/src include/netipc/netipc.h
//! ```
//!
//! What it does **not** do: the headers of services, which the schema compiler writes.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cbindgen::{Builder, Config, DocumentationLength, DocumentationStyle, Language, Style};

/// What stands before the declarations.
const INTRODUCTION: &str = include_str!("introduction.h");
/// What stands after them: initialisers, inline functions, assertions.
const TRAILER: &str = include_str!("trailer.h");

/// The modules with something for C, in the order in which a reader wants them.
const MODULES: [&str; 15] = [
    "error.rs",
    "text.rs",
    "elements.rs",
    "config.rs",
    "status.rs",
    "client.rs",
    "handler.rs",
    "server.rs",
    "log.rs",
    "typed/cache.rs",
    "level1/wait.rs",
    "level1/abort.rs",
    "level1/message.rs",
    "level1/listener.rs",
    "level1/session.rs",
];

/// The module with the sizes and alignments that both sides assert.
const LAYOUT: &str = "layout.rs";

/// What no function of these modules takes by its type: enumerations, of which C gives and gets the
/// numbers, and what the services' functions alone take.
const UNUSED: [&str; 9] = [
    "nipc_error",
    "nipc_client_state_kind",
    "nipc_log_level_kind",
    "nipc_next_try",
    "nipc_cache_status_t",
    "nipc_cache_table_t",
    "nipc_elements_t",
    "nipc_label_t",
    "nipc_labels_view_t",
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(source), Some(header), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: netipc-headers SOURCES-OF-NETIPC-FFI HEADER");
        return ExitCode::from(2);
    };
    match write_header(&source, &header) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netipc-headers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_header(source: &Path, header: &Path) -> Result<(), Box<dyn Error>> {
    let layout = std::fs::read_to_string(source.join(LAYOUT))?;
    let sources = MODULES
        .iter()
        .fold(Builder::new(), |builder, module| builder.with_src(source.join(module)));
    let mut text = Vec::new();
    sources.with_config(config(&layout)).generate()?.write(&mut text);
    std::fs::write(header, text)?;
    Ok(())
}

fn config(layout: &str) -> Config {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        header: Some(INTRODUCTION.trim_end().to_owned()),
        trailer: Some([TRAILER, &assertions(layout), "\n#endif"].concat()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h", "string.h"].map(str::to_owned).to_vec(),
        style: Style::Both,
        usize_is_size_t: true,
        documentation: true,
        documentation_style: DocumentationStyle::C99,
        documentation_length: DocumentationLength::Full,
        tab_width: 4,
        ..Config::default()
    };
    config.export.include = UNUSED.map(str::to_owned).to_vec();
    config
}

/// What C asserts, from lines of `type: size, alignment;`.
fn assertions(layout: &str) -> String {
    let mut text = String::new();
    for line in layout.lines() {
        let row = line.trim().strip_suffix(';').and_then(|row| row.split_once(": "));
        let Some((name, (size, align))) =
            row.and_then(|(n, sizes)| Some((n, sizes.split_once(", ")?)))
        else {
            continue;
        };
        text += &format!(
            "NIPC_ASSERT_BYTES({name}, {size});\nNIPC_ASSERT_ALIGNMENT({name}, {align});\n"
        );
    }
    text
}
