//! Init steps: what runs before each start (section 13), and the actions there are (section 14).

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::units::Duration;

/// Section 13.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Init {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawStep", into = "RawStep")]
pub struct Step {
    pub id: String,
    pub action: Action,
    /// Tries after the first one; default 0.
    pub retry: u32,
    /// Bound on one try; default 5 m.
    pub timeout: Duration,
    pub on_failure: OnFailure,
}

/// Bound on one try of an init step that names none.
pub const STEP_TIMEOUT: Duration = Duration::seconds(300);

/// The built-in init actions and their inputs (section 14).
///
/// To add one: a variant here, its name in [`Action::NAMES`], and its file in `runtime/src/init/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    WaitTcp(WaitTcp),
    WaitHttp(WaitHttp),
    Run(Run),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitTcp {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitHttp {
    pub url: String,
    /// Default: any status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub command: RunCommand,
}

/// A text is run by the image's `/bin/sh -c`; a list is run as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RunCommand {
    Shell(String),
    Direct(Vec<String>),
}

impl Action {
    /// Names of all actions as `uses` has them, sorted.
    pub const NAMES: &[&str] = &["init.run", "init.wait_http", "init.wait_tcp"];

    pub fn name(&self) -> &'static str {
        match self {
            Action::Run(_) => "init.run",
            Action::WaitHttp(_) => "init.wait_http",
            Action::WaitTcp(_) => "init.wait_tcp",
        }
    }
}

/// What a step that failed means for those after it (section 13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    #[default]
    Fail,
    Warn,
    Continue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    id: String,
    uses: String,
    #[serde(default)]
    with: serde_json::Value,
    #[serde(default, skip_serializing_if = "is_default")]
    retry: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_default")]
    on_failure: OnFailure,
}

impl TryFrom<RawStep> for Step {
    type Error = String;

    fn try_from(raw: RawStep) -> Result<Step, String> {
        let with = if raw.with.is_null() { serde_json::json!({}) } else { raw.with };
        let action = match raw.uses.as_str() {
            "init.run" => serde_json::from_value(with).map(Action::Run),
            "init.wait_http" => serde_json::from_value(with).map(Action::WaitHttp),
            "init.wait_tcp" => serde_json::from_value(with).map(Action::WaitTcp),
            other => {
                return Err(format!(
                    "step `{}` uses `{other}`, which is no init action; there are {}",
                    raw.id,
                    Action::NAMES.join(", ")
                ));
            }
        };
        let action = action.map_err(|error| format!("step `{}`, inputs of {}: {error}", raw.id, raw.uses))?;
        Ok(Step {
            id: raw.id,
            action,
            retry: raw.retry,
            timeout: raw.timeout.unwrap_or(STEP_TIMEOUT),
            on_failure: raw.on_failure,
        })
    }
}

impl From<Step> for RawStep {
    fn from(step: Step) -> RawStep {
        RawStep {
            id: step.id,
            uses: step.action.name().to_owned(),
            with: serde_json::to_value(step.action).unwrap_or_default(),
            retry: step.retry,
            timeout: (step.timeout != STEP_TIMEOUT).then_some(step.timeout),
            on_failure: step.on_failure,
        }
    }
}
