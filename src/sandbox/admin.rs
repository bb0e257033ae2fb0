//! `/_sandbox/…`: look into the sandbox and change its faults while it runs.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::faults::FaultPlan;
use super::reply::Answer;
use super::server::{Incoming, State};

/// Answers one request; these are neither limited nor logged.
pub(super) fn answer(state: &State, request: &Incoming) -> Answer {
    let path = request.path.strip_prefix("/_sandbox").unwrap_or_default().trim_matches('/');
    match (path, &request.method) {
        ("", &Method::GET) => Answer::json(
            StatusCode::OK,
            &json!({
                "GET /_sandbox/ledger": "numbers, and what was really created, one entry an e-mail; ?email= for one",
                "GET /_sandbox/effects": "every effect, in order",
                "GET /_sandbox/requests": "the newest requests, with status or fault",
                "GET /_sandbox/faults": "the plan at work",
                "POST /_sandbox/faults": "another plan, as text or as {\"faults\": \"create:500=5%\", \"seed\": 7}",
                "POST /_sandbox/revoke": "make every access token invalid",
                "POST /_sandbox/reset": "forget leads, credits, requests and counts",
            }),
        ),
        ("ledger", &Method::GET) => {
            let leads = match request.parameter("email") {
                Some(email) => state.ledger.lead(&email).into_iter().collect(),
                None => state.ledger.leads(),
            };
            Answer::json(StatusCode::OK, &json!({"totals": state.totals(), "leads": leads}))
        }
        ("effects", &Method::GET) => Answer::json(StatusCode::OK, &state.ledger.effects()),
        ("requests", &Method::GET) => Answer::json(StatusCode::OK, &state.ledger.requests()),
        ("faults", &Method::GET) => faults(state),
        ("faults", &Method::POST) => match plan(request) {
            Ok((plan, seed)) => {
                state.set_faults(plan, seed);
                faults(state)
            }
            Err(why) => Answer::json(StatusCode::BAD_REQUEST, &json!({"message": why})),
        },
        ("revoke", &Method::POST) => {
            state.tokens.revoke_all();
            Answer::json(StatusCode::OK, &json!({"revoked": true}))
        }
        ("reset", &Method::POST) => match state.reset() {
            Ok(()) => Answer::json(StatusCode::OK, &json!({"reset": true})),
            Err(error) => {
                Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"message": format!("ledger file: {error}")}))
            }
        },
        ("" | "ledger" | "effects" | "requests" | "faults" | "revoke" | "reset", _) => {
            Answer::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"message": "GET /_sandbox says what there is"}))
        }
        _ => Answer::json(StatusCode::NOT_FOUND, &json!({"message": "GET /_sandbox says what there is"})),
    }
}

fn faults(state: &State) -> Answer {
    let book = state.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let body = json!({"faults": book.plan().to_string(), "seed": book.seed(), "fired": book.fired()});
    Answer::json(StatusCode::OK, &body)
}

fn plan(request: &Incoming) -> Result<(FaultPlan, Option<u64>), String> {
    let (text, seed) = match &request.json {
        Some(Value::Object(body)) => {
            let text = body.get("faults").and_then(Value::as_str).ok_or("expected {\"faults\": \"…\", \"seed\": n}")?;
            (text.to_owned(), body.get("seed").and_then(Value::as_u64))
        }
        _ => (String::from_utf8(request.body.to_vec()).map_err(|_| "the plan is not UTF-8 text")?, None),
    };
    let plan = text.parse().map_err(|error: super::FaultPlanError| error.to_string())?;
    Ok((plan, seed))
}
