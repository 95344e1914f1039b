//! `/metrics` in the Prometheus text format (OpenMetrics 1.0).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use crate::check::Check;
use crate::file;
use crate::product::PROGRAM_VERSION;
use crate::role::Role;
use crate::service::{Context, View};
use crate::timekeeping;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn scrape(State(context): State<Arc<Context>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry(&context)) {
        Ok(()) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Everything as it is now. Made anew for each scrape: only the count of requests lives longer.
fn registry(context: &Context) -> Registry {
    let view = context.view();
    let mut registry = Registry::default();
    process(&mut registry, context);
    supervisor(&mut registry, context);
    machine(&mut registry, &view);
    clock(&mut registry, context);
    syslog(&mut registry, context);
    connections(&mut registry, context);
    relays(&mut registry, context);
    registry.register(
        "vcc_check_status",
        "Outcome of each check: 0 pass, 1 warn, 2 fail",
        checks(&view.checks),
    );
    registry.register(
        "vcc_http_requests",
        "Answered requests",
        context.requests().metric(),
    );
    registry
}

fn process(registry: &mut Registry, context: &Context) {
    let labels = vec![
        ("version", PROGRAM_VERSION.to_owned()),
        ("role", context.role().to_string()),
    ];
    registry.register("vcc_build", "The program and its role", Info::new(labels));
    registry.register(
        "vcc_uptime_seconds",
        "Seconds since the service started",
        ConstGauge::new(context.uptime().as_secs_f64()),
    );
    if let Some(bytes) = resident("self") {
        registry.register(
            "process_resident_memory_bytes",
            "Resident memory of the service",
            ConstGauge::new(bytes),
        );
    }
}

/// PID 1, where that is ours.
fn supervisor(registry: &mut Registry, context: &Context) {
    if let Some(bytes) = resident("1").filter(|_| context.is_appliance()) {
        registry.register(
            "vcc_init_resident_memory_bytes",
            "Resident memory of PID 1",
            ConstGauge::new(bytes),
        );
    }
}

fn machine(registry: &mut Registry, view: &View) {
    registry.register(
        "vcc_boots",
        "Starts of this machine",
        ConstCounter::new(view.boots),
    );
    registry.register(
        "vcc_service_restarts",
        "Deaths of the service since the machine started",
        ConstCounter::new(view.machine.service_restarts),
    );
    let watchdogs = Family::<[(&str, String); 1], Gauge>::default();
    for name in &view.machine.watchdogs {
        watchdogs.get_or_create(&[("identity", name.clone())]).set(1);
    }
    registry.register("vcc_watchdog", "Watchdogs that guard this machine", watchdogs);
    if let Some(space) = view.space {
        registry.register(
            "vcc_state_available_bytes",
            "Room left for the state",
            ConstGauge::new(space.available),
        );
        registry.register(
            "vcc_state_size_bytes",
            "Room for the state",
            ConstGauge::new(space.total),
        );
    }
}

fn clock(registry: &mut Registry, context: &Context) {
    let status = context.timekeeping().status();
    let state = status.state(OffsetDateTime::now_utc());
    registry.register(
        "vcc_clock_synchronized",
        "1 while the clock was compared with a source and is within half a second of it",
        ConstGauge::new(u64::from(state == timekeeping::State::Synchronized)),
    );
    if let Some(last) = status.last() {
        registry.register(
            "vcc_clock_offset_seconds",
            "What the clock lacked when it was last compared",
            ConstGauge::new(last.offset.as_seconds_f64()),
        );
        registry.register(
            "vcc_clock_compared_timestamp_seconds",
            "When the clock was last compared",
            ConstGauge::new(last.at.unix_timestamp()),
        );
    }
}

fn syslog(registry: &mut Registry, context: &Context) {
    let status = context.forwarding().status();
    if !status.is_wanted() {
        return;
    }
    registry.register(
        "vcc_syslog_messages",
        "Messages sent to the syslog server",
        ConstCounter::new(status.sent),
    );
    registry.register(
        "vcc_syslog_messages_dropped",
        "Messages dropped because the syslog server took too few",
        ConstCounter::new(status.dropped),
    );
}

fn connections(registry: &mut Registry, context: &Context) {
    let connections = context.connections();
    registry.register(
        "vcc_http_connections",
        "Open connections",
        ConstGauge::new(u64::try_from(connections.open()).unwrap_or(u64::MAX)),
    );
    registry.register(
        "vcc_http_connections_evicted",
        "Idle connections closed to make room",
        ConstCounter::new(connections.evicted()),
    );
    registry.register(
        "vcc_http_connections_refused",
        "Connections refused because all others were busy",
        ConstCounter::new(connections.refused()),
    );
}

/// What a node passes on between others.
fn relays(registry: &mut Registry, context: &Context) {
    let Some(ground) = context.ground().filter(|_| context.role() != Role::Server) else {
        return;
    };
    registry.register(
        "vcc_relay_connections",
        "Connections of other nodes that are passed on",
        ConstGauge::new(u64::try_from(ground.relays.open()).unwrap_or(u64::MAX)),
    );
    registry.register(
        "vcc_relay_bytes",
        "Bytes passed on between other nodes",
        ConstCounter::new(ground.relays.bytes()),
    );
}

fn checks(checks: &[Check]) -> Family<[(&'static str, String); 1], Gauge> {
    let family = Family::<[(&str, String); 1], Gauge>::default();
    for check in checks {
        let labels = [("name", check.name.clone())];
        family.get_or_create(&labels).set(check.status as i64);
    }
    family
}

/// A process's resident memory in bytes, after proc(5).
fn resident(process: &str) -> Option<u64> {
    let statm = file::text(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
