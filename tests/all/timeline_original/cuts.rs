//! How flows are cut.

use pcap_compactor::views::timeline::flags::{ACK, SYN};
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::{Choice, Machine, Packet};

use super::{FA, Kept, PA, SA, SECOND, c, flow, flows, hosts, open, s, told};

#[test]
fn ends_meet_in_either_direction_by_the_order_of_text() {
    let to = |dst_port| Packet { dst_port, ..c(SYN, 1, 0, 60) };
    let flows = flows(Options::default(), &[to(90), to(80), s(SA, 5, 2, 60), to(90)]);
    let keys: Vec<_> = flows.iter().map(|flow| (flow.number, flow.key.as_str(), flow.total_packets)).collect();
    let [first, second] = ["10.0.0.10:4000-10.0.0.2:90", "10.0.0.10:4000-10.0.0.2:80"];
    assert_eq!(keys, [(1, first, 2), (2, second, 2)]);
    let itself = Packet { dst: 0, dst_port: 4000, ..c(SYN, 1, 0, 60) };
    assert_eq!(flow(&[itself, itself]).key, "10.0.0.10:4000-10.0.0.10:4000");
}

#[test]
fn a_packet_without_port_or_address_or_of_another_protocol_is_in_no_flow() {
    let others = [
        Packet { src_port: 0, ..c(SYN, 1, 0, 60) },
        Packet { dst_port: 0, ..c(SYN, 1, 0, 60) },
        Packet { src: 2, ..c(SYN, 1, 0, 60) },
        Packet { dst: 2, ..c(SYN, 1, 0, 60) },
        Packet { protocol: Some(17), ..c(SYN, 1, 0, 60) },
        Packet { protocol: None, ..c(SYN, 1, 0, 60) },
    ];
    assert_eq!(flows(Options::default(), &others), []);
}

#[test]
fn packets_of_a_flow_are_in_the_order_of_time_and_of_one_time_as_they_came() {
    let at = |time, packet| Packet { time, ..packet };
    let mixed = [
        at(30, c(ACK, 101, 501, 52)),
        at(20, s(SA, 500, 101, 60)),
        at(10, c(SYN, 100, 0, 60)),
        at(30, c(PA, 101, 501, 99)),
    ];
    let flow = flow(&mixed);
    assert_eq!(told(&flow), "ongoing open - | syn@0 syn_ack@1 ack@2 data@3");
    assert_eq!((flow.start, flow.end), (10, 30));
}

/// Flows by number, with their packets and whether silence ended them.
fn cut(options: Options, packets: &[Packet]) -> Vec<(u64, u64, bool)> {
    flows(options, packets).iter().map(|flow| (flow.number, flow.total_packets, flow.by_timeout)).collect()
}

#[test]
fn silence_ends_a_flow_at_the_end_of_a_chunk_in_which_it_is_silent() {
    let at = |seconds, dst_port| Packet { time: seconds * SECOND + 1, dst_port, ..c(ACK, 1, 1, 52) };
    let options = |read_rows| Options { read_rows, ..Options::default() };
    // A gap inside a chunk is none, nor one at whose far end the next chunk begins.
    assert_eq!(cut(options(500), &[at(0, 80), at(1000, 80)]), [(1, 2, false)]);
    assert_eq!(cut(options(1), &[at(0, 80), at(1000, 80)]), [(1, 2, false)]);
    // Of the timeout, but not less; flows that end together come by number, the others last.
    assert_eq!(cut(options(2), &[at(0, 80), at(300, 90)]), [(1, 1, true), (2, 1, false)]);
    assert_eq!(
        cut(options(2), &[at(0, 80), Packet { time: 300 * SECOND, ..at(0, 90) }]),
        [(1, 1, false), (2, 1, false)]
    );
    assert_eq!(cut(options(2), &[at(0, 80), at(300, 90), at(300, 80)]), [(1, 1, true), (2, 1, false), (3, 1, false)]);
    // The last packet is that of the last row, not that of the newest time.
    let back = [at(400, 80), at(0, 80), at(350, 90)];
    assert_eq!(cut(options(3), &back), [(1, 2, true), (2, 1, false)]);
    // A FIN is a reason before silence.
    let closed = [at(0, 80), Packet { flags: Some(FA), ..at(0, 80) }, at(400, 90)];
    assert_eq!(cut(options(3), &closed), [(1, 2, false), (2, 1, false)]);
    assert_eq!(
        cut(Options { timeout_seconds: 0, ..options(1) }, &[at(0, 80), at(0, 80)]),
        [(1, 1, true), (2, 1, true)]
    );
    // A chunk without TCP ends nothing, however late it is.
    let udp = Packet { protocol: Some(17), ..at(9000, 53) };
    assert_eq!(cut(options(1), &[at(0, 80), udp]), [(1, 1, false)]);
    // A packet in no flow has a time all the same.
    assert_eq!(cut(options(1), &[at(0, 80), Packet { src_port: 0, ..at(300, 53) }]), [(1, 1, true)]);
}

#[test]
fn rows_that_are_left_out_have_their_place_in_a_chunk() {
    let fin = c(FA, 1, 1, 52);
    let other = Packet { time: 1, ..c(ACK, 1, 1, 52) };
    let choice = Choice { from: Some(2), ..Choice::default() };
    let options = |choice| Options { read_rows: 2, choice, ..Options::default() };
    assert_eq!(
        cut(options(choice), &[fin, other, fin].map(|packet| Packet { time: packet.time + 2, ..packet })),
        [(1, 2, false), (2, 1, false)]
    );
    let late = Packet { time: 5, ..fin };
    let chosen = Choice { from: Some(2), ..Choice::default() };
    assert_eq!(cut(options(chosen), &[late, other, late]), [(1, 1, false), (2, 1, false)]);

    let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options(Choice::default())));
    machine.packet(late, &hosts, &mut kept).unwrap();
    machine.other_row(&hosts, &mut kept).unwrap();
    assert_eq!(kept.flows.len(), 1);
    machine.packet(late, &hosts, &mut kept).unwrap();
    machine.end_file(&hosts, &mut kept).unwrap();
    assert_eq!(kept.flows.len(), 2, "a file ends its chunk");
}

#[test]
fn of_most_packets_no_more_are_taken_and_the_machine_is_done() {
    let choice = Choice { most: Some(2), ..Choice::default() };
    let (hosts, mut kept, mut machine) =
        (hosts(), Kept::default(), Original::new(Options { choice, ..Options::default() }));
    for packet in open(&[]) {
        machine.packet(packet, &hosts, &mut kept).unwrap();
    }
    assert!(machine.is_done());
    machine.end_file(&hosts, &mut kept).unwrap();
    assert!(machine.is_done(), "of the next file none is wanted either");
    machine.finish(&hosts, &mut kept).unwrap();
    assert_eq!((kept.packets.len(), kept.flows.len()), (2, 1));
}

#[test]
fn a_file_is_left_when_fifty_chunks_behind_the_last_time_were_empty() {
    let choice = Choice { to: Some(10), ..Choice::default() };
    let run = |late: usize| {
        let options = Options { read_rows: 1, choice: choice.clone(), ..Options::default() };
        let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options));
        let at = |time| Packet { time, ..c(ACK, 1, 1, 52) };
        for packet in [&[at(1)][..], &vec![at(11); late], &[at(2)]].concat() {
            machine.packet(packet, &hosts, &mut kept).unwrap();
        }
        let done = machine.is_done();
        machine.end_file(&hosts, &mut kept).unwrap();
        assert!(!machine.is_done(), "the next file is read");
        machine.packet(at(11), &hosts, &mut kept).unwrap();
        // The count goes on where it was.
        (done, machine.is_done(), kept.packets.len())
    };
    assert_eq!(run(49), (false, false, 2));
    assert_eq!(run(50), (true, true, 1));
}
