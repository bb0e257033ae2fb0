//! How a location is logged in to: with the token of a private integration; as an app that was installed in the location;
//! or as an app of an agency, from whose token each location's is made.
//!
//! Sources: <https://marketplace.gohighlevel.com/docs/Authorization/OAuth2.0>;
//! <https://github.com/GoHighLevel/highlevel-api-docs>, `docs/oauth/Authorization.md`, `apps/v3/oauth-v3.json` (version 3,
//! camelCase) and `apps/oauth.json` (the dated versions, snake_case).

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::auth::grant::{BrowserLogin, Exchange, Field, hidden, plain};
use crate::auth::{Account, Auth, Grant};
use crate::config::Section;
use crate::connectors::registry::BuildError;
use crate::http::message::Reply;

/// Which version of the API is spoken; part of every request.
pub(super) const VERSION: HeaderName = HeaderName::from_static("version");
/// The first version whose fields are camelCase.
const CAMEL: &str = "v3";
/// What an agency's two calls need. Source: `apps/v3/oauth-v3.json`.
const AGENCY_SCOPES: [&str; 2] = ["oauth.readonly", "oauth.write"];

/// Where the API is, and in which version it is spoken to.
#[derive(Clone)]
pub(super) struct Api {
    base: Url,
    pub(super) version: HeaderValue,
    /// Version 3, whose names are camelCase.
    pub(super) is_v3: bool,
}

impl Api {
    /// # Errors
    /// [`BuildError`] if the version can't be a header, or the address no base.
    pub(super) fn new(name: &str, base_url: &Url, prefix: &str, version: &str) -> Result<Self, BuildError> {
        let key = |key: &str| format!("destinations.{name}.{key}");
        let version_header = HeaderValue::from_str(version.trim()).map_err(|_| {
            BuildError::bad(key("api_version"), "characters that no header can hold", "a version such as \"v3\"")
        })?;
        if prefix.contains(['?', '#']) || prefix.contains("..") {
            return Err(BuildError::bad(key("path_prefix"), format!("\"{prefix}\""), "a path such as \"/v3\""));
        }
        let mut base = base_url.clone();
        {
            let Ok(mut path) = base.path_segments_mut() else {
                return Err(BuildError::bad(key("base_url"), base_url.scheme(), "an https address"));
            };
            path.pop_if_empty().extend(prefix.split('/').filter(|segment| !segment.is_empty()));
        }
        Ok(Self { base, version: version_header, is_v3: version.trim() == CAMEL })
    }

    /// An address below it.
    pub(super) fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }

    /// A field of a token request, as this version spells it.
    fn spelled(&self, camel: &'static str, snake: &'static str) -> &'static str {
        if self.is_v3 { camel } else { snake }
    }
}

/// For whom an app asks. Source: `apps/v3/oauth-v3.json`, `userType`.
#[derive(Clone, Copy)]
enum UserType {
    Location,
    Company,
}

impl UserType {
    fn name(self) -> &'static str {
        match self {
            Self::Location => "Location",
            Self::Company => "Company",
        }
    }
}

/// The API's address, and how this location is logged in to.
///
/// # Errors
/// [`BuildError`] if a key is missing, or if two ways of logging in are set at once.
pub(super) fn login(section: &Section) -> Result<(Url, Auth), BuildError> {
    let base_url = section.need_url("base_url")?;
    let version = section.need_text("api_version")?;
    let api = Api::new(section.name(), &base_url, section.text_or_empty("path_prefix").trim(), &version)?;
    let auth = match (section.secret("token"), section.text("client_id")) {
        (Some(_), Some(_)) => {
            return Err(BuildError::bad(
                section.key("token"),
                format!("`{}` beside it", section.key("client_id")),
                "one way of logging in: the token of a private integration, or client_id and client_secret",
            ));
        }
        (Some(token), None) => Auth::bearer(token, "token"),
        (None, None) if !section.names("client_secret") => {
            return Err(section.missing_or("token", "`client_id` and `client_secret`").into());
        }
        (None, _) => match section.text("company_id") {
            None => rotating(section, &api, UserType::Location)?.into(),
            Some(company_id) => of_agency(section, &api, &base_url, company_id.trim())?.into(),
        },
    };
    Ok((base_url, auth))
}

/// Each use of a refresh token brings the next one.
fn rotating(section: &Section, api: &Api, user_type: UserType) -> Result<Grant, BuildError> {
    let client_id = section.need_text("client_id")?;
    let client_secret = section.need_secret("client_secret")?;
    let scope = scope(section, user_type);
    let user = plain(api.spelled("userType", "user_type"), user_type.name());
    let with_client = |kind: &str, more: &[(String, Field)]| {
        let mut fields = vec![
            plain(api.spelled("clientId", "client_id"), &client_id),
            hidden(api.spelled("clientSecret", "client_secret"), &client_secret),
            plain(api.spelled("grantType", "grant_type"), kind),
        ];
        fields.extend_from_slice(more);
        fields.push(user.clone());
        fields
    };
    let field = |camel, snake, field: Field| (api.spelled(camel, snake).to_owned(), field);
    let refresh = with_client("refresh_token", &[field("refreshToken", "refresh_token", Field::RefreshToken)]);
    let code = with_client(
        "authorization_code",
        &[
            ("code".to_owned(), Field::Code),
            field("redirectUri", "redirect_uri", Field::RedirectUrl),
            field("codeVerifier", "code_verifier", Field::CodeVerifier),
        ],
    );
    Ok(Grant {
        headers: vec![(VERSION, api.version.clone())],
        refresh: Some(Exchange { fields: refresh, seed: section.secret("refresh_token") }),
        scope: Some(scope.clone()),
        keys: "`client_id` and `client_secret`",
        address: "`base_url`, `path_prefix` and `api_version`",
        browser: Some(BrowserLogin {
            authorize_url: section.need_url("authorize_url")?,
            client_id: client_id.clone(),
            redirect_url: section.need_url("redirect_url")?,
            scope,
            pkce: true,
            fields: code,
        }),
        known_refusals: vec![not_active, in_known_words],
        ..Grant::new("rotating", api.at(&["oauth", "token"]), [client_id, user_type.name().to_owned()])
    })
}

/// A location's token, made from the agency's as often as one is needed.
fn of_agency(section: &Section, api: &Api, base_url: &Url, company_id: &str) -> Result<Grant, BuildError> {
    let agency = rotating(section, api, UserType::Company)?;
    // No destination is called so: their names have no dot.
    // Not by the destination: several of one agency share its chain of tokens.
    let agency = Account::new(format!("agency.{company_id}"), base_url, agency.into());
    let location_id = section.need_text("location_id")?;
    let identity = [section.need_text("client_id")?, company_id.to_owned(), location_id.clone()];
    let path = api.spelled("location-token", "locationToken");
    Ok(Grant {
        headers: vec![(VERSION, api.version.clone())],
        // The dated versions have these in camel case as well.
        login: vec![plain("companyId", company_id), plain("locationId", &location_id)],
        keys: "`company_id` and `location_id`, and that the app is installed in this location",
        address: "`base_url`, `path_prefix` and `api_version`",
        authorised_by: Some(Box::new(agency)),
        known_refusals: vec![not_active, in_known_words],
        ..Grant::new("location_token", api.at(&["oauth", path]), identity)
    })
}

fn scope(section: &Section, user_type: UserType) -> String {
    let mut scopes: Vec<&str> = section.text_or_empty("scope").split_whitespace().collect();
    if matches!(user_type, UserType::Company) {
        scopes.extend(AGENCY_SCOPES.into_iter().filter(|needed| !section.text_or_empty("scope").contains(needed)));
    }
    scopes.join(" ")
}

/// A location that is paused or whose subscription ended. The refresh token stays good. Source: `apps/v3/oauth-v3.json`,
/// `locationNotActive`.
pub(super) fn not_active(reply: &Reply) -> Option<(String, String)> {
    says_not_active(reply).then(|| {
        (
            "the location is not active".to_owned(),
            "have the location reactivated (its subscription is paused or ended, or the agency paused it); the stored \
             login stays good, so the next run goes on by itself"
                .to_owned(),
        )
    })
}

/// Refusals in the vendor's fixed words, which say what is wrong and repeat nothing that was sent. Sources:
/// `apps/v3/oauth-v3.json` and `apps/v3/common/common-schemas.json`.
fn in_known_words(reply: &Reply) -> Option<(String, String)> {
    let body = reply.json()?;
    let said = body.get("message")?.as_str()?.trim().trim_end_matches('.');
    let is_name = |name: &str| (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let starts = ["Invalid parameter: ", "Missing parameter: "];
    let parameter = starts.into_iter().find_map(|start| said.strip_prefix(start).filter(|name| is_name(name)));
    let remedy = match (parameter, said) {
        (Some("clientId" | "clientSecret" | "client_id" | "client_secret"), _) => {
            "check `client_id` and `client_secret`"
        }
        (Some("locationId"), _) => "check `location_id`",
        (Some("companyId"), _) => "check `company_id`",
        (Some("redirectUri" | "redirect_uri"), _) => "check `redirect_url`",
        (None, "Location not found") => "check `location_id`",
        (None, "App is not installed on this location" | "App is not installed in this location") => {
            "have the app installed in this location, or check `location_id`"
        }
        (None, "Company not found") => "check `company_id`",
        _ => return None,
    };
    Some((said.to_owned(), remedy.to_owned()))
}

/// Whether a refusal says that the location is not active.
pub(super) fn says_not_active(reply: &Reply) -> bool {
    reply.status.is_client_error() && reply.said().to_lowercase().contains("location is not active")
}
