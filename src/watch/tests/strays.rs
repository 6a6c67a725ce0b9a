//! Records of hours that had been passed: which are of packets that came late.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::metric;
use super::silent::{Body, ELEVEN, captures, packet, udp};
use super::traffic::{Framed, SENSOR};
use crate::config::Config;
use crate::engine::{Engine, Input};
use crate::filter::Filter;
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::health::Health;
use crate::watch::hours::end;
use crate::watch::journal::Journal;
use crate::watch::outlet::Outlet;
use crate::watch::output::Output;
use crate::watch::products::{Making, Product, Records};
use crate::watch::punctual::Late;
use crate::watch::spans::HOUR;

fn icmp(seconds: i64) -> Framed {
    let (time, mut frame) = udp(seconds);
    frame[23] = 1;
    (time, frame)
}

#[test]
fn a_late_packet_excuses_what_it_makes_and_nothing_where_the_product_is_not_of_it() {
    for (product, only, first, late, [records, left_out]) in [
        ("flows", None, 5, icmp(-50), [1, 0]),
        ("flows", Some("udp"), 5, packet(-50 * S, [9, 9], Body::Udp), [1, 0]),
        ("flows", Some("udp"), 5, icmp(-50), [0, 0]),
        // With the empty ones behind its bucket.
        ("buckets:1s", None, 5, icmp(-50), [50, 0]),
        // Over when the file began.
        ("flows", None, 11, icmp(-50), [0, 1]),
        ("flows", None, 5, icmp(-7200), [0, 1]),
        ("flows", Some("udp"), 11, icmp(-50), [0, 0]),
        ("buckets:1s", None, 11, icmp(-50), [0, 1]),
    ] {
        let traffic = captures(&[vec![udp(first), late.clone(), udp(first + 1), udp(first + 2)]]);
        let (folder, config) = (tempfile::tempdir().unwrap(), Config::default());
        let (sensor, health): (Arc<str>, _) = (SENSOR.into(), Arc::new(Health::new(Duration::from_secs(60), 0)));
        let journal = Rc::new(Journal::open(folder.path()).unwrap());
        let output = Rc::new(Output::open(folder.path()).unwrap());
        let asked = Product::parse(product).unwrap();
        let outlet = Outlet::new(&output, &sensor, &journal, &health);
        let mut making = Making::new(&asked, &outlet, &config).unwrap();
        if let (Records::Flows(_, _, filter), Some(only)) = (&mut making.records, only) {
            *filter = Filter::parse(only).unwrap();
        }
        let hours = making.hours();
        hours.standing().pass(ELEVEN);
        let lates = Arc::new(Late::default());
        let mut view = making.view(&config, &sensor, &lates).unwrap();
        Engine::builder().threads(1).build().run(vec![Input::file(&traffic.parts[0])], &mut [&mut *view]).unwrap();
        drop(view);
        for hour in 8..11 {
            assert!(!hours.standing().excuses(ELEVEN + (hour - 11) * HOUR), "{product}: another, of {hour} h");
        }
        end(&outlet, &[hours], Timestamp::MIN).unwrap();
        let told = [health.prometheus(), String::new()];
        let moved = ["late_records_total", "stray_records_total"].map(|name| metric(&told, name));
        assert_eq!(moved, [records, 0], "{product}: {:?}", late.0);
        assert_eq!(lates.take().into_values().sum::<u64>(), left_out, "{product}: {:?}", late.0);
    }
}
