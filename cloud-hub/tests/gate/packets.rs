//! MQTT packets made by hand, so that they can be wrong.

/// CONNECT with a clean session.
pub fn connect(id: &str, keep_alive: u16) -> Vec<u8> {
    connect_with(id, keep_alive, None)
}

/// CONNECT with a will of (topic, payload, QoS).
pub fn connect_with(id: &str, keep_alive: u16, will: Option<(&[u8], &[u8], u8)>) -> Vec<u8> {
    let flags = 2 | will.map_or(0, |(_, _, qos)| 4 | (qos << 3));
    let mut body = [field(b"MQTT"), vec![4, flags], keep_alive.to_be_bytes().to_vec(), field(id.as_bytes())].concat();
    if let Some((topic, payload, _)) = will {
        body.extend([field(topic), field(payload)].concat());
    }
    packet(0x10, &body)
}

/// PUBLISH; packet id 1 unless QoS is 0.
pub fn publish(topic: &[u8], qos: u8, payload: &[u8]) -> Vec<u8> {
    let id: &[u8] = if qos == 0 { &[] } else { &[0, 1] };
    packet(0x30 | (qos << 1), &[&field(topic), id, payload].concat())
}

/// SUBSCRIBE with packet id 1 and QoS 1.
pub fn subscribe(filters: &[&str]) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(|filter| [field(filter.as_bytes()), vec![1]].concat()).collect();
    packet(0x82, &[&[0, 1], &filters[..]].concat())
}

/// UNSUBSCRIBE with packet id 1.
pub fn unsubscribe(filter: &str) -> Vec<u8> {
    packet(0xa2, &[&[0, 1], &field(filter.as_bytes())[..]].concat())
}

pub const PING: [u8; 2] = [0xc0, 0];
pub const DISCONNECT: [u8; 2] = [0xe0, 0];
pub const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
pub const PUBACK: [u8; 4] = [0x40, 2, 0, 1];
pub const SUBACK: [u8; 5] = [0x90, 3, 0, 1, 0];

/// Any packet.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left & 0x7f).expect("seven bits");
        left >>= 7;
        packet.push(if left == 0 { low } else { low | 0x80 });
        if left == 0 {
            break;
        }
    }
    [packet, body.to_vec()].concat()
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("length").to_be_bytes()[..], bytes].concat()
}
