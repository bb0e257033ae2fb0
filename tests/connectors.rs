//! Every connector through the same cases, built as a command builds it: from settings, through the registry. What a
//! connector alone knows of its API is tested in its folder; here is what holds for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use leadsync::config::{
    self, DestinationSettings, EnrichKind, EnrichSettings, Environment, JobChanged, LiveDataSettings, Prefer,
    WhenUnavailable,
};
use leadsync::connectors::classify::classify;
use leadsync::connectors::registry::{self, MissingSetting};
use leadsync::connectors::{Asked, CheckStep, Destination, Enricher, LookUpVerdict, Verdict};
use leadsync::http::message::{Reply, Request};
use leadsync::lead::{Lead, LookUp, Prepared};
use leadsync::secret::Secret;

/// A destination and what its API answers when all is well.
struct Case {
    destination: Arc<dyn Destination>,
    created: &'static [u8],
    remote_id: &'static str,
    /// How it says that the lead is there already, where it does.
    duplicate: Option<(u16, &'static str)>,
    /// Note and context are sent too.
    takes_notes: bool,
    check_method: Method,
}

fn destinations() -> Vec<Case> {
    let lead_desk = registry::destination(&destination(LEAD_DESK)).unwrap();
    // It finds its list's number by the check.
    let lists = reply(200, &[], br#"[{"id": 123, "name": "Website leads"}]"#);
    assert!(matches!(lead_desk.check(&[lists]), CheckStep::Passed(_)));
    let get = Method::GET;
    vec![
        Case {
            destination: registry::destination(&destination(SEVEN_TARGETS)).unwrap(),
            created: include_bytes!("../src/connectors/seven_targets/fixtures/created.json"),
            remote_id: "2345",
            duplicate: Some((409, r#"{"message":"Lead already exists"}"#)),
            takes_notes: true,
            check_method: get.clone(),
        },
        Case {
            destination: registry::destination(&destination(LEAD_CONNECTOR)).unwrap(),
            created: include_bytes!("../src/connectors/lead_connector/fixtures/upserted.json"),
            remote_id: "seD4PfOuKoVMLkEZqohJ",
            duplicate: Some((400, include_str!("../src/connectors/lead_connector/fixtures/duplicate.json"))),
            takes_notes: true,
            check_method: get.clone(),
        },
        Case {
            destination: lead_desk,
            created: br#"{"success": true, "contact_id": 88}"#,
            remote_id: "88",
            duplicate: None,
            takes_notes: true,
            check_method: Method::POST,
        },
        Case {
            destination: registry::destination(&destination(LEAD_DESK_REST)).unwrap(),
            created: br#"{"id": 456}"#,
            remote_id: "456",
            duplicate: None,
            takes_notes: true,
            check_method: get.clone(),
        },
        Case {
            destination: registry::destination(&destination(LEAD_BANK)).unwrap(),
            created: include_bytes!("../src/connectors/lead_bank/fixtures/created.json"),
            remote_id: "entity_2f6dUQk4sZ",
            duplicate: None,
            takes_notes: false,
            check_method: get,
        },
    ]
}

fn enrichers() -> Vec<(Arc<dyn Enricher>, &'static [u8])> {
    let found: &[u8] = include_bytes!("../src/connectors/live_data/fixtures/found.json");
    vec![(registry::enricher(&live_data()).unwrap(), found)]
}

const SEVEN_TARGETS: &str = r#"
kind = "seven_targets"
client_id = "client"
client_secret = "hush-hush"
user_identifier = "user-1"
assistant_email = "ashley@acme.example"
rate = "none"
[destinations.x.fields]
designation = "{{ person.title or lead.job_title }}"
"#;

const LEAD_CONNECTOR: &str = r#"
kind = "lead_connector"
location_id = "ve9EPM428h8vShlRW1KT"
token = "hush-hush"
[destinations.x.fields]
"customFields.note" = "{{ lead.note }}"
"customFields.context" = "{{ lead.context }}"
"#;

const LEAD_DESK: &str = r#"
kind = "lead_desk"
auth_key = "hush-hush"
contact_list = "Website leads"
"#;

const LEAD_DESK_REST: &str = r#"
kind = "lead_desk"
api = "rest"
base_url = "https://restapi-nor.leaddesk.com/stable"
contact_list_id = 123
client_id = "client"
client_secret = "hush-hush"
leaddesk_client_id = "7"
"#;

const LEAD_BANK: &str = r#"
kind = "lead_bank"
client_id = "client"
client_secret = "hush-hush"
entities = true
"#;

/// A destination as a configuration file has it.
fn destination(table: &str) -> DestinationSettings {
    let text = format!("[destinations.x]\n{}", table.trim_start());
    let mut settings = config::parse("leadsync.toml", &text, Environment::default()).unwrap();
    settings.destinations.remove("x").unwrap()
}

fn live_data() -> EnrichSettings {
    EnrichSettings {
        kind: EnrichKind::LiveData(LiveDataSettings {
            identity_url: "https://gotlivedata.io/api/identity/v1".parse().unwrap(),
            people_url: "https://gotlivedata.io/api/people/v1/".parse().unwrap(),
            organization: Some("o_123abc".into()),
            client_id: Some("client".into()),
            client_secret: Some(Secret::new("hush-hush")),
            api_key: None,
            username: None,
            password: None,
            match_on: vec!["email_address".into(), "name".into()],
            batch_size: 100,
            rate: None,
            concurrency: 0,
            timeout: Duration::from_secs(30),
        }),
        cache: Duration::from_secs(86_400),
        prefer: Prefer::Source,
        when_unavailable: WhenUnavailable::Wait,
        job_changed: JobChanged::Send,
        daily_credits: None,
    }
}

fn prepared(lead: Lead) -> Prepared {
    Prepared { lead, looked_up: LookUp::NotFound, notes: Vec::new() }
}

/// A lead with what every destination needs and nothing more.
fn bare() -> Lead {
    Lead {
        email: "ann@acme.example".into(),
        first_name: Some("Ann".into()),
        last_name: Some("Bee".into()),
        phone: Some("+14155550101".into()),
        custom_fields: BTreeMap::from([("tax_id".into(), "123456789".into())]),
        ..Lead::default()
    }
}

/// Scripts, emoji, quotes, line breaks and control characters in every field.
fn unicode() -> Lead {
    let text = |text: &str| Some(text.to_owned());
    Lead {
        email: "zoë@xn--mller-kva.example".into(),
        first_name: text("Zoë 美咲 \u{1f469}\u{200d}\u{1f4bb}"),
        last_name: text("O'Néill \"von\" Łódź"),
        phone: text("+14155550100"),
        company: text("Müller & Söhne <GmbH>"),
        job_title: text("الرئيس"),
        linkedin: text("zoë"),
        source: text("Messe Köln"),
        context: text("line one\nline two\t{{ not a template }}"),
        note: text("null \u{7} \\ / %00"),
        custom_fields: BTreeMap::from([
            ("größe".into(), "10\u{a0}000 €".into()),
            ("tax_id".into(), "123-45-6789".into()),
        ]),
        external_id: text("x/1"),
    }
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Reply { status: StatusCode::from_u16(status).unwrap(), headers: map, body: Bytes::copy_from_slice(body) }
}

/// The body, JSON or a form.
fn body_of(request: &Request) -> serde_json::Value {
    if request.headers["content-type"] == "application/x-www-form-urlencoded" {
        let pairs = url::form_urlencoded::parse(&request.body).into_owned();
        return pairs.map(|(name, value)| (name, serde_json::Value::String(value))).collect();
    }
    assert_eq!(request.headers["content-type"], "application/json");
    serde_json::from_slice(&request.body).unwrap()
}

fn holds_null(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Array(items) => items.iter().any(holds_null),
        serde_json::Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

/// Every text in the body, wherever it stands.
fn texts(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(items) => items.iter().flat_map(texts).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// What a reply means in the end: the destination's own word, or what its status says.
fn judge(destination: &dyn Destination, asked: Asked, reply: Reply) -> Verdict {
    destination.read(asked, &prepared(bare()), &reply).unwrap_or_else(|| classify(asked, &Ok(reply)))
}

#[test]
fn unicode_arrives_unchanged() {
    for Case { destination, takes_notes, .. } in destinations() {
        let lead = unicode();
        let body = body_of(&destination.create(&prepared(lead.clone())).unwrap());
        let sent = texts(&body);
        let notes = [&lead.context, &lead.note].into_iter().filter(|_| takes_notes);
        for text in [Some(&lead.email), lead.first_name.as_ref()].into_iter().chain(notes.map(Option::as_ref)) {
            // Some fields hold several of ours.
            assert!(sent.iter().any(|sent| sent.contains(text.unwrap())), "{}: {body}", destination.kind());
        }
    }
    for (enricher, _) in enrichers() {
        let body = body_of(&enricher.lookup(&[&unicode()]));
        assert!(texts(&body).contains(&unicode().email.as_str()), "{}: {body}", enricher.kind());
    }
}

#[test]
fn empty_optionals_are_left_out() {
    for Case { destination, .. } in destinations() {
        let body = body_of(&destination.create(&prepared(bare())).unwrap());
        assert!(!holds_null(&body), "{}: {body}", destination.kind());
        assert!(texts(&body).iter().all(|text| !text.is_empty()), "{}: {body}", destination.kind());
    }
}

#[test]
fn what_is_sent_depends_on_the_lead_alone() {
    for Case { destination, .. } in destinations() {
        let one = destination.create(&prepared(unicode())).unwrap();
        let again = destination.create(&prepared(unicode())).unwrap();
        assert_eq!(one.body, again.body, "{}", destination.kind());
    }
}

#[test]
fn lead_without_anything_is_unsendable_and_is_not_looked_for() {
    for Case { destination, .. } in destinations() {
        let nothing = prepared(Lead::default());
        assert!(destination.create(&nothing).is_err());
        assert!(destination.identity(&nothing.lead).is_err());
        assert!(destination.find(&nothing).is_none());
    }
    for (enricher, _) in enrichers() {
        assert_eq!(enricher.key(&Lead::default()), None);
    }
}

#[test]
fn nothing_personal_or_secret_shows_in_debug() {
    for Case { destination, .. } in destinations() {
        let requests =
            [destination.create(&prepared(unicode())).unwrap(), destination.find(&prepared(unicode())).unwrap()];
        for request in requests {
            let shown = format!("{request:?}");
            assert!(!shown.contains('@') && !shown.contains("Zoë") && !shown.contains("user-1"), "{shown}");
        }
    }
    for table in [SEVEN_TARGETS, LEAD_CONNECTOR, LEAD_DESK, LEAD_DESK_REST, LEAD_BANK] {
        assert!(!format!("{:?}", destination(table)).contains("hush-hush"));
        assert!(!format!("{:?}", registry::account(&destination(table)).unwrap()).contains("hush-hush"));
    }
}

#[test]
fn creation_is_accepted_with_its_number_and_a_duplicate_too() {
    for Case { destination, created, remote_id, duplicate, .. } in destinations() {
        let verdict = judge(&*destination, Asked::Create, reply(201, &[], created));
        let Verdict::Accepted { remote_id: id, already: false, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(id.as_deref(), Some(remote_id));
        let Some((status, body)) = duplicate else { continue };
        let verdict = judge(&*destination, Asked::Create, reply(status, &[], body.as_bytes()));
        assert!(matches!(verdict, Verdict::Accepted { already: true, .. }), "{verdict:?}");
    }
}

#[test]
fn expired_token_is_no_verdict_on_the_lead() {
    for Case { destination, .. } in destinations() {
        for asked in [Asked::Create, Asked::Find] {
            let verdict = judge(&*destination, asked, reply(401, &[], br#"{"message":"lead already exists"}"#));
            assert!(matches!(verdict, Verdict::AuthExpired), "{verdict:?}");
        }
    }
    for (enricher, found) in enrichers() {
        assert_eq!(enricher.read(1, &reply(401, &[], found)), LookUpVerdict::AuthExpired);
    }
}

#[test]
fn refused_account_costs_no_lead() {
    for Case { destination, .. } in destinations() {
        for asked in [Asked::Create, Asked::Find] {
            let verdict = judge(&*destination, asked, reply(403, &[], b"<html>forbidden</html>"));
            assert!(matches!(verdict, Verdict::AccountWrong { .. }), "{verdict:?}");
        }
    }
    for (enricher, _) in enrichers() {
        assert!(matches!(enricher.read(1, &reply(403, &[], b"{}")), LookUpVerdict::AccountWrong { .. }));
    }
}

#[test]
fn refusal_of_one_lead_is_final_for_it_and_says_nothing_when_probing() {
    for Case { destination, .. } in destinations() {
        let refused = reply(422, &[], r#"{"message":"phone is not valid"}"#.as_bytes());
        let verdict = judge(&*destination, Asked::Create, refused.clone());
        // Where such a refusal may have created the lead, a look at once decides.
        let is_final = matches!(verdict, Verdict::Refused { .. } | Verdict::RefusedUnlessThere { .. });
        assert!(is_final, "{verdict:?}");
        let verdict = judge(&*destination, Asked::Find, refused);
        assert!(matches!(verdict, Verdict::Unknown { .. }), "a refused probe proves nothing: {verdict:?}");
    }
    for (enricher, _) in enrichers() {
        assert!(matches!(enricher.read(9, &reply(422, &[], b"{}")), LookUpVerdict::BadRequest { .. }));
    }
}

#[test]
fn too_many_requests_waits_as_long_as_the_server_says() {
    let date = [("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")];
    for (headers, seconds) in [(&[][..], None), (&[("retry-after", "30")], Some(30)), (&date, Some(30))] {
        let limited = reply(429, headers, b"slow down");
        for Case { destination, .. } in destinations() {
            let verdict = judge(&*destination, Asked::Create, limited.clone());
            let Verdict::NotNow { wait, .. } = verdict else { panic!("{verdict:?}") };
            assert_eq!(wait, seconds.map(Duration::from_secs));
        }
        for (enricher, _) in enrichers() {
            let LookUpVerdict::NotNow { wait, .. } = enricher.read(1, &limited) else { panic!("{headers:?}") };
            assert_eq!(wait, seconds.map(Duration::from_secs));
        }
    }
}

#[test]
fn success_that_is_none_is_never_taken_for_one() {
    for Case { destination, created, .. } in destinations() {
        let truncated = &created[..created.len() / 2];
        let bodies: [&[u8]; 5] = [
            br#"{"error":"internal"}"#,
            truncated,
            b"<html><body>Welcome to the Wi-Fi</body></html>",
            b"",
            b"\xff\xfe",
        ];
        for body in bodies {
            for asked in [Asked::Create, Asked::Find] {
                let verdict = judge(&*destination, asked, reply(200, &[("content-type", "application/json")], body));
                assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
            }
        }
    }
    for (enricher, found) in enrichers() {
        let bodies: [&[u8]; 5] =
            [br#"{"error":"internal"}"#, &found[..found.len() / 2], b"<html>Welcome</html>", b"", b"\xff\xfe"];
        for body in bodies {
            assert!(matches!(enricher.read(1, &reply(200, &[], body)), LookUpVerdict::Again { .. }));
        }
    }
}

#[test]
fn broken_server_leaves_the_outcome_open() {
    for status in [500, 502, 503, 504] {
        let broken = reply(status, &[("content-type", "text/html")], b"<html>lead not found, already exists</html>");
        for Case { destination, .. } in destinations() {
            for asked in [Asked::Create, Asked::Find] {
                let verdict = judge(&*destination, asked, broken.clone());
                assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
            }
        }
        for (enricher, _) in enrichers() {
            assert!(matches!(enricher.read(1, &broken), LookUpVerdict::Again { .. }), "{status}");
        }
    }
}

#[test]
fn verdicts_never_repeat_what_the_server_echoes_of_a_person() {
    let body = r#"{"message":"zoe@acme.example +14155550100 is wrong","error":"zoe@acme.example"}"#.as_bytes();
    for status in [200, 201, 302, 400, 402, 403, 404, 405, 409, 422, 429, 500, 503] {
        for Case { destination, .. } in destinations() {
            for asked in [Asked::Create, Asked::Find] {
                let shown = format!("{:?}", judge(&*destination, asked, reply(status, &[], body)));
                assert!(!shown.contains('@') && !shown.contains("4155550100"), "{status} {shown}");
            }
        }
        for (enricher, _) in enrichers() {
            let shown = format!("{:?}", enricher.read(2, &reply(status, &[], body)));
            assert!(!shown.contains('@') && !shown.contains("4155550100"), "{status} {shown}");
        }
    }
}

#[test]
fn redirects_and_client_errors_are_never_a_creation() {
    for Case { destination, created, .. } in destinations() {
        for status in [301, 302, 303, 307, 308, 400, 404, 405, 410, 422] {
            let verdict = judge(&*destination, Asked::Create, reply(status, &[], created));
            assert!(!matches!(verdict, Verdict::Accepted { .. }), "{status} {verdict:?}");
        }
    }
}

#[test]
fn account_check_begins_without_side_effect_and_leaves_bad_moments_to_the_status() {
    for Case { destination, check_method, .. } in destinations() {
        match destination.check(&[]) {
            CheckStep::Ask(request) => assert_eq!(request.method, check_method),
            CheckStep::Passed(_) => continue,
            other => panic!("{other:?}"),
        }
        for status in [401, 429, 500, 503] {
            assert!(matches!(destination.check(&[reply(status, &[], b"")]), CheckStep::Unreadable), "{status}");
        }
        for status in [403, 404] {
            assert!(matches!(destination.check(&[reply(status, &[], b"")]), CheckStep::Failed { .. }), "{status}");
        }
    }
}

#[test]
fn limits_always_let_something_through() {
    for Case { destination, .. } in destinations() {
        assert!(destination.limits().concurrency >= 1);
    }
    for (enricher, _) in enrichers() {
        assert!(enricher.limits().concurrency >= 1 && enricher.batch_size() >= 1);
    }
}

#[test]
fn missing_settings_are_named_by_their_whole_key() {
    let missing = |table: &str| registry::missing(&destination(table));
    let named = |key: &str| MissingSetting { key: key.into(), alternative: None };
    assert_eq!(missing(SEVEN_TARGETS), []);
    let bare = "kind = \"seven_targets\"\nclient_id = \"  \"\nassistant_id = 61\n";
    assert_eq!(missing(bare), [named("destinations.x.client_id"), named("destinations.x.client_secret")]);
    assert!(registry::destination(&destination(bare)).is_ok(), "requests can be built without a secret");

    let no_organization = {
        let mut settings = live_data();
        let EnrichKind::LiveData(inner) = &mut settings.kind;
        inner.organization = None;
        settings
    };
    assert_eq!(registry::enricher(&no_organization).err(), Some(named("enrich.organization").into()));
}
