//! The properties of the last environment that could be read whole, kept on the state disk: a machine whose environment was
//! taken away, or can't be read at one start, stays what it is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::{file, log};

const NAME: &str = "properties.json";

/// Properties of ours, and no other product's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Given(BTreeMap<String, String>);

impl Given {
    /// Takes the values that `property` has, with what is wrong with them, and keeps those that were asked for.
    pub(super) fn take<'a>(property: impl Fn(&str) -> Option<&'a str>) -> (Settings, Vec<String>, Self) {
        let asked = RefCell::new(BTreeMap::new());
        let (settings, problems) = Settings::of(|key| {
            let value = property(key)?;
            asked.borrow_mut().insert(key.to_owned(), value.to_owned());
            Some(value)
        });
        (settings, problems, Self(asked.into_inner()))
    }

    /// What they say.
    pub fn settings(&self) -> Settings {
        // They had no problems when they were kept; what a later version doesn't understand any more is left out.
        Settings::of(|key| self.0.get(key).map(String::as_str)).0
    }

    /// What a state disk has; none before the first start with an environment.
    pub fn read(root: &Path) -> Option<Self> {
        let text = file::text(root.join(NAME)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps them on the state disk, in a thread of its own.
    pub fn remember(self, root: &'static Path) {
        let write = move || {
            let Ok(bytes) = serde_json::to_vec(&self) else {
                return;
            };
            if let Err(error) = file::replace_durably(root, NAME, &bytes) {
                log::warn(error.chain());
            }
        };
        let _ = thread::Builder::new().name("properties".to_owned()).spawn(write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    #[test]
    fn what_was_given_is_read_as_it_was_kept_and_nothing_of_others_with_it() {
        let (settings, problems, given) = Given::take(|key| match key {
            "role" => Some("server"),
            "ip" => Some("192.0.2.5/24"),
            "another.product.password" => Some("secret"),
            _ => None,
        });
        assert!(problems.is_empty() && settings.role == Some(Role::Server));
        let kept = serde_json::to_string(&given).unwrap();
        assert_eq!(kept, r#"{"ip":"192.0.2.5/24","role":"server"}"#);
        let read: Given = serde_json::from_str(&kept).unwrap();
        assert_eq!(read.settings(), settings);
    }
}
