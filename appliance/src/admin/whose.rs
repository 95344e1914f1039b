//! Whose something is: a tenant's, or the provider's own.

use super::connector::Connector;
use super::failure::Result;
use super::resource::Resource;
use super::table::text;

/// What is said in a tenant's place for what is nobody's but the provider's.
pub(crate) const PROVIDER: &str = "provider";

/// A tenant's id by its name or id, or the provider; where nothing was said, whose the user is.
pub(crate) async fn whose(connector: &mut Connector, said: Option<&str>) -> Result<String> {
    match said {
        Some(PROVIDER) => Ok(PROVIDER.to_owned()),
        Some(tenant) => Ok(text(&Resource::TENANT.find(connector, tenant).await?, "id")),
        None => {
            let who = connector.get("/api/v1/session").await?;
            Ok(who["tenant"].as_str().unwrap_or(PROVIDER).to_owned())
        }
    }
}
