//! What a pipeline is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Product;
use super::products::SCANS;
use crate::config::Config;

/// How a pipeline works. Times that are bounds count from when a file or record was finished.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that is watched, with all below it.
    pub folder: PathBuf,
    /// The folder that takes records, the journal, and files that cannot be read. Not in `folder`, nor around it.
    pub output: PathBuf,
    /// What is made, at least one.
    pub products: Vec<Product>,
    /// Settings of groups.
    pub config: Config,
    /// Sensors that are worked on at once, at least 1. Default 2.
    pub workers: usize,
    /// The longest time from one file of a sensor to the next while there is traffic. Default 60 s.
    pub rotation: Duration,
    /// How much longer is waited before the wall clock closes an hour. Default 5 s.
    pub grace: Duration,
    /// How long a file that nobody was seen to close has to stay as it is. Default 2 s.
    pub stable: Duration,
    /// How often a file is tried that cannot be read, at least once. Default 3.
    pub tries: u32,
    /// How long is waited between tries. Default 5 s.
    pub retry_delay: Duration,
    /// How long reading one file may take before it is given up. Default 300 s.
    pub timeout: Duration,
    /// What may be removed when.
    pub keep: Keep,
    /// Free space below which is warned. Default 1000 MB.
    pub least_free: u64,
    /// How often free space and ages are looked at. Default 60 s and 30 s in the pipeline that this replaces; here both this. Default 30 s.
    pub look: Duration,
    /// What is done about too little space beside warning. Default nothing.
    pub when_full: WhenFull,
    /// Where metrics are served, on the loopback only. Default nowhere.
    pub listen: Option<SocketAddr>,
}

/// How long things are kept; nothing is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Captures, by the age of their last change.
    pub captures: Option<Duration>,
    /// Captures of all sensors, in bytes: the oldest go first.
    pub capture_bytes: Option<u64>,
    /// Records.
    pub records: Option<Duration>,
    /// Records of all products and sensors, in bytes.
    pub record_bytes: Option<u64>,
    /// Reports of files that could not be read, and these files.
    pub reports: Option<Duration>,
    /// These of all sensors, in bytes: the oldest go first, each file with its report.
    pub report_bytes: Option<u64>,
}

/// What is done about a full disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Nothing but a warning.
    #[default]
    Warn,
    /// No more is captured.
    StopCapturing,
    /// The oldest captures whose hours are out are removed.
    DropOldest,
}

impl Settings {
    /// How long a file is read until that is said to be long: as long as one is captured, or half of what it may take, if that is less.
    pub(super) fn slow(&self) -> Duration {
        self.rotation.min(self.timeout / 2)
    }

    /// The products that have a file an hour.
    pub(super) fn by_hour(&self) -> impl Iterator<Item = &Product> {
        self.products.iter().filter(|product| !product.is_by_capture())
    }

    /// The names of these, as the journal has them.
    pub(super) fn by_hour_names(&self) -> Vec<String> {
        let scans = self.by_hour().any(Product::has_windows).then(|| SCANS.to_owned());
        self.by_hour().map(Product::name).chain(scans).collect()
    }

    /// Whether captures have records by themselves.
    pub(super) fn by_capture(&self) -> bool {
        self.products.iter().any(Product::is_by_capture)
    }

    /// The usual settings.
    #[must_use]
    pub fn new(folder: PathBuf, output: PathBuf, products: Vec<Product>) -> Settings {
        Settings {
            folder,
            output,
            products,
            config: Config::default(),
            workers: 2,
            rotation: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            stable: Duration::from_secs(2),
            tries: 3,
            retry_delay: Duration::from_secs(5),
            timeout: Duration::from_secs(300),
            keep: Keep::default(),
            least_free: 1_000_000_000,
            look: Duration::from_secs(30),
            when_full: WhenFull::Warn,
            listen: None,
        }
    }
}
