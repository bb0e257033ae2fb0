//! `leadsync auth rekey`: everything that is sealed, anew under the newest key.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::Write as _;

use crate::auth::{Rekeyed, rekey as seal_anew};
use crate::cli::console::{self, CODE, WARN, paint};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{ready, words};
use crate::exit::Exit;
use crate::pipeline::site::{Site, SiteError};
use crate::store::SealedAt;

/// Runs the command. 2 if none of the keys opens something, 4 if somebody goes on sealing with an older key.
pub async fn rekey(context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    ready::to_seal(&opened.settings)?;
    let from_file = opened.settings.security.encryption_keys.is_empty();
    let key_file = opened.store.file().filter(|_| from_file).map(|file| format!("{}.key", file.display()));
    let site = Site::open(opened.settings, opened.store).await?;
    let done = seal_anew(&*site.store, &site.keyring).await.map_err(SiteError::from)?;
    site.store.close().await;
    let keys = Keys { count: site.keyring.count(), file: key_file };
    writeln!(console::stdout(), "{}", said(&done, &keys))?;
    failed(&done, &keys).map_or(Ok(Exit::Done), Err)
}

/// The keys that there are, for people.
struct Keys {
    count: usize,
    /// They are in the file beside the database and not in the configuration.
    file: Option<String>,
}

impl Keys {
    fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| "security.encryption_key".to_owned(), |file| format!("`{file}`"))
    }

    /// How to put a new key before the old one.
    fn how_to_add(&self) -> String {
        match &self.file {
            Some(file) => format!(
                "put the new one on a line of its own before the old one: (umask 077; (openssl rand -hex 32; cat {0}) > {0}.new && mv {0}.new {0})",
                words::shell_word(file)
            ),
            None => "put a new one (openssl rand -hex 32) before it, as a list, newest first: [\"${NEW}\", \"${OLD}\"]"
                .to_owned(),
        }
    }
}

fn said(done: &Rekeyed, keys: &Keys) -> String {
    let values = |n: usize| words::plural(n as i64, "sealed value");
    let mut text = format!("{} sealed anew under the newest key", values(done.resealed));
    let _ = write!(text, ", {} already", words::count(done.already as i64));
    if !done.unopened.is_empty() || !done.contested.is_empty() {
        return text;
    }
    if keys.count > 1 {
        let (others, are) = if keys.count == 2 { ("the other key", "is") } else { ("the other keys", "are") };
        let _ = write!(
            text,
            "\n{others} in {} {are} no longer needed: to be removed once no process works with the configuration of before",
            keys.place()
        );
    } else {
        let _ = write!(
            text,
            "\nthere is only one key in {}; to change it, {}, start every process anew, then {}",
            keys.place(),
            keys.how_to_add(),
            paint(CODE, words::leadsync("auth rekey"))
        );
    }
    text
}

fn names<'a>(at: impl IntoIterator<Item = &'a SealedAt>) -> String {
    let name = |at: &SealedAt| match at {
        SealedAt::Key(name) => format!("the key `{name}`"),
        SealedAt::Token(account) => format!("the token of {account}"),
    };
    at.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

fn failed(done: &Rekeyed, keys: &Keys) -> Option<Failure> {
    if !done.unopened.is_empty() {
        let what = names(done.unopened.iter().map(|(at, _)| at));
        let failure = format!("{} in {} opens {what}", paint(WARN, "none of the keys"), keys.place());
        return Some(Failure::usage(failure).hint(
            "put back the key that was used before, as the last of the list. A token of an account that asks with a \
             secret is replaced by itself when it is next needed",
        ));
    }
    if !done.contested.is_empty() {
        let what = names(&done.contested);
        let failure = anyhow::anyhow!("somebody goes on sealing with an older key: {what}");
        return Some(
            Failure::new(Exit::Unavailable, failure)
                .hint("start every process anew with the new key as the first of its list, then run this again"),
        );
    }
    None
}
