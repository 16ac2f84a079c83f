//! Texts for the reader, which end up in comments of every target language.

use crate::diagnostic::{Code, Report};
use crate::syntax::Word;

/// The text, which every language's comments can hold; empty if there is none.
pub(super) fn doc(word: Option<&Word>, report: &mut Report) -> String {
    let Some(word) = word else { return String::new() };
    if word.value.trim().is_empty() {
        let help = "say what the reader cannot guess from the name, or remove it";
        report.error(Code::Doc, word.span, "the text is empty", help);
    } else if word.value.contains(char::is_control) {
        let help = "write it as one line, without tabs";
        report.error(Code::Doc, word.span, "the text holds a control character", help);
    } else if word.value.contains("*/") || word.value.contains("/*") {
        let help = "put a space between the two characters: C's comments begin and end with them";
        report.error(Code::Doc, word.span, "the text holds `/*` or `*/`", help);
    }
    word.value.clone()
}

/// A text from the schema, fit to be shown in a message.
pub(super) fn escape(text: &str) -> String {
    text.escape_debug().to_string()
}
