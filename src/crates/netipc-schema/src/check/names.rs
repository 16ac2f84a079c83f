//! Names: what every target language can spell, and what none has taken.

use std::collections::HashMap;

use super::text;
use crate::diagnostic::{Code, Report};
use crate::name::Name;
use crate::syntax::Word;

/// The longest name, in bytes: an endpoint's path has room for 107 in all (spec section 5).
const MAX_NAME_BYTES: usize = 64;

const RUST: &str = "a keyword of Rust";
const GO: &str = "a keyword of Go";
const GO_PREDECLARED: &str = "predeclared in Go, where it would be hidden";
const C: &str = "a keyword of C";
const CPP: &str = "a keyword of C++";
const C_MACRO: &str = "a macro of common C headers";
const C_TYPE: &str = "a type of common C headers";
const GENERATED: &str = "a name that generated code has of its own";

/// Names that fields, tables, directories and strings may not have: the reason, and the words.
const RESERVED: &[(&str, &str)] = &[
    (
        RUST,
        "abstract as async await become box break const continue crate do dyn else enum \
         extern false final fn for gen if impl in let loop macro match mod move mut override \
         priv pub ref return self static struct super trait true try type typeof union unsafe \
         unsized use virtual where while yield",
    ),
    (
        GO,
        "case chan default defer fallthrough func go goto import interface map package range \
         select switch var",
    ),
    (
        GO_PREDECLARED,
        "any append bool byte cap clear close comparable complex copy delete error float32 \
         float64 imag init int int16 int32 int64 int8 iota main make max min nil panic print \
         println real recover rune string uint uint16 uint32 uint64 uint8 uintptr",
    ),
    (
        C,
        "alignas alignof auto char constexpr double float inline long nullptr register \
         restrict short signed sizeof static_assert thread_local typedef unsigned void \
         volatile asm",
    ),
    (
        CPP,
        "and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return \
         co_yield compl concept const_cast consteval constinit decltype dynamic_cast explicit \
         export friend mutable namespace noexcept not not_eq operator or or_eq private \
         protected public reinterpret_cast requires static_cast template this throw typeid \
         typename using wchar_t xor xor_eq",
    ),
    (
        C_MACRO,
        "assert complex_i environ eof errno far i386 imaginary infinity linux nan near \
         noreturn null offsetof small stderr stdin stdout unix va_arg va_copy va_end va_start",
    ),
    (
        C_TYPE,
        "int16_t int32_t int64_t int8_t intptr_t ptrdiff_t size_t ssize_t uint16_t uint32_t \
         uint64_t uint8_t uintptr_t",
    ),
    (
        GENERATED,
        "as_bytes as_str at bind builder cache client codec decode encode encoded_len ffi finish \
         fixed full get is_empty is_full item iter key len method netipc new nipc out owned \
         payload push record request reserved reset response rest serve server service strings_end \
         to_owned view",
    ),
];

/// Names that enumerations and elements may not have, as types, in lower case.
const RESERVED_TYPES: &str = "answer arc asref box builderror cache client cow decode_request \
                              decode_response decodeerror err error exactsizeiterator handler i \
                              identity intoiterator iterator k l method new_cache new_client \
                              new_server new_server_with_workers none ok option reader result self \
                              server service sized snapshot some string toowned v vec";

/// Names that a service may not have, in one word, beside keywords: what Go's tools make of a folder
/// or a package that is called so.
const GO_FOLDERS: &str = "internal main testdata vendor";

/// Names that variants may not have, as Rust spells them, in lower case.
const RESERVED_VARIANTS: &str = "self";

/// What a name names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// A field, table, directory or string.
    Part,
    Enum,
    Variant,
    /// A status of a lookup that its server may answer: it becomes a method.
    Answer,
}

impl Naming {
    /// Why nothing of this kind may have that name.
    fn taken(self, name: &Name) -> Option<&'static str> {
        let spellings = [name.snake(), name.as_str().to_ascii_lowercase()];
        let hits = |words: &str| {
            words.split_whitespace().any(|word| spellings.iter().any(|each| each == word))
        };
        match self {
            Self::Part | Self::Answer => {
                RESERVED.iter().find(|(_, words)| hits(words)).map(|(reason, _)| *reason)
            }
            Self::Enum => hits(RESERVED_TYPES).then_some("a type that generated code uses"),
            Self::Variant => hits(RESERVED_VARIANTS).then_some("a keyword of Rust"),
        }
    }
}

/// The name that a word is; after a mistake, some name.
pub(super) fn check(word: &Word, naming: Naming, report: &mut Report) -> Name {
    let Some(name) = spelled(word, report) else { return unnamed() };
    free(word, &name, naming, &[], report);
    name
}

/// Reports a status that cannot be a method of the response's builder, which has those in `taken`
/// beside those of every builder.
pub(super) fn answer(word: &Word, taken: &[String], report: &mut Report) {
    if let Some(name) = Name::new(&word.value) {
        free(word, &name, Naming::Answer, taken, report);
    }
}

/// Whether generated code has a type of that spelling, whatever the service.
pub(super) fn is_reserved_type(name: &Name) -> bool {
    Naming::Enum.taken(name).is_some()
}

/// Whether every package of a service in Go has something exported that is spelled so.
pub(super) fn is_go_package_name(spelled: &str) -> bool {
    Name::new(spelled).is_some_and(|name| is_reserved_type(&name))
}

/// Reports a name that is taken, in general or here.
fn free(word: &Word, name: &Name, naming: Naming, taken: &[String], report: &mut Report) {
    let here = || taken.contains(&name.snake()).then_some(GENERATED);
    if let Some(reason) = naming.taken(name).or_else(here) {
        let message = format!("`{name}` is {reason}");
        let longer = match naming {
            Naming::Part => format!("{}_value", name.as_str().to_ascii_lowercase()),
            Naming::Enum => format!("{}Kind", name.pascal()),
            Naming::Variant | Naming::Answer => format!("{}-value", name.kebab()),
        };
        let help = format!("choose another name; a second word is enough: `{longer}`");
        report.error(Code::ReservedName, word.span, message, help);
    }
}

/// The service's name, which is also its endpoint's (spec section 5).
pub(super) fn service(word: &Word, report: &mut Report) -> Name {
    let name = Name::new(&word.value)
        .filter(|name| name.as_str() == name.kebab() && name.as_str().len() <= MAX_NAME_BYTES);
    if let Some(name) = name {
        not_a_keyword(&name, word, report);
        return name;
    }
    let message = format!("`{}` cannot be a service's name", text::escape(&word.value));
    let help = format!(
        "write words of a-z and 0-9 with `-` between them, at most {MAX_NAME_BYTES} bytes, the first \
         letter one of a-z: the name is the endpoint's, and the stem of all that is generated"
    );
    report.error(Code::ServiceName, word.span, message, help);
    unnamed()
}

/// A service becomes a module in Rust and a package in Go.
fn not_a_keyword(name: &Name, word: &Word, report: &mut Report) {
    let keywords = RESERVED.iter().filter(|(reason, _)| [RUST, GO].contains(reason));
    let folders = (GO_FOLDERS, "a folder that Go's tools treat in their own way");
    let taken = keywords.map(|(reason, words)| (*words, *reason)).chain([folders]);
    let spellings = [name.snake(), name.go_package()];
    for (words, reason) in taken {
        if words.split_whitespace().any(|each| spellings.iter().any(|spelled| spelled == each)) {
            let message = format!("`{name}` is {reason}");
            let help = format!("choose another name; a second word is enough: `{name}-service`");
            report.error(Code::ReservedName, word.span, message, help);
        }
    }
}

/// Reports names with one spelling, in any target language, among things of one kind.
pub(super) fn distinct<'a>(words: impl IntoIterator<Item = &'a Word>, report: &mut Report) {
    let mut seen: HashMap<String, &Word> = HashMap::new();
    for word in words {
        let Some(name) = Name::new(&word.value) else { continue };
        let spellings = [name.pascal(), name.go_exported()];
        let Some((spelled, first)) =
            spellings.iter().find_map(|spelled| Some((spelled, *seen.get(spelled)?)))
        else {
            seen.extend(spellings.map(|spelled| (spelled, word)));
            continue;
        };
        let message = if first.value == word.value {
            format!("`{name}` is there twice")
        } else {
            format!("`{name}` and `{}` are both spelled `{spelled}`", first.value)
        };
        report.error(Code::DuplicateName, word.span, message, "rename one of the two");
        report.also(first.span, "the first");
    }
}

fn spelled(word: &Word, report: &mut Report) -> Option<Name> {
    if word.value.is_empty() && word.span.is_empty() {
        return None;
    }
    let name = Name::new(&word.value).filter(|name| name.as_str().len() <= MAX_NAME_BYTES);
    if name.is_none() {
        let message = format!("`{}` cannot be a name", text::escape(&word.value));
        let help = format!(
            "write words of a-z and 0-9 with `_` or `-` between them, at most {MAX_NAME_BYTES} bytes, \
             the first letter no digit"
        );
        report.error(Code::Name, word.span, message, help);
    }
    name
}

/// Stands where no name could be read; never leaves the compiler.
pub(super) fn unnamed() -> Name {
    Name::new("unnamed").expect("it is a word of letters")
}

#[cfg(test)]
mod tests {
    use super::{RESERVED, RESERVED_TYPES, RESERVED_VARIANTS};

    #[test]
    fn no_word_is_reserved_twice_or_in_capitals() {
        let mut words: Vec<_> =
            RESERVED.iter().flat_map(|(_, words)| words.split_whitespace()).collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
        words.extend([RESERVED_TYPES, RESERVED_VARIANTS].iter().flat_map(|words| words.split(' ')));
        assert!(words.iter().all(|word| *word == word.to_ascii_lowercase()));
    }
}
