mod configuration;
mod create;
mod login;
mod looks;
mod replies;

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::grant::With;
use crate::auth::{Account, Auth, Place};
use crate::config::{Environment, parse};
use crate::connectors::registry;

const PLAIN: &str = r#"
url = "https://api.example.com/v1/contacts"
body = '{"email": "{{ lead.email }}", "name": "{{ lead.first_name }} {{ lead.last_name }}"}'
remote_id = "/data/id"
"#;
const WITH_FIND: &str = r#"
url = "https://api.example.com/v1/contacts"
body = '{"email": "{{ lead.email }}"}'
find.url = "https://api.example.com/v1/contacts?email={{ lead.email }}"
find.found = "/items/*/email"
find.equals = "{{ lead.email }}"
find.remote_id = "/items/*/id"
find.absent_status = 404
"#;

fn settings(table: &str) -> Result<crate::config::DestinationSettings, String> {
    let text = format!("[destinations.crm]\nkind = \"http\"\n{}", table.trim_start());
    let mut settings = parse("leadsync.toml", &text, Environment::default()).map_err(|error| error.to_string())?;
    Ok(settings.destinations.remove("crm").unwrap())
}

fn destination(table: &str) -> AnyHttp {
    AnyHttp::new(&settings(table).unwrap().section).unwrap()
}

fn refused(table: &str) -> String {
    match settings(table) {
        Ok(settings) => match AnyHttp::new(&settings.section) {
            Ok(_) => panic!("accepted: {table}"),
            Err(error) => error.to_string(),
        },
        Err(error) => error,
    }
}

fn account(table: &str) -> Account {
    registry::account(&settings(&format!("{PLAIN}{table}")).unwrap()).unwrap()
}

fn ann() -> Prepared {
    let lead = Lead { email: "ann+x@acme.example".into(), first_name: Some("Ann \"A\"".into()), ..Lead::default() };
    Prepared { lead, ..Prepared::default() }
}

fn reply(status: u16, body: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
