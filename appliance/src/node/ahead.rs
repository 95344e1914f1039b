//! Nodes that know more than their server: its state was restored from a backup, and they went on meanwhile.
//!
//! Whoever restores a server's state writes down its nodes. Each of them may once come with a number that the server had not agreed
//! on, or with a certificate that it doesn't know it made. Without that nothing explains such a node, and it is not taken.

use sqlx::{Sqlite, Transaction};

use super::State;
use crate::clock::Moment;
use crate::error::Result;

/// What a setting's name begins with; the node's id follows.
const PREFIX: &str = "ahead:";

/// Expects the nodes that are taken in now to have gone on meanwhile.
///
/// # Errors
/// The database fails.
pub async fn expect(db: &mut Transaction<'_, Sqlite>, now: Moment) -> Result<()> {
    let statement = "INSERT INTO settings (name, value) SELECT $1 || id, $2 FROM nodes WHERE state = $3 \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(statement)
        .bind(PREFIX)
        .bind(now.to_string())
        .bind(State::Active.as_str())
        .execute(&mut **db)
        .await?;
    Ok(())
}

/// Whether a node has yet to come for the first time since.
pub(super) async fn is_expected(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<bool> {
    let name = format!("{PREFIX}{id}");
    Ok(crate::database::setting(db, &name).await?.is_some())
}

/// It has come: from now on it is one as all others.
pub(super) async fn has_come(db: &mut Transaction<'_, Sqlite>, id: &str) -> Result<()> {
    crate::database::unset(db, &format!("{PREFIX}{id}")).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Keys, NodeCertificate};
    use crate::configuration::Report;
    use crate::database::Database;
    use crate::node::{Admission, Heartbeat, News, Node, Seen, Sign};
    use rcgen::{CertificateParams, KeyPair};
    use uuid::Uuid;

    const NOW: Moment = Moment(1_790_000_000_000);

    async fn database(id: &str, state: State) -> Database {
        let database = Database::in_memory().await.unwrap();
        let statement = "INSERT INTO nodes (id, name, cloud, state, code, key, request, poll, requested, version, counter, nonce, \
                         revision) VALUES ($1, 'n', 'c', $2, '', '', '', '', 0, '', 7, '', 1)";
        let insert = sqlx::query(statement).bind(id).bind(state.as_str());
        insert.execute(database.pool()).await.unwrap();
        database
    }

    async fn beat(db: &mut Transaction<'_, Sqlite>, id: &str, counter: i64) -> Sign {
        let sign = Heartbeat {
            counter,
            advance: true,
            nonce: format!("nonce {counter}"),
            version: String::new(),
            configuration: Report::default(),
            authorities: Vec::new(),
            wait: 0,
            endpoint: None,
            port: None,
        };
        let seen = Seen::default();
        let news = News {
            seen: &seen,
            now: NOW,
        };
        Node::beat(db, id, &sign, news).await.unwrap()
    }

    #[tokio::test]
    async fn a_number_that_was_forgotten_is_taken_once_and_one_of_the_past_never() {
        let id = Uuid::new_v4().to_string();
        let database = database(&id, State::Active).await;
        let mut db = database.begin().await.unwrap();
        assert_eq!(beat(&mut db, &id, 9).await, Sign::Unexplained { is_new: true });
        assert_eq!(beat(&mut db, &id, 9).await, Sign::Unexplained { is_new: false });
        expect(&mut db, NOW).await.unwrap();
        assert_eq!(beat(&mut db, &id, 9).await, Sign::Ahead(10));
        // It asks again where the answer was lost.
        assert_eq!(beat(&mut db, &id, 9).await, Sign::Taken(10));
        assert_eq!(beat(&mut db, &id, 12).await, Sign::Unexplained { is_new: true });
        assert_eq!(beat(&mut db, &id, 10).await, Sign::Taken(11));
        expect(&mut db, NOW).await.unwrap();
        assert_eq!(beat(&mut db, &id, 8).await, Sign::Past);
    }

    #[tokio::test]
    async fn a_certificate_that_was_forgotten_is_taken_of_those_that_were_taken_in_when_it_was_restored() {
        let keys = Database::in_memory().await.unwrap();
        let keys = Keys::open(&mut keys.begin().await.unwrap(), NOW).await.unwrap();
        let certificate = |node: Uuid, hours: u64| -> NodeCertificate {
            let key = KeyPair::generate().unwrap();
            let template = CertificateParams::new(Vec::new()).unwrap();
            let request = template.serialize_request(&key).unwrap();
            let at = NOW.after(std::time::Duration::from_secs(hours * 3600));
            keys.current.certify(request.der(), node, at).unwrap().1
        };
        let later = NOW.after(std::time::Duration::from_secs(90 * 3600));
        for (state, admitted) in [
            (State::Active, Admission::Granted),
            (State::Suspended, Admission::Suspended),
            (State::Revoked, Admission::Revoked),
        ] {
            let node = Uuid::new_v4();
            let database = database(&node.to_string(), state).await;
            let mut db = database.begin().await.unwrap();
            let (known, forgotten) = (certificate(node, 2), certificate(node, 3));
            crate::node::admission::know(&mut db, &known, None).await.unwrap();
            let before = Node::admit(&mut db, &forgotten, later).await.unwrap();
            assert_ne!(before, Admission::Granted);
            expect(&mut db, NOW).await.unwrap();
            let older = certificate(node, 1);
            assert_eq!(
                Node::admit(&mut db, &older, later).await.unwrap(),
                match state {
                    State::Active => Admission::Replaced,
                    _ => admitted,
                }
            );
            assert_eq!(Node::admit(&mut db, &forgotten, later).await.unwrap(), admitted);
            if state == State::Active {
                // It is known now, and once it has come it is the last.
                beat(&mut db, &node.to_string(), 7).await;
                assert_eq!(Node::admit(&mut db, &forgotten, later).await.unwrap(), admitted);
                let next = certificate(node, 4);
                assert_eq!(
                    Node::admit(&mut db, &next, later).await.unwrap(),
                    Admission::Unexplained
                );
            }
        }
    }
}
