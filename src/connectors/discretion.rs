//! Servers quote requests back. What they say goes into reasons, logs and on to people, and there a lead's own values
//! must not follow: a verdict is made discreet before anybody else sees it.

use super::{DAY_USED_UP, LookUpVerdict, Verdict};
use crate::lead::{Lead, Person, Prepared};
use crate::mask::Hidden;

impl Verdict {
    /// Without what this lead says of itself, or the look-up of it.
    #[must_use]
    pub fn discreet(self, of: &Prepared) -> Self {
        let hidden = || of_prepared(of);
        match self {
            Self::Refused { field, reason } => {
                let hidden = hidden();
                Self::Refused { field: field.map(|field| hidden.hide(&field)), reason: hidden.hide(&reason) }
            }
            Self::RefusedUnlessThere { field, reason } => {
                let hidden = hidden();
                let field = field.map(|field| hidden.hide(&field));
                Self::RefusedUnlessThere { field, reason: hidden.hide(&reason) }
            }
            // These words are ours, and decide what the wait means, whoever may be called Day.
            Self::NotNow { wait, why } => match why.strip_prefix(DAY_USED_UP) {
                Some(rest) => Self::NotNow { wait, why: format!("{DAY_USED_UP}{}", hidden().hide(rest)) },
                None => Self::NotNow { wait, why: hidden().hide(&why) },
            },
            Self::Unknown { why } => Self::Unknown { why: hidden().hide(&why) },
            Self::AccountWrong { reason, remedy } => Self::AccountWrong { reason: hidden().hide(&reason), remedy },
            // Only words of our own.
            Self::Accepted { .. } | Self::Absent | Self::AuthExpired => self,
        }
    }
}

impl LookUpVerdict {
    /// Without what these leads say of themselves.
    #[must_use]
    pub fn discreet(self, of: &[&Lead]) -> Self {
        match self {
            Self::BadRequest { reason } => Self::BadRequest { reason: of_leads(of).hide(&reason) },
            Self::NotNow { wait, why } => Self::NotNow { wait, why: of_leads(of).hide(&why) },
            Self::Again { why } => Self::Again { why: of_leads(of).hide(&why) },
            Self::AccountWrong { reason, remedy } => Self::AccountWrong { reason: of_leads(of).hide(&reason), remedy },
            Self::Answers { .. } | Self::OutOfCredits(_) | Self::AuthExpired => self,
        }
    }
}

/// What this lead says of itself, or the look-up of it.
pub(super) fn of_prepared(of: &Prepared) -> Hidden {
    let mut hidden = of_leads(&[&of.lead]);
    if let Some(person) = of.looked_up.person() {
        of_person(person, &mut hidden);
    }
    hidden
}

/// What these leads say of themselves.
pub(crate) fn of_leads(leads: &[&Lead]) -> Hidden {
    let mut hidden = Hidden::default();
    leads.iter().for_each(|lead| of_lead(lead, &mut hidden));
    hidden
}

fn of_lead(lead: &Lead, hidden: &mut Hidden) {
    [&lead.first_name, &lead.last_name].into_iter().flatten().for_each(|name| hidden.name(name));
    // Whole addresses and numbers are recognised by themselves.
    if let Some((local, _)) = lead.email.split_once('@') {
        hidden.value(local);
    }
    let values =
        [&lead.phone, &lead.company, &lead.job_title, &lead.linkedin, &lead.context, &lead.note, &lead.external_id];
    values.into_iter().flatten().chain(lead.custom_fields.values()).for_each(|value| hidden.value(value));
}

fn of_person(person: &Person, hidden: &mut Hidden) {
    [&person.name, &person.first_name, &person.last_name].into_iter().flatten().for_each(|name| hidden.name(name));
    let values = [
        &person.id,
        &person.linkedin,
        &person.location,
        &person.cell_phone,
        &person.direct_dial,
        &person.title,
        &person.company,
        &person.company_domain,
    ];
    values.into_iter().flatten().for_each(|value| hidden.value(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead() -> Lead {
        Lead {
            email: "zoe.bee@example.com".to_owned(),
            first_name: Some("Zoë".to_owned()),
            last_name: Some("Bee".to_owned()),
            company: Some("Acme Rockets".to_owned()),
            note: Some("met her at the fair in spring".to_owned()),
            custom_fields: [("Budget".to_owned(), "twelve thousand".to_owned())].into(),
            ..Lead::default()
        }
    }

    #[test]
    fn a_refusal_that_quotes_the_lead_is_told_without_it() {
        let reason = "400: Zoë Bee (zoe.bee) of acme rockets, met her at the fair, twelve thousand: name too short";
        let refused = Verdict::Refused { field: Some("name".to_owned()), reason: reason.to_owned() };
        let prepared = Prepared { lead: lead(), ..Prepared::default() };
        let expected = "400: (hidden) ((hidden)) of (hidden), (hidden), (hidden): name too short";
        let Verdict::Refused { field, reason } = refused.discreet(&prepared) else { panic!() };
        assert_eq!((field.as_deref(), reason.as_str()), (Some("name"), expected));
    }

    #[test]
    fn a_look_up_that_fails_names_none_of_its_people() {
        let other = Lead { last_name: Some("Cee".to_owned()), ..Lead::default() };
        let verdict = LookUpVerdict::Again { why: "Bee and Cee are not in the index".to_owned() };
        let expected = LookUpVerdict::Again { why: "(hidden) and (hidden) are not in the index".to_owned() };
        assert_eq!(verdict.discreet(&[&lead(), &other]), expected);
    }
}
