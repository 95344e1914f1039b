//! Tenants do not see, count, name or change what is another's, whatever they ask for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;

use connector::{Answer, Connector, PASSWORD};
use proptest::prelude::*;
use serde_json::json;

const TENANTS: usize = 3;

/// What one tenant has, as its administrator made it.
struct Tenant {
    id: String,
    session: String,
    /// Stands in the name of everything that is its own.
    mark: String,
    /// Paths of its users and tokens, in the order in which they were made.
    own: Vec<String>,
}

#[derive(Debug, Clone)]
enum Deed {
    List(usize),
    Read(usize),
    Change(usize),
    Delete(usize),
    MakeUser(Option<usize>),
    /// With a name that another tenant's user has.
    MakeNamesake(usize),
    MakeToken(usize),
    Page(usize),
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    let any = 0..100usize;
    let tenant = 0..TENANTS;
    let deeds = prop_oneof![
        (0..6usize).prop_map(Deed::List),
        any.clone().prop_map(Deed::Read),
        any.clone().prop_map(Deed::Change),
        any.clone().prop_map(Deed::Delete),
        proptest::option::of(tenant.clone()).prop_map(Deed::MakeUser),
        tenant.clone().prop_map(Deed::MakeNamesake),
        any.clone().prop_map(Deed::MakeToken),
        any.prop_map(Deed::Page),
    ];
    (tenant, deeds)
}

const LISTS: [&str; 6] = [
    "/api/v1/users",
    "/api/v1/tokens",
    "/api/v1/tenants",
    "/api/v1/audit",
    "/api/v1/session",
    "/api/v1/nodes",
];

/// The name of a tenant's first user, which others may hit upon by themselves.
fn clerk(tenant: usize) -> String {
    format!("clerk{tenant}")
}

struct World {
    own: Connector,
    tenants: Vec<Tenant>,
    made: usize,
}

impl World {
    async fn new() -> Self {
        let (own, root) = Connector::set_up().await;
        let mut tenants = Vec::new();
        for index in 0..TENANTS {
            let mark = format!("mark{index}");
            let (id, session) = own.tenant(&root, &mark).await;
            tenants.push(Tenant {
                id,
                session,
                mark,
                own: Vec::new(),
            });
        }
        let mut world = Self {
            own,
            tenants,
            made: 0,
        };
        for index in 0..TENANTS {
            world.make_user(index, None, &clerk(index)).await;
        }
        world
    }

    /// Whatever was answered holds nothing of the other tenants.
    fn check(&self, who: usize, asked: &str, answer: &Answer) {
        let text = format!("{} {:?}", answer.body, answer.fields);
        for (index, other) in self.tenants.iter().enumerate().filter(|(index, _)| *index != who) {
            for trace in [&other.mark, &other.id].into_iter().chain(&other.own) {
                let trace = trace.rsplit('/').next().unwrap();
                assert!(
                    !text.contains(trace),
                    "tenant {who} sees something of {index} in {asked}: {text}"
                );
            }
        }
        assert!(answer.status < 500, "{asked}: {text}");
    }

    /// The path of something, of whomever.
    fn thing(&self, number: usize) -> (usize, String) {
        let all = self.tenants.iter().enumerate();
        let all: Vec<_> = all
            .flat_map(|(index, tenant)| {
                let own = tenant.own.iter().map(move |path| (index, path.clone()));
                own.chain([(index, format!("/api/v1/tenants/{}", tenant.id))])
            })
            .collect();
        all[number % all.len()].clone()
    }

    async fn make_user(&mut self, who: usize, tenant: Option<usize>, name: &str) -> Answer {
        let mut body = json!({ "name": name, "role": "tenant-user", "password": PASSWORD });
        if let Some(tenant) = tenant {
            body["tenant"] = json!(self.tenants[tenant].id);
        }
        let answer = self
            .own
            .post(&self.tenants[who].session, "/api/v1/users", &body)
            .await;
        if answer.status == 201 {
            let path = format!("/api/v1/users/{}", answer.body["id"].as_str().unwrap());
            assert_eq!(
                answer.body["tenant"],
                json!(self.tenants[who].id),
                "it is the maker's"
            );
            self.tenants[who].own.push(path);
        }
        answer
    }

    async fn carry_out(&mut self, who: usize, deed: &Deed) {
        let session = self.tenants[who].session.clone();
        let (asked, answer) = match deed {
            Deed::List(list) => {
                let path = LISTS[*list].to_owned();
                let answer = self.own.get(&session, &path).await;
                (path, answer)
            }
            Deed::Page(number) => {
                // A cursor of another's entry starts a list like any other text.
                let (_, path) = self.thing(*number);
                let cursor = path.rsplit('/').next().unwrap().to_owned();
                let path = format!("{}?limit=2&cursor={cursor}", LISTS[number % 3]);
                let answer = self.own.get(&session, &path).await;
                (path, answer)
            }
            Deed::Read(number) => {
                let (owner, path) = self.thing(*number);
                let answer = self.own.get(&session, &path).await;
                assert!(owner == who || !(200..300).contains(&answer.status), "{path}");
                (path, answer)
            }
            Deed::Change(number) => {
                let (owner, path) = self.thing(*number);
                let patch = json!({ "password": "another good one" });
                let answer = self
                    .own
                    .matching(&session, "PATCH", &path, "\"1\"", Some(&patch))
                    .await;
                assert!(owner == who || !(200..300).contains(&answer.status), "{path}");
                (path, answer)
            }
            Deed::Delete(number) => {
                let (owner, path) = self.thing(*number);
                let answer = self.own.matching(&session, "DELETE", &path, "\"1\"", None).await;
                let is_done = (200..300).contains(&answer.status);
                assert!(owner == who || !is_done, "{path}");
                if is_done {
                    self.tenants[who].own.retain(|known| *known != path);
                }
                (path, answer)
            }
            Deed::MakeUser(tenant) => {
                self.made += 1;
                let name = format!("user{}-{}", self.made, self.tenants[who].mark);
                let answer = self.make_user(who, *tenant, &name).await;
                let is_own = tenant.is_none_or(|tenant| tenant == who);
                assert_eq!(answer.status == 201, is_own, "{}", answer.body);
                (format!("a user of {tenant:?}"), answer)
            }
            Deed::MakeNamesake(other) => {
                let body = json!({ "name": clerk(*other), "role": "tenant-user", "password": PASSWORD });
                let answer = self.own.post(&session, "/api/v1/users", &body).await;
                if answer.status == 201 {
                    let path = format!("/api/v1/users/{}", answer.body["id"].as_str().unwrap());
                    // So that it can be made again.
                    let gone = self.own.matching(&session, "DELETE", &path, "\"1\"", None).await;
                    assert_eq!(gone.status, 204);
                } else {
                    assert_eq!((answer.status, *other), (409, who), "{}", answer.body);
                }
                ("a namesake".to_owned(), answer)
            }
            Deed::MakeToken(number) => {
                let (owner, path) = self.thing(*number);
                let id = path.rsplit('/').next().unwrap();
                let body = json!({ "name": format!("token-{}", self.tenants[who].mark), "scope": ["users:read"], "days": 1, "owner": id });
                let answer = self.own.post(&session, "/api/v1/tokens", &body).await;
                assert!(owner == who || answer.status != 201, "{path}");
                (format!("a token of {path}"), answer)
            }
        };
        self.check(who, &asked, &answer);
    }

    /// What a tenant made and did not delete is there, and as many as it counts.
    async fn check_end(&self) {
        for tenant in &self.tenants {
            for path in &tenant.own {
                assert_eq!(self.own.get(&tenant.session, path).await.status, 200, "{path}");
            }
            let users = self
                .own
                .get(&tenant.session, "/api/v1/users?limit=500")
                .await
                .body;
            assert_eq!(
                users.as_array().unwrap().len(),
                tenant.own.len() + 1,
                "its own and the administrator"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_tenant_learns_of_another_or_changes_what_is_another_s(deeds in proptest::collection::vec(deed(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for (who, deed) in &deeds {
                world.carry_out(*who, deed).await;
            }
            world.check_end().await;
        });
    }
}
