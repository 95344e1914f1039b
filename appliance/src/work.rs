//! On a node: the work that its server orders.

mod job;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::error::Result;
use crate::log;
use crate::receiving;
use crate::service::Context;
use crate::task::{Kind, Order, Progress, TELL_EVERY};

/// Between two tries to tell a server that doesn't answer.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Orders that are followed, in the order in which they came: one at a time, and beside it so many versions that come or go as
/// have their turn.
#[derive(Debug)]
pub(crate) struct Work {
    followed: HashMap<String, Followed>,
    turns: Turns,
}

#[derive(Debug)]
struct Turns {
    receiving: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    reaching: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// Versions that come at once.
const RECEIVING: usize = 4;
/// Bundles that are waited for at once: that takes nothing.
const WAITING: usize = 64;
/// Destinations that are reached out to at once.
const REACHING: usize = 8;

impl Turns {
    fn of(&self, order: &Order) -> Arc<Semaphore> {
        Arc::clone(match Kind::named(&order.kind) {
            Some(Kind::Receive) if receiving::is_carried(order.details.as_ref()) => &self.waiting,
            Some(Kind::Receive) => &self.receiving,
            Some(Kind::Reach) => &self.reaching,
            _ => &self.others,
        })
    }
}

#[derive(Debug)]
struct Followed {
    cancel: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            followed: HashMap::new(),
            turns: Turns {
                receiving: Arc::new(Semaphore::new(RECEIVING)),
                waiting: Arc::new(Semaphore::new(WAITING)),
                reaching: Arc::new(Semaphore::new(REACHING)),
                others: Arc::new(Semaphore::new(1)),
            },
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        for followed in self.followed.values() {
            followed.task.abort();
        }
    }
}

impl Work {
    /// Begins what is new, stops what is to be stopped, and forgets what the server no longer speaks of.
    pub(crate) fn follow<C>(&mut self, context: &Arc<Context>, connect: &C, orders: &[Order])
    where
        C: Fn() -> Result<Client> + Send + Sync + Clone + 'static,
    {
        self.followed.retain(|id, followed| {
            let wanted = orders.iter().any(|order| order.id == *id);
            if !wanted {
                followed.task.abort();
            }
            // One that ended and is ordered all the same has not been heard of: it is begun anew.
            wanted && !followed.task.is_finished()
        });
        for order in orders {
            if let Some(followed) = self.followed.get(&order.id) {
                if order.cancel {
                    followed.cancel.send_replace(true);
                }
                continue;
            }
            let (cancel, cancelled) = watch::channel(order.cancel);
            let work = carry_out(
                Arc::clone(context),
                connect.clone(),
                order.clone(),
                cancelled,
                self.turns.of(order),
            );
            let task = tokio::spawn(work);
            self.followed.insert(order.id.clone(), Followed { cancel, task });
        }
    }
}

async fn carry_out<C>(
    context: Arc<Context>,
    connect: C,
    order: Order,
    mut cancelled: watch::Receiver<bool>,
    turns: Arc<Semaphore>,
) where
    C: Fn() -> Result<Client> + Send + Sync,
{
    let Ok(_turn) = turns.acquire().await else { return };
    let (progress, told) = watch::channel(job::beginning());
    let telling = tell(&connect, &order.id, told);
    let doing = async {
        let end = tokio::select! {
            end = job::run(&context, &order, &progress) => Some(end),
            () = is_true(&mut cancelled) => None,
        };
        let end = match end {
            Some(end) => end,
            None => {
                let at = progress.borrow().clone();
                job::stopped(&context, &order, at).await
            }
        };
        progress.send_replace(end);
        drop(progress);
    };
    tokio::join!(telling, doing);
}

fn is_for_another_try(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
}

async fn is_true(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Tells how it goes, and in the end, until the server has heard it, how it went.
async fn tell<C>(connect: &C, id: &str, mut told: watch::Receiver<Progress>)
where
    C: Fn() -> Result<Client> + Send + Sync,
{
    let path = format!("/api/v1/tasks/{id}/progress");
    let mut client = None;
    loop {
        let progress = told.borrow_and_update().clone();
        let has_ended = progress.state.has_ended();
        if client.is_none() {
            client = connect().ok();
        }
        let answer = match &mut client {
            Some(client) => client.ask(Method::POST, &path, None, Some(&progress)).await.ok(),
            None => None,
        };
        match answer {
            Some(answer) if answer.status.is_success() && !has_ended => sleep(TELL_EVERY).await,
            // It is heard, or nobody wants to know. A node that isn't taken may have another certificate for the next try; when it
            // is sent away for good, its work ends with it.
            Some(answer)
                if answer.status.is_success()
                    || (answer.status.is_client_error() && !is_for_another_try(answer.status)) =>
            {
                if !answer.status.is_success() {
                    log::warn(format_args!(
                        "the server takes nothing about task {id}: {}",
                        answer.code()
                    ));
                }
                return;
            }
            _ => {
                client = None;
                sleep(TELL_AGAIN).await;
                continue;
            }
        }
        // A task that stands still is told of now and then, so that nobody takes it for dead.
        let _ = timeout(TELL_AGAIN, told.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bundle_that_is_waited_for_keeps_no_other_version_from_coming() {
        let work = Work::default();
        let turns = &work.turns;
        let order = |route: &str| {
            let grant = json!({ "document": "", "signature": "", "certificate": "" });
            Order {
                id: "1".to_owned(),
                kind: "receive".to_owned(),
                details: Some(json!({ "grant": grant, "route": { "kind": route } })),
                cancel: false,
            }
        };
        assert!(Arc::ptr_eq(&turns.of(&order("carried")), &turns.waiting));
        assert!(Arc::ptr_eq(&turns.of(&order("reversed")), &turns.receiving));
    }
}
