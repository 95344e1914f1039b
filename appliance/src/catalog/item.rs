//! What a catalog offers: a package or a file, in versions, with labels by which it is found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Catalog, current};
use crate::access::{Name, Principal};
use crate::clock::Moment;
use crate::error::{Error, Kind, Result};

/// The most items of a catalog.
const ITEMS: i64 = 4096;
/// The most labels of an item.
const LABELS: usize = 32;
/// The longest value of a label, in characters.
const LONGEST: usize = 256;

/// Names and values by which an item is found.
pub type Labels = BTreeMap<String, String>;

/// Whether an item is something that has a publisher, or just bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// An OVF package, which is verified.
    Package,
    /// A file, or several, of whatever kind.
    File,
}

impl Sort {
    /// The one of a name in the database.
    pub fn of(text: &str) -> Self {
        match text {
            "package" => Self::Package,
            _ => Self::File,
        }
    }

    /// The name in the database.
    fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::File => "file",
        }
    }
}

/// Something that a catalog offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// The catalog's id.
    pub catalog: String,
    /// Whose the catalog is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Sort,
    /// What it is for.
    pub description: String,
    /// By what else it is found.
    pub labels: Labels,
    /// The id of the version that it offers; none before the first is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// That version's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
    /// How often it has changed; its ETag.
    pub revision: i64,
}

/// What is changed about one.
#[derive(Debug, Clone, Default)]
pub struct ItemChange {
    /// Another description.
    pub description: Option<String>,
    /// Other labels, in the place of all.
    pub labels: Option<Labels>,
}

/// What is looked for. What is not given doesn't matter.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// In this catalog.
    pub catalog: Option<String>,
    /// With this text in the name or description, in capitals or small letters.
    pub text: Option<String>,
    /// With this label: a name and a value.
    pub label: Option<(String, String)>,
}

const SELECT: &str = "SELECT items.id, items.catalog, catalogs.tenant, items.name, items.kind, items.description, items.labels, \
                      items.current, versions.label AS version, items.created, items.revision FROM items \
                      JOIN catalogs ON catalogs.id = items.catalog LEFT JOIN versions ON versions.id = items.current";

impl Item {
    fn read(row: &SqliteRow) -> Self {
        let (kind, labels): (String, String) = (row.get("kind"), row.get("labels"));
        Self {
            id: row.get("id"),
            catalog: row.get("catalog"),
            tenant: row.get("tenant"),
            name: row.get("name"),
            kind: Sort::of(&kind),
            description: row.get("description"),
            labels: serde_json::from_str(&labels).unwrap_or_default(),
            current: row.get("current"),
            version: row.get("version"),
            created: Moment(row.get("created")),
            revision: row.get("revision"),
        }
    }

    /// What is wrong with labels; nothing if they may be.
    pub fn fault(labels: &Labels) -> Option<String> {
        if labels.len() > LABELS {
            return Some(format!("an item has {LABELS} labels at most"));
        }
        labels.iter().find_map(|(name, value)| {
            if Name::try_from(name.clone()).is_err() {
                return Some(format!("'{name}' can't be the name of a label"));
            }
            (value.chars().count() > LONGEST || value.chars().any(char::is_control)).then(|| {
                format!("the label '{name}' has {LONGEST} characters at most, and none that controls")
            })
        })
    }

    /// The catalog's item of a name, made where it is not there.
    ///
    /// # Errors
    /// [`Kind::Taken`] where it is there and of another kind, [`Kind::Ceiling`] where there are too many.
    pub async fn named(
        db: &mut Transaction<'_, Sqlite>,
        catalog: &Catalog,
        name: &Name,
        kind: Sort,
        now: Moment,
    ) -> Result<Self> {
        let statement = format!("{SELECT} WHERE items.catalog = $1 AND items.name = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&catalog.id)
            .bind(name.as_str())
            .fetch_optional(&mut **db)
            .await?;
        if let Some(item) = row.as_ref().map(Self::read) {
            return match item.kind == kind {
                true => Ok(item),
                false => Err(Error::new(
                    Kind::Taken,
                    format!("item {name}"),
                    format!("is a {}", item.kind.as_str()),
                )),
            };
        }
        let row = sqlx::query("SELECT COUNT(*) AS count FROM items WHERE catalog = $1")
            .bind(&catalog.id)
            .fetch_one(&mut **db)
            .await?;
        if row.get::<i64, _>("count") >= ITEMS {
            let reason = format!("has {ITEMS} items, and takes no more");
            return Err(Error::new(
                Kind::Ceiling,
                format!("catalog {}", catalog.name),
                reason,
            ));
        }
        let item = Self {
            id: Uuid::new_v4().to_string(),
            catalog: catalog.id.clone(),
            tenant: catalog.tenant.clone(),
            name: name.to_string(),
            kind,
            description: String::new(),
            labels: Labels::new(),
            current: None,
            version: None,
            created: now,
            revision: 1,
        };
        let statement = "INSERT INTO items (id, catalog, name, kind, description, labels, created, revision) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(statement)
            .bind(&item.id)
            .bind(&item.catalog)
            .bind(&item.name)
            .bind(item.kind.as_str())
            .bind(&item.description)
            .bind("{}")
            .bind(item.created.0)
            .bind(item.revision)
            .execute(&mut **db)
            .await?;
        Ok(item)
    }

    /// Those that a principal sees and looks for, by id, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        search: &Search,
        after: &str,
        most: u32,
    ) -> Result<Vec<Self>> {
        let statement = format!(
            "{SELECT} WHERE items.id > $1 AND ($2 IS NULL OR catalogs.tenant = $2) AND ($3 IS NULL OR items.catalog = $3) \
             AND ($4 IS NULL OR LOWER(items.name) LIKE $4 ESCAPE '!' OR LOWER(items.description) LIKE $4 ESCAPE '!') \
             AND ($5 IS NULL OR EXISTS (SELECT 1 FROM item_labels WHERE item = items.id AND item_labels.name = $5 AND value = $6)) \
             ORDER BY items.id LIMIT $7"
        );
        let (name, value) = search.label.clone().unzip();
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(after)
            .bind(&seen_by.tenant)
            .bind(&search.catalog)
            .bind(search.text.as_deref().map(pattern))
            .bind(name)
            .bind(value)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        Ok(rows.iter().map(Self::read).collect())
    }

    /// The one of an id, if the principal sees it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(
        db: &mut Transaction<'_, Sqlite>,
        seen_by: &Principal,
        id: &str,
    ) -> Result<Option<Self>> {
        let statement = format!("{SELECT} WHERE items.id = $1 AND ($2 IS NULL OR catalogs.tenant = $2)");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id)
            .bind(&seen_by.tenant)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// Changes it, if it is still as it was read.
    ///
    /// # Errors
    /// [`Kind::Changed`].
    pub async fn change(&self, db: &mut Transaction<'_, Sqlite>, change: ItemChange) -> Result<Self> {
        let description = change.description.unwrap_or_else(|| self.description.clone());
        let labels = change.labels.unwrap_or_else(|| self.labels.clone());
        let text = serde_json::to_string(&labels).unwrap_or_default();
        let is_described = description != self.description;
        let statement = "UPDATE items SET description = $1, labels = $2, revision = revision + 1, described = described + $5 \
                         WHERE id = $3 AND revision = $4";
        let changed = sqlx::query(statement)
            .bind(&description)
            .bind(text)
            .bind(&self.id)
            .bind(self.revision)
            .bind(i64::from(is_described))
            .execute(&mut **db)
            .await?;
        self.was_changed(changed.rows_affected())?;
        if is_described {
            current::has_changed(db, &self.id).await?;
        }
        sqlx::query("DELETE FROM item_labels WHERE item = $1")
            .bind(&self.id)
            .execute(&mut **db)
            .await?;
        for (name, value) in &labels {
            sqlx::query("INSERT INTO item_labels (item, name, value) VALUES ($1, $2, $3)")
                .bind(&self.id)
                .bind(name)
                .bind(value)
                .execute(&mut **db)
                .await?;
        }
        Ok(Self {
            description,
            labels,
            revision: self.revision + 1,
            ..self.clone()
        })
    }

    /// Removes it, if it is still as it was read and has no versions.
    ///
    /// # Errors
    /// [`Kind::Changed`], [`Kind::Unknown`] while it has versions.
    pub async fn delete(&self, db: &mut Transaction<'_, Sqlite>) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM items WHERE id = $1 AND revision = $2")
            .bind(&self.id)
            .bind(self.revision)
            .execute(&mut **db)
            .await?;
        self.was_changed(deleted.rows_affected())
    }

    fn was_changed(&self, rows: u64) -> Result<()> {
        match rows {
            0 => Err(super::changed("item", &self.name)),
            _ => Ok(()),
        }
    }
}

/// What `LIKE` finds a text anywhere by.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_no_pattern_of_its_own() {
        assert_eq!(pattern("50%_A!"), "%50!%!_a!!%");
    }

    #[test]
    fn labels_have_names_and_bounds() {
        let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(Item::fault(&labels("os", "Debian 12")), None);
        for bad in [
            labels("", "a"),
            labels("a b", "a"),
            labels("a", "\n"),
            labels("a", &"a".repeat(257)),
        ] {
            assert!(Item::fault(&bad).is_some(), "{bad:?}");
        }
        let many = (0..=LABELS)
            .map(|number| (format!("l{number}"), String::new()))
            .collect();
        assert!(Item::fault(&many).is_some());
    }
}
