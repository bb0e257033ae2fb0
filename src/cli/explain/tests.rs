use super::*;
use crate::cli::console::plain;
use crate::cli::fake::{FakeStore, NOW, lead};
use crate::lead::Prepared;
use crate::store::{CallId, RunId};

fn told(lead: &LeadRecord, calls: &[CallRecord]) -> String {
    plain(&render(lead, calls, NOW))
}

fn call(what: &str, status: Option<u16>, duration_ms: i64, verdict: &str) -> CallRecord {
    CallRecord {
        id: CallId(9),
        run: Some(RunId(7)),
        lead: None,
        account: if what == "lookup" { "enrich" } else { "7targets" }.into(),
        what: what.into(),
        started_at: Timestamp::from_ms(NOW.ms() - 120_000),
        duration_ms,
        status,
        verdict: verdict.into(),
    }
}

#[test]
fn a_delivered_lead_tells_origin_values_look_up_and_every_call() {
    let mut record = lead(17, LeadState::Delivered);
    record.reason = Some("found by a probe after a lost reply".into());
    record.remote_id = Some("88231".into());
    record.attempts = 1;
    record.raw.first_name = Some("Ann".into());
    record.raw.phone = Some("call me".into());
    record.lookup_call = Some(CallId(12_345));
    let person = Person { title: Some("CTO".into()), company: Some("Example Inc".into()), ..Person::default() };
    record.prepared = Some(Prepared {
        lead: Lead {
            email: "lead17@example.com".into(),
            first_name: Some("Ann".into()),
            company: Some("Example Inc".into()),
            ..Lead::default()
        },
        looked_up: LookUp::Found { person: Box::new(person) },
        notes: vec!["phone: not a number, left out".into()],
    });
    let calls = [
        call("lookup", Some(200), 340, "answers for 100 people"),
        call("create", None, 30_000, "unknown: timed out after 30 s"),
        call("find", Some(200), 110, "accepted"),
    ];
    insta::assert_snapshot!(told(&record, &calls), @r"
    lead 17  delivered  found by a probe after a lost reply
        destination  7targets
        origin       leads.csv, line 18
        first seen   2026-11-22T04:30:59Z (1 h ago)
        finished     2026-11-22T05:29:59Z (1 min ago)
        last run     7
        remote id    88231
        tries        1 failed attempt, 0 deferrals

      received → sent
        email       Lead17@Example.com → lead17@example.com
        first_name  Ann
        phone       call me → left out
        company     → Example Inc (from the look-up)

      look-up
        found
        title    CTO
        company  Example Inc

      notes
        phone: not a number, left out

      calls
        2026-11-22T05:28:59Z  enrich    lookup  200    340 ms  answers for 100 people (run 7)
        2026-11-22T05:28:59Z  7targets  create    –    30.0 s  unknown: timed out after 30 s (run 7)
        2026-11-22T05:28:59Z  7targets  find    200    110 ms  accepted (run 7)

      what happens next
        nothing: the destination has it
    ");
}

#[test]
fn a_waiting_lead_says_what_it_waits_for() {
    let mut record = lead(3, LeadState::Sending);
    record.sent_at = Some(Timestamp::from_ms(NOW.ms() - 30_000));
    record.not_before = Timestamp::from_ms(NOW.ms() + 240_000);
    record.lease_expires = Some(Timestamp::from_ms(NOW.ms() + 60_000));
    insta::assert_snapshot!(told(&record, &[]), @r"
    lead 3  sending
        destination  7targets
        origin       leads.csv, line 4
        first seen   2026-11-22T04:30:59Z (1 h ago)
        last run     7
        tries        0 failed attempts, 0 deferrals

      received
        email  Lead3@Example.com

      calls
        none

      what happens next
        a worker has it in hand; if that worker died, the lead is free again in 1 min (2026-11-22T05:31:59Z)
        nobody knows yet whether it arrived (sent 30 s ago: 2026-11-22T05:30:29Z); comes due in 4 min (2026-11-22T05:34:59Z): the first run after that finds out before anything is created

      what you can do
        leadsync run     work the queue now
        leadsync status  see what it waits for
    ");
}

#[test]
fn an_unconfirmed_lead_says_how_to_settle_it_and_a_duplicate_whose_it_is() {
    assert!(told(&lead(5, LeadState::Unconfirmed), &[]).contains("leadsync resolve 5 --absent"));
    let mut twin = lead(6, LeadState::Skipped);
    twin.duplicate_of = Some(LeadId(5));
    assert!(told(&twin, &[]).contains("lead 5 (leadsync explain 5)"));
}

#[test]
fn what_somebody_wrote_cannot_move_the_cursor() {
    let mut record = lead(1, LeadState::Received);
    record.raw.note = Some("a\u{1b}[2Jb\r\nc".into());
    let told = render(&record, &[], NOW);
    assert!(told.contains("a [2Jb  c"), "{told}");
}

#[tokio::test]
async fn leads_are_found_by_number_or_address_and_an_unknown_address_is_not_repeated() {
    let store = FakeStore::of([lead(1, LeadState::Received), lead(2, LeadState::Received)]);
    assert_eq!(find(&store, "#2", 0).await.unwrap()[0].id, LeadId(2));
    assert_eq!(find(&store, "lead1@example.COM", 0).await.unwrap()[0].id, LeadId(1));
    let Err(Failure::Failed { exit, error, .. }) = find(&store, "ann@example.com", 0).await else { panic!() };
    assert_eq!(exit, Exit::Usage);
    assert!(!format!("{error:#}").contains("ann"), "{error:#}");
}
