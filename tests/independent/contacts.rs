//! Contacts in LeadConnector, as its own OpenAPI documents have them. Every request that leadsync makes there is checked
//! against them: paths, parameters, headers, fields and their types.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use futures_util::future::join_all;
use url::Url;

use crate::bench::{Bench, read, until};
use crate::documents::{Documents, Version, lead_connector};
use crate::support::database::Kind;
use crate::wire::{Fate, Passed, Wire, client};

/// Makes each a journey, in both versions.
macro_rules! in_both_versions {
    ($($case:ident),* $(,)?) => {
        journeys![$($case),*];
        $(async fn $case(kind: Kind) {
            let versions = [Version::V3, Version::Dated].map(async |version| {
                let Some(api) = lead_connector(version) else { return };
                let wire = api.wire().await;
                let bench = bench(kind, api, &wire).await;
                cases::$case(api, &wire, &bench).await;
            });
            join_all(versions).await;
        })*
    };
}

in_both_versions![
    a_lead_becomes_a_contact_with_its_tags,
    a_custom_field_by_its_key_is_more_than_the_documents_promise,
    a_lost_answer_is_looked_after,
    a_lost_answer_is_asked_for_by_the_same_upsert,
    a_chain_of_refresh_tokens_begins_with_the_configuration,
    a_location_s_token_is_made_from_its_agency_s,
    a_person_logs_in_and_learns_where_that_is_good_for,
];

/// The location and the contact that the documents' examples tell of: Prism answers nothing else.
const LOCATION: &str = "ve9EPM428h8vShlRW1KT";
const CONTACT: &str = "seD4PfOuKoVMLkEZqohJ";
const LEAD: &str = "email,first_name,last_name,phone,company,source\n\
                    rubika@deos.com,Privata,Nominova,+18832327657,DGS VolMAX,public api\n";

/// The documents say nothing of what a look-up answers, so Prism answers with nothing. This is what public clients of the
/// API read there.
const NOBODY: &str = r#"{"contact": null}"#;
const FOUND: &str = r#"{"contact": {"id": "seD4PfOuKoVMLkEZqohJ", "locationId": "ve9EPM428h8vShlRW1KT",
    "email": "rubika@deos.com"}}"#;

/// A bench with a location that is configured as far as all of these tests have it.
async fn bench(kind: Kind, api: &Documents, wire: &Wire) -> Bench {
    let bench = Bench::new(kind).await;
    wire.instead("/contacts/search/duplicate", NOBODY);
    set(&bench, "kind", "lead_connector");
    set(&bench, "base_url", wire.url(""));
    set(&bench, "api_version", api.version.name());
    set(&bench, "location_id", LOCATION);
    // A mock may be slow on a busy machine.
    bench.set("run.lease", "30s");
    set(&bench, "timeout", "10s");
    set(&bench, "settle", "200ms");
    bench
}

fn set(bench: &Bench, key: &str, value: impl Into<toml::Value>) {
    bench.set(&format!("destinations.crm.{key}"), value);
}

fn app(bench: &Bench) {
    set(bench, "client_id", "6578278e879ad2646715ba9c-lqt1ae8k");
    set(bench, "client_secret", "83de2-the-secret-of-the-app");
}

/// Imports the lead, which must come to the contact; fails if the documents find something wrong with a request.
async fn import(api: &Documents, wire: &Wire, bench: &Bench) {
    bench.file("leads.csv", LEAD);
    let said = bench.leadsync(&["import", "--destination", "crm", "leads.csv"]).await;
    api.agree(&wire.passed());
    said.ends(0);
    is_delivered(bench).await;
}

async fn is_delivered(bench: &Bench) {
    let lead = bench.only().await;
    assert_eq!((lead["state"].as_str(), lead["remote_id"].as_str()), (Some("delivered"), Some(CONTACT)), "{lead}");
}

/// What was asked, as `METHOD /path`.
fn asked(api: &Documents, wire: &Wire) -> Vec<String> {
    api.agree(&wire.passed());
    methods(wire)
}

fn methods(wire: &Wire) -> Vec<String> {
    wire.passed().iter().map(|it| format!("{} {}", it.method, it.path())).collect()
}

fn authorised(passed: &Passed) -> &str {
    passed.header("authorization").unwrap()
}

const CHECK: &str = "GET /contacts/search/duplicate";
const UPSERT: &str = "POST /contacts/upsert";
const TOKEN: &str = "POST /oauth/token";

mod cases {
    use super::*;

    pub async fn a_lead_becomes_a_contact_with_its_tags(api: &Documents, wire: &Wire, bench: &Bench) {
        set(bench, "token", "pit-5a1e-private-integration");
        set(bench, "tags", vec!["leadsync", "{{ lead.source }}"]);
        let fields = [
            ("website", "https://www.tesla.com"),
            ("dnd", "true"),
            ("country", "US"),
            ("customFields.6dvNaf7VhkQ9snc5vnjJ", "My Text"),
        ];
        let fields: toml::Table = fields.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        set(bench, "fields", fields);
        import(api, wire, bench).await;
        assert_eq!(asked(api, wire), [CHECK, UPSERT, &format!("POST /contacts/{CONTACT}/tags")]);
        assert!(wire.passed().iter().all(|it| authorised(it) == "Bearer pit-5a1e-private-integration"));
    }

    /// The documents want a custom field's id with every value, also where its key is there.
    pub async fn a_custom_field_by_its_key_is_more_than_the_documents_promise(
        api: &Documents,
        wire: &Wire,
        bench: &Bench,
    ) {
        set(bench, "token", "pit-5a1e-private-integration");
        let field = ("customFields.my_field".to_owned(), "My Text".into());
        set(bench, "fields", toml::Table::from_iter([field]));
        bench.file("leads.csv", LEAD);
        bench.leadsync(&["import", "--destination", "crm", "leads.csv"]).await.ends(3);
        api.agree_but(&wire.passed(), &["customFields.0", "422 Unprocessable Entity"]);
    }

    pub async fn a_lost_answer_is_looked_after(api: &Documents, wire: &Wire, bench: &Bench) {
        set(bench, "token", "pit-5a1e-private-integration");
        set(bench, "unknown", "find");
        wire.fates("/contacts/upsert", [Fate::ReplyHeldAndLost]);
        bench.file("leads.csv", LEAD);
        let run = bench.start(&["import", "--destination", "crm", "leads.csv"]);
        until("the contact is there", || wire.held() == 1).await;
        // From here on a look-up finds it; the answer to the upsert is never heard.
        wire.instead("/contacts/search/duplicate", FOUND);
        wire.release();
        run.ended().await.ends(0);
        is_delivered(bench).await;
        assert_eq!(asked(api, wire), [CHECK, UPSERT, CHECK]);
    }

    pub async fn a_lost_answer_is_asked_for_by_the_same_upsert(api: &Documents, wire: &Wire, bench: &Bench) {
        set(bench, "token", "pit-5a1e-private-integration");
        wire.fates("/contacts/upsert", [Fate::ReplyHeldAndLost]);
        bench.file("leads.csv", LEAD);
        let run = bench.start(&["import", "--destination", "crm", "leads.csv"]);
        until("the contact is there", || wire.held() == 1).await;
        wire.release();
        run.ended().await.ends(0);
        is_delivered(bench).await;
        assert_eq!(asked(api, wire), [CHECK, UPSERT, UPSERT]);
        let sent: Vec<_> = wire.passed().into_iter().map(|request| request.body).collect();
        assert_eq!(sent[1], sent[2]);
    }

    pub async fn a_chain_of_refresh_tokens_begins_with_the_configuration(api: &Documents, wire: &Wire, bench: &Bench) {
        app(bench);
        set(bench, "refresh_token", "xy34-seed-of-the-chain");
        import(api, wire, bench).await;
        assert_eq!(asked(api, wire), [TOKEN, CHECK, UPSERT]);
        // What the documents' example of a token says.
        assert_eq!(authorised(&wire.passed()[2]), "Bearer ab12dc0ae1234a7898f9ff06d4f69gh");
    }

    pub async fn a_location_s_token_is_made_from_its_agency_s(api: &Documents, wire: &Wire, bench: &Bench) {
        app(bench);
        set(bench, "company_id", "l1C08ntBrFjLS0elLIYU");
        set(bench, "refresh_token", "xy34-seed-of-the-chain");
        import(api, wire, bench).await;
        let location_token = match api.version {
            Version::V3 => "POST /oauth/location-token",
            Version::Dated => "POST /oauth/locationToken",
        };
        assert_eq!(asked(api, wire), [TOKEN, location_token, CHECK, UPSERT]);
    }

    pub async fn a_person_logs_in_and_learns_where_that_is_good_for(api: &Documents, wire: &Wire, bench: &Bench) {
        app(bench);
        set(bench, "company_id", "l1C08ntBrFjLS0elLIYU");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let back = format!("http://127.0.0.1:{port}/callback");
        set(bench, "redirect_url", back.as_str());
        let login = bench.start_in_shell("exec \"$@\" >address", &["auth", "login", "crm", "--no-browser"]);
        until("it waits", || login.has_said("Waiting") && read(bench.path("address")).ends_with('\n')).await;
        // The service's page is in no document; what it gets is checked against its description in prose.
        let address: Url = read(bench.path("address")).trim().parse().unwrap();
        let asked_with: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
        assert_eq!(asked_with["response_type"], "code");
        assert_eq!(asked_with["redirect_uri"], back);
        let scopes: BTreeSet<&str> = asked_with["scope"].split(' ').collect();
        assert_eq!(scopes, BTreeSet::from(["contacts.readonly", "contacts.write", "oauth.readonly", "oauth.write"]));
        let mut back: Url = back.parse().unwrap();
        back.query_pairs_mut().append_pair("code", "c0de-of-the-login").append_pair("state", &asked_with["state"]);
        assert!(client().get(back).send().await.unwrap().status().is_success());
        login.ended().await.ends(0);
        let (verifier, locations) = match api.version {
            // The documents' example of a page names a next one, and that is all that there is: the same page again.
            Version::V3 => ("codeVerifier", vec!["GET /oauth/installed-locations"; 2]),
            Version::Dated => ("code_verifier", vec!["GET /oauth/installedLocations"]),
        };
        // PKCE is in no document of theirs; a service ignores what it does not know (RFC 6749, 3.2).
        api.agree_but(&wire.passed(), &[verifier]);
        assert_eq!(methods(wire)[0], TOKEN);
        assert_eq!(methods(wire)[1..], locations);
        let said = read(bench.path("address"));
        assert!(said.contains("the app is installed in") && said.contains("is not one of them"), "{said}");
        assert!(!said.contains("c0de-of-the-login"), "{said}");
    }
}
