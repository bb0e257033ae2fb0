use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;

use super::*;
use crate::auth::fake::FakeVault;
use crate::auth::grant::Encoding;
use crate::auth::seal::Keyring;
use crate::auth::{Auth, Client, ClientPlace, Grant};
use crate::clock::SystemClock;
use crate::http::fake::{http_reply, serve};
use crate::http::message::Rate;
use crate::secret::Secret;

const LIMITS: Limits = Limits {
    rate: None,
    daily_limit: None,
    concurrency: 8,
    timeout: Duration::from_secs(10),
    settle: Duration::from_secs(5),
};

/// An API at `/api` and a token service at `/token`, which issues `t1`, `t2`, … The API answers as told, given the number
/// of the API call (from 0) and the request.
async fn api(answer: impl Fn(usize, &str) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    let state = Arc::new((answer, AtomicUsize::new(0), AtomicUsize::new(0)));
    serve(move |_, request| {
        let state = state.clone();
        async move {
            if request.starts_with("POST /token") {
                let n = state.1.fetch_add(1, Ordering::SeqCst) + 1;
                return http_reply(200, "", &format!(r#"{{"access_token": "t{n}", "expires_in": 3600}}"#));
            }
            (state.0)(state.2.fetch_add(1, Ordering::SeqCst), &request)
        }
    })
    .await
}

fn channel(addr: SocketAddr, limits: &Limits) -> (Channel, Arc<FakeVault>) {
    let vault = Arc::new(FakeVault::default());
    let keyring = Keyring::new(&[Secret::new("01".repeat(32))]).unwrap();
    let (http, clock) = (HttpClient::new(), Arc::new(SystemClock));
    let tokens = Tokens::new(vault.clone(), keyring, http.clone(), clock.clone(), None);
    let url: url::Url = format!("http://{addr}/token").parse().unwrap();
    let client = Client { id: "id".into(), secret: Secret::new("s"), place: ClientPlace::Basic };
    let grant = Grant::client_credentials(url.clone(), client, None, Encoding::Form);
    let account = Account::new("crm", &url, grant.into());
    (Channel::new(account, limits, http, tokens, clock, Some(RunId(3))), vault)
}

fn get(addr: SocketAddr) -> Request {
    Request::new(Method::GET, format!("http://{addr}/api").parse().unwrap())
}

fn bears(request: &str, token: &str) -> bool {
    request.to_lowercase().contains(&format!("\r\nauthorization: bearer {token}\r\n"))
}

#[tokio::test]
async fn a_request_is_sent_once_with_its_token_and_can_be_logged() {
    let addr = api(|_, request| {
        assert!(bears(request, "t1"), "{request}");
        http_reply(500, "", "")
    })
    .await;
    let (channel, _) = channel(addr, &LIMITS);
    let permit = channel.permit(&CancellationToken::new()).await.unwrap();
    let bearer = channel.bearer().await.unwrap();
    let exchange = channel.send(permit, bearer.as_ref(), &get(addr)).await;
    assert_eq!(exchange.result.as_ref().unwrap().status, 500);
    let record = exchange.record(Some(RunId(3)), Some(LeadId(4)), channel.name(), "create", "unknown: 500");
    assert_eq!((record.id, record.status, record.account.as_str()), (exchange.call, Some(500), "crm"));
    assert_eq!((record.run, record.lead, record.what.as_str()), (Some(RunId(3)), Some(LeadId(4)), "create"));
}

#[tokio::test]
async fn what_may_no_longer_be_sent_when_it_departs_is_not_written() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let counter = arrived.clone();
    let addr = api(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        http_reply(200, "", "")
    })
    .await;
    let (channel, _) = channel(addr, &LIMITS);
    let permit = channel.permit(&CancellationToken::new()).await.unwrap();
    assert!(channel.send_if(permit, None, &get(addr), |_| false).await.is_none());
    assert_eq!(arrived.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ask_rides_out_passing_failures_and_reports_every_call() {
    let addr = api(|n, _| match n {
        0 => None,
        1 => http_reply(503, "", r#"{"message": "try later, ann@example.com"}"#),
        _ => http_reply(200, "", "{}"),
    })
    .await;
    let (channel, _) = channel(addr, &LIMITS);
    let (result, calls) = channel.ask("check", &get(addr), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, 200);
    let statuses: Vec<_> = calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, Some(503), Some(200)]);
    assert!(calls[0].verdict.starts_with("no reply: the connection to `127.0.0.1"), "{}", calls[0].verdict);
    let second = &calls[1].verdict;
    assert!(second.starts_with("503 Service Unavailable: try later, (e-mail); again in "), "{second}");
    assert_eq!(calls[2].verdict, "answered");
    assert!(calls.iter().all(|call| call.what == "check" && call.run == Some(RunId(3))));
    assert!(calls[0].id < calls[1].id && calls[1].id < calls[2].id);
}

#[tokio::test]
async fn ask_refreshes_the_token_once_after_a_401() {
    let addr = api(|_, request| match bears(request, "t2") {
        true => http_reply(200, "", "{}"),
        false => http_reply(401, "", ""),
    })
    .await;
    let (channel, vault) = channel(addr, &LIMITS);
    let (result, calls) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, 200);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].verdict, "401 Unauthorized: an empty reply; token refreshed");
    assert_eq!(vault.calls().len(), 2, "one token to begin with, one after the 401");
}

#[tokio::test]
async fn an_api_that_refuses_every_token_is_not_served_new_ones_for_ever() {
    let addr = api(|_, _| http_reply(401, "", "")).await;
    let (channel, vault) = channel(addr, &LIMITS);
    let mut refused = None;
    for _ in 0..20 {
        let (result, _) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
        match result {
            Ok(reply) => assert_eq!(reply.status, 401),
            Err(AskError::Auth(error)) => refused = Some(error),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(refused.unwrap().to_string(), "`crm` refuses every token, new ones too (401)");
    assert!(vault.calls().len() <= UNPROVEN_TOKENS as usize, "{} token requests", vault.calls().len());
}

#[tokio::test]
async fn a_401_now_and_then_is_no_reason_to_give_up() {
    let addr = api(|n, _| http_reply(if n % 2 == 0 { 401 } else { 200 }, "", "{}")).await;
    let (channel, _) = channel(addr, &LIMITS);
    for _ in 0..20 {
        let (result, _) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
        assert_eq!(result.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_429_pauses_the_account_for_as_long_as_the_server_says() {
    let addr = api(|n, _| match n {
        0 => http_reply(429, "Retry-After: 1\r\n", ""),
        _ => http_reply(200, "", "{}"),
    })
    .await;
    let (channel, _) = channel(addr, &LIMITS);
    let began = Instant::now();
    let (result, calls) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, 200);
    assert_eq!(calls.len(), 2);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_retry_after_is_told_at_once_and_kept_by_the_gate() {
    let addr = api(|_, _| http_reply(429, "Retry-After: 3600\r\n", "")).await;
    let (channel, _) = channel(addr, &LIMITS);
    let (result, calls) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, 429);
    assert_eq!(calls.len(), 1);
    let (until, why) = channel.limiter().paused().unwrap();
    assert!(SystemClock.now().until(until) > Duration::from_secs(3500));
    assert_eq!(why, "429 Too Many Requests");

    let stop = CancellationToken::new();
    stop.cancel();
    let (result, calls) = channel.ask("lookup", &get(addr), &stop).await;
    assert!(matches!(result, Err(AskError::Stopped)));
    assert!(calls.is_empty());
}

#[tokio::test]
async fn refusals_are_returned_and_not_repeated() {
    let addr = api(|_, _| http_reply(422, "", r#"{"message": "no"}"#)).await;
    let (channel, _) = channel(addr, &LIMITS);
    let (result, calls) = channel.ask("find", &get(addr), &CancellationToken::new()).await;
    assert_eq!(result.unwrap().status, 422);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].verdict, "422 Unprocessable Entity: no");
}

#[tokio::test]
async fn a_dead_service_opens_the_breaker() {
    let addr = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{addr}").parse().unwrap();
    let account = Account::new("crm", &url, Auth::None);
    let (template, _) = channel(addr, &LIMITS);
    let channel = Channel::new(account, &LIMITS, template.http, template.tokens, Arc::new(SystemClock), None);
    for _ in 0..Breaker::OPENS_AT {
        assert_eq!(channel.breaker().is_open(), None);
        let permit = channel.permit(&CancellationToken::new()).await.unwrap();
        let exchange = channel.send(permit, None, &get(addr)).await;
        channel.breaker().failure(exchange.result.unwrap_err().to_string());
    }
    let why = channel.breaker().is_open().unwrap();
    assert!(why.starts_with("10 failures in a row, the last: connection refused by `127.0.0.1"), "{why}");
}

#[tokio::test]
async fn requests_of_many_tasks_arrive_within_the_limit() {
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = arrivals.clone();
    let addr = api(move |_, _| {
        seen.lock().unwrap().push(Instant::now());
        http_reply(200, "", "{}")
    })
    .await;
    let per = Duration::from_millis(500);
    let (channel, _) = channel(addr, &Limits { rate: Some(Rate { count: 20, per }), ..LIMITS });
    let channel = Arc::new(channel);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move {
                for _ in 0..8 {
                    let (result, _) = channel.ask("lookup", &get(addr), &CancellationToken::new()).await;
                    assert_eq!(result.unwrap().status, 200);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut arrivals = arrivals.lock().unwrap().clone();
    arrivals.sort();
    assert_eq!(arrivals.len(), 64);
    // A busy machine may delay the server's reading of its clock: a little slack that no missing limiter would stay in.
    for window in arrivals.windows(22) {
        assert!(window[21] - window[0] >= per, "22 requests within {:?}", window[21] - window[0]);
    }
}

#[test]
fn call_numbers_follow_time_and_do_not_repeat() {
    let now = Timestamp::from_ms(1_795_325_459_123);
    let mut ids: Vec<_> = (0..10_000).map(|_| CallId::new(now)).collect();
    assert!(ids.iter().all(|id| id.0 >> 20 == now.ms()));
    assert!(ids.iter().all(|id| *id < CallId::new(Timestamp::from_ms(now.ms() + 1))));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
}
