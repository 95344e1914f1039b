//! The environment from VMware, asked for through the backdoor as `info-get guestinfo.ovfEnv`.
//!
//! The protocol is that of VMware's open-vm-tools (`lib/include/backdoor_def.h`, `lib/message`): on port 0x5658 a
//! channel is opened, takes a command's length and its text four bytes at a time, gives the answer's length and text
//! likewise, and is closed. It is spoken to a [`Port`], so that a simulated hypervisor can be on the other side.

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::sys::{self, Registers};

const MAGIC: u32 = 0x564d_5868;
const PORT: u32 = 0x5658;
const MESSAGE: u32 = 30;
const RPCI: u32 = 0x4943_5052;
const COMMAND: &[u8] = b"info-get guestinfo.ovfEnv";
/// Beside the document an answer holds its verdict, `1 ` or `0 `.
const VERDICT: usize = 2;

/// The high half of ECX: what to do on the channel.
#[derive(Clone, Copy)]
enum Step {
    Open = 0,
    SendLength = 1,
    SendData = 2,
    ReceiveLength = 3,
    ReceiveData = 4,
    ReceiveDone = 5,
    Close = 6,
}

/// The high half of ECX on return.
mod status {
    pub(super) const SUCCESS: u32 = 1;
    pub(super) const DATA_WAITS: u32 = 2;
}

/// The way to a hypervisor.
trait Port {
    /// One `IN` with these registers.
    fn call(&mut self, registers: Registers) -> Registers;
}

struct Backdoor;

impl Port for Backdoor {
    fn call(&mut self, registers: Registers) -> Registers {
        sys::backdoor(registers)
    }
}

/// The document, at most `limit` bytes; none where this is not VMware, or VMware has none.
pub(super) fn read(limit: usize) -> Result<Option<Vec<u8>>> {
    if !is_vmware() {
        return Ok(None);
    }
    get(&mut Backdoor, limit)
}

/// Both have to say so: QEMU answers some of the backdoor too, and others can be made to show either.
fn is_vmware() -> bool {
    let vendor = file::text("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    sys::hypervisor_signature() == Some(*b"VMwareVMware") && vendor.starts_with("VMware")
}

fn get(port: &mut dyn Port, limit: usize) -> Result<Option<Vec<u8>>> {
    let mut channel = Channel::open(port)?;
    let answer = channel
        .send(COMMAND)
        .and_then(|()| channel.receive(limit.saturating_add(VERDICT)));
    channel.close();
    let answer = answer?;
    match answer.split_at_checked(VERDICT) {
        Some((b"1 ", [])) => Ok(None),
        Some((b"1 ", document)) => Ok(Some(document.to_vec())),
        // There is no such variable, or the administrator keeps it back.
        Some((b"0 ", _)) => Ok(None),
        _ => Err(failed("the answer has no verdict")),
    }
}

/// An open channel.
struct Channel<'a> {
    port: &'a mut dyn Port,
    number: u32,
    cookie: (u32, u32),
}

impl<'a> Channel<'a> {
    fn open(port: &'a mut dyn Port) -> Result<Self> {
        // Bit 31 asks for cookies, without which some versions refuse.
        let answer = port.call(Registers {
            eax: MAGIC,
            ebx: RPCI | 0x8000_0000,
            ecx: command(Step::Open),
            edx: PORT,
            ..Registers::default()
        });
        expect(answer, status::SUCCESS, "opened no channel")?;
        Ok(Self {
            port,
            number: answer.edx & 0xffff_0000,
            cookie: (answer.esi, answer.edi),
        })
    }

    fn send(&mut self, text: &[u8]) -> Result<()> {
        let length = u32::try_from(text.len()).map_err(|_| failed("the command is too long"))?;
        expect(
            self.step(Step::SendLength, length),
            status::SUCCESS,
            "took no length",
        )?;
        for chunk in text.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            let answer = self.step(Step::SendData, u32::from_le_bytes(word));
            expect(answer, status::SUCCESS, "took no data")?;
        }
        Ok(())
    }

    fn receive(&mut self, limit: usize) -> Result<Vec<u8>> {
        let answer = self.step(Step::ReceiveLength, 0);
        expect(answer, status::SUCCESS | status::DATA_WAITS, "has no answer")?;
        let length = usize::try_from(answer.ebx).unwrap_or(usize::MAX);
        if length > limit {
            let reason = format!("the answer is longer than {limit} bytes");
            return Err(Error::new(Kind::Ceiling, "guestinfo", reason));
        }
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            let answer = self.step(Step::ReceiveData, status::SUCCESS);
            expect(answer, status::SUCCESS, "gave no data")?;
            let word = answer.ebx.to_le_bytes();
            text.extend_from_slice(&word[..word.len().min(length - text.len())]);
        }
        expect(
            self.step(Step::ReceiveDone, status::SUCCESS),
            status::SUCCESS,
            "did not end",
        )?;
        Ok(text)
    }

    fn close(mut self) {
        // A channel that stays open is VMware's to clean up.
        let _ = self.step(Step::Close, 0);
    }

    fn step(&mut self, step: Step, value: u32) -> Registers {
        self.port.call(Registers {
            eax: MAGIC,
            ebx: value,
            ecx: command(step),
            edx: PORT | self.number,
            esi: self.cookie.0,
            edi: self.cookie.1,
        })
    }
}

fn command(step: Step) -> u32 {
    (step as u32) << 16 | MESSAGE
}

fn expect(answer: Registers, bits: u32, reason: &str) -> Result<()> {
    if (answer.ecx >> 16) & bits == bits {
        return Ok(());
    }
    Err(failed(&format!("the hypervisor {reason}")))
}

fn failed(reason: &str) -> Error {
    Error::new(Kind::Environment, "guestinfo", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The hypervisor's side.
    #[derive(Default)]
    struct Hypervisor {
        answer: Vec<u8>,
        command: Vec<u8>,
        expected: usize,
        given: usize,
        open: bool,
        closed: bool,
    }

    const CHANNEL: u32 = 3 << 16;
    const COOKIE: (u32, u32) = (0x1111_1111, 0x2222_2222);

    impl Port for Hypervisor {
        fn call(&mut self, r: Registers) -> Registers {
            assert_eq!((r.eax, r.edx & 0xffff, r.ecx & 0xffff), (MAGIC, PORT, MESSAGE));
            let step = r.ecx >> 16;
            if step != 0 {
                assert!(self.open && !self.closed);
                assert_eq!((r.edx & 0xffff_0000, r.esi, r.edi), (CHANNEL, COOKIE.0, COOKIE.1));
            }
            let (mut ebx, mut status) = (0, status::SUCCESS);
            match step {
                0 => {
                    assert_eq!(r.ebx, RPCI | 0x8000_0000);
                    self.open = true;
                }
                1 => self.expected = r.ebx as usize,
                2 => {
                    let left = self.expected - self.command.len();
                    self.command.extend(&r.ebx.to_le_bytes()[..left.min(4)]);
                }
                3 => {
                    ebx = u32::try_from(self.answer.len()).unwrap();
                    status |= status::DATA_WAITS;
                }
                4 => {
                    let mut word = [0; 4];
                    let left = &self.answer[self.given..];
                    let length = left.len().min(4);
                    word[..length].copy_from_slice(&left[..length]);
                    self.given += length;
                    ebx = u32::from_le_bytes(word);
                }
                5 => {}
                6 => self.closed = true,
                _ => panic!("no such step"),
            }
            Registers {
                ebx,
                ecx: status << 16,
                edx: CHANNEL,
                esi: COOKIE.0,
                edi: COOKIE.1,
                ..r
            }
        }
    }

    fn asked(answer: &[u8]) -> (Result<Option<Vec<u8>>>, Hypervisor) {
        let mut hypervisor = Hypervisor {
            answer: answer.to_vec(),
            ..Hypervisor::default()
        };
        (get(&mut hypervisor, 1024), hypervisor)
    }

    #[test]
    fn the_document_is_asked_for_and_given_whole() {
        for length in [1, 3, 4, 5, 1024] {
            let document = vec![b'x'; length];
            let (found, hypervisor) = asked(&[b"1 ", document.as_slice()].concat());
            assert_eq!(found.unwrap(), Some(document));
            assert_eq!(hypervisor.command, COMMAND);
            assert!(hypervisor.closed);
        }
    }

    #[test]
    fn no_variable_is_no_document() {
        for answer in [&b"0 No value found"[..], b"0 ", b"1 "] {
            assert_eq!(asked(answer).0.unwrap(), None);
        }
    }

    #[test]
    fn an_answer_above_the_ceiling_is_refused_and_the_channel_closed() {
        let (found, hypervisor) = asked(&[b'1'; 1027]);
        assert_eq!(found.unwrap_err().kind(), Kind::Ceiling);
        assert!(hypervisor.closed && hypervisor.given == 0);
    }

    #[test]
    fn an_answer_without_a_verdict_is_refused() {
        for answer in [&b""[..], b"1", b"?!<Environment/>"] {
            assert!(asked(answer).0.is_err());
        }
    }

    struct Noise(Vec<u32>);

    impl Port for Noise {
        fn call(&mut self, _: Registers) -> Registers {
            let mut next = || self.0.pop().unwrap_or(0);
            Registers {
                eax: next(),
                ebx: next(),
                ecx: next(),
                edx: next(),
                esi: next(),
                edi: next(),
            }
        }
    }

    proptest! {
        #[test]
        fn no_hypervisor_makes_it_panic_or_wait(words in proptest::collection::vec(any::<u32>(), 0..200)) {
            let _ = get(&mut Noise(words), 64);
        }
    }
}
