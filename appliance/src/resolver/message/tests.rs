use proptest::prelude::*;

use super::*;

const ID: u16 = 0x1234;

fn question() -> Question {
    Question::new(ID, &"Node.Example".parse().unwrap(), Family::V4)
}

/// The header with `flags` and `answers`, the question, and then `records`.
fn answer(flags: u16, answers: u16, records: &[u8]) -> Vec<u8> {
    let mut bytes = question().render();
    bytes[2..4].copy_from_slice(&(IS_ANSWER | flags).to_be_bytes());
    bytes[6..8].copy_from_slice(&answers.to_be_bytes());
    bytes.extend_from_slice(records);
    bytes
}

/// A record of the name at `pointer`.
fn record(pointer: u16, kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut bytes = (0xc000 | pointer).to_be_bytes().to_vec();
    bytes.extend(
        [kind, INTERNET, 0, 60, length]
            .into_iter()
            .flat_map(u16::to_be_bytes),
    );
    bytes.extend_from_slice(data);
    bytes
}

fn read(bytes: &[u8]) -> Message {
    question().read(bytes).unwrap()
}

fn is_malformed(bytes: &[u8]) -> bool {
    question()
        .read(bytes)
        .is_err_and(|error| error.kind() == Kind::Malformed)
}

const A: u16 = Family::V4 as u16;
/// Where the question's name is.
const ASKED: u16 = 12;

#[test]
fn addresses_of_the_name_and_of_its_aliases_are_taken() {
    let plain = answer(
        0,
        2,
        &[
            record(ASKED, A, &[192, 0, 2, 1]),
            record(ASKED, A, &[192, 0, 2, 2]),
        ]
        .concat(),
    );
    let expected = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
    assert_eq!(read(&plain), Message::Addresses(expected.to_vec()));

    // The alias `b.Example` shares its end with the question: "node" and its length are five bytes.
    let alias = record(ASKED, ALIAS, &[1, b'B', 0xc0, 17]);
    let alias_at = u16::try_from(question().render().len() + 12).unwrap();
    let aliased = answer(0, 2, &[alias, record(alias_at, A, &[192, 0, 2, 1])].concat());
    assert_eq!(read(&aliased), Message::Addresses(expected[..1].to_vec()));
}

#[test]
fn addresses_of_other_names_or_that_no_host_has_are_left_out() {
    let records = [
        record(17, A, &[192, 0, 2, 1]),
        record(ASKED, A, &[0, 0, 0, 0]),
        record(ASKED, A, &[224, 0, 0, 1]),
        record(ASKED, A, &[255, 255, 255, 255]),
        record(ASKED, A, &[192, 0, 2]),
        record(ASKED, Family::V6 as u16, &[1; 16]),
    ];
    assert_eq!(
        read(&answer(0, 6, &records.concat())),
        Message::Addresses(Vec::new())
    );
}

#[test]
fn answers_to_something_else_are_strays() {
    let good = answer(0, 0, &[]);
    let mut number = good.clone();
    number[1] ^= 1;
    let mut name = good.clone();
    name[14] ^= 1;
    let mut family = good.clone();
    let at = family.len() - 3;
    family[at] = 28;
    let mut opcode = good.clone();
    opcode[2] |= 0x28;
    for bytes in [
        &number,
        &name,
        &family,
        &opcode,
        &question().render(),
        &good[..11],
        &[][..],
    ] {
        assert_eq!(read(bytes), Message::Stray, "{bytes:?}");
    }
}

#[test]
fn codes_and_truncation_are_told_apart() {
    assert_eq!(read(&answer(TRUNCATED, 9, &[])), Message::Truncated);
    assert_eq!(read(&answer(3, 0, &[])), Message::NoSuchName);
    assert_eq!(read(&answer(2, 0, &[])), Message::Failure(2));
    assert_eq!(read(&answer(5, 0, &[])), Message::Failure(5));
}

#[test]
fn names_that_point_at_themselves_or_ahead_are_malformed() {
    let at = u16::try_from(question().render().len()).unwrap();
    for pointer in [at, at + 1, at + 12, 0x3fff] {
        assert!(
            is_malformed(&answer(0, 1, &record(pointer, A, &[192, 0, 2, 1]))),
            "{pointer}"
        );
    }
    // A name whose second part is a pointer to its own first.
    let alias = record(ASKED, ALIAS, &[1, b'b', 0xc0, 0x3f]);
    let mut looped = answer(0, 1, &alias);
    let inside = u16::try_from(looped.len() - 4).unwrap();
    let end = looped.len();
    looped[end - 2..].copy_from_slice(&(0xc000 | inside).to_be_bytes());
    assert!(is_malformed(&looped));
}

#[test]
fn aliases_in_a_circle_lead_nowhere() {
    let circle = record(ASKED, ALIAS, &[0xc0, 12]);
    assert_eq!(read(&answer(0, 1, &circle)), Message::Addresses(Vec::new()));
}

#[test]
fn ten_thousand_records_are_refused() {
    let records = record(ASKED, A, &[192, 0, 2, 1]).repeat(10_000);
    assert!(is_malformed(&answer(0, 10_000, &records)));
}

#[test]
fn names_longer_than_any_are_malformed() {
    // Five labels of 63 bytes.
    let label = [&[63][..], &[b'a'; 63]].concat().repeat(5);
    let alias = record(ASKED, ALIAS, &[&label[..], &[0]].concat());
    assert!(is_malformed(&answer(0, 1, &alias)));
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = question().read(&bytes);
    }

    #[test]
    fn no_records_bring_the_reader_down(
        count in any::<u16>(),
        records in proptest::collection::vec(prop_oneof![Just(0xc0_u8), Just(0), Just(12), any::<u8>()], 0..600),
    ) {
        let _ = question().read(&answer(0, count, &records));
    }

    #[test]
    fn an_answer_cut_anywhere_gives_no_address(cut in 0_usize..100) {
        let whole = answer(0, 2, &record(ASKED, A, &[192, 0, 2, 1]).repeat(2));
        prop_assume!(cut < whole.len());
        let read = question().read(&whole[..cut]);
        prop_assert!(!matches!(read, Ok(Message::Addresses(_))), "{read:?}");
    }
}
