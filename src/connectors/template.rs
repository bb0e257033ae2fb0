//! Templates of `[destinations.NAME.fields]`: a body field made of what is known of the lead (`lead.*`) and of the person
//! that the look-up found (`person.*`), in Jinja's syntax.
//!
//! **A template never writes half a sentence.** If anything it prints is missing, the whole field is left out:
//! `{{ person.title }} at {{ person.company }}` needs both, and sends neither "VP at " nor " at ". What may be missing is
//! said so, with `if` or with a default:
//!
//! ```text
//! {{ person.title }}{% if person.company %} at {{ person.company }}{% endif %}
//! {{ person.title or lead.job_title }}
//! {{ person.title | default("your team") }}
//! ```
//!
//! A result of white space alone leaves the field out too. Names that leads or people don't have, and syntax errors, are
//! found when the configuration is read, not at the thousandth lead.

use std::collections::BTreeMap;
use std::io;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::lead::{Lead, Person, Prepared};

/// Longest result, in bytes; what is longer is cut. A lead's own fields are far shorter, so this only stops accidents.
pub const MOST_BYTES: usize = 10_000;
/// Steps a template may take: hundreds of times what an honest one needs, a few milliseconds at most.
const FUEL: u64 = 50_000;
const NAME: &str = "template";

/// `lead.*`, as templates see it.
pub const LEAD_FIELDS: [&str; 12] = [
    "company",
    "context",
    "custom_fields",
    "email",
    "external_id",
    "first_name",
    "job_title",
    "last_name",
    "linkedin",
    "note",
    "phone",
    "source",
];
/// `person.*`, as templates see it.
pub const PERSON_FIELDS: [&str; 19] = [
    "cell_phone",
    "company",
    "company_domain",
    "country",
    "country_code",
    "direct_dial",
    "employee_count",
    "employment_status",
    "first_name",
    "function",
    "id",
    "industry",
    "last_name",
    "level",
    "linkedin",
    "location",
    "name",
    "title",
    "work_email",
];

/// A template that can't be used, found when it is compiled. `key` is the whole configuration key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It isn't Jinja.
    #[error("{key}: line {line} of the template can't be read: {found}")]
    Syntax { key: String, line: usize, found: String },
    /// It names something that neither leads nor people have.
    #[error("{key}: the template uses `{found}`, which does not exist; {}", hint(nearest.as_deref()))]
    UnknownName { key: String, found: String, nearest: Option<String> },
    /// It can be read, but fails when it is used: an unknown filter, an endless loop.
    #[error("{key}: line {line} of the template fails: {found}")]
    Fails { key: String, line: usize, found: String },
}

impl TemplateError {
    /// The whole configuration key of the template.
    pub fn key(&self) -> &str {
        match self {
            Self::Syntax { key, .. } | Self::UnknownName { key, .. } | Self::Fails { key, .. } => key,
        }
    }
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "templates see `lead.*` and `person.*`".to_owned(),
    }
}

/// A template that failed on one lead; without the lead's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of its template fails: {what}")]
pub struct RenderError {
    /// Counted from 1.
    pub line: usize,
    /// What kind of failure, without values.
    pub what: String,
}

/// What templates see of one lead; made once, for all of a destination's templates.
#[derive(Debug)]
pub struct Context(Value);

impl Context {
    /// The lead and the person found for it, if any.
    pub fn of(prepared: &Prepared) -> Self {
        let nobody = Person::default();
        Self::new(&prepared.lead, prepared.looked_up.person().unwrap_or(&nobody))
    }

    fn new(lead: &Lead, person: &Person) -> Self {
        let mut lead = map(lead);
        // Always there, so that asking for one of them is asking for something missing, not a mistake.
        lead.entry("custom_fields".to_owned()).or_insert_with(|| serde_json::json!({}));
        let mut person = map(person);
        // Serialised as a float; nobody writes "250.0 employees".
        if let Some(count) = person.get("employee_count").and_then(serde_json::Value::as_f64)
            && count.fract() == 0.0
            && count.abs() < 1e15
        {
            person.insert("employee_count".to_owned(), serde_json::json!(count as i64));
        }
        Self(Value::from(Serde(BTreeMap::from([("lead", lead), ("person", person)]))))
    }
}

fn map(of: &impl serde::Serialize) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// A compiled template of one body field.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads the template `text` of the configuration key `key`, and tries it on a lead that has everything and on one that
    /// has nothing.
    ///
    /// # Errors
    /// [`TemplateError`], naming the key, what was found and the nearest name that exists.
    pub fn compile(key: &str, text: &str) -> Result<Self, TemplateError> {
        Self::compile_in(Environment::new(), key, text)
    }

    /// The same for an address: whatever the template prints is percent-encoded, so that a lead's values stay within the
    /// path segment or the parameter that they are written into.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_address(key: &str, text: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_formatter(|out, _, value| {
            // An empty segment or parameter would ask for something else: for all people instead of this one.
            if value.is_undefined() || value.is_none() || value.to_string().trim().is_empty() {
                return Err(ErrorKind::UndefinedError.into());
            }
            // However they are written, an address takes these for steps up its path.
            if matches!(value.to_string().trim(), "." | "..") {
                return Err(ErrorKind::InvalidOperation.into());
            }
            out.write_str(&percent_encoded(&value.to_string())).map_err(|_| ErrorKind::WriteFailure.into())
        });
        Self::compile_in(environment, key, text)
    }

    fn compile_in(mut environment: Environment<'static>, key: &str, text: &str) -> Result<Self, TemplateError> {
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        bound_filters(&mut environment);
        let syntax = |error: minijinja::Error| TemplateError::Syntax {
            key: key.to_owned(),
            line: error.line().unwrap_or(1),
            found: describe(&error),
        };
        environment.add_template_owned(NAME, text.to_owned()).map_err(syntax)?;
        let template = Self { environment };
        template.check_names(key)?;
        for sample in samples() {
            if let Err(error) = template.run(&sample)
                && error.kind() != ErrorKind::UndefinedError
            {
                return Err(TemplateError::Fails {
                    key: key.to_owned(),
                    line: error.line().unwrap_or(1),
                    found: describe(&error),
                });
            }
        }
        Ok(template)
    }

    fn check_names(&self, key: &str) -> Result<(), TemplateError> {
        let Ok(template) = self.environment.get_template(NAME) else { return Ok(()) };
        let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        used.sort_unstable();
        for path in used {
            let (root, rest) = path.split_once('.').unwrap_or((&path, ""));
            let field = rest.split('.').next().unwrap_or_default();
            let known = match root {
                "lead" => field.is_empty() || LEAD_FIELDS.contains(&field),
                "person" => field.is_empty() || PERSON_FIELDS.contains(&field),
                other => self.environment.globals().any(|(name, _)| name == other),
            };
            if !known {
                return Err(TemplateError::UnknownName {
                    key: key.to_owned(),
                    nearest: nearest(root, field),
                    found: path.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether it sees anything of `root`: `lead`, `person`.
    pub(super) fn sees(&self, root: &str) -> bool {
        let Ok(template) = self.environment.get_template(NAME) else { return false };
        let used = template.undeclared_variables(false);
        used.contains(root)
    }

    /// The field's text for this lead, trimmed; `None` if it is left out.
    ///
    /// # Errors
    /// [`RenderError`] if the template fails on just this lead ([`Template::compile`] has tried it on others).
    pub fn render(&self, context: &Context) -> Result<Option<String>, RenderError> {
        match self.run(context) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            // The engine's details may quote the lead's values: only the kind is passed on.
            Err(error) => Err(RenderError { line: error.line().unwrap_or(1), what: error.kind().to_string() }),
        }
    }

    fn run(&self, context: &Context) -> Result<String, minijinja::Error> {
        let mut output = Capped::default();
        let result = self.environment.get_template(NAME)?.render_captured_to(context.0.clone(), &mut output);
        match result {
            Err(error) if !output.full => Err(error),
            _ => Ok(output.into_text()),
        }
    }
}

/// As RFC 3986, 2.1, wants it: in a path a `+` is a plus.
fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Fuel counts steps, not bytes: filters that make much of little in one step are left out, or stop at [`MOST_BYTES`].
fn bound_filters(environment: &mut Environment<'static>) {
    for name in ["batch", "format", "indent", "slice"] {
        environment.remove_filter(name);
    }
    environment.add_filter("replace", |text: String, from: String, to: String| {
        capped(text.split(&from).enumerate().flat_map(|(n, part)| [if n == 0 { "" } else { &to }, part]))
    });
    environment.add_filter("join", |items: Value, between: Option<String>| -> Result<String, minijinja::Error> {
        let between = between.unwrap_or_default();
        let items = items.try_iter()?.map(|item| item.to_string());
        Ok(capped(items.enumerate().flat_map(|(n, item)| [if n == 0 { String::new() } else { between.clone() }, item])))
    });
}

/// The parts together, as far as they matter.
fn capped(parts: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for part in parts {
        let part = part.as_ref();
        let room = MOST_BYTES + 1 - text.len();
        let taken = if part.len() <= room { part } else { &part[..part.floor_char_boundary(room)] };
        text.push_str(taken);
        if taken.len() < part.len() || text.len() > MOST_BYTES {
            break;
        }
    }
    text
}

/// Takes [`MOST_BYTES`], then stops the template.
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl Capped {
    fn into_text(self) -> String {
        match String::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => {
                // The cap may have cut a character in two; the engine itself writes nothing but UTF-8.
                let whole = error.utf8_error().valid_up_to();
                String::from_utf8_lossy(&error.as_bytes()[..whole]).into_owned()
            }
        }
    }
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MOST_BYTES - self.bytes.len();
        if room == 0 && !bytes.is_empty() {
            self.full = true;
            return Err(io::Error::other("the result is too long"));
        }
        let taken = room.min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// The known name most like `root.field`, if it is like it at all: `person.titel` → `person.title`, `titel` →
/// `person.title`.
fn nearest(root: &str, field: &str) -> Option<String> {
    let all = || {
        let leads = LEAD_FIELDS.iter().map(|field| ("lead", *field));
        leads.chain(PERSON_FIELDS.iter().map(|field| ("person", *field)))
    };
    let score = |(known_root, known): (&str, &str)| {
        if field.is_empty() {
            strsim::jaro_winkler(root, known)
        } else {
            (strsim::jaro_winkler(root, known_root) + 2.0 * strsim::jaro_winkler(field, known)) / 3.0
        }
    };
    all()
        .map(|known| (score(known), known))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, (root, field))| format!("{root}.{field}"))
}

/// Leads to try a template on: everything known, nothing known, and each half alone.
fn samples() -> [Context; 4] {
    let some = |text: &str| Some(text.to_owned());
    let lead = Lead {
        email: "ann@example.com".to_owned(),
        first_name: some("Ann"),
        last_name: some("Bee"),
        phone: some("+14155550100"),
        company: some("Example"),
        job_title: some("Director"),
        linkedin: some("ann-bee"),
        source: some("Website"),
        context: some("context"),
        note: some("note"),
        custom_fields: BTreeMap::new(),
        external_id: some("1"),
    };
    let person = Person {
        id: some("1"),
        name: some("Ann Bee"),
        first_name: some("Ann"),
        last_name: some("Bee"),
        linkedin: some("ann-bee"),
        location: some("Springfield"),
        country: some("United States"),
        country_code: some("US"),
        cell_phone: some("+14155550101"),
        direct_dial: some("+14155550102"),
        employment_status: some("employed"),
        title: some("Director"),
        level: some("Director"),
        function: some("Sales"),
        company: some("Example"),
        company_domain: some("example.com"),
        industry: some("Software"),
        employee_count: Some(250.0),
        work_email: some("ann@example.com"),
    };
    let (no_lead, nobody) =
        (Lead { email: lead.email.clone(), first_name: lead.first_name.clone(), ..Lead::default() }, Person::default());
    [
        Context::new(&lead, &person),
        Context::new(&no_lead, &nobody),
        Context::new(&lead, &nobody),
        Context::new(&no_lead, &person),
    ]
}

#[cfg(test)]
mod tests;
