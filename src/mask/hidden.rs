//! What is known to be private, found again in somebody else's words: an error message may quote the request back.

use std::collections::HashSet;
use std::ops::Range;

/// A value of more words than this is recognised by any so many of its words in a row, so that a quoted part of a note is
/// found and ordinary words of it are not.
const RUN: usize = 3;
/// Shorter words are not names but initials, and hiding them would hide half of any sentence.
const SHORTEST: usize = 2;
const HIDDEN: &str = "(hidden)";

/// Words that must not be repeated. `Debug` tells nothing: there is none.
#[derive(Default)]
pub(crate) struct Hidden {
    /// Lower case, at most [`RUN`] words each.
    runs: HashSet<Vec<String>>,
}

impl Hidden {
    /// Hides each word of a name.
    pub(crate) fn name(&mut self, text: &str) {
        let words = words(text).map(|(_, word)| word).filter(|word| word.chars().count() >= SHORTEST);
        self.runs.extend(words.map(|word| vec![word]));
    }

    /// Hides a value as a whole, or any [`RUN`] words of it that stand in a row.
    pub(crate) fn value(&mut self, text: &str) {
        let words: Vec<String> = words(text).map(|(_, word)| word).collect();
        match words.as_slice() {
            [] => {}
            [word] if word.chars().count() < SHORTEST => {}
            few if few.len() <= RUN => {
                self.runs.insert(words);
            }
            many => self.runs.extend(many.windows(RUN).map(<[_]>::to_vec)),
        }
    }

    /// `text` with what is hidden replaced.
    pub(crate) fn hide(&self, text: &str) -> String {
        let (places, words): (Vec<Range<usize>>, Vec<String>) = words(text).unzip();
        let mut covered = vec![false; words.len()];
        for length in 1..=RUN.min(words.len()) {
            for (at, run) in words.windows(length).enumerate() {
                if self.runs.contains(run) {
                    covered[at..at + length].fill(true);
                }
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        let mut at = 0;
        while at < words.len() {
            let begins = at;
            at += 1;
            if !covered[begins] {
                continue;
            }
            while at < words.len() && covered[at] && are_one(&text[places[at - 1].end..places[at].start]) {
                at += 1;
            }
            out.push_str(&text[copied..places[begins].start]);
            out.push_str(HIDDEN);
            copied = places[at - 1].end;
        }
        out.push_str(&text[copied..]);
        out
    }
}

/// Whether what stands on both sides of this may be shown as one hidden thing.
fn are_one(between: &str) -> bool {
    between.chars().all(|c| c.is_whitespace() || ".-_'’".contains(c))
}

/// Letters and digits in a row, in lower case, and where they stand.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(char::is_alphanumeric)?;
        let length = text[start..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - start);
        from = start + length;
        Some((start..from, text[start..from].to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hidden() -> Hidden {
        let mut hidden = Hidden::default();
        hidden.name("Zoë van der Bee");
        hidden.value("Acme Rocket Works");
        hidden.value("please call her about the red rocket");
        hidden.value("X");
        hidden
    }

    #[test]
    fn what_is_hidden_is_found_in_any_case_and_the_rest_stays() {
        for (text, shown) in [
            ("lead ZOË VAN DER BEE, exists", "lead (hidden), exists"),
            ("{\"lastName\":\"bee\"}", "{\"lastName\":\"(hidden)\"}"),
            ("beehive and beer", "beehive and beer"),
            ("no company acme rocket works here", "no company (hidden) here"),
            ("acme is not acme rocket", "acme is not acme rocket"),
            ("bad note: `… about the red…`", "bad note: `… (hidden)…`"),
            ("about red things, please call", "about red things, please call"),
            ("the X is shown", "the X is shown"),
            ("", ""),
            ("...", "..."),
        ] {
            assert_eq!(hidden().hide(text), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_survives_whatever_stands_around_it(before in "\\PC{0,20}", name in "[a-zäß]{2,8}", after in "\\PC{0,20}") {
            let mut hidden = Hidden::default();
            hidden.name(&name);
            let shown = hidden.hide(&format!("{before} {name}. {after}"));
            prop_assert!(words(&shown).all(|(_, word)| word != name));
        }
    }
}
