//! What carries addresses: how long a frame may be, and the network that it is tagged for.

use std::str::FromStr;

/// The most bytes of a packet. Below 1280 a link carries no IPv6 (RFC 8200, section 5), and the kernel would drop it
/// in silence; above its own limit an adapter refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mtu(u16);

/// An IEEE 802.1Q VLAN's identifier: 0 and 4095 are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan(u16);

impl Mtu {
    /// In bytes.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Vlan {
    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for Mtu {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = decimal(text).filter(|number| *number >= 1280);
        number.map(Self).ok_or("it is a number from 1280 to 65535")
    }
}

impl FromStr for Vlan {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = decimal(text).filter(|number| (1..=4094).contains(number));
        number.map(Self).ok_or("it is a number from 1 to 4094")
    }
}

/// Digits alone: the library takes a plus sign, too.
fn decimal(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in ["", "1279", "65536", "+1500", "1.5"] {
            assert!(text.parse::<Mtu>().is_err(), "{text}");
        }
        for text in ["0", "4095", "-1", "7 8"] {
            assert!(text.parse::<Vlan>().is_err(), "{text}");
        }
        assert_eq!("1280".parse(), Ok(Mtu(1280)));
        assert_eq!("4094".parse(), Ok(Vlan(4094)));
    }
}
