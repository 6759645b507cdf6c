//! An image's configuration: what it runs, and the hashes of its unpacked layers (image-spec `config.md`).

use serde::Deserialize;
use spec::Timestamp;
use spec::kind::image::Config;

use super::Error;
use super::digest::Digest;
use super::document::refused;
use super::platform::{self, Platform};
use crate::container::signal;

/// Longest command and environment, as the node keeps them with each container: no kernel starts a program with much more.
const SETTINGS_MAX: usize = 256 << 10;

/// The parts of an image's configuration that matter on a node.
pub(super) struct Settings {
    pub(super) config: Config,
    /// Digests of the uncompressed layers, lowest first.
    pub(super) diff_ids: Vec<Digest>,
    pub(super) created: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    created: Option<String>,
    config: Option<RawConfig>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    /// Null in an image that has no layers.
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
}

impl Settings {
    /// Parses a configuration; `what` names it in errors.
    pub(super) fn parse(what: &str, bytes: &[u8]) -> Result<Settings, Error> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| refused(what, error.to_string()))?;
        let platform = Platform { os: raw.os, architecture: raw.architecture, variant: None };
        if !platform::NODE.runs(&platform) {
            return Err(Error::Platform {
                digest: what.to_owned(),
                platform: platform.to_string(),
                node: platform::NODE.to_string(),
            });
        }
        let config: Config = raw.config.unwrap_or_default().into();
        if let Some(signal) = config.stop_signal.as_deref().filter(|signal| signal::number(signal).is_none()) {
            return Err(refused(what, format!("its stop signal `{}` is no signal", signal.escape_debug())));
        }
        let bytes = serde_json::to_vec(&config).map_or(0, |text| text.len());
        if bytes > SETTINGS_MAX {
            return Err(refused(what, format!("command and environment of {bytes} bytes; at most {SETTINGS_MAX} are taken")));
        }
        Ok(Settings {
            config,
            diff_ids: raw.rootfs.diff_ids.unwrap_or_default(),
            created: raw.created.as_deref().and_then(timestamp),
        })
    }
}

impl From<RawConfig> for Config {
    fn from(raw: RawConfig) -> Config {
        let split = |line: &String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config {
            entrypoint: raw.entrypoint.unwrap_or_default(),
            cmd: raw.cmd.unwrap_or_default(),
            env: raw.env.unwrap_or_default().iter().filter_map(split).collect(),
            workdir: raw.working_dir.unwrap_or_default(),
            user: raw.user.unwrap_or_default(),
            stop_signal: raw.stop_signal.filter(|signal| !signal.is_empty()),
        }
    }
}

/// Reads RFC 3339; times before 1970 are as good as none.
fn timestamp(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_what_runs() {
        let json = r#"{"os":"linux","created":"2024-01-02T03:04:05.678Z","config":{"Entrypoint":["/e"],"Cmd":["c"],"Env":["A=b=c","bare"],
            "WorkingDir":"/w","User":"1:2","StopSignal":"SIGQUIT","Labels":{}},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#;
        let settings = Settings::parse("x", json.as_bytes()).unwrap();
        insta::assert_debug_snapshot!(settings.config, @r#"
        Config {
            entrypoint: [
                "/e",
            ],
            cmd: [
                "c",
            ],
            env: {
                "A": "b=c",
            },
            workdir: "/w",
            user: "1:2",
            stop_signal: Some(
                "SIGQUIT",
            ),
        }
        "#);
        assert_eq!(settings.created, Some(Timestamp(1_704_164_645_678)));
    }

    #[test]
    fn nothing_set_is_fine_and_nulls_are_too() {
        for json in [
            r#"{"rootfs":{"diff_ids":null},"config":null}"#,
            r#"{"rootfs":{"diff_ids":[]},"config":{"Env":null,"Cmd":null,"StopSignal":""}}"#,
        ] {
            assert_eq!(Settings::parse("x", json.as_bytes()).unwrap().config, Config::default());
        }
    }

    #[test]
    fn settings_that_no_container_could_be_run_with_are_refused() {
        let reason = |config: &str| {
            let json = format!(r#"{{"rootfs":{{"diff_ids":[]}},"config":{config}}}"#);
            let error = Settings::parse("x", json.as_bytes()).err().unwrap();
            assert!(error.is_permanent());
            error.to_string()
        };
        assert!(reason(r#"{"StopSignal":"SIGKILL\n"}"#).contains(r"its stop signal `SIGKILL\n` is no signal"));
        let env: Vec<String> = (0..300).map(|number| format!("A{number}={}", "x".repeat(1000))).collect();
        assert!(reason(&serde_json::json!({ "Env": env }).to_string()).contains("at most 262144 are taken"));
    }

    #[test]
    fn an_image_for_another_system_is_refused() {
        let json = br#"{"os":"plan9","architecture":"amd64","rootfs":{"diff_ids":[]}}"#;
        let error = Settings::parse("x", json).err().unwrap();
        assert!(error.is_permanent() && error.to_string().contains("plan9/amd64"), "{error}");
    }
}
