//! `/setup`: the wizard.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::Pages;
use super::form::Form;
use super::layout::{Layout, alert};
use super::login::log_in;
use super::visitor::{Whence, done, elsewhere, keep, reason};
use crate::local::Question;
use crate::role::Role;

/// The network's fields: names as in `network.json`, words, examples.
const NETWORK: [(&str, &str, &str); 8] = [
    ("ip", "IPv4 address and prefix", "DHCP, or 192.0.2.5/24"),
    ("gateway", "IPv4 gateway", "192.0.2.1"),
    ("ip6", "IPv6 address and prefix", "2001:db8::5/64"),
    ("gateway6", "IPv6 gateway", "what routers announce"),
    ("dns", "Name servers, with commas between them", "what DHCP names"),
    (
        "routes",
        "Static routes, with commas between them",
        "198.51.100.0/24 via 192.0.2.3",
    ),
    ("mtu", "MTU", "what the adapter has"),
    ("vlan", "VLAN", "none"),
];

/// What each role is, to whoever chooses one.
const ROLES: [(Role, &str); 3] = [
    (Role::Node, "node: works in one cloud, for its server"),
    (Role::Server, "server: sees and steers all nodes"),
    (Role::Sp, "sp: a service provider's gateway"),
];

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Response {
    match pages.context.setup_code() {
        Some(_) => show(&pages, None, StatusCode::OK, &html! {}),
        None => elsewhere("/"),
    }
}

fn show(pages: &Pages, sent: Option<&Form>, status: StatusCode, alert: &Markup) -> Response {
    let machine = pages.context.machine();
    // What the properties propose stands there until somebody sends the form otherwise.
    let proposed = |name: &str| match name {
        "server" => machine.proposal.server.as_ref().map(ToString::to_string),
        "cloud" => machine.proposal.cloud.as_ref().map(ToString::to_string),
        "node" => machine.proposal.node.as_ref().map(ToString::to_string),
        _ => None,
    };
    let sent = |name: &str| match sent {
        Some(form) => form.text(name).to_owned(),
        None => proposed(name).unwrap_or_default(),
    };
    let host = machine.hostname.to_string();
    let is_open = pages.context.role_is_open();
    let chosen = match sent("role") {
        role if role.is_empty() => pages.context.role().to_string(),
        role => role,
    };
    let content = html! {
        p {
            "This connector has no administrator yet. Compare the certificate's fingerprint at the foot of this page with what \
             the console shows, and what your browser says about the connection, before you type anything."
        }
        (alert)
        form.steps method="post" autocomplete="off" {
            fieldset {
                legend { "Set-up code" }
                label {
                    "Code"
                    input name="code" value=(sent("code")) placeholder="0000-0000-0000" spellcheck="false" required autofocus;
                    small { "It stands on the machine's console; outside an appliance, in the service's log." }
                }
            }
            fieldset {
                legend { "First administrator" }
                label { "Name" input name="name" value=(sent("name")) autocomplete="username" required; }
                label {
                    "Password"
                    input name="password" type="password" minlength="10" autocomplete="new-password" required;
                    small { "10 characters at least." }
                }
                label { "The same again" input name="again" type="password" autocomplete="new-password" required; }
            }
            @if is_open {
                fieldset {
                    legend { "Role" }
                    label {
                        "This connector is a"
                        select name="role" {
                            @for (role, words) in ROLES {
                                option value=(role) selected[chosen == role.as_str()] { (words) }
                            }
                        }
                        small { "It stays that until a factory reset. With another role than " (pages.context.role()) " it starts again." }
                    }
                }
            }
            fieldset {
                legend { "Time" }
                label {
                    "NTP servers"
                    input name="ntp" value=(sent("ntp")) placeholder="ntp1.example ntp2.example";
                    small { "Names or addresses, with spaces between them. Without any, those of the appliance's properties or of DHCP." }
                }
            }
            @if pages.context.is_appliance() {
                fieldset {
                    legend { "Network" }
                    p {
                        "Leave these empty to stay with the appliance's properties. Otherwise this page is found at the new address \
                         a few seconds after the set-up."
                    }
                    @for (name, label, example) in NETWORK {
                        label { (label) input name=(name) value=(sent(name)) placeholder=(example) spellcheck="false"; }
                    }
                }
            }
            @if is_open || pages.context.role() != Role::Server {
                fieldset {
                    legend { "Server" }
                    p {
                        @if is_open { "For a node or sp; a server has none. " }
                        "Leave the code empty to enrol the node later."
                    }
                    label { "Name or address" input name="server" value=(sent("server")) placeholder="server.example:443"; }
                    label {
                        "Enrolment code"
                        input name="enrolment" value=(sent("enrolment")) placeholder="vcc1-..." spellcheck="false";
                        small { "The server's administrator makes one for each node." }
                    }
                    label { "Cloud" input name="cloud" value=(sent("cloud")) placeholder="north"; }
                    label { "The node's name" input name="node" value=(sent("node")) placeholder=(host); }
                }
            }
            button.main { "Set up" }
        }
    };
    Layout::open(pages, "Set up").status(status).page(&content)
}

/// What the API is asked for, or what is wrong with the form.
fn wish(form: &Form, own: Role) -> Result<Value, &'static str> {
    let role = match form.filled("role") {
        Some(role) => role.parse().map_err(|_| "There is no such role.")?,
        None => own,
    };
    if form.exact("password") != form.exact("again") {
        return Err("The two passwords differ.");
    }
    let administrator = json!({ "name": form.text("name"), "password": form.exact("password") });
    let mut wish = json!({ "code": form.text("code"), "administrator": administrator });
    if form.filled("role").is_some() {
        wish["role"] = json!(role);
    }
    if let Some(servers) = form.filled("ntp") {
        let servers: Vec<_> = servers
            .split([' ', ',', '\n', '\r', '\t'])
            .filter(|server| !server.is_empty())
            .collect();
        wish["settings"] = json!({ "ntp": servers });
    }
    if let Some(network) = network(form)? {
        wish["network"] = network;
    }
    let asked = ["server", "enrolment", "cloud"].map(|name| form.filled(name));
    match asked {
        // The server and the cloud can be what the properties propose.
        [_, None, _] => {}
        _ if role == Role::Server => {
            return Err("A server is enrolled nowhere: leave the enrolment code empty.");
        }
        [Some(server), Some(code), Some(cloud)] => {
            wish["enrolment"] = json!({ "server": server, "code": code, "cloud": cloud });
            if let Some(name) = form.filled("node") {
                wish["enrolment"]["name"] = json!(name);
            }
        }
        _ => {
            return Err("An enrolment code takes the server's name or address and the cloud's name.");
        }
    }
    Ok(wish)
}

/// The document `network.json`, if anything of it was filled in. Without an IPv4 address DHCP is asked for one.
fn network(form: &Form) -> Result<Option<Value>, &'static str> {
    let mut document = serde_json::Map::new();
    for (name, ..) in NETWORK {
        let Some(text) = form.filled(name) else { continue };
        let list = |text: &str| json!(text.split(',').map(str::trim).collect::<Vec<_>>());
        let value = match name {
            "dns" | "routes" => list(text),
            "mtu" | "vlan" => {
                let number = text.parse::<u16>();
                json!(number.map_err(|_| "MTU and VLAN are numbers.")?)
            }
            _ => json!(text),
        };
        document.insert(name.to_owned(), value);
    }
    if document.is_empty() {
        return Ok(None);
    }
    if !document.contains_key("ip") {
        document.insert("dhcp".to_owned(), json!(true));
    }
    Ok(Some(document.into()))
}

pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    Whence(peer): Whence,
    form: Form,
) -> Result<Response, Response> {
    let wish = match wish(&form, pages.context.role()) {
        Ok(wish) => wish,
        Err(why) => {
            return Ok(show(
                &pages,
                Some(&form),
                StatusCode::UNPROCESSABLE_ENTITY,
                &alert(why),
            ));
        }
    };
    let question = Question {
        method: Method::POST,
        path: "/api/v1/setup",
        body: Some(&wish),
        peer: peer.clone(),
        ..Question::default()
    };
    let answer = pages.ask(question).await?;
    if answer.status == StatusCode::GONE {
        return Ok(elsewhere("/login"));
    }
    if !answer.status.is_success() {
        return Ok(show(&pages, Some(&form), answer.status, &alert(&reason(&answer))));
    }
    let session = log_in(&pages, peer, form.text("name"), form.exact("password")).await?;
    let restarts = form
        .filled("role")
        .filter(|role| *role != pages.context.role().as_str());
    let next = |place: &str| match restarts {
        Some(role) => starting_again(&pages, role, place),
        None => done(place),
    };
    Ok(match session {
        Ok(token) => (AppendHeaders([keep(&pages, &token)]), next("/")).into_response(),
        Err(_) => next("/login"),
    })
}

/// The connector is set up, and can't be reached for a moment.
fn starting_again(pages: &Pages, role: &str, next: &str) -> Response {
    let content = html! {
        p { "The connector starts again as " strong { (role) } ", which takes some seconds." }
        p { a href=(next) { "Go on" } }
    };
    Layout::open(pages, "Set up").page(&content)
}
