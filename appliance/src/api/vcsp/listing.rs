//! `items.json`, written item by item as its reader takes it: a catalog has 4096 items of 256 files at most, and no room in memory for
//! them all.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;

use super::document::Item;
use crate::catalog::{Catalog, Current};
use crate::error::Result;
use crate::log;
use crate::service::Context;

/// Items that are read from the database at once.
const PAGE: u32 = 8;
/// About so many bytes are sent at once.
const PIECE: usize = 16 << 10;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 1;

/// The document of a catalog as of its version, or what came to it since.
pub(super) fn body(context: &Arc<Context>, catalog: Catalog) -> Body {
    let (sender, body) = Channel::<Bytes, io::Error>::new(AHEAD);
    tokio::spawn(write(Arc::clone(context), catalog, sender));
    Body::new(body)
}

/// Writes until the end, or the reader's. Where something fails the connection is cut: its reader knows that this is not all.
async fn write(context: Arc<Context>, catalog: Catalog, mut sender: Sender<Bytes, io::Error>) {
    let mut text = format!("{{\"version\":\"{}\",\"items\":[", catalog.offered);
    let (mut after, mut is_first) = (String::new(), true);
    loop {
        let page = match page(&context, &catalog, &after).await {
            Ok(page) => page,
            Err(error) => {
                log::error(error.chain());
                sender.abort(io::Error::other(error));
                return;
            }
        };
        for current in &page {
            let item = match serde_json::to_string(&Item::of(current)) {
                Ok(item) => item,
                Err(error) => {
                    log::error(&error);
                    sender.abort(error.into());
                    return;
                }
            };
            if !std::mem::take(&mut is_first) {
                text.push(',');
            }
            text.push_str(&item);
            if text.len() >= PIECE && !send(&mut sender, &mut text).await {
                return;
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = last.item,
            None => break,
        }
    }
    text.push_str("]}");
    send(&mut sender, &mut text).await;
}

async fn page(context: &Context, catalog: &Catalog, after: &str) -> Result<Vec<Current>> {
    let Some(ground) = context.ground() else {
        return Ok(Vec::new());
    };
    let mut db = ground.database.begin().await?;
    Current::list(&mut db, catalog, after, PAGE).await
}

/// Whether the reader is still there.
async fn send(sender: &mut Sender<Bytes, io::Error>, text: &mut String) -> bool {
    let piece = Bytes::from(std::mem::take(text));
    sender.send_data(piece).await.is_ok()
}
