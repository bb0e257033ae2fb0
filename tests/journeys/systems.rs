//! Every system that leads can be sent to, from a configuration alone: each way of logging in, one lead there for each row,
//! and what is wrong with an account found before any lead has lost an attempt by it.

use std::time::{SystemTime, UNIX_EPOCH};

use leadsync::sandbox::SandboxOptions;

use crate::bench::{Bench, FIRST_NAME, LAST_NAME, email};
use crate::support::database::Kind;

journeys![
    a_location_gets_its_contacts_by_each_login,
    a_contact_list_gets_its_contacts_by_each_api_and_login,
    a_bank_gets_its_entities,
    any_other_api_gets_its_leads_by_each_login,
    what_is_wrong_with_an_account_is_told_and_costs_no_attempt,
    a_key_that_is_refused_in_mid_run_is_the_reason,
    a_token_without_the_scope_to_write_costs_no_attempt,
    a_bank_without_the_scope_for_events_gets_its_entities,
    a_location_that_sleeps_keeps_its_login,
    the_days_calls_used_up_are_waited_for,
    the_days_creates_hold_for_every_system,
];

/// A change of the configuration.
pub type Setting = (&'static str, &'static str);

/// How a destination is configured otherwise than the sandbox proposes.
#[derive(Clone, Copy)]
pub struct Way {
    pub destination: &'static str,
    /// Keys of its table; an empty value takes one out.
    pub settings: &'static [Setting],
}

pub const LOCATION_APP: Way = Way { destination: "crm", settings: &[] };
const LOCATION_TOKEN: Way = Way {
    destination: "crm",
    settings: &[("client_id", ""), ("client_secret", ""), ("refresh_token", ""), ("token", "pit-sandbox")],
};
pub const AGENCY: Way = Way {
    destination: "crm",
    settings: &[("company_id", "sandbox_company"), ("refresh_token", "sandbox-agency-refresh")],
};
const DATED: Way = Way { destination: "crm", settings: &[("api_version", "2021-07-28"), ("path_prefix", "")] };
pub const ORIGINAL: Way = Way { destination: "calls", settings: &[] };
pub const REST: Way = Way {
    destination: "calls",
    settings: &[
        ("api", "rest"),
        ("base_url", "{rest}"),
        ("auth_key", ""),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("leaddesk_client_id", "4711"),
    ],
};
pub const REST_BY_PASSWORD: Way = Way {
    destination: "calls",
    settings: &[
        ("api", "rest"),
        ("base_url", "{rest}"),
        ("auth_key", ""),
        ("grant_type", "password"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("username", "sandbox-user"),
        ("password", "sandbox-password"),
        ("token_encoding", "json"),
    ],
};
pub const BANK: Way = Way { destination: "bank", settings: &[] };
const HEADER_KEY: Way = Way { destination: "plain", settings: &[] };
pub const CLIENT_CREDENTIALS: Way = Way {
    destination: "plain",
    settings: &[
        ("auth.style", "client_credentials"),
        ("auth.key", ""),
        ("auth.header", ""),
        ("auth.token_url", "{plain}/oauth/token"),
        ("auth.client_id", "sandbox-client"),
        ("auth.client_secret", "sandbox-secret"),
        ("auth.scope", "contacts"),
    ],
};
const PASSWORD: Way = Way {
    destination: "plain",
    settings: &[
        ("auth.style", "password"),
        ("auth.key", ""),
        ("auth.header", ""),
        ("auth.token_url", "{plain}/oauth/token"),
        ("auth.username", "sandbox-user"),
        ("auth.password", "sandbox-password"),
        ("auth.encoding", "json"),
    ],
};
pub const REFRESH_CHAIN: Way = Way {
    destination: "plain",
    settings: &[
        ("auth.style", "refresh_token"),
        ("auth.key", ""),
        ("auth.header", ""),
        ("auth.token_url", "{plain}/oauth/token"),
        ("auth.client_id", "sandbox-client"),
        ("auth.client_secret", "sandbox-secret"),
        ("auth.refresh_token", "sandbox-refresh"),
        ("auth.client", "body"),
    ],
};

impl Way {
    /// A bench that sends this way only.
    pub async fn bench(self, kind: Kind, differ: impl FnOnce(&mut SandboxOptions)) -> Bench {
        let bench = Bench::with(kind, differ).await;
        bench.instead(self.destination);
        for (key, value) in self.settings {
            let key = format!("destinations.{}.{key}", self.destination);
            let value = value.replace("{rest}", &bench.sandbox.lead_desk_rest_url());
            match value.replace("{plain}", &bench.sandbox.plain_crm_url()).as_str() {
                "" if !bench.has(&key) => {}
                "" => bench.remove(&key),
                value => bench.set(&key, value),
            }
        }
        bench
    }
}

/// Leads with all that any of the systems can't do without.
pub fn rows(numbers: impl IntoIterator<Item = usize>) -> String {
    let rows = numbers.into_iter().map(|n| {
        let (email, phone, tax) = (email(n), 5_550_100 + n, 45_678_901 + n);
        format!("{email},{FIRST_NAME},{LAST_NAME}{n},+1303{phone},0{tax}\n")
    });
    "email,first_name,last_name,phone,custom.tax_id\n".to_owned() + &rows.collect::<String>()
}

/// Imported, each is there once; imported once more, nothing is created.
async fn imports_once(kind: Kind, ways: &[Way]) {
    for way in ways {
        let bench = way.bench(kind, |_| {}).await;
        bench.import(&rows(1..=5)).await.ends(0);
        bench.has_exactly(1..=5);
        bench.agrees_by_sql();
        bench.import(&rows(1..=5)).await.ends(0);
        bench.has_exactly(1..=5);
        let states = "SELECT destination, state, count(*) FROM leads GROUP BY destination, state ORDER BY state";
        let name = way.destination;
        assert_eq!(bench.database.sql(states), format!("{name}|delivered|5\n{name}|skipped|5"));
        let totals = bench.sandbox.totals();
        assert_eq!((totals.created, totals.updated, totals.replayed), (5, 0, 0), "{totals:?}");
        assert_eq!(totals.refresh_replays(), 0);
        assert_eq!(bench.number("SELECT sum(attempts) + sum(deferrals) FROM leads"), 0);
        bench.nothing_is_leased();
    }
}

async fn a_location_gets_its_contacts_by_each_login(kind: Kind) {
    imports_once(kind, &[LOCATION_TOKEN, LOCATION_APP, AGENCY, DATED]).await;
}

async fn a_contact_list_gets_its_contacts_by_each_api_and_login(kind: Kind) {
    imports_once(kind, &[ORIGINAL, REST, REST_BY_PASSWORD]).await;
}

async fn a_bank_gets_its_entities(kind: Kind) {
    imports_once(kind, &[BANK]).await;
    let bench = BANK.bench(kind, |_| {}).await;
    bench.remove("destinations.bank.entities");
    bench.import(&rows(1..=2)).await.ends(2).says("entities");
    untouched(&bench, 2);
}

async fn any_other_api_gets_its_leads_by_each_login(kind: Kind) {
    imports_once(kind, &[HEADER_KEY, CLIENT_CREDENTIALS, PASSWORD, REFRESH_CHAIN]).await;
}

/// No lead was sent, and none has lost an attempt.
pub fn untouched(bench: &Bench, leads: usize) {
    let so = "SELECT count(*) FROM leads WHERE state IN ('received', 'ready') AND attempts = 0";
    assert_eq!((bench.number(so), bench.number("SELECT count(*) FROM leads")), (leads as i64, leads as i64));
    bench.nothing_is_leased();
    assert!(bench.leads().is_empty());
}

async fn what_is_wrong_with_an_account_is_told_and_costs_no_attempt(kind: Kind) {
    let mistakes: [(Way, Setting, &str); 11] = [
        (LOCATION_TOKEN, ("token", "sandbox-wrong-secret"), "`token`"),
        (LOCATION_TOKEN, ("location_id", "sandbox_location_07"), "location_id"),
        (LOCATION_APP, ("client_secret", "sandbox-wrong-secret"), "client_secret"),
        (LOCATION_APP, ("refresh_token", "sandbox-wrong-secret"), "log in"),
        (AGENCY, ("location_id", "sandbox_nowhere"), "location_id"),
        (ORIGINAL, ("auth_key", "sandbox-wrong-secret-of-32-chars"), "auth_key"),
        (ORIGINAL, ("contact_list", "No such list"), "contact_list"),
        (REST, ("client_secret", "sandbox-wrong-secret"), "client_secret"),
        (BANK, ("client_secret", "sandbox-wrong-secret"), "client_secret"),
        (HEADER_KEY, ("auth.key", "sandbox-wrong-secret"), "auth.key"),
        (PASSWORD, ("auth.password", "sandbox-wrong-secret"), "auth.password"),
    ];
    for (way, (key, wrong), told) in mistakes {
        let bench = way.bench(kind, |_| {}).await;
        let key = format!("destinations.{}.{key}", way.destination);
        bench.set(&key, wrong);
        let said = bench.import(&rows(1..=3)).await.ends(2).says(told);
        let remedies = said.err.lines().filter(|line| line.trim_start().starts_with('→')).count();
        assert_eq!(remedies, 1, "one clear line:\n{}", said.err);
        untouched(&bench, 3);
    }
}

async fn a_key_that_is_refused_in_mid_run_is_the_reason(kind: Kind) {
    let bench = HEADER_KEY.bench(kind, |_| {}).await;
    bench.set("destinations.plain.concurrency", 1);
    bench.faults("plain_create:401=100%");
    bench.import(&rows(1..=3)).await.ends(2).says("refused (401)");
    untouched(&bench, 3);
    let reasons = bench.results().await.iter().map(|lead| lead["reason"].to_string()).collect::<String>();
    assert!(reasons.contains("put off: the API key of `plain` was refused (401)"), "{reasons}");
    assert!(!reasons.contains("expired"), "{reasons}");
}

async fn a_bank_without_the_scope_for_events_gets_its_entities(kind: Kind) {
    let bench = BANK.bench(kind, |_| {}).await;
    bench.set("destinations.bank.scope", "entity/read_write");
    bench.import(&rows(1..=3)).await.ends(0);
    bench.has_exactly(1..=3);
    assert_eq!(bench.asked("bank_events"), 0);
}

async fn a_token_without_the_scope_to_write_costs_no_attempt(kind: Kind) {
    let scope = |options: &mut SandboxOptions| options.lead_connector.scope = "contacts.readonly".to_owned();
    let bench = LOCATION_APP.bench(kind, scope).await;
    bench.import(&rows(1..=3)).await.ends(2).says("contacts.write");
    untouched(&bench, 3);

    let bench = BANK.bench(kind, |_| {}).await;
    bench.set("destinations.bank.scope", "event/read");
    bench.import(&rows(1..=3)).await.ends(2).says("scope");
    untouched(&bench, 3);

    let bench = CLIENT_CREDENTIALS.bench(kind, |_| {}).await;
    bench.set("destinations.plain.auth.scope", "everything");
    bench.import(&rows(1..=3)).await.ends(2).says("scope");
    untouched(&bench, 3);
}

async fn a_location_that_sleeps_keeps_its_login(kind: Kind) {
    for way in [LOCATION_APP, AGENCY] {
        let bench = way.bench(kind, |_| {}).await;
        assert!(bench.sandbox.set_switch("location_active", false));
        bench.import(&rows(1..=3)).await.ends(2).says("not active");
        untouched(&bench, 3);
        assert!(bench.sandbox.set_switch("location_active", true));
        bench.run().await.ends(0);
        bench.has_exactly(1..=3);
        assert_eq!(bench.sandbox.totals().refresh_replays(), 0);
    }
    for also_for_tokens in [false, true] {
        let bench = BANK.bench(kind, |options| options.lead_bank.token_needs_source_ip = also_for_tokens).await;
        assert!(bench.sandbox.set_switch("source_ip_allowed", false));
        bench.import(&rows(1..=3)).await.ends(2).says("allowlist");
        untouched(&bench, 3);
        assert!(bench.sandbox.set_switch("source_ip_allowed", true));
        bench.run().await.ends(0);
        bench.has_exactly(1..=3);
    }
}

async fn the_days_calls_used_up_are_waited_for(kind: Kind) {
    // The check takes one.
    let bench = LOCATION_APP.bench(kind, |options| options.lead_connector.daily = Some(4)).await;
    bench.set("destinations.crm.concurrency", 1);
    bench.import(&rows(1..=6)).await.ends(0).says("the day's calls are used up");
    let asked = bench.sandbox.totals().requests;
    bench.run().await.ends(0).says("the day's calls are used up");
    assert_eq!(bench.sandbox.totals().requests, asked, "nobody knocks before the day is over");
    assert_eq!(bench.leads().len(), 3);
    bench.agrees_by_sql();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    assert_eq!(bench.sandbox.totals().violations(), 0);
    bench.nothing_is_leased();

    // Used up between a contact and its tags: those are for tomorrow, and the rest too, also if we are told by a 429.
    let bench = LOCATION_APP.bench(kind, |options| options.lead_connector.daily = Some(4)).await;
    bench.set("destinations.crm.concurrency", 1);
    bench.set("destinations.crm.tags", toml::value::Array::from(["leadsync".into()]));
    bench.import(&rows(1..=3)).await.ends(0).says("the day's calls are used up");
    assert_eq!(bench.sandbox.totals().requests, 5, "a token, the check, two contacts, one tag, and nothing after that");
    assert_eq!(bench.leads().len(), 2);
    let waits = "SELECT count(*) FROM leads WHERE state = 'sending' AND remote_id IS NOT NULL AND not_before_ms > ";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(bench.number(&format!("{waits}{now}")), 1);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    bench.nothing_is_leased();
    bench.database.sql("DELETE FROM pauses");
    bench.run().await.ends(0).says("the day's calls are used up");
    assert_eq!(bench.sandbox.totals().requests, 6, "told by a 429 as well");
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'ready'"), 1);
    bench.nothing_is_leased();
}

async fn the_days_creates_hold_for_every_system(kind: Kind) {
    for way in [LOCATION_APP, ORIGINAL, BANK, HEADER_KEY] {
        let bench = way.bench(kind, |_| {}).await;
        bench.set(&format!("destinations.{}.daily_limit", way.destination), 2);
        bench.import(&rows(1..=4)).await.ends(0).says("daily limit of 2 creates used up");
        assert_eq!(bench.leads().len(), 2);
        bench.agrees_by_sql();
        assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
        bench.nothing_is_leased();
    }
}
