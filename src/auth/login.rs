//! A person's login with a browser: the authorization code flow of RFC 6749, 4.1, with a state that is checked (10.12) and
//! PKCE (RFC 7636, S256). Pure but for the randomness; [`super::Tokens::log_in`] exchanges the code.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use super::grant::BrowserLogin;
use super::seal::SealError;
use crate::mask;
use crate::secret::Secret;

/// Longest answer that is read: an address bar holds no more.
const LONGEST: usize = 8 * 1024;
/// Longest text of the server's that is shown.
const SHOWN: usize = 200;

/// One try to log in. `Debug` shows nothing of it.
pub struct Visit {
    /// Where the person is sent.
    pub url: Url,
    redirect_url: Url,
    state: String,
    /// What proves that the code is brought by whoever asked for it.
    pub verifier: Secret,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit")
    }
}

/// Why what came back is no login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// The server, or the person, said no: the `error` of RFC 6749, 4.1.2.1.
    #[error("the login was refused ({error}){}", description.as_ref().map_or(String::new(), |text| format!(": {text}")))]
    Refused { error: String, description: Option<String> },
    /// It answers another question than ours.
    #[error("what came back belongs to another login (its `state` is not ours)")]
    WrongState,
    /// Neither a code nor an error.
    #[error("what came back holds no code")]
    NoCode,
}

impl Visit {
    /// A new try.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn begin(browser: &BrowserLogin) -> Result<Self, SealError> {
        let (state, verifier) = (random()?, random()?);
        let mut url = browser.authorize_url.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", browser.client_id.trim())
                .append_pair("redirect_uri", browser.redirect_url.as_str())
                .append_pair("scope", browser.scope.trim())
                .append_pair("state", &state);
            if browser.pkce {
                query.append_pair("code_challenge", &challenge(&verifier)).append_pair("code_challenge_method", "S256");
            }
        }
        Ok(Self { url, redirect_url: browser.redirect_url.clone(), state, verifier: Secret::new(verifier) })
    }

    /// Whether a request to this path is the person coming back.
    pub fn comes_back_at(&self, path: &str) -> bool {
        self.redirect_url.path() == path
    }

    /// The code in the query of the address that the person came back to.
    ///
    /// # Errors
    /// See [`RedirectError`]. An answer with another state than ours is not looked into.
    pub fn read(&self, query: &str) -> Result<Secret, RedirectError> {
        let query = query.get(..LONGEST).unwrap_or(query);
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if !value("state").is_some_and(|state| same(&state, &self.state)) {
            return Err(RedirectError::WrongState);
        }
        if let Some(error) = value("error") {
            let description = value("error_description").map(|text| shown(&text)).filter(|text| !text.is_empty());
            return Err(RedirectError::Refused { error: shown(&error), description });
        }
        value("code").filter(|code| !code.trim().is_empty()).map(Secret::new).ok_or(RedirectError::NoCode)
    }

    /// The code in what a person pasted: the whole address they came back to, or its query, or the code alone. A code alone
    /// brings no state; that it was asked for by us is then up to PKCE, and to the person.
    ///
    /// # Errors
    /// As [`Visit::read`].
    pub fn read_pasted(&self, text: &str) -> Result<Secret, RedirectError> {
        let text = text.trim().trim_matches(['"', '\'']);
        if let Ok(url) = Url::parse(text)
            && url.query().is_some()
        {
            return self.read(url.query().unwrap_or_default());
        }
        if text.contains("code=") || text.contains("error=") {
            return self.read(text.trim_start_matches('?'));
        }
        let is_code =
            !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_whitespace) && !text.contains("://");
        is_code.then(|| Secret::new(text)).ok_or(RedirectError::NoCode)
    }
}

/// 32 random bytes as text: 43 characters, as RFC 7636, 4.1, wants a verifier.
fn random() -> Result<String, SealError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// RFC 7636, 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Compared in the same time wherever they differ.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

/// Words of a server's in an address, fit for a terminal.
fn shown(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    mask::scrub(plain.trim())
}
