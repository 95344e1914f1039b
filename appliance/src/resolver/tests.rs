//! A name server of the test's own on a loopback address, that answers as it is told.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

const ANSWER: u8 = 0x80;
const TRUNCATED: u8 = 0x02;
const A: [u8; 2] = [0, 1];

/// Answers every question over UDP with what `answer` makes of it, in order.
async fn server(answer: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length]) {
                socket.send_to(&datagram, from).await.unwrap();
            }
        }
    });
    address
}

/// The answer to `question` with `code`, and these addresses if it asks for IPv4.
fn reply(question: &[u8], code: u8, addresses: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    (bytes[2], bytes[3]) = (bytes[2] | ANSWER, code);
    if question[question.len() - 4..question.len() - 2] == A {
        bytes[7] = u8::try_from(addresses.len()).unwrap();
        for address in addresses {
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            bytes.extend(address);
        }
    }
    bytes
}

fn good(question: &[u8]) -> Vec<u8> {
    reply(question, 0, &[[192, 0, 2, 1]])
}

async fn ask(servers: &[SocketAddr]) -> Result<Vec<IpAddr>> {
    let resolver = Resolver(Source::Given(Servers {
        addresses: servers.to_vec(),
        attempts: 1,
        patience: Duration::from_secs(20),
    }));
    resolver.addresses(&"node.example".parse().unwrap()).await
}

fn found() -> Vec<IpAddr> {
    vec!["192.0.2.1".parse().unwrap()]
}

#[tokio::test]
async fn a_name_has_the_addresses_that_the_server_tells() {
    let own = server(|question| vec![good(question)]).await;
    assert_eq!(ask(&[own]).await.unwrap(), found());
}

#[tokio::test]
async fn guesses_do_not_keep_the_right_answer_out() {
    let own = server(|question| {
        let mut number = reply(question, 0, &[[203, 0, 113, 1]]);
        number[0] ^= 1;
        let mut name = reply(question, 0, &[[203, 0, 113, 1]]);
        name[13] ^= 1;
        vec![number, name, question.to_vec(), vec![0; 3], good(question)]
    })
    .await;
    assert_eq!(ask(&[own]).await.unwrap(), found());
}

#[tokio::test]
async fn endless_guesses_end() {
    let own = server(|question| {
        let mut number = good(question);
        number[1] ^= 1;
        vec![number; 100]
    })
    .await;
    assert_eq!(ask(&[own]).await.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test]
async fn a_server_that_fails_or_breaks_the_format_leaves_it_to_the_next() {
    let failing = server(|question| vec![reply(question, 2, &[])]).await;
    let broken = server(|question| {
        let mut cut = good(question);
        cut[7] = 2;
        vec![cut]
    })
    .await;
    let sound = server(|question| vec![good(question)]).await;
    assert_eq!(ask(&[failing, broken, sound]).await.unwrap(), found());
    let error = ask(&[failing]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("code 2"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_leaves_it_to_the_next() {
    let gone = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let sound = server(|question| vec![good(question)]).await;
    assert_eq!(ask(&[gone, sound]).await.unwrap(), found());
}

#[tokio::test]
async fn a_name_that_is_not_there_is_final() {
    let none = server(|question| vec![reply(question, 3, &[])]).await;
    let sound = server(|question| vec![good(question)]).await;
    assert_eq!(ask(&[none, sound]).await.unwrap_err().kind(), Kind::Unknown);
    let empty = server(|question| vec![reply(question, 0, &[])]).await;
    assert_eq!(ask(&[empty]).await.unwrap_err().kind(), Kind::Unknown);
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(own).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            buffer[2] |= ANSWER | TRUNCATED;
            socket.send_to(&buffer[..length], from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            let answer = reply(&question, 0, &[[192, 0, 2, 1]; 100]);
            stream
                .write_u16(u16::try_from(answer.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    assert_eq!(ask(&[own]).await.unwrap().len(), 16);
}

#[tokio::test]
async fn an_appliance_asks_whom_pid_1_names_at_that_moment() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("machine.json");
    let resolver = Resolver::of_machine(report.clone());
    let name: DomainName = "node.example".parse().unwrap();
    assert_eq!(resolver.addresses(&name).await.unwrap_err().kind(), Kind::Io);
    Machine::default().write(&report).unwrap();
    let error = resolver.addresses(&name).await.unwrap_err();
    assert!(error.to_string().contains("no name server is known"), "{error}");
    let machine = Machine {
        name_servers: found(),
        ..Machine::default()
    };
    assert_eq!(
        Servers::of(&machine).addresses,
        ["192.0.2.1:53".parse::<SocketAddr>().unwrap()]
    );
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_a_server_says() {
    let name = "a.localhost".parse().unwrap();
    let resolver = Resolver(Source::Given(Servers::of(&Machine::default())));
    let addresses = resolver.addresses(&name).await.unwrap();
    assert!(addresses.iter().all(IpAddr::is_loopback));
}
