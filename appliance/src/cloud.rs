//! On a server: clouds, each with the nodes that work in it.

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Moment;
use crate::error::Result;
use crate::node::{Freshness, News, Node, State};

/// A cloud, as its nodes name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cloud {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When its first node was taken in.
    #[schema(value_type = String, format = DateTime)]
    pub created: Moment,
}

/// How a cloud is, by its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CloudStatus)]
pub struct Status {
    /// The best that is known: the news of the node that was heard of last.
    pub status: Freshness,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Moment>,
    /// Its nodes that are taken in.
    pub nodes: Vec<Member>,
}

/// A node of a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Member {
    /// The node's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What was decided about it.
    pub state: State,
    /// How old the news of it are.
    pub status: Freshness,
    /// When it was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Moment>,
}

/// The most nodes whose state is told with their cloud's.
const MEMBERS: u32 = 500;

impl Cloud {
    fn read(row: &SqliteRow) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            created: Moment(row.get("created")),
        }
    }

    /// Makes one of that name, unless there is one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn ensure(db: &mut Transaction<'_, Sqlite>, name: &str, now: Moment) -> Result<()> {
        let statement = "INSERT INTO clouds (id, name, created, revision) VALUES ($1, $2, $3, 1) \
                         ON CONFLICT (name) DO NOTHING";
        sqlx::query(statement)
            .bind(Uuid::new_v4().to_string())
            .bind(name)
            .bind(now.0)
            .execute(&mut **db)
            .await?;
        Ok(())
    }

    /// All, by name, after `after`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(db: &mut Transaction<'_, Sqlite>, after: &str, most: u32) -> Result<Vec<Self>> {
        let statement = "SELECT id, name, created FROM clouds WHERE name > $1 ORDER BY name LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&mut **db)
            .await?;
        Ok(rows.iter().map(Self::read).collect())
    }

    /// The one of an id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<Option<Self>> {
        let row = sqlx::query("SELECT id, name, created FROM clouds WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.as_ref().map(Self::read))
    }

    /// How it is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn status(&self, db: &mut Transaction<'_, Sqlite>, news: News<'_>) -> Result<Status> {
        let nodes = Node::list(db, Some(&self.name), "", MEMBERS, news).await?;
        let taken = |node: &Node| matches!(node.state, State::Active | State::Suspended);
        let nodes: Vec<Node> = nodes.into_iter().filter(taken).collect();
        let active = nodes.iter().filter(|node| node.state == State::Active);
        let seen = active.filter_map(|node| node.seen).max();
        Ok(Status {
            status: Freshness::of(seen, news.now),
            seen,
            nodes: nodes
                .into_iter()
                .map(|node| Member {
                    id: node.id,
                    name: node.name,
                    state: node.state,
                    status: node.status,
                    seen: node.seen,
                })
                .collect(),
        })
    }
}
