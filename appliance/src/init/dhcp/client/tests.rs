use super::*;
use proptest::prelude::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);
const LEASE: u32 = 3600;

fn client() -> Client {
    Client::new([2, 0, 0, 0, 0, 1], Hostname::default(), || 7)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sent(actions: &[Action]) -> (Ipv4Addr, &Message) {
    match actions {
        [.., Action::Send { to, message }] => (*to, message),
        _ => panic!("nothing was sent: {actions:?}"),
    }
}

/// A server's answer to the last message sent.
fn answer(actions: &[Action], kind: MessageKind) -> Message {
    let mut message = sent(actions).1.clone();
    message.reply = true;
    message.yours = ADDRESS;
    message.options = Options::new(kind);
    message.options.server = Some(SERVER);
    message.options.lease = Some(LEASE);
    message
}

fn bound() -> Client {
    let mut client = client();
    let discover = client.on_time(seconds(0));
    let request = client.on_message(seconds(1), &answer(&discover, MessageKind::Offer));
    let bound = client.on_message(seconds(2), &answer(&request, MessageKind::Ack));
    assert!(matches!(&bound[..], [Action::Configure(lease)] if lease.address == ADDRESS));
    client
}

#[test]
fn discover_offer_request_ack_gives_the_address() {
    let mut client = client();
    let discover = client.on_time(seconds(0));
    let (to, message) = sent(&discover);
    assert_eq!((to, message.broadcast), (Ipv4Addr::BROADCAST, true));
    let request = client.on_message(seconds(1), &answer(&discover, MessageKind::Offer));
    let (_, message) = sent(&request);
    assert_eq!(message.options.kind, MessageKind::Request);
    assert_eq!(
        (message.options.requested, message.options.server),
        (Some(ADDRESS), Some(SERVER))
    );
    let bound = client.on_message(seconds(2), &answer(&request, MessageKind::Ack));
    assert!(matches!(&bound[..], [Action::Configure(_)]));
    assert_eq!(client.deadline(), seconds(1800));
}

#[test]
fn without_an_answer_waits_grow_to_a_minute() {
    let mut client = client();
    let mut waits = Vec::new();
    for _ in 0..7 {
        let now = client.deadline();
        sent(&client.on_time(now));
        waits.push((client.deadline() - now).as_secs());
    }
    assert_eq!(waits, [3, 7, 15, 31, 63, 63, 63]);
}

#[test]
fn an_offer_that_is_never_acknowledged_is_given_up() {
    let mut client = client();
    let discover = client.on_time(seconds(0));
    client.on_message(seconds(1), &answer(&discover, MessageKind::Offer));
    let kinds: Vec<_> = (0..TRIES)
        .map(|_| sent(&client.on_time(client.deadline())).1.options.kind)
        .collect();
    assert_eq!(kinds.last(), Some(&MessageKind::Discover));
    assert_eq!(kinds[0], MessageKind::Request);
}

#[test]
fn the_lease_is_renewed_with_its_server_then_with_anyone_then_lost() {
    let mut client = bound();
    let renewal = client.on_time(seconds(1800));
    let (to, message) = sent(&renewal);
    assert_eq!((to, message.client, message.broadcast), (SERVER, ADDRESS, false));
    assert_eq!((message.options.requested, message.options.server), (None, None));
    let rebinding = client.on_time(seconds(3150));
    assert_eq!(sent(&rebinding).0, Ipv4Addr::BROADCAST);
    let lost = client.on_time(seconds(3600));
    assert_eq!(lost[0], Action::Deconfigure);
    assert_eq!(sent(&lost).1.options.kind, MessageKind::Discover);
}

#[test]
fn a_renewed_lease_counts_from_then() {
    let mut client = bound();
    let renewal = client.on_time(seconds(1800));
    let kept = client.on_message(seconds(1801), &answer(&renewal, MessageKind::Ack));
    assert!(matches!(&kept[..], [Action::Configure(_)]));
    assert_eq!(client.deadline(), seconds(1801 + 1800));
}

#[test]
fn a_refused_address_is_given_up_and_asked_for_anew() {
    let mut client = bound();
    let renewal = client.on_time(seconds(1800));
    let refused = client.on_message(seconds(1801), &answer(&renewal, MessageKind::Nak));
    assert_eq!(refused, [Action::Deconfigure]);
    let next = client.on_time(client.deadline());
    assert_eq!(sent(&next).1.options.kind, MessageKind::Discover);
}

#[test]
fn a_server_that_refuses_for_ever_is_asked_less_and_less() {
    let mut client = client();
    let mut now = seconds(0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let discover = client.on_time(now);
        let request = client.on_message(now, &answer(&discover, MessageKind::Offer));
        client.on_message(now, &answer(&request, MessageKind::Nak));
        waits.push((client.deadline() - now).as_secs());
        now = client.deadline();
    }
    assert_eq!(waits, [0, 1, 3, 7, 15, 31, 63, 63]);
}

#[test]
fn a_link_that_returns_verifies_the_address() {
    let mut client = bound();
    let reboot = client.on_link(seconds(100));
    let (_, message) = sent(&reboot);
    assert_eq!(
        (message.options.requested, message.options.server),
        (Some(ADDRESS), None)
    );
    let refused = client.on_message(seconds(101), &answer(&reboot, MessageKind::Nak));
    assert_eq!(refused, [Action::Deconfigure]);
}

#[test]
fn a_link_that_returns_without_a_server_keeps_the_address() {
    let mut client = bound();
    client.on_link(seconds(100));
    for _ in 0..TRIES {
        let actions = client.on_time(client.deadline());
        assert!(!actions.contains(&Action::Deconfigure));
    }
    assert_eq!(client.deadline(), seconds(1800));
}

#[test]
fn strangers_cannot_answer() {
    let mut client = client();
    let discover = client.on_time(seconds(0));
    let offer = answer(&discover, MessageKind::Offer);
    let transaction = Message {
        transaction: 8,
        ..offer.clone()
    };
    let hardware = Message {
        hardware: [3; 6],
        ..offer.clone()
    };
    let request = Message {
        reply: false,
        ..offer
    };
    for message in [transaction, hardware, request] {
        assert!(client.on_message(seconds(1), &message).is_empty());
    }
}

#[test]
fn another_servers_word_does_not_count_for_an_offer() {
    let mut client = client();
    let discover = client.on_time(seconds(0));
    let request = client.on_message(seconds(1), &answer(&discover, MessageKind::Offer));
    for kind in [MessageKind::Ack, MessageKind::Nak] {
        let mut message = answer(&request, kind);
        message.options.server = Some(Ipv4Addr::new(192, 0, 2, 66));
        assert!(client.on_message(seconds(2), &message).is_empty(), "{kind:?}");
    }
}

proptest! {
    #[test]
    fn whatever_a_server_says_the_client_sends_at_most_once_a_second_for_long(
        answers in proptest::collection::vec((0_u8..4, any::<u32>(), any::<u32>()), 1..200),
    ) {
        let mut client = client();
        let mut now = Duration::ZERO;
        let mut count = 0_u64;
        for (kind, lease, address) in answers {
            now = now.max(client.deadline());
            let actions = client.on_time(now);
            count += 1;
            let Some(Action::Send { message, .. }) = actions.last() else { continue };
            let mut reply = (**message).clone();
            reply.reply = true;
            reply.yours = address.into();
            reply.options = Options::new(match kind {
                0 => MessageKind::Offer,
                1 => MessageKind::Ack,
                2 => MessageKind::Nak,
                _ => MessageKind::Release,
            });
            reply.options.lease = Some(lease);
            reply.options.server = Some(SERVER);
            client.on_message(now, &reply);
        }
        prop_assert!(client.deadline().as_secs() + 10 >= count);
    }
}
