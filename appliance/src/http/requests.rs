//! The count of requests by route and status. Routes are our own templates, so that no client can add a series.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The labels of one series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    status: u16,
}

/// Counters of answered requests.
#[derive(Debug, Clone, Default)]
pub struct Requests(Family<Labels, Counter>);

impl Requests {
    /// Counts one request.
    pub fn count(&self, route: String, status: u16) {
        self.0.get_or_create(&Labels { route, status }).inc();
    }

    /// The metric, to be registered.
    pub(crate) fn metric(&self) -> impl prometheus_client::registry::Metric + use<> {
        self.0.clone()
    }
}
