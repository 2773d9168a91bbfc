//! Another MQTT client of the center: it may read what nodes report, through the broker's router, and nothing else.
//!
//! The hub keeps no list of these clients, so that a certificate of one is good until it ends: to shut one out earlier takes
//! a new CA, or an [`Nodes::admit_center`] that knows them.

use std::time::Duration;

use shared::id::Name;
use shared::topic::{Channel, center_may_subscribe};
use shared::wire::v1::Up;

use super::framer::Framer;
use super::packet::{self, Packet};
use super::serve::{Stop, log_offence, next_packet};
use super::session::{Outgoing, Session};
use super::stats::End;
use super::wire::{Broken, Wire};
use super::{Inner, Nodes, Offence};
use crate::broker::{Reader, Subscriber};

/// Most subscriptions of one client: each costs the router memory that it never gives back.
const SUBSCRIPTIONS_MAX: usize = 64;

/// Whether clients of the center may read a message of a node: what it reports and its journal. Its logs share the channel
/// of the journal, hold what apps print, and are for those alone who asked for them at the API.
pub(super) fn may_read(channel: Channel, payload: &[u8]) -> bool {
    match channel {
        Channel::State => true,
        Channel::Event => matches!(Up::decode(payload), Ok(Up::Events(_))),
        Channel::Down | Channel::Request => false,
    }
}

pub(super) async fn serve<N: Nodes>(
    gate: &Inner<N>,
    name: &Name,
    wire: &Wire,
    framer: Framer,
    session: &Session,
    patience: Duration,
) -> End {
    let (subscriber, mut reader) = match gate.broker.join(name.as_str()).await {
        Ok(link) => link,
        Err(error) => {
            tracing::warn!(client = %name, %error, "no router for a client of the center");
            return End::GivenUp;
        }
    };
    let listening = listen(name, wire, framer, session, subscriber, patience);
    let end = tokio::select! {
        biased;
        () = session.ending() => End::Lost,
        end = listening => end,
        end = speak(gate, wire, session, &mut reader) => end,
    };
    session.end(end);
    session.ended().unwrap_or(end)
}

async fn listen(
    name: &Name,
    wire: &Wire,
    mut framer: Framer,
    session: &Session,
    mut subscriber: Subscriber,
    patience: Duration,
) -> End {
    let mut subscriptions = 0;
    loop {
        let outcome = match next_packet(wire, &mut framer, patience).await {
            Ok(packet) => answer(&packet, session, &mut subscriber, &mut subscriptions).await,
            Err(stop) => Err(stop),
        };
        if let Err(stop) = outcome {
            return log_offence(name, stop);
        }
    }
}

async fn answer(bytes: &[u8], session: &Session, subscriber: &mut Subscriber, subscriptions: &mut usize) -> Result<(), Stop> {
    match packet::parse(bytes).map_err(Offence::from)? {
        Packet::Subscribe(id, filters) => {
            *subscriptions += filters.len();
            if *subscriptions > SUBSCRIPTIONS_MAX || !filters.iter().all(|filter| center_may_subscribe(filter)) {
                return Err(Offence::Filter.into());
            }
            session.reply(&packet::suback(id, filters.len())).await;
            for filter in filters {
                subscriber.subscribe(filter).map_err(|_| Stop::End(End::GivenUp))?;
            }
        }
        Packet::Unsubscribe(id, filters) => {
            for filter in filters.into_iter().filter(|filter| center_may_subscribe(filter)) {
                subscriber.unsubscribe(filter).map_err(|_| Stop::End(End::GivenUp))?;
            }
            session.reply(&packet::unsuback(id)).await;
        }
        Packet::Ping => session.reply(&packet::PONG).await,
        Packet::Disconnect => return Err(Stop::End(End::Left)),
        Packet::Publish(_) => return Err(Offence::Topic.into()),
        Packet::Connect(_) => return Err(Offence::SecondConnect.into()),
        Packet::Acknowledgement => return Err(Offence::Acknowledgement.into()),
    }
    Ok(())
}

/// Sends answers and what the router forwards. The router drops what a slow client does not take.
async fn speak<N>(gate: &Inner<N>, wire: &Wire, session: &Session, reader: &mut Reader) -> End {
    loop {
        let sent = tokio::select! {
            biased;
            outgoing = session.next() => match outgoing {
                Ok(Outgoing::Replies(packets)) => {
                    let sent = wire.send(&packets, &[], gate.limits.stall).await;
                    session.replies_sent();
                    sent
                }
                Ok(Outgoing::Control(_) | Outgoing::Bulk(_)) | Err(_) => return End::GivenUp, // nobody sends such to a center
            },
            message = reader.next() => match message {
                Some((topic, payload)) => {
                    let header = packet::publish_header(&topic, payload.len());
                    wire.send(&header, &payload, gate.limits.stall).await
                }
                None => return End::GivenUp, // the router is being rebuilt; the client connects again
            },
        };
        match sent {
            Ok(()) => {}
            Err(Broken::Stalled) => return End::Stalled,
            Err(Broken::Lost | Broken::Malformed(_)) => return End::Lost,
        }
    }
}
