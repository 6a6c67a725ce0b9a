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
use crate::watch::products::{Making, Product};
use crate::watch::spans::HOUR;

fn icmp(seconds: i64) -> Framed {
    let (time, mut frame) = udp(seconds);
    frame[23] = 1;
    (time, frame)
}

#[test]
fn a_late_packet_excuses_what_it_makes_and_nothing_where_the_product_is_not_of_it() {
    for (product, only, late, records) in [
        ("flows", None, icmp(-50), 1),
        ("flows", None, icmp(-7200), 1),
        ("flows", Some("udp"), packet(-50 * S, [9, 9], Body::Udp), 1),
        ("flows", Some("udp"), icmp(-50), 0),
        // With the empty ones behind its bucket.
        ("buckets:1s", None, icmp(-50), 50),
    ] {
        let traffic = captures(&[vec![udp(901), late.clone(), udp(902), udp(903)]]);
        let (folder, config) = (tempfile::tempdir().unwrap(), Config::default());
        let (sensor, health): (Arc<str>, _) = (SENSOR.into(), Arc::new(Health::new(Duration::from_secs(60), 0)));
        let journal = Rc::new(Journal::open(folder.path()).unwrap());
        let output = Rc::new(Output::open(folder.path()).unwrap());
        let asked = Product::parse(product).unwrap();
        let outlet = Outlet::new(&output, &sensor, &journal, &health);
        let mut making = Making::new(&asked, &outlet, &config).unwrap();
        if let (Making::Flows(_, _, filter), Some(only)) = (&mut making, only) {
            *filter = Filter::parse(only).unwrap();
        }
        let hours = making.hours();
        hours.standing().pass(ELEVEN);
        let mut view = making.view(&config, &sensor).unwrap();
        Engine::builder().threads(1).build().run(vec![Input::file(&traffic.parts[0])], &mut [&mut *view]).unwrap();
        drop(view);
        for hour in 8..11 {
            assert!(!hours.standing().excuses(ELEVEN + (hour - 11) * HOUR), "{product}: another, of {hour} h");
        }
        end(&outlet, &[hours], Timestamp::MIN).unwrap();
        let told = [health.prometheus(), String::new()];
        let moved = ["late_records_total", "stray_records_total"].map(|name| metric(&told, name));
        assert_eq!(moved, [records, 0], "{product}: {:?}", late.0);
    }
}
