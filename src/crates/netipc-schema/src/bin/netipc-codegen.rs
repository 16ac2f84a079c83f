//! The compiler as the build uses it: it depends on nothing that is generated, so that broken output
//! never keeps it from running. People use `netipc schema`, which is the same library.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use netipc_schema::backend::Target;
use netipc_schema::driver;

const USAGE: &str = "usage: netipc-codegen LANG OUT_DIR SCHEMA…";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let language = arguments.next().and_then(|language| language.into_string().ok());
    let target = Target::ALL.into_iter().find(|target| language.as_deref() == Some(target.name()));
    let (Some(target), Some(out)) = (target, arguments.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let files: Vec<_> = arguments.map(PathBuf::from).collect();
    match driver::generate(&files, target, &PathBuf::from(out)) {
        Ok(written) => {
            for path in written {
                println!("{}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::FAILURE
        }
    }
}
