//! Names, in the spellings of the target languages.

use std::fmt;

/// A name of a schema: words of `a-z0-9`, written as the schema's author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    text: String,
    words: Vec<String>,
}

impl Name {
    /// A name from `kebab-case`, `snake_case` or `PascalCase`.
    ///
    /// Returns `None` if it is empty, starts with something other than an ASCII letter, ends in a
    /// separator, or holds anything but ASCII letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let mut words = vec![String::new()];
        let mut after_lower_case = false;
        for letter in text.chars() {
            let word = words.last_mut()?;
            match letter {
                '-' | '_' if word.is_empty() => return None,
                '-' | '_' => words.push(String::new()),
                'A'..='Z' if after_lower_case => words.push(letter.to_ascii_lowercase().into()),
                'a'..='z' | '0'..='9' | 'A'..='Z' => word.push(letter.to_ascii_lowercase()),
                _ => return None,
            }
            after_lower_case = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        }
        if words.last()?.is_empty() {
            return None;
        }
        Some(Self { text: text.to_owned(), words })
    }

    /// As the schema has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `cgroups_lookup`.
    #[must_use]
    pub fn snake(&self) -> String {
        self.words.join("_")
    }

    /// `cgroups-lookup`.
    #[must_use]
    pub fn kebab(&self) -> String {
        self.words.join("-")
    }

    /// `CGROUPS_LOOKUP`.
    #[must_use]
    pub fn screaming(&self) -> String {
        self.snake().to_ascii_uppercase()
    }

    /// `CgroupsLookup`.
    #[must_use]
    pub fn pascal(&self) -> String {
        let capital = |word: &String| word[..1].to_ascii_uppercase() + &word[1..];
        self.words.iter().map(capital).collect()
    }

    /// `CgroupsLookup`, with the words in capitals that Go writes so: `ServerID`.
    #[must_use]
    pub fn go_exported(&self) -> String {
        self.words.iter().map(|word| go_word(word)).collect()
    }

    /// `cgroupsLookup`: what is not seen outside its package in Go.
    #[must_use]
    pub fn go_local(&self) -> String {
        let rest = self.words[1..].iter().map(|word| go_word(word));
        std::iter::once(self.words[0].clone()).chain(rest).collect()
    }

    /// `cgroupslookup`: a package in Go.
    #[must_use]
    pub fn go_package(&self) -> String {
        self.words.concat()
    }

    /// The name of one of what this names many of: `items` gives `item`.
    #[must_use]
    pub fn singular(&self) -> Self {
        let text = self.text.strip_suffix('s').unwrap_or(&self.text);
        Self::new(text).unwrap_or_else(|| self.clone())
    }
}

/// Words that Go spells in capitals: those of its own conventions, and of this project's field.
const GO_INITIALISMS: [&str; 53] = [
    "acl", "api", "ascii", "asn", "cpu", "css", "db", "dns", "eof", "fd", "gid", "guid", "html",
    "http", "https", "id", "io", "ip", "ipc", "json", "k8s", "kvm", "lxc", "mac", "mtu", "nul",
    "os", "pid", "ppid", "qps", "ram", "rpc", "sla", "smtp", "sql", "ssh", "tcp", "tls", "ts",
    "ttl", "udp", "ui", "uid", "uri", "url", "utf8", "uuid", "vm", "xml", "xmpp", "xsrf", "xss",
    "yaml",
];

fn go_word(word: &str) -> String {
    match GO_INITIALISMS.contains(&word) {
        true => word.to_ascii_uppercase(),
        false => word[..1].to_ascii_uppercase() + &word[1..],
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn spellings_follow_from_the_words() {
        for text in ["ip-to-asn", "ip_to_asn", "IpToAsn"] {
            let name = Name::new(text).unwrap();
            assert_eq!(name.snake(), "ip_to_asn");
            assert_eq!(name.kebab(), "ip-to-asn");
            assert_eq!(name.screaming(), "IP_TO_ASN");
            assert_eq!(name.pascal(), "IpToAsn");
        }
    }

    #[test]
    fn go_writes_initialisms_in_capitals() {
        let name = Name::new("peer-id_k8s-path").unwrap();
        assert_eq!(name.go_exported(), "PeerIDK8SPath");
        assert_eq!(name.go_local(), "peerIDK8SPath");
        assert_eq!(Name::new("ID").unwrap().go_local(), "id");
        assert_eq!(Name::new("ip-to-asn").unwrap().go_package(), "iptoasn");
    }

    #[test]
    fn capitals_in_a_row_are_one_word() {
        assert_eq!(Name::new("NULL").unwrap().snake(), "null");
        assert_eq!(Name::new("asIP").unwrap().snake(), "as_ip");
        assert_eq!(Name::new("Ip4Address").unwrap().snake(), "ip4_address");
    }

    #[test]
    fn the_singular_names_one_of_many() {
        assert_eq!(Name::new("items").unwrap().singular().as_str(), "item");
        assert_eq!(Name::new("s").unwrap().singular().as_str(), "s");
    }

    #[test]
    fn what_no_language_could_spell_is_refused() {
        for text in ["", "-a", "a-", "a--b", "1a", "é", "a b", "_", "a_", "a.b"] {
            assert!(Name::new(text).is_none(), "{text:?}");
        }
    }
}
