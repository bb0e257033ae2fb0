//! The token requests that Lead (a JSON body) and LeadDesk (JSON or a form, the client always in the body) want of us, read
//! by a service that is not ours.

use serde_json::{Value, json};

use crate::bench::{Bench, FIRST_NAME, LAST_NAME, email};
use crate::issuer::{CLIENT, Issuer, SECRET, SEED, quiet};
use crate::support::database::Kind;

journeys![
    a_program_of_the_bank_asks_in_json,
    an_app_of_the_desk_asks_with_a_password_and_goes_on_with_a_chain,
    an_app_of_the_desk_goes_on_with_a_chain_of_its_own,
];

async fn configured(kind: Kind, settings: Value) -> Bench {
    let bench = Bench::new(kind).await;
    bench.set("run.lease", "12s");
    bench.set("destinations.there.timeout", "5s");
    bench.set("destinations.there.client_id", CLIENT);
    bench.set("destinations.there.client_secret", SECRET);
    for (key, value) in settings.as_object().unwrap() {
        bench.set(&format!("destinations.there.{key}"), toml::Value::try_from(value).unwrap());
    }
    bench
}

async fn import(bench: &Bench, number: usize) {
    // A number that was never anybody's.
    let row = format!("{},{FIRST_NAME},{LAST_NAME},+1 303 555 01{number:02},078-05-11{number:02}", email(number));
    bench.file("leads.csv", format!("email,first_name,last_name,phone,custom.tax_id\n{row}\n"));
    let said = bench.leadsync(&["import", "--destination", "there", "leads.csv"]).await;
    let said = quiet(said).ends(0);
    assert!(!said.err.contains("078-05"), "{said:?}");
}

/// What each token request was: grant, place of the client, encoding, and the names of its fields.
async fn asked(issuer: &Issuer) -> Vec<String> {
    let tokens = issuer.tokens().await;
    let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    let told = tokens.iter().map(|it| {
        assert_eq!((it["status"].as_u64(), it["client"].as_str()), (Some(200), Some(CLIENT)), "{it}");
        let fields: Vec<&str> = it["fields"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        format!("{} {} {}: {}", text(it, "grant"), text(it, "place"), text(it, "encoding"), fields.join(" "))
    });
    told.collect()
}

async fn a_program_of_the_bank_asks_in_json(kind: Kind) {
    let Some(issuer) = Issuer::start(json!({"token_path": "/v1/oauth/token", "routes": [
        {"method": "GET", "path": "/v1/event", "status": 200, "body": {"objects": [], "has_more": false}},
        {"method": "POST", "path": "/v0/entities", "status": 200, "body": {"id": "entity_{n}"}},
    ]}))
    .await
    else {
        return;
    };
    let base_url = issuer.wire.url("");
    let bench = configured(kind, json!({"kind": "lead_bank", "base_url": base_url, "entities": true})).await;
    for number in 1..=2 {
        import(&bench, number).await;
    }
    assert_eq!(asked(&issuer).await, ["client_credentials body json: client_id client_secret grant_type scope"]);
    let tokens = issuer.tokens().await;
    assert_eq!(tokens[0]["scope"], "entity/read_write event/read");
    assert_eq!(issuer.wire.passed_to("/v0/entities").len(), 2);
}

/// An issuer with LeadDesk's REST API behind it.
async fn desk() -> Option<Issuer> {
    let none = json!({"_meta": {"count": 0}, "collection": []});
    Issuer::start(json!({"token_path": "/oauth/access-token", "routes": [
        {"method": "GET", "path": "/campaigns", "status": 200, "body": none},
        {"method": "GET", "path": "/contacts", "status": 200, "body": none},
        {"method": "POST", "path": "/contacts", "status": 201, "body": {"id": "contact-{n}"}},
    ]}))
    .await
}

async fn an_app_of_the_desk_asks_with_a_password_and_goes_on_with_a_chain(kind: Kind) {
    for encoding in ["form", "json"] {
        let Some(issuer) = desk().await else { return };
        let bench = configured(
            kind,
            json!({
                "kind": "lead_desk", "api": "rest", "base_url": issuer.wire.url(""), "contact_list_id": 7,
                "grant_type": "password", "username": "leadsync-user", "password": " begins with a blank",
                "token_encoding": encoding,
            }),
        )
        .await;
        import(&bench, 1).await;
        // The API refuses the token before its time.
        issuer.revoke_access().await;
        import(&bench, 2).await;
        let client = "client_id client_secret grant_type";
        assert_eq!(
            asked(&issuer).await,
            [
                format!("password body {encoding}: {client} password username"),
                format!("refresh_token body {encoding}: {client} refresh_token"),
            ]
        );
        assert_eq!(issuer.replays().await, (0, 0));
        let created = issuer.wire.passed_to("/contacts").into_iter().filter(|it| it.method == "POST");
        // The account check met the refusal, before a lead was sent.
        let statuses: Vec<u16> = created.filter_map(|it| Some(it.reply?.status.as_u16())).collect();
        assert_eq!(statuses, [201, 201]);
    }
}

async fn an_app_of_the_desk_goes_on_with_a_chain_of_its_own(kind: Kind) {
    let Some(issuer) = desk().await else { return };
    let bench = configured(
        kind,
        json!({
            "kind": "lead_desk", "api": "rest", "base_url": issuer.wire.url(""), "contact_list_id": 7,
            "auth": {"initiate": "refresh"}, "refresh_token": SEED,
        }),
    )
    .await;
    for number in 1..=3 {
        import(&bench, number).await;
        issuer.revoke_access().await;
    }
    let exchange = "refresh_token body form: client_id client_secret grant_type refresh_token";
    assert_eq!(asked(&issuer).await, [exchange; 3]);
    assert_eq!(issuer.replays().await, (0, 0));
}
