//! What columns may be called. Headers are compared without case, spaces, punctuation and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a column of a file can fill.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Email,
    FirstName,
    LastName,
    /// Both names in one column; used where there is none for first names.
    FullName,
    Phone,
    Company,
    JobTitle,
    Linkedin,
    Source,
    Context,
    Note,
    /// A JSON object.
    CustomFields,
    ExternalId,
    /// One entry of the custom fields: a header `custom.NAME` or `custom:NAME`.
    Custom(String),
}

/// Name in `[csv.columns]` and in the database, and other names in [`key`] form. English first; then German, French,
/// Spanish, Portuguese, Italian, Dutch, Swedish/Danish/Norwegian, Finnish, Polish. Among them the headers that HubSpot,
/// Salesforce, LinkedIn, Google Contacts, Outlook, Mailchimp, Facebook lead ads and 7targets export.
#[rustfmt::skip]
const FIELDS: [(Field, &str, &[&str]); 13] = [
    (Field::Email, "email", &[
        "emailaddress", "mail", "mailaddress", "workemail", "businessemail", "emailwork", "companyemail", "corporateemail",
        "primaryemail", "contactemail", "personemail", "leademail", "professionalemail", "emailid", "email1", "email1value",
        "email1address", "useremail", "youremail", "emailaddresswork", "workemailaddress", "businessemailaddress",
        "emailadresse", "mailadresse", "epost", "epostadresse", "epostadress", "epostaddress", "geschaftlicheemail",
        "adressemail", "adresseemail", "adressemel", "adresseelectronique", "courriel", "mel",
        "correo", "correoelectronico", "direcciondecorreo", "direcciondecorreoelectronico",
        "enderecodeemail", "correioeletronico", "indirizzoemail", "postaelettronica", "emailadres",
        "mejladress", "sahkoposti", "sahkopostiosoite", "adresemail", "emailfirmowy",
    ]),
    (Field::FirstName, "first_name", &[
        "firstname", "first", "fname", "givenname", "given", "forename", "contactfirstname", "leadfirstname", "personfirstname",
        "vorname", "prenom", "nombre", "primernombre", "nombredepila", "primeironome", "nome", "voornaam",
        "fornamn", "fornavn", "etunimi", "imie",
    ]),
    (Field::LastName, "last_name", &[
        "lastname", "last", "lname", "surname", "familyname", "family", "contactlastname", "leadlastname", "personlastname",
        "nachname", "familienname", "zuname", "nomdefamille", "nom", "apellido", "apellidos", "sobrenome", "apelido",
        "ultimonome", "cognome", "achternaam", "efternamn", "etternavn", "efternavn", "sukunimi", "nazwisko",
    ]),
    (Field::FullName, "full_name", &[
        "fullname", "name", "contactname", "contact", "leadname", "personname", "displayname", "completename", "yourname",
        "vollstandigername", "nomcomplet", "nometprenom", "prenometnom", "nombrecompleto", "nombreyapellidos",
        "nomecompleto", "nomecognome", "volledigenaam", "naam", "fulltnamn", "namn", "navn", "nimi", "imieinazwisko",
        "vorundnachname", "ansprechpartner",
    ]),
    (Field::Phone, "phone", &[
        "phonenumber", "telephone", "telephonenumber", "tel", "telno", "phoneno", "mobile", "mobilephone", "mobilenumber",
        "mobilephonenumber", "mobileno", "cell", "cellphone", "cellphonenumber", "workphone", "businessphone", "directphone",
        "directdial", "phonework", "phone1", "phone1value", "primaryphone", "contactphone", "contactnumber", "workphonenumber",
        "telefon", "telefonnummer", "telefonnr", "handy", "handynummer", "mobil", "mobilnummer", "mobiltelefon", "rufnummer",
        "numerodetelephone", "telephoneportable", "portable", "telefono", "telefonomovil", "movil", "celular",
        "numerodetelefono", "telefone", "telemovel", "cellulare", "numeroditelefono", "telefoon", "telefoonnummer",
        "mobiel", "puhelin", "puhelinnumero", "numertelefonu",
    ]),
    (Field::Company, "company", &[
        "companyname", "organisation", "organization", "organisationname", "organizationname", "organization1name", "org",
        "account", "accountname", "employer", "business", "businessname", "currentcompany", "firm", "firma", "firmenname",
        "unternehmen", "arbeitgeber", "entreprise", "societe", "nomdelentreprise", "raisonsociale", "empresa",
        "nombredelaempresa", "compania", "nomedaempresa", "azienda", "societa", "ragionesociale", "bedrijf",
        "bedrijfsnaam", "foretag", "foretagsnamn", "virksomhed", "bedrift", "yritys", "nazwafirmy",
    ]),
    (Field::JobTitle, "job_title", &[
        "jobtitle", "title", "position", "role", "jobrole", "job", "designation", "occupation", "currentposition", "jobposition",
        "organization1title", "berufsbezeichnung", "stellenbezeichnung", "funktion", "jobtitel", "poste", "fonction",
        "intituleduposte", "cargo", "puesto", "titulodelpuesto", "funcao", "ruolo", "posizione", "qualifica", "functie",
        "functietitel", "befattning", "stilling", "tehtavanimike", "stanowisko",
    ]),
    (Field::Linkedin, "linkedin", &[
        "linkedinurl", "linkedinprofile", "linkedinprofileurl", "linkedinlink", "linkedinid", "personlinkedin",
        "personlinkedinurl", "contactlinkedin", "contactlinkedinprofileurl", "profileurl", "liprofileurl", "linkedinprofil",
        "linkedinslug",
    ]),
    (Field::Source, "source", &[
        "leadsource", "originalsource", "leadorigin", "utmsource", "quelle", "leadquelle", "herkunft", "sourcedulead",
        "origine", "origen", "fuente", "origem", "fonte", "bron", "kalla", "kilde", "zrodlo",
    ]),
    (Field::Context, "context", &["leadcontext", "kontext", "contexte", "contexto", "contesto"]),
    (Field::Note, "note", &[
        "notes", "comment", "comments", "remark", "remarks", "message", "additionalinformation", "additionalinfo",
        "additionalinformationline", "notiz", "notizen", "bemerkung", "bemerkungen", "anmerkung", "anmerkungen", "kommentar",
        "remarque", "remarques", "commentaire", "commentaires", "nota", "notas", "comentario", "comentarios", "observacoes",
        "notities", "opmerking", "opmerkingen", "anteckningar", "muistiinpanot", "notatki", "uwagi",
    ]),
    (Field::CustomFields, "custom_fields", &["customfields", "customfieldsjson"]),
    (Field::ExternalId, "external_id", &[
        "externalid", "id", "leadid", "contactid", "recordid", "crmid", "crmrecordid", "personid", "externalkey",
        "identifiant", "identificador", "kundennummer", "kontaktid",
    ]),
];

/// How well a header names a field; the better one wins where two columns would fill the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// By a usual name.
    Alias,
    /// By the field's own name, as in the database.
    Exact,
    /// Named in `[csv.columns]`.
    Mapped,
}

/// A header as it is compared: no case, spaces, punctuation, accents.
pub(super) fn key(header: &str) -> String {
    header
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .flat_map(|c| match c {
            'ß' => ['s', 's'].into_iter().take(2),
            'ø' => ['o', ' '].into_iter().take(1),
            'ł' => ['l', ' '].into_iter().take(1),
            other => [other, ' '].into_iter().take(1),
        })
        .collect()
}

/// The field that a header names by itself.
pub(super) fn recognise(header: &str) -> Option<(Field, Fit)> {
    let header = header.trim();
    if let Some(name) = custom_name(header) {
        return Some((Field::Custom(name.to_owned()), Fit::Exact));
    }
    let key = key(header);
    FIELDS.iter().find_map(|(field, name, aliases)| {
        if key == self::key(name) {
            let fit = if header.eq_ignore_ascii_case(name) { Fit::Exact } else { Fit::Alias };
            return Some((field.clone(), fit));
        }
        aliases.contains(&key.as_str()).then(|| (field.clone(), Fit::Alias))
    })
}

/// The field with this name in `[csv.columns]`.
pub(super) fn by_name(name: &str) -> Option<Field> {
    if let Some(custom) = custom_name(name) {
        return Some(Field::Custom(custom.to_owned()));
    }
    FIELDS.iter().find(|(_, known, _)| *known == name).map(|(field, ..)| field.clone())
}

fn custom_name(header: &str) -> Option<&str> {
    let prefix = header.get(..7)?;
    let named = prefix.eq_ignore_ascii_case("custom.") || prefix.eq_ignore_ascii_case("custom:");
    Some(header[7..].trim()).filter(|name| named && !name.is_empty())
}

/// All names that `[csv.columns]` knows, `custom.NAME` aside.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(_, name, _)| *name)
}

/// How much a header looks like one for the e-mail address, 0 to 1.
pub(super) fn likeness_to_email(header: &str) -> f64 {
    let key = key(header);
    if key.contains("mail") {
        return 1.0;
    }
    let (_, name, aliases) = &FIELDS[0];
    aliases.iter().chain([name]).map(|alias| strsim::jaro_winkler(&key, alias)).fold(0.0, f64::max)
}

impl Field {
    /// The column in the database, or `custom.NAME`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Custom(name) => format!("custom.{name}"),
            other => FIELDS
                .iter()
                .find(|(field, ..)| field == other)
                .map_or_else(String::new, |(_, name, _)| (*name).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_name_stands_for_two_fields_and_all_are_in_comparable_form() {
        let mut seen = BTreeMap::new();
        for (field, name, aliases) in &FIELDS {
            for alias in
                aliases.iter().copied().chain([key(name).as_str()].into_iter().filter(|k| !aliases.contains(k)))
            {
                assert_eq!(key(alias), alias);
                assert_eq!(seen.insert(alias.to_owned(), field), None, "{alias} twice");
            }
        }
    }

    #[test]
    fn headers_are_recognised_whatever_their_case_spaces_punctuation_and_accents() {
        for header in [
            "email",
            "E-Mail",
            " EMAIL ADDRESS ",
            "e_mail",
            "Work Email",
            "E-mail 1 - Value",
            "Adresse e-mail",
            "ＥＭＡＩＬ",
        ] {
            assert_eq!(recognise(header).map(|(field, _)| field), Some(Field::Email), "{header}");
        }
        for header in ["First Name", "given-name", "Vorname", "Prénom", "Förnamn", "Imię"] {
            assert_eq!(recognise(header).map(|(field, _)| field), Some(Field::FirstName), "{header}");
        }
        for (header, field) in [
            ("Surname", Field::LastName),
            ("Full Name", Field::FullName),
            ("Tel.", Field::Phone),
            ("Organisation", Field::Company),
            ("Société", Field::Company),
            ("Job Title", Field::JobTitle),
            ("LinkedIn URL", Field::Linkedin),
            ("Lead Source", Field::Source),
            ("Comments", Field::Note),
            ("CRM-ID", Field::ExternalId),
            ("custom: Shoe Size", Field::Custom("Shoe Size".into())),
            ("Custom.plan", Field::Custom("plan".into())),
        ] {
            assert_eq!(recognise(header).map(|(field, _)| field), Some(field), "{header}");
        }
        for header in ["", "--", "email opt out", "customer", "custom.", "Straße"] {
            assert_eq!(recognise(header), None, "{header}");
        }
    }
}
