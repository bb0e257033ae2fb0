//! One column for the whole name: where the first name ends.

/// First name(s) and last name of `Ann Bee`, `Bee, Ann`, `Dr. Ann van der Bee`. Titles and degrees are dropped. A single
/// word is a first name.
pub(super) fn split(full: &str) -> (Option<String>, Option<String>) {
    let (main, after_comma) = match full.split_once(',') {
        Some((before, after)) => (before, Some(after)),
        None => (full, None),
    };
    if let Some(after) = after_comma
        && !words(after).is_empty()
        && !words(main).is_empty()
    {
        // `Bee, Ann`, but not `Ann Bee, PhD`.
        return (joined(&words(after)), joined(&words(main)));
    }
    let words = if words(main).is_empty() { words(full) } else { words(main) };
    let Some(last) = words.len().checked_sub(1).filter(|last| *last > 0) else { return (joined(&words), None) };
    let particle = (1..last).find(|i| is_particle(words[*i]));
    let surname = particle.unwrap_or(last);
    (joined(&words[..surname]), joined(&words[surname..]))
}

/// The first name in a column `Name` that stands beside one for last names: without the last name, if it holds both.
pub(super) fn first_of(full: &str, last: &str) -> String {
    let (full, last) = (full.trim(), last.trim());
    let first = full
        .len()
        .checked_sub(last.len())
        .filter(|cut| *cut > 0 && full.is_char_boundary(*cut) && !last.is_empty())
        .map(|cut| full.split_at(cut))
        .filter(|(first, rest)| rest.to_lowercase() == last.to_lowercase() && first.ends_with(char::is_whitespace));
    first.map_or(full, |(first, _)| first).trim().to_owned()
}

fn words(text: &str) -> Vec<&str> {
    let bare = |word: &str| word.trim_matches(['.', ',']).to_lowercase();
    let mut words: Vec<&str> =
        text.split([' ', '\t', '\u{a0}', ',']).map(str::trim).filter(|word| !word.is_empty()).collect();
    let titles = words.iter().take_while(|word| TITLES.contains(&bare(word).as_str())).count();
    // One by one, a cell full of titles would be moved once for each of them.
    words.drain(..titles.min(words.len().saturating_sub(1)));
    while words.last().is_some_and(|word| DEGREES.contains(&bare(word).as_str())) {
        words.pop();
    }
    words
}

fn is_particle(word: &str) -> bool {
    // Lower case only: `Van` is a given name, `van` never is.
    PARTICLES.contains(&word)
}

fn joined(words: &[&str]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}

const TITLES: [&str; 16] = [
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "dr",
    "prof",
    "sir",
    "herr",
    "frau",
    "mme",
    "mlle",
    "sr",
    "sra",
    "ing",
    "dipl.-ing",
];
const DEGREES: [&str; 14] =
    ["jr", "sr", "ii", "iii", "phd", "ph.d", "md", "m.d", "mba", "esq", "cpa", "msc", "bsc", "pmp"];
const PARTICLES: [&str; 30] = [
    "van", "von", "vom", "zu", "zum", "zur", "de", "del", "della", "delle", "dello", "degli", "der", "den", "di", "da",
    "do", "dos", "das", "du", "des", "la", "le", "ter", "ten", "bin", "ibn", "al", "el", "af",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(full: &str) -> (String, String) {
        let (first, last) = split(full);
        (first.unwrap_or_default(), last.unwrap_or_default())
    }

    #[test]
    fn a_full_name_becomes_first_and_last() {
        for (full, first, last) in [
            ("Ann Bee", "Ann", "Bee"),
            ("  Ann   Bee ", "Ann", "Bee"),
            ("Bee, Ann", "Ann", "Bee"),
            ("Bee, Ann Marie", "Ann Marie", "Bee"),
            ("Ann Marie Bee", "Ann Marie", "Bee"),
            ("Ann van der Bee", "Ann", "van der Bee"),
            ("Van Morrison", "Van", "Morrison"),
            ("Dr. Ann Bee", "Ann", "Bee"),
            ("Prof. Dr. Ann Bee", "Ann", "Bee"),
            ("Ann Bee, PhD", "Ann", "Bee"),
            ("Ann Bee Jr.", "Ann", "Bee"),
            ("Ann", "Ann", ""),
            ("Ann,", "Ann", ""),
            (", Ann", "Ann", ""),
            ("Dr", "Dr", ""),
            ("", "", ""),
            (" , ", "", ""),
            ("王小明", "王小明", ""),
            ("José de la Cruz", "José", "de la Cruz"),
        ] {
            assert_eq!(pair(full), (first.to_owned(), last.to_owned()), "{full}");
        }
    }

    #[test]
    fn a_name_column_beside_last_names_gives_the_first_name_alone() {
        assert_eq!(first_of("Ann Bee", "Bee"), "Ann");
        assert_eq!(first_of("Ann BEE", "bee"), "Ann");
        assert_eq!(first_of("Ann", "Bee"), "Ann");
        assert_eq!(first_of("Bee", "Bee"), "Bee");
        assert_eq!(first_of("Annbee", "bee"), "Annbee");
        assert_eq!(first_of("Zoë", ""), "Zoë");
    }
}
