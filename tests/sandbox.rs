//! The sandbox as a client sees it: over HTTP, not through our connectors, so that both are not wrong in the same way.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

use leadsync::http::message::Rate;
use leadsync::sandbox::{Duplicate, EffectKind, RetryAfter, Running, Sandbox, SandboxOptions, SevenTargetsOptions};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

const ASSISTANT: &str = "ashley@sandbox.example";

/// A sandbox and a client with tokens for both services.
struct World {
    sandbox: Running,
    client: Client,
    seven_targets: String,
    live_data: String,
}

impl World {
    async fn with(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let client = client();
        let seven_targets = text(token(&client, &sandbox, "sandbox-secret").await, "access_token").await;
        let live_data = text(session(&client, &sandbox, "sandbox-secret").await, "accessToken").await;
        Self { sandbox, client, seven_targets, live_data }
    }

    async fn with_faults(faults: &str) -> Self {
        Self::with(SandboxOptions { faults: faults.parse().unwrap(), ..SandboxOptions::default() }).await
    }

    fn leads(&self, method: Method, body: &Value) -> RequestBuilder {
        self.api(method, "/leads").header("content-type", "application/json").body(body.to_string())
    }

    fn api(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.sandbox.base_url()));
        request.bearer_auth(&self.seven_targets).header("7ts-user-identifier", "sandbox-user-identifier")
    }

    async fn create(&self, email: &str) -> reqwest::Result<Response> {
        self.leads(Method::POST, &lead(email)).send().await
    }

    fn find(&self, body: &Value) -> RequestBuilder {
        let url = format!("{}/o_sandbox/find", self.sandbox.people_url());
        let request = self.client.post(url).bearer_auth(&self.live_data);
        request.header("content-type", "application/json").body(body.to_string())
    }

    async fn admin(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/_sandbox{path}", self.sandbox.base_url());
        let reply = self.client.request(method, url).body(body.to_owned()).send().await.unwrap();
        (reply.status().as_u16(), json_of(reply).await)
    }

    /// How many creates of this e-mail took effect.
    fn creates(&self, email: &str) -> u64 {
        self.sandbox.ledger().lead(email).map_or(0, |lead| lead.creates)
    }
}

fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

async fn token(client: &Client, sandbox: &Running, secret: &str) -> Response {
    let form = [("grant_type", "client_credentials"), ("scope", "leads/post")];
    client.post(sandbox.token_url()).basic_auth("sandbox-client", Some(secret)).form(&form).send().await.unwrap()
}

async fn session(client: &Client, sandbox: &Running, secret: &str) -> Response {
    let body = json!({"grantType": "clientCredentials", "clientId": "sandbox-client", "clientSecret": secret});
    let url = format!("{}/session", sandbox.identity_url());
    client.post(url).header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
}

fn lead(email: &str) -> Value {
    json!({"name": "Ann", "lastName": "Bee", "email": email, "assistantEmail": ASSISTANT})
}

fn by_email<'a>(emails: impl IntoIterator<Item = &'a str>) -> Value {
    let entry = |email| json!({"fields": [{"field_name": "email_address", "search_term": email}]});
    json!({"matches": emails.into_iter().map(entry).collect::<Vec<_>>(), "size": 1})
}

async fn json_of(reply: Response) -> Value {
    serde_json::from_str(&reply.text().await.unwrap()).unwrap()
}

async fn text(reply: Response, field: &str) -> String {
    json_of(reply).await[field].as_str().unwrap().to_owned()
}

fn header<'a>(reply: &'a Response, name: &str) -> Option<&'a str> {
    reply.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Waits for something that a running sandbox is about to do.
async fn until(happened: impl Fn() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never happened");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The I/O error at the root of a failed request.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

fn rate(count: u32, per: Duration) -> SandboxOptions {
    SandboxOptions {
        seven_targets: SevenTargetsOptions { rate: Some(Rate { count, per }), ..SevenTargetsOptions::default() },
        ..SandboxOptions::default()
    }
}

// ---- 7targets -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_create_answers_with_the_lead_and_is_in_the_ledger_as_it_was_sent() {
    let world = World::with(SandboxOptions::default()).await;
    let mut body = lead(" Ann.Bee@Example.com ");
    body["customFields"] = json!([{"name": "tier", "value": "gold"}]);
    let reply = world.leads(Method::POST, &body).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    let lead = json_of(reply).await;
    assert_eq!(lead["state"], "Cold");
    assert_eq!(lead["assistantId"], 71);
    assert_eq!(lead["customFields"], body["customFields"]);
    let kept = world.sandbox.ledger().lead("ann.bee@example.com").unwrap();
    assert_eq!((kept.creates, Some(kept.id), kept.body), (1, lead["id"].as_u64(), body));
    let next = json_of(world.create("bea@example.com").await.unwrap()).await;
    assert_eq!(next["id"].as_u64(), lead["id"].as_u64().map(|id| id + 1), "ids count up");
}

#[tokio::test]
async fn what_a_create_lacks_is_named() {
    let world = World::with(SandboxOptions::default()).await;
    let cases = [
        (json!({"email": "a@example.com", "assistantEmail": ASSISTANT}), "name is mandatory"),
        (json!({"name": " ", "email": "a@example.com", "assistantEmail": ASSISTANT}), "name is mandatory"),
        (json!({"name": "Ann", "assistantEmail": ASSISTANT}), "email is mandatory"),
        (json!({"name": "Ann", "email": "ann", "assistantEmail": ASSISTANT}), "email is not valid"),
        (json!({"name": "Ann", "email": "a@example.com"}), "assistantEmail is mandatory"),
        (json!({"name": "Ann", "email": "a@example.com", "assistantEmail": "x@example.com"}), "not an assistant"),
        (json!({"name": "Ann", "email": "a@example.com", "assistantId": 1}), "assistantId is not an assistant"),
        (json!({"name": 7, "email": "a@example.com", "assistantEmail": ASSISTANT}), "name must be a string"),
        (json!([]), "JSON object"),
    ];
    for (body, why) in cases {
        let reply = world.leads(Method::POST, &body).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{why}");
        assert!(text(reply, "message").await.contains(why), "{why}");
    }
    assert_eq!(world.sandbox.totals().created, 0);
}

#[tokio::test]
async fn a_second_create_of_an_address_changes_nothing_and_is_counted() {
    for (duplicate, status) in [(Duplicate::Conflict, 409), (Duplicate::ReturnExisting, 200)] {
        let seven_targets = SevenTargetsOptions { duplicate, ..SevenTargetsOptions::default() };
        let world = World::with(SandboxOptions { seven_targets, ..SandboxOptions::default() }).await;
        let first = json_of(world.create("ann@example.com").await.unwrap()).await;
        let again = world.create("ANN@example.com").await.unwrap();
        assert_eq!(again.status(), status);
        let again = json_of(again).await;
        match duplicate {
            Duplicate::Conflict => assert!(again["message"].as_str().unwrap().contains("already exists")),
            Duplicate::ReturnExisting => assert_eq!(again["id"], first["id"]),
        }
        let kept = world.sandbox.ledger().lead("ann@example.com").unwrap();
        assert_eq!((kept.creates, kept.repeated_creates), (1, 1));
    }
}

#[tokio::test]
async fn creates_of_one_address_at_the_same_moment_make_one_lead() {
    let world = World::with(rate(1000, Duration::from_secs(1))).await;
    let all = futures_util::future::join_all((0..30).map(|_| world.create("ann@example.com"))).await;
    let created = all.into_iter().filter(|reply| reply.as_ref().is_ok_and(|reply| reply.status() == 201)).count();
    assert_eq!((created, world.creates("ann@example.com")), (1, 1));
}

#[tokio::test]
async fn an_update_finds_by_address_and_leaves_what_it_does_not_name() {
    let world = World::with(SandboxOptions::default()).await;
    let unknown = world.leads(Method::PUT, &lead("ann@example.com")).send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    let mut first = lead("ann@example.com");
    first["phone"] = json!("+14155550100");
    let created = json_of(world.leads(Method::POST, &first).send().await.unwrap()).await;
    let mut change = lead("Ann@Example.com");
    (change["name"], change["lastName"]) = (json!("Anna"), Value::Null);
    let reply = world.leads(Method::PUT, &change).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let now = json_of(reply).await;
    assert_eq!((&now["name"], &now["lastName"], &now["phone"]), (&json!("Anna"), &json!("Bee"), &first["phone"]));
    assert_eq!(now["id"], created["id"]);

    let mut other = lead("bea@example.com");
    other["id"] = created["id"].clone();
    let reply = world.leads(Method::PUT, &other).send().await.unwrap();
    assert_eq!(reply.status(), 400, "an address can't be changed");
}

#[tokio::test]
async fn assistants_come_in_pages() {
    let world = World::with(SandboxOptions::default()).await;
    let page = async |query: &str| {
        let reply = world.api(Method::GET, &format!("/leads/assistant{query}")).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        json_of(reply).await.as_array().unwrap().clone()
    };
    let first = page("").await;
    assert_eq!(first.len(), 10);
    assert!(first.iter().all(|assistant| assistant["emailid"] != ASSISTANT), "she is on the second page");
    let second = page("?searchString=&page=1&size=10&sort=lastModifiedDate,desc").await;
    assert_eq!((second.len(), &second[0]["emailid"]), (1, &json!(ASSISTANT)));
    assert_eq!(page("?page=2").await.len(), 0);
    assert_eq!(page("?searchString=ASHLEY").await, second);
    assert_eq!(world.api(Method::GET, "/leads/assistant?size=0").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn wrong_credentials_are_refused_as_each_service_does() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let client = client();
    let reply = token(&client, &sandbox, "wrong").await;
    assert_eq!((reply.status().as_u16(), text(reply, "error").await.as_str()), (400, "invalid_client"));
    for (form, error) in [
        ([("grant_type", "password"), ("scope", "leads/post")], "unsupported_grant_type"),
        ([("grant_type", "client_credentials"), ("scope", "leads/all")], "invalid_scope"),
        ([("grant", "client_credentials"), ("scope", "leads/post")], "invalid_request"),
    ] {
        let request = client.post(sandbox.token_url()).basic_auth("sandbox-client", Some("sandbox-secret"));
        let reply = request.form(&form).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), text(reply, "error").await.as_str()), (400, error));
    }
    assert_eq!(session(&client, &sandbox, "wrong").await.status(), 401);
}

#[tokio::test]
async fn every_call_needs_a_token_of_its_service_and_the_right_user() {
    let world = World::with(SandboxOptions::default()).await;
    let url = format!("{}/leads/assistant", world.sandbox.base_url());
    let ask = |bearer: &str, user: &str| {
        world.client.get(&url).bearer_auth(bearer).header("7ts-user-identifier", user.to_owned()).send()
    };
    assert_eq!(ask("nonsense", "sandbox-user-identifier").await.unwrap().status(), 401);
    assert_eq!(ask(&world.live_data, "sandbox-user-identifier").await.unwrap().status(), 401);
    assert_eq!(ask(&world.seven_targets, "someone-else").await.unwrap().status(), 403);
    let without = world.client.get(&url).bearer_auth(&world.seven_targets).send().await.unwrap();
    assert_eq!(without.status(), 403);
    assert_eq!(ask(&world.seven_targets, "sandbox-user-identifier").await.unwrap().status(), 200);
}

#[tokio::test]
async fn tokens_expire_and_can_be_revoked() {
    let expired = World::with(SandboxOptions { token_ttl: Duration::ZERO, ..SandboxOptions::default() }).await;
    assert_eq!(expired.create("ann@example.com").await.unwrap().status(), 401);
    assert_eq!(expired.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 401);
    assert_eq!(expired.creates("ann@example.com"), 0);

    let world = World::with(SandboxOptions::default()).await;
    assert_eq!(world.create("ann@example.com").await.unwrap().status(), 201);
    assert_eq!(world.admin(Method::POST, "/revoke", "").await.0, 200);
    assert_eq!(world.create("bea@example.com").await.unwrap().status(), 401);
}

// ---- Live Data ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_session_ends_at_a_time_without_a_zone() {
    let world = World::with(SandboxOptions::default()).await;
    let body = json_of(session(&world.client, &world.sandbox, "sandbox-secret").await).await;
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["accessToken", "expiresAt"]);
    let at = body["expiresAt"].as_str().unwrap();
    assert!(!at.ends_with('Z') && !at.contains('+'), "{at}");
    let at: jiff::civil::DateTime = at.parse().unwrap();
    let left = at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().duration_since(jiff::Timestamp::now());
    assert!((3500..=3600).contains(&left.as_secs()), "{left:?}");
}

#[tokio::test]
async fn api_keys_and_passwords_open_the_people_service_too() {
    let mut world = World::with(SandboxOptions::default()).await;
    let url = format!("{}/session", world.sandbox.identity_url());
    let form = [("username", "sandbox-user"), ("password", "sandbox-password")];
    let by_form = text(world.client.post(&url).form(&form).send().await.unwrap(), "access_token").await;
    let body = json!({"grantType": "password", "email": "sandbox-user", "password": "sandbox-password"});
    let by_json = text(world.client.post(&url).body(body.to_string()).send().await.unwrap(), "accessToken").await;
    for bearer in [by_form, by_json, "ldtkey_sandbox".to_owned()] {
        world.live_data = bearer;
        assert_eq!(world.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 200);
    }
    world.live_data = "ldtkey_wrong".to_owned();
    assert_eq!(world.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_hundred_people_are_answered_in_order_and_paid_for_once() {
    let world = World::with(SandboxOptions::default()).await;
    let emails: Vec<String> = (0..100).map(|n| format!("ann.bee{n}@firm{n}.example.com")).collect();
    let asked = by_email(emails.iter().map(String::as_str));
    let reply = world.find(&asked).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let used: usize = header(&reply, "x-ldt-credits-used").unwrap().parse().unwrap();
    assert_eq!(header(&reply, "x-ldt-credits-remaining"), None, "no cap, no remainder");
    let first = json_of(reply).await;
    let matches = first["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 100);
    let found: Vec<_> = matches.iter().filter(|answer| answer["found"] == true).collect();
    assert!((55..95).contains(&found.len()), "{}", found.len());
    assert_eq!(used, found.len());
    for (n, answer) in matches.iter().enumerate() {
        let people = answer["people"].as_array().unwrap();
        assert_eq!(people.len(), usize::from(answer["found"] == true));
        for person in people {
            assert_eq!(person["first_name"], "Ann");
            let company = &person["position"]["company"]["name"];
            let moved = person["position"]["email"] != json!(emails[n]);
            assert!(moved || *company == json!(format!("Firm{n}")), "{n}: {company}");
        }
    }
    let again = world.find(&asked).send().await.unwrap();
    assert_eq!(header(&again, "x-ldt-credits-used").unwrap(), used.to_string());
    assert_eq!(json_of(again).await, first);
}

#[tokio::test]
async fn a_look_up_that_is_malformed_is_refused_whole() {
    let world = World::with(SandboxOptions::default()).await;
    let many: Vec<String> = (0..101).map(|n| format!("lead{n}@example.com")).collect();
    let field = |name: &str, term: &str| json!({"matches": [{"fields": [{"field_name": name, "search_term": term}]}]});
    let mut size = by_email(["ann@example.com"]);
    size["size"] = json!(6);
    for (body, why) in [
        (by_email(many.iter().map(String::as_str)), "1 to 100 entries"),
        (by_email([]), "1 to 100 entries"),
        (json!({}), "matches is required"),
        (field("e-mail", "ann@example.com"), "unknown field_name"),
        (field("name", "  "), "search_term of name"),
        (by_email(["ann@example.com", &"x".repeat(400)]), "matches[1]: search_term"),
        (size, "size must be 1 to 5"),
    ] {
        let reply = world.find(&body).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{why}");
        assert!(text(reply, "error").await.contains(why), "{why}");
    }
    let elsewhere = format!("{}/o_other/find", world.sandbox.people_url());
    let reply = world.client.post(elsewhere).bearer_auth(&world.live_data).body("{}").send().await.unwrap();
    assert_eq!(reply.status(), 404);
}

#[tokio::test]
async fn only_the_fields_asked_for_are_returned() {
    let mut options = SandboxOptions::default();
    options.live_data.found = 1.0;
    let world = World::with(options).await;
    let mut body = by_email(["ann.bee@example.com"]);
    body["return_fields"] = json!(["id", "position.title", "position.company.name", "no_such_field"]);
    let reply = json_of(world.find(&body).send().await.unwrap()).await;
    let person = reply["matches"][0]["people"][0].as_object().unwrap();
    assert_eq!(person.keys().collect::<Vec<_>>(), ["id", "position"]);
    assert_eq!(person["position"].as_object().unwrap().keys().collect::<Vec<_>>(), ["company", "title"]);
}

#[tokio::test]
async fn credits_end_with_402_and_nothing_more_is_charged() {
    let mut options = SandboxOptions::default();
    (options.live_data.found, options.live_data.credits) = (1.0, Some(2));
    let world = World::with(options).await;
    let two = by_email(["ann@example.com", "bea@example.com"]);
    let reply = world.find(&two).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "x-ldt-credits-remaining")), (200, Some("0")));
    let reply = world.find(&by_email(["cyd@example.com"])).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "x-ldt-credits-used")), (402, Some("2")));
    assert_eq!(world.find(&two).send().await.unwrap().status(), 200, "paid for already");
    assert_eq!(world.sandbox.totals().credits_used, 2);
}

// ---- Limits ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn above_the_limit_is_429_without_effect_and_counted() {
    let world = World::with(rate(3, Duration::from_secs(3600))).await;
    for n in 0..3 {
        assert_eq!(world.create(&format!("lead{n}@example.com")).await.unwrap().status(), 201);
    }
    let reply = world.api(Method::GET, "/leads/assistant").send().await.unwrap();
    assert_eq!(reply.status(), 429, "all calls of an account share its limit");
    let wait: u64 = header(&reply, "retry-after").unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
    assert_eq!(world.create("late@example.com").await.unwrap().status(), 429);
    let totals = world.sandbox.totals();
    assert_eq!((totals.violations(), totals.limits["seven_targets"].peak, totals.created), (2, 3, 3));
    assert_eq!(world.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 200, "another service");
}

#[tokio::test]
async fn retry_after_comes_in_each_form() {
    for (form, faults) in [(RetryAfter::Date, "create:429=100%"), (RetryAfter::Absent, "create:429=100%")] {
        let options =
            SandboxOptions { retry_after: form, faults: faults.parse().unwrap(), ..SandboxOptions::default() };
        let asked = SystemTime::now();
        let world = World::with(options).await;
        let reply = world.create("ann@example.com").await.unwrap();
        assert_eq!(reply.status(), 429);
        match (form, header(&reply, "retry-after")) {
            (RetryAfter::Absent, found) => assert_eq!(found, None),
            (_, found) => {
                let until = httpdate::parse_http_date(found.unwrap()).unwrap();
                assert!(until >= asked + Duration::from_secs(1) && until <= asked + Duration::from_secs(20));
            }
        }
    }
}

#[tokio::test]
async fn a_429_may_have_a_form_of_its_own() {
    for (fault, ends) in [("429-none", None), ("429-date", Some("GMT")), ("429-seconds", Some("1"))] {
        let world = World::with_faults(&format!("create:{fault}=100%")).await;
        let reply = world.create("a@example.com").await.unwrap();
        assert_eq!((reply.status().as_u16(), world.creates("a@example.com")), (429, 0), "{fault}");
        match (ends, header(&reply, "retry-after")) {
            (None, found) => assert_eq!(found, None),
            (Some(ends), found) => assert!(found.unwrap().ends_with(ends), "{fault}: {found:?}"),
        }
    }
}

// ---- Faults ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn error_statuses_come_before_or_after_the_effect() {
    let world = World::with_faults("create:500=a@example.com#1,create:503-after=b@example.com#1").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 500);
    assert_eq!(world.creates("a@example.com"), 0);
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 503);
    assert_eq!(world.creates("b@example.com"), 1);
    let created = world.sandbox.ledger().effects();
    assert_eq!(created[1].fault.as_deref(), Some("503-after"));
}

#[tokio::test]
async fn a_401_in_mid_run_kills_the_token_that_was_used() {
    let mut world = World::with_faults("create:401=#2").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 401);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 401, "it stays dead");
    world.seven_targets = text(token(&world.client, &world.sandbox, "sandbox-secret").await, "access_token").await;
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 201);
}

#[tokio::test]
async fn resets_are_resets_before_and_after_the_effect() {
    let world = World::with_faults("create:reset=a@example.com,create:reset-after=b@example.com").await;
    for (email, creates) in [("a@example.com", 0), ("b@example.com", 1)] {
        let error = world.create(email).await.unwrap_err();
        assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
        assert_eq!(world.creates(email), creates, "{email}");
    }
    let log = world.sandbox.requests();
    let last = log.last().unwrap();
    assert_eq!((last.status, last.fault.as_deref(), last.path.as_str()), (None, Some("reset-after"), "/leads"));
    assert_eq!(world.sandbox.totals().faults["create:reset"], 1);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_gives_up() {
    let world = World::with_faults("create:hang=a@example.com,create:hang-after=b@example.com").await;
    for (email, creates) in [("a@example.com", 0), ("b@example.com", 1)] {
        let request = tokio::spawn(world.leads(Method::POST, &lead(email)).send());
        until(|| world.sandbox.requests().last().is_some_and(|request| request.fault.is_some())).await;
        assert!(!request.is_finished(), "{email}");
        request.abort();
        assert_eq!(world.creates(email), creates, "{email}");
        assert_eq!(world.admin(Method::POST, "/reset", "").await.0, 200);
    }
}

#[tokio::test]
async fn a_hang_ends_by_itself_with_a_closed_connection() {
    let mut options = SandboxOptions { faults: "create:hang=100%".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.hang = Duration::from_millis(50);
    let world = World::with(options).await;
    let error = world.create("a@example.com").await.unwrap_err();
    assert!(!error.is_timeout() && io_kind(&error) != Some(io::ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn a_late_effect_comes_although_the_client_has_gone() {
    let mut options =
        SandboxOptions { faults: "create:late=a@example.com#1".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.hang = Duration::from_secs(1);
    let world = World::with(options).await;
    let request = tokio::spawn(world.leads(Method::POST, &lead("a@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    request.abort();
    let probe = || async { world.leads(Method::PUT, &lead("a@example.com")).send().await.unwrap().status() };
    assert_eq!(probe().await, 404, "a client that asks too soon believes it is not there");
    until(|| world.creates("a@example.com") == 1).await;
    assert_eq!(probe().await, 200);
}

#[tokio::test]
async fn a_truncated_reply_begins_well_and_ends_early() {
    let world = World::with_faults("create:truncated=100%").await;
    let reply = world.create("a@example.com").await.unwrap();
    assert_eq!(reply.status(), 201);
    let promised: usize = header(&reply, "content-length").unwrap().parse().unwrap();
    assert!(promised > 100);
    reply.bytes().await.unwrap_err();
    assert_eq!(world.creates("a@example.com"), 1);
}

#[tokio::test]
async fn a_success_that_is_no_json_had_its_effect() {
    let world = World::with_faults("create:html=a@example.com,create:empty=b@example.com,find:html=#1").await;
    let reply = world.create("a@example.com").await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "content-type")), (201, Some("text/html; charset=utf-8")));
    assert!(reply.text().await.unwrap().starts_with("<!doctype html>"));
    let reply = world.create("b@example.com").await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (201, ""));
    assert_eq!((world.creates("a@example.com"), world.creates("b@example.com")), (1, 1));
    let found = world.find(&by_email(["ann@example.com"])).send().await.unwrap();
    assert_eq!((found.status().as_u16(), header(&found, "content-type")), (200, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn a_lying_reply_is_a_success_that_denies_or_mixes_up_or_leaves_out_the_lead() {
    let world = World::with_faults(
        "create:error-body=a@example.com#1,create:error-body-after=b@example.com,create:other-lead=c@example.com#1,\
         create:other-lead-after=d@example.com,create:no-id=e@example.com,find:no-id=#1",
    )
    .await;
    for (email, creates) in [("a", 0), ("b", 1), ("c", 0), ("d", 1), ("e", 1)] {
        let email = format!("{email}@example.com");
        let reply = world.create(&email).await.unwrap();
        assert!(reply.status().is_success(), "{email}");
        let body = json_of(reply).await;
        match email.as_str() {
            "a@example.com" | "b@example.com" => assert!(body["error"].is_string() && body["id"].is_null(), "{body}"),
            "c@example.com" | "d@example.com" => assert!(body["id"].is_u64() && body["email"] != *email, "{body}"),
            _ => assert!(body["id"].is_null() && body["email"] == *email, "{body}"),
        }
        assert_eq!(world.creates(&email), creates, "{email}");
    }
    let found = world.find(&by_email(["ann@example.com"])).send().await.unwrap();
    assert_eq!(json_of(found).await, json!({}));
}

#[tokio::test]
async fn a_sandbox_that_is_down_resets_what_is_open_refuses_the_rest_and_comes_back_as_it_was() {
    let world = World::with_faults("create:hang=#2").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    let hanging = tokio::spawn(world.leads(Method::POST, &lead("b@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    world.sandbox.go_down();
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
    let error = world.create("c@example.com").await.unwrap_err();
    assert!(error.is_connect() && io_kind(&error) == Some(io::ErrorKind::ConnectionRefused), "{error:?}");
    world.sandbox.come_back();
    while let Err(error) = world.create("c@example.com").await {
        assert!(error.is_connect(), "{error:?}");
    }
    assert_eq!((world.creates("a@example.com"), world.creates("b@example.com")), (1, 0));
    assert_eq!(world.creates("c@example.com"), 1);
}

#[tokio::test]
async fn a_dripping_reply_arrives_whole_but_slowly() {
    let mut options = SandboxOptions { faults: "create:drip=100%".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.drip = Duration::from_millis(200);
    let world = World::with(options).await;
    let began = Instant::now();
    let mut reply = world.create("a@example.com").await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = reply.chunk().await.unwrap() {
        parts.push(part);
    }
    assert!(parts.len() > 1 && began.elapsed() >= Duration::from_millis(200), "{} parts", parts.len());
    let lead: Value = serde_json::from_slice(&parts.concat()).unwrap();
    assert_eq!(lead["email"], "a@example.com");
}

#[tokio::test]
async fn logins_and_whole_services_can_fail_too() {
    let sandbox = Sandbox::start(SandboxOptions {
        faults: "token:503=#1,session:500=#1,live_data:502=#2".parse().unwrap(),
        ..SandboxOptions::default()
    })
    .await
    .unwrap();
    let client = client();
    assert_eq!(token(&client, &sandbox, "sandbox-secret").await.status(), 503);
    assert_eq!(token(&client, &sandbox, "sandbox-secret").await.status(), 200);
    let statuses = [
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
    ];
    assert_eq!(statuses, [500, 502, 200]);
}

#[tokio::test]
async fn the_same_seed_hits_the_same_leads_at_any_concurrency() {
    let faults = "create:500=20%,create:503-after=20%";
    let mut runs = Vec::new();
    for (seed, at_once) in [(7, 1), (7, 50), (8, 50)] {
        let mut options = rate(10_000, Duration::from_secs(1));
        (options.seed, options.faults) = (seed, faults.parse().unwrap());
        let world = World::with(options).await;
        let mut hit: Vec<(u16, String)> = Vec::new();
        let emails: Vec<String> = (0..100).map(|n| format!("lead{n}@example.com")).collect();
        for group in emails.chunks(at_once) {
            let replies = futures_util::future::join_all(group.iter().map(|email| world.create(email))).await;
            hit.extend(
                group.iter().zip(replies).map(|(email, reply)| (reply.unwrap().status().as_u16(), email.clone())),
            );
        }
        let created: usize = emails.iter().map(|email| world.creates(email) as usize).sum();
        assert_eq!(created, hit.iter().filter(|(status, _)| *status != 500).count());
        runs.push(hit);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[1], runs[2]);
}

// ---- Ledger and control ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_ledger_file_is_written_before_the_reply_and_outlives_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let options = || SandboxOptions {
        ledger_file: Some(file.clone()),
        faults: "create:reset-after=b@example.com#1".parse().unwrap(),
        ..SandboxOptions::default()
    };
    let lines = |file: &Path| std::fs::read_to_string(file).unwrap().lines().count();

    let world = World::with(options()).await;
    world.create("a@example.com").await.unwrap();
    assert_eq!(lines(&file), 1);
    world.create("b@example.com").await.unwrap_err();
    assert_eq!(lines(&file), 2);
    let before = world.sandbox.ledger().leads();
    world.sandbox.stop().await;

    let world = World::with(options()).await;
    assert_eq!(world.sandbox.ledger().leads(), before);
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 409);
    assert_eq!(world.leads(Method::PUT, &lead("b@example.com")).send().await.unwrap().status(), 200);
    let kinds: Vec<_> = world.sandbox.ledger().effects().into_iter().map(|effect| effect.effect).collect();
    use EffectKind::{Created, Repeated, Updated};
    assert_eq!(kinds, [Created, Created, Repeated, Updated]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "people's data: owner only");
    }
}

#[tokio::test]
async fn the_sandbox_can_be_looked_into_and_changed_while_it_runs() {
    let world = World::with(SandboxOptions::default()).await;
    world.create("a@example.com").await.unwrap();

    let (status, plan) = world.admin(Method::POST, "/faults", "create:500=100%").await;
    assert_eq!((status, &plan["faults"]), (200, &json!("create:500=100%")));
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 500);
    let (status, error) = world.admin(Method::POST, "/faults", r#"{"faults": "craete:500=1%", "seed": 9}"#).await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("did you mean `create`?"));
    assert_eq!(world.admin(Method::POST, "/faults", r#"{"faults": "", "seed": 9}"#).await.1["seed"], 9);

    let (_, ledger) = world.admin(Method::GET, "/ledger", "").await;
    assert_eq!(ledger["totals"]["created"], 1);
    assert_eq!(ledger["totals"]["faults"], json!({"create:500": 1}));
    assert_eq!(ledger["leads"][0]["email"], "a@example.com");
    assert_eq!(world.admin(Method::GET, "/ledger?email=A%40example.com", "").await.1["leads"][0]["creates"], 1);
    let (_, requests) = world.admin(Method::GET, "/requests", "").await;
    let seen: Vec<_> =
        requests.as_array().unwrap().iter().map(|request| (&request["path"], &request["status"])).collect();
    assert_eq!(seen[2..], [(&json!("/leads"), &json!(201)), (&json!("/leads"), &json!(500))]);
    assert_eq!(requests[2]["account"], "sandbox-client");

    assert_eq!(world.admin(Method::POST, "/reset", "").await.0, 200);
    assert_eq!(world.admin(Method::GET, "/ledger", "").await.1["leads"], json!([]));
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201, "forgotten; the token is still good");
    assert_eq!(world.admin(Method::GET, "/nothing", "").await.0, 404);
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_huge_bodies_are_refused() {
    let options = SandboxOptions { body_limit: 1000, ..SandboxOptions::default() };
    let world = World::with(options).await;
    assert_eq!(world.api(Method::GET, "/people").send().await.unwrap().status(), 404);
    assert_eq!(world.api(Method::DELETE, "/leads").send().await.unwrap().status(), 405);
    let huge = world.api(Method::POST, "/leads").body("x".repeat(1001)).send().await.unwrap();
    assert_eq!(huge.status(), 413);
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused() {
    let options = SandboxOptions { listen: "0.0.0.0:0".parse().unwrap(), ..SandboxOptions::default() };
    let error = Sandbox::start(options).await.unwrap_err();
    assert!(error.to_string().contains("loopback only"), "{error}");
}

#[tokio::test]
async fn a_stopped_sandbox_refuses_connections() {
    let world = World::with_faults("create:hang=100%").await;
    let (url, client) = (world.sandbox.base_url(), world.client.clone());
    let hanging = tokio::spawn(world.leads(Method::POST, &lead("a@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    world.sandbox.stop().await;
    assert!(hanging.await.unwrap().is_err(), "cut after a moment of grace");
    assert!(client.get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_printed_configuration_is_toml_that_points_here() {
    let world = World::with(Sandbox::demo_options()).await;
    let config: toml::Table = world.sandbox.config_toml().parse().unwrap();
    let destination = &config["destinations"]["7targets"];
    assert_eq!(destination["api_url"].as_str(), Some(world.sandbox.base_url().as_str()));
    assert_eq!(destination["assistant_email"].as_str(), Some(ASSISTANT));
    assert_eq!(destination["rate"].as_str(), Some("20/s"));
    assert_eq!(config["enrich"]["organization"].as_str(), Some("o_sandbox"));
}
