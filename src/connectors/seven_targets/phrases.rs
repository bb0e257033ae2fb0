//! What an error's words say. 7targets documents neither error bodies nor the answer to a lead that exists already, so words
//! are all there is to go by, and they mislead: "assistant does not exist" holds the word that also says "lead already
//! exists". Mistaking the first for the second would lose a lead silently, the opposite would only have a person look at a
//! refusal; so whatever is doubtful here says nothing.

#[cfg(test)]
mod tests;

/// What a clause is about: the first of these that it mentions, or else what the clause before was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The lead, or its e-mail address.
    Lead,
    /// The assistant of the configuration.
    Assistant,
    /// The schedule or sequence.
    Schedule,
    /// The header `7ts-user-identifier`.
    Identifier,
    /// Anything else that can be missing or duplicate.
    Other,
    /// It doesn't say.
    Nothing,
}

/// A message, taken apart.
#[derive(Debug)]
pub(super) struct Phrases {
    clauses: Vec<Clause>,
}

#[derive(Debug)]
struct Clause {
    words: Vec<String>,
    subject: Subject,
    /// The subject is in these words, not taken over from the clause before.
    names_subject: bool,
}

impl Phrases {
    pub(super) fn read(text: &str) -> Self {
        let mut before = Subject::Nothing;
        let clauses = split(text)
            .into_iter()
            .map(|words| {
                let subject = words.iter().map(|word| subject(word)).find(|subject| *subject != Subject::Nothing);
                before = subject.unwrap_or(before);
                Clause { words, subject: before, names_subject: subject.is_some() }
            })
            .collect();
        Self { clauses }
    }

    /// What the message says is not there, if it says so.
    pub(super) fn missing(&self) -> Option<Subject> {
        self.clauses.iter().find(|clause| clause.says_missing()).map(Clause::what_is_missing)
    }

    /// Whether the message says that this one is missing, unknown or invalid.
    pub(super) fn faults(&self, what: Subject) -> bool {
        self.clauses
            .iter()
            .any(|clause| (clause.says_missing() && clause.what_is_missing() == what) || clause.says_invalid(what))
    }

    /// Whether the message says, by one of these words or phrases, that the lead is there already.
    pub(super) fn already_there(&self, phrases: &[Vec<String>]) -> bool {
        self.clauses.iter().any(|clause| {
            matches!(clause.subject, Subject::Lead | Subject::Nothing)
                && phrases.iter().any(|phrase| clause.affirms(phrase))
        })
    }
}

/// The words of a configured phrase, as clauses hold them.
pub(super) fn phrase(text: &str) -> Vec<String> {
    split(text).into_iter().flatten().collect()
}

impl Clause {
    /// "Lead not found", "no such lead", "lead unknown"; not "unknown error", and not "no e-mail given".
    fn says_missing(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let linked =
            |at: usize| words.get(at).is_none_or(|word| matches!(*word, "with" | "for" | "found" | "exists" | "by"));
        let gone = |word: &str| matches!(word, "found" | "exist" | "exists" | "existing" | "existent" | "present");
        words.iter().enumerate().any(|(at, word)| {
            let next = words.get(at + 1).copied().unwrap_or_default();
            match *word {
                "nonexistent" | "inexistent" | "unknown" => {
                    subject(next) != Subject::Nothing || (self.names_subject && next.is_empty())
                }
                "no" => matches!(next, "such" | "matching") || (is_thing(next) && linked(at + 2)),
                "unable" | "failed" => next == "to" && matches!(words.get(at + 2), Some(&("find" | "locate"))),
                word if negates(word) => {
                    gone(next)
                        || matches!(next, "find" | "locate")
                        || (next == "be" && words.get(at + 2) == Some(&"found"))
                }
                _ => false,
            }
        })
    }

    /// What is missing. "Handler not found" is about something that we don't know, whatever was spoken of before.
    fn what_is_missing(&self) -> Subject {
        let idle = |word: &String| {
            negates(word)
                || matches!(
                    word.as_str(),
                    "found"
                        | "exist"
                        | "exists"
                        | "be"
                        | "is"
                        | "was"
                        | "it"
                        | "this"
                        | "error"
                        | "404"
                        | "could"
                        | "such"
                )
        };
        if self.names_subject || self.words.iter().all(idle) { self.subject } else { Subject::Other }
    }

    /// "Invalid assistant", "assistant email is not valid": next to its name only, so that "the assistant can't write to
    /// this invalid address" stays the lead's affair.
    fn says_invalid(&self, what: Subject) -> bool {
        let invalid = |word: &String| matches!(word.as_str(), "invalid" | "unknown" | "wrong" | "incorrect");
        self.words.iter().enumerate().any(|(at, word)| {
            subject(word) == what && {
                let before = at.checked_sub(1).and_then(|at| self.words.get(at));
                let after = self.words.iter().skip(at + 1).take_while(|word| !is_verb(word)).take(3).count();
                let tail: Vec<&String> = self.words.iter().skip(at + 1 + after).take(3).collect();
                before.is_some_and(invalid)
                    || matches!(tail.as_slice(), [is, word, ..] if is_verb(is) && invalid(word))
                    || matches!(tail.as_slice(), [is, not, valid] if is_verb(is) && negates(not) && *valid == "valid")
            }
        })
    }

    /// Whether the clause holds this phrase and doesn't deny, demand or condition it.
    fn affirms(&self, phrase: &[String]) -> bool {
        let Some(last) = phrase.last() else { return false };
        let starts = self.words.windows(phrase.len()).enumerate().filter_map(|(at, words)| {
            // "exist" stands for exists, existed and existing, not for existential.
            let inflected = |word: &str| word.strip_prefix(last.as_str()).is_some_and(|rest| rest.chars().count() <= 3);
            let (end, rest) = words.split_last()?;
            (rest == &phrase[..rest.len()] && inflected(end)).then_some(at)
        });
        starts.into_iter().any(|at| {
            let before = &self.words[..at];
            let reach = if before.last().is_some_and(|word| word == "already") { 3 } else { 6 };
            !before.iter().rev().take(reach).any(|word| denies(word)) && !self.about_other(at)
        })
    }

    /// "Duplicate custom field": the word belongs to what follows it.
    fn about_other(&self, at: usize) -> bool {
        self.words.get(at + 1).is_some_and(|word| {
            matches!(subject(word), Subject::Other | Subject::Assistant | Subject::Schedule | Subject::Identifier)
        })
    }
}

fn is_verb(word: &str) -> bool {
    matches!(word, "is" | "was" | "are" | "isn't" | "has" | "can" | "cannot" | "could" | "must" | "does" | "should")
}

/// What can be looked for, as opposed to what a lead has: "no lead", not "no e-mail".
fn is_thing(word: &str) -> bool {
    !matches!(subject(word), Subject::Nothing) && !matches!(word, "mail" | "email" | "emailid" | "address")
}

fn negates(word: &str) -> bool {
    word.ends_with("n't") || matches!(word, "not" | "no" | "never" | "cannot" | "nicht" | "kein" | "keine")
}

/// Words after which something isn't so, or is only asked for.
fn denies(word: &str) -> bool {
    negates(word)
        || matches!(word, "non" | "without" | "neither" | "nor" | "unable" | "failed")
        || matches!(word, "must" | "should" | "shall" | "need" | "needs" | "require" | "requires" | "required")
        || matches!(word, "if" | "unless" | "until" | "whether" | "ensure")
}

fn subject(word: &str) -> Subject {
    match word {
        "lead" | "leads" | "contact" | "contacts" | "prospect" | "person" | "record" | "recipient" | "mail"
        | "email" | "emailid" | "address" => Subject::Lead,
        "assistant" | "assistants" | "assistantemail" | "assistantid" => Subject::Assistant,
        "schedule" | "schedules" | "sequence" | "scheduleid" | "schedulename" => Subject::Schedule,
        "useridentifier" | "7tsuseridentifier" => Subject::Identifier,
        "field" | "fields" | "customfield" | "customfields" | "custom" | "header" | "headers" | "organization"
        | "organisation" | "property" | "parameter" | "template" | "route" | "path" | "url" | "resource"
        | "endpoint" | "tenant" | "plan" | "user" | "account" => Subject::Other,
        _ => Subject::Nothing,
    }
}

/// Clauses of lower-case words. Addresses and quoted values are left out, since a lead's own data may hold any word;
/// `camelCase` and `SNAKE_CASE` codes fall apart into words.
fn split(text: &str) -> Vec<Vec<String>> {
    let text = text.replace(['’', '`'], "'");
    let mut clauses = vec![Vec::new()];
    let mut quote = None;
    for token in
        text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, ';' | ':' | ',' | '!' | '?' | '(' | ')'))
    {
        let trimmed = token.trim_end();
        let ends_clause =
            trimmed.ends_with(['.', ';', ':', ',', '!', '?', '(', ')']) || token[trimmed.len()..].contains('\n');
        let bare = trimmed.trim_matches(|c: char| matches!(c, '.' | ';' | ':' | ',' | '!' | '?' | '(' | ')'));
        let opens = bare.chars().next().filter(|c| matches!(c, '"' | '\''));
        let closes = |quote: char| bare.ends_with(quote) && !bare.ends_with("n'");
        match (quote, opens) {
            (Some(open), _) => {
                if closes(open) {
                    quote = None;
                }
            }
            (None, Some(open)) => {
                if bare.chars().count() == 1 || !closes(open) {
                    quote = Some(open);
                }
            }
            (None, None) if bare.contains('@') => {}
            (None, None) => {
                if let Some(clause) = clauses.last_mut() {
                    clause.extend(words(bare));
                }
            }
        }
        if ends_clause && quote.is_none() && clauses.last().is_some_and(|clause| !clause.is_empty()) {
            clauses.push(Vec::new());
        }
    }
    clauses.retain(|clause| !clause.is_empty());
    clauses.iter_mut().for_each(join_header_name);
    clauses
}

/// `7ts-user-identifier` is one thing, not a user.
fn join_header_name(clause: &mut Vec<String>) {
    for at in (1..clause.len()).rev() {
        if (clause[at] == "identifier" && clause[at - 1] == "user")
            || (clause[at] == "useridentifier" && clause[at - 1] == "7ts")
        {
            let rest = clause.remove(at);
            clause[at - 1].push_str(&rest);
        }
    }
}

fn words(token: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for c in token.chars() {
        let inside = c.is_alphanumeric() || c == '\'';
        if !inside || (c.is_uppercase() && before_is_lower) {
            words.push(String::new());
        }
        if inside && let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        before_is_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}
