//! A JSON body whose texts are templates. Values never meet JSON's syntax: the structure is read once, and each text is
//! rendered by itself and written as JSON.
//!
//! A text that prints something missing is left out, as in `[….fields]`; an object or a list that is left with no rendered
//! text of its own is left out with it, so that a lead without a phone brings no `{"label": "work"}`.

use serde_json::{Map, Value};

use crate::connectors::template::{Context, RenderError, Template, TemplateError};

/// A body, read.
#[derive(Debug)]
pub(super) enum Body {
    /// Sent as it stands.
    Constant(Value),
    Text(Box<Template>),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
}

/// Why a text is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It isn't JSON.
    Syntax {
        line: usize,
        column: usize,
    },
    Template(TemplateError),
}

impl Body {
    /// Reads the text of `key`.
    pub(super) fn read(key: &str, text: &str) -> Result<Self, BodyError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| BodyError::Syntax { line: error.line(), column: error.column() })?;
        Self::of(key, value).map_err(BodyError::Template)
    }

    fn of(key: &str, value: Value) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(text) if text.contains("{{") || text.contains("{%") => {
                Self::Text(Box::new(Template::compile(key, &text)?))
            }
            Value::Array(items) => {
                Self::List(items.into_iter().map(|item| Self::of(key, item)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| Ok((name, Self::of(key, value)?)));
                Self::Object(fields.collect::<Result<_, TemplateError>>()?)
            }
            constant => Self::Constant(constant),
        })
    }

    /// Whether what it says depends on the lead.
    pub(super) fn tells_leads_apart(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Text(template) => super::checks::tells_leads_apart(template),
            Self::List(items) => items.iter().any(Self::tells_leads_apart),
            Self::Object(fields) => fields.iter().any(|(_, field)| field.tells_leads_apart()),
        }
    }

    /// The body for one lead; one that nothing is left of is `null`.
    pub(super) fn render(&self, context: &Context) -> Result<Value, RenderError> {
        Ok(match self.rendered(context)? {
            Rendered::Constant(value) | Rendered::Said(value) => value,
            Rendered::Nothing => Value::Null,
        })
    }

    fn rendered(&self, context: &Context) -> Result<Rendered, RenderError> {
        Ok(match self {
            Self::Constant(value) => Rendered::Constant(value.clone()),
            Self::Text(template) => match template.render(context)? {
                Some(text) => Rendered::Said(Value::String(text)),
                None => Rendered::Nothing,
            },
            Self::List(items) => {
                let items = items.iter().map(|item| item.rendered(context)).collect::<Result<Vec<_>, _>>()?;
                let says = says(&items);
                Rendered::whole(says, || Value::Array(items.into_iter().filter_map(Rendered::value).collect()))
            }
            Self::Object(fields) => {
                let (names, fields): (Vec<_>, Vec<_>) = fields.iter().map(|(name, field)| (name, field)).unzip();
                let fields = fields.into_iter().map(|it| it.rendered(context)).collect::<Result<Vec<_>, _>>()?;
                let says = says(&fields);
                let fields = names.into_iter().zip(fields);
                let object = fields.filter_map(|(name, field)| Some((name.clone(), field.value()?)));
                Rendered::whole(says, || Value::Object(object.collect::<Map<_, _>>()))
            }
        })
    }
}

/// A part for one lead.
enum Rendered {
    /// No template in it.
    Constant(Value),
    /// A template in it said something.
    Said(Value),
    /// None of its templates did.
    Nothing,
}

impl Rendered {
    fn value(self) -> Option<Value> {
        match self {
            Self::Constant(value) | Self::Said(value) => Some(value),
            Self::Nothing => None,
        }
    }

    fn whole(says: Option<bool>, value: impl FnOnce() -> Value) -> Self {
        match says {
            None => Self::Constant(value()),
            Some(true) => Self::Said(value()),
            Some(false) => Self::Nothing,
        }
    }
}

/// Whether templates among the parts said something; `None`: there are none.
fn says(parts: &[Rendered]) -> Option<bool> {
    let said = parts.iter().any(|part| matches!(part, Rendered::Said(_)));
    let templated = said || parts.iter().any(|part| matches!(part, Rendered::Nothing));
    templated.then_some(said)
}
