//! People who do not exist: invented from what they are looked up by, and the same every time.

use serde_json::{Value, json};

use super::dice;

const FIRST: [&str; 24] = [
    "Ada", "Amara", "Bruno", "Chiara", "Daniel", "Elif", "Farah", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Lucía",
    "Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomasz", "Uma", "Viktor", "Yara",
];
const LAST: [&str; 24] = [
    "Almeida",
    "Bergström",
    "Castellano",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Grant",
    "Haddad",
    "Iyer",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Marchetti",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schneider",
    "Tanaka",
    "Ueda",
    "Varga",
    "Weber",
    "Zhang",
];
/// Title, level, function.
const ROLES: [(&str, &str, &str); 12] = [
    ("Chief Technology Officer", "C-Team", "Engineering"),
    ("VP of Sales", "VP", "Sales"),
    ("VP Marketing", "VP", "Marketing"),
    ("Director of Operations", "Director", "Operations"),
    ("Director of Finance", "Director", "Finance"),
    ("Engineering Manager", "Manager", "Engineering"),
    ("Account Manager", "Manager", "Sales"),
    ("Senior Software Engineer", "Senior Staff", "Engineering"),
    ("Product Designer", "Staff", "Design"),
    ("Procurement Specialist", "Staff", "Operations"),
    ("Data Analyst", "Entry Level", "Data"),
    ("Management Consultant", "Consultant", "Consulting"),
];
/// Name, industry.
const COMPANIES: [(&str, &str); 12] = [
    ("Northwind Traders", "Wholesale"),
    ("Blue Heron Logistics", "Transportation"),
    ("Cedar & Finch", "Consumer Goods"),
    ("Helios Instruments", "Electrical Equipment"),
    ("Juniper Health", "Hospitals and Health Care"),
    ("Kestrel Analytics", "Software Development"),
    ("Lantern Media", "Broadcast Media"),
    ("Meridian Foods", "Food and Beverage Manufacturing"),
    ("Ostrava Steelworks", "Mining and Metals"),
    ("Pinecrest Partners", "Business Consulting"),
    ("Quillon Robotics", "Automation Machinery"),
    ("Saltmarsh Energy", "Renewable Energy"),
];
/// Locality, region, country, country code.
const PLACES: [(&str, &str, &str, &str); 8] = [
    ("San Francisco", "California", "United States", "US"),
    ("Austin", "Texas", "United States", "US"),
    ("Toronto", "Ontario", "Canada", "CA"),
    ("Berlin", "Berlin", "Germany", "DE"),
    ("Lyon", "Auvergne-Rhône-Alpes", "France", "FR"),
    ("Pune", "Maharashtra", "India", "IN"),
    ("São Paulo", "São Paulo", "Brazil", "BR"),
    ("Gothenburg", "Västra Götaland", "Sweden", "SE"),
];
/// Addresses behind which there is no one person.
const ROLE_MAILBOXES: [&str; 8] = ["admin", "contact", "hello", "info", "mail", "office", "sales", "support"];
/// Share of people who have left the company of their e-mail address.
const MOVED_ON: f64 = 0.06;
/// Share of look-ups that a second person might fit.
const AMBIGUOUS: f64 = 0.2;

/// Up to `size` people for these search terms, the likeliest first; nobody for a share of `1 - found`.
pub(super) fn find(seed: u64, terms: &[(String, String)], found: f64, size: usize) -> Vec<Value> {
    let term = |name: &str| terms.iter().find(|(field, _)| field == name).map(|(_, term)| term.as_str());
    let email = term("email_address").map(str::to_lowercase);
    // An e-mail address is enough: what else is sent must not make another person of its owner.
    let key = email.clone().unwrap_or_else(|| {
        let all: Vec<String> = terms.iter().map(|(field, term)| format!("{field}={}", term.to_lowercase())).collect();
        all.join("\n")
    });
    if dice::fraction(seed, &["found", &key]) >= found || email.as_deref().is_some_and(is_role) {
        return Vec::new();
    }
    let name = match &email {
        Some(email) => name_in(email),
        None => term("name").map(split_name).unwrap_or_default(),
    };
    let mut people = vec![person(seed, &key, email.as_deref(), name, 96.5)];
    if size > 1 && dice::fraction(seed, &["ambiguous", &key]) < AMBIGUOUS {
        people.push(person(seed, &format!("{key}\nnamesake"), None, (None, None), 41.0));
    }
    people
}

/// First and last name, as far as they can be read off.
type Name = (Option<String>, Option<String>);

fn person(seed: u64, key: &str, email: Option<&str>, (first, last): Name, score: f64) -> Value {
    let roll = |what: &str| dice::roll(seed, &[what, key]);
    let first = first.unwrap_or_else(|| dice::pick(seed, &["first", key], &FIRST).to_owned());
    let last = last.unwrap_or_else(|| dice::pick(seed, &["last", key], &LAST).to_owned());
    let (title, level, function) = ROLES[(roll("role") % ROLES.len() as u64) as usize];
    let (locality, region, country, code) = PLACES[(roll("place") % PLACES.len() as u64) as usize];
    let company = match email.and_then(|email| email.split_once('@')) {
        Some((_, domain)) if dice::fraction(seed, &["moved", key]) >= MOVED_ON => at_domain(seed, domain, key),
        _ => elsewhere(seed, key),
    };
    let domain = company["domain"].as_str().unwrap_or_default().to_owned();
    let stays = email.filter(|email| email.ends_with(&format!("@{domain}")));
    let work_email = stays.map_or_else(|| format!("{}@{domain}", slug(&format!("{first} {last}"), ".")), str::to_owned);
    let number = roll("phone");
    let started = 2008 + roll("year") % 16;
    let position = json!({
        "title": title,
        "level": level,
        "function": function,
        "started_at": format!("{started}-{:02}-01", 1 + roll("month") % 12),
        "started_at_year_only": false,
        "ended_at": null,
        "ended_at_year_only": false,
        "location": format!("{locality}, {region}"),
        "email": work_email,
        "email_status": if stays.is_some() { "valid" } else { "best-guess" },
        // 555-0100 to 555-0199 belong to nobody.
        "direct_dial_number": format!("+1415555{:04}", 100 + number % 100),
        "is_first_at_company": true,
        "is_last_at_company": true,
        "company": company,
    });
    json!({
        "id": format!("p_{:016x}", roll("id")),
        "score": score,
        "name": format!("{first} {last}"),
        "first_name": first,
        "last_name": last,
        "linkedin": format!("{}-{:04x}", slug(&format!("{first} {last}"), "-"), roll("linkedin") & 0xffff),
        "country": country,
        "location": format!("{locality}, {region}, {country}"),
        "connections": 50 + roll("connections") % 450,
        "cell_phone_number": format!("+1628555{:04}", 100 + (number >> 8) % 100),
        "employment_status": "employed",
        "location_details": {"country": country, "country_code": code, "region": region, "locality": locality},
        "position": position.clone(),
        "jobs": [position],
        "education": [],
    })
}

/// The company that goes with an e-mail's domain. `acme.example.com` is Acme; the bare example domains are shared by
/// people of many companies.
fn at_domain(seed: u64, domain: &str, key: &str) -> Value {
    let label = domain.split('.').next().unwrap_or_default();
    let shared = label.is_empty() || label == "example";
    let by = if shared { key } else { domain };
    let (invented, industry) = COMPANIES[(dice::roll(seed, &["company", by]) % COMPANIES.len() as u64) as usize];
    let name = if shared { invented.to_owned() } else { capitalised(&label.replace('-', " ")) };
    company(seed, &name, domain, industry)
}

fn elsewhere(seed: u64, key: &str) -> Value {
    let (name, industry) = COMPANIES[(dice::roll(seed, &["new company", key]) % COMPANIES.len() as u64) as usize];
    company(seed, name, &format!("{}.example.net", slug(name, "-")), industry)
}

fn company(seed: u64, name: &str, domain: &str, industry: &str) -> Value {
    json!({
        "id": format!("c_{:016x}", dice::roll(seed, &["company id", name, domain])),
        "name": name,
        "domain": domain,
        "linkedin": slug(name, "-"),
        "industry": industry,
        "type": "Privately Held",
        "employee_count": 10 + dice::roll(seed, &["employees", name, domain]) % 5000,
    })
}

/// `ann.bee@…` is Ann Bee, `ann@…` is Ann without a last name to be read.
fn name_in(email: &str) -> Name {
    let local = email.split(['@', '+']).next().unwrap_or_default();
    let mut parts = local.split(['.', '_', '-']).filter(|part| part.chars().count() > 1).map(|part| {
        let is_name = part.chars().all(char::is_alphabetic);
        is_name.then(|| capitalised(part))
    });
    (parts.next().flatten(), parts.next_back().flatten())
}

/// `info@…` is a mailbox, not a person.
fn is_role(email: &str) -> bool {
    ROLE_MAILBOXES.contains(&email.split('@').next().unwrap_or_default())
}

fn split_name(name: &str) -> Name {
    match name.split_once(' ') {
        Some((first, last)) => (Some(first.to_owned()), Some(last.trim().to_owned())),
        None => (Some(name.to_owned()), None),
    }
}

fn capitalised(words: &str) -> String {
    let one = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    words.split(' ').map(one).collect::<Vec<_>>().join(" ")
}

/// Lower case, everything but letters and digits replaced by `between`.
fn slug(text: &str, between: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_email(seed: u64, email: &str) -> Vec<Value> {
        find(seed, &[("email_address".into(), email.into())], 0.75, 1)
    }

    #[test]
    fn the_same_address_is_the_same_person_however_written() {
        let all: Vec<_> = (0..50).map(|n| format!("ann.bee{n}@acme.example.com")).collect();
        for email in &all {
            assert_eq!(by_email(7, email), by_email(7, &email.to_uppercase()));
        }
        assert!(all.iter().any(|email| by_email(7, email) != by_email(8, email)), "the seed matters");
    }

    #[test]
    fn about_three_quarters_are_found() {
        let found = (0..1000).filter(|n| !by_email(7, &format!("lead{n}@example.com")).is_empty()).count();
        assert!((700..800).contains(&found), "{found} of 1000");
        assert!(find(7, &[("email_address".into(), "ann@example.com".into())], 0.0, 1).is_empty());
    }

    #[test]
    fn the_sample_file_tells_the_truth_about_who_is_known() {
        assert_eq!(by_email(7, "keiko.ueda@quillon.example.com")[0]["first_name"], "Keiko");
        assert!(by_email(7, "info@loom.example.org").is_empty());
    }

    #[test]
    fn a_person_agrees_with_the_address_unless_they_moved_on() {
        let found: Vec<Value> = (0..400).flat_map(|n| by_email(7, &format!("ann.bee@firm{n}.example.org"))).collect();
        let stayed = |person: &&Value| person["position"]["email"].as_str().unwrap().starts_with("ann.bee@firm");
        assert!(found.iter().all(|person| person["name"] == "Ann Bee"));
        let moved = found.len() - found.iter().filter(stayed).count();
        assert!(moved > 0 && moved < found.len() / 5, "{moved} of {} moved on", found.len());
    }
}
