use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::watch::journal::{Advance, Became, Entry, Fed, Hour, Own, State, Written};
use crate::watch::{Identity, Product};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: i64 = 3600 * NS_PER_SECOND;
/// 2023-10-19T13.
const BEGAN: i64 = 1_697_720_400 * NS_PER_SECOND;

/// A pipeline's two folders and its journal. Captures have been read; hours before [`BEGAN`] are out, and packets before an hour earlier needed
/// no more.
struct Scene {
    whole: TempDir,
    journal: Journal,
    settings: Settings,
    now: SystemTime,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Settings)) -> Scene {
        let whole = tempfile::tempdir().unwrap();
        let [folder, output] = ["captures", "out"].map(|name| whole.path().join(name));
        fs::create_dir_all(folder.join("s")).unwrap();
        let journal = Journal::open(&output).unwrap();
        let products = ["groups", "flows"].map(|name| Product::parse(name).unwrap()).to_vec();
        let mut settings = Settings { least_free: 0, ..Settings::new(folder, output, products) };
        change(&mut settings);
        let scene = Scene { whole, journal, settings, now: SystemTime::now() };
        ["groups", "flows"].iter().for_each(|product| scene.out(product, BEGAN, BEGAN - HOUR));
        scene
    }

    fn advance(&self, sensor: &str, product: &str, out: Out, file: Option<Written>) {
        let step = Advance { product: product.to_owned(), out, file, gone: Vec::new() };
        self.journal.commit(sensor, &[step], None).unwrap();
    }

    fn out(&self, product: &str, until: i64, needs: i64) {
        self.advance("s", product, Out { until: Timestamp(until), needs: Timestamp(needs) }, None);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.folder.join("s").join(name)
    }

    /// A file of a thousand bytes for each day of its age.
    fn file(&self, path: &Path, days: u32) -> Identity {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![7; days as usize * 1000]).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(self.now - DAY * days).unwrap();
        file.sync_all().unwrap();
        let there = file.metadata().unwrap();
        Identity { device: there.dev(), inode: there.ino(), size: there.size(), digest: String::new() }
    }

    /// Hands a capture over, whose last packet is so long before what is not out.
    fn feed(&self, path: &Path, identity: Identity, before: i64) -> i64 {
        let fed = Fed { path: path.to_owned(), identity, first: Some(Timestamp(0)), next: None };
        let place = self.journal.fed("s", &fed).unwrap();
        let became = Became { packets: 1, last: Some(Timestamp(BEGAN - before)), ..Became::default() };
        self.journal.read(place, &became).unwrap();
        place
    }

    fn capture(&self, name: &str, days: u32, before: i64) -> i64 {
        let path = self.path(name);
        self.feed(&path, self.file(&path, days), before)
    }

    /// The records of an hour so many hours before what is not out.
    fn record(&self, hours: i64, days: u32) -> PathBuf {
        let hour = Timestamp(BEGAN - hours * HOUR);
        let path = PathBuf::from(format!("flows/s/{}.jsonl", hour_folder(hour)));
        let bytes = self.file(&self.settings.output.join(&path), days).size;
        let out = Out { until: Timestamp(BEGAN), needs: Timestamp(BEGAN - HOUR) };
        let written = Written { path: path.clone(), hour, bytes, rows: 1 };
        self.advance("s", "flows", out, Some(written));
        path
    }

    /// One to which nobody writes anything, whatever the system says.
    fn keeper(&self) -> Keeper {
        Keeper { writers: |_, _| Writers::Nobody, ..Keeper::new(Arc::new(self.settings.clone())) }
    }

    fn look(&self) -> Looked {
        self.keeper().look(&self.journal, self.now).unwrap()
    }

    /// Files that are left where captures are.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.settings.folder.join("s")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A folder beside, with a file in it that is to stay.
    fn outside(&self) -> PathBuf {
        let folder = self.whole.path().join("outside");
        fs::create_dir(&folder).unwrap();
        folder
    }
}

fn names(looked: &Looked) -> Vec<&str> {
    looked.removed.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn captures_over_their_age_go_when_their_hours_are_out() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY * 3));
    scene.capture("old", 4, 2 * HOUR);
    scene.capture("just", 3, 2 * HOUR);
    scene.capture("young", 2, 2 * HOUR);
    scene.capture("open", 5, 0);
    let path = scene.path("unread");
    let identity = scene.file(&path, 6);
    scene.journal.fed("s", &Fed { path, identity, first: None, next: None }).unwrap();
    scene.file(&scene.path("stranger"), 9);
    let looked = scene.look();
    assert_eq!((names(&looked), looked.kept_for_hours, looked.needed), (vec!["old", "just"], 2, 0));
    assert_eq!(looked.removed[0], (scene.path("old"), 4000));
    assert_eq!(scene.left(), ["open", "stranger", "unread", "young"]);
    assert_eq!(names(&scene.look()), [""; 0]);
}

#[test]
fn a_capture_that_may_still_be_written_stays() {
    let bounds: [fn(&mut Settings); 3] = [
        |settings| settings.keep.captures = Some(DAY),
        |settings| settings.keep.capture_bytes = Some(0),
        |settings| (settings.least_free, settings.when_full) = (u64::MAX, WhenFull::DropOldest),
    ];
    for (nth, change) in bounds.into_iter().enumerate() {
        let scene = Scene::new(change);
        scene.capture("old", 4, 2 * HOUR);
        // As tcpdump makes it that waits for its first packet, which nothing else holds.
        let path = scene.path("begun");
        let fed = Fed { path: path.clone(), identity: scene.file(&path, 3), first: None, next: None };
        let place = scene.journal.fed("s", &fed).unwrap();
        scene.journal.read(place, &Became::default()).unwrap();
        let mut keeper = scene.keeper();
        let mut look = |writers| {
            keeper.writers = writers;
            let looked = keeper.look(&scene.journal, scene.now).unwrap();
            let names = names(&looked).into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert!(looked.kept_for_hours >= looked.kept_for_writers);
            (names, looked.kept_for_writers)
        };
        let is_over = |captures| if nth < 2 { captures } else { 0 };
        assert_eq!(look(|_, _| Writers::Somebody), (vec![], is_over(2)));
        // Of its sensor none is newer, and that of another says nothing of it.
        let path = scene.settings.folder.join("t/newer");
        let fed = Fed { path: path.clone(), identity: scene.file(&path, 2), first: None, next: None };
        scene.journal.fed("t", &fed).unwrap();
        assert_eq!(look(|_, _| Writers::Unknown), (vec!["old".into()], is_over(1)));
        scene.capture("next", 0, 0);
        assert_eq!(
            look(|_, path| if path.ends_with("begun") { Writers::Unknown } else { Writers::Somebody }).0,
            ["begun"]
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_capture_that_is_open_for_writing_stays_until_it_is_closed() {
    let scene =
        Scene::new(|settings| (settings.keep.captures, settings.keep.reports) = (Some(DAY), Some(Duration::ZERO)));
    scene.capture("begun", 4, 2 * HOUR);
    let aside = scene.settings.output.join("quarantine/s/aside.pcap");
    scene.file(&aside, 4);
    let writers = [scene.path("begun"), aside].map(|path| File::options().append(true).open(path).unwrap());
    let mut keeper = Keeper::new(Arc::new(scene.settings.clone()));
    let later = SystemTime::now() + DAY;
    let looked = keeper.look(&scene.journal, later).unwrap();
    assert_eq!((looked.removed.len(), looked.kept_for_writers), (0, 1));
    drop(writers);
    // Where the system does not say who writes it, it is the last of its sensor.
    let is_told = writers::writers(&File::open(scene.path("begun")).unwrap(), &scene.path("begun")) == Writers::Nobody;
    let looked = keeper.look(&scene.journal, later).unwrap();
    assert_eq!(names(&looked), if is_told { vec!["aside.pcap", "begun"] } else { vec!["aside.pcap"] });
}

#[test]
fn a_capture_stays_until_all_products_are_behind_it() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY));
    scene.capture("a", 2, 2 * HOUR);
    let mut keeper = scene.keeper();
    for (until, gone) in [(BEGAN - 3 * HOUR, false), (BEGAN - 2 * HOUR, false), (BEGAN - HOUR, true)] {
        scene.out("flows", until, until);
        let looked = keeper.look(&scene.journal, scene.now).unwrap();
        assert_eq!((looked.removed.len(), looked.kept_for_hours), (usize::from(gone), u64::from(!gone)));
    }
    let scene = Scene::new(|settings| {
        settings.keep.captures = Some(DAY);
        settings.products.push(Product::parse("buckets:1s").unwrap());
    });
    scene.capture("a", 2, 2 * HOUR);
    assert_eq!(scene.look().kept_for_hours, 1, "a product of which nothing is out yet was passed over");
}

#[test]
fn a_capture_stays_until_the_records_are_out_that_it_has_by_itself() {
    for by_hour in [true, false] {
        let scene = Scene::new(|settings| {
            settings.keep.captures = Some(DAY * 3);
            settings.products.retain(|_| by_hour);
            settings.products.push(Product::parse("buckets:1s/capture").unwrap());
        });
        let path = scene.path("old");
        let identity = scene.file(&path, 4);
        scene.feed(&path, identity.clone(), 2 * HOUR);
        let looked = scene.look();
        assert_eq!((names(&looked), looked.kept_for_hours), (Vec::new(), 1));
        let mut own = Own { records: "s/old".into(), capture: scene.path("before"), identity };
        scene.journal.commit_own("s", &own, &[]).unwrap();
        assert_eq!(names(&scene.look()), [""; 0], "they are out under another name");
        own.capture = path;
        scene.journal.commit_own("s", &own, &[]).unwrap();
        assert_eq!(names(&scene.look()), ["old"]);
    }
}

#[test]
fn a_capture_that_gets_no_records_by_itself_goes_when_its_hours_are_out() {
    for by_hour in [true, false] {
        let scene = Scene::new(|settings| {
            settings.keep.captures = Some(DAY * 3);
            settings.products.retain(|_| by_hour);
            settings.products.push(Product::parse("buckets:1s/capture").unwrap());
        });
        let path = scene.path("old");
        let identity = scene.file(&path, 4);
        scene.journal.refuse("s", &path, &identity, "no place", !by_hour).unwrap();
        let aside = scene.journal.aside().unwrap();
        assert_eq!((aside[0].state, aside[0].reason.as_str()), (State::Refused, "no place"));
        let looked = scene.look();
        if by_hour {
            assert_eq!((names(&looked), looked.kept_for_hours), (Vec::new(), 1), "it is still to be read");
            scene.feed(&path, identity.clone(), 0);
            assert_eq!((names(&scene.look()), scene.look().kept_for_hours), (Vec::new(), 1), "its hours are not out");
            scene.out("groups", BEGAN + HOUR, BEGAN + HOUR);
            scene.out("flows", BEGAN + HOUR, BEGAN + HOUR);
        }
        let looked = if by_hour { scene.look() } else { looked };
        assert_eq!((names(&looked), looked.unread, looked.kept_for_hours), (vec!["old"], 1, 0));
        assert_eq!(scene.journal.aside().unwrap(), []);
    }
    // Under another name it may get some.
    let scene = Scene::new(|settings| {
        settings.keep.captures = Some(DAY * 3);
        settings.products = vec![Product::parse("buckets:1s/capture").unwrap()];
    });
    let (old, new) = (scene.path("old"), scene.path("new"));
    let identity = scene.file(&old, 4);
    scene.journal.refuse("s", &old, &identity, "no place", true).unwrap();
    fs::rename(&old, &new).unwrap();
    assert!(scene.journal.moved(&identity, &new).unwrap());
    assert_eq!((names(&scene.look()), scene.look().kept_for_hours), (Vec::new(), 1));
}

/// What a capture of the test below is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Out,
    Open,
    Unread,
    Late,
    Stranger,
    Aside,
    Linked,
    Replaced,
}

#[test]
fn whatever_lies_there_nothing_goes_that_may_not_and_no_more_than_has_to() {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    const ALL: [Is; 8] = [Is::Out, Is::Open, Is::Unread, Is::Late, Is::Stranger, Is::Aside, Is::Linked, Is::Replaced];
    for seed in 0..150 {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut roll = |sides: u64| dice.next_u64() % sides;
        let (age, bytes) = ((roll(3) > 0).then(|| 1 + roll(9) as u32), (roll(3) > 0).then(|| roll(40_000)));
        let mut free = if roll(3) == 0 { roll(20_000) } else { u64::MAX };
        let scene = Scene::new(|settings| {
            settings.keep.captures = age.map(|days| DAY * days);
            settings.keep.capture_bytes = bytes;
            settings.least_free = 10_000;
            settings.when_full = if free < u64::MAX { WhenFull::DropOldest } else { WhenFull::Warn };
        });
        let outside = scene.outside();
        let mut all = Vec::new();
        for nth in 0..4 + roll(12) {
            let (is, days) = (ALL[roll(8) as usize], 1 + roll(9) as u32);
            let path = scene.path(&format!("{nth:02}"));
            let identity = scene.file(&path, days);
            let fed = Fed { path: path.clone(), identity: identity.clone(), first: None, next: None };
            match is {
                Is::Out | Is::Linked | Is::Replaced => _ = scene.feed(&path, identity, 2 * HOUR),
                Is::Open => _ = scene.feed(&path, identity, -(roll(3) as i64)),
                Is::Unread => _ = scene.journal.fed("s", &fed).unwrap(),
                Is::Late => scene.journal.set_aside("s", &path, &identity, State::Late, "").unwrap(),
                Is::Aside => scene.journal.set_aside("s", &path, &identity, State::Quarantined, "").unwrap(),
                Is::Stranger => {}
            }
            let there = outside.join(path.file_name().unwrap());
            match is {
                Is::Linked => {
                    fs::rename(&path, &there).unwrap();
                    symlink(&there, &path).unwrap();
                }
                Is::Replaced => {
                    fs::rename(&path, &there).unwrap();
                    scene.file(&path, days);
                }
                _ => {}
            }
            let room = fs::symlink_metadata(&path).unwrap().blocks() * BLOCK;
            all.push((path, is, days, room));
        }
        let case = format!("seed {seed}: age {age:?}, bytes {bytes:?}, free {free}: {all:?}");
        let before = fs::read_dir(&outside).unwrap().count();
        let begins = free;
        let room = std::cell::Cell::new(free);
        let looked = scene.keeper().look_at(&scene.journal, scene.now, &|_, _| Ok(room.get())).unwrap();
        let gone: Vec<_> = all.iter().filter(|(path, ..)| path.symlink_metadata().is_err()).collect();
        assert_eq!(looked.removed.len(), gone.len(), "{case}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), before, "{case}");
        let may_go = |is: Is| matches!(is, Is::Out | Is::Late);
        assert!(gone.iter().all(|(_, is, ..)| may_go(*is)), "{case}");
        // What is ours and still there counts, and no more is left than may be, but for what may not go.
        let ours = |is: Is| matches!(is, Is::Out | Is::Open | Is::Unread | Is::Late);
        let left = |(path, is, ..): &&(PathBuf, Is, u32, u64)| ours(*is) && path.exists();
        let size = |days: u32| u64::from(days) * 1000;
        let total: u64 = all.iter().filter(left).map(|(.., days, _)| size(*days)).sum();
        let may_stay: Vec<_> = all.iter().filter(left).filter(|(_, is, ..)| may_go(*is)).collect();
        assert!(age.is_none_or(|age| may_stay.iter().all(|(.., days, _)| *days < age)), "too old: {case}");
        assert!(bytes.is_none_or(|most| total <= most || may_stay.is_empty()), "too many: {case}");
        if begins < scene.settings.least_free {
            gone.iter().for_each(|(.., room)| free = free.saturating_add(*room));
            assert!(free >= scene.settings.least_free || may_stay.is_empty(), "too full: {case}");
        }
        // The oldest go first, and none goes that need not: without the youngest of them something would be over.
        if let Some((.., days, _)) = gone.iter().min_by_key(|(.., days, _)| *days) {
            assert!(may_stay.iter().all(|(.., other, _)| other <= days), "not the oldest: {case}");
            let over_age = age.is_some_and(|age| *days >= age);
            let over_bytes = bytes.is_some_and(|most| total + size(*days) > most);
            assert!(over_age || over_bytes || begins < scene.settings.least_free, "for nothing: {case}");
        }
        let open = all
            .iter()
            .filter(|(_, is, days, _)| matches!(is, Is::Open | Is::Unread) && age.is_some_and(|age| *days >= age));
        assert!(looked.kept_for_hours >= open.count() as u64, "not counted: {case}");
        assert_eq!(looked.unread, gone.iter().filter(|(_, is, ..)| *is == Is::Late).count() as u64, "{case}");
    }
}

#[test]
fn captures_stay_for_files_of_their_sensor_that_wait_unless_the_disk_is_full() {
    let scene = Scene::new(|settings| {
        settings.keep.captures = Some(DAY);
        settings.when_full = WhenFull::DropOldest;
        settings.least_free = 1000;
    });
    scene.capture("old", 2, 2 * HOUR);
    let mut keeper = scene.keeper();
    let mut look = |waits: &[&str], free: u64| {
        keeper.wait_for(waits.iter().map(|sensor| sensor.to_string()).collect());
        let looked = keeper.look_at(&scene.journal, scene.now, &|_, _| Ok(free)).unwrap();
        (names(&looked).len(), looked.kept_for_hours, looked.kept_for_files)
    };
    assert_eq!(look(&["other", "s"], 1000), (0, 1, 1));
    assert_eq!(look(&["other"], 1000), (1, 0, 0));
    scene.capture("older", 3, 3 * HOUR);
    scene.capture("open", 2, 0);
    assert_eq!(look(&["s"], 1000), (0, 2, 1), "what is not out stays for hours");
    assert_eq!(look(&["s"], 999), (1, 1, 0));
}

#[test]
fn a_capture_that_is_away_for_a_while_or_renamed_goes_when_it_is_found_again() {
    for is_at_start in [true, false] {
        for is_renamed in [true, false] {
            let mut scene = Scene::new(|settings| settings.keep.captures = Some(DAY * 3));
            let (path, away) = (scene.path("a"), scene.whole.path().join("away"));
            let identity = scene.file(&path, 2);
            scene.feed(&path, identity.clone(), 2 * HOUR);
            let mut keeper = scene.keeper();
            if !is_at_start {
                assert_eq!(names(&keeper.look(&scene.journal, scene.now).unwrap()), [""; 0]);
            }
            fs::rename(&path, &away).unwrap();
            scene.now += DAY * 2;
            for _ in 0..AGAIN {
                let looked = keeper.look(&scene.journal, scene.now).unwrap();
                assert_eq!((names(&looked), looked.kept_for_hours), (Vec::new(), 0), "it is away");
            }
            let back = if is_renamed { scene.path("b") } else { path };
            fs::rename(&away, &back).unwrap();
            assert_eq!(scene.journal.moved(&identity, &back).unwrap(), is_renamed);
            let mut gone = Vec::new();
            for _ in 0..AGAIN {
                gone.extend(keeper.look(&scene.journal, scene.now).unwrap().removed);
            }
            assert_eq!((gone, scene.left()), (vec![(back, 2000)], Vec::new()), "{is_at_start} {is_renamed}");
        }
    }
}

#[test]
fn too_many_bytes_go_oldest_first() {
    let scene = Scene::new(|settings| settings.keep.capture_bytes = Some(6000));
    scene.capture("a", 1, 2 * HOUR);
    scene.capture("b", 4, 2 * HOUR);
    scene.capture("c", 3, 2 * HOUR);
    scene.capture("d", 5, 0);
    scene.capture("e", 2, 2 * HOUR);
    let looked = scene.look();
    assert_eq!((names(&looked), looked.kept_for_hours), (vec!["b", "c", "e"], 1));
    assert_eq!(scene.left(), ["a", "d"]);
}

#[test]
fn a_capture_that_hours_to_come_need_stays_as_long_as_they_do_or_until_the_disk_is_full() {
    for is_full in [false, true] {
        let scene = Scene::new(|settings| {
            settings.keep.captures = Some(DAY);
            settings.keep.capture_bytes = Some(1);
            (settings.least_free, settings.when_full) = (1000, WhenFull::DropOldest);
        });
        scene.capture("needed", 3, HOUR);
        scene.capture("open", 2, 0);
        let look = |free| scene.keeper().look_at(&scene.journal, scene.now, &|_, _| Ok(free)).unwrap();
        let looked = look(1000);
        assert_eq!((names(&looked), looked.kept_for_hours, looked.needed), (Vec::<&str>::new(), 2, 0));
        let after = |needs| {
            ["groups", "flows"].iter().for_each(|product| scene.out(product, BEGAN, needs));
            look(1000)
        };
        let looked = if is_full {
            look(999)
        } else {
            assert_eq!(after(BEGAN - HOUR).kept_for_hours, 2);
            after(BEGAN - HOUR + 1)
        };
        assert_eq!((names(&looked), looked.kept_for_hours, looked.needed), (vec!["needed"], 1, u64::from(is_full)));
    }
}

#[test]
fn a_capture_that_is_removed_is_known_no_more_than_it_has_to_be() {
    let mut scene = Scene::new(|settings| settings.keep.captures = Some(DAY));
    let done = scene.capture("done", 4, 5 * HOUR);
    scene.capture("needed", 3, HOUR);
    scene.journal.forget("s", done + 1).unwrap();
    let (late, torn) = (scene.path("late"), scene.path("torn"));
    scene.journal.set_aside("s", &late, &scene.file(&late, 8), State::Late, "").unwrap();
    scene.journal.set_aside("s", &torn, &scene.file(&torn, 9), State::Quarantined, "").unwrap();
    let looked = scene.look();
    assert_eq!((names(&looked), looked.kept_for_hours, looked.unread), (vec!["late", "done"], 1, 1));
    (scene.settings.least_free, scene.settings.when_full) = (1, WhenFull::DropOldest);
    let looked = scene.keeper().look_at(&scene.journal, scene.now, &|_, _| Ok(0)).unwrap();
    assert_eq!((names(&looked), looked.needed), (vec!["needed"], 1));
    assert_eq!(scene.left(), ["torn"]);
    let held = scene.journal.sequence("s").unwrap();
    let [Entry::File { fed, .. }] = &held[..] else { panic!("{held:?}") };
    assert!(scene.journal.was_removed(&fed.identity).unwrap());
    assert_eq!(scene.journal.aside().unwrap().len(), 1, "what is removed is listed no more");
    let counts = scene.journal.counts().unwrap();
    assert_eq!((counts.fed, counts.done, scene.journal.sequence("s").unwrap().len()), (0, 0, 1));
}

#[test]
fn what_took_the_name_of_a_capture_stays() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY));
    for name in ["link", "new", "longer", "folder", "same"] {
        scene.capture(name, 2, 2 * HOUR);
    }
    let victim = scene.outside().join("victim");
    scene.file(&victim, 2);
    fs::rename(scene.path("link"), scene.whole.path().join("kept")).unwrap();
    symlink(&victim, scene.path("link")).unwrap();
    scene.file(&scene.path("other"), 2);
    fs::rename(scene.path("other"), scene.path("new")).unwrap();
    scene.file(&scene.path("longer"), 3);
    fs::rename(scene.path("folder"), scene.whole.path().join("moved")).unwrap();
    fs::create_dir(scene.path("folder")).unwrap();
    assert_eq!(names(&scene.look()), ["same"]);
    assert_eq!(scene.left(), ["folder", "link", "longer", "new"]);
    assert!(victim.exists() && scene.whole.path().join("kept").exists());
}

#[test]
fn a_capture_that_is_written_anew_is_judged_by_what_it_is_now() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY));
    for (name, state) in [("fed", State::Fed), ("late", State::Late)] {
        scene.capture(name, 2, 2 * HOUR);
        let path = scene.path(name);
        let identity = Identity { digest: "other".to_owned(), ..scene.file(&path, 2) };
        match state {
            State::Fed => _ = scene.feed(&path, identity, 0),
            _ => scene.journal.set_aside("s", &path, &identity, state, "").unwrap(),
        }
    }
    let looked = scene.look();
    assert_eq!((names(&looked), looked.kept_for_hours, looked.unread), (vec!["late"], 1, 1));

    // Before it is told so.
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY * 3));
    scene.capture("a", 2, 2 * HOUR);
    let mut keeper = scene.keeper();
    keeper.look(&scene.journal, scene.now).unwrap();
    fs::write(scene.path("a"), vec![8; 2000]).unwrap();
    assert_eq!(names(&keeper.look(&scene.journal, scene.now + DAY * 2).unwrap()), [""; 0]);
    assert_eq!(scene.left(), ["a"]);
}

#[test]
fn what_is_replaced_between_two_looks_stays_too() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY * 3));
    scene.capture("a", 2, 2 * HOUR);
    let mut keeper = scene.keeper();
    assert_eq!(names(&keeper.look(&scene.journal, scene.now).unwrap()), [""; 0]);
    scene.file(&scene.path("b"), 2);
    fs::rename(scene.path("b"), scene.path("a")).unwrap();
    assert_eq!(names(&keeper.look(&scene.journal, scene.now + DAY * 9).unwrap()), [""; 0]);
    assert_eq!(scene.left(), ["a"]);
}

#[test]
fn nothing_is_removed_through_a_link_or_out_of_the_folder_though_it_is_the_same_file() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY));
    let outside = scene.outside();
    let identity = scene.file(&outside.join("a"), 2);
    symlink(&outside, scene.settings.folder.join("t")).unwrap();
    scene.feed(&scene.settings.folder.join("t/a"), identity, 2 * HOUR);
    let identity = scene.file(&outside.join("b"), 2);
    scene.feed(&scene.settings.folder.join("../outside/b"), identity, 2 * HOUR);
    let identity = scene.file(&outside.join("c"), 2);
    scene.feed(&outside.join("c"), identity, 2 * HOUR);
    assert_eq!(names(&scene.look()), [""; 0]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 3);
}

#[test]
fn another_folder_in_the_place_of_a_whole_one_is_an_error() {
    let scene = Scene::new(|settings| settings.keep.captures = Some(DAY * 3));
    scene.capture("a", 2, 2 * HOUR);
    let mut keeper = scene.keeper();
    keeper.look(&scene.journal, scene.now).unwrap();
    let moved = scene.whole.path().join("moved");
    fs::rename(&scene.settings.folder, &moved).unwrap();
    let outside = scene.outside();
    fs::create_dir(outside.join("s")).unwrap();
    fs::hard_link(moved.join("s/a"), outside.join("s/a")).unwrap();
    symlink(&outside, &scene.settings.folder).unwrap();
    let error = keeper.look(&scene.journal, scene.now + DAY * 9).unwrap_err().to_string();
    assert!(error.contains("another folder than at the start"), "{error}");
    assert!(outside.join("s/a").exists() && moved.join("s/a").exists());
}

#[test]
fn records_go_by_age_when_their_hour_is_out() {
    let scene = Scene::new(|settings| settings.keep.records = Some(DAY * 3));
    let [old, young, next] = [(40, 4), (30, 2), (0, 9)].map(|(hours, days)| scene.record(hours, days));
    let looked = scene.look();
    assert_eq!(looked.removed, [(scene.settings.output.join(&old), 4000)]);
    let left: Vec<PathBuf> = scene.journal.written().unwrap().into_iter().map(|hour| hour.file.path).collect();
    assert_eq!(left, [young, next]);
}

#[test]
fn records_from_before_the_journal_go_as_others_do() {
    let scene = Scene::new(|settings| settings.keep.records = Some(DAY));
    // Nothing is known to be out of this sensor, and nothing of it may ever come again.
    let lying = [2, 0].map(|days| {
        let hour = Timestamp(BEGAN - i64::from(days));
        let path = PathBuf::from(format!("flows/t/{days}.jsonl"));
        let bytes = scene.file(&scene.settings.output.join(&path), days).size;
        let file = Written { path, hour, bytes, rows: 0 };
        Hour { sensor: "t".into(), product: "flows".into(), file, stays: true }
    });
    scene.journal.adopt(&lying).unwrap();
    assert_eq!(names(&scene.look()), ["2.jsonl"]);
    assert_eq!(scene.journal.written().unwrap(), lying[1..]);
}

#[test]
fn records_of_a_time_to_come_go_by_when_they_were_written() {
    let scene = Scene::new(|settings| settings.keep.records = Some(DAY * 3));
    let soon = i64::MAX - HOUR;
    scene.out("flows", soon, soon);
    let far = (BEGAN - soon) / HOUR + 10;
    scene.record(far, 4);
    scene.out("flows", soon, soon);
    assert_eq!(scene.look().removed.len(), 1);
}

#[test]
fn records_go_by_size_with_the_folders_that_they_leave_empty() {
    let scene = Scene::new(|settings| settings.keep.record_bytes = Some(0));
    let last_month = scene.record(24 * 19 + 1, 1);
    let yesterday = scene.record(20, 2);
    let today = scene.record(5, 1);
    let open = scene.record(0, 1);
    let looked = scene.look();
    let gone = [&last_month, &yesterday, &today].map(|path| scene.settings.output.join(path));
    assert_eq!(looked.removed.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), gone);
    let series = scene.settings.output.join("flows/s");
    let there = ["2023/09", "2023/10/18", "2023/10/19"].map(|folder| series.join(folder).exists());
    assert_eq!(there, [false, false, true]);
    assert!(scene.settings.output.join(open).exists());

    // The folder of the hour to come stays though it is empty: it may have been made just now.
    let scene = Scene::new(|settings| settings.keep.record_bytes = Some(0));
    scene.record(5, 1);
    assert_eq!(scene.look().removed.len(), 1);
    assert!(scene.settings.output.join("flows/s/2023/10/19").exists());
}

#[test]
fn what_took_the_place_of_records_stays() {
    let scene = Scene::new(|settings| settings.keep.records = Some(DAY));
    let [day, hour] = [scene.record(24, 2), scene.record(2, 2)].map(|path| scene.settings.output.join(path));
    let outside = scene.outside();
    fs::rename(&day, outside.join(day.file_name().unwrap())).unwrap();
    fs::remove_dir(day.parent().unwrap()).unwrap();
    symlink(&outside, day.parent().unwrap()).unwrap();
    fs::rename(&hour, outside.join("hour")).unwrap();
    symlink(outside.join("hour"), &hour).unwrap();
    assert_eq!(names(&scene.look()), [""; 0]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
    assert!(hour.is_symlink() && day.parent().unwrap().is_symlink());
    assert!(scene.journal.written().unwrap().is_empty());
}

#[test]
fn reports_go_by_when_they_came() {
    let scene = Scene::new(|settings| settings.keep.reports = Some(DAY));
    let quarantine = scene.settings.output.join("quarantine/s");
    let identity = scene.file(&quarantine.join("torn.pcap"), 9);
    scene.file(&quarantine.join("torn.pcap.reason.txt"), 1);
    scene.journal.set_aside("s", &scene.path("torn.pcap"), &identity, State::Quarantined, "").unwrap();
    let outside = scene.outside();
    scene.file(&outside.join("victim"), 9);
    symlink(&outside, quarantine.join("folder")).unwrap();
    symlink(outside.join("victim"), quarantine.join("file")).unwrap();
    let mut keeper = scene.keeper();
    let mut look = |now| keeper.look(&scene.journal, now).unwrap().removed.len();
    assert_eq!(look(SystemTime::now() + DAY / 2), 0);
    assert_eq!(scene.journal.aside().unwrap().len(), 1);
    assert_eq!(look(SystemTime::now() + DAY), 2);
    assert!(scene.journal.aside().unwrap().is_empty());
    assert!(outside.join("victim").exists() && quarantine.join("file").is_symlink());
}

#[test]
fn reports_go_by_size_with_their_files_the_oldest_first() {
    let scene = Scene::new(|settings| settings.keep.report_bytes = Some(0));
    let quarantine = scene.settings.output.join("quarantine/s");
    let aside = |name: &str, days| {
        // As it is put aside: the report is written before the file is moved.
        let report = scene.file(&quarantine.join(format!("{name}{REPORT}")), 1).size;
        let identity = scene.file(&quarantine.join(name), days);
        scene.journal.set_aside("s", &scene.path(name), &identity, State::Quarantined, "").unwrap();
        // One behind the other by the clock of the disk, too.
        std::thread::sleep(Duration::from_millis(20));
        report + identity.size
    };
    // By when they came there, not by how old they are.
    let [_, second, third] =
        [("first.pcap", 1), ("second.pcap", 9), ("third.pcap", 5)].map(|(name, days)| aside(name, days));
    let look = |most| {
        let mut settings = scene.settings.clone();
        settings.keep.report_bytes = Some(most);
        let mut keeper = Keeper { writers: |_, _| Writers::Nobody, ..Keeper::new(Arc::new(settings)) };
        let looked = keeper.look(&scene.journal, scene.now).unwrap();
        let mut names = names(&looked);
        names.sort_unstable();
        names.join(" ")
    };
    let sizes = [u64::MAX, second + third, second + third - 1, third, 0];
    let gone = [
        "",
        "first.pcap first.pcap.reason.txt",
        "second.pcap second.pcap.reason.txt",
        "",
        "third.pcap third.pcap.reason.txt",
    ];
    for ((most, gone), known) in sizes.into_iter().zip(gone).zip([3, 2, 1, 1, 0]) {
        assert_eq!((look(most).as_str(), scene.journal.aside().unwrap().len()), (gone, known), "{most}");
    }
}

#[test]
fn a_full_disk_takes_the_oldest_captures_only_if_it_was_asked_to() {
    for when_full in [WhenFull::Warn, WhenFull::StopCapturing, WhenFull::DropOldest] {
        let mut scene = Scene::new(|settings| settings.when_full = when_full);
        for (name, days, before) in
            [("a", 4, 2 * HOUR), ("b", 9, 0), ("c", 8, HOUR), ("d", 5, 2 * HOUR), ("e", 1, HOUR)]
        {
            scene.capture(name, days, before);
        }
        let blocks = |name| fs::metadata(scene.path(name)).unwrap().blocks() * BLOCK;
        scene.settings.least_free = 1000 + blocks("c") + blocks("d");
        let looked = scene.keeper().look_at(&scene.journal, scene.now, &|_, _| Ok(1000)).unwrap();
        let gone = if when_full == WhenFull::DropOldest { vec!["c", "d"] } else { vec![] };
        assert_eq!((names(&looked), looked.free, looked.low), (gone, 1000, true), "{when_full:?}");
        assert_eq!((looked.kept_for_hours, looked.stop_capturing), (0, when_full == WhenFull::StopCapturing));
    }
}

#[test]
fn capturing_goes_on_when_a_tenth_more_is_free() {
    let scene = Scene::new(|settings| {
        settings.when_full = WhenFull::StopCapturing;
        settings.least_free = 1000;
    });
    let mut keeper = scene.keeper();
    for (free, low, stop) in
        [(1000, false, false), (999, true, true), (1000, false, true), (1099, false, true), (1100, false, false)]
    {
        let looked = keeper.look_at(&scene.journal, scene.now, &|_, _| Ok(free)).unwrap();
        assert_eq!((looked.free, looked.low, looked.stop_capturing), (free, low, stop));
    }
    // Where only records have no room, captures go on.
    let output = &scene.settings.output;
    let free = |path: &Path, _: &File| Ok(if path == output { 7 } else { 5000 });
    let looked = keeper.look_at(&scene.journal, scene.now, &free).unwrap();
    assert_eq!((looked.free, looked.low, looked.stop_capturing), (7, true, false));
}

#[test]
fn the_system_is_asked_for_the_room() {
    let scene = Scene::new(|settings| settings.least_free = u64::MAX);
    let looked = scene.look();
    assert!(looked.free > 0 && looked.low, "{looked:?}");
}

#[test]
fn an_hour_of_records_goes_whole_for_its_size_and_no_other_with_it() {
    let scene = Scene::new(|settings| settings.keep.record_bytes = Some(5000));
    let flows: Vec<PathBuf> =
        [(4, 1), (3, 3), (2, 1)].into_iter().map(|(hours, days)| scene.record(hours, days)).collect();
    // Groups of the oldest hour: without them, the rest is small enough.
    let hour = Timestamp(BEGAN - 4 * HOUR);
    let groups = PathBuf::from(format!("groups/t/{}.jsonl", hour_folder(hour)));
    let bytes = scene.file(&scene.settings.output.join(&groups), 1).size;
    let out = Out { until: Timestamp(BEGAN), needs: Timestamp(BEGAN) };
    scene.advance("t", "groups", out, Some(Written { path: groups.clone(), hour, bytes, rows: 1 }));
    let looked = scene.look();
    let removed: Vec<PathBuf> = looked.removed.into_iter().map(|(path, _)| path).collect();
    assert_eq!(removed, [&flows[0], &groups].map(|path| scene.settings.output.join(path)));
}
