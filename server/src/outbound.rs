//! Where the server may fetch from: the hosts that its configuration names, and nowhere else.
//!
//! Invariant: no client decides whom the server talks to. One parser reads an address, the one that connects by it; no
//! redirect is followed; what comes is bounded by its taker. Without configuration nothing is fetched.

use std::time::Duration;

use kithdb::{Error, Result};
use ureq::http::Uri;
use ureq::{Agent, Body};

/// A host that does not take a connection by then is not there.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// It begins to answer by then, or does not.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Hosts that snapshots may be fetched from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(String, Option<u16>)>);

impl Hosts {
    /// Takes names or addresses, each with a port or without: then of any port.
    ///
    /// # Errors
    /// `InvalidArgument` on `snapshot_hosts` for what is neither.
    pub fn of(texts: &[String]) -> Result<Self> {
        let host = |text: &String| {
            let wrong = || Error::invalid("snapshot_hosts", format!("`{text}` is no host, and no host:port"));
            let uri: Uri = format!("http://{text}/").parse().map_err(|_| wrong())?;
            let is_bare = uri.path() == "/" && uri.query().is_none() && !text.contains('@');
            let host = uri.host().filter(|host| is_bare && !host.is_empty()).ok_or_else(wrong)?;
            Ok((host.to_ascii_lowercase(), uri.port_u16()))
        };
        texts.iter().map(host).collect::<Result<_>>().map(Self)
    }

    /// Fetches what is at an address.
    ///
    /// # Errors
    /// `InvalidArgument` on `location` for an address of another host, and for what cannot be read there.
    pub(crate) fn fetch(&self, url: &str) -> Result<Body> {
        let refused = |why: String| Error::invalid("location", why);
        let uri: Uri = url.parse().map_err(|error| refused(format!("is no address: {error}")))?;
        if !self.has(&uri) {
            let host = uri.authority().map_or("", |authority| authority.as_str());
            return Err(refused(format!(
                "is at `{host}`, and nothing is fetched from hosts that `snapshot_hosts` does not name; upload the \
                 snapshot instead"
            )));
        }
        let config = Agent::config_builder().max_redirects(0).http_status_as_error(false);
        let config = config.timeout_connect(Some(CONNECT_MAX)).timeout_recv_response(Some(ANSWER_MAX));
        let agent = Agent::new_with_config(config.build());
        let answer = agent
            .get(uri)
            .call()
            .map_err(|error| refused(format!("cannot be read: {error}")).with_source(error))?;
        match answer.status().is_success() {
            true => Ok(answer.into_body()),
            false => Err(refused(format!("cannot be read: it is answered with {}", answer.status()))),
        }
    }

    /// Whether the address is of one of them, and says no user.
    fn has(&self, uri: &Uri) -> bool {
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else { return false };
        let port = uri.port_u16().unwrap_or(default);
        let is_plain = !authority.as_str().contains('@');
        let is_of = |(known, of): &(String, Option<u16>)| {
            known.eq_ignore_ascii_case(host) && of.is_none_or(|of| of == port)
        };
        is_plain && matches!(uri.scheme_str(), Some("http" | "https")) && self.0.iter().any(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_configured_is_asked() {
        let hosts = Hosts::of(&["store.example".to_owned(), "10.0.0.7:8080".to_owned()]).expect("hosts");
        let has = |url: &str| url.parse().is_ok_and(|uri| hosts.has(&uri));
        for url in ["http://store.example/a", "https://STORE.example:9000/a?b", "http://10.0.0.7:8080/x"] {
            assert!(has(url), "{url}");
        }
        for url in [
            "http://10.0.0.7/x",
            "http://10.0.0.7:80/x",
            "http://127.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.7]:8080/",
            "http://store.example@evil.example/",
            "http://store.example:1@evil.example/",
            "http://user@store.example/",
            "http://evil.example\\@store.example/",
            "http://store.example.evil.example/",
            "http://evil.example/http://store.example/",
            "http://evil.example#store.example",
            "http://0x0a000007:8080/",
            "file://store.example/etc/passwd",
            "ftp://store.example/",
            "/store.example",
        ] {
            assert!(!has(url), "{url}");
            assert_eq!(
                hosts.fetch(url).err().and_then(|error| error.field().map(str::to_owned)).as_deref(),
                Some("location")
            );
        }
        assert!(Hosts::default().fetch("http://store.example/").is_err(), "nothing is configured");
        for wrong in ["", "a/b", "http://a", "a@b", "a:b", "a b"] {
            assert!(Hosts::of(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    /// A host that is allowed sends on to one that is not.
    #[test]
    fn a_redirect_is_not_followed() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).expect("a request");
            let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/x\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).expect("sent");
        });
        let hosts = Hosts::of(&[address.to_string()]).expect("a host");
        let error = hosts.fetch(&format!("http://{address}/a")).err().expect("no snapshot");
        assert!(error.message().contains("302"), "{error}");
        asked.join().expect("one question");
    }
}
