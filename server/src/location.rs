//! Snapshots at an address: from which servers they may be fetched, and how.
//!
//! An address that a client names is asked by this server, which may reach what the client may not. So a host must be
//! named in `snapshot_hosts`, or be this server itself; `*` stands for every host of the public internet, encrypted.
//! Whatever is named, nothing is asked of link-local addresses, where clouds keep the secrets of machines.
//!
//! Invariant: what is connected to is what was looked at: a name is looked up once. No answer leads on to another
//! address, and what comes is bounded in bytes and in time.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::Refusal;
use crate::incoming::Arriving;
use axum::http::Uri;
use kithdb::{Error, Result};
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Time to connect, and for the head of the answer.
const BEGIN_MAX: Duration = Duration::from_secs(30);

/// Time for all of it.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// The hosts that snapshots may be fetched from.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    named: Vec<String>,
    /// Where this server listens, once it does.
    own: OnceLock<SocketAddr>,
}

/// Which addresses may be connected to, once a host was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Own,
    Named,
    Public,
}

impl Hosts {
    pub(crate) fn new(named: &[String]) -> Self {
        Self { named: named.to_vec(), own: OnceLock::new() }
    }

    /// Says where this server listens.
    pub(crate) fn listen_on(&self, address: SocketAddr) {
        // It listens once.
        let _ = self.own.set(address);
    }

    /// Writes what is at an address into a file.
    ///
    /// # Errors
    /// `InvalidArgument` on `location`, forbidden where its host is the fault; those of writing.
    pub(crate) fn fetch(&self, url: &str, to: &mut dyn Write) -> Result<()> {
        let reach = self.reach(url)?;
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder().proxy(None).max_redirects(0).tls_config(tls);
        let config = config.timeout_connect(Some(BEGIN_MAX)).timeout_recv_response(Some(BEGIN_MAX));
        let config = config.timeout_global(Some(TIME_MAX)).build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Bounded(reach));
        let refused = |error: ureq::Error| {
            Error::invalid("location", format!("cannot be read: {error}")).with_source(error)
        };
        let mut answer = agent.get(url).call().map_err(refused)?;
        if answer.status().as_u16() != 200 {
            let message = format!("answers {} and not with a snapshot", answer.status().as_u16());
            return Err(Error::invalid("location", message));
        }
        std::io::copy(&mut Arriving(answer.body_mut().as_reader()), to)?;
        Ok(())
    }

    fn reach(&self, url: &str) -> Result<Reach> {
        let refuse = |why: &str| Err(Error::invalid("location", why));
        let Ok(uri) = url.parse::<Uri>() else { return refuse("is no address") };
        let Some(authority) = uri.authority() else { return refuse("names no host") };
        if authority.as_str().contains('@') {
            return refuse("has a name or a key before its host; leave it out");
        }
        let is_encrypted = uri.scheme_str() == Some("https");
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let full = format!("{}:{port}", authority.host());
        if self
            .named
            .iter()
            .any(|named| named.eq_ignore_ascii_case(host) || named.eq_ignore_ascii_case(&full))
        {
            return Ok(Reach::Named);
        }
        if self.own.get().is_some_and(|own| is_own(*own, host, port)) {
            return Ok(Reach::Own);
        }
        let forbid = |why: &str| Err(Refusal::Forbidden.of("location", why));
        match self.named.iter().any(|named| named == "*") {
            true if is_encrypted => Ok(Reach::Public),
            true => forbid("location must be https://, or its host be named in snapshot_hosts"),
            false if self.named.is_empty() => forbid(
                "Snapshot recovery from remote URLs is disabled in the configuration; name the host of \
                 location in snapshot_hosts, or upload the file",
            ),
            false => forbid(
                "location is of a host that is not named in snapshot_hosts; name it there, or upload the file",
            ),
        }
    }
}

/// Whether a host and a port are those of a server that listens here.
fn is_own(own: SocketAddr, host: &str, port: u16) -> bool {
    let is_reached = match host.parse::<IpAddr>() {
        Ok(ip) => ip == own.ip() || own.ip().is_unspecified() && ip.is_loopback(),
        Err(_) => host == "localhost" && (own.ip().is_loopback() || own.ip().is_unspecified()),
    };
    is_reached && port == own.port()
}

impl Reach {
    fn lets(self, ip: IpAddr) -> bool {
        match self {
            Self::Own => true,
            Self::Named => !is_link_local(ip),
            Self::Public => is_public(ip),
        }
    }
}

/// An address of IPv4 that stands in one of IPv6: mapped, behind NAT64, or in a tunnel (6to4).
fn inner(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff | 0] | [0x64, 0xff9b, 0, 0, 0, 0] => of(high, low),
        [0x2002, ..] => of(b, c),
        _ => None,
    }
}

/// Where clouds keep the secrets of machines, beside the link-local address of that.
const SECRETS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

fn is_link_local(ip: IpAddr) -> bool {
    if SECRETS.contains(&ip) {
        return true;
    }
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || inner(ip).is_some_and(|ip| ip.is_link_local()),
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_reserved =
                a == 0 || a >= 240 || (a == 198 && (18..20).contains(&b)) || (a == 192 && b == 0);
            let is_special =
                ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
            !(is_shared || is_reserved || is_special || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => match inner(ip) {
            Some(ip) => is_public(ip.into()),
            // Global unicast begins with 001; what is for documentation stands in it.
            None => ip.segments()[0] & 0xe000 == 0x2000 && ip.segments()[..2] != [0x2001, 0xdb8],
        },
    }
}

/// Looks names up, and leaves out what may not be connected to.
struct Bounded(Reach);

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bounded").field(&self.0).finish()
    }
}

impl Resolver for Bounded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        found.iter().filter(|address| self.0.lets(address.ip())).for_each(|address| kept.push(*address));
        match kept.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(named: &[&str]) -> Hosts {
        let hosts = Hosts::new(&named.iter().map(ToString::to_string).collect::<Vec<_>>());
        hosts.listen_on("127.0.0.1:6333".parse().expect("an address"));
        hosts
    }

    #[test]
    fn only_hosts_that_are_named_are_asked() {
        let named = hosts(&["backup.example", "10.0.0.7:9000", "127.0.0.1:81"]);
        for (url, reach) in [
            ("http://127.0.0.1:6333/a", Some(Reach::Own)),
            ("http://localhost:6333/a", Some(Reach::Own)),
            ("http://127.0.0.1:6334/a", None),
            ("http://127.0.0.1/a", None),
            ("http://[::1]:6333/a", None),
            ("http://backup.example/a", Some(Reach::Named)),
            ("https://BACKUP.example:8443/a", Some(Reach::Named)),
            ("http://10.0.0.7:9000/a", Some(Reach::Named)),
            ("http://10.0.0.7:9001/a", None),
            ("http://127.0.0.1:81/a", Some(Reach::Named)),
            ("http://x@backup.example/a", None),
            ("http://backup.example.evil/a", None),
            ("http://backup.example\\@evil/a", None),
            ("http:///a", None),
            ("https://public.example/a", None),
        ] {
            assert_eq!(named.reach(url).ok(), reach, "{url}");
        }
        let all = hosts(&["*"]);
        assert_eq!(all.reach("https://public.example/a").ok(), Some(Reach::Public));
        assert_eq!(all.reach("http://public.example/a").ok(), None);
    }

    #[test]
    fn a_host_that_is_not_named_is_forbidden_and_an_address_that_is_none_is_not() {
        let refusal = |named: &[&str], url: &str| {
            let error = hosts(named).reach(url).expect_err(url);
            assert_eq!(error.field(), Some("location"), "{url}");
            Refusal::behind(&error)
        };
        let cases: [&[&str]; 3] = [&[], &["backup.example"], &["*"]];
        for named in cases {
            assert_eq!(refusal(named, "http://public.example/a"), Some(Refusal::Forbidden), "{named:?}");
            assert_eq!(refusal(named, "http://x@public.example/a"), None, "{named:?}");
        }
    }

    #[test]
    fn no_address_of_a_network_within_counts_as_public() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "ff02::1",
        ] {
            assert!(!Reach::Public.lets(ip(inside)), "{inside}");
        }
        for outside in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2002:101:101::1"] {
            assert!(Reach::Public.lets(ip(outside)), "{outside}");
        }
        for told in [
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "100.100.100.200",
        ] {
            assert!(!Reach::Named.lets(ip(told)), "{told}");
        }
        assert!(Reach::Named.lets(ip("10.0.0.7")));
    }

    #[test]
    fn a_name_that_leads_within_is_not_connected_to() {
        let error = hosts(&["*"]).fetch("https://localhost:1/a", &mut Vec::new()).expect_err("within");
        assert_eq!(error.field(), Some("location"));
        assert!(error.message().contains("host not found"), "{error}");
    }
}
