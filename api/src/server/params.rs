//! Query strings and path parameters, typed.

use axum::extract::Query as AxumQuery;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spec::{Key, Kind, Name};

use super::answer::Refusal;
use crate::wire::{Query, Reason};

/// Reads a query string; unknown parameters are refused by the types that say so.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let parsed = AxumQuery::<T>::try_from_uri(uri);
    parsed.map(|AxumQuery(value)| value).map_err(|rejection| Refusal::new(Reason::BadQuery, rejection.body_text()))
}

/// The parameters that lists and watches share, as they are sent.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    kind: Option<String>,
    deployment: Option<String>,
    service: Option<String>,
}

impl Filter {
    pub(super) fn new(kind: Option<String>, deployment: Option<String>, service: Option<String>) -> Filter {
        Filter { kind, deployment, service }
    }

    pub(super) fn parse(self) -> Result<Query, Refusal> {
        let kinds = self.kind.iter().flat_map(|kinds| kinds.split(',')).map(str::parse).collect::<Result<_, _>>();
        Ok(Query {
            kinds: kinds.map_err(|error: spec::kind::BadKind| Refusal::new(Reason::BadQuery, error.to_string()))?,
            deployment: self.deployment.map(|name| component("deployment", &name)).transpose()?,
            service: self.service.map(|name| component("service", &name)).transpose()?,
        })
    }
}

fn component(parameter: &str, text: &str) -> Result<Name, Refusal> {
    match text.parse::<Name>() {
        Ok(name) if name.parent().is_none() => Ok(name),
        _ => Err(Refusal::new(Reason::BadQuery, format!("`{parameter}` is one name, without `/`"))),
    }
}

pub(super) fn key(kind: &str, name: &str) -> Result<Key, Refusal> {
    let kind = kind.parse::<Kind>().map_err(|error| Refusal::not_found(error.to_string()))?;
    Ok(Key::new(kind, self::name(name)?))
}

pub(super) fn name(name: &str) -> Result<Name, Refusal> {
    name.parse().map_err(|error: spec::object::BadName| Refusal::new(Reason::BadPath, error.to_string()))
}
