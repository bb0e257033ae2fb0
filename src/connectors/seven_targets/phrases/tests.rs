use proptest::prelude::*;

use super::*;

fn already(text: &str) -> bool {
    Phrases::read(text).already_there(&[phrase("exist"), phrase("duplicate")])
}

#[test]
fn says_that_the_lead_is_there_already() {
    for text in [
        "Lead already exists",
        "Lead with email ann@acme.com already exists.",
        "LEAD_ALREADY_EXISTS",
        "leadAlreadyExists",
        "This email is a duplicate",
        "Duplicate lead",
        "Duplicate entry 'ann@acme.com' for key 'uk_lead_email'",
        "The contact exists in your organization",
        "Cannot create lead, email already exists",
        "Lead not created because it already exists",
        "Could not create lead: existing lead found",
        "Lead, ann@acme.com, already exists",
        "Email exists already for assistant Ashley",
        "already exists",
        "The lead can't be added (already exists)",
    ] {
        assert!(already(text), "{text}");
    }
}

#[test]
fn says_nothing_of_the_kind() {
    for text in [
        "Assistant does not exist",
        "assistantEmail ashley@x.com doesn’t exist",
        "Schedule 'Already exists' does not exist",
        "No lead exists with this id",
        "Lead does not already exist",
        "The schedule must exist",
        "Please provide an existing assistant",
        "email must be of an existing mailbox",
        "A nonexistent schedule was given",
        "No assistant with that email exists",
        "Duplicate custom field Budget",
        "Duplicate field in request",
        "Custom field already exists",
        "assistant email already exists",
        "Invalid name \"Duplicate Systems\"",
        "bad e-mail exist@duplicate.com",
        "Existential Inc is not valid",
        "name is mandatory",
        "Schedule exists but is inactive",
        "If the lead exists use PUT",
        "",
    ] {
        assert!(!already(text), "{text}");
    }
}

#[test]
fn words_of_the_configuration_may_be_phrases_of_any_language() {
    let words = [phrase("Bereits vorhanden")];
    assert!(Phrases::read("Lead ist bereits vorhanden").already_there(&words));
    assert!(!Phrases::read("Lead ist nicht bereits vorhanden").already_there(&words));
    assert!(!Phrases::read("Lead ist bereits da").already_there(&words));
    assert!(!Phrases::read("Lead exists").already_there(&[phrase("")]));
}

#[test]
fn says_what_is_missing() {
    for (text, what) in [
        ("Lead not found", Subject::Lead),
        ("LeadNotFoundException", Subject::Lead),
        ("LEAD_NOT_FOUND", Subject::Lead),
        ("No lead with email ann@acme.com", Subject::Lead),
        ("Email does not exist", Subject::Lead),
        ("could not find lead for assistant Ashley", Subject::Lead),
        ("The lead could not be found", Subject::Lead),
        ("Assistant not found for lead", Subject::Assistant),
        ("assistantEmail does not exist", Subject::Assistant),
        ("No such assistant", Subject::Assistant),
        ("unknown schedule", Subject::Schedule),
        ("custom field not found", Subject::Other),
        ("User not found", Subject::Other),
        ("not found", Subject::Nothing),
        ("404: not found", Subject::Nothing),
        ("Lead, ann@acme.com, was not found", Subject::Lead),
        ("Unknown lead", Subject::Lead),
        ("lead is unknown", Subject::Lead),
        ("no contact", Subject::Lead),
        ("Could not update the lead: handler not found", Subject::Other),
        ("Method not found", Subject::Other),
        ("Resource not found", Subject::Other),
    ] {
        assert_eq!(Phrases::read(text).missing(), Some(what), "{text}");
    }
    for text in [
        "Lead exists",
        "name is missing",
        "invalid email",
        "lead must exist",
        "the lead should exist",
        "Unknown error",
        "Unknown error while updating the lead",
        "Lead update failed: unknown error",
        "No email provided",
        "The lead has no email",
        "no lead provided",
        "",
    ] {
        assert_eq!(Phrases::read(text).missing(), None, "{text}");
    }
}

#[test]
fn faults_the_assistant_only_when_it_is_meant() {
    for text in [
        "Assistant does not exist",
        "Invalid assistant",
        "Invalid assistantEmail",
        "assistant email is invalid",
        "assistantId is not valid",
        "unknown assistant 61",
        "No assistant found with emailid ashley@x.com",
    ] {
        assert!(Phrases::read(text).faults(Subject::Assistant), "{text}");
    }
    for text in [
        "Assistant cannot send to invalid address",
        "Lead is already assigned to another assistant",
        "Invalid email for assistant",
        "Lead not found for assistant",
        "name is mandatory",
    ] {
        assert!(!Phrases::read(text).faults(Subject::Assistant), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,80}|[a-zA-Z'\".,:@ ]{0,80}") {
        let phrases = Phrases::read(&text);
        let _ = (phrases.missing(), phrases.faults(Subject::Assistant), phrases.already_there(&[phrase("exist")]));
    }
}
