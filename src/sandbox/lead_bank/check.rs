//! What an entity must have. Every fault is named at once, as the vendor's `invalid_parameters` do.

use serde_json::Value;

/// A parameter and what is wrong with it. Never its value.
type Invalid = (String, String);

/// Longest `client_customer_id`.
const MAX_CUSTOMER_ID: usize = 64;
/// Shortest first and last name.
const MIN_NAME: usize = 2;

/// The first e-mail address among the contact methods.
pub(super) fn email(body: &Value) -> Option<String> {
    let methods = body["individual_details"]["contact_methods"].as_array()?;
    methods.iter().find(|method| method["type"] == "email")?["email"].as_str().map(str::to_owned)
}

/// What is wrong with the body of a create.
pub(super) fn invalid(body: &Value) -> Vec<Invalid> {
    let mut found = Found(Vec::new());
    match body.get("client_customer_id") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if (1..=MAX_CUSTOMER_ID).contains(&id.chars().count()) => {}
        Some(_) => found.add("client_customer_id", "must be a text of 1 to 64 characters"),
    }
    match body["type"].as_str() {
        Some("individual") => individual(&body["individual_details"], &mut found),
        Some("business" | "sole_prop") => {
            let details = &body["business_details"];
            found.text(details, "business_details.", "name", 1);
            identification(&details["identification_details"], "business_details.", &mut found);
            if !details["address_details"].is_object() {
                found.add("business_details.address_details", "is required");
            }
        }
        _ => found.add("type", "must be individual, business or sole_prop"),
    }
    found.0
}

struct Found(Vec<Invalid>);

impl Found {
    fn add(&mut self, parameter: &str, reason: &str) {
        self.0.push((parameter.to_owned(), reason.to_owned()));
    }

    fn text(&mut self, of: &Value, prefix: &str, name: &str, shortest: usize) {
        let long_enough = of[name].as_str().is_some_and(|text| text.trim().chars().count() >= shortest);
        if !long_enough {
            self.add(&format!("{prefix}{name}"), &format!("must be a text of at least {shortest} characters"));
        }
    }
}

fn individual(details: &Value, found: &mut Found) {
    const HERE: &str = "individual_details.";
    found.text(details, HERE, "first_name", MIN_NAME);
    found.text(details, HERE, "last_name", MIN_NAME);
    identification(&details["identification_details"], HERE, found);
    let methods = match &details["contact_methods"] {
        Value::Null => return,
        Value::Array(methods) => methods,
        _ => return found.add("individual_details.contact_methods", "must be a list"),
    };
    for (n, method) in methods.iter().enumerate() {
        let at = format!("individual_details.contact_methods[{n}]");
        let text = |field: &str| method[field].as_str();
        match text("type") {
            Some("email") if text("email").is_some_and(is_plain_email) => {}
            Some("email") => found.add(&format!("{at}.email"), "must be a plain e-mail address"),
            Some("phone_number") if text("phone_number").is_some_and(is_e123) => {}
            Some("phone_number") => found.add(&format!("{at}.phone_number"), "must be in E.123 notation"),
            _ => found.add(&format!("{at}.type"), "must be email or phone_number"),
        }
    }
}

fn identification(details: &Value, prefix: &str, found: &mut Found) {
    let at = format!("{prefix}identification_details");
    match details["type"].as_str() {
        Some("us_entity") => {
            let tax = &details["tax_identification"];
            if !matches!(tax["type"].as_str(), Some("ssn" | "itin" | "ein")) {
                found.add(&format!("{at}.tax_identification.type"), "must be ssn, itin or ein");
            }
            let digits = tax["value"].as_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
            if digits.is_none_or(|text| text.bytes().filter(u8::is_ascii_digit).count() != 9) {
                found.add(&format!("{at}.tax_identification.value"), "must have nine digits");
            }
        }
        Some("non_us_entity") => {}
        _ => found.add(&format!("{at}.type"), "must be us_entity or non_us_entity"),
    }
}

/// No quotes, no IP address for a domain.
fn is_plain_email(text: &str) -> bool {
    !text.contains(['"', '[']) && email_address::EmailAddress::is_valid(text)
}

/// `+1 303 555 0100`, and without the spaces.
fn is_e123(text: &str) -> bool {
    let Some(number) = text.strip_prefix('+') else { return false };
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    (7..=15).contains(&digits) && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ')
}
