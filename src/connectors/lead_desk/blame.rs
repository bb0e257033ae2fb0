//! Who is to blame in a refusal: whether its words say of one thing that it is wrong, or only mention it. "Contact list 7 was
//! not found" is about the list, "the number is invalid on this contact list" is not.

/// What is said of something that is wrong, before its name ("unknown contact list") or behind it.
const FAULTS: [&[&str]; 21] = [
    &["invalid"],
    &["unknown"],
    &["missing"],
    &["required"],
    &["not", "valid"],
    &["not", "found"],
    &["not_found"],
    &["not", "exist"],
    &["t", "exist"],
    &["no", "such"],
    &["not", "set"],
    &["not", "given"],
    &["not", "be", "blank"],
    &["not", "be", "empty"],
    &["be", "blank"],
    &["not", "a"],
    &["not", "an"],
    &["must", "be"],
    &["should", "be"],
    &["deleted"],
    &["no"],
];
/// What may stand between the two.
const FILLERS: [&str; 22] = [
    "a",
    "an",
    "the",
    "this",
    "that",
    "your",
    "given",
    "selected",
    "specified",
    "with",
    "id",
    "value",
    "field",
    "parameter",
    "is",
    "was",
    "does",
    "doesn",
    "could",
    "can",
    "must",
    "be",
];
/// Where a clause ends.
const STOP: &str = ".";
/// "contact_list_id: is required".
const COLON: &str = ":";
/// What may follow a fault of one word that is said of what stands before it.
const ENDS: [&str; 5] = [STOP, "and", "or", "for", "in"];

/// Whether `said` calls something of one of these names wrong.
pub(super) fn falls_on(names: &[&str], said: &str) -> bool {
    let said = words(said);
    names.iter().map(|name| words(name)).filter(|name| !name.is_empty()).any(|name| {
        let places = said.windows(name.len()).enumerate().filter(|(_, words)| *words == name.as_slice());
        let mut places = places.map(|(at, _)| at);
        places.any(|at| ends_in_fault(&said[..at], name.len() == 1) || begins_with_fault(&said[at + name.len()..]))
    })
}

fn begins_with_fault(mut said: &[String]) -> bool {
    loop {
        let fault = FAULTS.iter().find(|fault| **fault != ["no"] && starts(said, fault));
        if let Some(fault) = fault {
            // "Contact list 7: invalid phone" is about the phone.
            let goes_on = said.get(fault.len()).is_some_and(|next| !ENDS.contains(&next.as_str()));
            return fault.len() > 1 || !goes_on;
        }
        match said {
            [word, rest @ ..] if is_filler(word) || word == COLON => said = rest,
            _ => return false,
        }
    }
}

/// "Invalid value for contact_list_id" is about that parameter, "invalid value for contact list 7" about another one.
fn ends_in_fault(mut said: &[String], is_parameter: bool) -> bool {
    loop {
        if FAULTS.iter().any(|fault| said.len() >= fault.len() && starts(&said[said.len() - fault.len()..], fault)) {
            return true;
        }
        match said {
            [rest @ .., word] if is_filler(word) || (is_parameter && ["for", COLON].contains(&word.as_str())) => {
                said = rest
            }
            _ => return false,
        }
    }
}

fn starts(said: &[String], with: &[&str]) -> bool {
    said.len() >= with.len() && said.iter().zip(with).all(|(said, with)| said == with)
}

/// The list's own number too.
fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

fn words(text: &str) -> Vec<String> {
    let clauses = text.replace(['.', ',', ';', '!', '\n'], " . ").replace(':', " : ");
    let words = clauses.split(|c: char| !c.is_alphanumeric() && !"_.:".contains(c)).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_blamed_only_if_the_fault_is_said_of_it() {
        let blamed = |said: &str| falls_on(&["contact_list_id", "contact list"], said);
        for said in [
            "contact_list_id does not exist",
            "contact_list_id: is required",
            "Missing required parameter contact_list_id",
            "Invalid value for contact_list_id.",
            "Unknown contact list",
            "No such contact list",
            "contact_list_id is not a list of this account",
            "contact_list_id must be an integer",
            "Invalid parameter: contact_list_id",
            "contact list 7 was deleted",
            "Contact list 123 was not found",
            "The selected contact list id is invalid.",
            "Contact list with id \"123\" doesn't exist",
            "contact list is invalid, number is fine",
            "CONTACT LIST must not be empty",
        ] {
            assert!(blamed(said), "{said}");
        }
        for said in [
            "number is blocked on this contact list",
            "already exists in contact list",
            "phone is invalid: blocked on contact list 7",
            "contact not found on the contact list",
            "contact list 7: phone is not valid",
            "the contact list already has this contact",
            "contact list is closed",
            "phone invalid: contact list 7",
            "contact list 7: invalid phone",
            "contact list 7: number is invalid",
            "invalid number for contact list 7",
            "missing field for contact list 7",
            "number is invalid. contact list 7 is closed",
            "phone is missing",
            "",
        ] {
            assert!(!blamed(said), "{said}");
        }
    }
}
