//! LeadConnector as its own OpenAPI documents have it, served by Prism.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use url::form_urlencoded;

use crate::servers::{Installed, Server, installed};
use crate::wire::{Passed, Wire};

/// The documents, as they were published.
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/openapi");

/// The versions of the API, told apart by a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that leadsync speaks unless told otherwise.
    V3,
    /// Names are in snake_case where tokens are asked for.
    Dated,
}

impl Version {
    /// As the header has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::Dated => "2021-07-28",
        }
    }

    /// Its folder, and its services, each by one document.
    fn documents(self) -> (&'static str, [(&'static str, &'static str); 2]) {
        match self {
            Self::V3 => ("v3", [("/oauth/", "oauth-v3.json"), ("/contacts/", "contacts-v3.json")]),
            Self::Dated => ("dated", [("/oauth/", "oauth.json"), ("/contacts/", "contacts.json")]),
        }
    }
}

/// The API at work, and what is known of it.
pub struct Documents {
    pub version: Version,
    servers: Vec<(&'static str, Server)>,
    /// By the same prefixes.
    documents: Vec<(&'static str, Value)>,
    _folder: tempfile::TempDir,
}

/// Prism with the documents of LeadConnector that we need, started once; `None` if it is not installed.
pub fn lead_connector(version: Version) -> Option<&'static Documents> {
    static V3: OnceLock<Documents> = OnceLock::new();
    static DATED: OnceLock<Documents> = OnceLock::new();
    let installed = installed()?;
    let api = match version {
        Version::V3 => &V3,
        Version::Dated => &DATED,
    };
    Some(api.get_or_init(|| serve(installed, version)))
}

fn serve(installed: &Installed, version: Version) -> Documents {
    let folder = tempfile::tempdir().unwrap();
    let (name, services) = version.documents();
    let published = Path::new(PUBLISHED).join(name);
    for sub in ["apps", "common"] {
        std::fs::create_dir(folder.path().join(sub)).unwrap();
    }
    let common = Path::new("common").join("common-schemas.json");
    std::fs::copy(published.join(&common), folder.path().join(&common)).unwrap();
    let documents = services.map(|(prefix, name)| {
        let mut document = read(&published.join("apps").join(name));
        refuse_what_is_not_named(&mut document);
        std::fs::write(folder.path().join("apps").join(name), document.to_string()).unwrap();
        (prefix, document)
    });
    let servers = std::thread::scope(|scope| {
        let apps = folder.path().join("apps");
        let starting = services.map(|(prefix, name)| {
            let document = apps.join(name);
            (prefix, scope.spawn(move || installed.prism(&document)))
        });
        starting.map(|(prefix, starting)| (prefix, starting.join().unwrap()))
    });
    Documents { version, servers: servers.into(), documents: documents.into(), _folder: folder }
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The live service answers 422, `property X should not exist`, to a field that its document does not name
/// (<https://github.com/GoHighLevel/highlevel-api-docs/issues/262>); the document itself does not say so.
fn refuse_what_is_not_named(document: &mut Value) {
    let mut bodies = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let Some(content) = operation.pointer("/requestBody/content").and_then(Value::as_object) else { continue };
            let schemas = content.values().filter_map(|media| media.pointer("/schema/$ref")?.as_str());
            bodies.extend(schemas.filter_map(|it| it.strip_prefix('#')).map(str::to_owned));
        }
    }
    assert!(!bodies.is_empty());
    for body in bodies {
        document.pointer_mut(&body).unwrap()["additionalProperties"] = false.into();
    }
}

impl Documents {
    /// A wire to it.
    pub async fn wire(&self) -> Wire {
        Wire::to(self.servers.iter().map(|(prefix, server)| (*prefix, server.url.clone()))).await
    }

    /// Fails if anything was found wrong with a request, or if it was not answered with success.
    #[track_caller]
    pub fn agree(&self, passed: &[Passed]) {
        let wrong: Vec<String> = passed.iter().flat_map(|it| self.complaints(it)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// The same, but for what these words are in; each must be in something.
    #[track_caller]
    pub fn agree_but(&self, passed: &[Passed], exceptions: &[&str]) {
        let wrong: Vec<String> = passed.iter().flat_map(|it| self.complaints(it)).collect();
        let excepted = |complaint: &&String| exceptions.iter().any(|word| complaint.contains(word));
        let rest: Vec<&String> = wrong.iter().filter(|it| !excepted(it)).collect();
        assert!(rest.is_empty(), "{rest:#?}");
        for word in exceptions {
            assert!(wrong.iter().any(|it| it.contains(word)), "`{word}` is no exception any more: {wrong:#?}");
        }
    }

    /// What is wrong with a request.
    pub fn complaints(&self, passed: &Passed) -> Vec<String> {
        let at = format!("{} {}", passed.method, passed.target);
        let Some(reply) = &passed.reply else { return vec![format!("{at}: no reply")] };
        let violations =
            reply.headers.get("sl-violations").map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let violations: Vec<Value> = serde_json::from_str(violations.as_deref().unwrap_or("[]")).unwrap();
        // What Prism finds wrong with the document's own example of an answer is not for us.
        let ours = violations.iter().filter(|it| it["location"][0] == "request").map(|it| format!("{at}: {it}"));
        let unknown = self.unknown_names(passed).into_iter().map(|it| format!("{at}: `{it}` is not named there"));
        let refused = (!reply.status.is_success())
            .then(|| format!("{at}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)));
        ours.chain(unknown).chain(refused).collect()
    }

    /// Parameters of the query, and fields of a form, that the document does not name: Prism lets them pass.
    fn unknown_names(&self, passed: &Passed) -> Vec<String> {
        let (path, query) = passed.target.split_once('?').unwrap_or((&passed.target, ""));
        let (_, document) = self.documents.iter().find(|(prefix, _)| path.starts_with(prefix)).unwrap();
        // No path with an id in it has parameters or takes a form, of those that we use.
        let operation = &document["paths"][path][passed.method.as_str().to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.filter(|it| it["in"] == "query").filter_map(|it| it["name"].as_str());
        let form = operation.pointer("/requestBody/content/application~1x-www-form-urlencoded/schema/$ref");
        let form =
            form.and_then(|it| document.pointer(it.as_str()?.strip_prefix('#')?)?.get("properties")?.as_object());
        let fields: Vec<&String> = form.into_iter().flat_map(serde_json::Map::keys).collect();
        let parameters: Vec<&str> = parameters.collect();
        let sent = form_urlencoded::parse(query.as_bytes()).into_owned().map(|(name, _)| name);
        let mut unknown: Vec<String> = sent.filter(|name| !parameters.contains(&name.as_str())).collect();
        if passed.header("content-type").is_some_and(|it| it.starts_with("application/x-www-form-urlencoded")) {
            unknown.extend(passed.form().into_iter().map(|(name, _)| name).filter(|name| !fields.contains(&name)));
        }
        unknown
    }
}
