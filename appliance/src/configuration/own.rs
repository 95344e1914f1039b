//! A connector's own settings, as they are in effect.

use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

use super::{Push, Report, Settings};
use crate::database;
use crate::error::{Error, Kind, Result};

const SETTING: &str = "configuration";

/// What is in effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Own {
    /// The settings.
    pub settings: Settings,
    /// How often they have changed; their ETag.
    pub revision: i64,
    /// The server's push that was followed last, or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Own {
    /// Reads them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn read(db: &mut Transaction<'_, Sqlite>) -> Result<Self> {
        let Some(text) = database::setting(db, SETTING).await? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text)
            .map_err(|error| Error::new(Kind::StateCorrupt, SETTING, "is damaged").because(error))
    }

    /// Changes them, if they are still as they were read.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Malformed`].
    pub async fn change(db: &mut Transaction<'_, Sqlite>, settings: Settings, revision: i64) -> Result<Self> {
        let known = Self::read(db).await?;
        if known.revision != revision {
            return Err(Error::new(
                Kind::Changed,
                SETTING,
                "has changed since it was read",
            ));
        }
        settings
            .check()
            .map_err(|reason| Error::new(Kind::Malformed, SETTING, reason))?;
        let changed = Self {
            settings,
            revision: revision + 1,
            ..known
        };
        changed.write(db).await?;
        Ok(changed)
    }

    /// Follows what a server gives, whole or not at all; nothing where that was followed before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn follow(db: &mut Transaction<'_, Sqlite>, push: &Push) -> Result<Option<Self>> {
        let known = Self::read(db).await?;
        if known.push.as_ref() == Some(&push.id) {
            return Ok(None);
        }
        let told = serde_json::from_value::<Settings>(push.settings.clone());
        let told = told.map_err(|error| error.to_string());
        let checked = told.and_then(|settings| settings.check().map(|()| settings));
        let (settings, refused) = match checked {
            Ok(settings) => (settings, None),
            Err(reason) => (known.settings, Some(reason.chars().take(500).collect())),
        };
        let followed = Self {
            settings,
            revision: known.revision + 1,
            push: Some(push.id.chars().take(64).collect()),
            refused,
        };
        followed.write(db).await?;
        Ok(Some(followed))
    }

    /// Forgets what servers gave; the settings stay.
    ///
    /// # Errors
    /// The database fails.
    pub async fn leave(db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let known = Self::read(db).await?;
        let left = Self {
            push: None,
            refused: None,
            ..known
        };
        left.write(db).await
    }

    async fn write(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::new(Kind::Malformed, SETTING, "cannot be kept").because(error))?;
        database::set(db, SETTING, &text).await
    }

    /// What a server is told.
    pub fn report(self) -> Report {
        Report {
            push: self.push,
            refused: self.refused,
            settings: self.settings,
        }
    }
}
