//! How far a run is: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pcap_compactor::engine::Progress;

/// A bar that lives until it is dropped.
pub(crate) struct Bar(Option<(Sender<()>, JoinHandle<()>)>);

impl Bar {
    /// Shows `progress` against `total` bytes, which may change; with 0 at first, it is not known.
    pub(crate) fn show(progress: &Arc<Progress>, total: impl Fn() -> u64 + Send + 'static, quiet: bool) -> Bar {
        if quiet || !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        let progress = Arc::clone(progress);
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let known = total();
            let bar = if known > 0 { ProgressBar::new(known) } else { ProgressBar::new_spinner() };
            let template = match known {
                0 => "{spinner} {bytes} {binary_bytes_per_sec}  {msg}",
                _ => "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}  {msg}  ETA {eta}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let mut before = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(200)) {
                let packets = progress.packets();
                if known > 0 {
                    bar.set_length(total());
                }
                bar.set_position(progress.bytes());
                bar.set_message(format!("{} packets/s", super::text::count((packets - before) * 5)));
                before = packets;
            }
            bar.finish_and_clear();
        });
        Bar(Some((stop, thread)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // A bar that panicked has nothing to say any more.
            let _ = thread.join();
        }
    }
}
