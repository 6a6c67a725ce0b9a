//! Tables for the correct machine.

use pcap_compactor::capture::Input;
use pcap_compactor::engine::Progress;
use pcap_compactor::views::timeline::flags::SYN;
use pcap_compactor::views::timeline::table::{self, Fault, Names};
use pcap_compactor::views::timeline::{Choice, Chosen, Hosts, Machine, Mode, Packet, TimelineSink};
use pcap_compactor::{ErrorKind, Result};

use super::{Kept, Place, T, row, table};

/// Makes no flows.
struct Passes;

impl Machine for Passes {
    fn packet(&mut self, packet: Packet, hosts: &Hosts, sink: &mut dyn TimelineSink) -> Result<()> {
        sink.packet(&packet, hosts)
    }
    fn finish(&mut self, _: &Hosts, _: &mut dyn TimelineSink) -> Result<()> {
        Ok(())
    }
}

fn correct(table: &str, choice: Choice) -> Result<(Kept, Vec<Fault>)> {
    let place = Place::new(&[("in.csv", table.as_bytes())]);
    let (mut kept, inputs) = (Kept::default(), [Input::File(place.path("in.csv"))]);
    let mut machine = Chosen::new(choice, Passes);
    let reports = table::run(&inputs, &Names::default(), Mode::Correct, &Progress::default(), &mut machine, &mut kept)?;
    Ok((kept, reports.into_iter().flat_map(|report| report.remarks).map(|remark| remark.fault).collect()))
}

#[test]
fn the_correct_machine_gets_no_times_of_other_units_and_no_flags_in_hexadecimal() {
    let packet = row(T, "a", "b", (1, 2), SYN);
    let refused = |rows: &[String]| match correct(&table(rows), Choice::default()).map(|_| ()).unwrap_err().kind() {
        ErrorKind::Table { path, line, message } => {
            assert!(path.ends_with("in.csv"));
            (*line, message.clone())
        }
        other => panic!("{other:?}"),
    };
    let (line, message) = refused(&[packet.clone(), packet.replace(",2,1,0,60", ",0x12,1,0,60")]);
    assert_eq!(
        (line, message.as_str()),
        (3, "column flags: 0x12 is hexadecimal; flags are decimal here, 18 in this row")
    );
    for (time, unit, way) in [
        ("1700000000.123456", "seconds", "multiply it by 1,000,000"),
        ("1700000000000", "milliseconds", "multiply it by 1,000"),
        ("1700000000000000000", "nanoseconds", "divide it by 1,000"),
    ] {
        let (line, message) = refused(&["soon".into(), packet.replace(&T.to_string(), time)]);
        assert!(line == 3 && message.contains(unit) && message.ends_with(way), "{message}");
    }
    // A time from a beginning of its own is known by the first but 0, so a later one is taken.
    let own = ["0", "7", "1700000000"].map(|time| packet.replace(&T.to_string(), time));
    let (kept, faults) = correct(&table(&own), Choice::default()).unwrap();
    assert_eq!((kept.packets.len(), kept.finished, faults), (3, 1, vec![]));
}

/// A host is one that has packets, so what is left out enters none.
#[test]
fn a_row_that_is_left_out_enters_no_host() {
    for ends in [[&b"\xff"[..], b"b"], [b"a", b"\xff"], [b"\xff", b"\xff"]] {
        let row = [format!("{T},").as_bytes(), ends[0], b",", ends[1], b",1,2,2,1,0,60,6\n"].concat();
        let place = Place::new(&[("in.csv", &[super::HEADER.as_bytes(), b"\n", &row].concat())]);
        let (mut kept, inputs) = (Kept::default(), [Input::File(place.path("in.csv"))]);
        for mode in [Mode::Correct, Mode::Original] {
            let reports = table::run(
                &inputs,
                &Names::default(),
                mode,
                &Progress::default(),
                &mut Chosen::new(Choice::default(), Passes),
                &mut kept,
            )
            .unwrap();
            let faults: Vec<_> = reports.iter().flat_map(|report| &report.remarks).map(|remark| remark.fault).collect();
            assert_eq!((faults, reports[0].packets, kept.hosts), (vec![Fault::NotText], 0, 0), "{ends:?}");
        }
    }
}

/// The original makes a number of a protocol before it looks for the name, and finds none.
#[test]
fn the_original_knows_no_protocol_by_name() {
    for (mode, protocols) in [("correct", 1), ("original", 0)] {
        let place =
            Place::new(&[("in.csv", table(&[row(T, "a", "b", (1, 2), SYN).replace(",60,6", ",60,TCP")]).as_bytes())]);
        let ran = crate::command::Ran::of(
            crate::command::command(["timeline", "in.csv", "-o", "out", "--mode", mode])
                .current_dir(place.0.path())
                .output()
                .unwrap(),
        );
        assert_eq!(place.json("out/manifest.json")["total_flows"], protocols, "{ran:?}");
        assert_eq!(ran.said.contains("no decimal number in column protocol"), mode == "original", "{}", ran.said);
    }
}

#[test]
fn the_correct_machine_gets_protocols_by_name_and_only_what_is_chosen() {
    let rows = ["6", "TCP", "udp", "", "SCTP"]
        .map(|name| row(T, "a", "b", (1, 2), SYN).replace(",60,6", &format!(",60,{name}")));
    let choice = Choice { most: Some(5), hosts: Some(vec!["b".into()]), ..Choice::default() };
    let (kept, faults) = correct(&table(&rows), choice.clone()).unwrap();
    let protocols: Vec<_> = kept.packets.iter().map(|packet| packet.protocol).collect();
    assert_eq!(protocols, [Some(6), Some(6), Some(17), None, None]);
    assert_eq!(faults, [Fault::NoNumber("protocol")]);
    let (kept, _) = correct(&table(&rows), Choice { most: Some(2), ..choice }).unwrap();
    assert_eq!(kept.packets.len(), 2);
}
