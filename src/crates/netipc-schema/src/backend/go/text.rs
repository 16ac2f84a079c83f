//! Files as `gofmt` has them.

/// Packages that generated files may use: as they are called in code, and as they are imported.
const PACKAGES: [(&str, &str); 14] = [
    ("binary", "encoding/binary"),
    ("iter", "iter"),
    ("rand", "math/rand/v2"),
    ("strconv", "strconv"),
    ("testing", "testing"),
    ("codectest", "netipc/internal/codectest"),
    ("testkit", "netipc/internal/testkit"),
    ("protocol", "netipc/protocol"),
    ("payload", "netipc/protocol/payload"),
    ("service", "netipc/service"),
    ("transport", "netipc/transport"),
    ("errors", "errors"),
    ("context", "context"),
    ("bytes", "bytes"),
];

/// A file that starts with `opening`, which names its package, with the imports that `body` needs.
pub(super) fn file(opening: &str, body: &str) -> String {
    file_importing(opening, body, &[])
}

/// [`file()`], with imports of generated packages beside.
pub(super) fn file_importing(opening: &str, body: &str, generated: &[&str]) -> String {
    let generated = generated.iter().map(|package| format!("netipc/{package}"));
    let used = PACKAGES.iter().filter(|(name, _)| uses(body, name));
    let paths = used.map(|(_, path)| (*path).to_owned()).chain(generated);
    let (ours, standard): (Vec<_>, Vec<_>) = paths.partition(|path| path.starts_with("netipc/"));
    let import = |path: String| match path.strip_prefix("netipc/") {
        Some(rest) => format!("\t\"{}/{rest}\"", super::MODULE),
        None => format!("\t\"{path}\""),
    };
    let group = |mut paths: Vec<String>| {
        paths.sort_unstable();
        paths.into_iter().map(import).collect::<Vec<_>>().join("\n")
    };
    let groups: Vec<_> =
        [group(standard), group(ours)].into_iter().filter(|group| !group.is_empty()).collect();
    let imports = match groups.is_empty() {
        true => String::new(),
        false => format!("\nimport (\n{}\n)\n", groups.join("\n\n")),
    };
    tidy(&format!("{opening}{imports}\n{body}"))
}

/// Whether generated files may use a package of that name.
pub(super) fn is_package(name: &str) -> bool {
    PACKAGES.iter().any(|(package, _)| *package == name)
}

/// Whether code names something of a package.
fn uses(body: &str, package: &str) -> bool {
    let code = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    let part_of_name = |letter: char| letter.is_ascii_alphanumeric() || "_.`\"".contains(letter);
    let needle = format!("{package}.");
    let begins = |before: &str| before.ends_with("...") || !before.ends_with(part_of_name);
    code.into_iter().any(|line| line.match_indices(&needle).any(|(at, _)| begins(&line[..at])))
}

/// The text without the blank lines that templates leave behind: none doubled, none at the start or end
/// of a block.
fn tidy(text: &str) -> String {
    let mut tidied = String::new();
    let mut blank_waits = false;
    let mut opens = true;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank_waits = true;
            continue;
        }
        let closes = line.trim_start().starts_with(['}', ')']);
        if blank_waits && !opens && !closes {
            tidied.push('\n');
        }
        tidied.push_str(line);
        tidied.push('\n');
        blank_waits = false;
        opens = line.ends_with(['{', '(']);
    }
    tidied
}

/// The text as the rest of a sentence's line: it ends in a period.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::{tidy, uses};

    #[test]
    fn blank_lines_are_as_gofmt_has_them() {
        assert_eq!(tidy("\n\na {\n\n\tb\n\n\n\tc\n\n}\n\n\n"), "a {\n\tb\n\n\tc\n}\n");
    }

    #[test]
    fn packages_are_used_where_code_names_them() {
        assert!(uses("x := payload.Fits(out)", "payload"));
        assert!(uses("func f(all ...payload.Label)", "payload"));
        assert!(!uses("x := my_payload.Fits(out)", "payload"));
        assert!(!uses("// payload.Fits", "payload"));
        assert!(!uses("m.iter.All()", "iter"));
    }
}
