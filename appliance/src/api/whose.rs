//! Whose something is: a tenant's, or the provider's own.

use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use sqlx::{Sqlite, Transaction};

use crate::access::Principal;
use crate::http::problem::Problem;
use crate::tenant::Tenant;

/// What paths and bodies have in the place of a tenant's id for what is nobody's but the provider's.
const PROVIDER: &str = "provider";

/// Whose something is, as a path says.
pub(super) struct Whose(String);

impl<S: Send + Sync> FromRequestParts<S> for Whose {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.extract::<Path<String>>().await;
        path.map(|Path(id)| Self(id)).map_err(|_| Problem::NOT_FOUND)
    }
}

impl Whose {
    /// As a part of a path says.
    pub(super) fn of(said: String) -> Self {
        Self(said)
    }

    /// The tenant's id, none for the provider, if a user sees that.
    pub(super) async fn seen_by(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
    ) -> Result<Option<String>, Problem> {
        if self.0 == PROVIDER {
            return match user.sees(None) {
                true => Ok(None),
                false => Err(Problem::NOT_FOUND),
            };
        }
        let tenant = Tenant::find(db, user, &self.0).await?;
        Ok(Some(tenant.ok_or(Problem::NOT_FOUND)?.id))
    }

    /// Whose what a user makes is to be: its own tenant's, or whosoever the provider says.
    pub(super) fn meant(user: &Principal, said: Option<String>) -> Result<Option<String>, Problem> {
        match (&user.tenant, said) {
            (Some(own), None) => Ok(Some(own.clone())),
            (Some(own), Some(said)) if *own == said => Ok(Some(said)),
            (Some(_), Some(_)) => Err(Problem::INVALID.about("a tenant's user makes what is the tenant's")),
            (None, said) => Ok(said.filter(|said| said != PROVIDER)),
        }
    }
}
