//! Which addresses gates may ask. What a policy names is resolved by the daemon, from where it runs: its own machine, the
//! cloud's metadata and the API server answer to it what they would not answer to whoever wrote the policy.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// An address, or a block of them: `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`AddressRange`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRangeError {
    /// Not an address before the `/`.
    #[error("`{0}` is not an IP address: write one such as 10.1.2.3, fd00::1 or 10.1.0.0/16")]
    Address(String),
    /// Not a length after it.
    #[error("`{text}` has no prefix length between 0 and {most} after the `/`")]
    Prefix {
        /// The whole text.
        text: String,
        /// The longest.
        most: u8,
    },
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| AddressRangeError::Address(text.to_owned()))?;
        let most = bits(address);
        let prefix = match prefix {
            None => most,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= most)
                .ok_or_else(|| AddressRangeError::Prefix { text: text.to_owned(), most })?,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        if *prefix == bits(*address) { write!(f, "{address}") } else { write!(f, "{address}/{prefix}") }
    }
}

impl AddressRange {
    /// Whether the address is one of these.
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(range), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(range) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(range), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(range) & mask == u128::from(other) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Metadata and platform services of clouds beyond the link-local range: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// The same of AWS, inside the range of private addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// What gates may not ask, and the operator's exceptions.
#[derive(Debug, Clone, Copy)]
pub struct Guard<'a> {
    /// `tidegate run --allow-gate-address`.
    pub allowed: &'a [AddressRange],
    /// The API server's own addresses.
    pub api_server: &'a BTreeSet<IpAddr>,
}

impl Guard<'_> {
    /// Why this address is not asked; none when it may be.
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        let Self { allowed, api_server } = self;
        let address = plain(address);
        if allowed.iter().any(|range| range.contains(address)) {
            return None;
        }
        if api_server.iter().any(|own| plain(*own) == address) {
            return Some("the API server's own address");
        }
        match address {
            IpAddr::V4(address) => refusal_v4(address),
            IpAddr::V6(address) => refusal_v6(address),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), by NAT64 (`64:ff9b::/96`).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let bits = u128::from(v6);
    let low = u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default();
    let high = bits >> 32;
    let stands_for_v4 = high == 0xffff || high == (0x0064_ff9b_u128 << 64) || (high == 0 && low > 1);
    if stands_for_v4 { IpAddr::V4(Ipv4Addr::from(low)) } else { address }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, ..] = address.octets();
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if first == 0 => Some("an unspecified address"),
        _ if address.is_link_local() => Some("a link-local address, where clouds keep their metadata"),
        _ if METADATA_V4.contains(&address) => Some("the metadata address of a cloud"),
        _ if address.is_multicast() || address.is_broadcast() => Some("a multicast or broadcast address"),
        _ => None,
    }
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_unicast_link_local() => Some("a link-local address"),
        _ if address == METADATA_V6 => Some("the metadata address of a cloud"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str, allowed: &[&str]) -> Option<&'static str> {
        let allowed: Vec<AddressRange> = allowed.iter().map(|range| range.parse().unwrap()).collect();
        let api_server = BTreeSet::from(["10.96.0.1".parse().unwrap()]);
        Guard { allowed: &allowed, api_server: &api_server }.refusal(address.parse().unwrap())
    }

    #[test]
    fn the_machine_the_metadata_and_the_api_server_are_not_asked() {
        for address in [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.96.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(refusal(address, &[]).is_some(), "{address}");
        }
        for address in ["10.96.0.2", "192.168.1.1", "8.8.8.8", "198.18.17.4", "fd00::1", "2001:db8::1"] {
            assert_eq!(refusal(address, &[]), None, "{address}");
        }
    }

    #[test]
    fn another_way_to_write_an_address_is_the_same_address() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::ffff:10.96.0.1",
        ] {
            assert!(refusal(address, &[]).is_some(), "{address}");
        }
        assert_eq!(refusal("::ffff:8.8.8.8", &[]), None);
    }

    #[test]
    fn an_operator_allows_addresses_and_blocks_of_them() {
        assert_eq!(refusal("127.0.0.1", &["127.0.0.1"]), None);
        assert!(refusal("127.0.0.2", &["127.0.0.1"]).is_some());
        assert_eq!(refusal("127.0.0.2", &["127.0.0.0/8"]), None);
        assert_eq!(refusal("::ffff:127.0.0.2", &["127.0.0.0/8"]), None);
        assert_eq!(refusal("fe80::7", &["fe80::/10"]), None);
        assert!(refusal("::1", &["0.0.0.0/0"]).is_some(), "the other family");
        assert_eq!(refusal("10.96.0.1", &["10.96.0.1"]), None);
    }

    #[test]
    fn a_range_is_read_as_it_is_written_and_mistakes_say_what_is_wrong() {
        for text in ["10.1.2.3", "10.0.0.0/8", "fd00::/8", "::1", "0.0.0.0/0"] {
            assert_eq!(text.parse::<AddressRange>().unwrap().to_string(), text);
        }
        for (text, said) in [
            ("localhost", "is not an IP address"),
            ("10.0.0.0/33", "between 0 and 32"),
            ("10.0.0.0/", "between 0 and 32"),
            ("::/129", "between 0 and 128"),
            ("", "is not an IP address"),
        ] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
