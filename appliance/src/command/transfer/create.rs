//! Ordering a transfer.

use std::str::FromStr;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::follow::{finish, summary};
use crate::admin::{Connector, ItemName, Result, number};
use crate::catalog::Label;
use crate::command::Call;
use crate::transfer::Window;

/// Order a transfer
#[derive(Debug, Args)]
pub(in crate::command) struct Create {
    /// Where it is: the node's name or id, the item, and the version if it is not the newest
    #[arg(value_name = "NODE:CATALOG/ITEM[@VERSION]")]
    from: From,
    /// Where it is to be: the node's name or id, and the item if it is called otherwise there
    #[arg(value_name = "NODE[:CATALOG/ITEM]")]
    to: To,
    /// Whose it is, at both ends: a tenant's name; your own tenant's, or the provider's, if not given
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Remove it at the source after the destination's receipt
    #[arg(long = "move", conflicts_with = "dry_run")]
    moves: bool,
    /// Bytes a second at most, also as 10MiB
    #[arg(long, value_name = "BYTES", value_parser = number)]
    rate: Option<u64>,
    /// Connections at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    parallel: Option<u8>,
    /// When to begin, such as 2026-12-24T22:00:00Z; now, if not given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The hours of the day in which bytes move, in UTC
    #[arg(long, value_name = "HH:MM-HH:MM")]
    window: Option<Window>,
    /// By which way: the destination connects to the source, the source to the destination, or both to another node; those there
    /// are in turn, if not given. Where none can be, it is carried: vcc bundle --help
    #[arg(long, value_parser = PossibleValuesParser::new(["auto", "direct", "reversed", "relay", "carried"]))]
    route: Option<String>,
    /// Over this node, its name or id
    #[arg(long, value_name = "NODE")]
    relay: Option<String>,
    /// Only ask what would be moved
    #[arg(long)]
    dry_run: bool,
    /// Follow it to its end; exit code 0 if it is published, 1 if it is refused, 2 if it failed or was stopped
    #[arg(long)]
    follow: bool,
}

/// `NODE:CATALOG/ITEM[@VERSION]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct From {
    node: String,
    item: ItemName,
    version: Option<String>,
}

/// `NODE[:CATALOG/ITEM]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct To {
    node: String,
    item: Option<ItemName>,
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "what is moved is NODE:CATALOG/ITEM[@VERSION]";
        let (node, rest) = text.split_once(':').ok_or(SHAPE)?;
        // Names may have an @ of their own; no version has.
        let (item, version) = match rest.rsplit_once('@') {
            Some((item, version)) => (item, Some(version.to_owned())),
            None => (rest, None),
        };
        if let Some(version) = &version {
            Label::try_from(version.clone())?;
        }
        match node {
            "" => Err(SHAPE),
            node => Ok(Self {
                node: node.to_owned(),
                item: ItemName::whole(item)?,
                version,
            }),
        }
    }
}

impl FromStr for To {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, item) = match text.split_once(':') {
            Some((node, item)) => (node, Some(ItemName::whole(item)?)),
            None => (text, None),
        };
        match node {
            "" => Err("where it is to be is NODE[:CATALOG/ITEM]"),
            node => Ok(Self {
                node: node.to_owned(),
                item,
            }),
        }
    }
}

impl Create {
    pub(super) async fn run(self, call: &Call, connector: &mut Connector) -> Result<()> {
        let follow = self.follow || self.dry_run;
        let transfer = connector.make("/api/v1/transfers", &self.wish()).await?;
        match follow {
            true => finish(call, connector, transfer).await,
            false => call.output.result(&transfer, || summary(&transfer)),
        }
    }

    fn wish(self) -> Value {
        let tenant = self.tenant;
        let place = |name: &ItemName| {
            let mut place = json!({ "catalog": name.catalog, "item": name.item });
            if let Some(tenant) = &tenant {
                place["tenant"] = json!(tenant);
            }
            place
        };
        let mut wish = json!({
            "source": self.from.node,
            "from": place(&self.from.item),
            "destination": self.to.node,
        });
        let fields = [
            ("to", self.to.item.as_ref().map(place)),
            ("version", self.from.version.map(Value::from)),
            ("moves", self.moves.then_some(Value::from(true))),
            ("rate", self.rate.map(Value::from)),
            ("parallel", self.parallel.map(Value::from)),
            ("starts", self.at.map(Value::from)),
            (
                "window",
                self.window.map(|window| Value::from(window.to_string())),
            ),
            // Whoever names a node to go over means that way.
            (
                "route",
                self.route
                    .or_else(|| self.relay.as_ref().map(|_| "relay".to_owned()))
                    .map(Value::from),
            ),
            ("relay", self.relay.map(Value::from)),
            ("dry_run", self.dry_run.then_some(Value::from(true))),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                wish[name] = value;
            }
        }
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_read_as_people_write_them() {
        let from: From = "east:images/a@b@1.0".parse().unwrap();
        assert_eq!(
            (from.node.as_str(), from.item.to_string().as_str()),
            ("east", "images/a@b")
        );
        assert_eq!(from.version.as_deref(), Some("1.0"));
        assert_eq!("east:images/a".parse::<From>().unwrap().version, None);
        let to: To = "west".parse().unwrap();
        assert_eq!((to.node.as_str(), to.item), ("west", None));
        let to: To = "west:edge/b".parse().unwrap();
        assert_eq!(to.item.unwrap().to_string(), "edge/b");
        for wrong in [
            "",
            "east",
            "east:web",
            ":images/web",
            "east:images/web@",
            "east:images/web@-1",
        ] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
        for wrong in ["", ":images/web", "west:web"] {
            assert!(wrong.parse::<To>().is_err(), "{wrong}");
        }
    }
}
