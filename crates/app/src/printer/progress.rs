//! How a transfer goes on: a bar for each blob where a person watches, a line for each elsewhere.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use portpass_client::{
    Descriptor,
    transfer::{Progress, Step},
};

use crate::failure::escape_control;

/// `12.3 MiB`
pub(crate) fn human_bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// One line on stderr for whatever has ended.
#[derive(Debug)]
pub(super) struct Lines;

impl Progress for Lines {
    fn blob(&self, blob: &Descriptor, step: Step<'_>) {
        let what = match step {
            Step::Started { from: 0 } | Step::Advanced { .. } => return,
            Step::Started { from } => format!("goes on from {}", human_bytes(from)),
            Step::Interrupted { error } => {
                format!("{}; trying again", escape_control(error.to_string()))
            }
            Step::Done => "done".to_owned(),
            Step::AlreadyPresent => "there already".to_owned(),
            Step::Mounted => "mounted".to_owned(),
        };
        say(blob, &what);
    }

    fn manifest(&self, manifest: &Descriptor) {
        say(manifest, "manifest written");
    }
}

/// Bars on stderr.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    of_blob: Mutex<HashMap<String, ProgressBar>>,
}

impl Default for Bars {
    fn default() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { all, of_blob: Mutex::default() }
    }
}

impl Bars {
    fn bar(&self, blob: &Descriptor) -> ProgressBar {
        let mut bars = self.of_blob.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(blob.digest.to_string()).or_insert_with(|| {
            let style = ProgressStyle::with_template(TEMPLATE);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.all.add(ProgressBar::new(blob.size).with_style(style));
            bar.set_prefix(short(blob));
            bar
        });
        bar.clone()
    }
}

impl Progress for Bars {
    fn blob(&self, blob: &Descriptor, step: Step<'_>) {
        let bar = self.bar(blob);
        match step {
            Step::Started { from } => bar.set_position(from),
            Step::Advanced { by } => bar.inc(by),
            Step::Interrupted { .. } => bar.set_message("broke off, trying again"),
            Step::Done => bar.finish_with_message("done"),
            Step::AlreadyPresent => bar.finish_with_message("there already"),
            Step::Mounted => bar.finish_with_message("mounted"),
        }
    }
}

fn say(thing: &Descriptor, what: &str) {
    // Whoever closed stderr does not want to know.
    let size = human_bytes(thing.size);
    let _ = writeln!(anstream::stderr(), "{}  {size:>10}  {what}", short(thing));
}

/// As docker shortens it.
fn short(thing: &Descriptor) -> String {
    thing.digest.hex().chars().take(12).collect()
}

const TEMPLATE: &str = "{prefix}  {bar:30}  {bytes:>10}/{total_bytes:10}  {msg}";
