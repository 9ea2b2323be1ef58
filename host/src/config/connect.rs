//! What is checked of a service's connectors.

use super::{Config, Service};
use crate::service::connector::Reconnect;
use crate::transport::Address;

/// How many connections to one address a service may have.
const CONNECTIONS_MAX: usize = 1024;

impl Service {
    /// How many connections to each of its addresses it has.
    pub fn connections(&self) -> usize {
        self.connections.unwrap_or(1)
    }

    /// When one that is lost is made again.
    pub fn reconnect(&self) -> Reconnect {
        self.reconnect.unwrap_or_default()
    }
}

impl Config {
    /// What a type cannot say of how servers are connected to by TLS, with the path of the key.
    pub(super) fn wrong_dials(&self) -> impl Iterator<Item = (Vec<String>, String)> {
        let upstreams = self.upstream.iter().map(|(name, one)| (["upstream", name, "tls"], &one.tls, &one.servers));
        let services =
            self.service.iter().map(|(name, one)| (["service", name, "connect_tls"], &one.connect_tls, &one.connect));
        let wrong = upstreams.chain(services).filter_map(|(path, dial, servers)| {
            let (key, reason) = dial.as_ref()?.check(servers).err()?;
            Some((path.into_iter().chain([key]).filter(|key| !key.is_empty()).map(str::to_owned).collect(), reason))
        });
        wrong.chain(self.wrong_proxies())
    }

    /// … of servers that are told on behalf of whom they are connected to.
    fn wrong_proxies(&self) -> impl Iterator<Item = (Vec<String>, String)> {
        let upstreams = self
            .upstream
            .iter()
            .map(|(name, one)| (["upstream", name, "proxy_protocol"], one.proxy_protocol, &one.servers));
        let services = self
            .service
            .iter()
            .map(|(name, one)| (["service", name, "connect_proxy_protocol"], one.connect_proxy_protocol, &one.connect));
        upstreams.chain(services).filter_map(|(path, version, servers)| {
            let server = version.and_then(|_| servers.iter().find(|server| !matches!(server, Address::Tcp(_))))?;
            let reason = format!("{server} is not TCP, which the PROXY protocol is for; write tcp://");
            Some((path.map(str::to_owned).into(), reason))
        })
    }
}

/// What a type cannot say of a service's connectors. An error is the keys below the service, and the reason.
pub(super) fn check(service: &Service) -> Result<(), (Vec<&'static str>, String)> {
    let at = |key, reason: String| Err((vec![key], reason));
    for (place, address) in service.connect.iter().enumerate() {
        if matches!(address, Address::Udp(_)) {
            return at("connect", format!("{address} is no stream; write tcp:// or unix://"));
        }
        if matches!(address, Address::Tcp(inet) if inet.port() == 0) {
            return at("connect", format!("{address} has no port; write tcp://127.0.0.1:2776"));
        }
        if service.connect[..place].contains(address) {
            let reason = format!("{address} is there twice; for two connections to it, write connections = 2");
            return at("connect", reason);
        }
    }
    if service.connect.is_empty() {
        let unused = [
            ("connect_tls", service.connect_tls.is_some()),
            ("connect_proxy_protocol", service.connect_proxy_protocol.is_some()),
            ("connections", service.connections.is_some()),
            ("reconnect", service.reconnect.is_some()),
        ];
        if let Some((key, _)) = unused.into_iter().find(|(_, there)| *there) {
            return at(key, "it connects nowhere; write connect = [\"tcp://127.0.0.1:2776\"]".into());
        }
    }
    if !(1..=CONNECTIONS_MAX).contains(&service.connections()) {
        return at("connections", format!("{} is not between 1 and {CONNECTIONS_MAX}", service.connections()));
    }
    service.reconnect().check().map_err(|(key, reason)| (vec!["reconnect", key], reason))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::config::Service;

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_what_would_be_right() {
        let rows = [
            ("connect = ['udp://127.0.0.1:1']", "connect", "write tcp:// or unix://"),
            ("connect = ['tcp://127.0.0.1:0']", "connect", "has no port"),
            ("connect = ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:1']", "connect", "connections = 2"),
            ("connect = ['tcp://127.0.0.1:1']\nconnections = 0", "connections", "between 1 and 1024"),
            ("connect = ['tcp://127.0.0.1:1']\nconnections = 1025", "connections", "between 1 and 1024"),
            ("connect = ['tcp://127.0.0.1:1']\nreconnect = { from = '1ms' }", "reconnect.from", "20ms"),
            ("connect = ['tcp://127.0.0.1:1']\nreconnect = { to = '1ms' }", "reconnect.to", "500ms"),
            ("connections = 2", "connections", "connects nowhere"),
            ("connect_proxy_protocol = 'v2'", "connect_proxy_protocol", "connects nowhere"),
            ("reconnect = {}", "reconnect", "connects nowhere"),
        ];
        for (text, key, reason) in rows {
            let service: Service = toml::from_str(&format!("component = 'c'\n{text}")).unwrap();
            let (keys, said) = check(&service).unwrap_err();
            assert!(keys.join(".") == key && said.contains(reason), "{text}\n{keys:?} {said}");
        }
    }

    #[test]
    fn what_is_right_is_taken() {
        for text in [
            "connect = ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:2', 'unix:///run/x.sock']\nconnections = 1024",
            "connect = ['tcp://127.0.0.1:1']\nreconnect = { from = '1s', to = '1m', timeout = '2s' }",
            "listen = ['tcp://127.0.0.1:1']\nconnect = ['tcp://127.0.0.1:1']",
        ] {
            let service: Service = toml::from_str(&format!("component = 'c'\n{text}")).unwrap();
            check(&service).unwrap();
        }
    }
}
