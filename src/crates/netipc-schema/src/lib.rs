//! The schema compiler: a service is one schema file.
//!
//! ```text
//! schema (KDL) ──check──▶ ir::Service ──backend──▶ text in one language
//! ```
//!
//! A backend sees the checked model alone, never the syntax, so another language is another backend
//! and nothing else. What this crate does **not** do: it touches no wire, and no other netipc crate
//! depends on it but the command, so that broken output never keeps the compiler from being built.
#![forbid(unsafe_code)]

pub mod backend;
pub mod driver;
pub mod ir;

mod check;
mod diagnostic;
mod name;
mod suggest;
mod syntax;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Place};
pub use name::Name;

use diagnostic::Report;

/// Compiles one schema: its text to the checked model.
///
/// `file_name` is only shown in diagnostics.
///
/// # Errors
///
/// All mistakes of the file, each with its place and what to write instead.
pub fn compile(file_name: &str, source: &str) -> Result<ir::Service, Diagnostics> {
    let files = [(file_name.to_owned(), source.to_owned())];
    let mut services = compile_set(&files)?;
    Ok(services.remove(0))
}

/// Compiles schemas that belong together, given as file names and texts, in that order: no two may
/// share a name or a method code.
///
/// # Errors
///
/// All mistakes of all files, each with its place and what to write instead.
pub fn compile_set(files: &[(String, String)]) -> Result<Vec<ir::Service>, Diagnostics> {
    let mut reports: Vec<Report> =
        files.iter().map(|(name, text)| Report::new(name, text)).collect();
    let parsed: Vec<_> = files
        .iter()
        .zip(&mut reports)
        .map(|((_, text), report)| syntax::parse(text, report))
        .collect();
    let mut trees: Vec<_> = parsed
        .iter()
        .zip(&mut reports)
        .filter_map(|(tree, report)| Some((tree.as_ref()?, report)))
        .collect();
    let services: Vec<_> =
        trees.iter_mut().map(|(tree, report)| check::service(tree, report)).collect();
    check::distinct(&mut trees);
    if trees.iter().all(|(_, report)| report.is_empty()) {
        check::distinct_in_c(&services, &mut trees);
    }
    Report::into_result(reports)?;
    Ok(services)
}
