//! Limits, and how a client is told of them.

use std::time::{Duration, SystemTime};

use leadsync::sandbox::{RetryAfter, SandboxOptions};
use reqwest::Method;

use crate::bench::*;

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
