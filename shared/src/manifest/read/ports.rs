//! Ports: `"8080:80"`, `"127.0.0.1:8080:80/udp"`, `"8000-8002:80-82"`, and the long form.

use std::net::IpAddr;

use super::super::yaml::Value;
use super::super::{Port, Protocol};
use super::keys;
use super::reader::{At, Reader, whole};
use crate::fault::{Fault, Text, manifest as m};

/// The ports of a service, ranges written out.
pub(super) fn ports(r: &mut Reader<'_>, at: &At<'_>) -> Vec<Port> {
    let mut ports = Vec::new();
    for item in r.list(at).unwrap_or_default() {
        let item = r.at(item, format!("{}[{}]", at.path, ports.len()));
        let read = match &item.node.value {
            Value::Map(_) => long(r, &item).into_iter().collect(),
            Value::Scalar(_) | Value::List(_) => r.text_or_number(&item).map(|text| short(r, &item, text)).unwrap_or_default(),
        };
        for port in read {
            r.at(item.node, format!("{}[{}]", at.path, ports.len()));
            ports.push(port);
        }
    }
    ports
}

fn short(r: &mut Reader<'_>, at: &At<'_>, text: &str) -> Vec<Port> {
    match parse(text) {
        Ok(ports) => ports,
        Err(why) => {
            r.refuse(at, Fault::new(why).with("value", super::super::problem::shown(text)));
            Vec::new()
        }
    }
}

/// The short syntax: `[ip:]published:target[/protocol]`.
fn parse(text: &str) -> Result<Vec<Port>, &'static Text> {
    let (rest, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, protocol)) => (rest, protocol_of(protocol).ok_or(&m::BAD_PROTOCOL)?),
    };
    let (rest, target) = rest.rsplit_once(':').ok_or(&m::PORT_NOT_PUBLISHED)?;
    let (host_ip, published) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((ip, published)) => (Some(address(ip).ok_or(&m::BAD_PORT)?), published),
    };
    if published.is_empty() {
        return Err(&m::PORT_NOT_PUBLISHED);
    }
    let (first, last) = range(published).ok_or(&m::BAD_PORT)?;
    let (target, target_last) = range(target).ok_or(&m::BAD_PORT)?;
    if last - first != target_last - target {
        return Err(&m::PORT_RANGES_DIFFER);
    }
    if usize::from(last - first) >= super::super::bounds::GRANTS_MAX {
        return Err(&m::PORT_RANGE_TOO_LONG);
    }
    Ok((0..=last - first).map(|n| Port { target: target + n, published: first + n, host_ip, protocol }).collect())
}

/// `80` or `8000-8002`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (whole(first)?, whole(last)?);
    (first > 0 && first <= last).then_some((first, last))
}

/// An IP address; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn protocol_of(text: &str) -> Option<Protocol> {
    match text {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

fn long(r: &mut Reader<'_>, at: &At<'_>) -> Option<Port> {
    let fields = r.fields(at, &keys::PORT)?;
    let target = match fields.get("target") {
        Some(at) => number(r, at),
        None => {
            r.missing(at.node.mark, at, "target");
            None
        }
    };
    let published = match fields.get("published") {
        Some(at) => number(r, at),
        None => {
            r.refuse_value(at, &m::PORT_NOT_PUBLISHED);
            None
        }
    };
    let host_ip = match fields.get("host_ip") {
        None => None,
        Some(at) => {
            let ip = r.text(at).and_then(address);
            if ip.is_none() {
                r.refuse_value(at, &m::BAD_PORT);
            }
            ip
        }
    };
    let protocol = match fields.get("protocol") {
        None => Protocol::Tcp,
        Some(at) => r.text(at).and_then(protocol_of).unwrap_or_else(|| {
            r.refuse_value(at, &m::BAD_PROTOCOL);
            Protocol::Tcp
        }),
    };
    // `ingress` and `host` differ for a swarm only; `docker compose config` writes one of them always.
    if let Some(at) = fields.get("mode")
        && !r.text(at).is_some_and(|mode| matches!(mode, "ingress" | "host"))
    {
        r.refuse_value(at, &m::BAD_PORT);
    }
    Some(Port { target: target?, published: published?, host_ip, protocol })
}

fn number(r: &mut Reader<'_>, at: &At<'_>) -> Option<u16> {
    let port = r.text_or_number(at).and_then(whole).filter(|port| *port != 0);
    if port.is_none() {
        r.refuse_value(at, &m::BAD_PORT);
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        for (text, ports) in [
            ("8080:80", "8080>80/Tcp"),
            ("53:53/udp", "53>53/Udp"),
            ("127.0.0.1:8080:80", "127.0.0.1 8080>80/Tcp"),
            ("[::1]:8080:80/udp", "::1 8080>80/Udp"),
            ("::1:8080:80", "::1 8080>80/Tcp"),
            ("8000-8002:80-82", "8000>80/Tcp, 8001>81/Tcp, 8002>82/Tcp"),
            ("65535:65535", "65535>65535/Tcp"),
        ] {
            let show = |p: &Port| {
                let ip = p.host_ip.map(|ip| format!("{ip} ")).unwrap_or_default();
                format!("{ip}{}>{}/{:?}", p.published, p.target, p.protocol)
            };
            let read: Vec<String> = parse(text).expect(text).iter().map(show).collect();
            assert_eq!(read.join(", "), ports, "{text}");
        }
    }

    #[test]
    fn refused_forms() {
        for (text, why) in [
            ("80", &m::PORT_NOT_PUBLISHED),
            ("127.0.0.1::80", &m::PORT_NOT_PUBLISHED),
            ("", &m::PORT_NOT_PUBLISHED),
            ("80/tcp", &m::PORT_NOT_PUBLISHED),
            ("8080:80/sctp", &m::BAD_PROTOCOL),
            ("8000-8002:80", &m::PORT_RANGES_DIFFER),
            ("8000:80-82", &m::PORT_RANGES_DIFFER),
            ("1-65535:1-65535", &m::PORT_RANGE_TOO_LONG),
            ("0:80", &m::BAD_PORT),
            ("65536:80", &m::BAD_PORT),
            ("8080:x", &m::BAD_PORT),
            ("host:8080:80", &m::BAD_PORT),
            ("8002-8000:82-80", &m::BAD_PORT),
            ("8080:", &m::BAD_PORT),
            ("٣:80", &m::BAD_PORT),
        ] {
            assert_eq!(parse(text).expect_err(text).code, why.code, "{text}");
        }
    }
}
