//! `/_sandbox/…`: look into the sandbox and change its faults while it runs.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::faults::FaultPlan;
use super::reply::Answer;
use super::request::Incoming;
use super::state::State;

/// Answers one request; these are neither limited nor logged.
pub(super) fn answer(state: &State, request: &Incoming) -> Answer {
    let path = request.path.strip_prefix("/_sandbox").unwrap_or_default().trim_matches('/');
    match (path, &request.method) {
        ("", &Method::GET) => Answer::json(
            StatusCode::OK,
            &json!({
                "GET /_sandbox/ledger": "numbers, and what was really created, one entry a lead of a service; ?email= for one",
                "GET /_sandbox/effects": "every effect, in order",
                "GET /_sandbox/requests": "the newest requests, with status or fault",
                "GET /_sandbox/faults": "the plan at work",
                "POST /_sandbox/faults": "another plan, as text or as {\"faults\": \"create:500=5%\", \"seed\": 7}",
                "GET /_sandbox/switches": "what can be changed in a service, and how it is",
                "POST /_sandbox/switches": "change it: {\"location_active\": false}",
                "POST /_sandbox/revoke": "make every access token invalid",
                "POST /_sandbox/reset": "forget leads, credits, requests and counts",
            }),
        ),
        ("ledger", &Method::GET) => {
            let leads = match request.parameter("email") {
                Some(email) => super::Api::all().filter_map(|api| state.ledger.lead_of(api, &email)).collect(),
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
        ("switches", &Method::GET) => switches(state),
        ("switches", &Method::POST) => match turn(state, request) {
            Ok(()) => switches(state),
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
        ("" | "ledger" | "effects" | "requests" | "faults" | "switches" | "revoke" | "reset", _) => {
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

fn switches(state: &State) -> Answer {
    let all = state.services.iter().flat_map(|service| service.switches());
    let body: serde_json::Map<String, Value> =
        all.map(|switch| (switch.name.to_owned(), Value::Bool(switch.is_on()))).collect();
    Answer::json(StatusCode::OK, &body)
}

fn turn(state: &State, request: &Incoming) -> Result<(), String> {
    let body = request.json.as_ref().and_then(Value::as_object).ok_or("expected {\"NAME\": true or false}")?;
    for (name, on) in body {
        let on = on.as_bool().ok_or_else(|| format!("{name}: expected true or false"))?;
        if !state.set_switch(name, on) {
            return Err(format!("no switch `{name}`: GET /_sandbox/switches lists them"));
        }
    }
    Ok(())
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
