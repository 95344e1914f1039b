use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

prop_compose! {
    fn options()(
        kind in 1_u8..=8,
        mask in proptest::option::of(address()),
        routers in vec(address(), 0..MOST_ADDRESSES),
        (name_servers, ntp_servers) in (vec(address(), 0..MOST_ADDRESSES), vec(address(), 0..MOST_ADDRESSES)),
        host_name in proptest::option::of("[a-z]{1,64}"),
        (requested, server) in proptest::option::of((address(), address())).prop_map(Option::unzip),
        (lease, renewal) in proptest::option::of(any::<(u32, u32)>()).prop_map(Option::unzip),
        rebinding in any::<Option<u32>>(),
        longest in any::<Option<u16>>(),
        wanted in vec(any::<u8>(), 0..20),
        client_id in vec(any::<u8>(), 0..255),
    ) -> Options {
        let kind = MessageKind::try_from(kind).unwrap();
        Options {
            kind, mask, routers, name_servers, ntp_servers, host_name, requested, server, lease, renewal, rebinding,
            longest, wanted, client_id,
        }
    }
}

prop_compose! {
    fn message()(
        reply in any::<bool>(),
        transaction in any::<u32>(),
        seconds in any::<u16>(),
        broadcast in any::<bool>(),
        client in address(),
        yours in address(),
        hardware in any::<[u8; 6]>(),
        options in options(),
    ) -> Message {
        Message { reply, transaction, seconds, broadcast, client, yours, hardware, options }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(message in message()) {
        prop_assert_eq!(Message::parse(&message.render()).unwrap(), message);
    }

    #[test]
    fn no_datagram_makes_it_panic(bytes in vec(any::<u8>(), 0..700)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn no_options_make_it_panic(message in message(), options in vec(any::<u8>(), 0..400)) {
        let mut bytes = message.render();
        bytes.truncate(OPTIONS_AT);
        bytes.extend(options);
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn a_message_cut_short_is_refused(message in message(), length in 0..OPTIONS_AT + 3) {
        prop_assert!(Message::parse(&message.render()[..length]).is_err());
    }
}

fn with_options(options: &[u8]) -> Vec<u8> {
    let empty = Message {
        reply: true,
        transaction: 1,
        seconds: 0,
        broadcast: true,
        client: Ipv4Addr::UNSPECIFIED,
        yours: Ipv4Addr::new(192, 0, 2, 5),
        hardware: [2; 6],
        options: Options::new(MessageKind::Offer),
    };
    let mut bytes = empty.render();
    bytes.truncate(OPTIONS_AT);
    bytes.extend(options);
    bytes
}

#[test]
fn options_of_the_wrong_length_are_refused() {
    for options in [
        &[53, 1, 2, 1, 3, 255, 255, 255, 255][..],
        &[53, 1, 2, 3, 5, 1, 1, 1, 1, 1, 255],
        &[53, 2, 2, 2, 255],
        &[53, 1, 2, 51, 255, 1],
        &[53, 1, 2],
        &[255],
        &[53, 1, 9, 255],
    ] {
        assert!(Message::parse(&with_options(options)).is_err(), "{options:?}");
    }
}

#[test]
fn an_option_in_two_parts_is_one() {
    let bytes = with_options(&[53, 1, 2, 6, 4, 192, 0, 2, 1, 6, 4, 192, 0, 2, 2, 255]);
    let servers = Message::parse(&bytes).unwrap().options.name_servers;
    assert_eq!(
        servers,
        [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]
    );
}

#[test]
fn options_go_on_in_the_fields_for_names() {
    let mut bytes = with_options(&[53, 1, 2, 52, 1, 3, 255]);
    bytes[108..115].copy_from_slice(&[3, 4, 192, 0, 2, 1, 255]);
    bytes[44..51].copy_from_slice(&[6, 4, 192, 0, 2, 9, 255]);
    let options = Message::parse(&bytes).unwrap().options;
    assert_eq!(options.routers, [Ipv4Addr::new(192, 0, 2, 1)]);
    assert_eq!(options.name_servers, [Ipv4Addr::new(192, 0, 2, 9)]);
}
