//! Phone numbers to E.164.

use std::sync::LazyLock;

use phonenumber::metadata::{DATABASE, Database};
use phonenumber::{Metadata, Mode, country};

use super::text::{Tidied, clean};

/// A country whose dialling rules are known: where numbers without a country code are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// ISO 3166 alpha-2, upper case.
    pub fn code(&self) -> &str {
        self.0.as_ref()
    }
}

/// A region that no dialling rules are known for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no region that phone numbers are known for; expected two letters as in ISO 3166, e.g. US, GB or DE")]
pub struct UnknownRegion(pub String);

/// The region with this ISO 3166 alpha-2 code, in any case.
///
/// # Errors
/// [`UnknownRegion`] if there is no such code, or no phone number has it.
pub fn region(code: &str) -> Result<Region, UnknownRegion> {
    let upper = code.trim().to_ascii_uppercase();
    upper
        .parse::<country::Id>()
        .ok()
        .filter(|id| numbers().by_id(id.as_ref()).is_some())
        .map(Region)
        .ok_or_else(|| UnknownRegion(code.to_owned()))
}

/// The dialling rules of all countries.
///
/// Their regular expressions are compiled as they are needed and phonenumber keeps 100 of them, some twenty countries'
/// worth: a list from all over the world would compile anew for every lead (1.6 ms instead of 20 µs, measured). 1000 are
/// enough for all countries, and take about 70 MB if numbers of all of them really come.
fn numbers() -> &'static Database {
    static NUMBERS: LazyLock<&'static Database> = LazyLock::new(|| {
        if let Ok(mut kept) = DATABASE.cache().lock() {
            kept.set_capacity(1000);
        }
        &DATABASE
    });
    &NUMBERS
}

/// E.164 (`+14155550100`), or left out.
pub(super) fn normalise(raw: &str, region: Option<Region>) -> Tidied {
    let text = clean(raw);
    if text.trim().is_empty() {
        return Tidied::default();
    }
    if is_exponent(&text) {
        return Tidied::left_out("a spreadsheet has cut it to exponent form (1.2E+10), left out");
    }
    let Some(written) = Written::read(&text) else { return Tidied::left_out(INVALID) };
    match e164(&written.digits, region) {
        Some(number) if written.has_extension => {
            Tidied { note: Some("the extension was left out".into()), ..Tidied::value(number) }
        }
        Some(number) => Tidied::value(number),
        None => Tidied::left_out(INVALID),
    }
}

const INVALID: &str = "not a valid number, left out";

fn e164(digits: &str, region: Option<Region>) -> Option<String> {
    if let Some(international) = digits.strip_prefix('+') {
        return from_abroad(international);
    }
    let by_our_prefix = region.and_then(|region| {
        let meta = numbers().by_id(region.code())?;
        let prefix = meta.international_prefix()?.find(digits).filter(|found| found.start() == 0)?.end();
        from_abroad(&digits[prefix..])
    });
    by_our_prefix
        .or_else(|| within(region?, digits))
        // `00` is how much of the world writes `+`, also in lists for a region that dials `011`.
        .or_else(|| from_abroad(digits.strip_prefix("00")?))
}

/// A number as dialled within its country.
fn within(region: Region, digits: &str) -> Option<String> {
    let meta = numbers().by_id(region.code())?;
    let with_code = |national: &str| as_it_is(&format!("{}{national}", meta.country_code()));
    meta.national_prefix()
        .and_then(|prefix| with_code(digits.strip_prefix(prefix)?))
        .or_else(|| with_code(digits))
        // Carrier codes and what else countries have thought of.
        .or_else(|| parsed(region.0, digits))
}

/// A number that begins with its country code.
fn from_abroad(digits: &str) -> Option<String> {
    as_it_is(digits).or_else(|| {
        // Perhaps a national prefix stands where it should not: `+49 (0) 30 …`. The number is parsed for its own country:
        // given another one, phonenumber 0.3.10 strips that one's prefix, and makes another number of `+49 151 …` for
        // somebody in the US, where the prefix is 1.
        let (metas, national) = country_of(digits)?;
        metas.iter().find_map(|meta| parsed(meta.id().parse().ok()?, national))
    })
}

/// What the parser makes of a number dialled within a country.
fn parsed(country: country::Id, digits: &str) -> Option<String> {
    let number = phonenumber::parse(Some(country), digits).ok()?;
    // Formatting costs as much as parsing, so it is done for valid numbers only.
    number.is_valid().then(|| number.format().mode(Mode::E164).to_string())
}

/// The number itself, if it is one without any change. Asked before the parser, which also strips national prefixes that
/// are none (`+7 800 …`, where 8 is the prefix).
fn as_it_is(digits: &str) -> Option<String> {
    let (metas, national) = country_of(digits)?;
    metas.iter().any(|meta| is_number(meta, national)).then(|| format!("+{digits}"))
}

/// The countries that share the number's country code, and the rest of it. No code is the beginning of another.
fn country_of(digits: &str) -> Option<(Vec<&'static Metadata>, &str)> {
    (1..=3).find_map(|length| {
        let code: u16 = digits.get(..length).filter(|code| !code.starts_with('0'))?.parse().ok()?;
        Some((numbers().by_code(&code)?, &digits[length..]))
    })
}

fn is_number(meta: &Metadata, national: &str) -> bool {
    let all = meta.descriptors();
    let kinds = [
        all.fixed_line(),
        all.mobile(),
        all.voip(),
        all.toll_free(),
        all.shared_cost(),
        all.uan(),
        all.personal_number(),
        all.premium_rate(),
        all.pager(),
        all.voicemail(),
    ];
    all.general().is_match(national) && kinds.into_iter().flatten().any(|kind| kind.is_match(national))
}

/// A number as people write it, read down to its digits. The parser is given nothing else: it is fast then, and no text
/// can surprise it.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    /// Perhaps with a `+` in front.
    digits: String,
    has_extension: bool,
}

impl Written {
    /// `None`: this is no number.
    fn read(text: &str) -> Option<Self> {
        let lower = text.trim().to_lowercase();
        // Spreadsheets keep digits as text behind a quote; Facebook's lead ads export `p:+1…`.
        let mut rest = lower.trim_start_matches(['\'', '=', '"']).trim_end_matches(['"', '\'']);
        for label in ["tel:", "tel.", "phone:", "p:", "t:", "m:"] {
            rest = rest.strip_prefix(label).unwrap_or(rest).trim_start();
        }
        let (number, has_extension) = split_extension(rest);
        let mut digits = String::with_capacity(16);
        for c in number.chars() {
            match c {
                '+' | '＋' if digits.is_empty() => digits.push('+'),
                ' '
                | '\u{a0}'
                | '\u{2000}'..='\u{200d}'
                | '\u{202f}'
                | '\u{3000}'
                | '('
                | ')'
                | '['
                | ']'
                | '-'
                | '.'
                | '/'
                | '·'
                | '~'
                | '\u{2010}'..='\u{2015}'
                | '\u{2212}'
                | '－'
                | '（'
                | '）' => {}
                c => digits.push(char::from_digit(decimal(c)?, 10)?),
            }
            if digits.len() > 20 {
                return None;
            }
        }
        let count = digits.trim_start_matches('+').len();
        // Shorter ones are service numbers, which nobody abroad can call.
        (count >= 5).then_some(Self { digits, has_extension })
    }
}

/// `4.91512E+12`.
fn is_exponent(text: &str) -> bool {
    text.trim().split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| {
        mantissa.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
            && exponent.strip_prefix('+').is_some_and(|power| power.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The number before `x12`, `ext. 12`, `#12`, `;ext=12`, and whether there was an extension.
fn split_extension(text: &str) -> (&str, bool) {
    for mark in [";ext=", "extension", "ext.", "ext", "durchwahl", "poste", "x", "#", ";"] {
        if let Some((number, extension)) = text.split_once(mark)
            && number.chars().any(|c| c.is_ascii_digit())
            && extension.trim().trim_start_matches(['.', ':']).trim().bytes().all(|b| b.is_ascii_digit())
        {
            return (number, extension.bytes().any(|b| b.is_ascii_digit()));
        }
    }
    (text, false)
}

/// Decimal digits of the scripts that phone numbers are written in.
fn decimal(c: char) -> Option<u32> {
    const ZEROS: [char; 6] = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{ff10}'];
    ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|digit| *digit < 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(raw: &str, code: &str) -> Option<String> {
        normalise(raw, Some(region(code).unwrap())).value
    }

    #[test]
    fn a_number_has_one_form() {
        for (raw, code, expected) in [
            ("(415) 555-2671", "US", "+14155552671"),
            ("1-415-555-2671", "US", "+14155552671"),
            ("+1 415 555 2671", "DE", "+14155552671"),
            ("'+14155552671", "US", "+14155552671"),
            ("p:+14155552671", "US", "+14155552671"),
            ("tel:+1-415-555-2671", "US", "+14155552671"),
            ("030 123456", "DE", "+4930123456"),
            ("+49 (0) 30 123456", "US", "+4930123456"),
            ("0049 30 123456", "US", "+4930123456"),
            ("011 49 30 123456", "US", "+4930123456"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("+44 (0)20 7946 0958", "US", "+442079460958"),
            ("٠٢٠ ٧٩٤٦ ٠٩٥٨", "GB", "+442079460958"),
            ("０２０－７９４６－０９５８", "GB", "+442079460958"),
            ("+39 06 6982", "US", "+39066982"),
            ("+7 800 555-35-35", "US", "+78005553535"),
            ("+49 151 23456789", "US", "+4915123456789"),
            ("0151 23456789", "DE", "+4915123456789"),
            ("8 800 555-35-35", "RU", "+78005553535"),
        ] {
            assert_eq!(number(raw, code).as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn an_international_number_is_itself_wherever_it_is_read() {
        let here =
            [None, region("US").ok(), region("DE").ok(), region("IT").ok(), region("RU").ok(), region("HU").ok()];
        let mut seen = 0;
        for meta in DATABASE.iter() {
            let kinds = meta.descriptors();
            for kind in [kinds.fixed_line(), kinds.mobile(), kinds.toll_free(), kinds.voip()] {
                let Some(example) = kind.and_then(|kind| kind.example()) else { continue };
                let international = format!("+{}{example}", meta.country_code());
                for region in here {
                    assert_eq!(
                        normalise(&international, region).value.as_deref(),
                        Some(&*international),
                        "read in {region:?}"
                    );
                }
                seen += 1;
            }
        }
        assert!(seen > 500, "{seen}");
    }

    #[test]
    fn an_extension_is_left_out_and_noted() {
        for raw in ["(415) 555-2671 x12", "415-555-2671 ext. 12", "4155552671#12", "tel:+14155552671;ext=12"] {
            let tidied = normalise(raw, Some(region("us").unwrap()));
            assert_eq!(tidied.value.as_deref(), Some("+14155552671"), "{raw}");
            assert!(tidied.note.unwrap().contains("extension"), "{raw}");
        }
    }

    #[test]
    fn what_is_no_number_is_left_out_and_noted() {
        for raw in [
            "123",
            "n/a",
            "call me",
            "555-2671",
            "+1 999",
            "4155552671 / 4155552672",
            "+",
            "++1",
            "1".repeat(40).as_str(),
        ] {
            let tidied = normalise(raw, Some(region("US").unwrap()));
            assert_eq!(tidied.value, None, "{raw}");
            assert_eq!(tidied.note.as_deref(), Some(INVALID), "{raw}");
        }
        let exponent = normalise("4.91512E+12", Some(region("DE").unwrap()));
        assert!(exponent.value.is_none() && exponent.note.unwrap().contains("exponent"));
    }

    #[test]
    fn without_a_region_only_international_numbers_are_valid() {
        assert_eq!(normalise("+14155552671", None).value.as_deref(), Some("+14155552671"));
        assert_eq!(normalise("(415) 555-2671", None).value, None);
        assert_eq!(normalise("", None), Tidied::default());
    }

    #[test]
    fn a_region_is_known_in_any_case_and_an_unknown_one_is_named() {
        assert_eq!(region(" de ").unwrap().code(), "DE");
        for unknown in ["", "XX", "Germany", "U"] {
            assert!(region(unknown).unwrap_err().to_string().contains(&format!("`{unknown}`")));
        }
    }
}
