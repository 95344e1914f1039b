//! Settings as people write them.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use crate::admin::{Failure, Result};
use crate::configuration::Settings;
use crate::error::{Error, Kind};
use crate::file;

/// The longest file in bytes: the connector takes no longer request.
const LIMIT: usize = 64 << 10;

/// What is to be another.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Change {
    /// A setting and its value; a list is separated by commas
    #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
    settings: Vec<(String, String)>,
    /// Want this setting no more; again for more
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Take all settings from this file, a JSON object; those that are not in it are wanted no more
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "unset"])]
    file: Option<PathBuf>,
}

fn assignment(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a setting is written NAME=VALUE"),
    }
}

impl Change {
    /// The settings after it.
    pub(super) fn of(&self, before: &Value) -> Result<Value> {
        if let Some(path) = &self.file {
            let bytes = file::read(path, LIMIT)?;
            let settings: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
                let reason = "is no JSON object";
                Error::new(Kind::Malformed, path.display().to_string(), reason).because(error)
            })?;
            return Ok(settings.into());
        }
        let mut settings = before.as_object().cloned().unwrap_or_default();
        for name in &self.unset {
            if settings.remove(name).is_none() {
                return Err(Failure::usage(
                    format!("--unset {name}"),
                    "is not set here",
                    "vcc config show says what is",
                ));
            }
        }
        for (name, value) in &self.settings {
            settings.insert(name.clone(), typed(name, value));
        }
        Ok(settings.into())
    }
}

/// A value of the type that the setting has; of one that only the connector knows, JSON or text.
fn typed(name: &str, value: &str) -> Value {
    let list: Vec<Value> = value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(Value::from)
        .collect();
    let fits = |value: &Value| {
        let one = Map::from_iter([(name.to_owned(), value.clone())]);
        serde_json::from_value::<Settings>(one.into()).is_ok()
    };
    let readings = [Value::from(value), Value::from(list)];
    let fitting = readings.into_iter().find(fits);
    fitting.unwrap_or_else(|| serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_get_the_type_of_their_setting() {
        assert_eq!(typed("notice", "5, or 6"), json!("5, or 6"));
        assert_eq!(
            typed("ntp", "a.example, [2001:db8::1]:123"),
            json!(["a.example", "[2001:db8::1]:123"])
        );
        assert_eq!(typed("ntp", ""), json!([]));
        assert_eq!(typed("later", "5"), json!(5));
        assert_eq!(typed("later", "five"), json!("five"));
    }

    #[test]
    fn what_is_not_named_stays() {
        let change = Change {
            settings: vec![("notice".to_owned(), "b".to_owned())],
            unset: vec!["ntp".to_owned()],
            file: None,
        };
        let before = json!({ "notice": "a", "ntp": [], "later": 1 });
        assert_eq!(change.of(&before).unwrap(), json!({ "notice": "b", "later": 1 }));
        assert!(change.of(&json!({})).is_err(), "there is nothing to unset");
    }
}
