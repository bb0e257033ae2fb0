use proptest::prelude::*;

use super::*;
use crate::sandbox::live_data::FIND;
use crate::sandbox::seven_targets::CREATE;

fn plan(text: &str) -> FaultPlan {
    text.parse().unwrap()
}

fn who(email: &str) -> Vec<String> {
    vec![email.to_owned()]
}

fn error(text: &str) -> String {
    text.parse::<FaultPlan>().unwrap_err().to_string()
}

#[test]
fn a_plan_is_written_as_it_is_read() {
    let text = "create:reset-after=1%,create:500=2.5%,find:429=#3+7,*:502-after=0.01%,live_data:hang=100%,\
                token:401=#1,update:html=ann@example.com,create:429-none=1%,create:other-lead-after=#2,\
                create:late=ann+x@example.com#2";
    assert_eq!(plan(text).to_string(), text);
    assert_eq!(plan(" create:429=1% ,\n find:429=1%\n"), plan("create:429=1%,find:429=1%"));
    assert_eq!(plan(""), FaultPlan::default());
}

#[test]
fn a_misspelt_word_is_answered_with_the_nearest_right_one() {
    let said = error("crate:500=1%");
    assert!(
        said.starts_with("unknown target `crate` in `crate:500=1%`, expected one of session, find, token, "),
        "{said}"
    );
    assert!(said.contains(", live_data, seven_targets, ") && said.ends_with(", *; did you mean `create`?"), "{said}");
    assert!(error("upsert:500=1%").contains("did you mean `lc_upsert`?"));
    assert!(error("create:rest-after=1%").contains("did you mean `reset-after`?"));
    assert!(error("create:200=1%").contains("expected a status from 400 to 599"));
    assert!(error("create:429-after=1%").contains("use `429` or a 5xx"));
    assert!(error("create").contains("expected TARGET:KIND=WHEN"));
    for when in ["5", "101%", "-1%", "#0", "#", "#x", "ann@example.com#0", "NaN%", ""] {
        assert!(error(&format!("create:500={when}")).contains("expected a share"), "{when}");
    }
}

#[test]
fn faults_hit_the_same_leads_whatever_order_they_arrive_in() {
    let leads: Vec<_> = (0..500).map(|n| format!("lead{n}@example.com")).collect();
    let hit = |order: &mut dyn Iterator<Item = &String>, seed: u64| {
        let mut book = FaultBook::new(seed, plan("create:500=10%,create:reset=10%"));
        let mut hit: Vec<_> =
            order.filter_map(|lead| Some((lead.clone(), book.decide(CREATE, &who(lead))?.to_string()))).collect();
        hit.sort();
        hit
    };
    let forwards = hit(&mut leads.iter(), 7);
    assert_eq!(forwards, hit(&mut leads.iter().rev(), 7));
    assert_ne!(forwards, hit(&mut leads.iter(), 8));
    assert!((60..140).contains(&forwards.len()), "about 19 % of 500, got {}", forwards.len());
}

#[test]
fn a_share_is_drawn_anew_for_each_request_of_a_lead() {
    let mut book = FaultBook::new(7, plan("create:500=50%"));
    let hits = (0..200).filter(|_| book.decide(CREATE, &who("ann@example.com")).is_some()).count();
    assert!((60..140).contains(&hits), "{hits} of 200");
}

#[test]
fn an_exact_schedule_fires_exactly_there() {
    let mut book = FaultBook::new(7, plan("create:500=#2,create:reset=bea@example.com#2"));
    let mut ask = |email: &str| book.decide(CREATE, &who(email)).map(|fault| fault.to_string());
    assert_eq!(ask("ann@example.com"), None);
    assert_eq!(ask("bea@example.com").as_deref(), Some("500"));
    assert_eq!(ask("bea@example.com").as_deref(), Some("reset"));
    assert_eq!(ask("bea@example.com"), None);
    assert_eq!(book.fired().get("create:reset"), Some(&1));
}

#[test]
fn a_rule_for_a_lead_fires_for_every_batch_that_holds_it() {
    let mut book = FaultBook::new(7, plan("find:400=bad@example.com"));
    let batch = |emails: &[&str]| emails.iter().map(|email| (*email).to_owned()).collect::<Vec<_>>();
    assert!(book.decide(FIND, &batch(&["ann@example.com", "bad@example.com"])).is_some());
    assert!(book.decide(FIND, &batch(&["ann@example.com"])).is_none());
    assert!(book.decide(FIND, &batch(&["bad@example.com"])).is_some());
    assert!(book.decide(CREATE, &batch(&["bad@example.com"])).is_none());
}

/// A rule that is nearly one.
fn near_rule() -> impl Strategy<Value = String> {
    (
        prop_oneof!["[a-z_*]{0,8}", Just("create".to_owned()), Just("*".to_owned()), Just("seven_targets".to_owned())],
        prop_oneof!["[a-z0-9-]{0,8}", "[0-9]{3}(-after)?", Just("reset".to_owned()), Just("drip".to_owned())],
        prop_oneof![
            "\\PC{0,8}",
            "[0-9.e-]{1,12}%",
            "#[0-9]{1,22}(\\+[0-9]{1,3}){0,3}",
            "[a-z]{1,5}@[a-z]{1,5}\\.example(#[0-9]{1,12})?",
        ],
    )
        .prop_map(|(target, kind, when)| format!("{target}:{kind}={when}"))
}

proptest! {
    #[test]
    fn any_plan_is_read_as_it_is_written_again_or_refused(rules in prop::collection::vec(near_rule(), 0..6), soup in "\\PC{0,60}") {
        for text in [rules.join(","), soup, rules.join(" ").replace(':', "=")] {
            if let Ok(plan) = text.parse::<FaultPlan>() {
                let written = plan.to_string();
                prop_assert_eq!(written.parse::<FaultPlan>().map(|plan| plan.to_string()), Ok(written));
            }
        }
    }
}
