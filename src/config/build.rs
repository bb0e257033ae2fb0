//! Layers become typed values, and values become [`Settings`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use super::kind::{Kind, Raw, Value};
use super::layers::{Item, Layer, Unset};
use super::lookup;
use super::origins::{Effective, Origin, Origins};
use super::problem::{Place, Problem};
use super::schema::{self, Key};
use super::section::Section;
use super::settings::*;
use super::values;
use crate::connectors::registry;
use crate::http::message::Rate;
use crate::secret::Secret;

/// All sources laid over each other.
pub(super) struct Merged {
    pub items: BTreeMap<String, Item>,
    pub unset: BTreeMap<String, Unset>,
    pub tables: BTreeMap<String, Place>,
}

/// Lays the layers over each other, the weakest first.
pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> Merged {
    let mut merged = Merged { items: BTreeMap::new(), unset: BTreeMap::new(), tables: BTreeMap::new() };
    for layer in layers {
        merged.unset.extend(layer.unset);
        merged.items.extend(layer.items);
        merged.tables.extend(layer.tables);
    }
    let items = &merged.items;
    merged.unset.retain(|path, _| !items.contains_key(path));
    merged
}

impl Merged {
    /// Gives each key of a destination the meaning it has for that destination's kind, and notes those that the kind
    /// does not have. Where the kind is not known, there is another problem to tell.
    pub(super) fn resolve_kinds(&mut self, problems: &mut Vec<Problem>) {
        let kinds: BTreeMap<String, String> = self
            .items
            .iter()
            .filter_map(|(path, item)| {
                let name = path.strip_prefix("destinations.")?.strip_suffix(".kind").filter(|it| !it.contains('.'))?;
                Some((name.to_owned(), registry::kind(item.raw.text()?)?.name.to_owned()))
            })
            .collect();
        self.items.retain(|path, item| {
            let segments: Vec<&str> = path.split('.').collect();
            let ["destinations", name, ..] = segments.as_slice() else { return true };
            let Some(kind) = kinds.get(*name) else { return true };
            match lookup::for_kind(item.key.path, kind) {
                Some(key) => {
                    item.key = key;
                    true
                }
                None => {
                    let of = lookup::kinds_with(item.key.path).join("`, `");
                    let message = format!(
                        "`{path}` is a key of kind `{of}`, and this destination is of kind `{kind}`; remove it"
                    );
                    problems.push(Problem::at(&item.place, message));
                    false
                }
            }
        });
    }
}

/// Typed values of all keys that have one, defaults included.
pub(super) struct Values {
    values: BTreeMap<String, Value>,
    /// Keys whose text could not be read: rules about them would only repeat it.
    pub failed: BTreeSet<String>,
    pub effective: Vec<Effective>,
    pub destinations: Vec<String>,
    pub has_enrich: bool,
    /// Written down, though without a value.
    unset: BTreeSet<String>,
}

impl Values {
    /// Reads every value, adds the defaults, and notes what does not fit.
    pub(super) fn read(merged: &Merged, problems: &mut Vec<Problem>) -> Self {
        let mut values = BTreeMap::new();
        let mut failed = BTreeSet::new();
        for (path, item) in &merged.items {
            match item.key.kind.read(&item.raw) {
                Ok(value) => {
                    values.insert(path.clone(), value);
                }
                Err(mismatch) => {
                    problems.push(Problem::at(&item.place, misfit(path, item, &mismatch.expected)));
                    failed.insert(path.clone());
                }
            }
        }
        let below = |table: &str| {
            let prefix = format!("{table}.");
            let known = merged.items.keys().chain(merged.tables.keys()).chain(merged.unset.keys());
            known.filter_map(move |path| path.strip_prefix(&prefix).map(str::to_owned)).collect::<Vec<String>>()
        };
        let names: BTreeSet<String> =
            below("destinations").iter().filter_map(|path| path.split('.').next().map(str::to_owned)).collect();
        let has_enrich = merged.tables.contains_key("enrich") || !below("enrich").is_empty();
        let mut this = Self {
            values,
            failed,
            effective: Vec::new(),
            destinations: names.into_iter().collect(),
            has_enrich,
            unset: merged.unset.keys().cloned().collect(),
        };
        this.lay_out(merged);
        this
    }

    /// Adds defaults and notes every value with its origin, in the order of the table of keys.
    fn lay_out(&mut self, merged: &Merged) {
        let of_destinations = |key: &&Key| key.path.starts_with("destinations.");
        let mut names = Some(self.destinations.clone());
        for key in schema::keys() {
            if of_destinations(&key) {
                for name in names.take().unwrap_or_default() {
                    let kind = self.text(&format!("destinations.{name}.kind"));
                    let ours = |key: &&Key| key.of.is_empty() || Some(key.of) == kind.as_deref();
                    for key in schema::keys().iter().filter(of_destinations).filter(ours) {
                        self.lay_out_key(key, &key.path.replace("NAME", &name), merged);
                    }
                }
            } else if !key.path.starts_with("enrich.") || self.has_enrich {
                self.lay_out_key(key, key.path, merged);
            }
        }
    }

    fn lay_out_key(&mut self, key: &Key, path: &str, merged: &Merged) {
        let parent = ["FIELD", "COLUMN", "HEADER"].iter().find_map(|name| path.strip_suffix(name));
        let paths: Vec<String> = match parent {
            Some(parent) => self.values.keys().filter(|path| path.starts_with(parent)).cloned().collect(),
            None => vec![path.to_owned()],
        };
        for path in paths {
            let default = || key.default.and_then(super::file::read_value).and_then(|raw| key.kind.read(&raw).ok());
            let written = self.values.get(&path).cloned();
            let Some(value) = written.clone().or_else(default) else { continue };
            let item = merged.items.get(&path).filter(|_| written.is_some());
            let origin = match item {
                Some(item) => Origin::Written { place: item.place.clone(), via: item.via.clone() },
                None => Origin::Default,
            };
            let shown_key = match parent {
                Some(parent) => format!("{parent}{}", super::file::shown(&[&path[parent.len()..]])),
                None => path.clone(),
            };
            self.effective.push(Effective { key: shown_key, value: shown(key.kind, &value), origin });
            self.values.insert(path, value);
        }
    }

    fn get(&self, path: &str) -> Option<&Value> {
        self.values.get(path)
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.get(path)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn secret(&self, path: &str) -> Option<Secret> {
        match self.get(path)? {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    fn integer(&self, path: &str) -> Option<i64> {
        match self.get(path)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn count(&self, path: &str) -> usize {
        self.integer(path).and_then(|number| usize::try_from(number).ok()).unwrap_or(1)
    }

    fn bool(&self, path: &str) -> bool {
        matches!(self.get(path), Some(Value::Bool(true)))
    }

    fn duration(&self, path: &str) -> Duration {
        match self.get(path) {
            Some(Value::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }

    fn rate(&self, path: &str) -> Option<Rate> {
        match self.get(path)? {
            Value::Rate(rate) => *rate,
            _ => None,
        }
    }

    fn texts(&self, path: &str) -> Vec<String> {
        match self.get(path) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// `None` can't be: every address has a default.
    fn url(&self, path: &str) -> Option<Url> {
        match self.get(path)? {
            Value::Url(url) => Some(url.clone()),
            _ => None,
        }
    }

    fn below(&self, table: &str) -> BTreeMap<String, String> {
        let prefix = format!("{table}.");
        let keys = self.values.keys().filter_map(|path| path.strip_prefix(&prefix));
        keys.filter_map(|name| Some((name.to_owned(), self.text(&format!("{prefix}{name}"))?))).collect()
    }

    /// The settings; what needs a `kind` and has none is left out (and was reported).
    pub(super) fn settings(&self, origins: Origins) -> Settings {
        let destination = |name: &String| {
            let path = format!("destinations.{name}");
            let kind = registry::kind(&self.text(&format!("{path}.kind"))?)?;
            let prefix = format!("{path}.");
            let below = |path: &str| path.strip_prefix(&prefix).map(str::to_owned);
            let values = self.values.iter().filter_map(|(path, value)| Some((below(path)?, value.clone()))).collect();
            let unset = self.unset.iter().filter_map(|path| below(path)).collect();
            let section = Section::new(name, kind.name, values, unset);
            Some((name.clone(), DestinationSettings { default: section.flag("default"), kind: kind.name, section }))
        };
        Settings {
            database: DatabaseSettings {
                url: self.secret("database.url").unwrap_or_else(|| Secret::new("")),
                schema: self.text("database.schema").unwrap_or_default(),
                migrate: self.bool("database.migrate"),
            },
            security: SecuritySettings {
                encryption_keys: match self.get("security.encryption_key") {
                    Some(Value::Secrets(keys)) => keys.clone(),
                    _ => Vec::new(),
                },
            },
            run: RunSettings {
                lease: self.duration("run.lease"),
                wait: self.duration("run.wait"),
                grace: self.duration("run.grace"),
            },
            normalise: NormaliseSettings { default_region: self.text("normalise.default_region").unwrap_or_default() },
            enrich: self.enrich(),
            destinations: self.destinations.iter().filter_map(destination).collect(),
            retry: RetrySettings {
                max_attempts: self.integer("retry.max_attempts").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
                initial_interval: self.duration("retry.initial_interval"),
                max_interval: self.duration("retry.max_interval"),
            },
            csv: CsvSettings { columns: self.below("csv.columns") },
            origins,
        }
    }

    fn enrich(&self) -> Option<EnrichSettings> {
        let kind = match self.text("enrich.kind")?.as_str() {
            "live_data" => EnrichKind::LiveData(LiveDataSettings {
                identity_url: self.url("enrich.identity_url")?,
                people_url: self.url("enrich.people_url")?,
                organization: self.text("enrich.organization"),
                client_id: self.text("enrich.client_id"),
                client_secret: self.secret("enrich.client_secret"),
                api_key: self.secret("enrich.api_key"),
                username: self.text("enrich.username"),
                password: self.secret("enrich.password"),
                match_on: self.texts("enrich.match_on"),
                batch_size: self.count("enrich.batch_size"),
                rate: self.rate("enrich.rate"),
                concurrency: self.count("enrich.concurrency"),
                timeout: self.duration("enrich.timeout"),
            }),
            _ => return None,
        };
        let days = self.integer("enrich.cache_days").and_then(|days| u64::try_from(days).ok()).unwrap_or(0);
        Some(EnrichSettings {
            kind,
            cache: Duration::from_secs(days * 86_400),
            prefer: match self.text("enrich.prefer").as_deref() {
                Some("enriched") => Prefer::Enriched,
                _ => Prefer::Source,
            },
            when_unavailable: match self.text("enrich.when_unavailable").as_deref() {
                Some("send") => WhenUnavailable::Send,
                _ => WhenUnavailable::Wait,
            },
            job_changed: match self.text("enrich.job_changed").as_deref() {
                Some("skip") => JobChanged::Skip,
                _ => JobChanged::Send,
            },
            daily_credits: self.integer("enrich.daily_credits"),
        })
    }
}

/// "`run.lease` is "1 minute"; expected a duration such as "60s"".
fn misfit(path: &str, item: &Item, expected: &str) -> String {
    let from_elsewhere = item.via.is_some();
    let hidden = from_elsewhere || !item.key.kind.may_be_repeated(&item.raw);
    let mut found = item.raw.describe(hidden);
    if let Some(via) = item.via.as_ref().filter(|_| matches!(item.raw, Raw::Text { .. })) {
        found = format!("the value of {via}");
    }
    let near = match (&item.raw, item.key.kind) {
        (Raw::Text { text, .. }, Kind::Choice(words)) if !hidden => lookup::nearest(text, words.iter().copied()),
        (Raw::List(items), Kind::Choices(words)) if !hidden => items.iter().find_map(|item| match item {
            Raw::Text { text, .. } if !words.contains(&text.as_str()) => lookup::nearest(text, words.iter().copied()),
            _ => None,
        }),
        _ => None,
    };
    let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    format!("`{path}` is {found}; expected {expected}{near}")
}

/// A value as `config show` prints it: TOML, secrets hidden.
fn shown(kind: Kind, value: &Value) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match value {
        Value::Secret(secret) if kind == Kind::DatabaseUrl => {
            quoted(&values::without_password(secret.expose()).to_string())
        }
        Value::Secret(_) => quoted("***"),
        Value::Ip(address) => quoted(&address.to_string()),
        Value::Secrets(keys) if keys.len() == 1 => quoted("***"),
        Value::Secrets(keys) => toml::Value::from(vec!["***"; keys.len()]).to_string(),
        Value::Text(text) => quoted(text),
        Value::Texts(texts) => toml::Value::from(texts.clone()).to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Duration(duration) => quoted(&values::format_duration(*duration)),
        Value::Rate(Some(rate)) => quoted(&rate.to_string()),
        Value::Rate(None) => quoted("none"),
        Value::Url(url) => {
            let mut url = url.clone();
            // A token in the query would be the operator's invention, and still a token.
            if url.query().is_some() {
                url.set_query(Some("***"));
            }
            let text = url.as_str();
            quoted(if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/') } else { text })
        }
    }
}
