//! Who subscribes: a program that shows a token as the password of HTTP's basic authentication (RFC 7617), for subscribers know
//! nothing else, or as a bearer.
//!
//! The name is not looked at; subscribers send `vcsp`. Sessions of people are no passwords: a subscriber
//! that comes again and again would keep one from its end.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::super::request::{LoggedIn, principal};
use crate::access::{Principal, Right, Secret};
use crate::http::problem::Problem;
use crate::service::Context;

const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"vcc\"");

/// Somebody who may read catalogs.
pub(in super::super) struct Subscriber(pub(super) Principal);

impl FromRequestParts<Arc<Context>> for Subscriber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let shown = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let (scheme, credentials) = shown
            .and_then(|value| value.split_once(' '))
            .ok_or_else(challenge)?;
        let user = match scheme.to_ascii_lowercase().as_str() {
            "basic" => {
                let secret = password(credentials.trim()).ok_or_else(challenge)?;
                principal(context, &secret, true)
                    .await?
                    .filter(|user| !user.is_session)
            }
            "bearer" => principal(context, &Secret::shown(credentials.trim()), true).await?,
            _ => None,
        };
        let user = user.ok_or_else(challenge)?;
        LoggedIn(user).may(Right::ReadCatalogs).map(Self)
    }
}

/// The password of `user:password` in Base64; there may be colons in it, and none in the user's name.
fn password(credentials: &str) -> Option<Secret> {
    let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(Secret::shown(password))
}

fn challenge() -> Problem {
    Problem::UNAUTHENTICATED
        .about("Send the token of a program that may read catalogs as the password, with any name.")
        .with(WWW_AUTHENTICATE, CHALLENGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_password_is_what_follows_the_first_colon(name in "[^:]{0,8}", secret in ".{0,16}") {
            let shown = STANDARD.encode(format!("{name}:{secret}"));
            let password = password(&shown).unwrap();
            prop_assert_eq!(password.reveal(), secret);
        }

        #[test]
        fn whatever_is_shown_makes_no_panic(shown in ".{0,24}") {
            let _ = password(&shown);
        }
    }

    #[test]
    fn what_has_no_colon_or_is_no_base64_is_no_password() {
        for bad in ["", "dmNzcA==", "dmNzcDp4=", "vcsp:x", "/w=="] {
            assert!(password(bad).is_none(), "{bad}");
        }
    }
}
