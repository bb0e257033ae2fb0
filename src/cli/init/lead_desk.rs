//! A LeadDesk connection string as a destination of ours. Source of the properties: the page "Connecting to LeadDesk" of
//! CData's provider.

use std::fmt::{self, Write as _};

use super::connection_string::Property;

/// Properties that say how another program works, and that we have no use for.
const NOT_NEEDED: [&str; 2] = ["Profile", "CallbackURL"];
/// Those that are read.
const READ: [&str; 8] = [
    "AuthScheme",
    "InitiateOAuth",
    "OAuthClientId",
    "OAuthClientSecret",
    "OAuthAccessToken",
    "OAuthRefreshToken",
    "User",
    "Password",
];

/// A configuration, and what is to be said of it.
pub(super) struct Translation {
    pub(super) toml: String,
    /// Whether it is for its owner alone.
    pub(super) holds_secrets: bool,
    /// Variables of the environment that it refers to.
    pub(super) variables: Vec<&'static str>,
    /// In plain words, without values.
    pub(super) remarks: Vec<String>,
}

/// A property that is set to something that we can't take. Values of these properties are no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    name: &'static str,
    expected: &'static str,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has a value that is not known here; expected {}", self.name, self.expected)
    }
}

/// How tokens are come by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Initiate {
    GetAndRefresh,
    Off,
    Refresh,
}

/// The destination `leaddesk`. Secrets are written only `with_secrets`; else they become variables.
pub(super) fn translate(properties: &[Property], with_secrets: bool) -> Result<Translation, Unusable> {
    let given = Given(properties);
    let by_client = given.by_client()?;
    let initiate = given.initiate()?;
    let by_password = !by_client && (given.value("User").is_some() || given.value("Password").is_some());
    let mut out = Writer::new(with_secrets);
    out.line("# Made from a LeadDesk connection string. `leadsync config check` says what is missing.");
    out.line("[destinations.leaddesk]\nkind = \"lead_desk\"\napi = \"rest\"");
    out.line("# Where the REST API is differs by customer: LeadDesk knows.");
    out.plain("base_url", None, "LEADDESK_BASE_URL");
    out.line("# The number of the contact list that leads are added to.");
    out.plain("contact_list_id", None, "LEADDESK_CONTACT_LIST_ID");
    let mut used = vec!["AuthScheme", "InitiateOAuth"];
    match initiate {
        Initiate::Off => {
            out.line("auth.initiate = \"off\"");
            out.secret("access_token", given.value("OAuthAccessToken"), "LEADDESK_ACCESS_TOKEN");
            used.push("OAuthAccessToken");
        }
        Initiate::Refresh => {
            out.line("auth.initiate = \"refresh\"");
            out.secret("refresh_token", given.value("OAuthRefreshToken"), "LEADDESK_REFRESH_TOKEN");
            used.push("OAuthRefreshToken");
        }
        Initiate::GetAndRefresh => out.line("auth.initiate = \"get_and_refresh\""),
    }
    if initiate != Initiate::Off {
        out.plain("client_id", given.value("OAuthClientId"), "LEADDESK_CLIENT_ID");
        out.secret("client_secret", given.value("OAuthClientSecret"), "LEADDESK_CLIENT_SECRET");
        used.extend(["OAuthClientId", "OAuthClientSecret"]);
    }
    match (initiate, by_password) {
        (Initiate::GetAndRefresh, true) => {
            out.line("grant_type = \"password\"");
            out.plain("username", given.value("User"), "LEADDESK_USERNAME");
            out.secret("password", given.value("Password"), "LEADDESK_PASSWORD");
            used.extend(["User", "Password"]);
        }
        (Initiate::GetAndRefresh, false) => {
            out.line("grant_type = \"leaddesk_client_id\"");
            out.line("# The customer account's number.");
            out.plain("leaddesk_client_id", None, "LEADDESK_ACCOUNT_ID");
        }
        _ => {}
    }
    Ok(Translation {
        toml: out.toml,
        holds_secrets: out.holds_secrets,
        variables: out.variables,
        remarks: remarks(properties, &used),
    })
}

/// What was given and is of no use, by name: nothing is passed over in silence.
fn remarks(properties: &[Property], used: &[&str]) -> Vec<String> {
    let is_among = |names: &[&str], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(&squeezed(name)));
    let mut remarks = Vec::new();
    for property in properties {
        let name = &property.name;
        if is_among(used, name) {
            continue;
        }
        remarks.push(if is_among(&READ, name) {
            format!("`{name}` is not used: this way to log in does without it")
        } else if is_among(&NOT_NEEDED, name) {
            format!("`{name}` is not used: leadsync needs nothing of the kind")
        } else {
            format!("`{name}` is not known here and was left out")
        });
    }
    remarks
}

/// Providers take `OAuth Client Id` for `OAuthClientId`.
fn squeezed(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).collect()
}

struct Given<'a>(&'a [Property]);

impl Given<'_> {
    /// A value that says something.
    fn value(&self, name: &str) -> Option<&str> {
        let property = self.0.iter().find(|property| squeezed(&property.name).eq_ignore_ascii_case(name))?;
        Some(property.value.expose()).filter(|value| !value.trim().is_empty())
    }

    /// Whether the app logs in for itself, without a user.
    fn by_client(&self) -> Result<bool, Unusable> {
        match self.value("AuthScheme").map(str::to_ascii_uppercase).as_deref() {
            None | Some("OAUTH") => Ok(false),
            Some("OAUTH_CLIENT") => Ok(true),
            Some(_) => Err(Unusable {
                name: "AuthScheme",
                expected: "OAuth or OAUTH_CLIENT; LeadDesk's REST API knows no other (for its original API, write \
                           `api = \"original\"` and `auth_key` into a table [destinations.leaddesk] yourself)",
            }),
        }
    }

    fn initiate(&self) -> Result<Initiate, Unusable> {
        match self.value("InitiateOAuth").map(str::to_ascii_uppercase).as_deref() {
            Some("GETANDREFRESH") => Ok(Initiate::GetAndRefresh),
            Some("REFRESH") => Ok(Initiate::Refresh),
            Some("OFF") => Ok(Initiate::Off),
            Some(_) => Err(Unusable { name: "InitiateOAuth", expected: "OFF, GETANDREFRESH or REFRESH" }),
            // A token alone is there to be sent as it is.
            None if self.value("OAuthAccessToken").is_some() && self.value("OAuthClientId").is_none() => {
                Ok(Initiate::Off)
            }
            None => Ok(Initiate::GetAndRefresh),
        }
    }
}

struct Writer {
    toml: String,
    with_secrets: bool,
    holds_secrets: bool,
    variables: Vec<&'static str>,
}

impl Writer {
    fn new(with_secrets: bool) -> Self {
        Self { toml: String::new(), with_secrets, holds_secrets: false, variables: Vec::new() }
    }

    fn line(&mut self, text: &str) {
        self.toml.push_str(text);
        self.toml.push('\n');
    }

    /// A value that anybody may see, or a variable if there is none.
    fn plain(&mut self, key: &str, value: Option<&str>, variable: &'static str) {
        match value {
            Some(value) => self.value(key, value),
            None => self.variable(key, variable),
        }
    }

    fn secret(&mut self, key: &str, value: Option<&str>, variable: &'static str) {
        match value.filter(|_| self.with_secrets) {
            Some(value) => {
                self.holds_secrets = true;
                self.value(key, value);
            }
            None => self.variable(key, variable),
        }
    }

    /// `${` opens a variable in our files: doubled, its dollar is one.
    fn value(&mut self, key: &str, value: &str) {
        let quoted = toml::Value::String(value.replace("${", "$${")).to_string();
        // Writing to a `String` never fails.
        let _ = writeln!(self.toml, "{key} = {quoted}");
    }

    fn variable(&mut self, key: &str, variable: &'static str) {
        self.variables.push(variable);
        let _ = writeln!(self.toml, "{key} = \"${{{variable}}}\"");
    }
}

#[cfg(test)]
mod tests;
