//! MQTT 3.1.1 packets as a client may send them: strict, borrowing, without allocation beyond a list of filters.
//!
//! Our own, because this is the first thing a stranger's bytes meet: every rule of the standard that narrows the input is
//! applied ("[MQTT-x]" names it), and what the gate does not serve is not parsed at all. Lengths are read before
//! anything is buffered ([`length`]); nothing is allocated from a declared length.

use std::num::NonZeroU16;

/// Most filters of one SUBSCRIBE or UNSUBSCRIBE. A node has one, a client of the center a few.
pub const FILTERS_MAX: usize = 16;

/// A packet of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    Subscribe(NonZeroU16, Vec<&'a str>),
    Unsubscribe(NonZeroU16, Vec<&'a str>),
    Ping,
    Disconnect,
    /// PUBACK, PUBREC, PUBREL or PUBCOMP. The gate sends nothing that would be answered by one.
    Acknowledgement,
}

/// CONNECT. User name and password are checked for their form and forgotten: the certificate says who it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    pub client_id: &'a str,
    /// In seconds.
    pub keep_alive: u16,
    pub will: Option<Will<'a>>,
}

/// What a client wants published when it is lost.
#[derive(Debug, PartialEq, Eq)]
pub struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: u8,
}

/// PUBLISH. The retain flag is not kept: nothing is retained here.
#[derive(Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    pub topic: &'a str,
    /// Present for QoS 1 and 2.
    pub id: Option<NonZeroU16>,
    pub qos: u8,
    pub payload: &'a [u8],
}

/// Why bytes are not a packet of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than is accepted at this point.
    #[error("a packet of more than {max} bytes")]
    TooLong {
        /// The limit, with header.
        max: usize,
    },
    /// CONNECT of another MQTT version.
    #[error("another version of MQTT than 3.1.1")]
    Version,
    /// Anything else.
    #[error("{0}")]
    Form(&'static str),
}

const fn form<T>(what: &'static str) -> Result<T, Malformed> {
    Err(Malformed::Form(what))
}

/// The length of the packet that begins with `bytes`, header included; `None` when more bytes are needed to tell.
/// Fails as soon as the bytes cannot become a packet of a client of at most `max` bytes.
pub fn length(bytes: &[u8], max: usize) -> Result<Option<usize>, Malformed> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    known_kind(*first)?;
    let mut remaining = 0;
    for (place, byte) in rest.iter().take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let total = 2 + place + remaining;
            return if total > max { Err(Malformed::TooLong { max }) } else { Ok(Some(total)) };
        }
    }
    if rest.len() < 4 { Ok(None) } else { form("a length of more than four bytes") }
}

/// Kinds a client may send, with the flags they must have [MQTT-2.2.2-1, MQTT-2.2.2-2].
fn known_kind(first: u8) -> Result<(), Malformed> {
    match (first >> 4, first & 0x0f) {
        (3, _) | (1 | 4 | 5 | 7 | 12 | 14, 0) | (6 | 8 | 10, 2) => Ok(()),
        (1 | 4..=8 | 10 | 12 | 14, _) => form("reserved flags are set"),
        _ => form("a kind of packet that no client sends"),
    }
}

/// Reads one whole packet, as long as [`length`] said.
pub fn parse(packet: &[u8]) -> Result<Packet<'_>, Malformed> {
    let first = packet.first().copied().unwrap_or_default();
    known_kind(first)?;
    let header = 1 + packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let mut body = Reader(packet.get(header..).unwrap_or_default());
    match first >> 4 {
        1 => connect(&mut body).map(Packet::Connect),
        3 => publish(first, body).map(Packet::Publish),
        8 => {
            let (id, filters) = filters(&mut body, true)?;
            Ok(Packet::Subscribe(id, filters))
        }
        10 => {
            let (id, filters) = filters(&mut body, false)?;
            Ok(Packet::Unsubscribe(id, filters))
        }
        12 => body.end(Packet::Ping),
        14 => body.end(Packet::Disconnect),
        _ => {
            body.id()?;
            body.end(Packet::Acknowledgement)
        }
    }
}

fn connect<'a>(body: &mut Reader<'a>) -> Result<Connect<'a>, Malformed> {
    if (body.field()?, body.byte()?) != (b"MQTT", 4) {
        return Err(Malformed::Version);
    }
    let flags = body.byte()?;
    let has = |bit: u8| flags & bit != 0;
    let (will, will_qos, user, password) = (has(0x04), (flags >> 3) & 3, has(0x80), has(0x40));
    if has(0x01) || will_qos == 3 || (!will && flags & 0x38 != 0) || (password && !user) {
        return form("connect flags that contradict each other"); // [MQTT-3.1.2-3, -11, -13, -14, -15, -22]
    }
    let keep_alive = body.number()?;
    let client_id = body.text()?;
    let will = if will { Some(Will { topic: body.text()?, payload: body.field()?, qos: will_qos }) } else { None };
    if user {
        body.text()?;
    }
    if password {
        body.field()?;
    }
    body.end(Connect { client_id, keep_alive, will })
}

fn publish(first: u8, mut body: Reader<'_>) -> Result<Publish<'_>, Malformed> {
    let (qos, again) = ((first >> 1) & 3, first & 0x08 != 0);
    if qos == 3 || (qos == 0 && again) {
        return form("publish flags that contradict each other"); // [MQTT-3.3.1-2, -4]
    }
    let topic = body.text()?;
    let id = if qos == 0 { None } else { Some(body.id()?) };
    Ok(Publish { topic, id, qos, payload: body.0 })
}

fn filters<'a>(body: &mut Reader<'a>, with_qos: bool) -> Result<(NonZeroU16, Vec<&'a str>), Malformed> {
    let id = body.id()?;
    let mut filters = Vec::new();
    while !body.0.is_empty() {
        if filters.len() == FILTERS_MAX {
            return form("too many filters in one packet");
        }
        filters.push(body.text()?);
        if with_qos && body.byte()? > 2 {
            return form("a quality of service above 2"); // [MQTT-3.8.3-4]
        }
    }
    if filters.is_empty() { form("no filter in the packet") } else { Ok((id, filters)) } // [MQTT-3.8.3-3, -3.10.3-2]
}

/// What is left of a packet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        match self.0.split_at_checked(count) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => form("a packet that ends too early"),
        }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A packet id, which is never 0 [MQTT-2.3.1-1].
    fn id(&mut self) -> Result<NonZeroU16, Malformed> {
        NonZeroU16::new(self.number()?).map_or(form("packet id 0"), Ok)
    }

    fn field(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// UTF-8 without NUL [MQTT-1.5.3-1, -2]; surrogates are no UTF-8 in the first place.
    fn text(&mut self) -> Result<&'a str, Malformed> {
        match std::str::from_utf8(self.field()?) {
            Ok(text) if !text.contains('\0') => Ok(text),
            Ok(_) | Err(_) => form("text that is not UTF-8 without NUL"),
        }
    }

    fn end<T>(&self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(value) } else { form("bytes after the end of a packet") }
    }
}

/// A CONNACK return code (section 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Accepted = 0,
    Version = 1,
    ClientId = 2,
    NotAuthorized = 5,
}

/// CONNACK. There is never a session present: nothing is kept for a client that is away.
pub const fn connack(code: Code) -> [u8; 4] {
    [0x20, 2, 0, code as u8]
}

/// PUBACK.
pub const fn puback(id: NonZeroU16) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0x40, 2, high, low]
}

/// SUBACK that grants QoS 0 to each of `count` filters, which [MQTT-3.8.4-6] allows for any request.
pub fn suback(id: NonZeroU16, count: usize) -> Vec<u8> {
    let count = count.min(FILTERS_MAX);
    let [high, low] = id.get().to_be_bytes();
    let mut packet = vec![0x90, 2 + u8::try_from(count).unwrap_or_default(), high, low];
    packet.resize(4 + count, 0);
    packet
}

/// UNSUBACK.
pub const fn unsuback(id: NonZeroU16) -> [u8; 4] {
    let [high, low] = id.get().to_be_bytes();
    [0xb0, 2, high, low]
}

/// PINGRESP.
pub const PONG: [u8; 2] = [0xd0, 0];

/// Everything of a PUBLISH with QoS 0 before its payload.
pub fn publish_header(topic: &[u8], payload: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(7 + topic.len());
    header.push(0x30);
    let mut remaining = 2 + topic.len() + payload;
    loop {
        let low = u8::try_from(remaining & 0x7f).unwrap_or_default();
        remaining >>= 7;
        header.push(if remaining == 0 { low } else { low | 0x80 });
        if remaining == 0 {
            break;
        }
    }
    header.extend(u16::try_from(topic.len()).unwrap_or_default().to_be_bytes());
    header.extend(topic);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).expect("id")
    }

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).expect("hex")
    }

    #[test]
    fn lengths_are_known_before_the_packet_is() {
        for (bytes, max, want) in [
            ("", 100, Ok(None)),
            ("30", 100, Ok(None)),
            ("30 05", 100, Ok(Some(7))),
            ("30 80", 100, Ok(None)),
            ("30 80 01", 1000, Ok(Some(131))),
            ("30 ff ff ff 7f", 16384, Err(Malformed::TooLong { max: 16384 })),
            ("30 62", 100, Ok(Some(100))),
            ("30 63", 100, Err(Malformed::TooLong { max: 100 })),
            ("30 ff ff ff ff 01", usize::MAX, form("a length of more than four bytes")),
            ("c1 00", 100, form("reserved flags are set")),
            ("82 00", 100, Ok(Some(2))),
            ("80 00", 100, form("reserved flags are set")),
            ("20 02", 100, form("a kind of packet that no client sends")),
            ("90 03", 100, form("a kind of packet that no client sends")),
            ("00 00", 100, form("a kind of packet that no client sends")),
            ("f0 00", 100, form("a kind of packet that no client sends")),
        ] {
            assert_eq!(length(&hex(bytes), max), want, "{bytes}");
        }
    }

    #[test]
    fn packets_are_read_as_the_standard_writes_them() {
        let plain = hex("10 0e 0004 4d515454 04 02 003c 0002 6e31");
        assert_eq!(parse(&plain), Ok(Packet::Connect(Connect { client_id: "n1", keep_alive: 60, will: None })));
        let full = hex("10 1d 0004 4d515454 04 ee 003c 0002 6e31 0001 74 0002 ffff 0001 75 0003 707770");
        let will = Will { topic: "t", payload: &[0xff, 0xff], qos: 1 };
        assert_eq!(parse(&full), Ok(Packet::Connect(Connect { client_id: "n1", keep_alive: 60, will: Some(will) })));
        let publish = |qos, id| Packet::Publish(Publish { topic: "a", id, qos, payload: b"hi" });
        assert_eq!(parse(&hex("31 05 0001 61 6869")), Ok(publish(0, None)));
        assert_eq!(parse(&hex("3a 07 0001 61 0102 6869")), Ok(publish(1, Some(id(258)))));
        assert_eq!(parse(&hex("34 07 0001 61 0102 6869")), Ok(publish(2, Some(id(258)))));
        assert_eq!(parse(&hex("82 0a 0001 0001 61 01 0001 62 00")), Ok(Packet::Subscribe(id(1), vec!["a", "b"])));
        assert_eq!(parse(&hex("a2 05 0001 0001 61")), Ok(Packet::Unsubscribe(id(1), vec!["a"])));
        assert_eq!(parse(&hex("c0 00")), Ok(Packet::Ping));
        assert_eq!(parse(&hex("e0 00")), Ok(Packet::Disconnect));
        for ack in ["40 02 0001", "50 02 0001", "62 02 0001", "70 02 0001"] {
            assert_eq!(parse(&hex(ack)), Ok(Packet::Acknowledgement), "{ack}");
        }
    }

    #[test]
    fn everything_else_is_malformed() {
        for (bytes, why) in [
            ("10 0e 0004 4d515454 05 02 003c 0002 6e31", "version 5"),
            ("10 10 0006 4d5149736470 03 02 003c 0002 6e31", "version 3.1"),
            ("10 0e 0004 6d717474 04 02 003c 0002 6e31", "mqtt in small letters"),
            ("10 0e 0004 4d515454 04 03 003c 0002 6e31", "reserved connect flag"),
            ("10 0e 0004 4d515454 04 42 003c 0002 6e31", "password without user"),
            ("10 0e 0004 4d515454 04 22 003c 0002 6e31", "will retain without will"),
            ("10 0e 0004 4d515454 04 1e 003c 0002 6e31", "will QoS 3"),
            ("10 0f 0004 4d515454 04 02 003c 0002 6e31 00", "trailing byte"),
            ("10 0e 0004 4d515454 04 02 003c 0003 6e31", "client id longer than the packet"),
            ("10 0e 0004 4d515454 04 02 003c 0002 6e00", "NUL"),
            ("30 04 0002 c328", "not UTF-8"),
            ("30 05 0003 eda080", "surrogate"),
            ("30 01 00", "half a length"),
            ("30 00", "no topic"),
            ("38 03 0001 61", "again with QoS 0"),
            ("36 05 0001 61 0001", "QoS 3"),
            ("32 05 0001 61 0000", "packet id 0"),
            ("82 02 0001", "no filter"),
            ("82 06 0001 0001 61 03", "filter QoS 3"),
            ("82 05 0001 0001 61", "filter without QoS"),
            ("a2 02 0001", "no filter to end"),
            ("a2 01 00", "half a packet id"),
            ("c0 01 00", "ping with a body"),
            ("40 02 0000", "acknowledges 0"),
            ("40 03 0001 00", "long acknowledgement"),
            ("", "nothing"),
        ] {
            assert!(parse(&hex(bytes)).is_err(), "{why}");
        }
        let many = [hex("82 7f 0001"), hex("0001 61 00").repeat(FILTERS_MAX + 1)].concat();
        assert!(parse(&many).is_err(), "too many filters");
    }

    #[test]
    fn what_the_gate_sends_is_what_the_standard_writes() {
        assert_eq!(connack(Code::NotAuthorized).to_vec(), hex("20 02 00 05"));
        assert_eq!(puback(id(258)).to_vec(), hex("40 02 0102"));
        assert_eq!(suback(id(258), 2), hex("90 04 0102 00 00"));
        assert_eq!(unsuback(id(258)).to_vec(), hex("b0 02 0102"));
        assert_eq!(publish_header(b"a/b", 2), hex("30 07 0003 612f62"));
        assert_eq!(publish_header(b"a", 262_144), hex("30 83 80 10 0001 61"));
    }

    /// No input may panic; a small generator walks from valid packets into the unknown.
    #[test]
    fn a_hundred_thousand_mutations_never_panic() {
        let seeds = ["10 0e 0004 4d515454 04 02 003c 0002 6e31", "3a 07 0001 61 0102 6869", "82 0a 0001 0001 61 01 0001 62 00"];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..100_000_usize {
            let mut bytes = hex(seeds[round % seeds.len()]);
            for _ in 0..=random() % 4 {
                let place = usize::try_from(random() % bytes.len() as u64).expect("place");
                bytes[place] = random().to_le_bytes()[0];
            }
            bytes.truncate(usize::try_from(random() % 24).expect("length"));
            let _outcome = (length(&bytes, 1000), parse(&bytes).is_ok());
        }
    }
}
