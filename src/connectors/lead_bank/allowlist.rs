//! The IP allowlist of a program at Lead, checked before it is handed to the bank: a list that the bank refuses, or that
//! does not hold the address calls leave from, is noticed by everybody's 403 otherwise. Pure: text in, findings out.
//!
//! The rules are the vendor's (<https://docs.lead.bank>, authentication, "IP Allowlist"): at most 30 subnets, IPv4 only,
//! prefixes of /20 to /32, no private, loopback or link-local addresses, each octet 0 to 255. What is ours is marked so.

use std::fmt;
use std::net::Ipv4Addr;

/// Subnets that a program may have.
pub const MOST_SUBNETS: usize = 30;
/// The widest and the narrowest prefix.
pub const PREFIXES: std::ops::RangeInclusive<u8> = 20..=32;
/// Findings that are told one by one; the rest is counted, so that a file that is something else altogether stays short.
const MOST_FINDINGS: usize = 50;

/// Ranges that the vendor's page excludes.
const EXCLUDED: [(Subnet, &str); 5] = [
    (Subnet::of([10, 0, 0, 0], 8), "private"),
    (Subnet::of([172, 16, 0, 0], 12), "private"),
    (Subnet::of([192, 168, 0, 0], 16), "private"),
    (Subnet::of([127, 0, 0, 0], 8), "loopback"),
    (Subnet::of([169, 254, 0, 0], 16), "link-local"),
];

/// Ranges that the page does not name, and that no request can come from over the internet. Source: the IANA registry of
/// special-purpose addresses (RFC 6890).
const DOUBTFUL: [(Subnet, &str); 4] = [
    (Subnet::of([0, 0, 0, 0], 8), "\"this network\""),
    (Subnet::of([100, 64, 0, 0], 10), "shared by a provider's customers (carrier-grade NAT)"),
    (Subnet::of([224, 0, 0, 0], 4), "multicast"),
    (Subnet::of([240, 0, 0, 0], 4), "reserved"),
];

/// A block of IPv4 addresses, none set beyond its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    const fn of(octets: [u8; 4], prefix: u8) -> Self {
        Self { first: u32::from_be_bytes(octets), prefix }
    }

    /// The block of this size that the address lies in.
    fn around(address: Ipv4Addr, prefix: u8) -> Self {
        Self { first: address.to_bits() & mask(prefix), prefix }
    }

    /// Its first address.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first)
    }

    /// Its last address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first | !mask(self.prefix))
    }

    /// Bits of the address that are fixed.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the address lies in it.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.first
    }

    /// Whether both have an address in common: then one holds the other.
    pub fn meets(self, other: Self) -> bool {
        self.holds(other.first()) || other.holds(self.first())
    }
}

const fn mask(prefix: u8) -> u32 {
    match prefix {
        0 => 0,
        prefix => u32::MAX << (32 - prefix),
    }
}

/// `203.0.113.0/24`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may be accepted, and is not what anybody wants.
    Warning,
    /// The bank refuses it, or nobody can tell what is meant.
    Error,
}

/// Something about an entry, or about the list as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line it stands on, counted from 1 (in a list of the configuration: the how-manieth entry); `None`: the list.
    pub line: Option<usize>,
    /// The entry as it was written, cut to a sensible length; empty for the list as a whole.
    pub entry: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// `line 3, 10.0.0.0/8: 10.0.0.0/8 is private, which the bank refuses`: without the remedy.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, {}: ", self.entry)?;
        }
        f.write_str(&self.problem)
    }
}

/// What there is to say about a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What can be read, in the order of the list; also what is refused for another reason than being unreadable.
    pub subnets: Vec<Subnet>,
    /// In the order of the list; what concerns the whole list comes last.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the bank should take the list: warnings aside.
    pub fn is_usable(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What has to be mended.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }

    /// What should be looked at.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Warning)
    }

    /// How many of the subnets no call can come from.
    pub fn idle(&self) -> usize {
        self.subnets.iter().filter(|subnet| DOUBTFUL.iter().any(|(range, _)| range.meets(**subnet))).count()
    }

    /// Whether calls from this address would be let in.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        self.subnets.iter().any(|subnet| subnet.holds(address))
    }
}

/// Checks a file: one subnet a line, or several with commas or semicolons between, in quotes or not; what follows a `#` is
/// a comment.
pub fn check(text: &str) -> Report {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let entries = text.lines().enumerate().flat_map(|(at, line)| {
        let content = line.split('#').next().unwrap_or_default();
        content.split([',', ';']).map(move |entry| (at + 1, entry))
    });
    let tidy = entries.map(|(line, entry)| (line, entry.trim().trim_matches(['"', '\'']).trim()));
    check_entries(tidy.filter(|(_, entry)| !entry.is_empty()))
}

/// Checks entries, each with the line (or number) to call it by.
pub fn check_entries<'a>(entries: impl IntoIterator<Item = (usize, &'a str)>) -> Report {
    let mut report = Report::default();
    let mut read: Vec<(usize, Subnet)> = Vec::new();
    let mut findings = Vec::new();
    let mut count = 0_usize;
    for (line, entry) in entries {
        count += 1;
        let mut note = |severity, problem: String, remedy: String| {
            findings.push(Finding { severity, line: Some(line), entry: short(entry), problem, remedy });
        };
        match parse(entry) {
            Err(Misread { problem, remedy }) => note(Severity::Error, problem, remedy),
            Ok(Parsed { subnet, bare }) => {
                if bare {
                    let problem = "it has no prefix and is taken for one address".to_owned();
                    note(Severity::Warning, problem, format!("write {subnet}"));
                }
                for (severity, problem, remedy) in judge(subnet) {
                    note(severity, problem, remedy);
                }
                read.push((line, subnet));
            }
        }
    }
    findings.extend(overlaps(&read));
    findings.sort_by_key(|finding| finding.line);
    if findings.len() > MOST_FINDINGS {
        let errors = findings[MOST_FINDINGS..].iter().any(|finding| finding.severity == Severity::Error);
        let more = findings.len() - MOST_FINDINGS;
        findings.truncate(MOST_FINDINGS);
        let severity = if errors { Severity::Error } else { Severity::Warning };
        findings.push(of_the_list(severity, format!("{more} more findings"), "is this the right file?"));
    }
    if count > MOST_SUBNETS {
        let problem = format!("it has {count} entries, and the bank takes {MOST_SUBNETS} at most");
        findings.push(of_the_list(Severity::Error, problem, "join neighbouring subnets, or leave some out"));
    }
    if count == 0 {
        let problem = "it names no subnet".to_owned();
        findings.push(of_the_list(Severity::Error, problem, "list one subnet a line, such as 203.0.113.0/24"));
    }
    report.subnets = read.into_iter().map(|(_, subnet)| subnet).collect();
    report.findings = findings;
    report
}

fn of_the_list(severity: Severity, problem: String, remedy: &str) -> Finding {
    Finding { severity, line: None, entry: String::new(), problem, remedy: remedy.to_owned() }
}

fn short(entry: &str) -> String {
    let shown: String = entry.chars().take(40).collect();
    let more = if shown.len() < entry.len() { "…" } else { "" };
    format!("{}{more}", shown.escape_debug())
}

/// What the entry says of the bank's rules.
fn judge(subnet: Subnet) -> Vec<(Severity, String, String)> {
    let mut found = Vec::new();
    if subnet.prefix < *PREFIXES.start() {
        let problem =
            format!("/{} is broader than /{}, the broadest that the bank takes", subnet.prefix, PREFIXES.start());
        found.push((Severity::Error, problem, "list only the subnets that your calls leave from".to_owned()));
    }
    if let Some((range, what)) = EXCLUDED.iter().find(|(range, _)| range.meets(subnet)) {
        let problem = format!("{range} is {what}, which the bank refuses");
        let remedy = "list the public address that your calls leave from, as the internet sees it".to_owned();
        found.push((Severity::Error, problem, remedy));
    }
    if let Some((range, what)) = DOUBTFUL.iter().find(|(range, _)| range.meets(subnet)) {
        let problem = format!("{range} is {what}: no call can come from there");
        let remedy = "list the public address that your calls leave from, as the internet sees it".to_owned();
        found.push((Severity::Warning, problem, remedy));
    }
    found
}

/// Entries that another one holds already. Two blocks that meet are one within the other, so that in the order of first
/// address and size, the holder comes before those it holds.
fn overlaps(read: &[(usize, Subnet)]) -> Vec<Finding> {
    let mut sorted = read.to_vec();
    sorted.sort_by_key(|(line, subnet)| (*subnet, *line));
    let mut found = Vec::new();
    let mut holder: Option<(usize, Subnet)> = None;
    for (line, subnet) in sorted {
        match holder.filter(|(_, holder)| holder.meets(subnet)) {
            None => holder = Some((line, subnet)),
            Some((at, other)) => {
                let problem = match other == subnet {
                    true => format!("it stands on line {at} already"),
                    false => format!("{other} on line {at} holds it already"),
                };
                found.push(Finding {
                    severity: Severity::Error,
                    line: Some(line),
                    entry: subnet.to_string(),
                    problem,
                    remedy: "leave it out".to_owned(),
                });
            }
        }
    }
    found
}

struct Parsed {
    subnet: Subnet,
    /// An address alone.
    bare: bool,
}

struct Misread {
    problem: String,
    remedy: String,
}

impl Misread {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

const AS_AN_EXAMPLE: &str = "write it like 203.0.113.0/24";

fn parse(entry: &str) -> Result<Parsed, Misread> {
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address.trim_end(), Some(prefix.trim_start())),
        None => (entry, None),
    };
    if address.contains(':') {
        return Err(Misread::new("it is an IPv6 address, and the bank takes IPv4 only", "list the IPv4 address"));
    }
    let address = octets(address)?;
    let Some(prefix) = prefix else {
        return Ok(Parsed { subnet: Subnet::around(address, 32), bare: true });
    };
    let is_number = (1..=2).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let plain = is_number && (prefix == "0" || !prefix.starts_with('0'));
    let Some(prefix) = prefix.parse::<u8>().ok().filter(|prefix| plain && *prefix <= 32) else {
        let expected = format!("write a number from {} to {} behind the slash", PREFIXES.start(), PREFIXES.end());
        return Err(Misread::new("what stands behind its slash is no prefix of an IPv4 subnet", expected));
    };
    let subnet = Subnet::around(address, prefix);
    if subnet.first() != address {
        // The page does not say how such an entry is read: as the subnet, as the address, or not at all.
        return Err(Misread::new(
            format!("the address has bits beyond its prefix of /{prefix}, so that it is one of a subnet"),
            match judge(subnet).iter().any(|(severity, ..)| *severity == Severity::Error) {
                true => format!("write {address}/32 if the one address is meant; the bank does not take {subnet}"),
                false => format!("write {subnet} for the whole subnet, or {address}/32 for the one address"),
            },
        ));
    }
    Ok(Parsed { subnet, bare: false })
}

/// Four octets as everybody reads them: a leading zero makes an octal number of it elsewhere.
fn octets(text: &str) -> Result<Ipv4Addr, Misread> {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != 4 || !parts.iter().all(digits) {
        return Err(Misread::new("it is no IPv4 address", AS_AN_EXAMPLE));
    }
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(parts) {
        if part.len() > 1 && part.starts_with('0') {
            return Err(Misread::new(
                "an octet begins with a zero, which some read as octal",
                "write the numbers without leading zeros",
            ));
        }
        *octet =
            part.parse().map_err(|_| Misread::new(format!("the octet {} is above 255", short(part)), AS_AN_EXAMPLE))?;
    }
    Ok(Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests;
