//! Which port of the node leads where.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use shared::fault::{Fault, node};
use shared::id::Name;
use shared::manifest::{Port, Protocol};

/// Refuses `wanted` when one of them leads to another instance in `held`, or a program of the node listens on it: a
/// port map would take the port away from it, were it the node's own SSH.
pub fn check<'a>(wanted: &[Port], held: impl Iterator<Item = (&'a Name, &'a Name, &'a [Port])>) -> Result<(), Fault> {
    for (app, service, ports) in held {
        if let Some(port) = wanted.iter().find(|port| ports.iter().any(|other| clash(port, other))) {
            return Err(Fault::new(&node::PORT_TAKEN).with("port", name(port)).with("app", app).with("service", service));
        }
    }
    wanted.iter().try_for_each(free)
}

/// Two ports clash when a packet could mean both.
fn clash(a: &Port, b: &Port) -> bool {
    let any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    let addresses = any(a.host_ip) || any(b.host_ip) || a.host_ip == b.host_ip;
    a.published == b.published && a.protocol == b.protocol && addresses
}

/// Listens for a moment.
fn free(port: &Port) -> Result<(), Fault> {
    let address = SocketAddr::new(port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port.published);
    let bound = match port.protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
    };
    bound.map_err(|error| Fault::new(&node::PORT_UNUSABLE).with("port", name(port)).with("cause", error))
}

fn name(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.published)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(published: u16, protocol: Protocol, host_ip: Option<&str>) -> Port {
        Port { target: 80, published, protocol, host_ip: host_ip.map(|ip| ip.parse().expect("ip")) }
    }

    #[test]
    fn ports_clash_when_a_packet_could_mean_both() {
        let base = port(80, Protocol::Tcp, None);
        for (other, clashes) in [
            (port(80, Protocol::Tcp, None), true),
            (port(80, Protocol::Tcp, Some("10.0.0.1")), true),
            (port(80, Protocol::Udp, None), false),
            (port(81, Protocol::Tcp, None), false),
        ] {
            assert_eq!(clash(&base, &other), clashes, "{other:?}");
        }
        let on = |ip| port(80, Protocol::Tcp, Some(ip));
        assert!(!clash(&on("10.0.0.1"), &on("10.0.0.2")));
        assert!(clash(&on("10.0.0.1"), &on("0.0.0.0")));
    }

    #[test]
    fn the_holder_is_named() {
        let (app, service) = (Name::new("shop").expect("name"), Name::new("web").expect("name"));
        let held = [port(8080, Protocol::Tcp, None)];
        let fault = check(&held, [(&app, &service, held.as_slice())].into_iter()).expect_err("taken");
        assert_eq!(fault.code, node::PORT_TAKEN.code);
        assert_eq!((fault.params["port"].as_str(), fault.params["app"].as_str()), ("8080/tcp", "shop"));
    }

    #[test]
    fn a_program_of_the_node_keeps_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let number = listener.local_addr().expect("address").port();
        let fault = check(&[port(number, Protocol::Tcp, None)], std::iter::empty()).expect_err("in use");
        assert_eq!(fault.code, node::PORT_UNUSABLE.code);
        let foreign = check(&[port(number, Protocol::Tcp, Some("192.0.2.1"))], std::iter::empty()).expect_err("not ours");
        assert_eq!(foreign.code, node::PORT_UNUSABLE.code);
    }
}
