//! What the domain of an e-mail address says about an employer, and what it doesn't.

/// Providers of mailboxes for anybody, by full domain.
const FREE_MAIL: [&str; 47] = [
    "126.com",
    "139.com",
    "163.com",
    "aim.com",
    "aol.com",
    "att.net",
    "bellsouth.net",
    "bk.ru",
    "btinternet.com",
    "charter.net",
    "comcast.net",
    "cox.net",
    "duck.com",
    "earthlink.net",
    "fastmail.com",
    "fastmail.fm",
    "foxmail.com",
    "freenet.de",
    "gmail.com",
    "googlemail.com",
    "hey.com",
    "hushmail.com",
    "icloud.com",
    "inbox.ru",
    "laposte.net",
    "libero.it",
    "list.ru",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "rocketmail.com",
    "sbcglobal.net",
    "t-online.de",
    "tutanota.com",
    "verizon.net",
    "wanadoo.fr",
    "web.de",
];

/// Providers that use one name under many national domains (`yahoo.co.jp`, `hotmail.fr`).
const FREE_MAIL_NAMES: [&str; 9] =
    ["gmx", "googlemail", "hotmail", "live", "outlook", "yahoo", "yandex", "ymail", "zoho"];

/// Second-level labels under which countries register names (`co.uk`, `com.au`).
const REGISTRIES: [&str; 15] =
    ["ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "mil", "ne", "net", "nom", "or", "org", "sch"];

/// The part after the last `@`, if there is one and it is not empty.
pub fn of(email: &str) -> Option<&str> {
    email.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}

/// Whether anybody can have an address there, so that it says nothing of an employer. The common providers, not all.
pub fn is_free_mail(domain: &str) -> bool {
    let domain = tidy(domain);
    FREE_MAIL.contains(&domain.as_str()) || FREE_MAIL_NAMES.contains(&name(&domain))
}

/// Whether two domains plausibly belong to one organisation: the same registered name, whatever stands before it and under
/// whatever country it is registered (`mail.acme.com`, `acme.de`, `acme.co.uk`). Without the public suffix list, so
/// registries are known by their usual labels only; a doubt counts as "the same".
pub fn same_organisation(one: &str, other: &str) -> bool {
    let (one, other) = (tidy(one), tidy(other));
    one == other || name(&one) == name(&other)
}

/// Lower case, without scheme, `www.`, path and dots at the ends: services also write `https://www.acme.com/`.
fn tidy(domain: &str) -> String {
    let domain = domain.trim().to_lowercase();
    let host = domain.split_once("://").map_or(domain.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':', '?', '#']).next().unwrap_or_default().trim_matches('.');
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

/// The label that was registered: `acme` of `mail.acme.co.uk`.
fn name(domain: &str) -> &str {
    let labels: Vec<&str> = domain.split('.').collect();
    match labels.as_slice() {
        [.., name, registry, country] if country.len() == 2 && REGISTRIES.contains(registry) => name,
        [.., name, _] => name,
        _ => domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_organisation_may_use_many_domains() {
        for (one, other) in [
            ("acme.com", "acme.com"),
            ("mail.acme.com", "acme.com"),
            ("acme.de", "acme.com"),
            ("sales.acme.co.uk", "ACME.com."),
            ("acme.com", "https://www.acme.com/about"),
            ("localhost", "localhost"),
        ] {
            assert!(same_organisation(one, other), "{one} {other}");
        }
        for (one, other) in [("acme.com", "notacme.com"), ("acme.co.uk", "other.co.uk"), ("a.com", "b.com")] {
            assert!(!same_organisation(one, other), "{one} {other}");
        }
    }

    #[test]
    fn free_mail_is_known_under_national_domains_too() {
        for domain in ["gmail.com", "yahoo.co.jp", "HOTMAIL.fr", "gmx.net", "web.de", "live.co.uk"] {
            assert!(is_free_mail(domain), "{domain}");
        }
        for domain in ["acme.com", "gmail.acme.com", "mailbox.acme.de", ""] {
            assert!(!is_free_mail(domain), "{domain}");
        }
    }

    #[test]
    fn domain_is_what_follows_the_last_at() {
        assert_eq!(of("ann@acme.com"), Some("acme.com"));
        assert_eq!(of("\"a@b\"@acme.com"), Some("acme.com"));
        assert_eq!(of("acme.com"), None);
        assert_eq!(of("ann@"), None);
    }
}
