//! The general path: link header, IP, transport, and the same again inside every tunnel.

use super::Tunnels;
use super::ip::{self, Ip};
use super::layer::{self, Layer};
use super::link;
use super::packet::{Packet, Tunnel, protocol};
use super::reject::Reject;
use super::span::Span;
use super::transport;
use super::tunnel;
use crate::capture::Record;

/// IP headers inside one another that are followed; the last of them is the packet.
pub(super) const MAX_LEVELS: usize = 8;

/// Decodes a frame; the pair hash is left to the caller.
pub(super) fn decode(record: &Record, frame: &[u8], tunnels: Tunnels) -> Result<Packet, Reject> {
    let (layer, span) = link::first_layer(record.link, Span::frame(frame, record.wire))?;
    let (mut ip, mut packet) = level(layer, span)?;
    if tunnels == Tunnels::Inner {
        let vlan = packet.vlan;
        let (mut kind, mut offset) = (Tunnel::None, 0);
        for _ in 1..MAX_LEVELS {
            // Whatever is wrong inside, the packet around it is sound and stands.
            let Some((next, layer, span)) = tunnel::inside(&ip, &packet) else { break };
            let Ok(inner) = level(layer, span) else { break };
            kind = next;
            offset = if ip.protocol == protocol::UDP { packet.payload_offset } else { packet.transport_offset };
            (ip, packet) = inner;
        }
        (packet.tunnel, packet.tunnel_offset, packet.vlan) = (kind, offset, vlan);
    }
    packet.time = record.time;
    packet.frame = record.offset;
    packet.captured = record.captured;
    packet.wire = record.wire;
    Ok(packet)
}

/// From any layer to the next IP packet and its transport header.
fn level(layer: Layer, span: Span<'_>) -> Result<(Ip<'_>, Packet), Reject> {
    let bottom = layer::descend(layer, span)?;
    let ip = ip::read(bottom.version, bottom.span)?;
    let packet = transport::read(&ip)?;
    Ok((ip, Packet { vlan: bottom.vlan, ..packet }))
}
