//! Who a node is at each request: whether it is let in by the certificate that it shows.

use sqlx::{Row as _, Sqlite, Transaction};

use super::{Node, State, ahead};
use crate::authority::{KeyDigest, NodeCertificate};
use crate::clock::Moment;
use crate::error::Result;

/// Whether a node is let in by the certificate that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is one of the server's.
    Granted,
    /// It is suspended.
    Suspended,
    /// It was sent away, or waits for a decision.
    Revoked,
    /// The server's authority made the certificate, and the server has no such node.
    Unknown,
    /// It is one of the server's, and the certificate has ended, if the server's clock is right.
    Expired,
    /// It is one of the server's, and has used another certificate in the place of this one.
    Replaced,
    /// The server's authority made the certificate, and the server doesn't know of it: it has lost what it knew.
    Unexplained,
}

/// Lets a node in by a certificate that was made for it.
///
/// `authority` is the key that signed it, if that is known.
pub(super) async fn know(
    db: &mut Transaction<'_, Sqlite>,
    certificate: &NodeCertificate,
    authority: Option<KeyDigest>,
) -> Result<()> {
    let node = certificate.node.to_string();
    let statement = "INSERT INTO certificates (serial, number, node, key, begins, expires, authority) VALUES ($1, \
         (SELECT COALESCE(MAX(number), 0) + 1 FROM certificates WHERE node = $2), $2, $3, $4, $5, $6)";
    sqlx::query(statement)
        .bind(&certificate.serial)
        .bind(&node)
        .bind(certificate.key.to_string())
        .bind(certificate.begins.0)
        .bind(certificate.expires.0)
        .bind(authority.map(String::from).unwrap_or_default())
        .execute(&mut **db)
        .await?;
    sqlx::query("UPDATE nodes SET expires = $1 WHERE id = $2")
        .bind(certificate.expires.0)
        .bind(&node)
        .execute(&mut **db)
        .await?;
    Ok(())
}

impl Node {
    /// Whether a node is let in by a certificate of our authority's. With the first use of the certificate that it was given last,
    /// the one before is void.
    ///
    /// # Errors
    /// The database fails.
    pub async fn admit(
        db: &mut Transaction<'_, Sqlite>,
        shown: &NodeCertificate,
        now: Moment,
    ) -> Result<Admission> {
        let node = shown.node.to_string();
        let statement = "SELECT state, (SELECT MAX(begins) FROM certificates WHERE node = id) AS newest, \
                         (SELECT MAX(number) FROM certificates WHERE node = id) AS last, \
                         (SELECT COUNT(*) FROM certificates WHERE node = id) AS many, \
                         (SELECT number FROM certificates WHERE node = id AND serial = $2) AS number \
                         FROM nodes WHERE id = $1";
        let row = sqlx::query(statement)
            .bind(&node)
            .bind(&shown.serial)
            .fetch_optional(&mut **db)
            .await?;
        let Some(row) = row else {
            return Ok(Admission::Unknown);
        };
        match row.get::<String, _>("state").parse()? {
            State::Active if now >= shown.expires => return Ok(Admission::Expired),
            State::Active => {}
            State::Suspended => return Ok(Admission::Suspended),
            State::Pending | State::Revoked => return Ok(Admission::Revoked),
        }
        let number: Option<i64> = row.get("number");
        let newest: Option<i64> = row.get("newest");
        if number.is_none() {
            // Our authority made it. If that was after all that we know of, our state is an older one.
            if newest.is_some_and(|newest| shown.begins.0 <= newest) {
                return Ok(Admission::Replaced);
            }
            if newest.is_none() || !ahead::is_expected(db, &node).await? {
                return Ok(Admission::Unexplained);
            }
            know(db, shown, None).await?;
        }
        let is_the_last = number == row.get("last");
        if number.is_none() || (is_the_last && row.get::<i64, _>("many") > 1) {
            sqlx::query("DELETE FROM certificates WHERE node = $1 AND serial <> $2")
                .bind(&node)
                .bind(&shown.serial)
                .execute(&mut **db)
                .await?;
            sqlx::query("UPDATE nodes SET key = $1 WHERE id = $2")
                .bind(shown.key.to_string())
                .bind(&node)
                .execute(&mut **db)
                .await?;
        }
        Ok(Admission::Granted)
    }
}

impl NodeCertificate {
    /// The key that signed it, if that is known.
    ///
    /// # Errors
    /// The database fails.
    pub async fn signer(&self, db: &mut Transaction<'_, Sqlite>) -> Result<Option<KeyDigest>> {
        let row = sqlx::query("SELECT authority FROM certificates WHERE serial = $1")
            .bind(&self.serial)
            .fetch_optional(&mut **db)
            .await?;
        Ok(row.and_then(|row| row.get::<String, _>("authority").try_into().ok()))
    }
}
