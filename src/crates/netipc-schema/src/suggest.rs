//! "Did you mean": the nearest of the words that would have been right.

/// Letters of a word for each edit that still counts as a slip of the pen.
const LETTERS_AN_EDIT: usize = 3;

/// A help text: the nearest of the candidates if one is near, or else what there is.
pub(crate) fn help<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(nearest) = nearest(word, &candidates) {
        return format!("did you mean `{nearest}`?");
    }
    if candidates.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there is {}", list(&candidates))
    }
}

/// `` `a`, `b` ``.
pub(crate) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    quoted.join(", ")
}

fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (word.chars().count() / LETTERS_AN_EDIT).max(1);
    candidates
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn near_words_are_offered_and_far_ones_listed() {
        assert_eq!(help("staus", ["status", "asn"]), "did you mean `status`?");
        assert_eq!(help("zebra", ["status", "asn"]), "there is `status`, `asn`");
        assert_eq!(help("zebra", []), "there is none");
    }
}
