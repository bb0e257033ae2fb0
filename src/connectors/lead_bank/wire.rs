//! The entity that a lead becomes, and the two numbers that make a repeat harmless.

use http::HeaderValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::LeadBank;
use crate::connectors::Unsendable;
use crate::http::message::Reply;
use crate::lead::Lead;

/// Nine digits, and of what kind. Source: the OpenAPI description's `TaxIdentification`.
const TAX_DIGITS: usize = 9;

/// An individual, as the API takes it. Neither `Debug` nor `Display`: it holds a tax number.
pub(super) struct Entity {
    /// All but the tax number.
    body: Map<String, Value>,
    tax_type: &'static str,
    tax_number: String,
}

impl Entity {
    /// What is sent. The same lead makes the same text, whoever makes it: fields are in the order of their names.
    pub(super) fn body(&self) -> Value {
        let mut body = self.body.clone();
        let number = json!({
            "type": "us_entity",
            "tax_identification": {"type": self.tax_type, "value": self.tax_number},
        });
        if let Some(Value::Object(details)) = body.get_mut("individual_details") {
            details.insert("identification_details".to_owned(), number);
        }
        Value::Object(body)
    }
}

impl LeadBank {
    /// The entity that the lead becomes.
    pub(super) fn entity(&self, lead: &Lead) -> Result<Entity, Unsendable> {
        let missing = |field, reason: &str| Unsendable { field, reason: reason.to_owned() };
        if lead.email.is_empty() {
            return Err(missing("email", "missing; the customer's number is made from it"));
        }
        let first_name = lead.first_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let first_name = first_name.ok_or_else(|| missing("first_name", "missing; Lead needs the legal first name"))?;
        let last_name = lead.last_name.as_deref().map(str::trim).unwrap_or_default();
        if last_name.chars().filter(|c| c.is_alphanumeric()).count() < 2 {
            return Err(missing("last_name", "Lead needs the legal last name, of two letters or digits at least"));
        }
        let tax_number = self.tax_number(lead)?;

        let mut details = Map::new();
        details.insert("first_name".to_owned(), json!(first_name));
        details.insert("last_name".to_owned(), json!(last_name));
        let mut contact = Vec::new();
        if is_plain(&lead.email) {
            contact.push(json!({"type": "email", "email": lead.email}));
        }
        // E.123 groups digits by spaces where somebody reads them; without any it is the same number.
        contact.extend(lead.phone.as_deref().map(|phone| json!({"type": "phone_number", "phone_number": phone})));
        if !contact.is_empty() {
            details.insert("contact_methods".to_owned(), Value::Array(contact));
        }
        let mut body = Map::new();
        body.insert("type".to_owned(), json!(self.settings.entity_type));
        body.insert("client_customer_id".to_owned(), json!(client_customer_id(&lead.email)));
        body.insert("individual_details".to_owned(), Value::Object(details));
        Ok(Entity { body, tax_type: self.settings.tax_id_type, tax_number })
    }

    /// The nine digits from the custom field; hyphens and blanks between them are how people write them.
    fn tax_number(&self, lead: &Lead) -> Result<String, Unsendable> {
        let (name, kind) = (&self.settings.tax_id, self.settings.tax_id_type);
        let wrong = |what: String| Unsendable { field: "custom_fields", reason: format!("`{name}` {what}") };
        let written = lead.custom_fields.get(name).map(String::as_str).unwrap_or_default();
        if written.trim().is_empty() {
            return Err(wrong(format!("is missing; Lead needs the customer's tax number ({kind}) there")));
        }
        let digits: String = written.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.')).collect();
        if digits.len() != TAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong(format!("is no {kind}; expected nine digits")));
        }
        match (kind, digits.starts_with('9')) {
            ("ssn", true) => Err(wrong("is no ssn: those don't begin with a 9".to_owned())),
            ("itin", false) => Err(wrong("is no itin: those begin with a 9".to_owned())),
            _ => Ok(digits),
        }
    }

    /// The same for each repeat of the same request, by whatever process, and another one once the lead was corrected:
    /// the API refuses a known key with other content.
    ///
    /// A hash, so that nothing of the lead stands in a header. One over nine digits is undone by trying them all, so the
    /// client's secret goes into it too: whoever comes by the key alone, in a log of the bank's or of a proxy, can't try.
    /// Another secret makes other keys; then the customer's number keeps a repeat from becoming a second customer.
    pub(super) fn idempotency_key(&self, entity: &Entity) -> HeaderValue {
        let mut hash = Sha256::new();
        let body = Value::Object(entity.body.clone()).to_string();
        let secret = self.settings.client_secret.expose();
        for part in [secret, self.entities_url.as_str(), &body, entity.tax_type, &entity.tax_number] {
            // With its length, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key = format!("leadsync-{}", hex(&hash.finalize()));
        // Plain letters and digits always make a header.
        HeaderValue::try_from(key).unwrap_or_else(|_| HeaderValue::from_static("leadsync"))
    }
}

/// The program's own number of the customer: always the same for the same address, so that a second entity is refused
/// (409) and the first one can be asked for. 49 characters of the 64 there are.
pub(super) fn client_customer_id(email: &str) -> String {
    let mut hash = Sha256::new();
    hash.update("leadsync client_customer_id\n");
    hash.update(email);
    format!("leadsync-{}", hex(&hash.finalize()[..20]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the API takes this address: no quoted local part, no IP literal, a dot in the domain. Others stay out of the
/// entity. Source: the OpenAPI description's `ContactMethodEmail`.
fn is_plain(email: &str) -> bool {
    email.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.contains('"') && !domain.contains(['[', ']', '"']) && domain.trim_matches('.').contains('.')
    })
}

/// The id of the entity that a reply describes (`entity_…`).
pub(super) fn entity_id(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    let id = body.get("id")?.as_str()?.trim();
    let plausible = (1..=100).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then(|| id.to_owned())
}

/// The customer's number in a reply, if it names one.
pub(super) fn customer_id_in(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    let said = body.get("client_customer_id")?.as_str()?.trim();
    (!said.is_empty()).then(|| said.to_owned())
}
