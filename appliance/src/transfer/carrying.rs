//! What people carry between a server and nodes that it may not reach: the grant there, the receipt back.

use sqlx::{Sqlite, Transaction};

use super::dispatch::Dispatch;
use super::{Phase, Route, Row, Signed, Told, vouching};
use crate::error::{Error, Kind, Result};

impl Row {
    /// The grant for people to carry.
    ///
    /// # Errors
    /// [`Kind::Taken`] where it is not for them, not signed yet, or of no use any more.
    pub fn carried_grant(&self) -> Result<&Signed> {
        let is_carried = self.route == Some(Route::Carried {}) && self.state.is_at_destination();
        let not_now = || {
            let reason = format!("it is {}, and nothing of it is to be carried", self.state);
            Error::new(Kind::Taken, "transfers", reason)
        };
        self.grant.as_ref().filter(|_| is_carried).ok_or_else(not_now)
    }
}

impl Dispatch<'_> {
    /// Takes a receipt that somebody brings; the same one again changes nothing.
    ///
    /// # Errors
    /// [`Kind::Taken`] where none is waited for; [`Kind::Mismatch`] for one that is not the destination's for this transfer.
    pub async fn bring_receipt(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        mut row: Row,
        signed: Signed,
    ) -> Result<Row> {
        if row.receipt.as_ref() == Some(&signed) {
            return Ok(row);
        }
        row.carried_grant()?;
        let wrong = |reason| Error::new(Kind::Mismatch, "the receipt", reason);
        let receipt = vouching::check(&row, &signed, self.keys, self.news.now).map_err(wrong)?;
        row.told.get_or_insert_with(|| Told::at(Phase::Granted));
        row.message = receipt
            .refusal
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        // The destination may wait for the bundle still, or not have heard of it at all.
        self.leave(db, &mut row).await?;
        self.take_receipt(db, &mut row, Some(signed)).await?;
        self.keep(db, row).await
    }
}
