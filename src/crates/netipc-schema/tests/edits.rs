//! Whatever is done to a schema's text, the compiler answers: a model or mistakes, never a panic, and
//! not after long.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use netipc_schema::{Code, compile, compile_set};
use proptest::prelude::*;
use proptest::sample::Index;

const SERVICES: [&str; 6] = [
    "increment",
    "string-reverse",
    "cgroups-snapshot",
    "cgroups-lookup",
    "apps-lookup",
    "ip-to-asn",
];

/// What may be put in, beside what is there: the words and signs that the language is made of, and
/// what it is not made of.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "\"",
    "=",
    ";",
    "\n",
    "\\",
    "//",
    "/*",
    "*/",
    "é€😀",
    "\0",
    "(u8)",
    "#true",
    "#\"",
    "-1",
    "0xFFFFFFFFFFFFFFFFF",
    "u64 value",
    "string text",
    "reserved 4294967295",
    "at=4294967295",
    "place=0",
    "min=4294967295",
    "const=0",
    "enum=Status",
    "echo=pid",
    "count-of=items",
    "role=generation",
    "role=retry",
    "when status is=known {",
    "blank",
    "identity hash",
];

/// How long any one text may take, unoptimized, on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

fn source(service: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/schemas");
    fs::read_to_string(folder.join(format!("{service}.kdl"))).unwrap()
}

#[derive(Clone, Debug)]
enum Edit {
    DropLine(Index),
    RepeatLine(Index),
    SwapLines(Index, Index),
    DropLetter(Index),
    RepeatLetter(Index),
    Insert(Index, &'static str),
    /// One word in the place of another word of the same text.
    CopyWord(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Edit::DropLine),
        at().prop_map(Edit::RepeatLine),
        (at(), at()).prop_map(|(first, second)| Edit::SwapLines(first, second)),
        at().prop_map(Edit::DropLetter),
        at().prop_map(Edit::RepeatLetter),
        (at(), prop::sample::select(&PIECES[..]))
            .prop_map(|(place, piece)| Edit::Insert(place, piece)),
        (at(), at()).prop_map(|(from, to)| Edit::CopyWord(from, to)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut letters: Vec<char> = text.chars().collect();
    let mut words: Vec<&str> = text.split_inclusive([' ', '\n', '=']).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    match edit {
        Edit::DropLine(line) => drop(lines.remove(line.index(lines.len()))),
        Edit::RepeatLine(line) => {
            let line = line.index(lines.len());
            lines.insert(line, lines[line]);
        }
        Edit::SwapLines(first, second) => {
            let (first, second) = (first.index(lines.len()), second.index(lines.len()));
            lines.swap(first, second);
        }
        Edit::DropLetter(place) => {
            letters.remove(place.index(letters.len()));
            return letters.into_iter().collect();
        }
        Edit::RepeatLetter(place) => {
            let place = place.index(letters.len());
            letters.insert(place, letters[place]);
            return letters.into_iter().collect();
        }
        Edit::Insert(place, piece) => {
            let place = place.index(letters.len());
            letters.splice(place..place, piece.chars());
            return letters.into_iter().collect();
        }
        Edit::CopyWord(from, to) => {
            let (from, to) = (from.index(words.len()), to.index(words.len()));
            words[to] = words[from];
            return words.concat();
        }
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_schemas_compile_or_say_why_not(
        service in prop::sample::select(&SERVICES[..]),
        edits in prop::collection::vec(edit(), 1..8),
    ) {
        let text = edits.iter().fold(source(service), |text, edit| apply(&text, edit));
        let start = Instant::now();
        if let Err(mistakes) = compile(service, &text) {
            prop_assert!(!mistakes.list().is_empty());
            let rendered = mistakes.render();
            prop_assert!(!rendered.contains("the KDL parser"), "{rendered}\n{text}");
            prop_assert!(!rendered.contains("Failed to read"), "{rendered}\n{text}");
        }
        prop_assert!(start.elapsed() < LONGEST, "{text}");
    }

    #[test]
    fn any_text_is_answered(text in "[ -~é😀\n\0]{0,200}") {
        if let Err(mistakes) = compile("text", &text) {
            prop_assert!(!mistakes.list().is_empty());
        }
    }
}

/// Each as deep as the limits admit, and one deeper.
#[test]
fn deep_texts_overflow_no_stack() {
    for depth in [255, 256, 257] {
        for (open, close) in
            [("a {", "}"), ("a {", ""), ("{", "}"), ("{", ""), ("/*", "*/"), ("/*", "")]
        {
            let text = open.repeat(depth) + &close.repeat(depth);
            let mistakes = compile("deep", &text).unwrap_err();
            assert!(!mistakes.render().contains("the KDL parser"), "{depth} {open} {close}");
        }
    }
}

/// The longest texts that are read at all, of what the parser finds hardest.
#[test]
fn long_texts_are_answered_in_time() {
    const LONGEST_BYTES: usize = 32 * 1024;
    for piece in ["u8 a;", "a=1 ", "}", "==", "#\")", "é"] {
        let text = piece.repeat(LONGEST_BYTES / piece.len());
        let start = Instant::now();
        let mistakes = compile("long", &text).unwrap_err();
        assert!(!mistakes.render().contains("the KDL parser"), "{piece:?}");
        assert!(start.elapsed() < LONGEST, "{piece:?} took {:?}", start.elapsed());
    }
    let text = "a".repeat(LONGEST_BYTES + 1);
    assert_eq!(compile("long", &text).unwrap_err().list()[0].code(), Code::Limit);
}

#[test]
fn no_files_are_no_services() {
    assert!(compile_set(&[]).unwrap().is_empty());
}
